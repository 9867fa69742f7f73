/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/tls/tls_internal.h"

enum form { FORM_UNKNOWN, FORM_PEM, FORM_PKCS12, FORM_JKS, FORM_JCEKS, FORM_BKS };

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

/* --- checking that there is something to use --- */

static int check_keys(const struct store_list *keys, struct err *e)
{
	size_t i;

	if (keys->n == 0)
		return err_set(e, ERR_CONFIG, "holds no private key; a keystore needs one");
	for (i = 0; i < keys->n; i++) {
		const struct store_item *id = &keys->v[i];

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
	const struct store_list *keys = &k->of[KEYSTORE_KEYS];
	int rc = 0;

	if (use == KEYSTORE_TRUST && k->of[use].n == 0)
		return err_set(e, ERR_CONFIG, "holds no trusted certificate%s",
			       keys->n == 0 ? "" : ", only keys; import the CA into it");
	if (alias[0] != '\0' && (use == KEYSTORE_TRUST || keys->n > 0))
		rc = keystore_choose(k, use, alias, e);
	if (rc == 0 && use == KEYSTORE_KEYS)
		rc = check_keys(keys, e);
	return rc;
}

/* --- loading --- */

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

/* As bytes that must be overwritten: tls_wipe(). */
static int read_file(const char *path, struct buf *out, struct err *e)
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

/* `rc` is that of the reading. */
static int hand_out(struct keystore **out, struct keystore *k, int rc)
{
	ERR_clear_error();
	if (rc < 0)
		keystore_free(&k);
	else
		*out = k;
	return rc;
}

int keystore_parse(struct keystore **out, const Ipc__TlsStore *from, enum keystore_use use,
		   const uint8_t *bytes, size_t n, struct err *e)
{
	struct keystore *k = mem_zalloc(sizeof(*k));
	int rc = parse(k, from, use, bytes, n, e);

	return hand_out(out, k, rc < 0 ? rc : finish(k, use, from->alias, e));
}

static int load_file(struct keystore **out, const Ipc__TlsStore *from, enum keystore_use use,
		     struct err *e)
{
	struct buf b = { 0 };
	int rc = read_file(from->path, &b, e);

	if (rc < 0)
		return rc;
	CHECK(b.data != NULL); /* of an empty file too */
	rc = keystore_parse(out, from, use, (const uint8_t *)b.data, b.len, e);
	tls_wipe(&b);
	return rc < 0 ? err_wrap(e, "%s", from->path) : 0;
}

static int load_pair(struct keystore *k, const Ipc__TlsStore *from, size_t i, struct err *e)
{
	struct buf cert = { 0 };
	struct buf key = { 0 };
	int rc = read_file(from->certs[i], &cert, e);

	if (rc == 0)
		rc = read_file(from->keys[i], &key, e);
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
	return hand_out(out, k, rc < 0 ? rc : finish(k, KEYSTORE_KEYS, "", e));
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
