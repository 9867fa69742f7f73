/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/model/event.h"

static void name_of_a_child_holds_its_reference(void **state)
{
	char *name = event_name(KIND_SUBSCRIPTION, "s:1", "a:b");
	struct err e = { 0 };
	const char *ref = NULL;
	size_t len = 0;

	UNUSED(state);
	assert_string_equal(name, "API:a:b:SUBSCRIPTION:s:1");
	assert_int_equal(event_name_ref(name, KIND_SUBSCRIPTION, "s:1", &ref, &len, &e), 0);
	assert_int_equal(len, 3);
	assert_memory_equal(ref, "a:b", 3);
	assert_int_equal(event_name_ref("API:s:1", KIND_API, "s:1", &ref, &len, &e), 0);
	assert_null(ref);
	assert_int_equal(event_name_ref("API:x", KIND_API, "s:1", &ref, &len, &e), ERR_PARSE);
	assert_int_equal(event_name_ref("SUBSCRIPTION:s:1:SUBSCRIPTION:s:1", KIND_SUBSCRIPTION,
					"s:1", &ref, &len, &e),
			 ERR_PARSE);
	assert_int_equal(
		event_name_ref("API::SUBSCRIPTION:s", KIND_SUBSCRIPTION, "s", &ref, &len, &e),
		ERR_PARSE);
	mem_free(name);
}

static void kinds_parse_exactly(void **state)
{
	enum kind k = KIND_API;
	unsigned i;

	UNUSED(state);
	for (i = 0; i < KIND__COUNT; i++) {
		const char *name = kind_name((enum kind)i);

		assert_true(kind_parse(name, strlen(name), &k));
		assert_int_equal(k, i);
	}
	assert_false(kind_parse("api", 3, &k));
	assert_false(kind_parse("API_", 4, &k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_of_a_child_holds_its_reference),
		cmocka_unit_test(kinds_parse_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
