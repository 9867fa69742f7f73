/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "test/unit/store_kit.h"
#include "workers/cache/serve/resolve.h"

#define MAP_BYTES (64ULL << 20)
#define WHY(x)	  GATEWAY__MATCH__WHY__##x
#define NOW	  5000
#define KEY(more)                                                                                                                             \
	"{\"id\":\"k\",\"key\":\"secret\",\"api\":\"a\",\"plan\":\"old\",\"subscription\":\"s\",\"application\":\"app\",\"active\":true" more \
	"}"
#define SUB(more)                                                                                    \
	"{\"id\":\"s\",\"api\":\"a\",\"plan\":\"p\",\"application\":\"app\",\"clientId\":\"c\"" more \
	"}"
#define ACCEPTED ",\"status\":\"ACCEPTED\""

static char *dir;
static struct store *st;
static uint64_t revision;
static enum store_target target; /* the next generation is not synced: for thousands */

static int setup(void **state)
{
	char aside[200];
	struct err e = { 0 };

	UNUSED(state);
	dir = store_kit_make();
	revision = 0;
	target = STORE_CURRENT;
	if (store_open(&st, dir, MAP_BYTES, aside, &e) < 0)
		fail_msg("open: %s", e.text);
	return 0;
}

static int teardown(void **state)
{
	UNUSED(state);
	store_close(&st);
	store_kit_remove(&dir);
	return 0;
}

static void put_at(enum kind k, const char *id, const char *ref, const char *payload, int64_t at)
{
	struct event ev = { .kind = k,
			    .action = payload == NULL ? ACTION_UNDEPLOY : ACTION_DEPLOY,
			    .id = mem_strdup(id),
			    .ref_id = mem_strdup(ref) };
	struct store_record r = { .ev = &ev, .revision = ++revision, .updated_ms = at };
	struct store_batch b = { .records = &r,
				 .len = 1,
				 .position = { .lineage = "l", .revision = revision } };
	struct position after;
	struct err e = { 0 };

	buf_adds(&ev.payload, payload == NULL ? "" : payload);
	event_hash(&r.hash, &ev);
	if (store_apply(st, target, &b, &after, &e) < 0)
		fail_msg("apply: %s", e.text);
	event_reset(&ev);
}

static void put(enum kind k, const char *id, const char *ref, const char *payload)
{
	put_at(k, id, ref, payload, 1);
}

static struct resolve_answer answer;

static void ask_of(enum kind kind, const char *ref, enum lookup_by by, const char *text)
{
	const struct resolve_ask q = { by, kind, ref, text, "", NOW };
	struct store_view *v = NULL;

	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(resolve(v, &q, &answer), 0);
	store_view_close(&v);
}

static void ask(enum lookup_by by, const char *text, const char *plan)
{
	const struct resolve_ask q = { by, KIND_API, "a", text, plan, NOW };
	struct store_view *v = NULL;

	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(resolve(v, &q, &answer), 0);
	store_view_close(&v);
}

/* What stands against the best answer; -1: nothing was found. */
static int why_key(void)
{
	ask(LOOKUP_KEY, "secret", "");
	return answer.n == 0 ? -1 : (int)answer.match[0].why;
}

static int why_client(void)
{
	ask(LOOKUP_CLIENT, "c", "");
	return answer.n == 0 ? -1 : (int)answer.match[0].why;
}

static const char *text_at(size_t at)
{
	return answer.texts.data + at;
}

