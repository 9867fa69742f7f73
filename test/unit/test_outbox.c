/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "workers/fetcher/publish/outbox.h"

static void add(struct outbox *b, enum kind k, enum action a, const char *id, const char *ref)
{
	struct event ev = { .kind = k, .action = a };
	struct hash h = { { 0 } };

	ev.id = mem_strdup(id);
	ev.ref_id = mem_strdup(ref);
	ev.version = mem_strdup("1");
	outbox_add(b, &ev, &h, OUTBOX_PLAIN);
}

static void deploy(struct outbox *b, enum kind k, const char *id, const char *ref)
{
	add(b, k, ACTION_DEPLOY, id, ref);
}

static void undeploy(struct outbox *b, enum kind k, const char *id, const char *ref)
{
	add(b, k, ACTION_UNDEPLOY, id, ref);
}

static void next_is(struct outbox *b, enum action a, const char *name)
{
	struct outbox_item *i = outbox_take(b);

	assert_non_null(i);
	assert_string_equal(i->name, name);
	assert_int_equal(i->ev.action, a);
	outbox_item_free(i);
}

static void is_empty(struct outbox *b)
{
	assert_null(outbox_take(b));
	assert_int_equal(b->len, 0);
	assert_int_equal(b->bytes, 0);
	outbox_reset(b);
}

static void a_withdrawal_overtakes_other_references(void **state)
{
	struct outbox b = { 0 };

	UNUSED(state);
	deploy(&b, KIND_API, "a", NULL);
	undeploy(&b, KIND_API_KEY, "k", "b");
	next_is(&b, ACTION_UNDEPLOY, "API:b:API_KEY:k");
	next_is(&b, ACTION_DEPLOY, "API:a");
	is_empty(&b);
}

static void an_undeploy_never_overtakes_the_deploy_of_its_child(void **state)
{
	struct outbox b = { 0 };

	UNUSED(state);
	deploy(&b, KIND_API, "a", NULL);
	deploy(&b, KIND_SUBSCRIPTION, "s", "a");
	undeploy(&b, KIND_API, "a", NULL);
	next_is(&b, ACTION_DEPLOY, "API:a:SUBSCRIPTION:s");
	next_is(&b, ACTION_UNDEPLOY, "API:a");
	is_empty(&b);
}

static void only_the_newest_value_of_a_name_waits(void **state)
{
	struct outbox b = { 0 };

	UNUSED(state);
	deploy(&b, KIND_API_KEY, "k", "a");
	undeploy(&b, KIND_API_KEY, "k", "a");
	deploy(&b, KIND_DICTIONARY, "d", NULL);
	deploy(&b, KIND_DICTIONARY, "d", NULL);
	assert_int_equal(b.len, 2);
	next_is(&b, ACTION_UNDEPLOY, "API:a:API_KEY:k");
	next_is(&b, ACTION_DEPLOY, "DICTIONARY:d");
	is_empty(&b);
}

static void a_newer_deploy_of_an_api_stays_ahead_of_its_children(void **state)
{
	struct outbox b = { 0 };

	UNUSED(state);
	deploy(&b, KIND_API, "a", NULL);
	deploy(&b, KIND_SUBSCRIPTION, "s", "a");
	deploy(&b, KIND_API, "a", NULL);
	assert_int_equal(b.len, 2);
	next_is(&b, ACTION_DEPLOY, "API:a");
	next_is(&b, ACTION_DEPLOY, "API:a:SUBSCRIPTION:s");
	is_empty(&b);
}

static void a_child_deployed_again_goes_behind_its_apis_withdrawal(void **state)
{
	struct outbox b = { 0 };

	UNUSED(state);
	deploy(&b, KIND_SUBSCRIPTION, "s", "a");
	undeploy(&b, KIND_API, "a", NULL);
	deploy(&b, KIND_API, "a", NULL);
	deploy(&b, KIND_SUBSCRIPTION, "s", "a");
	next_is(&b, ACTION_UNDEPLOY, "API:a");
	next_is(&b, ACTION_DEPLOY, "API:a");
	next_is(&b, ACTION_DEPLOY, "API:a:SUBSCRIPTION:s");
	is_empty(&b);
}

static void a_withdrawal_of_an_api_is_not_lost_to_its_next_deploy(void **state)
{
	struct outbox b = { 0 };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < 3; i++) {
		undeploy(&b, KIND_API, "a", NULL);
		deploy(&b, KIND_API, "a", NULL);
	}
	while (b.len > 1)
		next_is(&b, ACTION_UNDEPLOY, "API:a");
	next_is(&b, ACTION_DEPLOY, "API:a");
	is_empty(&b);
}

