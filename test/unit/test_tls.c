/* SPDX-License-Identifier: Apache-2.0 */
/* Keystores of every kind, made by openssl and keytool (test/pki). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
/* OpenSSL has a type of the name of one of our codes. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/ssl.h>
#undef ERR_STATE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/tls/context.h"
#include "common/tls/keystore.h"
#include "common/tls/session.h"

static char text[ERR_TEXT_BYTES];

static char *at(const char *name)
{
	return mem_printf("%s/%s", PKI_DIR, name);
}

struct ask {
	const char *type;
	const char *file;
	const char *password;
	const char *key_password;
	const char *alias;
};

static int load(struct keystore **out, const struct ask *a, enum keystore_use use)
{
	struct err e = { 0 };
	Ipc__TlsStore m;
	char *path = a->file == NULL ? mem_strdup("") : at(a->file);
	int rc;

	ipc__tls_store__init(&m);
	m.type = (char *)(uintptr_t)a->type;
	m.path = path;
	m.password = (char *)(uintptr_t)(a->password == NULL ? "" : a->password);
	m.key_password = (char *)(uintptr_t)(a->key_password == NULL ? "" : a->key_password);
	m.alias = (char *)(uintptr_t)(a->alias == NULL ? "" : a->alias);
	rc = keystore_load(out, &m, use, &e);
	str_copy(text, sizeof(text), e.text);
	if (rc < 0 && e.code != rc)
		fail_msg("the code is not the text's");
	mem_free(path);
	return rc;
}

static size_t count(const char *s, const char *word)
{
	size_t n = 0;

	while ((s = strstr(s, word)) != NULL) {
		n++;
		s++;
	}
	return n;
}

/* Loads; says how many keys and certificates come out as PEM. */
static void expect_pem(const struct ask *a, enum keystore_use use, size_t keys, size_t certs)
{
	struct keystore *k = NULL;
	struct buf pem = { 0 };

	if (load(&k, a, use) < 0)
		fail_msg("%s: %s", a->file, text);
	assert_int_equal(keystore_pem(k, use, &pem, NULL), 0);
	assert_int_equal(count(buf_cstr(&pem), "BEGIN PRIVATE KEY"), keys);
	if (count(buf_cstr(&pem), "BEGIN CERTIFICATE") != certs)
		fail_msg("%s: %zu certificates, not %zu", a->file,
			 count(buf_cstr(&pem), "BEGIN CERTIFICATE"), certs);
	buf_reset(&pem);
	keystore_free(&k);
}

static void expect_error(const struct ask *a, enum keystore_use use, const char *words)
{
	struct keystore *k = NULL;

	assert_true(load(&k, a, use) < 0);
	assert_null(k);
	if (strstr(text, words) == NULL)
		fail_msg("%s: `%s`, without `%s`", a->file, text, words);
}

