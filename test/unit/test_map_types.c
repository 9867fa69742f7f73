/* SPDX-License-Identifier: Apache-2.0 */
/* The types of entities that are no API, subscription or key: what the vectors do not show. */
#include "test/unit/map_kit.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/plain.h"

static void payload_is(const struct map_out *out, const char *want)
{
	if (out->ev.payload.len != strlen(want) ||
	    (want[0] != '\0' && memcmp(out->ev.payload.data, want, out->ev.payload.len) != 0))
		fail_msg("%.*s\n is not\n%s", (int)out->ev.payload.len,
			 out->ev.payload.data == NULL ? "" : out->ev.payload.data, want);
}

static char *event_row(const char *type, const char *payload, const char *properties)
{
	struct buf b = { 0 };

	buf_printf(&b, "{\"id\":\"row\",\"type\":\"%s\",\"createdAt\":5,\"updatedAt\":6", type);
	if (payload != NULL) {
		buf_adds(&b, ",\"payload\":");
		json_write_string(&b, payload, strlen(payload));
	}
	if (properties != NULL)
		buf_printf(&b, ",\"properties\":%s", properties);
	buf_addc(&b, '}');
	return buf_take(&b);
}

static struct map_ctx *authz_context(void)
{
	struct map_ctx *ctx = kit_context("");

	map_ctx_set_authz(ctx, true);
	return ctx;
}

static int map_one(const char *type, const char *payload, const char *properties,
		   struct map_out *out, struct err *e)
{
	struct map_ctx *ctx = authz_context();
	char *row = event_row(type, payload, properties);
	int rc = map_event(ctx, kit_text(row), out, e);

	mem_free(row);
	map_ctx_free(&ctx);
	return rc;
}

