/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/map_kit.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "test/unit/json_tree.h"
#include "workers/fetcher/map/membership.h"
#include "workers/fetcher/map/tags.h"

#define V4(more)                                                                                       \
	"{\"id\":\"a1\",\"name\":\"A\",\"definitionVersion\":\"4.0.0\",\"type\":\"proxy\","            \
	"\"plans\":[{\"id\":\"p\",\"status\":\"published\",\"security\":{\"type\":\"api-key\"}}]" more \
	"}"

static struct map_out map_file(struct map_ctx *ctx, const char *text, int64_t modified)
{
	struct map_out out = { 0 };
	struct err e = { 0 };

	if (map_api_file(ctx, kit_text(text), modified, &out, &e) < 0)
		fail_msg("%s: %s", text, e.text);
	return out;
}

static void refuse_file(const char *text, const char *says)
{
	struct map_ctx *ctx = kit_context("");
	struct map_out out = { 0 };
	struct err e = { 0 };

	assert_int_equal(map_api_file(ctx, kit_text(text), 1, &out, &e), ERR_PARSE);
	if (strstr(e.text, says) == NULL)
		fail_msg("'%s' does not say '%s'", e.text, says);
	assert_int_equal(out.outcome, MAP_NOTHING);
	map_ctx_free(&ctx);
}

static struct json_span payload_of(const struct map_out *out)
{
	return kit_parse((struct json_span){ out->ev.payload.data, out->ev.payload.len });
}

static bool payload_equals(const struct map_out *out, const char *text)
{
	return out->ev.payload.len == strlen(text) &&
	       memcmp(out->ev.payload.data, text, out->ev.payload.len) == 0;
}

static void bare_file_has_every_default(void **state)
{
	struct map_ctx *ctx = kit_context("");
	struct map_out out = map_file(ctx, " " V4(", \"n\" : [ 1.50, \"\\u0041\" ]"), 42);
	char *revision = kit_string(json_get(payload_of(&out), "revision"));
	char *want = mem_printf(
		"{\"definition\":" V4(
			",\"n\":[1.50,\"\\u0041\"]") ",\"enabled\":true,\"deployedAt\":42,"
						     "\"environmentId\":\"DEFAULT\",\"revision\":\"%s\",\"definitionContext\":{\"origin\":"
						     "\"management\",\"mode\":\"fully_managed\",\"syncFrom\":\"MANAGEMENT\","
						     "\"originManagement\":true,\"originKubernetes\":false,\"syncFromKubernetes\":false,"
						     "\"syncFromManagement\":true}}",
		revision);

	UNUSED(state);
	assert_true(payload_equals(&out, want));
	assert_int_equal(strspn(revision, "0123456789"), strlen(revision));
	assert_int_equal(out.deployed_at_len, 2);
	assert_memory_equal(out.ev.payload.data + out.deployed_at_off, "42", 2);
	mem_free(want);
	mem_free(revision);
	map_out_reset(&out);
	map_ctx_free(&ctx);
}

static char *revision_of(struct map_ctx *ctx, const char *text, int64_t modified)
{
	struct map_out out = map_file(ctx, text, modified);
	char *revision = kit_string(json_get(payload_of(&out), "revision"));

	map_out_reset(&out);
	return revision;
}

static void revision_changes_exactly_with_the_content(void **state)
{
	static const char *const others[] = {
		V4(",\"x\":1"),
		"{\"definition\":" V4("") ",\"deployedAt\":1}",
		"{\"definition\":" V4("") ",\"environmentId\":\"other\"}",
	};
	struct map_ctx *ctx = kit_context("");
	char *base = revision_of(ctx, V4(""), 1);
	char *later = revision_of(ctx, " " V4(" ") "\n", 1700000000000);
	char *wrapped = revision_of(ctx, "{\"enabled\":true,\"definition\":" V4("") "}", 5);
	size_t i;

	UNUSED(state);
	assert_string_equal(base, later);
	assert_string_equal(base, wrapped);
	for (i = 0; i < ARRAY_LEN(others); i++) {
		char *other = revision_of(ctx, others[i], 1);

		assert_string_not_equal(base, other);
		mem_free(other);
	}
	mem_free(base);
	mem_free(later);
	mem_free(wrapped);
	map_ctx_free(&ctx);
}

