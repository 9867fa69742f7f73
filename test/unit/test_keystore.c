/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores that no tool makes: limits, damage and what a stranger may write, built byte by byte.
 * Those of openssl and keytool are in test_tls.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
/* OpenSSL has a type of the name of one of our codes. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#undef ERR_STATE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/tls/keystore.h"

#define PASSWORD "storepass"

static EVP_PKEY *pkey;
static X509 *cert; /* of pkey, signed by itself */
static EVP_PKEY *stranger;
static struct buf cert_der;
static struct buf key_der; /* PKCS8, plain */
static char text[ERR_TEXT_BYTES];

static int make_cert(void **state)
{
	PKCS8_PRIV_KEY_INFO *info;
	unsigned char *der = NULL;
	int n;

	UNUSED(state);
	pkey = EVP_EC_gen("P-256");
	stranger = EVP_EC_gen("P-256");
	cert = X509_new();
	assert_true(pkey != NULL && stranger != NULL && cert != NULL);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), 0));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
	assert_int_equal(X509_set_pubkey(cert, pkey), 1);
	assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
						    (const unsigned char *)"test", -1, -1, 0),
			 1);
	assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(cert)), 1);
	assert_true(X509_sign(cert, pkey, EVP_sha256()) > 0);
	n = i2d_X509(cert, &der);
	assert_true(n > 0);
	buf_add(&cert_der, der, (size_t)n);
	OPENSSL_free(der);
	der = NULL;
	info = EVP_PKEY2PKCS8(pkey);
	n = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	assert_true(n > 0);
	buf_add(&key_der, der, (size_t)n);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(info);
	return 0;
}

static int free_cert(void **state)
{
	UNUSED(state);
	X509_free(cert);
	EVP_PKEY_free(pkey);
	EVP_PKEY_free(stranger);
	buf_reset(&cert_der);
	buf_reset(&key_der);
	return 0;
}

/* What is read of the bytes: 0, or the code, with its text in `text`. */
static int parse(const struct buf *b, const char *type, const char *password, const char *alias,
		 enum keystore_use use)
{
	struct keystore *k = NULL;
	struct err e = { 0 };
	Ipc__TlsStore m;
	int rc;

	ipc__tls_store__init(&m);
	m.type = (char *)(uintptr_t)type;
	m.password = (char *)(uintptr_t)password;
	m.alias = (char *)(uintptr_t)alias;
	rc = keystore_parse(&k, &m, use, (const uint8_t *)b->data, b->len, &e);
	str_copy(text, sizeof(text), e.text);
	assert_int_equal(e.code, rc);
	assert_true((k == NULL) == (rc < 0));
	assert_int_equal(ERR_peek_error(), 0); /* the next caller finds no error of ours */
	keystore_free(&k);
	return rc;
}

static void expect(int rc, int code, const char *words)
{
	if (rc != code || strstr(text, words) == NULL)
		fail_msg("%d `%s`, not %d `%s`", rc, text, code, words);
}

/* --- JKS --- */

static void add_int(struct buf *b, uint64_t v, unsigned bytes)
{
	while (bytes-- > 0)
		buf_addc(b, (char)(v >> 8 * bytes));
}

static void add_name(struct buf *b, const char *s)
{
	add_int(b, (uint32_t)strlen(s), 2);
	buf_adds(b, s);
}

static void jks_begin(struct buf *b, uint32_t version, uint32_t entries)
{
	add_int(b, 0xfeedfeed, 4);
	add_int(b, version, 4);
	add_int(b, entries, 4);
}

static void jks_cert(struct buf *b, uint32_t version, const char *type)
{
	if (version == 2)
		add_name(b, type);
	add_int(b, (uint32_t)cert_der.len, 4);
	buf_add(b, cert_der.data, cert_der.len);
}

static void jks_trusted(struct buf *b, uint32_t version, const char *alias)
{
	add_int(b, 2, 4);
	add_name(b, alias);
	add_int(b, 0, 8);
	jks_cert(b, version, "X.509");
}

