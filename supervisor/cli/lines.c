/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/lines.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "supervisor/cli/print.h"

static void field(struct buf *out, const char *s, char end)
{
	text_clean(out, s[0] == '\0' ? "-" : s);
	buf_addc(out, end);
}

void lines_entity(struct buf *out, const Gateway__Event *ev)
{
	field(out, ev->kind, '\t');
	field(out, ev->id, '\t');
	field(out, ev->ref, '\t');
	buf_printf(out, "%" PRIu64 "\t%s\n", ev->revision, ev->deployed ? "deployed" : "withdrawn");
}

void lines_change(struct buf *out, const Gateway__Event *ev)
{
	buf_printf(out, "%" PRIu64 "\t%s\t", ev->revision, ev->deployed ? "DEPLOY" : "UNDEPLOY");
	field(out, ev->kind, '\t');
	field(out, ev->id, '\t');
	field(out, ev->ref, '\n');
}

void lines_json(struct buf *out, const Gateway__Event *ev, const char *lineage)
{
	char *position = mem_printf("%s:%" PRIu64, lineage, ev->revision);

	buf_addc(out, '{');
	json_add_u64(out, "revision", ev->revision);
	if (lineage[0] != '\0')
		json_add_shown(out, "position", position);
	json_add_shown(out, "action", ev->deployed ? "DEPLOY" : "UNDEPLOY");
	json_add_shown(out, "type", ev->kind);
	json_add_shown(out, "id", ev->id);
	if (ev->ref[0] == '\0')
		json_add_null(out, "ref");
	else
		json_add_shown(out, "ref", ev->ref);
	json_add_bool(out, "deployed", ev->deployed);
	json_add_i64(out, "updated_ms", ev->updated_ms);
	json_add_shown(out, "version", ev->version);
	json_add_u64(out, "payload_bytes", ev->payload_bytes);
	buf_addc(out, '}');
	buf_addc(out, '\n');
	mem_free(position);
}

bool lines_kind(char *out, size_t n, const char *typed)
{
	size_t i;

	if (strlen(typed) >= n)
		return false;
	for (i = 0; typed[i] != '\0'; i++) {
		out[i] = typed[i] == '-' ? '_' : typed[i];
		if (out[i] >= 'a' && out[i] <= 'z')
			out[i] = (char)(out[i] - 'a' + 'A');
	}
	out[i] = '\0';
	return true;
}