static void file_members_go_before_defaults(void **state)
{
	static const char text[] =
		"{\"definition\":\"{\\\"id\\\":\\\"a1\\\",\\\"name\\\":\\\"\\\\u00e9\\\",\\\"proxy\\\":{\\\"context_path\\\":\\\"/\\\"},"
		"\\\"plans\\\":[{\\\"id\\\":\\\"p\\\",\\\"status\\\":\\\"Deprecated\\\"}]}\","
		"\"deployedAt\":77,\"environmentId\":\"E\",\"organizationHrid\":\"oh\",\"revision\":\"9\"}";
	struct map_ctx *ctx = kit_context("");
	struct map_out out;
	struct json_span v;

	UNUSED(state);
	kit_place(ctx, PLACE_ENVIRONMENT,
		  "{\"id\":\"E\",\"hrids\":[\"wrong\"],\"organizationId\":\"O\"}");
	kit_place(ctx, PLACE_ENVIRONMENT,
		  "{\"id\":\"E\",\"hrids\":[\"eh\"],\"organizationId\":\"O\"}");
	kit_place(ctx, PLACE_ORGANIZATION, "{\"id\":\"O\",\"hrids\":[\"known\"]}");
	out = map_file(ctx, text, 42);
	v = payload_of(&out);
	assert_int_equal(out.deployed_at_len, 0);
	assert_true(json_equals(json_get(v, "environmentId"), "E"));
	assert_true(json_equals(json_get(v, "environmentHrid"), "eh"));
	assert_true(json_equals(json_get(v, "organizationId"), "O"));
	assert_true(json_equals(json_get(v, "organizationHrid"), "oh"));
	assert_true(json_equals(json_get(v, "revision"), "9"));
	assert_true(tree_equal(json_get(v, "deployedAt"), kit_text("77")));
	assert_true(tree_equal(json_get(json_get(v, "definition"), "name"),
			       kit_parse(kit_text("\"\xc3\xa9\""))));
	map_out_reset(&out);
	map_ctx_free(&ctx);
}

static void file_that_is_not_started_withdraws(void **state)
{
	static const char *const texts[] = {
		"{\"definition\":" V4("") ",\"enabled\":false}",
		"{\"definition\":" V4("") ",\"lifecycleState\":\"STOPPED\"}",
		"{\"definition\":" V4("") ",\"enabled\":true,\"lifecycleState\":\"STOPPED\"}",
	};
	struct map_ctx *ctx = kit_context("");
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		struct map_out out = map_file(ctx, texts[i], 1);

		assert_int_equal(out.ev.action, ACTION_UNDEPLOY);
		assert_string_equal(out.ev.id, "a1");
		assert_string_equal(out.reason, "not started");
		assert_int_equal(out.ev.payload.len + out.deployed_at_len, 0);
		map_out_reset(&out);
	}
	map_ctx_free(&ctx);
}

static void unreadable_files_say_why(void **state)
{
	UNUSED(state);
	refuse_file("", "expected a value");
	refuse_file("[]", "file is not an object");
	refuse_file("{} x", "expected the end");
	refuse_file("{\"id\":\"a\"}", "name is missing");
	refuse_file("{\"id\":\"a\",\"name\":\"n\"}", "proxy is missing");
	refuse_file("{\"id\":\"a\",\"name\":\"n\",\"gravitee\":\"1.0.0\",\"proxy\":{}}",
		    "not 2.0.0");
	refuse_file("{\"id\":\"a\",\"gravitee\":\"4.0.0\"}", "unknown type");
	refuse_file("{\"gravitee\":\"4.0.0\",\"type\":\"proxy\"}", "definition id is not text");
	refuse_file("{\"id\":\"a\",\"gravitee\":\"4.0.0\",\"type\":\"proxy\",\"plans\":{}}",
		    "plans is not an array");
	refuse_file("{\"id\":\"a\",\"gravitee\":\"4.0.0\",\"type\":\"proxy\",\"plans\":[1]}",
		    "plans[0] is not an object");
	refuse_file("{\"definition\":7}", "definition is not text");
	refuse_file("{\"definition\":\"{\"}", "definition: JSON: expected");
	refuse_file("{\"definition\":" V4("") ",\"lifecycleState\":\"Started\"}",
		    "neither STARTED");
	refuse_file("{\"definition\":" V4("") ",\"enabled\":1}", "neither true nor false");
	refuse_file("{\"definition\":" V4("") ",\"deployedAt\":\"x\"}", "not an integer");
	refuse_file("{\"definition\":" V4("") ",\"revision\":{}}", "revision is not text");
	refuse_file("{\"definition\":" V4("") ",\"environmentHrid\":[]}", "environmentHrid is not");
}

/* The envelope is a level more than the definition has. */
static void what_could_not_be_read_again_is_refused(void **state)
{
	struct map_ctx *ctx = kit_context("");
	struct map_out out = { 0 };
	struct err e = { 0 };
	struct buf b = { 0 };
	int i;

	UNUSED(state);
	buf_adds(&b, "{\"id\":\"a\",\"gravitee\":\"4.0.0\",\"type\":\"proxy\",\"plans\":[{\"id\":"
		     "\"p\",\"status\":\"published\"}],\"deep\":");
	for (i = 1; i < JSON_DEPTH_MAX; i++)
		buf_addc(&b, '[');
	for (i = 1; i < JSON_DEPTH_MAX; i++)
		buf_addc(&b, ']');
	buf_addc(&b, '}');
	assert_int_equal(map_api_file(ctx, (struct json_span){ b.data, b.len }, 1, &out, &e),
			 ERR_LIMIT);
	assert_non_null(strstr(e.text, "payload: "));
	buf_reset(&b);
	map_ctx_free(&ctx);
}

