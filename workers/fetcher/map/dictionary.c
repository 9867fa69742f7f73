/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json/write.h"
#include "workers/fetcher/map/entity.h"
#include "workers/fetcher/map/members.h"

static const struct member members[] = {
	{ "id", MEMBER_TEXT },	 { "key", MEMBER_TEXT },      { "environmentId", MEMBER_TEXT },
	{ "name", MEMBER_TEXT }, { "deployedAt", MEMBER_MS },
};

static int write_payload(struct json_span bean, struct buf *b, struct err *e)
{
	struct json_span properties = json_get(bean, "properties");
	int rc;

	buf_addc(b, '{');
	rc = member_copy(b, bean, members, ARRAY_LEN(members), e);
	if (rc == 0 && !json_is_null(properties)) {
		json_write_name(b, "properties");
		rc = member_write_strings(b, properties, "properties", e);
	}
	buf_addc(b, '}');
	return rc;
}

int dictionary_publish(const struct map_ctx *ctx, const struct event_row *row, struct map_out *out,
		       struct err *e)
{
	struct json_span bean = { 0 };
	struct buf text = { 0 };
	int rc;

	UNUSED(ctx);
	out->outcome = MAP_EVENT;
	out->ev.kind = KIND_DICTIONARY;
	out->ev.action = ACTION_DEPLOY;
	rc = member_open_text(row->payload, "payload", &text, &bean, e);
	if (rc == 0)
		rc = member_take_id(json_get(bean, "id"), "dictionary id", &out->ev.id, e);
	if (rc == 0)
		rc = write_payload(bean, &out->ev.payload, e);
	buf_reset(&text);
	return rc;
}

/* The property is there even when the payload is not. */
int dictionary_withdraw(const struct map_ctx *ctx, const struct event_row *row, struct map_out *out,
			struct err *e)
{
	struct json_span id = json_get(row->properties, "dictionary_id");
	struct json_span bean = { 0 };
	struct buf text = { 0 };
	int rc = 0;

	UNUSED(ctx);
	out->outcome = MAP_EVENT;
	out->ev.kind = KIND_DICTIONARY;
	out->ev.action = ACTION_UNDEPLOY;
	out->reason = "withdrawn";
	if (json_is_null(id)) {
		rc = member_open_text(row->payload, "payload", &text, &bean, e);
		id = json_get(bean, "id");
	}
	if (rc == 0)
		rc = member_take_id(id, "dictionary id", &out->ev.id, e);
	buf_reset(&text);
	return rc;
}
