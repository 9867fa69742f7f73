/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a gateway reads of a definition and what it does not. Each row was tried on the
 * reference's own reader (definition model 4.9): `says` NULL is what it took.
 */
#include "test/unit/map_kit.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "workers/fetcher/map/readable.h"

#define GROUP4(endpoint) "\"endpointGroups\":[{\"name\":\"g\",\"endpoints\":[{" endpoint "}]}]"
#define PLAN4(more)	 "\"plans\":[{\"id\":\"p\"," more "}]"
#define FLOW4(more)	 "\"flows\":[{" more "}]"
#define LISTENER4(more)	 "\"listeners\":[{" more "}]"

#define HEAD2		    "\"name\":\"n\""
#define PROXY2(more)	    HEAD2 ",\"proxy\":{\"virtual_hosts\":[{\"path\":\"/\"}]," more "}"
#define GROUPS2(groups)	    PROXY2("\"groups\":[" groups "]")
#define SERVICES2(services) GROUPS2("") ",\"services\":{" services "}"
#define END2(name)	    "{\"name\":\"" name "\",\"target\":\"t\"}"

struct row {
	enum definition_kind kind;
	const char *members;
	const char *says;
};

#define V4     DEFINITION_V4_HTTP
#define NATIVE DEFINITION_V4_NATIVE
#define V2     DEFINITION_V2

