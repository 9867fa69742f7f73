/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/map_ctx.h"
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
	struct map_ids set = { 0 };
	struct json_iter it;
	size_t i;

	json_iter_init(&it, methods);
	while (json_next(&it))
		if (json_type(it.value) == JSON_STRING)
			map_ids_take(&set, upper_text(it.value));
	map_ids_sort(&set);
	buf_addc(b, '[');
	for (i = 0; i < set.n; i++) {
		json_write_comma(b);
		json_write_string(b, set.v[i], strlen(set.v[i]));
	}
	buf_addc(b, ']');
	map_ids_reset(&set);
}

/* --- a flow, as the reference's own form of it is written (storage 2.4, 2.9) --- */

/* What its reader makes of a value that should be text. */
static void write_text(struct json_span v, struct buf *b)
{
	switch (json_type(v)) {
	case JSON_STRING:
		json_write_respelled(b, v);
		break;
	case JSON_NUMBER:
	case JSON_BOOL:
	case JSON_NULL:
		json_write_string(b, v.p, v.n);
		break;
	default:
		buf_adds(b, "\"\"");
	}
}

static void add_text(struct json_span from, const char *name, struct buf *b)
{
	struct json_span v = json_get(from, name);

	if (json_is_null(v))
		return;
	json_write_name(b, name);
	write_text(v, b);
}

/* Anything that does not say no is a yes. */
static void add_enabled(struct json_span from, struct buf *b)
{
	struct json_span v = json_get(from, "enabled");

	json_add_bool(b, "enabled",
		      !json_equals(v, "false") && (json_type(v) != JSON_BOOL || json_is_true(v)) &&
			      !(json_type(v) == JSON_NUMBER && strtod(v.p, NULL) == 0));
}

/* What is absent has a default, what is null has none. */
static void write_operator(struct json_span flow, struct buf *b)
{
	struct json_span v = json_get(flow, "path-operator");
	struct json_span path = json_get(v, "path");
	struct json_span word = json_get(v, "operator");

	if (json_type(v) == JSON_NULL)
		return;
	json_open(b, "path-operator", '{');
	if (json_type(path) != JSON_NULL) {
		json_write_name(b, "path");
		write_text(path, b);
	}
	if (json_type(word) != JSON_NULL)
		json_add_str(b, "operator",
			     json_equals_nocase(word, "EQUALS") ? "EQUALS" : "STARTS_WITH");
	buf_addc(b, '}');
}

static void write_consumers(struct json_span list, struct buf *b)
{
	struct json_iter it;

	json_open(b, "consumers", '[');
	json_iter_init(&it, list);
	while (!it.object && json_next(&it)) {
		struct json_span id = json_get(it.value, "consumerId");

		if (json_type(id) == JSON_NONE)
			continue;
		json_open(b, NULL, '{');
		json_write_name(b, "consumerId");
		write_text(id, b);
		json_write_name(b, "consumerType");
		if (json_is_null(json_get(it.value, "consumerType")))
			json_write_string(b, "TAG", strlen("TAG"));
		else
			write_text(json_get(it.value, "consumerType"), b);
		buf_addc(b, '}');
	}
	buf_addc(b, ']');
}

static int write_step(struct json_span step, struct buf *b, struct err *e)
{
	if (json_type(json_get(step, "policy")) == JSON_NONE ||
	    json_type(json_get(step, "configuration")) == JSON_NONE)
		return err_set(e, ERR_PARSE, "a step without policy or configuration");
	json_open(b, NULL, '{');
	json_write_name(b, "name");
	write_text(json_get(step, "name"), b);
	add_text(step, "description", b);
	add_enabled(step, b);
	json_write_name(b, "policy");
	write_text(json_get(step, "policy"), b);
	add_text(step, "condition", b);
	json_write_name(b, "configuration");
	json_compact(json_get(step, "configuration"), b);
	buf_addc(b, '}');
	return 0;
}

static int write_steps(struct json_span flow, const char *name, struct buf *b, struct err *e)
{
	struct json_iter it;
	int rc = 0;

	json_open(b, name, '[');
	json_iter_init(&it, json_get(flow, name));
	while (rc == 0 && !it.object && json_next(&it))
		rc = write_step(it.value, b, e);
	buf_addc(b, ']');
	return rc;
}

static int write_flow(struct json_span flow, struct buf *b, struct err *e)
{
	struct json_span id = json_get(flow, "id");
	int rc;

	buf_addc(b, '{');
	json_write_name(b, "id");
	if (json_is_null(id) || json_equals(id, ""))
		buf_adds(b, "null");
	else
		write_text(id, b);
	add_text(flow, "name", b);
	write_operator(flow, b);
	add_text(flow, "condition", b);
	write_consumers(json_get(flow, "consumers"), b);
	json_write_name(b, "methods");
	write_methods(json_get(flow, "methods"), b);
	rc = write_steps(flow, "pre", b, e);
	if (rc == 0)
		rc = write_steps(flow, "post", b, e);
	add_enabled(flow, b);
	buf_addc(b, '}');
	return rc;
}

/* None is an empty list, as in the reference; null is none at all. */
static int write_flows(const struct map_ctx *ctx, struct json_span flows, struct buf *b,
		       struct err *e)
{
	struct json_iter it;
	int rc = 0;

	if (!json_is_null(flows) && json_type(flows) != JSON_ARRAY)
		return err_set(e, ERR_PARSE, "flows is not an array");
	if (json_type(flows) == JSON_NULL)
		return 0;
	json_open(b, "flows", '[');
	json_iter_init(&it, flows);
	while (rc == 0 && json_next(&it)) {
		if (json_type(it.value) != JSON_OBJECT)
			return err_set(e, ERR_PARSE, "a flow is not an object");
		if (!keeps_flow(ctx, it.value))
			continue;
		json_write_comma(b);
		rc = write_flow(it.value, b, e);
	}
	buf_addc(b, ']');
	return rc;
}

int organization_write(const struct map_ctx *ctx, const struct event_row *row, struct map_out *out,
		       struct err *e)
{
	struct json_span created = row->created_at;
	struct buf *b = &out->ev.payload;
	int64_t ms = 0;
	int rc;

	buf_adds(b, "{\"definition\":{");
	rc = member_copy(b, row->bean, before_flows, ARRAY_LEN(before_flows), e);
	if (rc == 0)
		rc = write_flows(ctx, json_get(row->bean, "flows"), b, e);
	if (rc == 0)
		rc = member_copy(b, row->bean, after_flows, ARRAY_LEN(after_flows), e);
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
