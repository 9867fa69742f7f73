/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/model/guard.h"

static void nothing_gone_is_never_held(void **state)
{
	(void)state;
	assert_int_equal(guard_judge(0, 0, 0, false), GUARD_GO);
	assert_int_equal(guard_judge(1000, 0, 1, false), GUARD_GO);
}

static void a_few_go_at_once(void **state)
{
	(void)state;
	assert_int_equal(guard_judge(100, 20, 1, false), GUARD_GO);
	assert_int_equal(guard_judge(11, 10, 1, false), GUARD_GO);
	assert_int_equal(guard_judge(10, 10, 1, false), GUARD_GO);
}

static void many_need_a_second_pass_that_agrees(void **state)
{
	(void)state;
	assert_int_equal(guard_judge(100, 21, 0, false), GUARD_AGAIN);
	assert_int_equal(guard_judge(100, 21, 1, false), GUARD_AGAIN);
	assert_int_equal(guard_judge(100, 21, 2, false), GUARD_GO);
	assert_int_equal(guard_judge(12, 11, 1, false), GUARD_AGAIN);
}

static void all_of_a_type_need_a_person_however_often_they_are_absent(void **state)
{
	(void)state;
	assert_int_equal(guard_judge(11, 11, 1, false), GUARD_PERSON);
	assert_int_equal(guard_judge(11, 11, UINT32_MAX, false), GUARD_PERSON);
	assert_int_equal(guard_judge(11, 12, 2, false), GUARD_PERSON);
	assert_int_equal(guard_judge(11, 11, 1, true), GUARD_GO);
}

static void a_pass_right_after_another_agrees_with_nothing(void **state)
{
	(void)state;
	assert_false(guard_agrees(5000, 5025));
	assert_false(guard_agrees(5000, 5000 + GUARD_AGREE_MS - 1));
	assert_false(guard_agrees(5000, 4000)); /* it began before the other one ended */
	assert_true(guard_agrees(5000, 5000 + GUARD_AGREE_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_gone_is_never_held),
		cmocka_unit_test(a_few_go_at_once),
		cmocka_unit_test(many_need_a_second_pass_that_agrees),
		cmocka_unit_test(a_pass_right_after_another_agrees_with_nothing),
		cmocka_unit_test(all_of_a_type_need_a_person_however_often_they_are_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