static void a_product_is_a_reference_as_an_api_is(void **state)
{
	struct outbox b = { 0 };

	UNUSED(state);
	deploy(&b, KIND_API_PRODUCT, "p", NULL);
	deploy(&b, KIND_SUBSCRIPTION, "s", "p");
	deploy(&b, KIND_API_PRODUCT, "p", NULL); /* ahead of its children */
	undeploy(&b, KIND_API_PRODUCT, "p", NULL);
	deploy(&b, KIND_API_PRODUCT, "p", NULL); /* does not replace it */
	next_is(&b, ACTION_DEPLOY, "API:p:SUBSCRIPTION:s");
	next_is(&b, ACTION_UNDEPLOY, "API_PRODUCT:p");
	next_is(&b, ACTION_DEPLOY, "API_PRODUCT:p");
	is_empty(&b);
}

static void how_it_is_to_be_sent_stays_with_the_newest(void **state)
{
	static const enum outbox_how hows[] = { OUTBOX_FORCED, OUTBOX_PLAIN };
	struct outbox b = { 0 };
	struct outbox_item *item;
	struct hash h = { { 0 } };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < 2; i++) {
		struct event ev = { .kind = KIND_API_KEY, .action = ACTION_DEPLOY };

		ev.id = mem_strdup("k");
		ev.ref_id = mem_strdup("a");
		outbox_add(&b, &ev, &h, hows[i]);
	}
	item = outbox_take(&b);
	assert_int_equal(item->how, OUTBOX_FORCED);
	outbox_item_free(item);
	for (i = 0; i < 2; i++) {
		struct event ev = { .kind = KIND_API, .action = ACTION_UNDEPLOY };

		ev.id = mem_strdup("a");
		outbox_add(&b, &ev, &h, i == 0 ? OUTBOX_ALONE : OUTBOX_PLAIN);
	}
	item = outbox_take(&b);
	assert_int_equal(item->how, OUTBOX_PLAIN);
	outbox_item_free(item);
	is_empty(&b);
}

static void the_oldest_is_the_first_that_came_of_those_that_wait(void **state)
{
	struct outbox b = { 0 };

	UNUSED(state);
	assert_int_equal(outbox_oldest(&b), UINT64_MAX);
	deploy(&b, KIND_API, "a", NULL);
	deploy(&b, KIND_SUBSCRIPTION, "s", "a");
	undeploy(&b, KIND_API, "b", NULL);
	assert_int_equal(outbox_oldest(&b), 1);
	next_is(&b, ACTION_UNDEPLOY, "API:b"); /* it overtook: what came before still waits */
	assert_int_equal(outbox_oldest(&b), 1);
	deploy(&b, KIND_API, "a", NULL); /* at the old place */
	assert_int_equal(outbox_oldest(&b), 1);
	deploy(&b, KIND_SUBSCRIPTION, "s", "a"); /* at a new one */
	next_is(&b, ACTION_DEPLOY, "API:a");
	assert_int_equal(outbox_oldest(&b), 5);
	next_is(&b, ACTION_DEPLOY, "API:a:SUBSCRIPTION:s");
	assert_int_equal(outbox_oldest(&b), UINT64_MAX);
	deploy(&b, KIND_API, "c", NULL);
	assert_int_equal(outbox_oldest(&b), 6);
	outbox_reset(&b);
	assert_int_equal(outbox_oldest(&b), UINT64_MAX);
}

static void it_is_full_by_items_and_by_bytes(void **state)
{
	struct outbox b = { 0 };
	struct event ev = { .kind = KIND_API, .action = ACTION_DEPLOY };
	struct hash h = { { 0 } };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < OUTBOX_ITEMS; i++) {
		char *id;

		assert_false(outbox_full(&b));
		id = mem_printf("d%u", i);
		deploy(&b, KIND_DICTIONARY, id, NULL);
		mem_free(id);
	}
	assert_true(outbox_full(&b));
	outbox_reset(&b);
	ev.id = mem_strdup("a");
	buf_reserve(&ev.payload, OUTBOX_BYTES);
	ev.payload.len = OUTBOX_BYTES;
	outbox_add(&b, &ev, &h, OUTBOX_PLAIN);
	assert_true(outbox_full(&b));
	deploy(&b, KIND_API, "a", NULL);
	assert_false(outbox_full(&b));
	next_is(&b, ACTION_DEPLOY, "API:a");
	is_empty(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_withdrawal_overtakes_other_references),
		cmocka_unit_test(an_undeploy_never_overtakes_the_deploy_of_its_child),
		cmocka_unit_test(only_the_newest_value_of_a_name_waits),
		cmocka_unit_test(a_newer_deploy_of_an_api_stays_ahead_of_its_children),
		cmocka_unit_test(a_child_deployed_again_goes_behind_its_apis_withdrawal),
		cmocka_unit_test(a_withdrawal_of_an_api_is_not_lost_to_its_next_deploy),
		cmocka_unit_test(a_product_is_a_reference_as_an_api_is),
		cmocka_unit_test(how_it_is_to_be_sent_stays_with_the_newest),
		cmocka_unit_test(the_oldest_is_the_first_that_came_of_those_that_wait),
		cmocka_unit_test(it_is_full_by_items_and_by_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