/* A key entry up to its chain. */
static void jks_key(struct buf *b, const char *alias, const struct buf *key, uint32_t chain)
{
	add_int(b, 1, 4);
	add_name(b, alias);
	add_int(b, 0, 8);
	add_int(b, (uint32_t)key->len, 4);
	buf_add(b, key->data, key->len);
	add_int(b, chain, 4);
}

/* The sum, over a password that is given as Java hashes it. */
static void jks_end(struct buf *b, const char *utf16, size_t n)
{
	struct buf all = { 0 };
	uint8_t sum[SHA_DIGEST_LENGTH];

	buf_add(&all, utf16, n);
	buf_adds(&all, "Mighty Aphrodite");
	buf_add(&all, b->data, b->len);
	(void)SHA1((const unsigned char *)all.data, all.len, sum);
	buf_add(b, sum, sizeof(sum));
	buf_reset(&all);
}

#define WIDE "\0s\0t\0o\0r\0e\0p\0a\0s\0s"

static void jks_sum(struct buf *b)
{
	jks_end(b, WIDE, sizeof(WIDE) - 1);
}

/* As EncryptedPrivateKeyInfo, by an algorithm of this name. */
static void shroud(struct buf *out, const char *oid, const void *p, size_t n)
{
	X509_SIG *sig = X509_SIG_new();
	X509_ALGOR *algorithm = NULL;
	ASN1_OCTET_STRING *data = NULL;
	unsigned char *der = NULL;
	int len;

	X509_SIG_getm(sig, &algorithm, &data);
	assert_int_equal(X509_ALGOR_set0(algorithm, OBJ_txt2obj(oid, 1), V_ASN1_NULL, NULL), 1);
	assert_int_equal(ASN1_OCTET_STRING_set(data, p, (int)n), 1);
	len = i2d_X509_SIG(sig, &der);
	assert_true(len > 0);
	buf_add(out, der, (size_t)len);
	OPENSSL_free(der);
	X509_SIG_free(sig);
}

#define JAVA_OID "1.3.6.1.4.1.42.2.17.1.1"

/* As sun.security.provider.KeyProtector writes it. */
static void protect(struct buf *out, const char *oid, const struct buf *plain)
{
	static const char salt[21] = "twenty bytes of salt";
	struct buf all = { 0 };
	struct buf in = { 0 };
	uint8_t sum[SHA_DIGEST_LENGTH];
	size_t i;

	buf_add(&all, salt, 20);
	memcpy(sum, salt, 20);
	for (i = 0; i < plain->len; i++) {
		if (i % SHA_DIGEST_LENGTH == 0) {
			buf_reset(&in);
			buf_add(&in, WIDE, sizeof(WIDE) - 1);
			buf_add(&in, sum, sizeof(sum));
			(void)SHA1((const unsigned char *)in.data, in.len, sum);
		}
		buf_addc(&all, (char)(plain->data[i] ^ sum[i % SHA_DIGEST_LENGTH]));
	}
	buf_reset(&in);
	buf_add(&in, WIDE, sizeof(WIDE) - 1);
	buf_add(&in, plain->data, plain->len);
	(void)SHA1((const unsigned char *)in.data, in.len, sum);
	buf_add(&all, sum, sizeof(sum));
	shroud(out, oid, all.data, all.len);
	buf_reset(&in);
	buf_reset(&all);
}

/* A store of one key with its certificate. */
static void jks_of(struct buf *b, const struct buf *key, uint32_t version)
{
	jks_begin(b, version, 1);
	jks_key(b, "mine", key, 1);
	jks_cert(b, version, "X.509");
	jks_sum(b);
}

static void a_jks_of_either_version_gives_its_key(void **state)
{
	struct buf key = { 0 };
	uint32_t version;

	UNUSED(state);
	protect(&key, JAVA_OID, &key_der);
	for (version = 0; version <= 3; version++) {
		struct buf b = { 0 };
		int rc;

		jks_of(&b, &key, version);
		rc = parse(&b, "jks", PASSWORD, "MINE", KEYSTORE_KEYS);
		if (version == 1 || version == 2)
			assert_int_equal(rc, 0);
		else
			expect(rc, ERR_CONFIG, "no JKS store of version 1 or 2");
		buf_reset(&b);
	}
	buf_reset(&key);
}

