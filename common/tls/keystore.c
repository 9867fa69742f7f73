/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/tls/internal.h"

#define NAMES_BYTES 120 /* of the aliases that an error lists */

enum form { FORM_UNKNOWN, FORM_PEM, FORM_PKCS12, FORM_JKS, FORM_JCEKS, FORM_BKS };

/* --- what all formats need --- */

void tls_wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_reset(b);
}

int tls_openssl_err(struct err *e, const char *doing)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	ERR_clear_error();
	return err_set(e, ERR_CONFIG, "%s: %s", doing, reason == NULL ? "failed" : reason);
}

const char *tls_key_password(const Ipc__TlsStore *from)
{
	return from->key_password[0] != '\0' ? from->key_password : from->password;
}

bool keystore_wants(const Ipc__TlsStore *from, const char *alias)
{
	return from->alias[0] == '\0' || strcasecmp(from->alias, alias) == 0;
}

static int read_all(int fd, const char *path, size_t size, struct buf *out, struct err *e)
{
	buf_reserve(out, size + 1);
	while (out->len < size) {
		ssize_t n = read(fd, out->data + out->len, size - out->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "%s", path);
		if (n == 0)
			break;
		out->len += (size_t)n;
	}
	return 0;
}

int tls_read_file(const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int rc = 0;

	if (fd < 0)
		return err_errno(e, errno, "%s", path);
	if (fstat(fd, &st) < 0)
		rc = err_errno(e, errno, "%s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, ERR_CONFIG, "%s: is no file", path);
	else if (st.st_size > (off_t)KEYSTORE_FILE_BYTES)
		rc = err_set(e, ERR_LIMIT, "%s: has more than %u bytes", path, KEYSTORE_FILE_BYTES);
	else
		rc = read_all(fd, path, (size_t)st.st_size, out, e);
	(void)close(fd);
	if (rc < 0)
		tls_wipe(out);
	return rc;
}

int keystore_add_key(struct keystore *k, char *alias, EVP_PKEY *key, STACK_OF(X509) * chain,
		     struct err *e)
{
	struct identity id = { alias, key, chain };

	if (k->n_ids >= KEYSTORE_ENTRIES) {
		mem_free(alias);
		EVP_PKEY_free(key);
		sk_X509_pop_free(chain, X509_free);
		return err_set(e, ERR_LIMIT, "holds more than %u keys", KEYSTORE_ENTRIES);
	}
	k->ids = mem_grow(k->ids, &k->cap_ids, k->n_ids + 1, sizeof(*k->ids));
	k->ids[k->n_ids++] = id;
	return 0;
}

int keystore_add_cert(struct keystore *k, char *alias, X509 *cert, struct err *e)
{
	if (k->n_certs >= KEYSTORE_ENTRIES) {
		mem_free(alias);
		X509_free(cert);
		return err_set(e, ERR_LIMIT, "holds more than %u certificates", KEYSTORE_ENTRIES);
	}
	k->certs = mem_grow(k->certs, &k->cap_certs, k->n_certs + 1, sizeof(*k->certs));
	k->certs[k->n_certs++] = (struct trusted){ alias, cert };
	return 0;
}

static void free_identity(struct identity *id)
{
	mem_free(id->alias);
	EVP_PKEY_free(id->key);
	sk_X509_pop_free(id->chain, X509_free);
}

static void free_trusted(struct trusted *t)
{
	mem_free(t->alias);
	X509_free(t->cert);
}

void keystore_free(struct keystore **kp)
{
	struct keystore *k = *kp;
	size_t i;

	*kp = NULL;
	if (k == NULL)
		return;
	for (i = 0; i < k->n_ids; i++)
		free_identity(&k->ids[i]);
	for (i = 0; i < k->n_certs; i++)
		free_trusted(&k->certs[i]);
	mem_free(k->ids);
	mem_free(k->certs);
	mem_free(k);
}

/* --- which format it is --- */

static bool begins(const uint8_t *p, size_t n, const char *magic, size_t len)
{
	return n >= len && memcmp(p, magic, len) == 0;
}

static enum form form_of(const uint8_t *p, size_t n)
{
	if (begins(p, n, "\xfe\xed\xfe\xed", 4))
		return FORM_JKS;
	if (begins(p, n, "\xce\xce\xce\xce", 4))
		return FORM_JCEKS;
	if (begins(p, n, "\0\0\0\1", 4) || begins(p, n, "\0\0\0\2", 4))
		return FORM_BKS;
	if (memmem(p, n, "-----BEGIN ", 11) != NULL)
		return FORM_PEM;
	if (begins(p, n, "\x30", 1))
		return FORM_PKCS12;
	return FORM_UNKNOWN;
}

/* Java's own loaders take JKS and PKCS12 for one another; PEM is a type of its own. */
static int check_form(enum form form, const char *type, struct err *e)
{
	bool any = type[0] == '\0';
	bool pem = strcasecmp(type, "pem") == 0;

	switch (form) {
	case FORM_JCEKS:
		return err_set(e, ERR_CONFIG,
			       "is a JCEKS store, which is not read; convert it with keytool "
			       "-importkeystore -deststoretype pkcs12");
	case FORM_BKS:
		return err_set(e, ERR_CONFIG,
			       "looks like a BKS store, which is not read; convert it with "
			       "keytool -importkeystore -deststoretype pkcs12");
	case FORM_UNKNOWN:
		return err_set(e, ERR_CONFIG, "is neither PEM nor PKCS12 nor JKS");
	case FORM_PEM:
		return any || pem ? 0 : err_set(e, ERR_CONFIG, "is PEM; write type: pem");
	default:
		return any || !pem ? 0
				   : err_set(e, ERR_CONFIG, "is no PEM; write type: %s",
					     form == FORM_JKS ? "jks" : "pkcs12");
	}
}

/* --- choosing, and checking that there is something to use --- */

static void add_name(struct buf *names, const char *alias)
{
	if (names->len < NAMES_BYTES)
		buf_printf(names, "%s%.60s", names->len > 0 ? ", " : "",
			   alias[0] == '\0' ? "(no name)" : alias);
}

static int no_such_entry(const struct keystore *k, enum keystore_use use, const char *alias,
			 struct err *e)
{
	struct buf names = { 0 };
	size_t i;
	int rc;

	for (i = 0; use == KEYSTORE_KEYS && i < k->n_ids; i++)
		add_name(&names, k->ids[i].alias);
	for (i = 0; use == KEYSTORE_TRUST && i < k->n_certs; i++)
		add_name(&names, k->certs[i].alias);
	rc = err_set(e, ERR_CONFIG, "holds no entry named %.60s; it has: %s", alias,
		     buf_cstr(&names));
	buf_reset(&names);
	return rc;
}

/* Keeps the entry named `alias` (Java ignores case) and lets the others go. */
static int choose(struct keystore *k, enum keystore_use use, const char *alias, struct err *e)
{
	size_t n = use == KEYSTORE_KEYS ? k->n_ids : k->n_certs;
	size_t i;

	for (i = 0; i < n; i++)
		if (strcasecmp(use == KEYSTORE_KEYS ? k->ids[i].alias : k->certs[i].alias, alias) ==
		    0)
			break;
	if (i == n)
		return no_such_entry(k, use, alias, e);
	if (use == KEYSTORE_KEYS) {
		struct identity id = k->ids[i];

		k->ids[i] = k->ids[0];
		k->ids[0] = id;
		while (k->n_ids > 1)
			free_identity(&k->ids[--k->n_ids]);
	} else {
		struct trusted t = k->certs[i];

		k->certs[i] = k->certs[0];
		k->certs[0] = t;
		while (k->n_certs > 1)
			free_trusted(&k->certs[--k->n_certs]);
	}
	return 0;
}

static int check_keys(const struct keystore *k, struct err *e)
{
	size_t i;

	if (k->n_ids == 0)
		return err_set(e, ERR_CONFIG, "holds no private key; a keystore needs one");
	for (i = 0; i < k->n_ids; i++) {
		const struct identity *id = &k->ids[i];

		if (sk_X509_num(id->chain) == 0)
			return err_set(e, ERR_CONFIG, "the key %.60s has no certificate",
				       id->alias);
		if (X509_check_private_key(sk_X509_value(id->chain, 0), id->key) != 1) {
			ERR_clear_error();
			return err_set(e, ERR_CONFIG,
				       "key and certificate%s%.60s do not belong "
				       "together",
				       id->alias[0] == '\0' ? "" : " of ", id->alias);
		}
	}
	return 0;
}

static int finish(struct keystore *k, enum keystore_use use, const char *alias, struct err *e)
{
	int rc = 0;

	if (use == KEYSTORE_TRUST && k->n_certs == 0)
		return err_set(e, ERR_CONFIG, "holds no trusted certificate%s",
			       k->n_ids == 0 ? "" : ", only keys; import the CA into it");
	if (alias[0] != '\0' && (use == KEYSTORE_TRUST || k->n_ids > 0))
		rc = choose(k, use, alias, e);
	if (rc == 0 && use == KEYSTORE_KEYS)
		rc = check_keys(k, e);
	return rc;
}

/* --- loading --- */

static int parse(struct keystore *k, const Ipc__TlsStore *from, enum keystore_use use,
		 const uint8_t *p, size_t n, struct err *e)
{
	const struct buf b = { .data = (char *)(uintptr_t)p, .len = n };
	enum form form = form_of(p, n);
	int rc = check_form(form, from->type, e);

	if (rc == 0 && form == FORM_JKS)
		rc = jks_read(k, from, use, p, n, e);
	else if (rc == 0 && form == FORM_PKCS12)
		rc = pkcs12_read(k, from, use, p, n, e);
	else if (rc == 0 && use == KEYSTORE_KEYS)
		rc = pem_read_key(k, from, &b, &b, e);
	else if (rc == 0)
		rc = pem_read_certs(k, p, n, e);
	return rc;
}

int keystore_parse(struct keystore **out, const Ipc__TlsStore *from, enum keystore_use use,
		   const uint8_t *bytes, size_t n, struct err *e)
{
	struct keystore *k = mem_zalloc(sizeof(*k));
	int rc = parse(k, from, use, bytes, n, e);

	if (rc == 0)
		rc = finish(k, use, from->alias, e);
	ERR_clear_error();
	if (rc < 0)
		keystore_free(&k);
	else
		*out = k;
	return rc;
}

static int load_file(struct keystore **out, const Ipc__TlsStore *from, enum keystore_use use,
		     struct err *e)
{
	struct buf b = { 0 };
	int rc = tls_read_file(from->path, &b, e);

	if (rc < 0)
		return rc;
	rc = keystore_parse(out, from, use, (const uint8_t *)b.data, b.len, e);
	tls_wipe(&b);
	return rc < 0 ? err_wrap(e, "%s", from->path) : 0;
}

static int load_pair(struct keystore *k, const Ipc__TlsStore *from, size_t i, struct err *e)
{
	struct buf cert = { 0 };
	struct buf key = { 0 };
	int rc = tls_read_file(from->certs[i], &cert, e);

	if (rc == 0)
		rc = tls_read_file(from->keys[i], &key, e);
	if (rc == 0) {
		rc = pem_read_key(k, from, &cert, &key, e);
		if (rc < 0)
			rc = err_wrap(e, "%s, %s", from->certs[i], from->keys[i]);
	}
	tls_wipe(&cert);
	tls_wipe(&key);
	return rc;
}

static int load_pairs(struct keystore **out, const Ipc__TlsStore *from, struct err *e)
{
	struct keystore *k = mem_zalloc(sizeof(*k));
	int rc = 0;
	size_t i;

	if (from->n_certs != from->n_keys)
		rc = err_set(e, ERR_CONFIG,
			     "keystore: %zu certificates and %zu keys; write one key for each",
			     from->n_certs, from->n_keys);
	for (i = 0; rc == 0 && i < from->n_certs; i++)
		rc = load_pair(k, from, i, e);
	if (rc == 0)
		rc = finish(k, KEYSTORE_KEYS, "", e);
	ERR_clear_error();
	if (rc < 0)
		keystore_free(&k);
	else
		*out = k;
	return rc;
}

/* The reference's words, so that people find them again. */
static int missing(const Ipc__TlsStore *from, enum keystore_use use, struct err *e)
{
	const char *what = use == KEYSTORE_KEYS ? "keystore" : "truststore";
	const char *type = strcasecmp(from->type, "pem") == 0	? "PEM"
			   : strcasecmp(from->type, "jks") == 0 ? "JKS"
								: "PKCS12";

	return err_set(e, ERR_CONFIG, "Missing %s %s value; write %s.%s", type, what, what,
		       use == KEYSTORE_KEYS && strcmp(type, "PEM") == 0
			       ? "certificates, each with cert and key"
			       : "path");
}

int keystore_load(struct keystore **out, const Ipc__TlsStore *from, enum keystore_use use,
		  struct err *e)
{
	if (use == KEYSTORE_KEYS && strcasecmp(from->type, "pem") == 0 && from->n_certs > 0)
		return load_pairs(out, from, e);
	if (from->path[0] == '\0')
		return missing(from, use, e);
	return load_file(out, from, use, e);
}

/* --- as PEM --- */

static int write_key(BIO *bio, const struct identity *id)
{
	int i;

	if (PEM_write_bio_PrivateKey(bio, id->key, NULL, NULL, 0, NULL, NULL) != 1)
		return ERR_CONFIG;
	for (i = 0; i < sk_X509_num(id->chain); i++)
		if (PEM_write_bio_X509(bio, sk_X509_value(id->chain, i)) != 1)
			return ERR_CONFIG;
	return 0;
}

int keystore_pem(const struct keystore *k, enum keystore_use use, struct buf *out, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *p = NULL;
	int rc = bio == NULL ? ERR_CONFIG : 0;
	long n = 0;
	size_t i;

	if (rc == 0 && use == KEYSTORE_KEYS)
		rc = write_key(bio, &k->ids[0]);
	for (i = 0; rc == 0 && use == KEYSTORE_TRUST && i < k->n_certs; i++)
		if (PEM_write_bio_X509(bio, k->certs[i].cert) != 1)
			rc = ERR_CONFIG;
	if (rc == 0) {
		n = BIO_get_mem_data(bio, &p);
		buf_reserve(out, (size_t)n);
		buf_add(out, p, (size_t)n);
	} else {
		rc = tls_openssl_err(e, "write PEM");
	}
	BIO_free(bio);
	return rc;
}