static void each_thing_against_a_key_is_named(void **state)
{
	static const struct {
		const char *key, *sub;
		int why;
	} cases[] = {
		{ KEY(""), SUB(ACCEPTED), WHY(NONE) },
		{ KEY(",\"revoked\":true,\"paused\":true"), SUB(ACCEPTED), WHY(KEY_REVOKED) },
		{ KEY(",\"paused\":true"), SUB(ACCEPTED), WHY(KEY_PAUSED) },
		{ KEY(",\"expireAt\":5000"), SUB(ACCEPTED), WHY(KEY_EXPIRED) },
		{ KEY(",\"expireAt\":0"), SUB(ACCEPTED), WHY(KEY_EXPIRED) },
		{ KEY(",\"expireAt\":-1"), SUB(ACCEPTED), WHY(KEY_EXPIRED) },
		{ KEY(",\"expireAt\":5001"), SUB(ACCEPTED), WHY(NONE) },
		{ KEY(",\"expireAt\":null,\"revoked\":null"), SUB(ACCEPTED), WHY(NONE) },
		{ KEY(",\"active\":false"), SUB(ACCEPTED), WHY(KEY_INACTIVE) },
		{ KEY(",\"active\":null"), SUB(ACCEPTED), WHY(KEY_INACTIVE) },
		{ KEY(""), NULL, WHY(SUBSCRIPTION_UNKNOWN) },
		{ KEY(""), "no JSON", WHY(SUBSCRIPTION_UNKNOWN) },
		{ KEY(""), SUB(ACCEPTED ",\"endingAt\":\"soon\""), WHY(SUBSCRIPTION_UNKNOWN) },
		{ KEY(""), SUB(""), WHY(SUBSCRIPTION_NOT_ACCEPTED) },
		{ KEY(""), SUB(",\"status\":\"PAUSED\""), WHY(SUBSCRIPTION_NOT_ACCEPTED) },
		{ KEY(""), SUB(",\"status\":\"accepted\""), WHY(SUBSCRIPTION_NOT_ACCEPTED) },
		{ KEY(""), SUB(ACCEPTED ",\"startingAt\":5001"), WHY(SUBSCRIPTION_NOT_STARTED) },
		{ KEY(""), SUB(ACCEPTED ",\"startingAt\":5000"), WHY(NONE) },
		{ KEY(""), SUB(ACCEPTED ",\"endingAt\":5000"), WHY(SUBSCRIPTION_ENDED) },
		{ KEY(""), SUB(ACCEPTED ",\"endingAt\":5001"), WHY(NONE) },
		/* What cannot be read as what it should be is no match: nobody passes on it. */
		{ KEY(",\"revoked\":\"no\""), SUB(ACCEPTED), -1 },
		{ KEY(",\"paused\":0"), SUB(ACCEPTED), -1 },
		{ KEY(",\"active\":1"), SUB(ACCEPTED), -1 },
		{ KEY(",\"expireAt\":\"soon\""), SUB(ACCEPTED), -1 },
		{ KEY(",\"expireAt\":1e4"), SUB(ACCEPTED), -1 },
		{ KEY(",\"application\":{}"), SUB(ACCEPTED), -1 },
		{ KEY(",\"id\":\"\\u0000\""), SUB(ACCEPTED), -1 },
	};
	size_t i;

	UNUSED(state);
	put(KIND_API, "a", NULL, "{}");
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		put(KIND_API_KEY, "k", "a", cases[i].key);
		put(KIND_SUBSCRIPTION, "s", "a", cases[i].sub);
		if (why_key() != cases[i].why)
			fail_msg("case %zu: %d", i, why_key());
	}
}

static void an_answer_names_everything_a_gateway_needs(void **state)
{
	UNUSED(state);
	put(KIND_API, "a", NULL, "{}");
	put_at(KIND_API_KEY, "k", "a", KEY(",\"expireAt\":7000"), 42);
	put(KIND_SUBSCRIPTION, "s", "a", SUB(ACCEPTED ",\"endingAt\":6000"));
	assert_int_equal(why_key(), WHY(NONE));
	assert_true(answer.deployed);
	assert_string_equal(text_at(answer.match[0].subscription), "s");
	assert_string_equal(text_at(answer.match[0].plan), "p"); /* the subscription's */
	assert_string_equal(text_at(answer.match[0].application), "app");
	assert_string_equal(text_at(answer.match[0].key_id), "k");
	assert_int_equal(answer.match[0].expire_ms, 6000);
	assert_int_equal(answer.match[0].updated_ms, 42);
	assert_int_equal(answer.match[0].revision, 2);
	assert_int_equal(why_client(), WHY(NONE));
	assert_string_equal(text_at(answer.match[0].subscription), "s");
	assert_string_equal(text_at(answer.match[0].key_id), "");
	put(KIND_SUBSCRIPTION, "s", "a", NULL);
	assert_int_equal(why_key(), WHY(SUBSCRIPTION_UNKNOWN));
	assert_string_equal(text_at(answer.match[0].plan), "old"); /* what the key knows */
	put(KIND_API, "a", NULL, NULL);
	put(KIND_SUBSCRIPTION, "s", "a", SUB(ACCEPTED));
	assert_int_equal(why_key(), WHY(REF_NOT_DEPLOYED));
	assert_int_equal(why_client(), WHY(REF_NOT_DEPLOYED));
	assert_false(answer.deployed);
}