static void a_jks_is_an_error_wherever_it_is_cut(void **state)
{
	struct buf key = { 0 };
	struct buf b = { 0 };
	size_t n;

	UNUSED(state);
	protect(&key, JAVA_OID, &key_der);
	jks_begin(&b, 2, 2);
	jks_key(&b, "mine", &key, 1);
	jks_cert(&b, 2, "X.509");
	jks_trusted(&b, 2, "theirs");
	for (n = 4; n < b.len; n++) { /* with a right sum, so that all of it is looked at */
		struct buf cut = { 0 };

		buf_add(&cut, b.data, n);
		jks_sum(&cut);
		if (parse(&cut, "jks", PASSWORD, "", KEYSTORE_KEYS) != ERR_CONFIG)
			fail_msg("cut after %zu bytes: `%s`", n, text);
		buf_reset(&cut);
	}
	jks_sum(&b);
	assert_int_equal(parse(&b, "jks", PASSWORD, "", KEYSTORE_KEYS), 0);
	buf_reset(&b);
	buf_reset(&key);
}

static void a_key_of_a_jks_that_cannot_be_read_says_why(void **state)
{
	static const char salt[40] = { 0 };
	struct {
		struct buf key;
		const char *words;
	} rows[] = {
		{ { 0 }, "encrypted in a way that JKS does not have" },
		{ { 0 }, "a key is cut short" },
		{ { 0 }, "wrong keyPassword" },
		{ { 0 }, "a key cannot be read" },
		{ { 0 }, "a key cannot be read" },
	};
	const struct buf no_key = { .data = (char *)(uintptr_t) "no key", .len = 6 };
	size_t i;

	UNUSED(state);
	protect(&rows[0].key, "1.2.840.113549.1.12.1.3", &key_der);
	shroud(&rows[1].key, JAVA_OID, salt, 39);
	shroud(&rows[2].key, JAVA_OID, salt, 40);
	protect(&rows[3].key, JAVA_OID, &no_key);
	buf_adds(&rows[4].key, "not even ASN.1");
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = { 0 };

		jks_of(&b, &rows[i].key, 2);
		expect(parse(&b, "jks", PASSWORD, "", KEYSTORE_KEYS), ERR_CONFIG, rows[i].words);
		/* Who wants certificates only does not look at keys. */
		expect(parse(&b, "jks", PASSWORD, "", KEYSTORE_TRUST), ERR_CONFIG,
		       "no trusted certificate, only keys");
		buf_reset(&b);
		buf_reset(&rows[i].key);
	}
}

/* Java hashes UTF-16, and a character beyond the BMP is two units of it. */
static void a_jks_password_may_have_any_character(void **state)
{
	static const struct {
		const char *utf8;
		const char *utf16;
		size_t n;
	} rows[] = {
		{ "a", "\0a", 2 },
		{ "\xc3\xbc", "\0\xfc", 2 },
		{ "\xe2\x82\xac", "\x20\xac", 2 },
		{ "\xf0\x9f\x94\x91", "\xd8\x3d\xdd\x11", 4 },
		{ "\xf4\x8f\xbf\xbf", "\xdb\xff\xdf\xff", 4 },
		{ "\xff", "\0\xff", 2 }, /* no UTF-8: as Latin-1 */
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = { 0 };

		jks_begin(&b, 2, 1);
		jks_trusted(&b, 2, "ca");
		jks_end(&b, rows[i].utf16, rows[i].n);
		if (parse(&b, "jks", rows[i].utf8, "", KEYSTORE_TRUST) != 0)
			fail_msg("row %zu: %s", i, text);
		expect(parse(&b, "jks", "b", "", KEYSTORE_TRUST), ERR_CONFIG, "wrong password");
		buf_reset(&b);
	}
}

