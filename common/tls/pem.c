/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/tls/tls_internal.h"

/* OpenSSL would ask on the terminal without one. */
static int give_password(char *out, int size, int writing, void *arg)
{
	const char *password = arg;
	size_t n = strlen(password);

	UNUSED(writing);
	if (n == 0 || n > (size_t)size)
		return -1;
	/* Its length is told. NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
	memcpy(out, password, n);
	return (int)n;
}

static int read_certs(BIO *bio, STACK_OF(X509) * out, unsigned max, struct err *e)
{
	char none[] = "";

	for (;;) {
		X509 *x = PEM_read_bio_X509_AUX(bio, NULL, give_password, none);

		if (x == NULL)
			break;
		if (sk_X509_num(out) >= (int)max) {
			X509_free(x);
			return err_set(e, ERR_LIMIT, "holds more than %u certificates", max);
		}
		CHECK(sk_X509_push(out, x) > 0);
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return tls_openssl_err(e, "a certificate cannot be read");
	ERR_clear_error();
	return 0;
}

static BIO *open_bytes(const void *p, size_t n)
{
	BIO *bio;

	CHECK(n <= INT_MAX);
	bio = BIO_new_mem_buf(p, (int)n);
	CHECK(bio != NULL);
	return bio;
}

int pem_read_certs(struct keystore *k, const uint8_t *p, size_t n, struct err *e)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	BIO *bio = open_bytes(p, n);
	X509 *x;
	int rc;

	CHECK(certs != NULL);
	rc = read_certs(bio, certs, KEYSTORE_ENTRIES, e);
	while (rc == 0 && (x = sk_X509_shift(certs)) != NULL)
		rc = keystore_add_cert(k, mem_strdup(""), x, e);
	sk_X509_pop_free(certs, X509_free);
	BIO_free(bio);
	return rc;
}

/* Of each encrypted key: OpenSSL takes the first that it can decrypt. */
static int check_costs(const struct buf *b, struct err *e)
{
	BIO *bio = open_bytes(b->data, b->len);
	char none[] = "";
	X509_SIG *sig;
	int rc = 0;

	while (rc == 0 && (sig = PEM_read_bio_PKCS8(bio, NULL, give_password, none)) != NULL) {
		const X509_ALGOR *algorithm = NULL;

		X509_SIG_get0(sig, &algorithm, NULL);
		rc = tls_check_cost(algorithm, e);
		X509_SIG_free(sig);
	}
	ERR_clear_error();
	BIO_free(bio);
	return rc;
}

static int read_key(const Ipc__TlsStore *from, const struct buf *b, EVP_PKEY **out, struct err *e)
{
	char *password = (char *)(uintptr_t)tls_key_password(from);
	EVP_PKEY *key;
	BIO *bio;

	if (check_costs(b, e) < 0)
		return ERR_LIMIT;
	bio = open_bytes(b->data, b->len);
	key = PEM_read_bio_PrivateKey(bio, NULL, give_password, password);
	BIO_free(bio);
	if (key != NULL) {
		*out = key;
		return 0;
	}
	if (memmem(b->data, b->len, "ENCRYPTED", 9) != NULL) {
		ERR_clear_error();
		return err_set(e, ERR_CONFIG,
			       password[0] == '\0'
				       ? "the key is encrypted; write its keyPassword"
				       : "the key cannot be decrypted: wrong keyPassword");
	}
	if (memmem(b->data, b->len, "PRIVATE KEY-----", 16) == NULL) {
		ERR_clear_error();
		return err_set(e, ERR_CONFIG, "holds no private key");
	}
	return tls_openssl_err(e, "the private key cannot be read");
}

int pem_read_key(struct keystore *k, const Ipc__TlsStore *from, const struct buf *cert,
		 const struct buf *key, struct err *e)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	BIO *bio = open_bytes(cert->data, cert->len);
	EVP_PKEY *pkey = NULL;
	int rc;

	CHECK(chain != NULL);
	rc = read_certs(bio, chain, KEYSTORE_CHAIN, e);
	BIO_free(bio);
	if (rc == 0 && sk_X509_num(chain) == 0)
		rc = err_set(e, ERR_CONFIG, "holds no certificate");
	if (rc == 0)
		rc = read_key(from, key, &pkey, e);
	if (rc < 0) {
		sk_X509_pop_free(chain, X509_free);
		return rc;
	}
	return keystore_add(k, KEYSTORE_KEYS, &(struct store_item){ mem_strdup(""), pkey, chain },
			    e);
}
