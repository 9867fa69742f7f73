/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/readable.h"
#include "workers/fetcher/map/map_ctx.h"
#include "workers/fetcher/map/definition.h"
#include "workers/fetcher/map/entity.h"
#include "workers/fetcher/map/members.h"
#include "workers/fetcher/map/membership.h"

static const struct member head[] = {
	{ "id", MEMBER_TEXT },
	{ "name", MEMBER_TEXT },
	{ "description", MEMBER_TEXT },
	{ "version", MEMBER_TEXT },
};
static const struct member place[] = { { "environmentId", MEMBER_TEXT } };
static const struct member tail[] = { { "analytics", MEMBER_ANY }, { "tags", MEMBER_ANY } };

static int write_members(struct json_span list, struct buf *b, struct err *e)
{
	struct map_ids ids = { 0 };
	int rc = member_take_ids(list, "apiIds", "apiIds: an id", &ids, e);

	map_ids_reset(&ids);
	if (rc < 0 || json_is_null(list))
		return rc;
	json_write_name(b, "apiIds");
	json_compact(list, b);
	return 0;
}

static int write_deployed_at(struct json_span at, struct map_out *out, struct err *e)
{
	struct buf *b = &out->ev.payload;
	int64_t ms;
	int rc = member_take_ms(at, "createdAt", 0, &ms, e);

	if (rc < 0 || json_is_null(at))
		return rc;
	json_write_name(b, "deployedAt");
	out->deployed_at_off = b->len;
	buf_addi(b, ms);
	out->deployed_at_len = b->len - out->deployed_at_off;
	return 0;
}

int product_write(const struct map_ctx *ctx, const struct event_row *row, struct map_out *out,
		  struct err *e)
{
	struct json_span plans = json_get(row->bean, "plans");
	struct buf *b = &out->ev.payload;
	size_t n;
	int rc;

	buf_addc(b, '{');
	rc = member_copy(b, row->bean, head, ARRAY_LEN(head), e);
	if (rc == 0)
		rc = write_members(json_get(row->bean, "apiIds"), b, e);
	if (rc == 0)
		rc = member_copy(b, row->bean, place, ARRAY_LEN(place), e);
	if (rc < 0)
		return rc;
	map_write_names(ctx, json_get(row->bean, place[0].name), b);
	rc = write_deployed_at(row->created_at, out, e);
	if (rc == 0)
		rc = definition_check_plans(plans, e);
	if (rc == 0 && !json_is_null(plans)) {
		json_write_name(b, "plans");
		rc = definition_write_plans(NULL, plans, b, &n, e);
	}
	if (rc == 0)
		rc = member_copy(b, row->bean, tail, ARRAY_LEN(tail), e);
	buf_addc(b, '}');
	return rc;
}

int map_members_read(struct json_span payload, struct map_ids *out, struct err *e)
{
	struct map_ids ids = { 0 };
	struct json_span v = { 0 };
	struct json_iter plans;
	int rc = member_check_object(payload, "payload", &v, e);

	if (rc == 0)
		rc = member_take_ids(json_get(v, "apiIds"), "apiIds", "apiIds: an id", &ids, e);
	json_iter_init(&plans, rc < 0 ? v : json_get(v, "plans"));
	if (rc < 0 || !json_next(&plans))
		map_ids_reset(&ids);
	if (rc == 0)
		*out = ids;
	return rc;
}
