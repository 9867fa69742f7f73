/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/secret.h"

#include <limits.h>
#include <string.h>

#include <openssl/evp.h>

#define AES_BLOCK_BYTES 16

static const EVP_CIPHER *cipher_of(size_t key_len)
{
	switch (key_len) {
	case 16:
		return EVP_aes_128_ecb();
	case 24:
		return EVP_aes_192_ecb();
	case 32:
		return EVP_aes_256_ecb();
	default:
		return NULL;
	}
}

static int sextet_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* As Java's basic decoder: no white space; the padding may be left out, but not by half. */
static bool decode_base64(const struct buf *in, struct buf *out)
{
	size_t n = in->len;
	unsigned acc = 0;
	unsigned bits = 0;
	size_t i;

	if (n > 0 && n % 4 == 0 && in->data[n - 1] == '=')
		n -= in->data[n - 2] == '=' ? 2 : 1;
	if (n % 4 == 1)
		return false;
	for (i = 0; i < n; i++) {
		int v = sextet_of(in->data[i]);

		if (v < 0)
			return false;
		acc = (acc << 6 | (unsigned)v) & 0xffff;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		buf_addc(out, (char)(unsigned char)(acc >> bits & 0xff));
	}
	return true;
}

static bool decrypt(const EVP_CIPHER *cipher, const void *key, const struct buf *in,
		    struct buf *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0;
	int tail = 0;
	bool ok;

	CHECK(c != NULL);
	buf_reserve(out, in->len + AES_BLOCK_BYTES);
	ok = EVP_DecryptInit_ex(c, cipher, NULL, key, NULL) == 1 &&
	     EVP_DecryptUpdate(c, (unsigned char *)out->data, &n, (const unsigned char *)in->data,
			       (int)in->len) == 1 &&
	     EVP_DecryptFinal_ex(c, (unsigned char *)out->data + n, &tail) == 1;
	if (ok)
		out->len = (size_t)n + (size_t)tail;
	EVP_CIPHER_CTX_free(c);
	return ok;
}

bool secret_open(const void *secret, size_t secret_len, const struct buf *base64, struct buf *plain)
{
	const EVP_CIPHER *cipher = cipher_of(secret_len);
	struct buf in = { 0 };
	struct buf out = { 0 };
	bool ok;

	/* Java's cipher makes nothing of nothing. */
	if (cipher != NULL && base64->len == 0)
		return true;
	ok = cipher != NULL && decode_base64(base64, &in) && in.len > 0 &&
	     in.len <= INT_MAX - AES_BLOCK_BYTES && in.len % AES_BLOCK_BYTES == 0 &&
	     decrypt(cipher, secret, &in, &out) && str_is_utf8(out.data, out.len);
	if (ok)
		buf_add(plain, out.data, out.len);
	if (out.cap > 0)
		explicit_bzero(out.data, out.cap);
	buf_reset(&in);
	buf_reset(&out);
	return ok;
}
