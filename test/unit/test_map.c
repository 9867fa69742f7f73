/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/map_kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "test/unit/json_tree.h"
#include "workers/fetcher/map/membership.h"
#include "workers/fetcher/map/plain.h"

struct run {
	struct map_ctx *ctx;
	char *products[8]; /* whose rows were seen: their subscriptions map */
	size_t n_products;
	size_t mapped;
	size_t enriching;
};

static unsigned flags_of(const struct run *run, struct json_span row, struct json_span subscription)
{
	unsigned flags = json_is_true(json_get(row, "attached")) ? MAP_ATTACHED : 0;
	size_t i;

	for (i = 0; i < run->n_products; i++)
		if (json_equals(json_get(subscription, "referenceId"), run->products[i]))
			flags |= MAP_PRODUCT_KNOWN;
	return flags;
}

static int map_row(const struct run *run, struct json_span row, struct map_out *out, struct err *e)
{
	struct json_span kind = json_get(row, "kind");
	struct json_span subscription = json_get(row, "subscriptionRow");

	if (json_equals(kind, "event"))
		return map_event(run->ctx, row, out, e);
	if (json_equals(kind, "subscription"))
		return map_subscription(row, flags_of(run, row, row), out, e);
	if (json_equals(kind, "accesspoint"))
		return map_access_point(row, out, e);
	if (json_equals(kind, "license"))
		return map_license(row, out, e);
	assert_true(json_equals(kind, "apikey"));
	return kit_apikey(row, subscription, flags_of(run, row, subscription), out, e);
}

static void check_version(struct json_span row, const struct map_out *out)
{
	int64_t own = 0;
	int64_t other = 0;
	char text[24];

	assert_true(json_to_i64(json_get(row, "updatedAt"), &own));
	(void)json_to_i64(json_get(json_get(row, "subscriptionRow"), "updatedAt"), &other);
	(void)snprintf(text, sizeof(text), "%" PRId64, MAX(own, other));
	/* A product may bring it back as it is: the row alone does not withdraw it. */
	assert_string_equal(out->ev.version, out->ineligible ? "" : text);
}

/* The definition inside an API row's payload; empty when there is none to compare. */
static struct json_span definition_of(struct json_span row, struct buf *outer, struct buf *inner)
{
	struct json_span none = { 0 };

	if (!json_equals(json_get(row, "type"), "PUBLISH_API") &&
	    !json_equals(json_get(row, "type"), "START_API"))
		return none;
	return kit_inner(json_get(kit_inner(json_get(row, "payload"), outer), "definition"), inner);
}

static void check_event(struct json_span row, const struct map_out *out, struct json_span events)
{
	struct buf outer = { 0 };
	struct buf inner = { 0 };
	struct json_iter it;

	json_iter_init(&it, events);
	assert_true(json_next(&it));
	assert_int_equal(out->outcome, MAP_EVENT);
	assert_true((out->reason != NULL) == (out->ev.action == ACTION_UNDEPLOY));
	kit_compare_event(&out->ev, it.value, definition_of(row, &outer, &inner));
	check_version(row, out);
	assert_false(json_next(&it));
	buf_reset(&outer);
	buf_reset(&inner);
}

/* Our own rule (zone-protocol 3): a readable row that maps to nothing withdraws. */
static void check_withdrawn(struct json_span row, const struct map_out *out, struct json_span note)
{
	assert_int_equal(out->outcome, MAP_EVENT);
	assert_int_equal(out->ev.kind, KIND_API);
	assert_int_equal(out->ev.action, ACTION_UNDEPLOY);
	assert_int_equal(out->ev.payload.len, 0);
	assert_true(json_equals(json_get(json_get(row, "properties"), "api_id"), out->ev.id));
	assert_true(json_equals(note, out->reason));
	check_version(row, out);
}

/* The reference's query does not bring it: here it may have been a gateway's before. */
static void check_no_gateway(struct json_span row, const struct map_out *out)
{
	assert_int_equal(out->outcome, MAP_EVENT);
	assert_int_equal(out->ev.kind, KIND_ACCESS_POINT);
	assert_int_equal(out->ev.action, ACTION_UNDEPLOY);
	assert_string_equal(out->reason, "its target is no gateway");
	assert_true(json_equals(json_get(row, "id"), out->ev.id));
	check_version(row, out);
}

/* Our own rule: what is closed or revoked is never deployed, whatever it was found with. The
   reference deploys it, and its readers take it for withdrawn. */