static void a_jks_with_odd_entries_is_refused(void **state)
{
	struct buf odd_tag = { 0 };
	struct buf odd_cert = { 0 };
	struct buf no_cert = { 0 };

	UNUSED(state);
	jks_begin(&odd_tag, 2, 1);
	add_int(&odd_tag, 3, 4); /* a secret key's, of JCEKS */
	jks_sum(&odd_tag);
	expect(parse(&odd_tag, "jks", PASSWORD, "", KEYSTORE_TRUST), ERR_CONFIG,
	       "something unknown");
	jks_begin(&odd_cert, 2, 1);
	add_int(&odd_cert, 2, 4);
	add_name(&odd_cert, "pgp");
	add_int(&odd_cert, 0, 8);
	jks_cert(&odd_cert, 2, "PGP");
	jks_sum(&odd_cert);
	expect(parse(&odd_cert, "jks", PASSWORD, "", KEYSTORE_TRUST), ERR_CONFIG, "not X.509");
	jks_begin(&no_cert, 2, 1);
	add_int(&no_cert, 2, 4);
	add_name(&no_cert, "none");
	add_int(&no_cert, 0, 8);
	add_name(&no_cert, "X.509");
	add_int(&no_cert, 3, 4);
	buf_adds(&no_cert, "abc");
	jks_sum(&no_cert);
	expect(parse(&no_cert, "jks", PASSWORD, "", KEYSTORE_TRUST), ERR_CONFIG,
	       "a certificate cannot be read");
	buf_reset(&odd_tag);
	buf_reset(&odd_cert);
	buf_reset(&no_cert);
}

/* An alias that is no text has no name, and one cannot ask for it; the rest stays. */
static void an_alias_that_is_no_text_harms_no_other(void **state)
{
	static const char *const bad[] = { "\xc0\x80", "a\xffz", "\xed\xa0\x80" };
	struct buf b = { 0 };
	size_t i;

	UNUSED(state);
	jks_begin(&b, 2, ARRAY_LEN(bad) + 1);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		jks_trusted(&b, 2, bad[i]);
	jks_trusted(&b, 2, "good");
	jks_sum(&b);
	assert_int_equal(parse(&b, "jks", PASSWORD, "good", KEYSTORE_TRUST), 0);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		expect(parse(&b, "jks", PASSWORD, bad[i], KEYSTORE_TRUST), ERR_CONFIG, "it has: ");
	buf_reset(&b);
}

static void a_jks_key_without_a_certificate_is_of_no_use(void **state)
{
	struct buf key = { 0 };
	struct buf b = { 0 };

	UNUSED(state);
	protect(&key, JAVA_OID, &key_der);
	jks_begin(&b, 2, 1);
	jks_key(&b, "lonely", &key, 0);
	jks_sum(&b);
	expect(parse(&b, "jks", PASSWORD, "", KEYSTORE_KEYS), ERR_CONFIG,
	       "the key lonely has no certificate");
	buf_reset(&b);
	buf_reset(&key);
}

/* --- the limits of any store --- */

/* A JKS of so many certificates, or of keys without any. */
static int jks_of_many(uint32_t certs, uint32_t keys)
{
	const struct buf none = { 0 };
	struct buf b = { 0 };
	uint32_t i;
	int rc;

	jks_begin(&b, 2, certs + keys);
	for (i = 0; i < certs; i++)
		jks_trusted(&b, 2, "");
	for (i = 0; i < keys; i++)
		jks_key(&b, "", &none, 0);
	jks_sum(&b);
	rc = parse(&b, "jks", PASSWORD, "", KEYSTORE_TRUST);
	buf_reset(&b);
	return rc;
}

static void a_store_has_a_limit_of_entries(void **state)
{
	UNUSED(state);
	assert_int_equal(jks_of_many(KEYSTORE_ENTRIES, 0), 0);
	expect(jks_of_many(KEYSTORE_ENTRIES + 1, 0), ERR_LIMIT, "more than 4096 certificates");
	assert_int_equal(jks_of_many(1, KEYSTORE_ENTRIES), 0);
	expect(jks_of_many(1, KEYSTORE_ENTRIES + 1), ERR_LIMIT, "more than 4096 keys");
}

