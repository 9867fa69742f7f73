/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "common/tls/keystore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A file of any kind, as a list of certificates and as one with keys; test/pki made the seeds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char password[] = "storepass";
	unsigned i;

	/* Without a password JKS and PKCS12 are walked though their sums are wrong. */
	for (i = 0; i < 4; i++) {
		enum keystore_use use = i % 2 == 0 ? KEYSTORE_TRUST : KEYSTORE_KEYS;
		struct keystore *k = NULL;
		struct buf pem = { 0 };
		Ipc__TlsStore m;

		ipc__tls_store__init(&m);
		if (i >= 2)
			m.password = password;
		if (keystore_parse(&k, &m, use, data, n, NULL) < 0)
			continue;
		CHECK(keystore_pem(k, use, &pem, NULL) == 0 && pem.len > 0);
		buf_reset(&pem);
		keystore_free(&k);
	}
	return 0;
}