static int map_id(const char *id, size_t n)
{
	struct map_ctx *ctx = kit_context("");
	struct map_out out = { 0 };
	struct buf b = { 0 };
	int rc;

	buf_adds(&b, "{\"gravitee\":\"4.0.0\",\"type\":\"proxy\",\"id\":");
	json_write_string(&b, id, n);
	buf_addc(&b, '}');
	rc = map_api_file(ctx, (struct json_span){ b.data, b.len }, 1, &out, NULL);
	map_out_reset(&out);
	buf_reset(&b);
	map_ctx_free(&ctx);
	return rc;
}

static void ids_are_bounded_and_printable(void **state)
{
	char text[MAP_ID_MAX_BYTES + 1];

	UNUSED(state);
	memset(text, 'x', sizeof(text));
	assert_int_equal(map_id(text, MAP_ID_MAX_BYTES), 0);
	assert_int_equal(map_id(text, MAP_ID_MAX_BYTES + 1), ERR_PARSE);
	assert_int_equal(map_id("", 0), ERR_PARSE);
	assert_int_equal(map_id("a\nb", 3), ERR_PARSE);
	assert_int_equal(map_id("a\0b", 3), ERR_PARSE);
	assert_int_equal(map_id("a\x7f", 2), ERR_PARSE);
	assert_int_equal(map_id("a:\xc3\xa9/}", 6), 0);
}

static bool opens_with(const char *secret, size_t n)
{
	static const char text[] =
		V4(",\"properties\":[{\"key\":\"a\",\"encrypted\":true,\"value\":"
		   "\"ufKKEKnRUp1hI3Ace0pJ9A==\",\"more\":{\"x\":1}}]");
	struct map_ctx *ctx = map_ctx_create(NULL, 0, secret, n);
	struct map_out out = map_file(ctx, text, 1);
	struct json_iter it;
	bool opened;

	json_iter_init(&it, json_get(json_get(payload_of(&out), "definition"), "properties"));
	assert_true(json_next(&it));
	assert_int_equal(tree_count(it.value), 4);
	opened = json_equals(json_get(it.value, "value"), "s3cret \xc3\xbc");
	assert_true(opened != json_is_true(json_get(it.value, "encrypted")));
	map_out_reset(&out);
	map_ctx_free(&ctx);
	return opened;
}

static void properties_open_only_with_the_secret(void **state)
{
	UNUSED(state);
	assert_true(opens_with(DEFAULT_SECRET, 32));
	assert_false(opens_with(NULL, 0));
	assert_false(opens_with(DEFAULT_SECRET, 31));
	assert_false(opens_with(DEFAULT_SECRET, 16));
	assert_false(opens_with(DEFAULT_SECRET, 24));
	assert_false(opens_with("another secret of 32 bytes......", 32));
}

/* Recorded with OpenJDK 17's collator at PRIMARY strength. */
static void tags_fold_as_the_collator_does(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool equal;
	} cases[] = {
		{ "\xc3\x9f", "ss", true },	    { "\xc3\x86", "ae", true },
		{ "\xc3\xb8", "o", false },	    { "\xc3\x98", "\xc3\xb8", false },
		{ "\xc4\x91", "d", false },	    { "\xc5\x82", "l", false },
		{ "eu-west", "EUwest", true },	    { "eu west", "euwest", true },
		{ "eu_west", "euwest", false },	    { "a.b", "ab", false },
		{ "e\xcc\x81", "\xc3\x89", true },  { "\xc4\xb0", "i", true },
		{ "\xc4\xb1", "i", false },	    { "\xc3\xbe", "TH", true },
		{ "\xc5\x93", "oe", true },	    { "\xc3\x90", "\xc3\xb0", true },
		{ "\xce\x91", "\xce\xb1", false },  { "\xe2\x80\x93x", "x", true },
		{ "\xf0\x9f\x98\x80", "x", false }, { "1", "2", false },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf a = { 0 };
		struct buf b = { 0 };

		tag_fold(&a, cases[i].a, strlen(cases[i].a));
		tag_fold(&b, cases[i].b, strlen(cases[i].b));
		if (str_equal(buf_cstr(&a), buf_cstr(&b)) != cases[i].equal)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
		buf_reset(&a);
		buf_reset(&b);
	}
}