static void a_jks_key_has_a_limit_of_certificates(void **state)
{
	struct buf key = { 0 };
	uint32_t n;

	UNUSED(state);
	protect(&key, JAVA_OID, &key_der);
	for (n = KEYSTORE_CHAIN; n <= KEYSTORE_CHAIN + 1; n++) {
		struct buf b = { 0 };
		uint32_t i;

		jks_begin(&b, 2, 1);
		jks_key(&b, "mine", &key, n);
		for (i = 0; i < n; i++)
			jks_cert(&b, 2, "X.509");
		jks_sum(&b);
		if (n == KEYSTORE_CHAIN)
			assert_int_equal(parse(&b, "jks", PASSWORD, "", KEYSTORE_KEYS), 0);
		else
			expect(parse(&b, "jks", PASSWORD, "", KEYSTORE_KEYS), ERR_LIMIT,
			       "more than 32 certificates");
		buf_reset(&b);
	}
	buf_reset(&key);
}

/* --- PEM --- */

static void pem_cert(struct buf *b)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	long n;

	assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
	n = BIO_get_mem_data(bio, &p);
	buf_add(b, p, (size_t)n);
	BIO_free(bio);
}

static void pem_key(struct buf *b, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	long n;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &p);
	buf_add(b, p, (size_t)n);
	BIO_free(bio);
}

static void a_pem_file_has_a_limit_of_certificates(void **state)
{
	struct buf b = { 0 };
	unsigned i;

	UNUSED(state);
	pem_key(&b, pkey);
	for (i = 0; i < KEYSTORE_CHAIN; i++)
		pem_cert(&b);
	assert_int_equal(parse(&b, "pem", "", "", KEYSTORE_KEYS), 0);
	pem_cert(&b);
	expect(parse(&b, "pem", "", "", KEYSTORE_KEYS), ERR_LIMIT, "more than 32 certificates");
	for (i = KEYSTORE_CHAIN + 1; i < KEYSTORE_ENTRIES; i++)
		pem_cert(&b);
	assert_int_equal(parse(&b, "pem", "", "", KEYSTORE_TRUST), 0);
	pem_cert(&b);
	expect(parse(&b, "pem", "", "", KEYSTORE_TRUST), ERR_LIMIT, "more than 4096 certificates");
	buf_reset(&b);
}

static void what_is_wrong_with_a_pem_file_is_said(void **state)
{
	struct buf key_only = { 0 };
	struct buf alien = { 0 };
	struct buf bad_cert = { 0 };
	struct buf bad_key = { 0 };

	UNUSED(state);
	pem_key(&key_only, pkey);
	expect(parse(&key_only, "pem", "", "", KEYSTORE_KEYS), ERR_CONFIG, "holds no certificate");
	pem_cert(&alien);
	pem_key(&alien, stranger);
	expect(parse(&alien, "pem", "", "", KEYSTORE_KEYS), ERR_CONFIG, "do not belong together");
	buf_adds(&bad_cert, "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n");
	expect(parse(&bad_cert, "pem", "", "", KEYSTORE_TRUST), ERR_CONFIG,
	       "a certificate cannot be read");
	pem_cert(&bad_key);
	buf_adds(&bad_key, "-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n");
	expect(parse(&bad_key, "pem", "", "", KEYSTORE_KEYS), ERR_CONFIG,
	       "the private key cannot be read");
	buf_reset(&key_only);
	buf_reset(&alien);
	buf_reset(&bad_cert);
	buf_reset(&bad_key);
}

/* --- PKCS12 --- */

/* Takes what is inside: a value of this tag around it. */
static void der_wrap(struct buf *b, unsigned tag)
{
	struct buf out = { 0 };

	buf_addc(&out, (char)tag);
	if (b->len < 0x80) {
		add_int(&out, (uint32_t)b->len, 1);
	} else {
		buf_addc(&out, (char)0x84);
		add_int(&out, (uint32_t)b->len, 4);
	}
	buf_add(&out, b->data, b->len);
	buf_reset(b);
	*b = out;
}

/* SEQUENCE { name, [0] { what there is } } */
static void der_name(struct buf *b, const char *oid)
{
	unsigned char *der = NULL;
	struct buf out = { 0 };
	ASN1_OBJECT *o = OBJ_txt2obj(oid, 1);
	int n = i2d_ASN1_OBJECT(o, &der);

	assert_true(n > 0);
	buf_add(&out, der, (size_t)n);
	der_wrap(b, 0xa0);
	buf_add(&out, b->data, b->len);
	der_wrap(&out, 0x30);
	buf_reset(b);
	*b = out;
	OPENSSL_free(der);
	ASN1_OBJECT_free(o);
}

