/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/tls/tls_internal.h"

#define NAMES_BYTES 120 /* of the aliases that an error lists */

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

/* --- choosing --- */

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

int keystore_choose(struct keystore *k, enum keystore_use use, const char *alias, struct err *e)
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