static void maps_to(const char *type, const char *payload, enum kind k, const char *id,
		    const char *want)
{
	struct map_out out = { 0 };
	struct err e = { 0 };

	if (map_one(type, payload, "{}", &out, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(out.ev.kind, k);
	assert_int_equal(out.ev.action, ACTION_DEPLOY);
	assert_string_equal(out.ev.id, id);
	assert_string_equal(out.ev.version, "6");
	payload_is(&out, want);
	map_out_reset(&out);
}

static void refuses(const char *type, const char *payload, const char *says)
{
	struct map_out out = { 0 };
	struct err e = { 0 };

	assert_int_equal(map_one(type, payload, "{}", &out, &e), ERR_PARSE);
	if (strstr(e.text, says) == NULL)
		fail_msg("'%s' does not say '%s'", e.text, says);
	assert_int_equal(out.outcome, MAP_NOTHING);
}

static void authz_entities_keep_what_readers_know(void **state)
{
	static const char type[] = "PUBLISH_AUTHZ_ENTITY";

	UNUSED(state);
	maps_to(type,
		"{\"id\":\"u\",\"entityId\":\"api.orders\",\"kind\":\"RESOURCE\",\"attributes\":{\"n\":1.50},"
		"\"parents\":[\"Group::\\\"apis\\\"\"],\"entityType\":\"Api\",\"source\":\"apim\","
		"\"environmentId\":\"E\",\"updatedAt\":\"2026-01-01T00:00:00Z\",\"targetPdpIds\":[\"p\"]}",
		KIND_AUTHZ_ENTITY, "api.orders",
		"{\"entityId\":\"api.orders\",\"kind\":\"RESOURCE\",\"attributes\":{\"n\":1.50},"
		"\"parents\":[\"Group::\\\"apis\\\"\"],\"entityType\":\"Api\",\"environmentId\":\"E\","
		"\"targetPdpIds\":[\"p\"]}");
	maps_to(type, "{\"entityId\":\"x\",\"kind\":\"principal\",\"entityType\":null}",
		KIND_AUTHZ_ENTITY, "x", "{\"entityId\":\"x\",\"kind\":\"principal\"}");
	refuses(type, "{\"kind\":\"RESOURCE\"}", "entityId");
	refuses(type, "{\"entityId\":\"x\"}", "kind");
	refuses(type, "{\"entityId\":\"x\",\"kind\":\"GLOBAL\"}", "kind");
	refuses(type, "{\"entityId\":\"x\",\"kind\":\"RESOURCE\",\"attributes\":[]}", "attributes");
	refuses(type, "{\"entityId\":\"x\",\"kind\":\"RESOURCE\",\"parents\":{}}", "parents");
	refuses(type, "{\"entityId\":\"x\",\"kind\":\"RESOURCE\",\"entityType\":[]}", "entityType");
	refuses(type, "nonsense", "payload");
}

static void authz_policies_keep_what_readers_know(void **state)
{
	static const char type[] = "PUBLISH_AUTHZ_POLICY";

	UNUSED(state);
	maps_to(type,
		"{\"policyText\":\"permit(principal, action, resource);\",\"name\":\"n\",\"id\":\"p\","
		"\"kind\":\"GLOBAL\",\"entityId\":null,\"updatedAt\":\"x\"}",
		KIND_AUTHZ_POLICY, "p",
		"{\"id\":\"p\",\"name\":\"n\",\"kind\":\"GLOBAL\","
		"\"policyText\":\"permit(principal, action, resource);\"}");
	refuses(type, "{\"kind\":\"GLOBAL\",\"policyText\":\"x\"}", "id");
	refuses(type, "{\"id\":\"p\",\"policyText\":\"x\"}", "kind");
	refuses(type, "{\"id\":\"p\",\"kind\":\"GLOBAL\",\"policyText\":\" \\n\"}", "policyText");
	refuses(type, "{\"id\":\"p\",\"kind\":\"RESOURCE\",\"policyText\":\"x\"}", "entityId");
}

static void authz_is_nothing_unless_it_is_asked_for(void **state)
{
	static const char *const types[] = { "PUBLISH_AUTHZ_ENTITY", "UNPUBLISH_AUTHZ_ENTITY",
					     "PUBLISH_AUTHZ_POLICY", "UNPUBLISH_AUTHZ_POLICY" };
	struct map_ctx *ctx = kit_context("");
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(types); i++) {
		char *row = event_row(types[i], "nonsense", "{\"authz_entity_id\":\"e\"}");
		struct map_about about = { 0 };
		struct map_out out = { 0 };

		assert_int_equal(map_event(ctx, kit_text(row), &out, NULL), 0);
		assert_int_equal(out.outcome, MAP_NOTHING);
		assert_non_null(out.reason);
		assert_int_equal(map_event_about(ctx, kit_text(row), &about, NULL), 0);
		assert_int_equal(about.outcome, MAP_NOTHING);
		mem_free(row);
	}
	map_ctx_free(&ctx);
}

/* A row's id is not the entity's: the property names what is withdrawn. */
static void a_withdrawal_needs_the_property_alone(void **state)
{
	static const struct {
		const char *type, *property;
		enum kind kind;
	} cases[] = {
		{ "UNDEPLOY_SHARED_POLICY_GROUP", "shared_policy_group_id",
		  KIND_SHARED_POLICY_GROUP },
		{ "UNPUBLISH_AUTHZ_ENTITY", "authz_entity_id", KIND_AUTHZ_ENTITY },
		{ "UNPUBLISH_AUTHZ_POLICY", "authz_policy_id", KIND_AUTHZ_POLICY },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		char *properties = mem_printf("{\"%s\":\"e\"}", cases[i].property);
		struct map_out out = { 0 };
		struct err e = { 0 };

		assert_int_equal(map_one(cases[i].type, "nonsense", properties, &out, &e), 0);
		assert_int_equal(out.ev.kind, cases[i].kind);
		assert_int_equal(out.ev.action, ACTION_UNDEPLOY);
		assert_string_equal(out.ev.id, "e");
		assert_int_equal(out.ev.payload.len, 0);
		map_out_reset(&out);
		assert_int_equal(map_one(cases[i].type, NULL, "{}", &out, &e), ERR_PARSE);
		assert_non_null(strstr(e.text, cases[i].property));
		mem_free(properties);
	}
}

static void steps_of_shared_policy_groups_are_what_the_reference_knows(void **state)
{
	static const char type[] = "DEPLOY_SHARED_POLICY_GROUP";

	UNUSED(state);
	maps_to(type,
		"{\"id\":\"g\",\"environmentId\":\"E\",\"version\":3,\"crossId\":\"x\",\"policies\":"
		"[{\"configuration\":{\"n\" : 1.50,\"s\":\"\\u0041\"},\"zz\":[null],\"name\":null},"
		"{\"enabled\":null,\"policy\":\"p\",\"name\":\"n\",\"messageCondition\":\"m\",\"configuration\":null}],"
		"\"deployedAt\":7}",
		KIND_SHARED_POLICY_GROUP, "g",
		"{\"id\":\"g\",\"environmentId\":\"E\",\"definition\":{\"id\":\"g\",\"environmentId\":\"E\","
		"\"version\":\"3\",\"policies\":[{\"enabled\":true,\"configuration\":{\"n\":1.50,\"s\":\"\\u0041\"}},"
		"{\"name\":\"n\",\"enabled\":false,\"policy\":\"p\",\"configuration\":null,\"messageCondition\":\"m\"}],"
		"\"deployedAt\":7},\"deployedAt\":7}");
	refuses(type, "{\"name\":\"g\"}", "id");
	refuses(type, "{\"id\":\"g\",\"policies\":{}}", "policies");
	refuses(type, "{\"id\":\"g\",\"policies\":[{\"enabled\":\"x\"}]}", "policies[0].enabled");
	refuses(type, "{\"id\":\"g\",\"deployedAt\":\"soon\"}", "deployedAt");
	refuses(type, "{\"id\":\"g\",\"phase\":[]}", "phase");
	refuses(type, "{", "payload");
}

#define FLOW_AS(more) "{\"id\":\"o\",\"flows\":[{" more "}]}"
#define FLOW_TAIL     "\"consumers\":[],\"methods\":[],\"pre\":[],\"post\":[],\"enabled\":true"
#define DEFAULT_PATH  "\"path-operator\":{\"path\":\"\",\"operator\":\"STARTS_WITH\"},"

/* What the reference's own classes (definition model 4.9) made of each. */
static void organizations_are_written_as_the_reference_writes_them(void **state)
{
	static const struct {
		const char *payload, *definition;
	} cases[] = {
		{ "{\"id\":\"o\"}", "\"flows\":[]" },
		{ "{\"id\":\"o\",\"flows\":null,\"name\":null,\"zz\":1}", "" },
		{ FLOW_AS("\"name\":null,\"condition\":null,\"zz\":{\"a\":null}"),
		  "\"flows\":[{\"id\":null," DEFAULT_PATH FLOW_TAIL "}]" },
		{ FLOW_AS("\"id\":\"\",\"path-operator\":null,\"consumers\":null,\"methods\":null,"
			  "\"pre\":null,\"post\":null,\"enabled\":null"),
		  "\"flows\":[{\"id\":null," FLOW_TAIL "}]" },
		{ FLOW_AS("\"id\":\"f\",\"name\":7,\"condition\":\"\",\"path-operator\":{\"path\":\"/\","
			  "\"operator\":\"equals\",\"zz\":1}"),
		  "\"flows\":[{\"id\":\"f\",\"name\":\"7\",\"path-operator\":{\"path\":\"/\",\"operator\":"
		  "\"EQUALS\"},\"condition\":\"\"," FLOW_TAIL "}]" },
		{ FLOW_AS("\"path-operator\":{\"path\":null,\"operator\":null},\"enabled\":\"false\","
			  "\"consumers\":[{},{\"consumerId\":null,\"consumerType\":null,\"x\":1}]"),
		  "\"flows\":[{\"id\":null,\"path-operator\":{},\"consumers\":[{\"consumerId\":\"null\","
		  "\"consumerType\":\"TAG\"}],\"methods\":[],\"pre\":[],\"post\":[],\"enabled\":false}]" },
		{ FLOW_AS("\"pre\":[{\"policy\":\"p\",\"configuration\":null,\"zz\":1,\"description\":null},"
			  "{\"name\":null,\"policy\":\"p\",\"configuration\":[ 1 ],\"condition\":\"c\","
			  "\"description\":\"d\",\"enabled\":0}],\"enabled\":\"x\""),
		  "\"flows\":[{\"id\":null," DEFAULT_PATH
		  "\"consumers\":[],\"methods\":[],\"pre\":[{\"name\":\"\","
		  "\"enabled\":true,\"policy\":\"p\",\"configuration\":null},{\"name\":\"null\",\"description\":"
		  "\"d\",\"enabled\":false,\"policy\":\"p\",\"condition\":\"c\",\"configuration\":[1]}],"
		  "\"post\":[],\"enabled\":true}]" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf want = { 0 };

		buf_printf(&want,
			   "{\"definition\":{\"id\":\"o\"%s%s},\"enabled\":true,\"deployedAt\":5}",
			   cases[i].definition[0] == '\0' ? "" : ",", cases[i].definition);
		maps_to("PUBLISH_ORGANIZATION", cases[i].payload, KIND_ORGANIZATION, "o",
			buf_cstr(&want));
		buf_reset(&want);
	}
	refuses("PUBLISH_ORGANIZATION", FLOW_AS("\"pre\":[{\"policy\":\"p\"}]"), "configuration");
}

static void licenses_are_bytes(void **state)
{
	static const struct {
		const char *row, *want;
	} cases[] = {
		{ "{\"referenceId\":\"o\",\"license\":\"bGlj\\nZW5j\",\"updatedAt\":6}",
		  "bGlj\nZW5j" },
		{ "{\"id\":\"o\",\"license\":\"{broken\",\"updatedAt\":6}", "{broken" },
		{ "{\"id\":\"o\",\"license\":\"\\u00e9 \\\\\",\"updatedAt\":6}", "\xc3\xa9 \\" },
		{ "{\"id\":\"o\",\"license\":null,\"updatedAt\":6}", "" },
		{ "{\"id\":\"o\",\"updatedAt\":6}", "" },
	};
	static const char *const bad[] = { "{\"id\":\"o\",\"license\":5}",
					   "{\"id\":\"o\",\"license\":{}}",
					   "{\"license\":\"x\"}",
					   "{\"id\":5,\"license\":\"x\"}",
					   "{\"id\":\"o\",\"updatedAt\":\"x\"}",
					   "[]" };
	struct map_out out = { 0 };
	struct err e = { 0 };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(map_license(kit_text(cases[i].row), &out, &e), 0);
		assert_int_equal(out.ev.kind, KIND_LICENSE);
		assert_int_equal(out.ev.action, ACTION_DEPLOY);
		assert_string_equal(out.ev.id, "o");
		assert_string_equal(out.ev.version, "6");
		payload_is(&out, cases[i].want);
		map_out_reset(&out);
	}
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		e = (struct err){ 0 };
		assert_int_equal(map_license(kit_text(bad[i]), &out, &e), ERR_PARSE);
		assert_true(e.text[0] != '\0');
		assert_int_equal(out.outcome, MAP_NOTHING);
	}
}

