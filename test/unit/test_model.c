/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/model/event.h"
#include "common/model/lookup.h"

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

static void a_kind_that_is_none_leaves_what_was_there(void **state)
{
	static const struct {
		const char *s;
		size_t n;
	} bad[] = { { "", 0 }, { "AP", 2 }, { "API", 2 }, { "API_KEYS", 8 }, { "API\0", 4 } };
	enum kind k = KIND_DICTIONARY;
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(kind_parse(bad[i].s, bad[i].n, &k));
	assert_int_equal(k, KIND_DICTIONARY);
	assert_true(kind_parse("API_KEYS", 7, &k)); /* n bytes are looked at, and no more */
	assert_int_equal(k, KIND_API_KEY);
}

/* What hangs on another is withdrawn with it: on an API, and on a product of them. */
static void only_apis_and_products_have_children(void **state)
{
	unsigned i;

	UNUSED(state);
	for (i = 0; i < KIND__COUNT; i++)
		assert_int_equal(kind_has_children((enum kind)i),
				 i == KIND_API || i == KIND_API_PRODUCT);
}

static void a_name_is_read_when_its_reference_is_known(void **state)
{
	static const struct {
		const char *name;
		const char *ref;
		enum kind kind;
		const char *id; /* NULL: it is no such name */
	} rows[] = {
		{ "API:a", NULL, KIND_API, "a" },
		{ "API:a:b", NULL, KIND_API, "a:b" },
		{ "API_KEY:k", NULL, KIND_API_KEY, "k" },
		{ "API:a:API_KEY:k", "a", KIND_API_KEY, "k" },
		{ "API:a:b:API_KEY:k:1", "a:b", KIND_API_KEY, "k:1" },
		/* without its reference a child reads as an API of a long name */
		{ "API:a:API_KEY:k", NULL, KIND_API, "a:API_KEY:k" },
		{ "API:a:API_KEY:k", "b", KIND__COUNT, NULL },
		{ "API:ab:API_KEY:k", "a", KIND__COUNT, NULL },
		{ "API:a", "a", KIND__COUNT, NULL },
		{ "API:a:", "a", KIND__COUNT, NULL },
		{ "API:a:API_KEY", "a", KIND__COUNT, NULL },
		{ "API:a:API_KEY:", "a", KIND__COUNT, NULL },
		{ "DICTIONARY:a:API_KEY:k", "a", KIND__COUNT, NULL },
		{ "API:", NULL, KIND__COUNT, NULL },
		{ "API", NULL, KIND__COUNT, NULL },
		{ ":a", NULL, KIND__COUNT, NULL },
		{ "", NULL, KIND__COUNT, NULL },
		{ "", "a", KIND__COUNT, NULL },
		{ "THING:a", NULL, KIND__COUNT, NULL },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		enum kind k = KIND__COUNT;
		const char *id = NULL;
		struct err e = { 0 };
		int rc = event_name_parse(rows[i].name, rows[i].ref, &k, &id, &e);

		if (rows[i].id == NULL) {
			if (rc != ERR_PARSE || id != NULL || e.text[0] == '\0')
				fail_msg("row %zu is a name", i);
			continue;
		}
		if (rc != 0 || k != rows[i].kind || strcmp(id, rows[i].id) != 0)
			fail_msg("row %zu: %d, %s", i, rc, e.text);
	}
}

/* Each name that is made is read again as what it was made of. */
static void what_is_named_is_read_again(void **state)
{
	static const char *const ids[] = { "a", "a:b", ":", "API:x", "\xc3\xa9" };
	unsigned k;
	size_t i;
	size_t j;

	UNUSED(state);
	for (k = 0; k < KIND__COUNT; k++) {
		for (i = 0; i < ARRAY_LEN(ids); i++) {
			for (j = 0; j <= ARRAY_LEN(ids); j++) {
				const char *ref = j == ARRAY_LEN(ids) ? NULL : ids[j];
				char *name = event_name((enum kind)k, ids[i], ref);
				enum kind got = KIND__COUNT;
				const char *id = NULL;

				assert_int_equal(event_name_parse(name, ref, &got, &id, NULL), 0);
				assert_int_equal(got, k);
				assert_string_equal(id, ids[i]);
				mem_free(name);
			}
		}
	}
}

static void actions_are_those_of_the_hashes(void **state)
{
	enum action a = ACTION_DEPLOY;

	UNUSED(state);
	assert_true(action_parse("UNDEPLOY", 8, &a));
	assert_int_equal(a, ACTION_UNDEPLOY);
	assert_string_equal(action_name(a), "UNDEPLOY");
	assert_true(action_parse("DEPLOY", 6, &a));
	assert_int_equal(a, ACTION_DEPLOY);
	assert_string_equal(action_name(a), "DEPLOY");
	a = ACTION_UNDEPLOY;
	assert_false(action_parse("DEPLOYED", 8, &a));
	assert_false(action_parse("deploy", 6, &a));
	assert_false(action_parse("", 0, &a));
	assert_false(action_parse("UNDEPLOY", 6, &a));
	assert_int_equal(a, ACTION_UNDEPLOY);
}

