/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone/keys.h"

#include <string.h>

#include "common/base/mem.h"

static int check_id(const char *zone, struct err *e)
{
	size_t n = strlen(zone);
	size_t i;

	if (n == 0 || n > ZONE_ID_MAX_BYTES)
		return err_set(e, ERR_CONFIG, "a zone id has 1 to %d bytes", ZONE_ID_MAX_BYTES);
	for (i = 0; i < n; i++)
		if (zone[i] == '}' || (unsigned char)zone[i] < 0x20 || zone[i] == 0x7f)
			return err_set(e, ERR_CONFIG,
				       "a zone id holds neither '}' nor control characters");
	return 0;
}

int zone_keys_init(struct zone_keys *k, const char *zone, struct err *e)
{
	int rc = check_id(zone, e);

	if (rc < 0)
		return rc;
	k->zone = mem_strdup(zone);
	k->event_prefix = mem_printf("distributed_event:%s:", zone);
	k->state = mem_printf("distributed_sync_state:%s", zone);
	k->lease = mem_printf("zonesync:{%s}:lease", zone);
	k->meta = mem_printf("zonesync:{%s}:meta", zone);
	k->epochs = mem_printf("zonesync:{%s}:epochs", zone);
	k->log = mem_printf("zonesync:{%s}:log", zone);
	k->old_log = mem_printf("zonesync:{%s}:log:old", zone);
	k->cursor = mem_printf("zonesync:{%s}:cursor", zone);
	k->suspect = mem_printf("zonesync:{%s}:suspect", zone);
	k->wake = mem_printf("zonesync:{%s}:wake", zone);
	k->nodes = mem_printf("zonesync:{%s}:nodes", zone);
	k->turn = mem_printf("zonesync:{%s}:turn", zone);
	k->probe = mem_printf("zonesync:{%s}:probe", zone);
	k->ours = mem_printf("zonesync:{%s}:", zone);
	return 0;
}

void zone_keys_reset(struct zone_keys *k)
{
	mem_free(k->zone);
	mem_free(k->event_prefix);
	mem_free(k->state);
	mem_free(k->lease);
	mem_free(k->meta);
	mem_free(k->epochs);
	mem_free(k->log);
	mem_free(k->old_log);
	mem_free(k->cursor);
	mem_free(k->suspect);
	mem_free(k->wake);
	mem_free(k->nodes);
	mem_free(k->turn);
	mem_free(k->probe);
	mem_free(k->ours);
	*k = (struct zone_keys){ 0 };
}

void zone_keys_pattern(struct buf *out, const char *prefix)
{
	for (; *prefix != '\0'; prefix++) {
		if (strchr("*?[]\\", *prefix) != NULL)
			buf_addc(out, '\\');
		buf_addc(out, *prefix);
	}
	buf_addc(out, '*');
}

unsigned zone_format_major(const char *text)
{
	uint64_t major = 0;

	if (!str_to_u64(text, strcspn(text, "."), &major) || major > UINT32_MAX)
		return 0;
	return (unsigned)major;
}
