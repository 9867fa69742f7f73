/* SPDX-License-Identifier: Apache-2.0 */
#include "common/tls/context.h"

#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/tls/tls_internal.h"

#define CIPHERS_ALL "ALL:!aNULL:!eNULL" /* of TLS 1.2: those with a server that proves itself */

/* --- versions and ciphers --- */

static int version_of(const char *name)
{
	if (strcasecmp(name, "TLSv1.2") == 0)
		return TLS1_2_VERSION;
	if (strcasecmp(name, "TLSv1.3") == 0)
		return TLS1_3_VERSION;
	return 0;
}

static int set_versions(SSL_CTX *ctx, const Ipc__Tls *m, struct err *e)
{
	int min = m->n_protocols == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
	int max = m->n_protocols == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
	size_t i;

	for (i = 0; i < m->n_protocols; i++) {
		int v = version_of(m->protocols[i]);

		if (v == 0)
			return err_set(e, ERR_CONFIG,
				       "tlsProtocols: `%.30s` is not supported; write TLSv1.2, "
				       "TLSv1.3 or both",
				       m->protocols[i]);
		min = MIN(min, v);
		max = MAX(max, v);
	}
	CHECK(SSL_CTX_set_min_proto_version(ctx, min) == 1);
	CHECK(SSL_CTX_set_max_proto_version(ctx, max) == 1);
	return 0;
}

/* OpenSSL's name of a cipher that has this name there or in Java (IANA's). */
static const char *cipher_named(const STACK_OF(SSL_CIPHER) * all, const char *name, bool *is_13)
{
	int i;

	for (i = 0; i < sk_SSL_CIPHER_num(all); i++) {
		const SSL_CIPHER *c = sk_SSL_CIPHER_value(all, i);
		const char *iana = SSL_CIPHER_standard_name(c);

		if (strcasecmp(SSL_CIPHER_get_name(c), name) != 0 &&
		    (iana == NULL || strcasecmp(iana, name) != 0))
			continue;
		*is_13 = SSL_CIPHER_get_protocol_id(c) >> 8 == 0x13;
		return SSL_CIPHER_get_name(c);
	}
	return NULL;
}

static int sort_ciphers(SSL_CTX *ctx, const Ipc__Tls *m, struct buf *old, struct buf *new,
			struct err *e)
{
	size_t i;

	if (SSL_CTX_set_cipher_list(ctx, CIPHERS_ALL) != 1)
		return tls_openssl_err(e, "tlsCiphers");
	for (i = 0; i < m->n_ciphers; i++) {
		bool is_13 = false;
		const char *name = cipher_named(SSL_CTX_get_ciphers(ctx), m->ciphers[i], &is_13);
		struct buf *to = is_13 ? new : old;

		if (name == NULL)
			return err_set(e, ERR_CONFIG,
				       "tlsCiphers: `%.60s` is not known, or proves nobody; "
				       "`openssl ciphers -stdname` lists names",
				       m->ciphers[i]);
		buf_printf(to, "%s%s", to->len > 0 ? ":" : "", name);
	}
	return 0;
}

/* Without ciphers of a version that version is not spoken, as in Java. */
static int set_ciphers(SSL_CTX *ctx, const Ipc__Tls *m, struct err *e)
{
	struct buf old = { 0 };
	struct buf new = { 0 };
	int rc;

	if (m->n_ciphers == 0)
		return 0;
	rc = sort_ciphers(ctx, m, &old, &new, e);
	if (rc == 0 && ((old.len == 0 && SSL_CTX_get_max_proto_version(ctx) < TLS1_3_VERSION) ||
			(new.len == 0 && SSL_CTX_get_min_proto_version(ctx) > TLS1_2_VERSION)))
		rc = err_set(e, ERR_CONFIG,
			     "tlsCiphers: none of them is of a version that "
			     "tlsProtocols allows");
	if (rc == 0 && old.len > 0 && SSL_CTX_set_cipher_list(ctx, buf_cstr(&old)) != 1)
		rc = tls_openssl_err(e, "tlsCiphers");
	if (rc == 0 && new.len > 0 && SSL_CTX_set_ciphersuites(ctx, buf_cstr(&new)) != 1)
		rc = tls_openssl_err(e, "tlsCiphers");
	if (rc == 0 && old.len == 0)
		CHECK(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1);
	if (rc == 0 && new.len == 0)
		CHECK(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == 1);
	buf_reset(&old);
	buf_reset(&new);
	return rc;
}

/* --- whom we trust --- */