static void of_several_the_active_and_newest_comes_first(void **state)
{
	UNUSED(state);
	put(KIND_API, "a", NULL, "{}");
	put(KIND_SUBSCRIPTION, "s", "a", SUB(ACCEPTED));
	put_at(KIND_API_KEY, "k1", "a", KEY(",\"id\":\"k1\""), 10);
	put_at(KIND_API_KEY, "k2", "a", KEY(",\"id\":\"k2\",\"paused\":true"), 30);
	put_at(KIND_API_KEY, "k3", "a", KEY(",\"id\":\"k3\""), 20);
	put_at(KIND_API_KEY, "k0", "a", KEY(",\"id\":\"k0\""), 20); /* as old: the later revision */
	ask(LOOKUP_KEY, "secret", "");
	assert_int_equal(answer.n, 4);
	assert_string_equal(text_at(answer.match[0].key_id), "k0");
	assert_string_equal(text_at(answer.match[1].key_id), "k3");
	assert_string_equal(text_at(answer.match[2].key_id), "k1");
	assert_string_equal(text_at(answer.match[3].key_id), "k2");
	put(KIND_SUBSCRIPTION, "t", "a", SUB(ACCEPTED ",\"id\":\"t\",\"plan\":\"q\""));
	ask(LOOKUP_CLIENT, "c", "q");
	assert_int_equal(answer.n, 1);
	assert_string_equal(text_at(answer.match[0].subscription), "t");
	ask(LOOKUP_CLIENT, "c", "");
	assert_int_equal(answer.n, 2);
	ask(LOOKUP_CLIENT, "c", "none");
	assert_int_equal(answer.n, 0);
}

/* Thousands under one key: the best are kept, and the memory for the rest is not. */
static void a_crowd_under_one_key_is_bounded(void **state)
{
	unsigned i;

	UNUSED(state);
	assert_int_equal(store_next_begin(st, NULL), 0);
	target = STORE_NEXT;
	put(KIND_API, "a", NULL, "{}");
	put(KIND_SUBSCRIPTION, "s", "a", SUB(ACCEPTED));
	for (i = 0; i < RESOLVE_HITS_MAX + 20; i++) {
		char id[16];
		char *payload;

		(void)snprintf(id, sizeof(id), "k%04u", i);
		payload = mem_printf(KEY(",\"id\":\"%s\""), id);
		put_at(KIND_API_KEY, id, "a", payload, i == 500 ? 9000 : 100);
		mem_free(payload);
	}
	assert_int_equal(store_switch(st, NULL), 0);
	store_adopt(st);
	assert_int_equal(why_key(), WHY(NONE));
	assert_int_equal(answer.n, RESOLVE_MATCHES_MAX);
	assert_string_equal(text_at(answer.match[0].key_id), "k0500");
	assert_string_equal(text_at(answer.match[1].key_id), "k0999"); /* the last looked at */
	resolve_reset(&answer);
}

#define PRODUCT_KEY(id, product)                                                                   \
	"{\"id\":\"" id "\",\"key\":\"secret\",\"api\":\"" product                                 \
	"\",\"plan\":\"pp\",\"subscription\":\"ps\",\"application\":\"app\",\"active\":true}"
#define PRODUCT_SUB(product, more)                                                                 \
	"{\"id\":\"ps\",\"apiProductId\":\"" product                                               \
	"\",\"plan\":\"pp\",\"application\":\"app\",\"clientId\":\"c\"" more "}"