static void keys_of_every_kind_are_read(void **state)
{
	static const struct {
		struct ask ask;
		size_t certs;
	} rows[] = {
		{ { "pem", "client-both.pem", NULL, NULL, NULL }, 1 },
		{ { "PKCS12", "client.p12", "storepass", NULL, NULL }, 2 },
		{ { "pkcs12", "two.p12", "storepass", NULL, "second" }, 2 },
		{ { "pkcs12", "legacy.p12", "storepass", NULL, NULL }, 1 },
		{ { "pkcs12", "client-openssl.p12", "storepass", NULL, "CLIENT" }, 2 },
		{ { "jks", "client.jks", "storepass", "schlüssel", NULL }, 2 },
		{ { "jks", "client.jks", "storepass", "schlüssel", "schlüssel" }, 2 },
		{ { "jks", "two.jks", "storepass", NULL, "client" }, 2 },
		/* one taken for the other, as Java does */
		{ { "jks", "client.p12", "storepass", NULL, NULL }, 2 },
		{ { "pkcs12", "two.jks", "storepass", NULL, "second" }, 2 },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		expect_pem(&rows[i].ask, KEYSTORE_KEYS, 1, rows[i].certs);
}

static void trust_of_every_kind_is_read(void **state)
{
	static const struct {
		struct ask ask;
		size_t certs;
	} rows[] = {
		{ { "pem", "both.pem", NULL, NULL, NULL }, 2 },
		{ { "pkcs12", "trust.p12", "storepass", NULL, NULL }, 2 },
		{ { "pkcs12", "trust.p12", "storepass", NULL, "the-CA" }, 1 },
		{ { "pkcs12", "trust-openssl.p12", "storepass", NULL, NULL }, 1 },
		{ { "pkcs12", "trust-nomac.p12", "storepass", NULL, NULL }, 1 },
		{ { "jks", "trust.jks", "storepass", NULL, NULL }, 2 },
		{ { "jks", "trust.jks", NULL, NULL, NULL }, 2 },
		{ { "jks", "trust.jks", "storepass", NULL, "another" }, 1 },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		expect_pem(&rows[i].ask, KEYSTORE_TRUST, 0, rows[i].certs);
}

static void what_is_wrong_with_a_keystore_is_said(void **state)
{
	static const struct {
		struct ask ask;
		const char *words;
	} rows[] = {
		{ { "pkcs12", "client.p12", "wrong", NULL, NULL }, "client.p12: wrong password" },
		{ { "pkcs12", "client.p12", NULL, NULL, NULL }, "wrong password: there is none" },
		{ { "pkcs12", "client.p12", "storepass", "no", NULL }, "wrong keyPassword" },
		{ { "jks", "client.jks", "wrong", NULL, NULL }, "wrong password" },
		{ { "jks", "client.jks", "storepass", NULL, NULL }, "wrong keyPassword" },
		{ { "jks", "two.jks", "storepass", NULL, "third" },
		  "no entry named third; it has: " },
		{ { "pkcs12", "two.p12", "storepass", NULL, "third" },
		  "no entry named third; it has: client, second" },
		{ { "jks", "client.jceks", "storepass", NULL, NULL }, "keytool -importkeystore" },
		{ { "pkcs12", "trust.p12", "storepass", NULL, NULL }, "holds no private key" },
		{ { "pkcs12", "costly.p12", "storepass", NULL, NULL }, "iterations" },
		{ { "pkcs12", "client-nomac.p12", "storepass", NULL, NULL }, "integrity" },
		{ { "pem", "client.p12", "storepass", NULL, NULL }, "write type: pkcs12" },
		{ { "pem", "client.jks", "storepass", NULL, NULL }, "write type: jks" },
		{ { "jks", "client-both.pem", NULL, NULL, NULL }, "is PEM; write type: pem" },
		{ { "pem", "client.pem", NULL, NULL, NULL }, "holds no private key" },
		{ { "pem", "absent.pem", NULL, NULL, NULL }, "No such file" },
		{ { "pem", "db", NULL, NULL, NULL }, "is no file" },
		{ { "pem", ".done-2", NULL, NULL, NULL }, "neither PEM nor" },
		{ { "pem", NULL, NULL, NULL, NULL }, "Missing PEM keystore value" },
		{ { "jks", NULL, NULL, NULL, NULL }, "Missing JKS keystore value" },
		{ { "pkcs12", NULL, NULL, NULL, NULL }, "Missing PKCS12 keystore value" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		expect_error(&rows[i].ask, KEYSTORE_KEYS, rows[i].words);
}

static void what_is_wrong_with_a_truststore_is_said(void **state)
{
	static const struct {
		struct ask ask;
		const char *words;
	} rows[] = {
		{ { "pkcs12", "trust.p12", "wrong", NULL, NULL }, "wrong password" },
		{ { "jks", "trust.jks", "wrong", NULL, NULL }, "wrong password" },
		/* the certificate of a key is not to be trusted */
		{ { "pkcs12", "two.p12", "storepass", NULL, NULL }, "no trusted certificate" },
		{ { "jks", "two.jks", "storepass", NULL, NULL }, "no trusted certificate" },
		{ { "pkcs12", "trust.p12", "storepass", NULL, "x" }, "it has: the-ca, another" },
		{ { "pem", "client.key", NULL, NULL, NULL }, "no trusted certificate" },
		{ { "pem", NULL, NULL, NULL, NULL }, "Missing PEM truststore value" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		expect_error(&rows[i].ask, KEYSTORE_TRUST, rows[i].words);
}

static int load_pairs(const char *const *names, size_t n, const char *password)
{
	struct keystore *k = NULL;
	struct err e = { 0 };
	char *certs[4];
	char *keys[4];
	Ipc__TlsStore m;
	size_t i;
	int rc;

	ipc__tls_store__init(&m);
	m.type = (char *)(uintptr_t) "pem";
	m.key_password = (char *)(uintptr_t)password;
	for (i = 0; i < n; i++) {
		certs[i] = at(names[2 * i]);
		keys[i] = at(names[2 * i + 1]);
	}
	m.certs = certs;
	m.keys = keys;
	m.n_certs = n;
	m.n_keys = n;
	rc = keystore_load(&k, &m, KEYSTORE_KEYS, &e);
	str_copy(text, sizeof(text), e.text);
	keystore_free(&k);
	for (i = 0; i < n; i++) {
		mem_free(certs[i]);
		mem_free(keys[i]);
	}
	return rc;
}

static void pairs_of_pem_files_are_read(void **state)
{
	static const char *const two[] = { "client.pem", "client.key", "second.pem", "second.key" };
	static const char *const locked[] = { "client.pem", "client-locked.key" };
	static const char *const mixed[] = { "client.pem", "second.key" };
	static const char *const scrypt[] = { "client.pem", "scrypt.key" };
	static const char *const costly[] = { "client.pem", "costly.key" };
	static const char *const memory[] = { "client.pem", "costly-scrypt.key" };

	UNUSED(state);
	assert_int_equal(load_pairs(two, 2, ""), 0);
	assert_int_equal(load_pairs(locked, 1, "geheim ü"), 0);
	assert_true(load_pairs(locked, 1, "falsch") < 0);
	assert_non_null(strstr(text, "wrong keyPassword"));
	assert_true(load_pairs(locked, 1, "") < 0);
	assert_non_null(strstr(text, "is encrypted; write its keyPassword"));
	assert_true(load_pairs(mixed, 1, "") < 0);
	assert_non_null(strstr(text, "do not belong together"));
	assert_int_equal(load_pairs(scrypt, 1, "storepass"), 0);
	assert_int_equal(load_pairs(costly, 1, "storepass"), ERR_LIMIT);
	assert_non_null(strstr(text, "iterations"));
	assert_int_equal(load_pairs(memory, 1, "storepass"), ERR_LIMIT);
}

/* Bytes all over, damaged, and the file cut there: an error or a load, and nothing worse. */
static void damaged_stores_do_no_harm(void **state)
{
	static const char *const files[] = { "two.jks", "client.p12", "trust-nomac.p12" };
	size_t f;

	UNUSED(state);
	for (f = 0; f < ARRAY_LEN(files); f++) {
		char *path = at(files[f]);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		uint8_t good[8192];
		ssize_t n = read(fd, good, sizeof(good));
		Ipc__TlsStore m;
		ssize_t i;

		assert_true(n > 0);
		ipc__tls_store__init(&m);
		m.type = (char *)(uintptr_t) "jks";
		for (i = 0; i < n; i += f == 0 ? 11 : 101) {
			struct keystore *k = NULL;
			uint8_t *bad = mem_dup(good, (size_t)n);

			bad[i] ^= 0x81;
			if (keystore_parse(&k, &m, KEYSTORE_TRUST, bad, (size_t)n, NULL) == 0)
				keystore_free(&k);
			mem_free(bad);
			bad = malloc((size_t)i + 1); /* so that a read behind the end is seen */
			memcpy(bad, good, (size_t)i + 1);
			if (keystore_parse(&k, &m, KEYSTORE_TRUST, bad, (size_t)i + 1, NULL) == 0)
				keystore_free(&k);
			free(bad);
		}
		(void)close(fd);
		mem_free(path);
	}
}

/* With the keys of these pairs of PEM files. */
static int check_dates(const char *const (*pairs)[2], size_t n)
{
	struct tls_context *c = NULL;
	Ipc__TlsStore store;
	struct err e = { 0 };
	char pem[] = "pem";
	char *certs[2];
	char *keys[2];
	Ipc__Tls m;
	size_t i;
	int rc;

	ipc__tls__init(&m);
	ipc__tls_store__init(&store);
	for (i = 0; i < n; i++) {
		certs[i] = mem_printf("%s/%s", PKI_DIR, pairs[i][0]);
		keys[i] = mem_printf("%s/%s", PKI_DIR, pairs[i][1]);
	}
	store.type = pem;
	store.certs = certs;
	store.keys = keys;
	store.n_certs = store.n_keys = n;
	m.keystore = &store;
	rc = tls_context_create(&c, &m, &e);
	if (rc < 0)
		fail_msg("%s", e.text);
	rc = tls_context_check_dates(c, &e);
	str_copy(text, sizeof(text), e.text);
	tls_context_free(&c);
	for (i = 0; i < n; i++) {
		mem_free(certs[i]);
		mem_free(keys[i]);
	}
	return rc;
}

/* A server would refuse it; but which of several it is shown is the server's choice. */
static void a_certificate_of_ours_that_is_over_is_told(void **state)
{
	static const char *const pairs[][2] = { { "expired.pem", "expired.key" },
						{ "client.pem", "client.key" } };

	UNUSED(state);
	assert_int_equal(check_dates(pairs, 1), ERR_CONFIG);
	assert_non_null(strstr(text, "keystore: the certificate expired"));
	assert_non_null(strstr(text, "from 2020-01-01 00:00 UTC to 2020-02-01 00:00 UTC"));
	assert_int_equal(check_dates(pairs, 2), 0);
	assert_int_equal(check_dates(pairs + 1, 1), 0);
}

static int make_context(char *const *protocols, size_t n_protocols, char *const *ciphers,
			size_t n_ciphers)
{
	struct tls_context *c = NULL;
	struct err e = { 0 };
	Ipc__Tls m;
	int rc;

	ipc__tls__init(&m);
	m.protocols = (char **)(uintptr_t)protocols;
	m.n_protocols = n_protocols;
	m.ciphers = (char **)(uintptr_t)ciphers;
	m.n_ciphers = n_ciphers;
	rc = tls_context_create(&c, &m, &e);
	str_copy(text, sizeof(text), e.text);
	tls_context_free(&c);
	return rc;
}

static char old_java[] = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
static char old_openssl[] = "ECDHE-RSA-AES256-GCM-SHA384";
static char new_one[] = "TLS_AES_128_GCM_SHA256";
static char anonymous[] = "ADH-AES128-SHA";
static char nonsense[] = "ALL";
static char tls12[] = "TLSv1.2";
static char tls13[] = "TLSv1.3";
static char tls11[] = "TLSv1.1";

static void ciphers_have_their_names_in_java_and_openssl(void **state)
{
	char *const good[] = { old_java, old_openssl, new_one };
	char *const bad[] = { old_java, nonsense };
	char *const nobody[] = { anonymous };

	UNUSED(state);
	assert_int_equal(make_context(NULL, 0, good, 3), 0);
	assert_int_equal(make_context(NULL, 0, good, 1), 0);
	assert_true(make_context(NULL, 0, bad, 2) < 0);
	assert_non_null(strstr(text, "tlsCiphers: `ALL` is not known"));
	assert_true(make_context(NULL, 0, nobody, 1) < 0);
}

static void versions_that_are_unsafe_are_refused(void **state)
{
	char *const good[] = { tls12, tls13 };
	char *const bad[] = { tls11, tls12 };
	char *const new_cipher[] = { new_one };

	UNUSED(state);
	assert_int_equal(make_context(good, 2, NULL, 0), 0);
	assert_true(make_context(bad, 2, NULL, 0) < 0);
	assert_non_null(strstr(text, "tlsProtocols: `TLSv1.1` is not supported"));
	assert_true(make_context(good, 1, new_cipher, 1) < 0);
	assert_non_null(strstr(text, "none of them is of a version"));
}

/* --- a server in the same process --- */

struct pair {
	SSL_CTX *ctx;
	SSL *server;
	struct tls_context *context;
	struct tls_session *client;
	struct buf wire; /* for the server */
};

/* What the server has for the client. */
static void to_client(struct pair *p)
{
	char *data = NULL;
	long n = BIO_get_mem_data(SSL_get_wbio(p->server), &data);

	if (n > 0)
		tls_session_feed(p->client, data, (size_t)n);
	(void)BIO_reset(SSL_get_wbio(p->server));
}

static void to_server(struct pair *p)
{
	if (p->wire.len > 0)
		assert_true(BIO_write(SSL_get_rbio(p->server), p->wire.data, (int)p->wire.len) > 0);
	buf_clear(&p->wire);
}

static void pair_open(struct pair *p)
{
	struct err e = { 0 };
	Ipc__Tls m;
	int rc = 0;

	*p = (struct pair){ 0 };
	ipc__tls__init(&m);
	m.trust_all = true;
	assert_int_equal(tls_context_create(&p->context, &m, &e), 0);
	assert_int_equal(tls_session_open(&p->client, p->context, "localhost", &e), 0);
	p->ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(
		SSL_CTX_use_certificate_file(p->ctx, PKI_DIR "/server.pem", SSL_FILETYPE_PEM), 1);
	assert_int_equal(
		SSL_CTX_use_PrivateKey_file(p->ctx, PKI_DIR "/server.key", SSL_FILETYPE_PEM), 1);
	p->server = SSL_new(p->ctx);
	SSL_set_bio(p->server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_accept_state(p->server);
	while (rc == 0 || !SSL_is_init_finished(p->server)) {
		if (rc == 0)
			rc = tls_session_shake(p->client, &p->wire, &e);
		assert_true(rc >= 0);
		to_server(p);
		(void)SSL_do_handshake(p->server);
		to_client(p);
	}
}

static void pair_close(struct pair *p)
{
	SSL_free(p->server);
	SSL_CTX_free(p->ctx);
	tls_session_free(&p->client);
	tls_context_free(&p->context);
	buf_reset(&p->wire);
}

/* Each is answered, and whoever asks need not read the answers. */
static void keys_are_not_renewed_without_end(void **state)
{
	struct err e = { 0 };
	struct pair p;
	unsigned n;
	int rc = 0;

	UNUSED(state);
	pair_open(&p);
	for (n = 0; rc == 0 && n < 100000; n++) {
		char data[64];

		assert_int_equal(SSL_key_update(p.server, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(p.server), 1);
		to_client(&p);
		rc = tls_session_read(p.client, data, sizeof(data), &p.wire, &e);
	}
	assert_true(n > 100); /* some are fine */
	assert_int_equal(rc, ERR_REMOTE);
	assert_non_null(strstr(e.text, "new keys"));
	assert_true(p.wire.len < (size_t)2 * TLS_ANSWER_BYTES);
	pair_close(&p);
}

static int make_pki(void **state)
{
	UNUSED(state);
	return system(SOURCE_ROOT "/test/pki " PKI_DIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_every_kind_are_read),
		cmocka_unit_test(trust_of_every_kind_is_read),
		cmocka_unit_test(what_is_wrong_with_a_keystore_is_said),
		cmocka_unit_test(what_is_wrong_with_a_truststore_is_said),
		cmocka_unit_test(pairs_of_pem_files_are_read),
		cmocka_unit_test(damaged_stores_do_no_harm),
		cmocka_unit_test(a_certificate_of_ours_that_is_over_is_told),
		cmocka_unit_test(ciphers_have_their_names_in_java_and_openssl),
		cmocka_unit_test(versions_that_are_unsafe_are_refused),
		cmocka_unit_test(keys_are_not_renewed_without_end),
	};

	return cmocka_run_group_tests(tests, make_pki, NULL);
}
