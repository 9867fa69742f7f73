/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/map_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "test/unit/json_tree.h"

#define KEY_PREFIX "distributed_event:zone-a:"

struct map_ctx *kit_context(const char *tags)
{
	char *copy = mem_strdup(tags);
	const char *list[8];
	char *save = NULL;
	size_t n = 0;
	char *s;
	struct map_ctx *ctx;

	for (s = strtok_r(copy, ", ", &save); s != NULL; s = strtok_r(NULL, ", ", &save)) {
		assert_true(n < ARRAY_LEN(list));
		list[n++] = s;
	}
	ctx = map_ctx_create(list, n, DEFAULT_SECRET, strlen(DEFAULT_SECRET));
	mem_free(copy);
	return ctx;
}

static FILE *open_data(const char *file)
{
	char *path = mem_printf("%s/%s", DATA_DIR, file);
	FILE *f = fopen(path, "re");

	if (f == NULL)
		fail_msg("cannot open %s", path);
	mem_free(path);
	return f;
}

size_t kit_lines(const char *file, line_fn *fn, void *owner)
{
	FILE *f = open_data(file);
	char *line = NULL;
	size_t cap = 0;
	size_t n = 0;
	ssize_t len;

	while ((len = getline(&line, &cap, f)) > 0) {
		fn(kit_parse((struct json_span){ line, (size_t)len }), owner);
		n++;
	}
	free(line);
	(void)fclose(f);
	return n;
}

