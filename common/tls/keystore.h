/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keystore - the keys and certificates of a file: PEM, PKCS12 or JKS.
 *
 * What a file is, its first bytes say; the configured type must not contradict them,
 * but a PKCS12 file may be called jks and the other way round, as Java allows. In a
 * PKCS12 file a certificate is trusted when Java's attribute says so, or when the file
 * has neither keys nor such attributes: then it was made by openssl as a list of them.
 *
 * Owns:    keys and certificates; keystore_free() overwrites and releases them. What was
 *          read of a file is overwritten too.
 * Blocks:  on the files, and on the work a password costs: not on a loop's thread.
 * Errors:  ERR_CONFIG with what is wrong and what would be right (no value of a secret);
 *          -errno for a file that cannot be read; ERR_LIMIT.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "ipc.pb-c.h"

#define KEYSTORE_FILE_BYTES (8U << 20)
#define KEYSTORE_ENTRIES    4096U   /* of one file */
#define KEYSTORE_CHAIN	    32U	    /* certificates of one key */
#define KEYSTORE_ITERATIONS 1000000 /* of a password's derivation; keytool writes 10,000 */
#define KEYSTORE_SCRYPT	    2097152 /* N * r * p of one by scrypt; openssl writes 131,072 */

struct keystore; /* opaque */

enum keystore_use { KEYSTORE_KEYS, KEYSTORE_TRUST };

/* Of KEYS: there is at least one key, with its certificate. Of TRUST: at least one certificate. */
int keystore_load(struct keystore **out, const Ipc__TlsStore *from, enum keystore_use use,
		  struct err *e) MUST_USE;
void keystore_free(struct keystore **k);

/* For PEM consumers: the first key with its chain, or the trusted certificates. Secret bytes. */
int keystore_pem(const struct keystore *k, enum keystore_use use, struct buf *out,
		 struct err *e) MUST_USE;

/* The walkers of one format, for tests with bytes of their own. */
int keystore_parse(struct keystore **out, const Ipc__TlsStore *from, enum keystore_use use,
		   const uint8_t *bytes, size_t n, struct err *e) MUST_USE;