static void access_points_are_of_gateways_and_environments(void **state)
{
	static const struct {
		const char *row, *reason; /* NULL: deployed */
	} cases[] = {
		{ "{\"id\":\"p\",\"environmentId\":\"E\",\"host\":\"h\",\"target\":\"GATEWAY\"}",
		  NULL },
		{ "{\"id\":\"p\",\"referenceId\":\"E\",\"referenceType\":\"ENVIRONMENT\",\"host\":\"h\","
		  "\"target\":\"KAFKA_GATEWAY\",\"status\":\"CREATED\"}",
		  NULL },
		{ "{\"id\":\"p\",\"referenceId\":\"E\",\"host\":\"h\",\"target\":\"GATEWAY\","
		  "\"status\":\"DELETED\"}",
		  "deleted" },
		{ "{\"id\":\"p\",\"referenceId\":\"O\",\"referenceType\":\"ORGANIZATION\",\"host\":\"h\","
		  "\"target\":\"GATEWAY\"}",
		  "it is of no environment" },
		{ "{\"id\":\"p\",\"referenceId\":\"E\",\"host\":\"h\",\"target\":\"PORTAL\"}",
		  "its target is no gateway" },
	};
	static const struct {
		const char *row, *says;
	} bad[] = {
		{ "{\"id\":\"p\",\"referenceId\":\"E\",\"host\":\"h\",\"target\":\"MOON\"}",
		  "target" },
		{ "{\"id\":\"p\",\"referenceId\":\"E\",\"host\":\"h\"}", "target" },
		{ "{\"id\":\"p\",\"referenceId\":\"E\",\"target\":\"GATEWAY\"}", "host" },
		{ "{\"id\":\"p\",\"referenceId\":\"E\",\"host\":5,\"target\":\"GATEWAY\"}",
		  "host" },
		{ "{\"id\":\"p\",\"host\":\"h\",\"target\":\"GATEWAY\"}", "referenceId" },
		{ "{\"id\":\"p\",\"referenceId\":\"E\",\"host\":\"h\",\"target\":\"GATEWAY\",\"status\":\"X\"}",
		  "status" },
		{ "{\"id\":\"p\",\"referenceId\":\"E\",\"host\":\"h\",\"target\":\"GATEWAY\","
		  "\"referenceType\":5}",
		  "referenceType" },
		{ "{\"referenceId\":\"E\",\"host\":\"h\",\"target\":\"GATEWAY\"}", "id" },
	};
	struct map_out out = { 0 };
	struct err e = { 0 };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(map_access_point(kit_text(cases[i].row), &out, &e), 0);
		assert_int_equal(out.ev.action,
				 cases[i].reason == NULL ? ACTION_DEPLOY : ACTION_UNDEPLOY);
		assert_true((out.ev.payload.len > 0) == (cases[i].reason == NULL));
		if (cases[i].reason != NULL)
			assert_string_equal(out.reason, cases[i].reason);
		map_out_reset(&out);
	}
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		e = (struct err){ 0 };
		assert_int_equal(map_access_point(kit_text(bad[i].row), &out, &e), ERR_PARSE);
		if (strstr(e.text, bad[i].says) == NULL)
			fail_msg("'%s' does not say '%s'", e.text, bad[i].says);
		assert_int_equal(out.outcome, MAP_NOTHING);
	}
}

