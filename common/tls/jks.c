/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/tls/tls_internal.h"

/*
 * Big-endian: magic, version, count, entries, and the SHA-1 of the password, a phrase and
 * all that stands before.
 */
#define TAG_KEY	     1
#define TAG_CERT     2
#define SALT_BYTES   SHA_DIGEST_LENGTH
#define PHRASE	     "Mighty Aphrodite"
#define JAVA_KEY_OID "1.3.6.1.4.1.42.2.17.1.1"

/* What is left to read. Reads beyond the end set `bad` and give zeros. */
struct jks_cursor {
	const uint8_t *p;
	size_t n;
	bool bad;
};

static const uint8_t *take(struct jks_cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || n > c->n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	c->n -= n;
	return p;
}

static uint32_t take_int(struct jks_cursor *c, size_t bytes)
{
	const uint8_t *p = take(c, bytes);
	uint32_t v = 0;
	size_t i;

	for (i = 0; p != NULL && i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

/* Modified UTF-8 is UTF-8 but for NUL and what lies beyond the BMP, which no alias needs. */
static char *take_text(struct jks_cursor *c)
{
	size_t n = take_int(c, 2);
	const uint8_t *p = take(c, n);
	char *s = mem_dup(p == NULL ? (const uint8_t *)"" : p, p == NULL ? 0 : n);

	if (p != NULL && (memchr(s, '\0', n) != NULL || !str_is_utf8(s, n)))
		s[0] = '\0';
	return s;
}

/* The password as Java hashes it: UTF-16, big-endian. For free_utf16(). */
static struct buf utf16(const char *s)
{
	unsigned char *p = NULL;
	int n = 0;

	CHECK(OPENSSL_utf82uni(s, (int)strlen(s), &p, &n) != NULL);
	return (struct buf){ (char *)p, (size_t)n - 2, (size_t)n }; /* but for its NUL */
}

static void free_utf16(struct buf *b)
{
	OPENSSL_clear_free(b->data, b->cap);
}

static struct buf lend(const void *p, size_t n)
{
	return (struct buf){ .data = (char *)(uintptr_t)p, .len = n };
}

/* SHA-1 over three pieces, one after the other. */
static void sha1(uint8_t out[SHA_DIGEST_LENGTH], const struct buf piece[3])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned i;

	CHECK(md != NULL && EVP_DigestInit_ex(md, EVP_sha1(), NULL) == 1);
	for (i = 0; i < 3; i++)
		CHECK(EVP_DigestUpdate(md, piece[i].data, piece[i].len) == 1);
	CHECK(EVP_DigestFinal_ex(md, out, NULL) == 1);
	EVP_MD_CTX_free(md);
}

/* Salt, the key xored with a stream of SHA-1 sums, and a sum over the plain key. */
static int decrypt(const char *password, const uint8_t *p, size_t n, struct buf *out)
{
	uint8_t sum[SHA_DIGEST_LENGTH];
	struct buf pw;
	size_t len;
	size_t i;
	int rc = 0;

	if (n < SALT_BYTES + SHA_DIGEST_LENGTH)
		return ERR_PARSE;
	len = n - SALT_BYTES - SHA_DIGEST_LENGTH;
	pw = utf16(password);
	memcpy(sum, p, SALT_BYTES);
	buf_reserve(out, len + 1);
	for (i = 0; i < len; i++) {
		if (i % SHA_DIGEST_LENGTH == 0)
			sha1(sum, (struct buf[3]){ pw, lend(sum, sizeof(sum)) });
		buf_addc(out, (char)(p[SALT_BYTES + i] ^ sum[i % SHA_DIGEST_LENGTH]));
	}
	sha1(sum, (struct buf[3]){ pw, *out });
	if (CRYPTO_memcmp(sum, p + n - SHA_DIGEST_LENGTH, SHA_DIGEST_LENGTH) != 0)
		rc = ERR_CONFIG;
	explicit_bzero(sum, sizeof(sum));
	free_utf16(&pw);
	return rc;
}

static EVP_PKEY *key_of(const struct buf *plain)
{
	const unsigned char *p = (const unsigned char *)plain->data;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)plain->len);
	EVP_PKEY *key = info == NULL ? NULL : EVP_PKCS82PKEY(info);

	PKCS8_PRIV_KEY_INFO_free(info);
	return key;
}

static int read_key(const char *password, const uint8_t *p, size_t n, EVP_PKEY **out, struct err *e)
{
	const unsigned char *at = p;
	X509_SIG *sig = d2i_X509_SIG(NULL, &at, (long)n);
	const X509_ALGOR *algorithm = NULL;
	const ASN1_OCTET_STRING *data = NULL;
	const ASN1_OBJECT *oid = NULL;
	struct buf plain = { 0 };
	char name[64] = "";
	int rc;

	if (sig == NULL)
		return tls_openssl_err(e, "a key cannot be read");
	X509_SIG_get0(sig, &algorithm, &data);
	X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
	(void)OBJ_obj2txt(name, sizeof(name), oid, 1);
	if (strcmp(name, JAVA_KEY_OID) != 0)
		rc = err_set(e, ERR_CONFIG, "a key is encrypted in a way that JKS does not have");
	else
		rc = decrypt(password, ASN1_STRING_get0_data(data),
			     (size_t)ASN1_STRING_length(data), &plain);
	X509_SIG_free(sig);
	if (rc == ERR_CONFIG && plain.data != NULL)
		(void)err_set(e, ERR_CONFIG, "a key cannot be decrypted: wrong keyPassword");
	else if (rc == ERR_PARSE)
		(void)err_set(e, ERR_CONFIG, "a key is cut short");
	if (rc == 0) {
		*out = key_of(&plain);
		if (*out == NULL)
			rc = tls_openssl_err(e, "a key cannot be read");
	}
	tls_wipe(&plain);
	return rc < 0 ? ERR_CONFIG : 0;
}