static void check_plans(const char *definition, const char *want)
{
	struct map_plans plans = { 0 };
	char *payload = mem_printf("{\"definition\":%s}", definition);
	struct buf b = { 0 };
	size_t i;

	assert_int_equal(map_plans_read(KIND_API, kit_text(payload), &plans, NULL), 0);
	for (i = 0; i < plans.n; i++)
		buf_printf(&b, "%s%s ", plans.v[i].id, plans.v[i].apikey ? "*" : "");
	assert_string_equal(buf_cstr(&b), want);
	buf_reset(&b);
	map_plans_reset(&plans);
	mem_free(payload);
}

#define PLANS_V4                                                                                   \
	"\"plans\":[{\"id\":\"k\",\"security\":{\"type\":\"api-key\"}},"                           \
	"{\"id\":\"K\",\"security\":{\"type\":\"API_KEY\"}},"                                      \
	"{\"id\":\"free\",\"security\":{\"type\":\"KEY_LESS\"}},"                                  \
	"{\"id\":\"free2\",\"security\":{\"type\":\"key-less\"}},"                                 \
	"{\"id\":\"push\",\"mode\":\"push\"},{\"id\":\"none\",\"mode\":\"standard\"},"             \
	"{\"id\":\"jwt\",\"security\":{\"type\":\"jwt\"}}]}"

static void subscribable_plans_are_told_apart(void **state)
{
	struct map_plans plans = { 0 };

	UNUSED(state);
	check_plans("{\"definitionVersion\":\"4.0.0\",\"type\":\"proxy\"," PLANS_V4,
		    "k* K* free2 push jwt ");
	check_plans("{\"definitionVersion\":\"4.0.0\",\"type\":\"native\"," PLANS_V4,
		    "k* K* free2 push jwt ");
	check_plans("{\"definitionVersion\":\"4.0.0\",\"type\":\"edge\",\"proxy\":{}," PLANS_V4,
		    "");
	check_plans(
		"{\"name\":\"n\",\"proxy\":{},\"plans\":[{\"id\":\"k\",\"security\":\"API_KEY\"},"
		"{\"id\":\"o\",\"security\":\"OAUTH2\"},{\"id\":\"j\",\"security\":\"JWT\"},"
		"{\"id\":\"f\",\"security\":\"KEY_LESS\"},{\"id\":\"n\"}]}",
		"k* o j ");
	check_plans(V4(""), "p* ");
	assert_int_equal(map_plans_read(KIND_API, kit_text("{}"), &plans, NULL), ERR_PARSE);
	assert_int_equal(map_plans_read(KIND_API, kit_text("{\"definition\":{}}"), &plans, NULL),
			 ERR_PARSE);
}

#define SUB(more) "{\"id\":\"s\",\"api\":\"a\",\"plan\":\"p\",\"updatedAt\":5" more "}"
#define KEY(more) "{\"id\":\"k\",\"key\":\"v\",\"updatedAt\":4" more "}"

static void facts_of_subscriptions_and_keys(void **state)
{
	struct map_subscription s = { 0 };
	struct map_key k = { 0 };
	struct err e = { 0 };

	UNUSED(state);
	assert_int_equal(map_subscription_read(kit_text(SUB(",\"status\":\"ACCEPTED\"")), &s, &e),
			 0);
	assert_true(s.accepted && !s.product && s.updated_at == 5);
	assert_string_equal(s.scope, "a");
	assert_string_equal(s.plan, "p");
	assert_string_equal(s.status, "ACCEPTED");
	map_subscription_reset(&s);
	assert_int_equal(map_subscription_read(kit_text(SUB("")), &s, &e), 0);
	assert_null(s.status);
	assert_false(s.accepted);
	map_subscription_reset(&s);
	assert_int_equal(map_subscription_read(kit_text(SUB(",\"status\":\"ODD\"")), &s, &e),
			 ERR_PARSE);
	assert_int_equal(map_subscription_read(kit_text(SUB(",\"referenceType\":\"X\"")), &s, &e),
			 ERR_PARSE);
	assert_int_equal(map_subscription_read(kit_text("{\"id\":\"s\",\"plan\":\"p\"}"), &s, &e),
			 ERR_PARSE);
	assert_int_equal(
		map_key_read(kit_text(KEY(",\"subscriptions\":[\"s\",\"t\"],\"paused\":true")), &k,
			     &e),
		0);
	assert_int_equal(k.subscriptions.n, 2);
	assert_string_equal(k.subscriptions.v[1], "t");
	assert_true(k.paused && !k.revoked && !k.federated);
	map_key_reset(&k);
	assert_int_equal(map_key_read(kit_text(KEY(",\"subscription\":\"old\"")), &k, &e), 0);
	assert_int_equal(k.subscriptions.n, 1);
	assert_string_equal(k.subscriptions.v[0], "old");
	map_key_reset(&k);
	assert_int_equal(map_key_read(kit_text(KEY(",\"subscriptions\":[1]")), &k, &e), ERR_PARSE);
	assert_int_equal(map_key_read(kit_text(KEY(",\"revoked\":\"no\"")), &k, &e), ERR_PARSE);
}