/* The digest of a zone is made of these: equal for what is the same to a gateway, and no more. */
static void a_hash_tells_apart_whatever_differs(void **state)
{
	static char a[] = "a";
	static char b[] = "b";
	static char one[] = "1";
	static char two[] = "2";
	static char empty[] = "{}";
	static char full[] = "[]";
	const struct event events[] = {
		{ KIND_API, ACTION_DEPLOY, a, NULL, { empty, 2, 0 }, one },
		{ KIND_API, ACTION_DEPLOY, a, NULL, { full, 2, 0 }, one },
		{ KIND_API, ACTION_DEPLOY, b, NULL, { empty, 2, 0 }, one },
		{ KIND_API, ACTION_DEPLOY, a, b, { empty, 2, 0 }, one },
		{ KIND_API_KEY, ACTION_DEPLOY, a, NULL, { empty, 2, 0 }, one },
		{ KIND_API, ACTION_UNDEPLOY, a, NULL, { empty, 2, 0 }, one },
	};
	struct event same = events[0];
	struct hash h[ARRAY_LEN(events)];
	struct hash again;
	size_t i;
	size_t j;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(events); i++) {
		event_hash(&h[i], &events[i]);
		for (j = 0; j < i; j++)
			if (hash_equal(&h[i], &h[j]))
				fail_msg("events %zu and %zu are the same", j, i);
	}
	same.version = two; /* what it was made from is no part of what it is */
	event_hash(&again, &same);
	assert_true(hash_equal(&again, &h[0]));
	same = events[5];
	same.payload = (struct buf){ full, 2, 0 }; /* a withdrawal has no content */
	event_hash(&again, &same);
	assert_true(hash_equal(&again, &h[5]));
}

/* --- under what an event is found --- */

static size_t lookups_in(enum kind k, const char *payload)
{
	struct lookups l = { 0 };
	size_t n;

	lookups_of(&l, k, payload, strlen(payload));
	n = l.n;
	lookups_reset(&l);
	return n;
}

static void what_lacks_a_text_is_found_under_nothing(void **state)
{
	static const struct {
		enum kind kind;
		const char *payload;
		size_t n;
	} rows[] = {
		{ KIND_API_KEY, "{\"api\":\"a\",\"key\":\"k\"}", 1 },
		{ KIND_API_KEY, "{\"api\":\"\",\"key\":\"k\"}", 0 },
		{ KIND_API_KEY, "{\"api\":\"a\",\"key\":\"\"}", 0 },
		{ KIND_API_KEY, "{\"api\":1,\"key\":\"k\"}", 0 },
		{ KIND_API_KEY, "{\"api\":\"a\",\"key\":[\"k\"]}", 0 },
		{ KIND_API_KEY, "{\"api\":\"a\\u0000\",\"key\":\"k\"}", 0 },
		{ KIND_API_KEY, "{\"api\":\"a\",\"key\":\"k\\u0000\"}", 0 },
		{ KIND_API_KEY, "{\"api\":\"a\",\"key\":\"k\"", 0 },
		{ KIND_API_KEY, "", 0 },
		{ KIND_SUBSCRIPTION, "{\"api\":\"a\",\"clientId\":\"c\"}", 1 },
		{ KIND_SUBSCRIPTION, "{\"apiProductId\":\"p\",\"clientId\":\"c\"}", 1 },
		{ KIND_SUBSCRIPTION, "{\"clientId\":\"c\"}", 0 },
		{ KIND_SUBSCRIPTION, "{\"api\":\"a\",\"key\":\"k\"}", 0 },
		{ KIND_API_PRODUCT, "{\"apiIds\":[\"a\",\"b\",\"a\",\"\",7,\"c\\u0000\"]}", 2 },
		{ KIND_API_PRODUCT, "{\"apiIds\":\"a\"}", 0 },
		{ KIND_API_PRODUCT, "[\"a\"]", 0 },
		{ KIND_API, "{\"api\":\"a\",\"key\":\"k\",\"apiIds\":[\"a\"]}", 0 },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (lookups_in(rows[i].kind, rows[i].payload) != rows[i].n)
			fail_msg("row %zu: %zu", i, lookups_in(rows[i].kind, rows[i].payload));
}

/* However it is written: the text decides. And ("ab", "c") is not ("a", "bc"). */
static void a_lookup_is_of_the_text_and_of_where_it_is_cut(void **state)
{
	static const char escaped[] = "{\"key\":\"\\u00e9\",\"api\":\"a\\/b\"}";
	struct lookups l = { 0 };
	struct lookup one;
	struct lookup other;

	UNUSED(state);
	lookups_of(&l, KIND_API_KEY, escaped, sizeof(escaped) - 1);
	assert_int_equal(l.n, 1);
	lookup_make(&one, LOOKUP_KEY, "a/b", "\xc3\xa9");
	assert_memory_equal(l.v[0].b, one.b, LOOKUP_BYTES);
	lookups_reset(&l);
	lookup_make(&one, LOOKUP_KEY, "ab", "c");
	lookup_make(&other, LOOKUP_KEY, "a", "bc");
	assert_memory_not_equal(one.b, other.b, LOOKUP_BYTES);
	lookup_make(&other, LOOKUP_CLIENT, "ab", "c");
	assert_memory_not_equal(one.b, other.b, LOOKUP_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_of_a_child_holds_its_reference),
		cmocka_unit_test(kinds_parse_exactly),
		cmocka_unit_test(a_kind_that_is_none_leaves_what_was_there),
		cmocka_unit_test(only_apis_and_products_have_children),
		cmocka_unit_test(a_name_is_read_when_its_reference_is_known),
		cmocka_unit_test(what_is_named_is_read_again),
		cmocka_unit_test(actions_are_those_of_the_hashes),
		cmocka_unit_test(a_hash_tells_apart_whatever_differs),
		cmocka_unit_test(what_lacks_a_text_is_found_under_nothing),
		cmocka_unit_test(a_lookup_is_of_the_text_and_of_where_it_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
