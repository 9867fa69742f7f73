/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/definition.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/map_ctx.h"
#include "workers/fetcher/map/members.h"
#include "workers/fetcher/map/secret.h"

static const struct {
	const char *type;
	enum definition_kind kind;
} v4_types[] = {
	{ "proxy", DEFINITION_V4_HTTP },     { "message", DEFINITION_V4_HTTP },
	{ "llm-proxy", DEFINITION_V4_HTTP }, { "mcp-proxy", DEFINITION_V4_HTTP },
	{ "a2a-proxy", DEFINITION_V4_HTTP }, { "authz", DEFINITION_V4_HTTP },
	{ "native", DEFINITION_V4_NATIVE },  { "edge", DEFINITION_V4_EDGE },
};

bool definition_says_v4(struct json_span def)
{
	return json_equals(json_get(def, "definitionVersion"), "4.0.0") ||
	       json_equals(json_get(def, "gravitee"), "4.0.0");
}

static int recognise_v2(struct json_span def, struct err *e)
{
	struct json_span version = json_get(def, "gravitee");

	if (!json_is_null(version) && !json_equals(version, "2.0.0"))
		return err_set(e, ERR_PARSE, "definition: gravitee is not 2.0.0");
	return 0;
}

int definition_recognise(struct json_span def, bool v4, struct json_span type,
			 enum definition_kind *out, struct err *e)
{
	size_t i;
	int rc;

	if (!v4) {
		rc = recognise_v2(def, e);
		if (rc == 0)
			*out = DEFINITION_V2;
		return rc;
	}
	for (i = 0; i < ARRAY_LEN(v4_types); i++) {
		if (json_equals_nocase(type, v4_types[i].type)) {
			*out = v4_types[i].kind;
			return 0;
		}
	}
	return err_set(e, ERR_PARSE, "definition: v4 of an unknown type");
}

static bool keeps_plan(const struct map_ctx *ctx, struct json_span plan)
{
	struct json_span status = json_get(plan, "status");
	struct json_span tags = json_get(plan, "tags");
	struct json_iter it;

	if (!json_equals_nocase(status, "published") && !json_equals_nocase(status, "deprecated"))
		return false;
	json_iter_init(&it, tags);
	return ctx == NULL || !json_next(&it) || tags_match(&ctx->tags, tags);
}

int definition_write_plans(const struct map_ctx *ctx, struct json_span plans, struct buf *b,
			   size_t *n, struct err *e)
{
	struct json_iter it;

	*n = 0;
	if (json_is_null(plans)) {
		json_compact(plans, b);
		return 0;
	}
	if (json_type(plans) != JSON_ARRAY)
		return err_set(e, ERR_PARSE, "plans is not an array");
	buf_addc(b, '[');
	json_iter_init(&it, plans);
	while (json_next(&it)) {
		if (json_type(it.value) != JSON_OBJECT)
			return err_set(e, ERR_PARSE, "a plan is not an object");
		if (!keeps_plan(ctx, it.value))
			continue;
		json_write_comma(b);
		json_compact(it.value, b);
		(*n)++;
	}
	buf_addc(b, ']');
	return 0;
}

/* The property with another value, and no longer marked as encrypted. */
static void write_opened(struct json_span property, const struct buf *plain, struct buf *b)
{
	struct json_iter it;

	buf_addc(b, '{');
	json_iter_init(&it, property);
	while (json_next(&it)) {
		json_write_comma(b);
		buf_add(b, it.name.p, it.name.n);
		buf_addc(b, ':');
		if (json_equals(it.name, "value"))
			json_write_string(b, plain->data, plain->len);
		else if (json_equals(it.name, "encrypted"))
			buf_adds(b, "false");
		else
			json_compact(it.value, b);
	}
	buf_addc(b, '}');
}

/* As the reference reads it: an integer but 0, and text that says true, in v4 in three cases. */
static bool is_encrypted(struct json_span property, bool v4)
{
	struct json_span v = json_get(property, "encrypted");
	struct buf b = { 0 };
	int64_t number;
	size_t from = 0;
	const char *word;
	bool yes;

	if (json_type(v) != JSON_STRING)
		return json_is_true(v) || (json_to_i64(v, &number) && number != 0);
	json_unescape(v, &b);
	while (b.len > 0 && b.data[b.len - 1] == ' ')
		b.len--;
	while (from < b.len && b.data[from] == ' ')
		from++;
	word = buf_cstr(&b) + from;
	yes = str_equal(word, "true") ||
	      (v4 && (str_equal(word, "True") || str_equal(word, "TRUE")));
	buf_reset(&b);
	return yes;
}

/* A property that does not open stays as it is: a gateway that can open it may. */
static void write_property(const struct map_ctx *ctx, struct json_span property, bool v4,
			   struct buf *b)
{
	struct json_span value = json_get(property, "value");
	struct buf closed = { 0 };
	struct buf plain = { 0 };

	if (ctx->secret == NULL || json_type(value) != JSON_STRING || !is_encrypted(property, v4)) {
		json_compact(property, b);
		return;
	}
	json_unescape(value, &closed);
	if (secret_open(ctx->secret, ctx->secret_len, &closed, &plain))
		write_opened(property, &plain, b);
	else
		json_compact(property, b);
	if (plain.cap > 0)
		explicit_bzero(plain.data, plain.cap);
	buf_reset(&plain);
	buf_reset(&closed);
}

static void write_properties(const struct map_ctx *ctx, struct json_span properties, bool v4,
			     struct buf *b)
{
	struct json_iter it;