static void check_key(const char *row, const char *subscription, enum map_outcome outcome,
		      const char *reason)
{
	struct map_out out = { 0 };
	struct err e = { 0 };

	if (kit_apikey(kit_text(row), kit_text(subscription), 0, &out, &e) < 0)
		fail_msg("%s: %s", row, e.text);
	assert_int_equal(out.outcome, outcome);
	if (reason == NULL)
		assert_null(out.reason);
	else
		assert_string_equal(out.reason, reason);
	if (outcome == MAP_EVENT)
		assert_int_equal(out.ev.action, reason == NULL ? ACTION_DEPLOY : ACTION_UNDEPLOY);
	map_out_reset(&out);
}

#define OF_S ",\"subscriptions\":[\"s\"]"
#define LIVE ",\"status\":\"ACCEPTED\""

static void keys_map_with_their_subscription_only(void **state)
{
	UNUSED(state);
	check_key(KEY(OF_S), SUB(LIVE), MAP_EVENT, NULL);
	check_key(KEY(",\"subscriptions\":[\"t\"]"), SUB(LIVE), MAP_NOTHING,
		  "the key is not of this subscription");
	check_key(KEY(OF_S ",\"federated\":true"), SUB(LIVE), MAP_NOTHING,
		  "federated keys are not distributed");
	check_key(KEY(OF_S), SUB(LIVE ",\"referenceType\":\"API_PRODUCT\",\"referenceId\":\"x\""),
		  MAP_NOTHING, "product is not deployed");
}

static void withdrawal_passes_though_the_rest_is_broken(void **state)
{
	struct map_out out = { 0 };
	struct err e = { 0 };

	UNUSED(state);
	check_key(KEY(OF_S ",\"revoked\":true,\"expireAt\":\"never\""), SUB(LIVE), MAP_EVENT,
		  "not active");
	assert_int_equal(kit_apikey(kit_text(KEY(OF_S ",\"expireAt\":\"never\"")),
				    kit_text(SUB(LIVE)), 0, &out, &e),
			 ERR_PARSE);
	assert_int_equal(map_subscription(kit_text(SUB(",\"status\":\"CLOSED\",\"metadata\":[]")),
					  0, &out, &e),
			 0);
	assert_int_equal(out.ev.action, ACTION_UNDEPLOY);
	assert_string_equal(out.ev.version, "5");
	map_out_reset(&out);
	assert_int_equal(map_subscription(kit_text(SUB(LIVE ",\"metadata\":[]")), 0, &out, &e),
			 ERR_PARSE);
	assert_int_equal(map_subscription(kit_text(SUB(LIVE ",\"type\":\"X\"")), 0, &out, &e),
			 ERR_PARSE);
}

static void subscription_configuration_is_written_or_left_out(void **state)
{
	static const char row[] = SUB(
		LIVE
		",\"metadata\":{\"n\":null,\"i\":1,\"s\":\"x\"},\"configuration\":"
		"\"{ \\\"entrypointConfiguration\\\" : null, \\\"channel\\\":\\\"c\\\",\\\"other\\\":1}\"");
	struct map_out out = { 0 };

	UNUSED(state);
	assert_int_equal(map_subscription(kit_text(row), 0, &out, NULL), 0);
	assert_true(payload_equals(
		&out, "{\"id\":\"s\",\"api\":\"a\",\"plan\":\"p\",\"status\":\"ACCEPTED\","
		      "\"consumerStatus\":\"STARTED\",\"configuration\":{\"channel\":\"c\"},"
		      "\"metadata\":{\"i\":\"1\",\"s\":\"x\"},\"type\":\"STANDARD\","
		      "\"forceDispatch\":false}"));
	map_out_reset(&out);
}

#define FLOW(id, consumers) "{\"id\":\"" id "\",\"consumers\":" consumers "}"
#define CONSUMER(tag, type) "{\"consumerId\":\"" tag "\",\"consumerType\":\"" type "\"}"

