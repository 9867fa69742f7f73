/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json/write.h"
#include "workers/fetcher/map/entity.h"
#include "workers/fetcher/map/members.h"

static const struct member members[] = {
	{ "id", MEMBER_TEXT },	 { "key", MEMBER_TEXT },      { "environmentId", MEMBER_TEXT },
	{ "name", MEMBER_TEXT }, { "deployedAt", MEMBER_MS },
};

int dictionary_write(const struct map_ctx *ctx, const struct event_row *row, struct map_out *out,
		     struct err *e)
{
	struct json_span properties = json_get(row->bean, "properties");
	struct buf *b = &out->ev.payload;
	int rc;

	UNUSED(ctx);
	buf_addc(b, '{');
	rc = member_copy(b, row->bean, members, ARRAY_LEN(members), e);
	if (rc == 0 && !json_is_null(properties)) {
		json_write_name(b, "properties");
		rc = member_write_strings(b, properties, "properties", e);
	}
	buf_addc(b, '}');
	return rc;
}