static void node_metadata_has_one_id_for_an_installation(void **state)
{
	char *organizations[] = { "O\"1", "O2" };
	struct map_out a = { 0 };
	struct map_out b = { 0 };
	struct map_out c = { 0 };

	UNUSED(state);
	map_node_metadata("i-1", NULL, 0, &a);
	map_node_metadata("i-1", organizations, 2, &b);
	map_node_metadata("i-2", NULL, 0, &c);
	payload_is(&a, "{\"installationId\":\"i-1\"}");
	payload_is(&b, "{\"organizationIds\":[\"O\\\"1\",\"O2\"],\"installationId\":\"i-1\"}");
	assert_string_equal(a.ev.id, b.ev.id);
	assert_string_not_equal(a.ev.id, c.ev.id);
	assert_string_not_equal(a.ev.version, b.ev.version);
	/* What stands in a zone must be found again by every release. */
	assert_string_equal(a.ev.id, "f0fb80e1-aa5c-8a1f-adab-67b5cb27ecc0");
	map_out_reset(&a);
	map_out_reset(&b);
	map_out_reset(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(authz_entities_keep_what_readers_know),
		cmocka_unit_test(authz_policies_keep_what_readers_know),
		cmocka_unit_test(authz_is_nothing_unless_it_is_asked_for),
		cmocka_unit_test(a_withdrawal_needs_the_property_alone),
		cmocka_unit_test(steps_of_shared_policy_groups_are_what_the_reference_knows),
		cmocka_unit_test(organizations_are_written_as_the_reference_writes_them),
		cmocka_unit_test(licenses_are_bytes),
		cmocka_unit_test(access_points_are_of_gateways_and_environments),
		cmocka_unit_test(node_metadata_has_one_id_for_an_installation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
