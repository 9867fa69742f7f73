/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/model/guard.h"

static const struct guard_rules rules = { false, 10, 20, 3, 50, 30000, 86400000 };

static enum guard_verdict judge(size_t live, size_t gone, size_t went, unsigned passes)
{
	const struct guard_case c = { live, gone, went, passes < 2 ? gone : 0, false };

	return guard_judge(&rules, &c);
}

static void nothing_gone_is_never_held(void **state)
{
	const struct guard_case doubted = { 1000, 0, 900, 0, true };

	(void)state;
	assert_int_equal(judge(0, 0, 0, 0), GUARD_GO);
	assert_int_equal(judge(1000, 0, 900, 1), GUARD_GO);
	assert_int_equal(guard_judge(&rules, &doubted), GUARD_GO);
}

static void a_few_go_at_once(void **state)
{
	(void)state;
	assert_int_equal(judge(100, 20, 0, 1), GUARD_GO);
	assert_int_equal(judge(20, 10, 0, 1), GUARD_GO);
	assert_int_equal(judge(4, 2, 0, 1), GUARD_GO);
	assert_int_equal(judge(1, 1, 0, 1), GUARD_GO);
	assert_int_equal(judge(2, 2, 0, 1), GUARD_GO);
}

static void many_need_a_second_pass_that_agrees(void **state)
{
	(void)state;
	assert_int_equal(judge(100, 21, 0, 0), GUARD_AGAIN);
	assert_int_equal(judge(100, 21, 0, 1), GUARD_AGAIN);
	assert_int_equal(judge(100, 21, 0, 2), GUARD_GO);
	assert_int_equal(judge(22, 11, 0, 1), GUARD_AGAIN);
	assert_int_equal(judge(100, 50, 0, 2), GUARD_GO);
}

/* Else a clean-up that takes one more at each look would never be done. */
static void a_few_more_go_with_those_that_two_passes_found(void **state)
{
	const struct guard_case some = { 100, 40, 0, 20, false };
	const struct guard_case many = { 100, 40, 0, 21, false };

	(void)state;
	assert_int_equal(guard_judge(&rules, &some), GUARD_GO);
	assert_int_equal(guard_judge(&rules, &many), GUARD_AGAIN);
}

static void more_than_half_need_a_person_however_often_they_are_absent(void **state)
{
	(void)state;
	assert_int_equal(judge(11, 11, 0, 1), GUARD_PERSON);
	assert_int_equal(judge(8, 8, 0, UINT32_MAX), GUARD_PERSON);
	assert_int_equal(judge(3, 3, 0, 2), GUARD_PERSON);
	assert_int_equal(judge(5, 3, 0, 2), GUARD_PERSON);
	assert_int_equal(judge(100, 51, 0, 2), GUARD_PERSON);
}

static void what_went_lately_counts(void **state)
{
	(void)state;
	assert_int_equal(judge(8, 2, 4, 1), GUARD_GO);	   /* 6 of 12 */
	assert_int_equal(judge(8, 3, 4, 1), GUARD_PERSON); /* 7 of 12, whoever removed the 4 */
	assert_int_equal(judge(1, 1, 11, 2), GUARD_PERSON);
	assert_int_equal(judge(12, 1, 11, 1), GUARD_PERSON); /* 12 of 23 */
	assert_int_equal(judge(14, 1, 11, 1), GUARD_GO);
}

static void a_source_that_is_doubted_removes_nothing(void **state)
{
	const struct guard_case one = { 100, 1, 0, 0, true };

	(void)state;
	assert_int_equal(guard_judge(&rules, &one), GUARD_PERSON);
}

static void what_is_off_holds_nothing(void **state)
{
	const struct guard_rules off = { .off = true, .hold_free = 3, .hold_percent = 50 };
	const struct guard_case all = { 100, 100, 100, 100, true };

	(void)state;
	assert_int_equal(guard_judge(&off, &all), GUARD_GO);
}

static void a_pass_right_after_another_agrees_with_nothing(void **state)
{
	(void)state;
	assert_false(guard_agrees(&rules, 5000, 5025));
	assert_false(guard_agrees(&rules, 5000, 5000 + 29999));
	assert_false(guard_agrees(&rules, 5000, 4000)); /* it began before the other one ended */
	assert_true(guard_agrees(&rules, 5000, 5000 + 30000));
}

static void a_set_is_that_of_its_names_in_any_order(void **state)
{
	struct guard_set a = { 0 };
	struct guard_set b = { 0 };
	struct guard_set c = { 0 };
	char text[GUARD_SET_BYTES];

	(void)state;
	guard_set_add(&a, "API:a");
	guard_set_add(&a, "API:b");
	guard_set_add(&b, "API:b");
	guard_set_add(&b, "API:a");
	guard_set_add(&c, "API:a");
	guard_set_add(&c, "API:c");
	assert_true(guard_set_equal(&a, &b));
	assert_false(guard_set_equal(&a, &c));
	guard_set_text(&a, text);
	assert_int_equal(strncmp(text, "2-", 2), 0);
	assert_int_equal(strlen(text), 2 + 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_gone_is_never_held),
		cmocka_unit_test(a_few_go_at_once),
		cmocka_unit_test(many_need_a_second_pass_that_agrees),
		cmocka_unit_test(a_few_more_go_with_those_that_two_passes_found),
		cmocka_unit_test(more_than_half_need_a_person_however_often_they_are_absent),
		cmocka_unit_test(what_went_lately_counts),
		cmocka_unit_test(a_source_that_is_doubted_removes_nothing),
		cmocka_unit_test(what_is_off_holds_nothing),
		cmocka_unit_test(a_pass_right_after_another_agrees_with_nothing),
		cmocka_unit_test(a_set_is_that_of_its_names_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