static void put_product(const char *id, const char *apis)
{
	char *payload = mem_printf("{\"id\":\"%s\",\"apiIds\":[%s]}", id, apis);

	put(KIND_API_PRODUCT, id, NULL, payload);
	mem_free(payload);
}

static void a_product_is_joined_to_its_apis(void **state)
{
	UNUSED(state);
	put(KIND_API, "a", NULL, "{}");
	put(KIND_API, "b", NULL, "{}");
	put_product("p", "\"a\",\"b\"");
	put(KIND_SUBSCRIPTION, "ps", "p", PRODUCT_SUB("p", ACCEPTED));
	put(KIND_API_KEY, "pk", "p", PRODUCT_KEY("pk", "p"));
	assert_int_equal(why_key(), WHY(NONE));
	assert_int_equal(answer.n, 1);
	assert_string_equal(text_at(answer.match[0].product), "p");
	assert_string_equal(text_at(answer.match[0].key_id), "pk");
	assert_string_equal(text_at(answer.match[0].plan), "pp");
	assert_int_equal(why_client(), WHY(NONE));
	assert_string_equal(text_at(answer.match[0].product), "p");
	ask_of(KIND_API, "b", LOOKUP_KEY, "secret");
	assert_int_equal(answer.n, 1);
	ask_of(KIND_API, "c", LOOKUP_KEY, "secret");
	assert_int_equal(answer.n, 0);
	ask_of(KIND_API_PRODUCT, "p", LOOKUP_KEY, "secret"); /* the product itself is asked */
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.match[0].why, WHY(NONE));
	assert_string_equal(text_at(answer.match[0].product), "");
	/* With the plan of the question. */
	ask(LOOKUP_CLIENT, "c", "pp");
	assert_int_equal(answer.n, 1);
	ask(LOOKUP_CLIENT, "c", "p");
	assert_int_equal(answer.n, 0);
	put(KIND_SUBSCRIPTION, "ps", "p", PRODUCT_SUB("p", ",\"status\":\"PAUSED\""));
	assert_int_equal(why_key(), WHY(SUBSCRIPTION_NOT_ACCEPTED));
	put(KIND_SUBSCRIPTION, "ps", "p", PRODUCT_SUB("p", ACCEPTED));
	put(KIND_API, "a", NULL, NULL);
	assert_int_equal(why_key(), WHY(REF_NOT_DEPLOYED));
	put(KIND_API, "a", NULL, "{}");
	/* The API leaves the product; the product is withdrawn. */
	put_product("p", "\"b\"");
	assert_int_equal(why_key(), -1);
	assert_int_equal(why_client(), -1);
	put_product("p", "\"b\",\"a\"");
	assert_int_equal(why_key(), WHY(NONE));
	put(KIND_API_PRODUCT, "p", NULL, NULL);
	assert_int_equal(why_key(), -1);
}

static void an_api_goes_before_its_products_and_those_by_their_ids(void **state)
{
	UNUSED(state);
	put(KIND_API, "a", NULL, "{}");
	put_product("q", "\"a\"");
	put_product("p", "\"a\"");
	put(KIND_SUBSCRIPTION, "ps", "p", PRODUCT_SUB("p", ACCEPTED));
	put(KIND_SUBSCRIPTION, "ps", "q", PRODUCT_SUB("q", ACCEPTED));
	put(KIND_SUBSCRIPTION, "s", "a", SUB(ACCEPTED));
	put_at(KIND_API_KEY, "k", "a", KEY(""), 1);
	put_at(KIND_API_KEY, "pk", "p", PRODUCT_KEY("pk", "p"), 20);
	put_at(KIND_API_KEY, "qk", "q", PRODUCT_KEY("qk", "q"), 30);
	ask(LOOKUP_KEY, "secret", "");
	assert_int_equal(answer.n, 3);
	assert_string_equal(text_at(answer.match[0].key_id), "k");
	assert_string_equal(text_at(answer.match[1].key_id), "pk");
	assert_string_equal(text_at(answer.match[2].key_id), "qk");
	/* What is active goes before what is not, wherever it stands. */
	put_at(KIND_API_KEY, "k", "a", KEY(",\"revoked\":true"), 40);
	ask(LOOKUP_KEY, "secret", "");
	assert_string_equal(text_at(answer.match[0].key_id), "pk");
	assert_string_equal(text_at(answer.match[1].key_id), "qk");
	assert_string_equal(text_at(answer.match[2].key_id), "k");
	assert_int_equal(answer.match[2].why, WHY(KEY_REVOKED));
}