#define BAG(n)	"1.2.840.113549.1.12.10.1." #n
#define DATA	"1.2.840.113549.1.7.1"
#define X509_OF "1.2.840.113549.1.9.22.1"

static void cert_bag(struct buf *b)
{
	buf_add(b, cert_der.data, cert_der.len);
	der_wrap(b, 0x04);
	der_name(b, X509_OF);
	der_name(b, BAG(3));
}

/* SafeContents become a safe: a ContentInfo of data. */
static void safe_of(struct buf *bags)
{
	der_wrap(bags, 0x30);
	der_wrap(bags, 0x04);
	der_name(bags, DATA);
}

/* Safes become a file, without a sum. */
static void file_of(struct buf *safes)
{
	struct buf out = { 0 };

	safe_of(safes);
	buf_add(&out, "\x02\x01\x03", 3);
	buf_add(&out, safes->data, safes->len);
	der_wrap(&out, 0x30);
	buf_reset(safes);
	*safes = out;
}

static void a_pkcs12_store_may_nest_but_not_without_end(void **state)
{
	unsigned depth;

	UNUSED(state);
	for (depth = 0; depth <= 5; depth++) {
		struct buf b = { 0 };
		unsigned i;

		cert_bag(&b);
		for (i = 0; i < depth; i++) {
			der_wrap(&b, 0x30);
			der_name(&b, BAG(6));
		}
		safe_of(&b);
		file_of(&b);
		if (depth <= 4 && parse(&b, "pkcs12", "", "", KEYSTORE_TRUST) != 0)
			fail_msg("%u deep: %s", depth, text);
		if (depth > 4)
			expect(parse(&b, "pkcs12", "", "", KEYSTORE_TRUST), ERR_LIMIT,
			       "nested too deeply");
		buf_reset(&b);
	}
}

static void a_pkcs12_store_has_a_limit_of_bags(void **state)
{
	unsigned n;

	UNUSED(state);
	for (n = KEYSTORE_ENTRIES; n <= KEYSTORE_ENTRIES + 1; n++) {
		struct buf b = { 0 };
		struct buf one = { 0 };
		unsigned i;

		cert_bag(&b);
		buf_add(&one, "\x05\x00", 2);
		der_name(&one, "1.2.3");
		der_name(&one, BAG(5)); /* secrets, which are no concern of ours, but count */
		for (i = 1; i < n; i++)
			buf_add(&b, one.data, one.len);
		safe_of(&b);
		file_of(&b);
		if (n == KEYSTORE_ENTRIES)
			assert_int_equal(parse(&b, "pkcs12", "", "", KEYSTORE_TRUST), 0);
		else
			expect(parse(&b, "pkcs12", "", "", KEYSTORE_TRUST), ERR_LIMIT,
			       "more than 4096 entries");
		buf_reset(&one);
		buf_reset(&b);
	}
}

static void a_pkcs12_store_has_a_limit_of_safes(void **state)
{
	unsigned n;

	UNUSED(state);
	for (n = KEYSTORE_CHAIN; n <= KEYSTORE_CHAIN + 1; n++) {
		struct buf b = { 0 };
		struct buf one = { 0 };
		unsigned i;

		cert_bag(&one);
		safe_of(&one);
		for (i = 0; i < n; i++)
			buf_add(&b, one.data, one.len);
		file_of(&b);
		if (n == KEYSTORE_CHAIN)
			assert_int_equal(parse(&b, "pkcs12", "", "", KEYSTORE_TRUST), 0);
		else
			expect(parse(&b, "pkcs12", "", "", KEYSTORE_TRUST), ERR_LIMIT,
			       "more than 32 safes");
		buf_reset(&one);
		buf_reset(&b);
	}
}

static void a_pkcs12_store_is_an_error_wherever_it_is_cut(void **state)
{
	struct buf b = { 0 };
	size_t n;

	UNUSED(state);
	cert_bag(&b);
	safe_of(&b);
	file_of(&b);
	assert_int_equal(parse(&b, "pkcs12", "", "", KEYSTORE_TRUST), 0);
	for (n = 1; n < b.len; n++) {
		const struct buf cut = { .data = b.data, .len = n };

		if (parse(&cut, "pkcs12", "", "", KEYSTORE_TRUST) != ERR_CONFIG)
			fail_msg("cut after %zu bytes: `%s`", n, text);
	}
	buf_reset(&b);
}