static bool is_ended(struct json_span row)
{
	return json_is_true(json_get(row, "attached")) &&
	       (json_is_true(json_get(row, "revoked")) ||
		json_equals(json_get(row, "status"), "CLOSED"));
}

static void check_line(struct run *run, struct json_span line)
{
	struct json_span row = json_get(line, "row");
	struct json_span note = json_get(line, "note");
	struct json_span events = json_get(line, "events");
	struct map_out out = { 0 };
	struct err e = { 0 };
	int rc = map_row(run, row, &out, &e);

	if (json_equals(note, "event not mapped")) {
		assert_int_equal(rc, ERR_PARSE);
		assert_true(e.text[0] != '\0');
		return;
	}
	if (rc < 0)
		fail_msg("%s", e.text);
	if (json_equals(note, "no plan left") || json_equals(note, "tags do not match")) {
		check_withdrawn(row, &out, note);
	} else if (json_equals(json_get(row, "target"), "CONSOLE")) {
		check_no_gateway(row, &out);
	} else if (tree_count(events) == 0) {
		assert_int_equal(out.outcome, MAP_NOTHING);
		assert_non_null(out.reason);
	} else if (is_ended(row)) {
		assert_int_equal(out.ev.action, ACTION_UNDEPLOY);
	} else {
		check_event(row, &out, events);
	}
	map_out_reset(&out);
}

static void remember_product(struct run *run, struct json_span line)
{
	struct json_iter it;

	json_iter_init(&it, json_get(line, "events"));
	assert_true(json_next(&it));
	assert_true(run->n_products < ARRAY_LEN(run->products));
	run->products[run->n_products++] = kit_string(json_get(it.value, "id"));
}

static void on_row(struct json_span line, void *owner)
{
	struct run *run = owner;
	struct json_span row = json_get(line, "row");
	struct json_span kind = json_get(row, "kind");
	struct json_span type = json_get(row, "type");
	char *why = kit_string(json_get(line, "why"));

	print_message("  %s\n", why == NULL ? "definition" : why);
	mem_free(why);
	if (json_equals(kind, "environment")) {
		assert_int_equal(places_add(map_places(run->ctx), PLACE_ENVIRONMENT, row, NULL), 0);
		run->enriching++;
	} else if (json_equals(kind, "organization")) {
		assert_int_equal(places_add(map_places(run->ctx), PLACE_ORGANIZATION, row, NULL),
				 0);
		run->enriching++;
	} else {
		if (json_equals(type, "DEPLOY_API_PRODUCT"))
			remember_product(run, line);
		check_line(run, line);
		run->mapped++;
	}
}

static void run_close(struct run *run)
{
	size_t i;

	for (i = 0; i < run->n_products; i++)
		mem_free(run->products[i]);
	map_ctx_free(&run->ctx);
}

static void rows_map_as_the_reference_maps_them(void **state)
{
	struct run run = { .ctx = kit_context("") };
	size_t n = kit_lines("vectors/primary-rows.jsonl", on_row, &run);

	UNUSED(state);
	assert_int_equal(run.enriching, 4);
	assert_int_equal(run.mapped, 75);
	assert_int_equal(n, run.enriching + run.mapped);
	run_close(&run);
}

static void set_default_places(struct map_ctx *ctx)
{
	kit_place(ctx, PLACE_ENVIRONMENT,
		  "{\"id\":\"DEFAULT\",\"hrids\":[\"default\"],\"organizationId\":\"DEFAULT\"}");
	kit_place(ctx, PLACE_ORGANIZATION, "{\"id\":\"DEFAULT\",\"hrids\":[\"default\"]}");
}

static void definitions_map_as_the_reference_maps_them(void **state)
{
	struct run run = { .ctx = kit_context("") };

	UNUSED(state);
	set_default_places(run.ctx);
	assert_int_equal(kit_lines("vectors/primary-definitions.jsonl", on_row, &run), 114);
	assert_int_equal(run.mapped, 114);
	run_close(&run);
}

static struct json_span payload_of(const struct map_out *out)
{
	return kit_parse((struct json_span){ out->ev.payload.data, out->ev.payload.len });
}