static void what_is_a_products_is_none_of_an_api_of_its_id(void **state)
{
	UNUSED(state);
	put(KIND_API, "a", NULL, "{}");
	put(KIND_SUBSCRIPTION, "ps", "a", PRODUCT_SUB("a", ACCEPTED));
	put(KIND_API_KEY, "pk", "a", PRODUCT_KEY("pk", "a"));
	assert_int_equal(why_client(), -1);
	assert_int_equal(why_key(), WHY(SUBSCRIPTION_UNKNOWN));
	put(KIND_SUBSCRIPTION, "ps", "a",
	    "{\"id\":\"ps\",\"api\":\"a\",\"plan\":\"p\"" ACCEPTED "}");
	assert_int_equal(why_key(), WHY(NONE));
	put_product("a", "\"b\"");
	ask_of(KIND_API_PRODUCT, "a", LOOKUP_KEY, "secret");
	assert_int_equal(answer.match[0].why, WHY(SUBSCRIPTION_UNKNOWN));
}

static void products_beyond_the_limit_are_not_looked_at(void **state)
{
	unsigned i;

	UNUSED(state);
	put(KIND_API, "a", NULL, "{}");
	for (i = 0; i <= RESOLVE_PRODUCTS_MAX; i++) {
		char id[8];
		char *payload;

		(void)snprintf(id, sizeof(id), "p%03u", i);
		put_product(id, "\"a\"");
		payload = mem_printf(
			"{\"id\":\"s\",\"apiProductId\":\"%s\",\"plan\":\"pp\",\"clientId\":"
			"\"c%03u\",\"status\":\"ACCEPTED\"}",
			id, i);
		put(KIND_SUBSCRIPTION, "s", id, payload);
		mem_free(payload);
	}
	ask(LOOKUP_CLIENT, "c063", "");
	assert_int_equal(answer.n, 1);
	assert_string_equal(text_at(answer.match[0].product), "p063");
	ask(LOOKUP_CLIENT, "c064", "");
	assert_int_equal(answer.n, 0);
	resolve_reset(&answer);
}

/* --- sizes --- */

static char *letters(size_t n)
{
	char *text = mem_alloc(n + 1);

	memset(text, 'x', n);
	text[n] = '\0';
	return text;
}

/* What is listed as deployed is found, however large it is. */
static void whatever_is_deployed_is_found(void **state)
{
	char *key = letters(5000);
	char *large = letters(3U << 20);
	char *p;
	struct buf apis = { 0 };
	unsigned i;

	UNUSED(state);
	put(KIND_API, "a", NULL, "{}");
	p = mem_printf(SUB(",\"metadata\":\"%s\"" ACCEPTED), large);
	put(KIND_SUBSCRIPTION, "s", "a", p);
	mem_free(p);
	assert_int_equal(why_client(), WHY(NONE));
	p = mem_printf("{\"id\":\"k\",\"key\":\"%s\",\"api\":\"a\",\"subscription\":\"s\","
		       "\"active\":true,\"x\":\"%s\"}",
		       key, large);
	put(KIND_API_KEY, "k", "a", p);
	mem_free(p);
	ask(LOOKUP_KEY, key, "");
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.match[0].why, WHY(NONE));
	/* A product of 3 MiB that holds 20,000 APIs, ours the last. */
	put(KIND_API_KEY, "k", "a", NULL);
	put(KIND_SUBSCRIPTION, "s", "a", NULL);
	for (i = 0; i < 20000; i++)
		buf_printf(&apis, "\"b%u\",", i);
	buf_printf(&apis, "\"a\"],\"plans\":[\"%s\"", large);
	put_product("p", buf_cstr(&apis));
	put(KIND_SUBSCRIPTION, "ps", "p", PRODUCT_SUB("p", ACCEPTED));
	put(KIND_API_KEY, "pk", "p", PRODUCT_KEY("pk", "p"));
	assert_int_equal(why_key(), WHY(NONE));
	assert_string_equal(text_at(answer.match[0].product), "p");
	buf_reset(&apis);
	mem_free(large);
	mem_free(key);
	resolve_reset(&answer);
}

