/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/base/digest.h"
#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/plain.h"

/* Version 8 of RFC 9562: 122 bits of our own choice, here a digest of the name. */
static char *uuid_of(const char *installation)
{
	const char *const texts[] = { "zonesync NODE_METADATA", installation };
	unsigned char h[16];

	hash_texts(h, texts, ARRAY_LEN(texts));
	h[6] = (unsigned char)((h[6] & 0x0f) | 0x80);
	h[8] = (unsigned char)((h[8] & 0x3f) | 0x80);
	return mem_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			  h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11],
			  h[12], h[13], h[14], h[15]);
}

void map_node_metadata(const char *installation, char *const *organizations, size_t n,
		       struct map_out *out)
{
	struct event ev = { .kind = KIND_NODE_METADATA, .action = ACTION_DEPLOY };
	struct buf *b = &ev.payload;
	size_t i;

	ev.id = uuid_of(installation);
	buf_addc(b, '{');
	if (n > 0) {
		json_open(b, "organizationIds", '[');
		for (i = 0; i < n; i++) {
			json_write_comma(b);
			json_write_string(b, organizations[i], strlen(organizations[i]));
		}
		buf_addc(b, ']');
	}
	json_add_str(b, "installationId", installation);
	buf_addc(b, '}');
	/* It is made of more than one row: a version of its content, as a file's. */
	ev.version = mem_printf("x%016llx", (unsigned long long)hash_u64(b->data, b->len, 1));
	*out = (struct map_out){ .outcome = MAP_EVENT, .ev = ev };
}