static void check_flows(const char *tags, const char *want)
{
	struct map_ctx *ctx = kit_context(tags);
	struct map_out out = { 0 };
	struct buf row = { 0 };
	struct buf seen = { 0 };
	struct json_iter it;

	buf_adds(&row, "{\"type\":\"PUBLISH_ORGANIZATION\",\"updatedAt\":1");
	json_add_str(
		&row, "payload",
		"{\"id\":\"O\",\"flows\":[" FLOW("all", "[]") "," FLOW("none", "null") "," FLOW(
			"eu",
			"[" CONSUMER(
				"EU",
				"TAG") "]") "," FLOW("us",
						     "[" CONSUMER(
							     "us",
							     "TAG") "]") "," FLOW("other",
										  "[" CONSUMER(
											  "eu",
											  "APPLICATION") "]") "]}");
	buf_addc(&row, '}');
	assert_int_equal(map_event(ctx, (struct json_span){ row.data, row.len }, &out, NULL), 0);
	json_iter_init(&it, json_get(json_get(payload_of(&out), "definition"), "flows"));
	while (json_next(&it)) {
		json_unescape(json_get(it.value, "id"), &seen);
		buf_addc(&seen, ' ');
	}
	assert_string_equal(buf_cstr(&seen), want);
	buf_reset(&seen);
	buf_reset(&row);
	map_out_reset(&out);
	map_ctx_free(&ctx);
}

static void organization_flows_follow_the_tags(void **state)
{
	UNUSED(state);
	check_flows("", "all none eu us other ");
	check_flows("eu", "all none eu ");
	check_flows("!us", "all none eu other ");
}

static void other_rows_map_to_nothing_with_a_reason(void **state)
{
	struct map_ctx *ctx = kit_context("");
	struct map_out out = { 0 };
	struct err e = { 0 };

	UNUSED(state);
	assert_int_equal(map_event(ctx, kit_text("{\"type\":\"START_DICTIONARY\"}"), &out, &e), 0);
	assert_int_equal(out.outcome, MAP_NOTHING);
	assert_non_null(out.reason);
	assert_int_equal(map_event(ctx, kit_text("{\"type\":7}"), &out, &e), ERR_PARSE);
	assert_int_equal(map_event(ctx, kit_text("[]"), &out, &e), ERR_PARSE);
	assert_int_equal(map_event(ctx,
				   kit_text("{\"type\":\"UNPUBLISH_API\",\"updatedAt\":\"x\","
					    "\"properties\":{\"api_id\":\"a\"}}"),
				   &out, &e),
			 ERR_PARSE);
	assert_int_equal(
		places_add(map_places(ctx), PLACE_ENVIRONMENT, kit_text("{\"id\":\"\"}"), &e),
		ERR_PARSE);
	assert_int_equal(places_add(map_places(ctx), PLACE_ORGANIZATION,
				    kit_text("{\"id\":\"o\",\"hrids\":[1]}"), &e),
			 ERR_PARSE);
	kit_place(ctx, PLACE_ORGANIZATION, "{\"id\":\"o\",\"hrids\":[]}");
	map_ctx_free(&ctx);
	map_ctx_free(&ctx);
}

static void a_row_says_what_it_is_about_without_its_payload(void **state)
{
	static const struct {
		const char *row;
		int rc;
		const char *id; /* NULL: nothing, or an error */
		enum kind kind;
		bool withdraws;
	} cases[] = {
		{ "{\"type\":\"PUBLISH_API\",\"properties\":{\"api_id\":\"a\"},\"id\":\"b\"}", 0,
		  "a", KIND_API, false },
		{ "{\"type\":\"START_API\",\"id\":\"b\"}", 0, "b", KIND_API, false },
		{ "{\"type\":\"UNPUBLISH_API\",\"properties\":{},\"id\":\"b\"}", 0, "b", KIND_API,
		  true },
		{ "{\"type\":\"STOP_API\",\"properties\":null,\"id\":\"b\"}", 0, "b", KIND_API,
		  true },
		{ "{\"type\":\"PUBLISH_DICTIONARY\",\"properties\":{\"dictionary_id\":\"d\"}}", 0,
		  "d", KIND_DICTIONARY, false },
		{ "{\"type\":\"UNPUBLISH_DICTIONARY\",\"id\":\"d\"}", 0, "d", KIND_DICTIONARY,
		  true },
		{ "{\"type\":\"PUBLISH_ORGANIZATION\",\"id\":\"o\"}", 0, "o", KIND_ORGANIZATION,
		  false },
		{ "{\"type\":\"DEPLOY_SHARED_POLICY_GROUP\",\"id\":\"x\",\"properties\":{"
		  "\"shared_policy_group_id\":\"cross\"}}",
		  0, "cross", KIND_SHARED_POLICY_GROUP, false },
		{ "{\"type\":\"UNDEPLOY_SHARED_POLICY_GROUP\",\"id\":\"x\",\"properties\":{"
		  "\"shared_policy_group_id\":\"cross\"}}",
		  0, "cross", KIND_SHARED_POLICY_GROUP, true },
		{ "{\"type\":\"PUBLISH_AUTHZ_ENTITY\",\"id\":\"x\"}", 0, NULL, KIND_API, false },
		{ "{\"type\":\"START_DICTIONARY\",\"id\":\"d-dynamic\"}", 0, NULL, KIND_API,
		  false },
		{ "{\"type\":\"GATEWAY_STARTED\",\"id\":5}", 0, NULL, KIND_API, false },
		{ "{\"type\":\"publish_api\",\"id\":\"a\"}", 0, NULL, KIND_API, false },
		{ "{\"type\":\"PUBLISH_API\"}", ERR_PARSE, NULL, KIND_API, false },
		{ "{\"type\":\"PUBLISH_API\",\"properties\":{\"api_id\":5},\"id\":\"a\"}",
		  ERR_PARSE, NULL, KIND_API, false },
		{ "{\"type\":\"PUBLISH_API\",\"properties\":\"none\",\"id\":\"a\"}", ERR_PARSE,
		  NULL, KIND_API, false },
		{ "{\"type\":5,\"id\":\"a\"}", ERR_PARSE, NULL, KIND_API, false },
		{ "{\"id\":\"a\"}", ERR_PARSE, NULL, KIND_API, false },
		{ "[]", ERR_PARSE, NULL, KIND_API, false },
		{ "{\"type\":\"PUBLISH_API\",", ERR_PARSE, NULL, KIND_API, false },
	};
	struct map_ctx *ctx = kit_context("");
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct map_about about = { 0 };
		struct err e = { 0 };

		assert_int_equal(map_event_about(ctx, kit_text(cases[i].row), &about, &e),
				 cases[i].rc);
		assert_int_equal(about.outcome, cases[i].id == NULL ? MAP_NOTHING : MAP_EVENT);
		if (cases[i].id != NULL) {
			assert_string_equal(about.id, cases[i].id);
			assert_int_equal(about.kind, cases[i].kind);
			assert_int_equal(about.withdraws, cases[i].withdraws);
			assert_int_equal(map_own_id(about.kind),
					 cases[i].kind != KIND_SHARED_POLICY_GROUP);
		}
		mem_free(about.id);
	}
	map_ctx_free(&ctx);
}

