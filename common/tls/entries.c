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

static void free_item(const struct store_item *item)
{
	mem_free(item->alias);
	EVP_PKEY_free(item->key);
	sk_X509_pop_free(item->chain, X509_free);
}

int keystore_add(struct keystore *k, enum keystore_use use, const struct store_item *item,
		 struct err *e)
{
	struct store_list *l = &k->of[use];

	if (l->n >= KEYSTORE_ENTRIES) {
		free_item(item);
		return err_set(e, ERR_LIMIT, "holds more than %u %s", KEYSTORE_ENTRIES,
			       use == KEYSTORE_KEYS ? "keys" : "certificates");
	}
	l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = *item;
	return 0;
}

int keystore_add_cert(struct keystore *k, char *alias, X509 *cert, struct err *e)
{
	const struct store_item item = { alias, NULL, sk_X509_new_null() };

	CHECK(item.chain != NULL && sk_X509_push(item.chain, cert) > 0);
	return keystore_add(k, KEYSTORE_TRUST, &item, e);
}

void keystore_free(struct keystore **kp)
{
	struct keystore *k = *kp;
	size_t i;

	*kp = NULL;
	for (i = 0; k != NULL && i < ARRAY_LEN(k->of); i++) {
		while (k->of[i].n > 0)
			free_item(&k->of[i].v[--k->of[i].n]);
		mem_free(k->of[i].v);
	}
	mem_free(k);
}

/* --- choosing --- */

static void add_name(struct buf *names, const char *alias)
{
	if (names->len < NAMES_BYTES)
		buf_printf(names, "%s%.60s", names->len > 0 ? ", " : "",
			   alias[0] == '\0' ? "(no name)" : alias);
}

static int no_such_entry(const struct store_list *l, const char *alias, struct err *e)
{
	struct buf names = { 0 };
	size_t i;
	int rc;

	for (i = 0; i < l->n; i++)
		add_name(&names, l->v[i].alias);
	rc = err_set(e, ERR_CONFIG, "holds no entry named %.60s; it has: %s", alias,
		     buf_cstr(&names));
	buf_reset(&names);
	return rc;
}

int keystore_choose(struct keystore *k, enum keystore_use use, const char *alias, struct err *e)
{
	struct store_list *l = &k->of[use];
	struct store_item chosen;
	size_t i = 0;

	while (i < l->n && strcasecmp(l->v[i].alias, alias) != 0)
		i++;
	if (i == l->n)
		return no_such_entry(l, alias, e);
	chosen = l->v[i];
	l->v[i] = l->v[0];
	l->v[0] = chosen;
	while (l->n > 1)
		free_item(&l->v[--l->n]);
	return 0;
}

/* --- as PEM --- */

static int write_item(BIO *bio, const struct store_item *item)
{
	int i;

	if (item->key != NULL &&
	    PEM_write_bio_PrivateKey(bio, item->key, NULL, NULL, 0, NULL, NULL) != 1)
		return ERR_CONFIG;
	for (i = 0; i < sk_X509_num(item->chain); i++)
		if (PEM_write_bio_X509(bio, sk_X509_value(item->chain, i)) != 1)
			return ERR_CONFIG;
	return 0;
}

int keystore_pem(const struct keystore *k, enum keystore_use use, struct buf *out, struct err *e)
{
	size_t n_items = use == KEYSTORE_KEYS ? 1 : k->of[use].n;
	BIO *bio = BIO_new(BIO_s_secmem());
	char *p = NULL;
	int rc = bio == NULL ? ERR_CONFIG : 0;
	long n = 0;
	size_t i;

	for (i = 0; rc == 0 && i < n_items; i++)
		rc = write_item(bio, &k->of[use].v[i]);
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