char *kit_read(const char *file, size_t *n)
{
	FILE *f = open_data(file);
	struct buf b = { 0 };
	char block[4096];
	size_t got;

	while ((got = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(&b, block, got);
	(void)fclose(f);
	*n = b.len;
	return buf_take(&b);
}

struct json_span kit_parse(struct json_span text)
{
	struct json_span v = { 0 };
	struct err e = { 0 };

	if (json_check(text.p, text.n, &v, &e) < 0)
		fail_msg("%s: %.200s", e.text, text.p);
	return v;
}

struct json_span kit_text(const char *s)
{
	return (struct json_span){ s, strlen(s) };
}

char *kit_string(struct json_span v)
{
	struct buf b = { 0 };

	if (json_type(v) != JSON_STRING)
		return NULL;
	json_unescape(v, &b);
	return buf_take(&b);
}

struct json_span kit_inner(struct json_span v, struct buf *room)
{
	assert_int_equal(json_type(v), JSON_STRING);
	json_unescape(v, room);
	return kit_parse((struct json_span){ room->data, room->len });
}

/* The plan of that id, or nothing. */
static struct json_span plan_of(struct json_span plans, struct json_span id)
{
	struct json_span none = { 0 };
	struct json_iter it;

	json_iter_init(&it, plans);
	while (json_next(&it))
		if (tree_equal(json_get(it.value, "id"), id))
			return it.value;
	return none;
}

/* Ours are the input's plans that the recorded definition has, untouched and in order. */
static void compare_plans(struct json_span ours, struct json_span input, struct json_span recorded)
{
	struct json_iter in;
	struct json_iter out;

	json_iter_init(&in, input);
	json_iter_init(&out, ours);
	while (json_next(&in)) {
		if (plan_of(recorded, json_get(in.value, "id")).n == 0)
			continue;
		assert_true(json_next(&out));
		assert_true(tree_equal(out.value, in.value));
	}
	assert_false(json_next(&out));
	assert_int_equal(tree_count(ours), tree_count(recorded));
}

static void compare_property(struct json_span ours, struct json_span input,
			     struct json_span recorded)
{
	struct json_iter it;

	assert_int_equal(tree_count(ours), tree_count(input));
	json_iter_init(&it, input);
	while (json_next(&it)) {
		bool changes = json_equals(it.name, "value") || json_equals(it.name, "encrypted");
		struct json_span want = changes ? tree_member(recorded, it.name) : it.value;

		assert_true(tree_equal(tree_member(ours, it.name), want));
	}
}

static void compare_properties(struct json_span ours, struct json_span input,
			       struct json_span recorded)
{
	struct json_iter a;
	struct json_iter b;
	struct json_iter c;

	assert_int_equal(tree_count(ours), tree_count(input));
	json_iter_init(&a, ours);
	json_iter_init(&b, input);
	json_iter_init(&c, recorded);
	while (json_next(&b)) {
		assert_true(json_next(&a) && json_next(&c));
		compare_property(a.value, b.value, c.value);
	}
}

void kit_compare_definition(struct json_span ours, struct json_span input,
			    struct json_span recorded)
{
	struct json_iter it;

	assert_int_equal(tree_count(ours), tree_count(input));
	json_iter_init(&it, input);
	while (json_next(&it)) {
		struct json_span v = tree_member(ours, it.name);

		if (json_equals(it.name, "plans"))
			compare_plans(v, it.value, json_get(recorded, "plans"));
		else if (json_equals(it.name, "properties"))
			compare_properties(v, it.value, json_get(recorded, "properties"));
		else if (!tree_equal(v, it.value))
			fail_msg("definition differs in %.*s", (int)it.name.n, it.name.p);
	}
}

static void compare_api(struct json_span ours, struct json_span recorded, struct json_span input)
{
	struct json_iter it;

	assert_int_equal(tree_count(ours), tree_count(recorded));
	json_iter_init(&it, recorded);
	while (json_next(&it)) {
		struct json_span v = tree_member(ours, it.name);

		if (json_equals(it.name, "definition"))
			kit_compare_definition(v, input, it.value);
		else if (!tree_equal(v, it.value))
			fail_msg("envelope differs in %.*s", (int)it.name.n, it.name.p);
	}
}

static void compare_payload(const struct event *ev, struct json_span recorded,
			    struct json_span definition)
{
	struct json_span ours = kit_parse((struct json_span){ ev->payload.data, ev->payload.len });
	struct json_span want;
	struct buf room = { 0 };
	struct buf compact = { 0 };

	json_compact(ours, &compact);
	assert_int_equal(compact.len, ev->payload.len);
	want = kit_inner(recorded, &room);
	if (ev->kind == KIND_API)
		compare_api(ours, want, definition);
	else if (!tree_equal(ours, want))
		fail_msg("payload differs:\n%.*s\n%.*s", (int)ours.n, ours.p, (int)want.n, want.p);
	buf_reset(&room);
	buf_reset(&compact);
}

static void compare_bytes(const struct event *ev, struct json_span recorded)
{
	char *want = kit_string(recorded);

	assert_int_equal(ev->payload.len, strlen(want));
	assert_memory_equal(ev->payload.data, want, ev->payload.len);
	mem_free(want);
}

void kit_compare_event(const struct event *ev, struct json_span recorded,
		       struct json_span definition)
{
	char *name = event_name(ev->kind, ev->id, ev->ref_id);
	char *want = kit_string(json_get(recorded, "key"));

	assert_memory_equal(want, KEY_PREFIX, strlen(KEY_PREFIX));
	assert_string_equal(want + strlen(KEY_PREFIX), name);
	assert_true(json_equals(json_get(recorded, "type"), kind_name(ev->kind)));
	assert_true(json_equals(json_get(recorded, "id"), ev->id));
	assert_true(json_equals(json_get(recorded, "syncAction"), action_name(ev->action)));
	/* Of a withdrawal the hash keeps the payload it has: that of an access point too. */
	if (ev->action == ACTION_UNDEPLOY)
		assert_int_equal(ev->payload.len, 0);
	else if (ev->kind == KIND_LICENSE)
		compare_bytes(ev, json_get(recorded, "payload"));
	else
		compare_payload(ev, json_get(recorded, "payload"), definition);
	mem_free(want);
	mem_free(name);
}

int kit_apikey(struct json_span row, struct json_span subscription_row, unsigned flags,
	       struct map_out *out, struct err *e)
{
	struct map_subscription s = { 0 };
	int rc = map_subscription_read(subscription_row, &s, e);

	if (rc == 0)
		rc = map_apikey(row, &s, flags, out, e);
	map_subscription_reset(&s);
	return rc;
}

void kit_place(struct map_ctx *ctx, enum place_type t, const char *row)
{
	assert_int_equal(places_add(map_places(ctx), t, kit_text(row), NULL), 0);
}
