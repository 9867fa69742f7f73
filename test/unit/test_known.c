/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "workers/fetcher/publish/known.h"

static const struct hash some = { { 'D', 1, 2, 3 } };

static struct known_entry *live(struct known *k, const char *name, enum kind kind, const char *ref)
{
	struct known_entry *e = known_put(k, name, kind, ref);

	known_set(k, e, &some, "1");
	return e;
}

static void a_name_is_kept_once_and_counts_while_it_is_live(void **state)
{
	struct known k = { 0 };
	struct known_entry *e = live(&k, "API:a", KIND_API, NULL);

	UNUSED(state);
	assert_ptr_equal(live(&k, "API:a", KIND_API, NULL), e);
	assert_ptr_equal(known_get(&k, "API:a"), e);
	assert_int_equal(k.live[KIND_API], 1);
	known_withdraw(&k, e, "");
	known_withdraw(&k, e, "");
	assert_false(known_live(e));
	assert_int_equal(e->hash.b[0], 'U');
	assert_int_equal(k.live[KIND_API], 0);
	known_drop(&k, "API:a");
	known_drop(&k, "API:a");
	assert_null(known_get(&k, "API:a"));
	known_reset(&k);
}

static void children_are_withdrawn_with_their_reference_and_come_back_one_by_one(void **state)
{
	struct known k = { 0 };
	struct known_entry *s = live(&k, "API:a:SUBSCRIPTION:s", KIND_SUBSCRIPTION, "a");
	struct known_entry *key = live(&k, "API:a:API_KEY:k", KIND_API_KEY, "a");
	struct known_entry *other = live(&k, "API:b:SUBSCRIPTION:s", KIND_SUBSCRIPTION, "b");

	UNUSED(state);
	assert_string_equal(known_ref_id(s), "a");
	known_withdraw_children(&k, "a");
	known_withdraw_children(&k, "a");
	known_withdraw_children(&k, "nobody");
	assert_false(known_live(s));
	assert_false(known_live(key));
	assert_true(known_live(other));
	assert_int_equal(k.live[KIND_SUBSCRIPTION], 1);
	assert_int_equal(k.live[KIND_API_KEY], 0);
	known_set(&k, s, &some, "2");
	assert_true(known_live(s));
	assert_false(known_live(key));
	assert_int_equal(k.live[KIND_SUBSCRIPTION], 2);
	known_withdraw(&k, key, ""); /* it was not live: nothing is counted twice */
	assert_int_equal(k.live[KIND_API_KEY], 0);
	known_drop(&k, "API:a:SUBSCRIPTION:s");
	assert_int_equal(k.live[KIND_SUBSCRIPTION], 1);
	known_reset(&k);
}

static void versions_are_told_apart_whatever_their_length(void **state)
{
	const char *a = "x0123456789abcdef0123456789abcdef";
	const char *b = "x0123456789abcdef0123456789abcdee";
	struct known k = { 0 };
	struct known_entry *e = live(&k, "DICTIONARY:d", KIND_DICTIONARY, NULL);

	UNUSED(state);
	assert_null(known_ref_id(e));
	assert_true(known_version_is(e, "1"));
	assert_false(known_version_is(e, "2"));
	known_set(&k, e, &some, a);
	assert_true(known_version_is(e, a));
	assert_false(known_version_is(e, b));
	known_withdraw(&k, e, "");
	assert_false(known_version_is(e, a));
	known_reset(&k);
}

static void only_numbers_are_newer_than_one_another(void **state)
{
	static const struct {
		const char *held, *row;
		bool newer;
	} cases[] = { { "2", "1", true },
		      { "1", "1", false },
		      { "1", "2", false },
		      { "10", "9", true },
		      { "1755700000001", "1755700000000", true },
		      { "1", "-1", true },
		      { "x2", "x1", false },
		      { "2", "x1", false },
		      { "x2", "1", false },
		      { "", "1", false },
		      { "2", "", false },
		      { "9223372036854775807", "9223372036854775806", true },
		      { "99999999999999999999", "1", false } };
	struct known k = { 0 };
	struct known_entry *e = live(&k, "API:a", KIND_API, NULL);
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		known_set(&k, e, &some, cases[i].held);
		assert_int_equal(known_is_newer(e, cases[i].row), cases[i].newer);
	}
	known_withdraw(&k, e, "");
	assert_false(known_is_newer(e, "0"));
	known_reset(&k);
}

static void a_write_ends_a_repair(void **state)
{
	struct known k = { 0 };
	struct known_entry *e = live(&k, "API:a", KIND_API, NULL);

	UNUSED(state);
	e->repair = true;
	known_set(&k, e, &some, "1");
	assert_false(e->repair);
	known_reset(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_kept_once_and_counts_while_it_is_live),
		cmocka_unit_test(
			children_are_withdrawn_with_their_reference_and_come_back_one_by_one),
		cmocka_unit_test(versions_are_told_apart_whatever_their_length),
		cmocka_unit_test(only_numbers_are_newer_than_one_another),
		cmocka_unit_test(a_write_ends_a_repair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
