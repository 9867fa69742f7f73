/* SPDX-License-Identifier: Apache-2.0 */
#include "common/tls/message.h"

#include <string.h>

#include "common/base/mem.h"

Ipc__Tls *tls_message_copy(const Ipc__Tls *m)
{
	Ipc__Tls *copy;
	uint8_t *bytes;
	size_t n;

	if (m == NULL)
		return NULL;
	n = ipc__tls__get_packed_size(m);
	bytes = mem_alloc(n + 1);
	(void)ipc__tls__pack(m, bytes);
	copy = ipc__tls__unpack(NULL, n, bytes);
	CHECK(copy != NULL);
	explicit_bzero(bytes, n);
	mem_free(bytes);
	return copy;
}

static void wipe(Ipc__TlsStore *s)
{
	if (s == NULL)
		return;
	explicit_bzero(s->password, strlen(s->password));
	explicit_bzero(s->key_password, strlen(s->key_password));
}

void tls_message_free(Ipc__Tls **mp)
{
	Ipc__Tls *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	wipe(m->keystore);
	wipe(m->truststore);
	ipc__tls__free_unpacked(m, NULL);
}
