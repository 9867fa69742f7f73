/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone/keys.h"

#include <stdio.h>
#include <string.h>

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

static void ours(zone_key out, const char *zone, const char *part)
{
	(void)snprintf(out, sizeof(zone_key), "zonesync:{%s}:%s", zone, part);
}

int zone_keys_init(struct zone_keys *k, const char *zone, struct err *e)
{
	int rc = check_id(zone, e);

	if (rc < 0)
		return rc;
	str_copy(k->zone, sizeof(k->zone), zone);
	(void)snprintf(k->event_prefix, sizeof(zone_key), "distributed_event:%s:", zone);
	(void)snprintf(k->state, sizeof(zone_key), "distributed_sync_state:%s", zone);
	ours(k->lease, zone, "lease");
	ours(k->meta, zone, "meta");
	ours(k->epochs, zone, "epochs");
	ours(k->log, zone, "log");
	ours(k->old_log, zone, "log:old");
	ours(k->cursor, zone, "cursor");
	ours(k->suspect, zone, "suspect");
	ours(k->wake, zone, "wake");
	ours(k->nodes, zone, "nodes");
	ours(k->turn, zone, "turn");
	ours(k->probe, zone, "probe");
	ours(k->ours, zone, "");
	return 0;
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
