/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_internal - what the files of this folder share: a keystore in memory (entries.c), which
 * jks.c, pem.c and pkcs12.c fill, one format each; keystore.c chooses among them.
 *
 * Owns:    as keystore.h says. keystore_add_*() take what they are given.
 * Blocks:  never. Errors: as keystore.h says.
 */
#pragma once

/* OpenSSL has a type, long out of use, of the name of one of our codes (base/err.h). */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

#include "common/tls/keystore.h"

struct store_item {		/* all of it owned */
	char *alias;		/* "": none */
	EVP_PKEY *key;		/* NULL: not asked for, and not decrypted; or a certificate only */
	STACK_OF(X509) * chain; /* the key's certificate first; or the one that is trusted */
};

struct keystore {
	struct store_list {
		struct store_item *v; /* owned */
		size_t n, cap;
	} of[2]; /* KEYSTORE_KEYS, KEYSTORE_TRUST */
};

struct tls_context {
	SSL_CTX *ctx;	       /* owned */
	struct keystore *keys; /* owned; NULL: no certificate of ours */
	char *name;	       /* owned; that the certificate must have; "": the host's */
	bool trust_all;
	bool any_name;
};

/* Both take what they are given, also when they fail (ERR_LIMIT). */
int keystore_add(struct keystore *k, enum keystore_use use, const struct store_item *item,
		 struct err *e) MUST_USE;
int keystore_add_cert(struct keystore *k, char *alias, X509 *cert, struct err *e) MUST_USE;

/* Keeps the entry named `alias` (Java ignores case) and lets the others go. */
int keystore_choose(struct keystore *k, enum keystore_use use, const char *alias,
		    struct err *e) MUST_USE;

/* Overwrites and releases. */
void tls_wipe(struct buf *b);

/* ERR_CONFIG with `doing` and OpenSSL's own reason; empties its queue. */
int tls_openssl_err(struct err *e, const char *doing);

int jks_read(struct keystore *k, const Ipc__TlsStore *from, enum keystore_use use, const uint8_t *p,
	     size_t n, struct err *e) MUST_USE;
int pkcs12_read(struct keystore *k, const Ipc__TlsStore *from, enum keystore_use use,
		const uint8_t *p, size_t n, struct err *e) MUST_USE;
/* Certificates of `cert`, key of `key`; the two may be the same bytes. */
int pem_read_key(struct keystore *k, const Ipc__TlsStore *from, const struct buf *cert,
		 const struct buf *key, struct err *e) MUST_USE;
int pem_read_certs(struct keystore *k, const uint8_t *p, size_t n, struct err *e) MUST_USE;

/* ERR_LIMIT: what it takes to decrypt would keep a thread busy for too long. */
int tls_check_cost(const X509_ALGOR *a, struct err *e) MUST_USE;

/* The password of the keys: that of the file unless there is one of its own. */
const char *tls_key_password(const Ipc__TlsStore *from);

/* No alias is configured, or this one (Java ignores case). */
bool keystore_wants(const Ipc__TlsStore *from, const char *alias);