static int take_cert(struct jks_cursor *c, uint32_t version, X509 **out, struct err *e)
{
	char *type = version == 2 ? take_text(c) : mem_strdup("X.509");
	size_t n = take_int(c, 4);
	const uint8_t *p = take(c, n);
	bool known = strcmp(type, "X.509") == 0;

	mem_free(type);
	if (p == NULL)
		return err_set(e, ERR_CONFIG, "is cut short");
	if (!known)
		return err_set(e, ERR_CONFIG, "holds a certificate that is not X.509");
	*out = d2i_X509(NULL, &p, (long)n);
	return *out == NULL ? tls_openssl_err(e, "a certificate cannot be read") : 0;
}

/* A key that is not asked for may have any password: it keeps its place by its name only. */
static int take_key_entry(struct keystore *k, struct jks_cursor *c, const Ipc__TlsStore *from,
			  uint32_t version, bool keys, struct err *e)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	char *alias = take_text(c);
	const uint8_t *p;
	EVP_PKEY *key = NULL;
	uint32_t count;
	size_t n;
	uint32_t i;
	int rc;

	CHECK(chain != NULL);
	(void)take(c, 8); /* when it was made */
	n = take_int(c, 4);
	p = take(c, n);
	count = take_int(c, 4);
	rc = c->bad ? err_set(e, ERR_CONFIG, "is cut short") : 0;
	if (rc == 0 && count > KEYSTORE_CHAIN)
		rc = err_set(e, ERR_LIMIT, "a key has more than %u certificates", KEYSTORE_CHAIN);
	for (i = 0; rc == 0 && i < count; i++) {
		X509 *x = NULL;

		rc = take_cert(c, version, &x, e);
		if (rc == 0)
			CHECK(sk_X509_push(chain, x) > 0);
	}
	if (rc == 0 && keys && keystore_wants(from, alias))
		rc = read_key(tls_key_password(from), p, n, &key, e);
	if (rc == 0)
		return keystore_add(k, KEYSTORE_KEYS, &(struct store_item){ alias, key, chain }, e);
	sk_X509_pop_free(chain, X509_free);
	mem_free(alias);
	return rc;
}

static int take_cert_entry(struct keystore *k, struct jks_cursor *c, uint32_t version,
			   struct err *e)
{
	char *alias = take_text(c);
	X509 *x = NULL;
	int rc;

	(void)take(c, 8);
	rc = take_cert(c, version, &x, e);
	if (rc == 0)
		return keystore_add_cert(k, alias, x, e);
	mem_free(alias);
	return rc;
}

static int check_sum(const char *password, const uint8_t *p, size_t n, struct err *e)
{
	struct buf pw = utf16(password);
	uint8_t sum[SHA_DIGEST_LENGTH];

	sha1(sum, (struct buf[3]){ pw, lend(PHRASE, sizeof(PHRASE) - 1),
				   lend(p, n - SHA_DIGEST_LENGTH) });
	free_utf16(&pw);
	if (CRYPTO_memcmp(sum, p + n - SHA_DIGEST_LENGTH, SHA_DIGEST_LENGTH) == 0)
		return 0;
	return err_set(e, ERR_CONFIG, "wrong password, or the file is damaged");
}

int jks_read(struct keystore *k, const Ipc__TlsStore *from, enum keystore_use use, const uint8_t *p,
	     size_t n, struct err *e)
{
	struct jks_cursor c = { .p = p + 4, .n = n - 4 };
	uint32_t version = take_int(&c, 4);
	uint32_t count = take_int(&c, 4);
	uint32_t i;
	int rc = 0;

	if (c.n < SHA_DIGEST_LENGTH || (version != 1 && version != 2))
		return err_set(e, ERR_CONFIG, "is no JKS store of version 1 or 2");
	/* Java too reads certificates without the password, and nothing else. */
	if (use == KEYSTORE_KEYS || from->password[0] != '\0')
		rc = check_sum(from->password, p, n, e);
	c.n -= SHA_DIGEST_LENGTH;
	for (i = 0; rc == 0 && i < count; i++) {
		uint32_t tag = take_int(&c, 4);

		if (tag == TAG_KEY)
			rc = take_key_entry(k, &c, from, version, use == KEYSTORE_KEYS, e);
		else if (tag == TAG_CERT)
			rc = take_cert_entry(k, &c, version, e);
		else
			rc = err_set(e, ERR_CONFIG, "is cut short, or holds something unknown");
	}
	return rc;
}