static void what_is_wrong_inside_a_pkcs12_store_is_said(void **state)
{
	struct buf bad_safe = { 0 };
	struct buf bad_cert = { 0 };
	struct buf bad_safes = { 0 };

	UNUSED(state);
	buf_adds(&bad_safe, "no bags");
	der_wrap(&bad_safe, 0x04);
	der_name(&bad_safe, DATA);
	file_of(&bad_safe);
	expect(parse(&bad_safe, "pkcs12", "", "", KEYSTORE_TRUST), ERR_CONFIG, "is damaged");
	buf_adds(&bad_cert, "no cert");
	der_wrap(&bad_cert, 0x04);
	der_name(&bad_cert, X509_OF);
	der_name(&bad_cert, BAG(3));
	safe_of(&bad_cert);
	file_of(&bad_cert);
	expect(parse(&bad_cert, "pkcs12", "", "", KEYSTORE_TRUST), ERR_CONFIG,
	       "a certificate cannot be read");
	buf_adds(&bad_safes, "no safes");
	file_of(&bad_safes);
	expect(parse(&bad_safes, "pkcs12", "", "", KEYSTORE_TRUST), ERR_CONFIG, "is damaged");
	buf_reset(&bad_safe);
	buf_reset(&bad_cert);
	buf_reset(&bad_safes);
}

/* Keys and certificates as others pack them: with a sum, the key plain, and no localKeyID. */
static void p12_of(struct buf *out, EVP_PKEY *key, X509 *x)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	STACK_OF(PKCS7) *safes = NULL;
	unsigned char *der = NULL;
	PKCS12 *p12;
	int n;

	if (key != NULL)
		assert_non_null(PKCS12_add_key(&bags, key, 0, 0, -1, NULL));
	if (x != NULL)
		assert_non_null(PKCS12_add_cert(&bags, x));
	assert_int_equal(PKCS12_add_safe(&safes, bags, -1, 0, NULL), 1);
	p12 = PKCS12_add_safes(safes, 0);
	assert_int_equal(PKCS12_set_mac(p12, PASSWORD, -1, NULL, 0, 1000, EVP_sha256()), 1);
	n = i2d_PKCS12(p12, &der);
	assert_true(n > 0);
	buf_add(out, der, (size_t)n);
	OPENSSL_free(der);
	PKCS12_free(p12);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	sk_PKCS7_pop_free(safes, PKCS7_free);
}

static void a_pkcs12_key_finds_its_certificate_by_what_it_is(void **state)
{
	struct buf fits = { 0 };
	struct buf alien = { 0 };
	struct buf lonely = { 0 };

	UNUSED(state);
	p12_of(&fits, pkey, cert);
	assert_int_equal(parse(&fits, "pkcs12", PASSWORD, "", KEYSTORE_KEYS), 0);
	p12_of(&alien, stranger, cert);
	expect(parse(&alien, "pkcs12", PASSWORD, "", KEYSTORE_KEYS), ERR_CONFIG,
	       "has no certificate");
	p12_of(&lonely, pkey, NULL);
	expect(parse(&lonely, "pkcs12", PASSWORD, "", KEYSTORE_KEYS), ERR_CONFIG,
	       "has no certificate");
	buf_reset(&fits);
	buf_reset(&alien);
	buf_reset(&lonely);
}

/* --- what a file is --- */