static int trust(SSL_CTX *ctx, const Ipc__TlsStore *from, struct err *e)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	struct keystore *k = NULL;
	size_t i;
	int rc;

	if (from == NULL)
		return SSL_CTX_set_default_verify_paths(ctx) == 1
			       ? 0
			       : tls_openssl_err(e, "the system's certificate authorities");
	rc = keystore_load(&k, from, KEYSTORE_TRUST, e);
	if (rc < 0)
		return err_wrap(e, "truststore");
	for (i = 0; rc == 0 && i < k->of[KEYSTORE_TRUST].n; i++)
		if (X509_STORE_add_cert(store,
					sk_X509_value(k->of[KEYSTORE_TRUST].v[i].chain, 0)) != 1)
			rc = tls_openssl_err(e, "truststore");
	CHECK(X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1);
	keystore_free(&k);
	return rc;
}

/* --- who we are --- */

static bool issued_by_one_of(const struct store_item *id, const STACK_OF(X509_NAME) * names)
{
	int i;
	int j;

	for (i = 0; i < sk_X509_num(id->chain); i++)
		for (j = 0; j < sk_X509_NAME_num(names); j++)
			if (X509_NAME_cmp(X509_get_issuer_name(sk_X509_value(id->chain, i)),
					  sk_X509_NAME_value(names, j)) == 0)
				return true;
	return false;
}

/* The server asked: of several keys take the first whose issuer it named, else the first. */
static int choose_identity(SSL *ssl, void *arg)
{
	const struct store_list *keys = &((const struct keystore *)arg)->of[KEYSTORE_KEYS];
	const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(ssl);
	const struct store_item *id = &keys->v[0];
	STACK_OF(X509) * rest;
	size_t i;
	int ok;

	for (i = 0; i < keys->n; i++) {
		if (issued_by_one_of(&keys->v[i], names)) {
			id = &keys->v[i];
			break;
		}
	}
	rest = sk_X509_dup(id->chain);
	if (rest == NULL)
		return 0;
	(void)sk_X509_shift(rest);
	ok = SSL_use_cert_and_key(ssl, sk_X509_value(id->chain, 0), id->key, rest, 1);
	sk_X509_free(rest);
	return ok;
}

/* --- all of it --- */

static int set_up(struct tls_context *c, const Ipc__Tls *m, struct err *e)
{
	int rc = set_versions(c->ctx, m, e);

	(void)SSL_CTX_set_options(c->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_set_mode(c->ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(c->ctx, m->trust_all ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	if (rc == 0)
		rc = set_ciphers(c->ctx, m, e);
	if (rc == 0 && !m->trust_all)
		rc = trust(c->ctx, m->truststore, e);
	if (rc < 0 || m->keystore == NULL)
		return rc;
	rc = keystore_load(&c->keys, m->keystore, KEYSTORE_KEYS, e);
	if (rc < 0)
		return err_wrap(e, "keystore");
	SSL_CTX_set_cert_cb(c->ctx, choose_identity, c->keys);
	return 0;
}

int tls_context_create(struct tls_context **out, const Ipc__Tls *m, struct err *e)
{
	struct tls_context *c = mem_zalloc(sizeof(*c));
	int rc;

	ERR_clear_error();
	c->ctx = SSL_CTX_new(TLS_client_method());
	CHECK(c->ctx != NULL);
	c->trust_all = m->trust_all;
	c->any_name = m->any_name;
	c->name = mem_strdup(m->server_name);
	rc = set_up(c, m, e);
	ERR_clear_error();
	if (rc < 0)
		tls_context_free(&c);
	else
		*out = c;
	return rc;
}

void tls_context_free(struct tls_context **cp)
{
	struct tls_context *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	SSL_CTX_free(c->ctx);
	keystore_free(&c->keys);
	mem_free(c->name);
	mem_free(c);
}

/* --- its dates --- */

static const char *out_of_dates(const X509 *cert)
{
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		return "expired";
	return X509_cmp_current_time(X509_get0_notBefore(cert)) > 0 ? "is not valid yet" : NULL;
}

static void show_time(char *out, size_t n, const ASN1_TIME *t)
{
	struct tm tm = { 0 };

	if (ASN1_TIME_to_tm(t, &tm) != 1 || strftime(out, n, "%Y-%m-%d %H:%M UTC", &tm) == 0)
		str_copy(out, n, "an unknown time");
}

int tls_context_check_dates(const struct tls_context *c, struct err *e)
{
	const struct store_list *keys = c->keys == NULL ? NULL : &c->keys->of[KEYSTORE_KEYS];
	const char *what = NULL;
	const X509 *first;
	char from[32];
	char to[32];
	size_t i;

	if (keys == NULL || keys->n == 0)
		return 0;
	for (i = keys->n; i > 0; i--) { /* the first one is told of */
		what = out_of_dates(sk_X509_value(keys->v[i - 1].chain, 0));
		if (what == NULL)
			return 0;
	}
	first = sk_X509_value(keys->v[0].chain, 0);
	show_time(from, sizeof(from), X509_get0_notBefore(first));
	show_time(to, sizeof(to), X509_get0_notAfter(first));
	return err_set(
		e, ERR_CONFIG,
		"keystore: the certificate %s, it is good from %s to %s; put one in its place "
		"that is good now",
		what, from, to);
}