/* The APIs of a product, as a list; the event's payload is `product`. */
static void an_unread_product_goes_before_a_lost_one(void **state)
{
	const struct map_out fine = { 0 };
	const struct map_out api = { .ineligible = true };
	const struct map_unsure none = { 0 };
	const struct map_unsure doubt = { .doubt = true, .lost = true };
	const struct map_unsure lost = { .lost = true };

	UNUSED(state);
	assert_int_equal(map_judge(&doubt, &fine, true), MAP_SAY);
	assert_int_equal(map_judge(&doubt, &api, true), MAP_DOUBT);
	assert_int_equal(map_judge(&lost, &api, false), MAP_LOST);
	assert_int_equal(map_judge(&none, &api, true), MAP_LOST);
	assert_int_equal(map_judge(&none, &api, false), MAP_SAY);
}

static void set_product(struct map_ctx *ctx, const char *id, const char *product, const char *want)
{
	struct map_ids apis = { 0 };
	struct map_ids changed = { 0 };
	struct buf b = { 0 };
	size_t i;

	assert_int_equal(map_members_read(kit_text(product), &apis, NULL), 0);
	map_ctx_set_product(ctx, id, &apis, &changed);
	assert_int_equal(apis.n, 0);
	for (i = 0; i < changed.n; i++)
		buf_printf(&b, "%s ", changed.v[i]);
	assert_string_equal(buf_cstr(&b), want);
	buf_reset(&b);
	map_ids_reset(&changed);
}

#define P(apis, plans) "{\"id\":\"p\",\"apiIds\":[" apis "],\"plans\":[" plans "]}"

static void membership_changes_with_the_first_and_the_last_product(void **state)
{
	struct map_ctx *ctx = kit_context("");
	char *none = map_ctx_members_digest(ctx);
	char *two;
	char *now;

	UNUSED(state);
	set_product(ctx, "p", P("\"a\",\"b\"", "{}"), "a b ");
	two = map_ctx_members_digest(ctx);
	assert_string_not_equal(none, two);
	set_product(ctx, "q", P("\"b\",\"c\",\"c\"", "{}"), "c ");
	set_product(ctx, "p", P("\"b\"", "{}"), "a ");
	set_product(ctx, "q", P("\"b\",\"a\"", "{}"), "a c ");
	now = map_ctx_members_digest(ctx); /* a and b again, by other products */
	assert_string_equal(now, two);
	mem_free(now);
	set_product(ctx, "p", P("\"b\"", ""), ""); /* without plans it makes nothing eligible */
	set_product(ctx, "q", "{}", "b a ");
	set_product(ctx, "q", "{}", "");
	now = map_ctx_members_digest(ctx);
	assert_string_equal(now, none);
	mem_free(now);
	mem_free(none);
	mem_free(two);
	map_ctx_free(&ctx);
}