static void the_first_bytes_say_what_a_file_is(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *type;
		const char *words;
	} rows[] = {
		{ "", 0, "", "neither PEM nor PKCS12 nor JKS" },
		{ "\xfe\xed\xfe", 3, "", "neither PEM" },
		{ "\0\0\0\1 and more", 13, "", "looks like a BKS store" },
		{ "\0\0\0\2 and more", 13, "pkcs12", "looks like a BKS store" },
		{ "\xce\xce\xce\xce", 4, "jks", "is a JCEKS store" },
		{ "\xfe\xed\xfe\xed", 4, "", "no JKS store of version" },
		{ "\xfe\xed\xfe\xed", 4, "pem", "write type: jks" },
		{ "\x30", 1, "pkcs12", "no PKCS12 store" },
		{ "\x30", 1, "pem", "write type: pkcs12" },
		{ "-----BEGIN X", 12, "pkcs12", "write type: pem" },
		{ "-----BEGIN ", 11, "pem", "no trusted certificate" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		const struct buf b = { .data = (char *)(uintptr_t)rows[i].bytes, .len = rows[i].n };

		expect(parse(&b, rows[i].type, "", "", KEYSTORE_TRUST), ERR_CONFIG, rows[i].words);
	}
}

static void a_file_has_a_limit_of_bytes(void **state)
{
	char path[] = "/tmp/zs-keystore-XXXXXX";
	int fd = mkstemp(path);
	struct keystore *k = NULL;
	struct err e = { 0 };
	Ipc__TlsStore m;

	UNUSED(state);
	assert_true(fd >= 0);
	ipc__tls_store__init(&m);
	m.type = (char *)(uintptr_t) "pem";
	m.path = path;
	assert_int_equal(ftruncate(fd, KEYSTORE_FILE_BYTES), 0);
	assert_int_equal(keystore_load(&k, &m, KEYSTORE_TRUST, &e), ERR_CONFIG); /* zeros */
	assert_int_equal(ftruncate(fd, KEYSTORE_FILE_BYTES + 1), 0);
	assert_int_equal(keystore_load(&k, &m, KEYSTORE_TRUST, &e), ERR_LIMIT);
	assert_non_null(strstr(e.text, "more than 8388608 bytes"));
	(void)close(fd);
	(void)unlink(path);
}

static void each_certificate_needs_a_key_beside_it(void **state)
{
	char *file[2] = { (char *)(uintptr_t) "/a.pem", (char *)(uintptr_t) "/b.pem" };
	struct keystore *k = NULL;
	struct err e = { 0 };
	Ipc__TlsStore m;

	UNUSED(state);
	ipc__tls_store__init(&m);
	m.type = (char *)(uintptr_t) "PEM";
	m.certs = file;
	m.n_certs = 2;
	m.keys = file;
	m.n_keys = 1;
	assert_int_equal(keystore_load(&k, &m, KEYSTORE_KEYS, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "2 certificates and 1 keys"));
	assert_null(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_jks_of_either_version_gives_its_key),
		cmocka_unit_test(a_jks_is_an_error_wherever_it_is_cut),
		cmocka_unit_test(a_key_of_a_jks_that_cannot_be_read_says_why),
		cmocka_unit_test(a_jks_password_may_have_any_character),
		cmocka_unit_test(a_jks_with_odd_entries_is_refused),
		cmocka_unit_test(an_alias_that_is_no_text_harms_no_other),
		cmocka_unit_test(a_jks_key_without_a_certificate_is_of_no_use),
		cmocka_unit_test(a_store_has_a_limit_of_entries),
		cmocka_unit_test(a_jks_key_has_a_limit_of_certificates),
		cmocka_unit_test(a_pem_file_has_a_limit_of_certificates),
		cmocka_unit_test(what_is_wrong_with_a_pem_file_is_said),
		cmocka_unit_test(a_pkcs12_store_may_nest_but_not_without_end),
		cmocka_unit_test(a_pkcs12_store_has_a_limit_of_bags),
		cmocka_unit_test(a_pkcs12_store_has_a_limit_of_safes),
		cmocka_unit_test(a_pkcs12_store_is_an_error_wherever_it_is_cut),
		cmocka_unit_test(what_is_wrong_inside_a_pkcs12_store_is_said),
		cmocka_unit_test(a_pkcs12_key_finds_its_certificate_by_what_it_is),
		cmocka_unit_test(the_first_bytes_say_what_a_file_is),
		cmocka_unit_test(a_file_has_a_limit_of_bytes),
		cmocka_unit_test(each_certificate_needs_a_key_beside_it),
	};

	return cmocka_run_group_tests(tests, make_cert, free_cert);
}