static const struct row rows[] = {
	/* scalars are taken for what is wanted where they can be */
	{ V4, "\"id\":7,\"name\":true,\"apiVersion\":1.5,\"tags\":[1,null]", NULL },
	{ V4, "\"name\":[]", "definition: name is not text" },
	{ V4, "\"apiVersion\":{}", "apiVersion is not text" },
	{ V4, "\"tags\":\"eu\"", "tags is not an array" },
	{ V4, "\"tags\":[\"a\",[]]", "tags[1] is not text" },
	{ V4, "\"properties\":{}", "properties is not an array" },
	{ V4, "\"properties\":[{\"encrypted\":\" True \",\"dynamic\":1},null]", NULL },
	{ V4, "\"properties\":[{\"key\":{}}]", "properties[0].key is not text" },
	{ V4, "\"properties\":[{\"encrypted\":\"yes\"}]",
	  "properties[0].encrypted is neither true nor false" },
	{ V4, "\"properties\":[{\"dynamic\":1.5}]", "properties[0].dynamic is neither" },
	{ V4, "\"resources\":[{\"enabled\":[]}]", "resources[0].enabled is neither" },
	{ V4, "\"resources\":[\"x\"]", "resources[0] is not an object" },
	{ V4, "\"analytics\":\"\"", "analytics is not an object" },
	{ V4, "\"analytics\":{\"logging\":{\"mode\":{\"endpoint\":\"x\"}}}",
	  "analytics.logging.mode.endpoint is neither" },
	{ V4, "\"responseTemplates\":{\"D\":{\"*/*\":7},\"E\":{}}", NULL },
	{ V4, "\"responseTemplates\":{\"D\":[]}", "responseTemplates.* is not an object" },
	{ V4, "\"services\":{\"dynamicProperty\":{\"enabled\":\"x\"}}",
	  "services.dynamicProperty.enabled is neither" },
	{ V4, "\"unknown\":{\"weight\":[]},\"analytics\":null,\"flows\":null", NULL },

	/* numbers */
	{ V4, GROUP4("\"weight\":\" +07 \""), NULL },
	{ V4, GROUP4("\"weight\":1.9"), NULL },
	{ V4, GROUP4("\"weight\":\"\""), NULL },
	{ V4, GROUP4("\"weight\":null"), NULL },
	{ V4, GROUP4("\"weight\":-2147483648"), NULL },
	{ V4, GROUP4("\"weight\":\"heavy\""),
	  "definition: endpointGroups[0].endpoints[0].weight is not an integer of 32 bits" },
	{ V4, GROUP4("\"weight\":\"1.0\""), "weight is not an integer" },
	{ V4, GROUP4("\"weight\":2147483648"), "weight is not an integer" },
	{ V4, GROUP4("\"weight\":\"2147483648\""), "weight is not an integer" },
	{ V4, GROUP4("\"weight\":true"), "weight is not an integer" },
	{ V4, "\"failover\":{\"slowCallDuration\":99999999999,\"maxRetries\":1}", NULL },
	{ V4, "\"failover\":{\"slowCallDuration\":\"x\"}", "failover.slowCallDuration is not" },
	{ V4, "\"failover\":{\"maxFailures\":99999999999}", "failover.maxFailures is not" },
	{ NATIVE, LISTENER4("\"type\":\"kafka\",\"port\":\"x\""), "listeners[0].port is not" },

	/* words */
	{ V4, PLAN4("\"mode\":\"PUSH\",\"status\":\"Closed\""), NULL },
	{ V4, PLAN4("\"mode\":1,\"status\":\"0\""), NULL },
	{ V4, PLAN4("\"mode\":\"pull\""), "plans[0].mode is none of the words" },
	{ V4, PLAN4("\"status\":true"), "plans[0].status is none of the words" },
	{ V4, "\"endpointGroups\":[{\"loadBalancer\":{\"type\":\"fair\"}}]",
	  "endpointGroups[0].loadBalancer.type is none" },
	{ V4, LISTENER4("\"type\":\"http\",\"entrypoints\":[{\"qos\":\"best\"}]"),
	  "listeners[0].entrypoints[0].qos is none" },
	{ V4, FLOW4("\"selectors\":[{\"type\":\"http\",\"methods\":[\"get\",\"BREW\"]}]"),
	  "flows[0].selectors[0].methods[1] is none" },
	{ V4, FLOW4("\"selectors\":[{\"type\":\"http\",\"pathOperator\":\"LIKE\"}]"), NULL },

	/* listeners and selectors are what their type says */
	{ V4, LISTENER4("\"type\":\"http\",\"hosts\":7"), NULL },
	{ V4, LISTENER4("\"type\":\"tcp\",\"hosts\":7"), "listeners[0].hosts is not an array" },
	{ V4, LISTENER4("\"type\":\"new\",\"paths\":7"), NULL },
	{ V4, LISTENER4("\"type\":\"http\",\"paths\":[\"/a\",{\"path\":[]}]"),
	  "listeners[0].paths[1].path is not text" },
	{ V4, LISTENER4("\"type\":\"subscription\",\"entrypoints\":[{\"dlq\":7}]"),
	  "listeners[0].entrypoints[0].dlq is not an object" },
	{ V4, FLOW4("\"selectors\":[{\"type\":\"channel\",\"operations\":[\"READ\"]}]"),
	  "flows[0].selectors[0].operations[0] is none" },
	{ V4, FLOW4("\"selectors\":[{\"type\":\"condition\",\"condition\":[]}]"),
	  "flows[0].selectors[0].condition is not text" },

	/* plans, flows, steps, endpoints */
	{ V4, "\"plans\":[null]", "plans[0] is null" },
	{ V4, "\"plans\":[{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"a\"}]",
	  "plans[2] has the id of another" },
	{ NATIVE, "\"plans\":[{\"id\":\"a\"},{\"id\":\"a\"}]", "plans[1] has the id of another" },
	{ V4, PLAN4("\"security\":\"key\""), "plans[0].security is not an object" },
	{ V4, PLAN4("\"flows\":[{\"request\":[{\"enabled\":\"x\"}]}]"),
	  "plans[0].flows[0].request[0].enabled is neither" },
	{ V4, FLOW4("\"response\":{}"), "flows[0].response is not an array" },
	{ V4, FLOW4("\"publish\":[{\"policy\":[]}]"), "flows[0].publish[0].policy is not text" },
	{ V4, "\"flowExecution\":{\"matchRequired\":\"x\"}", "flowExecution.matchRequired is" },
	{ V4, GROUP4("\"secondary\":\"x\""), "endpointGroups[0].endpoints[0].secondary is" },
	{ V4, GROUP4("\"services\":{\"healthCheck\":[]}"), "healthCheck is not an object" },
	{ V4, GROUP4("\"configuration\":7,\"sharedConfigurationOverride\":[]"), NULL },
	{ V4,
	  "\"endpointGroups\":[{\"name\":\"a\",\"endpoints\":[" END2("a") "," END2(
		  "a") "]},{\"name\":\"a\"}]",
	  NULL }, /* the management API sees to it: no reader does */

	/* v2: what it needs */
	{ V2, "\"proxy\":{}", "name is missing" },
	{ V2, HEAD2, "proxy is missing" },
	{ V2, "\"name\":7,\"proxy\":{\"context_path\":\"/\"}", NULL },
	{ V2, HEAD2 ",\"proxy\":[]", "proxy is not an object" },
	{ V2, HEAD2 ",\"proxy\":{\"virtual_hosts\":[]}", "proxy has neither virtual_hosts" },
	{ V2, GROUPS2("{\"endpoints\":[{\"name\":\"e\"}]}"),
	  "proxy.groups[0].endpoints[0].target is missing" },
	{ V2, GROUPS2("{\"endpoints\":[{\"target\":\"e\"}]}"),
	  "proxy.groups[0].endpoints[0].name is missing" },
	{ V2, GROUPS2("{\"endpoints\":[{\"name\":\"e\",\"target\":1,\"weight\":\"heavy\"}]}"),
	  NULL },
	{ V2, GROUPS2("null"), "proxy.groups[0] is null" },

	/* v2: names that meet */
	{ V2, GROUPS2("{\"name\":\"g\"},{\"name\":\"G\"}"), NULL },
	{ V2, GROUPS2("{\"name\":\"g\"},{\"name\":\"g\"}"),
	  "proxy.groups[1] has the name of another endpoint or group" },
	{ V2, GROUPS2("{\"name\":1},{\"name\":\"1\"}"), "proxy.groups[1] has the name" },
	{ V2, GROUPS2("{},{\"name\":null}"), "proxy.groups[1] has the name" },
	{ V2, GROUPS2("{\"name\":\"g\",\"endpoints\":[" END2("a") "," END2("a") "]}"),
	  "proxy.groups[0].endpoints[1] has the name" },
	{ V2, GROUPS2("{\"name\":\"g\",\"endpoints\":[" END2("g") "]}"),
	  "proxy.groups[0].endpoints[0] has the name" },
	{ V2,
	  GROUPS2("{\"name\":\"g\",\"endpoints\":[" END2(
		  "a") "]},{\"name\":\"h\",\"endpoints\":[" END2("a") "]}"),
	  "proxy.groups[1].endpoints[0] has the name" },
	{ V2, PROXY2("\"endpoints\":[" END2("default-group") "]"),
	  "proxy.endpoints[0] has the name" },
	{ V2, PROXY2("\"endpoints\":[" END2("a") "],\"groups\":[{},{},null]"), NULL },

	/* v2: words */
	{ V2, GROUPS2("{\"load_balancing\":{\"type\":\"random\"}}"), NULL },
	{ V2, GROUPS2("{\"load_balancing\":{\"type\":\"fair\"}}"),
	  "proxy.groups[0].load_balancing.type is none" },
	{ V2, GROUPS2("{\"http\":{\"version\":\"HTTP_3\"}}"),
	  "proxy.groups[0].http.version is none" },
	{ V2, GROUPS2("{\"proxy\":{\"type\":\"FTP\"}}"), "proxy.groups[0].proxy.type is none" },
	{ V2, PROXY2("\"failover\":{\"cases\":[\"RAIN\"]}"), "proxy.failover.cases[0] is none" },
	{ V2, PROXY2("\"logging\":{\"mode\":\"x\"}"), "proxy.logging.mode is none" },
	{ V2, PROXY2("\"logging\":{\"scope\":null}"), "proxy.logging.scope is none" },
	{ V2, PROXY2("\"logging\":{\"content\":\"x\"}"), "proxy.logging.content is none" },
	{ V2, PROXY2("\"loggingMode\":\"x\""), "proxy.loggingMode is none" },
	{ V2, GROUPS2("") ",\"flow_mode\":\"default\"", "flow_mode is none" },
	{ V2, GROUPS2("") ",\"flows\":[{\"methods\":[\"BREW\"]}]", "flows[0].methods[0] is none" },
	{ V2, GROUPS2("") ",\"flows\":[{\"consumers\":[{\"consumerType\":\"tag\"}]}]",
	  "flows[0].consumers[0].consumerType is none" },
	{ V2, GROUPS2("") ",\"plans\":[{\"flows\":[{\"methods\":[\"BREW\"]}]}]", NULL },
	{ V2, GROUPS2("") ",\"plans\":[{\"flows\":null}]", "plans[0].flows is null" },

	/* v2: services */
	{ V2, SERVICES2("\"dynamic-property\":null,\"health-check\":{\"enabled\":false}"), NULL },
	{ V2, SERVICES2("\"dynamic-property\":{\"configuration\":{}}"),
	  "services.dynamic-property.provider is missing" },
	{ V2, SERVICES2("\"dynamic-property\":{\"provider\":\"consul\",\"configuration\":{}}"),
	  "services.dynamic-property.provider is none" },
	{ V2, SERVICES2("\"dynamic-property\":{\"provider\":\"http\"}"),
	  "services.dynamic-property.configuration is missing" },
	{ V2,
	  SERVICES2("\"dynamic-property\":{\"provider\":\"HTTP\",\"configuration\":{\"url\":1}}"),
	  "services.dynamic-property.configuration.specification is missing" },
	{ V2, SERVICES2("\"health-check\":{\"unit\":\"minutes\"}"), NULL },
	{ V2, SERVICES2("\"health-check\":{\"unit\":\"fortnights\"}"),
	  "services.health-check.unit is none of the words that are known" },
	{ V2, SERVICES2("\"health-check\":{\"unit\":\"fortnights\",\"schedule\":\"* *\"}"), NULL },
	{ V2,
	  GROUPS2("{\"endpoints\":[{\"name\":\"e\",\"target\":1,"
		  "\"healthcheck\":{\"unit\":\"fortnights\"}}]}"),
	  "proxy.groups[0].endpoints[0].healthcheck.unit is none" },
};