static void unreadable_products_say_why(void **state)
{
	static const struct {
		const char *payload, *why;
	} cases[] = {
		{ "{", "payload" },
		{ "{\\\"name\\\":\\\"n\\\"}", "API product id" },
		{ "{\\\"id\\\":\\\"p\\\",\\\"apiIds\\\":7}", "apiIds" },
		{ "{\\\"id\\\":\\\"p\\\",\\\"apiIds\\\":[7]}", "apiIds" },
		{ "{\\\"id\\\":\\\"p\\\",\\\"apiIds\\\":[null]}", "apiIds" },
		{ "{\\\"id\\\":\\\"p\\\",\\\"plans\\\":{}}", "plans" },
		{ "{\\\"id\\\":\\\"p\\\",\\\"plans\\\":[1]}", "plan" },
		{ "{\\\"id\\\":\\\"p\\\",\\\"name\\\":[]}", "name" },
		{ "{\\\"id\\\":\\\"p\\\",\\\"environmentId\\\":{}}", "environmentId" },
	};
	struct map_ctx *ctx = kit_context("");
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		char *row = mem_printf(
			"{\"type\":\"DEPLOY_API_PRODUCT\",\"updatedAt\":1,\"payload\":\"%s\"}",
			cases[i].payload);
		struct map_out out = { 0 };
		struct err e = { 0 };

		assert_int_equal(map_event(ctx, kit_text(row), &out, &e), ERR_PARSE);
		if (strstr(e.text, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].payload, e.text);
		mem_free(row);
	}
	map_ctx_free(&ctx);
}

static void a_product_without_an_api_has_no_plan_to_subscribe_to(void **state)
{
	struct map_plans plans = { 0 };
	const char *plan = "{\"id\":\"k\",\"security\":{\"type\":\"api-key\"}}";
	char *with = mem_printf("{\"apiIds\":[\"a\"],\"plans\":[%s]}", plan);
	char *without = mem_printf("{\"apiIds\":[],\"plans\":[%s]}", plan);

	UNUSED(state);
	assert_int_equal(map_plans_read(KIND_API_PRODUCT, kit_text(with), &plans, NULL), 0);
	assert_int_equal(plans.n, 1);
	assert_string_equal(plans.v[0].id, "k");
	assert_true(plans.v[0].apikey);
	map_plans_reset(&plans);
	assert_int_equal(map_plans_read(KIND_API_PRODUCT, kit_text(without), &plans, NULL), 0);
	assert_int_equal(plans.n, 0);
	mem_free(with);
	mem_free(without);
}

static void every_type_that_is_mapped_is_among_all(void **state)
{
	size_t n = 0;
	size_t all = 0;
	const char *const *types = map_event_types(MAP_TYPES_MAPPED, &n);
	struct map_ctx *ctx = kit_context("");
	size_t i;

	UNUSED(state);
	(void)map_event_types(MAP_TYPES_ALL, &all);
	assert_true(n < all);
	map_ctx_set_authz(ctx, true);
	for (i = 0; i < n; i++) {
		char *row = mem_printf("{\"type\":\"%s\",\"id\":\"x\"}", types[i]);
		struct map_about about = { 0 };

		assert_int_equal(map_event_about(ctx, kit_text(row), &about, NULL), 0);
		assert_int_equal(about.outcome, MAP_EVENT);
		mem_free(about.id);
		mem_free(row);
	}
	map_ctx_free(&ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bare_file_has_every_default),
		cmocka_unit_test(revision_changes_exactly_with_the_content),
		cmocka_unit_test(file_members_go_before_defaults),
		cmocka_unit_test(file_that_is_not_started_withdraws),
		cmocka_unit_test(unreadable_files_say_why),
		cmocka_unit_test(what_could_not_be_read_again_is_refused),
		cmocka_unit_test(ids_are_bounded_and_printable),
		cmocka_unit_test(properties_open_only_with_the_secret),
		cmocka_unit_test(tags_fold_as_the_collator_does),
		cmocka_unit_test(subscribable_plans_are_told_apart),
		cmocka_unit_test(facts_of_subscriptions_and_keys),
		cmocka_unit_test(keys_map_with_their_subscription_only),
		cmocka_unit_test(withdrawal_passes_though_the_rest_is_broken),
		cmocka_unit_test(subscription_configuration_is_written_or_left_out),
		cmocka_unit_test(organization_flows_follow_the_tags),
		cmocka_unit_test(other_rows_map_to_nothing_with_a_reason),
		cmocka_unit_test(a_row_says_what_it_is_about_without_its_payload),
		cmocka_unit_test(membership_changes_with_the_first_and_the_last_product),
		cmocka_unit_test(unreadable_products_say_why),
		cmocka_unit_test(a_product_without_an_api_has_no_plan_to_subscribe_to),
		cmocka_unit_test(an_unread_product_goes_before_a_lost_one),
		cmocka_unit_test(every_type_that_is_mapped_is_among_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