	if (json_type(properties) != JSON_ARRAY) {
		json_compact(properties, b);
		return;
	}
	buf_addc(b, '[');
	json_iter_init(&it, properties);
	while (json_next(&it)) {
		json_write_comma(b);
		write_property(ctx, it.value, v4, b);
	}
	buf_addc(b, ']');
}

int definition_write(const struct map_ctx *ctx, struct json_span def, struct buf *b, size_t *plans,
		     struct err *e)
{
	struct json_iter it;

	*plans = 0;
	buf_addc(b, '{');
	json_iter_init(&it, def);
	while (json_next(&it)) {
		int rc = 0;

		json_write_comma(b);
		buf_add(b, it.name.p, it.name.n);
		buf_addc(b, ':');
		if (json_equals(it.name, "plans"))
			rc = definition_write_plans(ctx, it.value, b, plans, e);
		else if (json_equals(it.name, "properties"))
			write_properties(ctx, it.value, definition_says_v4(def), b);
		else
			json_compact(it.value, b);
		if (rc < 0)
			return rc;
	}
	buf_addc(b, '}');
	return 0;
}

/* Any security but KEY_LESS, as the reference compares it: "key-less" is another one. */
static bool v4_subscribable(struct json_span plan)
{
	struct json_span security = json_get(plan, "security");

	return json_equals_nocase(json_get(plan, "mode"), "push") ||
	       (json_type(security) == JSON_OBJECT &&
		!json_equals_nocase(json_get(security, "type"), "KEY_LESS"));
}

static bool v2_subscribable(struct json_span plan)
{
	struct json_span security = json_get(plan, "security");

	return json_equals_nocase(security, "OAUTH2") || json_equals_nocase(security, "JWT") ||
	       json_equals_nocase(security, "API_KEY");
}

static bool is_apikey(struct json_span plan, enum definition_kind kind)
{
	struct json_span security = json_get(plan, "security");

	if (kind == DEFINITION_V2)
		return json_equals_nocase(security, "API_KEY");
	security = json_get(security, "type");
	return json_equals_nocase(security, "api-key") || json_equals_nocase(security, "API_KEY");
}

static int add_plan(struct map_plans *p, struct json_span plan, enum definition_kind kind,
		    struct err *e)
{
	char *id;
	int rc = member_take_id(json_get(plan, "id"), "plan id", &id, e);

	if (rc < 0)
		return rc;
	p->v = mem_grow(p->v, &p->cap, p->n + 1, sizeof(*p->v));
	p->v[p->n++] = (struct map_plan){
		.id = id,
		.apikey = is_apikey(plan, kind),
		.push = kind != DEFINITION_V2 && json_equals_nocase(json_get(plan, "mode"), "push"),
	};
	return 0;
}

static int read_plans(struct json_span plans, enum definition_kind kind, struct map_plans *p,
		      struct err *e)
{
	struct json_iter it;
	int rc = 0;

	json_iter_init(&it, plans);
	while (rc == 0 && json_next(&it))
		if (kind == DEFINITION_V2 ? v2_subscribable(it.value) : v4_subscribable(it.value))
			rc = add_plan(p, it.value, kind, e);
	return rc;
}

static int read_api(struct json_span payload, struct map_plans *p, struct err *e)
{
	struct json_span def = json_get(payload, "definition");
	bool v4 = definition_says_v4(def) || json_type(json_get(def, "proxy")) != JSON_OBJECT;
	enum definition_kind kind = DEFINITION_V2;
	int rc;

	if (json_type(def) != JSON_OBJECT)
		return err_set(e, ERR_PARSE, "payload: definition is not an object");
	rc = definition_recognise(def, v4, json_get(def, "type"), &kind, e);
	if (rc < 0 || kind == DEFINITION_V4_EDGE)
		return rc;
	return read_plans(json_get(def, "plans"), kind, p, e);
}

static int read_product(struct json_span payload, struct map_plans *p, struct err *e)
{
	struct json_iter apis;

	json_iter_init(&apis, json_get(payload, "apiIds"));
	if (!json_next(&apis))
		return 0;
	return read_plans(json_get(payload, "plans"), DEFINITION_V4_HTTP, p, e);
}

int map_plans_read(enum kind k, struct json_span payload, struct map_plans *out, struct err *e)
{
	struct map_plans p = { 0 };
	struct json_span v = { 0 };
	int rc = member_check_object(payload, "payload", &v, e);

	CHECK(kind_has_children(k));
	if (rc == 0)
		rc = k == KIND_API ? read_api(v, &p, e) : read_product(v, &p, e);
	if (rc < 0)
		map_plans_reset(&p);
	else
		*out = p;
	return rc;
}

void map_plans_reset(struct map_plans *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		mem_free(p->v[i].id);
	mem_free(p->v);
	*p = (struct map_plans){ 0 };
}

bool map_plans_has(const struct map_plans *p, const char *plan)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (str_equal(p->v[i].id, plan))
			return true;
	return false;
}

bool map_plans_push(const struct map_plans *p, const char *plan)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->v[i].push && (plan == NULL || str_equal(p->v[i].id, plan)))
			return true;
	return false;
}

bool map_plans_equal(const struct map_plans *a, const struct map_plans *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (!str_equal(a->v[i].id, b->v[i].id) || a->v[i].apikey != b->v[i].apikey ||
		    a->v[i].push != b->v[i].push)
			return false;
	return true;
}