static void each_row_is_judged_as_the_reference_does(void **state)
{
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf text = { 0 };
		struct err e = { 0 };
		int rc;

		buf_printf(&text, "{%s}", rows[i].members);
		rc = definition_check(kit_parse(kit_text(buf_cstr(&text))), rows[i].kind, &e);
		if ((rows[i].says == NULL) != (rc == 0) ||
		    (rc < 0 && strstr(e.text, rows[i].says) == NULL))
			fail_msg("%s: %s", text.data, rc < 0 ? e.text : "passes");
		buf_reset(&text);
	}
}

static void plans_of_a_product_are_plans_of_v4(void **state)
{
	struct err e = { 0 };

	UNUSED(state);
	assert_int_equal(definition_check_plans(kit_parse(kit_text("[{\"id\":[]}]")), &e),
			 ERR_PARSE);
	assert_string_equal(e.text, "definition: plans[0].id is not text");
	assert_int_equal(definition_check_plans(kit_parse(kit_text("null")), NULL), 0);
	assert_int_equal(definition_check_plans((struct json_span){ 0 }, NULL), 0);
}

/* A file with one property, and what becomes of that. */
static void check_encrypted(const char *head, const char *property, const char *want)
{
	struct map_ctx *ctx = kit_context("");
	char *text =
		mem_printf("{\"id\":\"a\",\"name\":\"n\",%s,\"plans\":[{\"id\":\"p\",\"status\":"
			   "\"published\"}],\"properties\":[{%s}]}",
			   head, property);
	struct map_out out = { 0 };
	struct buf seen = { 0 };
	struct json_span v;

	assert_int_equal(map_api_file(ctx, kit_text(text), 1, &out, NULL), 0);
	v = kit_parse((struct json_span){ out.ev.payload.data, out.ev.payload.len });
	v = json_get(json_get(v, "definition"), "properties");
	json_compact(v, &seen);
	assert_string_equal(buf_cstr(&seen), want);
	buf_reset(&seen);
	map_out_reset(&out);
	mem_free(text);
	map_ctx_free(&ctx);
}

