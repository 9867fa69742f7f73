/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/context.h"
#include "workers/fetcher/map/entity.h"
#include "workers/fetcher/map/members.h"

static const struct member before_flows[] = {
	{ "id", MEMBER_TEXT },
	{ "hrids", MEMBER_ANY },
	{ "name", MEMBER_TEXT },
	{ "description", MEMBER_TEXT },
	{ "domainRestrictions", MEMBER_ANY },
	{ "flowMode", MEMBER_TEXT },
};
static const struct member after_flows[] = { { "updatedAt", MEMBER_MS } };

/* A flow for certain consumers runs where one of their tags does. */
static bool keeps_flow(const struct map_ctx *ctx, struct json_span flow)
{
	struct tag_vote vote = { 0 };
	struct json_iter it;
	bool any = false;

	json_iter_init(&it, json_get(flow, "consumers"));
	while (json_next(&it)) {
		any = true;
		if (json_equals_nocase(json_get(it.value, "consumerType"), "TAG"))
			tag_vote_add(&ctx->tags, &vote, json_get(it.value, "consumerId"));
	}
	return !any || tag_vote_decide(&ctx->tags, &vote);
}

static char *upper_text(struct json_span v)
{
	struct buf b = { 0 };
	size_t i;

	json_unescape(v, &b);
	for (i = 0; i < b.len; i++)
		if (b.data[i] >= 'a' && b.data[i] <= 'z')
			b.data[i] = (char)(b.data[i] - 32);
	return buf_take(&b);
}

/* Methods are a set: in upper case, sorted, each once, so that equal sets are equal bytes. */
static void write_methods(struct json_span methods, struct buf *b)
{
	struct json_iter it;
	char **v = NULL;
	size_t n = 0;
	size_t cap = 0;
	size_t i;

	json_iter_init(&it, methods);
	while (json_next(&it)) {
		if (json_type(it.value) != JSON_STRING)
			continue;
		v = mem_grow(v, &cap, n + 1, sizeof(*v));
		v[n++] = upper_text(it.value);
	}
	if (n > 0)
		qsort(v, n, sizeof(*v), str_order);
	buf_addc(b, '[');
	for (i = 0; i < n; i++) {
		if (i == 0 || strcmp(v[i - 1], v[i]) != 0) {
			json_write_comma(b);
			json_write_string(b, v[i], strlen(v[i]));
		}
	}
	buf_addc(b, ']');
	for (i = 0; i < n; i++)
		mem_free(v[i]);
	mem_free(v);
}

static void write_flow(struct json_span flow, struct buf *b)
{
	struct json_iter it;

	buf_addc(b, '{');
	json_iter_init(&it, flow);
	while (json_next(&it)) {
		json_write_comma(b);
		buf_add(b, it.name.p, it.name.n);
		buf_addc(b, ':');
		if (json_equals(it.name, "methods") && json_type(it.value) == JSON_ARRAY)
			write_methods(it.value, b);
		else
			json_compact(it.value, b);
	}
	buf_addc(b, '}');
}

static int write_flows(const struct map_ctx *ctx, struct json_span flows, struct buf *b,
		       struct err *e)
{
	struct json_iter it;

	if (!json_is_null(flows) && json_type(flows) != JSON_ARRAY)
		return err_set(e, ERR_PARSE, "flows is not an array");
	json_write_name(b, "flows");
	buf_addc(b, '[');
	json_iter_init(&it, flows);
	while (json_next(&it)) {
		if (json_type(it.value) != JSON_OBJECT)
			return err_set(e, ERR_PARSE, "a flow is not an object");
		if (!keeps_flow(ctx, it.value))
			continue;
		json_write_comma(b);
		write_flow(it.value, b);
	}
	buf_addc(b, ']');
	return 0;
}

static int write_payload(const struct map_ctx *ctx, const struct event_row *row,
			 struct json_span bean, struct buf *b, struct err *e)
{
	struct json_span created = row->created_at;
	int64_t ms;
	int rc;

	buf_adds(b, "{\"definition\":{");
	rc = member_copy(b, bean, before_flows, ARRAY_LEN(before_flows), e);
	if (rc == 0)
		rc = write_flows(ctx, json_get(bean, "flows"), b, e);
	if (rc == 0)
		rc = member_copy(b, bean, after_flows, ARRAY_LEN(after_flows), e);
	if (rc == 0)
		rc = member_take_ms(created, "createdAt", 0, &ms, e);
	if (rc < 0)
		return rc;
	buf_addc(b, '}');
	json_add_bool(b, "enabled", true);
	if (!json_is_null(created))
		json_add_i64(b, "deployedAt", ms);
	buf_addc(b, '}');
	return 0;
}

int organization_publish(const struct map_ctx *ctx, const struct event_row *row,
			 struct map_out *out, struct err *e)
{
	struct json_span bean = { 0 };
	struct buf text = { 0 };
	int rc;

	out->outcome = MAP_EVENT;
	out->ev.kind = KIND_ORGANIZATION;
	out->ev.action = ACTION_DEPLOY;
	rc = member_open_text(row->payload, "payload", &text, &bean, e);
	if (rc == 0)
		rc = member_take_id(json_get(bean, "id"), "organization id", &out->ev.id, e);
	if (rc == 0)
		rc = write_payload(ctx, row, bean, &out->ev.payload, e);
	buf_reset(&text);
	return rc;
}