/* The same definition as a file makes the same definition in the payload. */
static void on_file(struct json_span line, void *owner)
{
	struct run *run = owner;
	char *name = kit_string(json_get(line, "file"));
	char *path = mem_printf("api-definitions/%s", name);
	struct map_out out = { 0 };
	struct buf outer = { 0 };
	struct buf inner = { 0 };
	struct json_iter events;
	struct json_span recorded;
	struct err e = { 0 };
	size_t n = 0;
	char *text = kit_read(path, &n);

	if (map_api_file(run->ctx, (struct json_span){ text, n }, 1234567890123, &out, &e) < 0)
		fail_msg("%s: %s", name, e.text);
	json_iter_init(&events, json_get(line, "events"));
	assert_true(json_next(&events));
	recorded = kit_inner(json_get(events.value, "payload"), &outer);
	assert_int_equal(out.ev.action, ACTION_DEPLOY);
	assert_true(json_equals(json_get(events.value, "id"), out.ev.id));
	assert_null(out.ev.version);
	kit_compare_definition(json_get(payload_of(&out), "definition"),
			       kit_parse((struct json_span){ text, n }),
			       json_get(recorded, "definition"));
	assert_int_equal(out.deployed_at_len, 13);
	assert_memory_equal(out.ev.payload.data + out.deployed_at_off, "1234567890123", 13);
	assert_true(json_equals(json_get(payload_of(&out), "environmentId"), "DEFAULT"));
	run->mapped++;
	map_out_reset(&out);
	buf_reset(&outer);
	buf_reset(&inner);
	mem_free(text);
	mem_free(path);
	mem_free(name);
}

static void definition_files_map_alike(void **state)
{
	struct run run = { .ctx = kit_context("") };

	UNUSED(state);
	(void)kit_lines("vectors/primary-definitions.jsonl", on_file, &run);
	assert_int_equal(run.mapped, 114);
	run_close(&run);
}

/* Tags that the gateway takes: the API's own, when the line is about a plan's. */
static void write_wanted(const char *gateway_tags, struct buf *b)
{
	char *copy = mem_strdup(gateway_tags);
	char *save = NULL;
	char *s;

	json_write_name(b, "tags");
	buf_addc(b, '[');
	for (s = strtok_r(copy, ", ", &save); s != NULL; s = strtok_r(NULL, ", ", &save)) {
		if (s[0] == '!')
			continue;
		json_write_comma(b);
		json_write_string(b, s, strlen(s));
	}
	buf_addc(b, ']');
	mem_free(copy);
}

/* A row whose API, or whose second plan, has the tags of the line. */
static void write_tagged_row(struct json_span line, const char *gateway_tags, struct buf *row)
{
	bool on_api = json_equals(json_get(line, "where"), "api");
	struct json_span tags = json_get(line, "tags");
	struct buf def = { 0 };
	struct buf bean = { 0 };

	buf_adds(&def, "{\"id\":\"a\",\"definitionVersion\":\"4.0.0\",\"type\":\"proxy\"");
	if (on_api)
		json_add_span(&def, "tags", tags);
	else
		write_wanted(gateway_tags, &def);
	buf_adds(&def, ",\"plans\":[{\"id\":\"plan-key\",\"status\":\"published\"}");
	if (!on_api) {
		buf_adds(&def, ",{\"id\":\"plan-tagged\",\"status\":\"published\"");
		json_add_span(&def, "tags", tags);
		buf_addc(&def, '}');
	}
	buf_adds(&def, "]}");
	buf_adds(&bean, "{\"definitionVersion\":\"4.0.0\",\"type\":\"proxy\","
			"\"lifecycleState\":\"STARTED\"");
	json_add_str(&bean, "definition", buf_cstr(&def));
	buf_addc(&bean, '}');
	buf_adds(row,
		 "{\"type\":\"PUBLISH_API\",\"properties\":{\"api_id\":\"a\"},\"updatedAt\":7");
	json_add_str(row, "payload", buf_cstr(&bean));
	buf_addc(row, '}');
	buf_reset(&def);
	buf_reset(&bean);
}

static void check_plan_ids(struct json_span plans, struct json_span want)
{
	struct json_iter a;
	struct json_iter b;

	assert_int_equal(tree_count(plans), tree_count(want));
	json_iter_init(&a, plans);
	json_iter_init(&b, want);
	while (json_next(&a) && json_next(&b))
		assert_true(tree_equal(json_get(a.value, "id"), b.value));
}

static void on_tags(struct json_span line, void *owner)
{
	char *tags = kit_string(json_get(line, "gatewayTags"));
	struct map_ctx *ctx = kit_context(tags);
	struct map_out out = { 0 };
	struct buf row = { 0 };
	struct err e = { 0 };

	UNUSED(owner);
	print_message("  %.*s\n", (int)line.n, line.p);
	write_tagged_row(line, tags, &row);
	if (map_event(ctx, (struct json_span){ row.data, row.len }, &out, &e) < 0)
		fail_msg("%s", e.text);
	if (json_is_true(json_get(line, "deployed"))) {
		assert_int_equal(out.ev.action, ACTION_DEPLOY);
		check_plan_ids(json_get(json_get(payload_of(&out), "definition"), "plans"),
			       json_get(line, "plans"));
	} else {
		check_withdrawn(kit_parse((struct json_span){ row.data, row.len }), &out,
				json_get(line, "note"));
	}
	map_out_reset(&out);
	buf_reset(&row);
	map_ctx_free(&ctx);
	mem_free(tags);
}