#define HEAD_V4 "\"definitionVersion\":\"4.0.0\",\"type\":\"proxy\""
#define HEAD_V2 "\"proxy\":{\"context_path\":\"/\"}"

static void what_is_encrypted_is_what_the_reference_takes_for_it(void **state)
{
	UNUSED(state);
	check_encrypted(HEAD_V4, "\"value\":\"\",\"encrypted\":true",
			"[{\"value\":\"\",\"encrypted\":false}]");
	check_encrypted(HEAD_V4, "\"value\":\"\",\"encrypted\":1",
			"[{\"value\":\"\",\"encrypted\":false}]");
	check_encrypted(HEAD_V4, "\"value\":\"\",\"encrypted\":\" True \"",
			"[{\"value\":\"\",\"encrypted\":false}]");
	check_encrypted(HEAD_V4, "\"value\":\"\",\"encrypted\":0",
			"[{\"value\":\"\",\"encrypted\":0}]");
	check_encrypted(HEAD_V2, "\"value\":\"\",\"encrypted\":\"true\"",
			"[{\"value\":\"\",\"encrypted\":false}]");
	check_encrypted(HEAD_V2, "\"value\":\"\",\"encrypted\":\"True\"",
			"[{\"value\":\"\",\"encrypted\":\"True\"}]");
	check_encrypted(HEAD_V2, "\"value\":\"\",\"encrypted\":\"yes\"",
			"[{\"value\":\"\",\"encrypted\":\"yes\"}]");
	check_encrypted(HEAD_V2, "\"value\":\"!\",\"encrypted\":true",
			"[{\"value\":\"!\",\"encrypted\":true}]");
}

/* A name may stand in an object as often as its sender likes: the timeout of the suite bounds it. */
static void a_member_that_stands_a_hundred_thousand_times_is_looked_at_in_time(void **state)
{
	static const char one[] = "\"groups\":null,";
	struct buf b = { 0 };
	unsigned i;

	UNUSED(state);
	buf_adds(&b, "{\"name\":\"n\",\"proxy\":{");
	for (i = 0; i < 100000; i++)
		buf_add(&b, one, sizeof(one) - 1);
	buf_adds(&b, "\"groups\":[null]}}");
	assert_true(definition_check(kit_text(buf_cstr(&b)), DEFINITION_V2, NULL) < 0);
	buf_reset(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_member_that_stands_a_hundred_thousand_times_is_looked_at_in_time),
		cmocka_unit_test(each_row_is_judged_as_the_reference_does),
		cmocka_unit_test(plans_of_a_product_are_plans_of_v4),
		cmocka_unit_test(what_is_encrypted_is_what_the_reference_takes_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