/* However they are spread: under the reference, its products, their keys. */
static void what_one_question_looks_at_is_bounded(void **state)
{
	unsigned i;

	UNUSED(state);
	assert_int_equal(store_next_begin(st, NULL), 0);
	target = STORE_NEXT;
	put(KIND_API, "a", NULL, "{}");
	put_product("p", "\"a\"");
	put_product("q", "\"a\"");
	for (i = 0; i < RESOLVE_HITS_MAX + 20; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "k%04u", i);
		put(KIND_API_KEY, id, "p", PRODUCT_KEY("k", "p"));
	}
	put(KIND_SUBSCRIPTION, "ps", "q", PRODUCT_SUB("q", ACCEPTED));
	put(KIND_API_KEY, "qk", "q", PRODUCT_KEY("qk", "q"));
	assert_int_equal(store_switch(st, NULL), 0);
	store_adopt(st);
	assert_int_equal(why_key(), WHY(SUBSCRIPTION_UNKNOWN));
	ask_of(KIND_API_PRODUCT, "q", LOOKUP_KEY, "secret");
	assert_int_equal(answer.match[0].why, WHY(NONE));
	resolve_reset(&answer);
}

/* --- damage --- */

static int ask_key(void)
{
	const struct resolve_ask q = { LOOKUP_KEY, KIND_API, "a", "secret", "", NOW };
	struct store_view *v = NULL;
	int rc;

	assert_int_equal(store_view_open(st, &v, NULL), 0);
	rc = resolve(v, &q, &answer);
	store_view_close(&v);
	return rc;
}

/* What cannot be read may be what was asked for; an active match is one all the same. */
static void a_damaged_record_refuses_no_other(void **state)
{
	UNUSED(state);
	put(KIND_API, "a", NULL, "{}");
	put(KIND_SUBSCRIPTION, "s", "a", SUB(ACCEPTED));
	put(KIND_API_KEY, "k", "a", KEY(""));
	put(KIND_API_KEY, "k2", "a", KEY(",\"x\":\"broken1\""));
	store_kit_damage(dir, "broken1");
	assert_int_equal(ask_key(), 0);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.match[0].why, WHY(NONE));
	put(KIND_API_KEY, "k", "a", KEY(",\"revoked\":true"));
	assert_int_equal(ask_key(), ERR_DAMAGED);
	put(KIND_API_KEY, "k", "a", NULL);
	assert_int_equal(ask_key(), ERR_DAMAGED);
	/* The same of the subscription. */
	put(KIND_API_KEY, "k3", "a",
	    "{\"id\":\"k3\",\"key\":\"secret\",\"api\":\"a\",\"subscription\":\"s3\","
	    "\"active\":true}");
	put(KIND_SUBSCRIPTION, "s3", "a", SUB(",\"x\":\"broken2\"" ACCEPTED));
	assert_int_equal(ask_key(), 0);
	store_kit_damage(dir, "broken2");
	assert_int_equal(ask_key(), ERR_DAMAGED);
	put(KIND_API_KEY, "k", "a", KEY(""));
	assert_int_equal(ask_key(), 0);
	assert_int_equal(answer.match[0].why, WHY(NONE));
	resolve_reset(&answer);
}

#define S(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		S(each_thing_against_a_key_is_named),
		S(an_answer_names_everything_a_gateway_needs),
		S(of_several_the_active_and_newest_comes_first),
		S(a_product_is_joined_to_its_apis),
		S(an_api_goes_before_its_products_and_those_by_their_ids),
		S(what_is_a_products_is_none_of_an_api_of_its_id),
		S(products_beyond_the_limit_are_not_looked_at),
		S(a_crowd_under_one_key_is_bounded),
		S(whatever_is_deployed_is_found),
		S(what_one_question_looks_at_is_bounded),
		S(a_damaged_record_refuses_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