/* What tags or plans refuse, a product with plans takes; what is stopped it does not. */
static void a_product_makes_its_apis_eligible(void **state)
{
	static const char line[] = "{\"gatewayTags\":\"eu\",\"where\":\"api\",\"tags\":[\"us\"]}";
	struct map_ctx *ctx = kit_context("eu");
	struct map_ids apis = { 0 };
	struct map_ids changed = { 0 };
	struct map_out out = { 0 };
	struct buf row = { 0 };

	UNUSED(state);
	write_tagged_row(kit_parse((struct json_span){ line, strlen(line) }), "eu", &row);
	assert_int_equal(map_event(ctx, (struct json_span){ row.data, row.len }, &out, NULL), 0);
	assert_int_equal(out.ev.action, ACTION_UNDEPLOY);
	assert_true(out.ineligible);
	map_out_reset(&out);
	map_ids_add(&apis, "a");
	map_ctx_set_product(ctx, "p", &apis, &changed);
	assert_int_equal(changed.n, 1);
	assert_int_equal(map_event(ctx, (struct json_span){ row.data, row.len }, &out, NULL), 0);
	assert_int_equal(out.ev.action, ACTION_DEPLOY);
	assert_false(out.ineligible);
	map_out_reset(&out);
	map_ctx_set_product(ctx, "p", &apis, &changed);
	assert_int_equal(changed.n, 2);
	assert_int_equal(map_event(ctx, (struct json_span){ row.data, row.len }, &out, NULL), 0);
	assert_int_equal(out.ev.action, ACTION_UNDEPLOY);
	map_out_reset(&out);
	map_ids_reset(&changed);
	buf_reset(&row);
	map_ctx_free(&ctx);
}

static void tags_decide_as_in_the_reference(void **state)
{
	UNUSED(state);
	assert_int_equal(kit_lines("vectors/tags.jsonl", on_tags, NULL), 28);
}

/* Bytes of a row, cut short or changed, in a block without a byte to spare. */
static void survive(const struct run *run, const char *text, size_t n)
{
	char *copy = test_malloc(n + 1);
	struct json_span v = { 0 };
	struct map_out out = { 0 };

	memcpy(copy, text, n);
	if (json_check(copy, n, &v, NULL) == 0 && json_type(v) == JSON_OBJECT) {
		struct json_span kind = json_get(v, "kind");

		if (json_equals(kind, "event") || json_equals(kind, "subscription") ||
		    json_equals(kind, "apikey"))
			(void)map_row(run, v, &out, NULL);
	}
	map_out_reset(&out);
	if (map_api_file(run->ctx, (struct json_span){ copy, n }, 1, &out, NULL) == 0)
		map_out_reset(&out);
	test_free(copy);
}

static void on_hostile(struct json_span line, void *owner)
{
	static const char alphabet[] = "\"\\{}[]:,0-e.nt\x01\xff ua";
	struct run *run = owner;
	struct json_span row = json_get(line, "row");
	char *copy = mem_dup(row.p, row.n);
	size_t i;

	for (i = 0; i < row.n; i += 41)
		survive(run, row.p, i);
	for (i = 0; i < 60; i++) {
		uint64_t r = hash_u64(&i, sizeof(i), row.n);
		size_t at = (size_t)(r >> 8) % row.n;
		char old = copy[at];

		copy[at] = alphabet[r % (sizeof(alphabet) - 1)];
		survive(run, copy, row.n);
		copy[at] = i % 3 == 0 ? old : copy[at];
	}
	mem_free(copy);
}

static void damaged_rows_never_crash(void **state)
{
	struct run run = { .ctx = kit_context("eu,!us") };

	UNUSED(state);
	assert_int_equal(kit_lines("vectors/primary-rows.jsonl", on_hostile, &run), 79);
	run_close(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_map_as_the_reference_maps_them),
		cmocka_unit_test(definitions_map_as_the_reference_maps_them),
		cmocka_unit_test(definition_files_map_alike),
		cmocka_unit_test(tags_decide_as_in_the_reference),
		cmocka_unit_test(a_product_makes_its_apis_eligible),
		cmocka_unit_test(damaged_rows_never_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
