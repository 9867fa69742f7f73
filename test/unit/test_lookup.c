/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/model/lookup.h"
#include "common/store/reader.h"
#include "common/store/store.h"
#include "test/unit/store_kit.h"

#define MAP_BYTES (64ULL << 20)

/* As the reference writes them (test/data/vectors). */
#define KEY_1                                                                                      \
	"{\"id\":\"key-1\",\"key\":\"d8bb1dd4-4b9b\",\"api\":\"api-v4\",\"plan\":\"plan-key\","    \
	"\"subscription\":\"sub-1\",\"application\":\"app-1\",\"revoked\":false,"                  \
	"\"paused\":false,\"active\":true}"
#define SUB_1                                                                                      \
	"{\"id\":\"sub-1\",\"api\":\"api-v4\",\"plan\":\"plan-key\",\"clientId\":\"client-1\","    \
	"\"status\":\"ACCEPTED\",\"metadata\":{},\"type\":\"STANDARD\"}"
#define SUB_PRODUCT                                                                                \
	"{\"id\":\"sub-1\",\"plan\":\"p\",\"clientId\":\"client-1\",\"status\":\"ACCEPTED\","      \
	"\"apiProductId\":\"prod-1\"}"

/* --- pure --- */

/* The one thing a key or a subscription is found under; false: nothing. */
static bool lookup_of(struct lookup *out, enum kind k, const char *payload, size_t n)
{
	struct lookups l = { 0 };
	bool found;

	lookups_of(&l, k, payload, n);
	assert_true(l.n <= 1);
	found = l.n == 1;
	if (found)
		*out = l.v[0];
	lookups_reset(&l);
	return found;
}

static void expect(enum kind k, const char *payload, const char *ref, const char *text)
{
	struct lookup got;
	struct lookup want;

	if (!lookup_of(&got, k, payload, strlen(payload)))
		fail_msg("found under nothing: %.80s", payload);
	lookup_make(&want, k == KIND_API_KEY ? LOOKUP_KEY : LOOKUP_CLIENT, ref, text);
	assert_memory_equal(got.b, want.b, LOOKUP_BYTES);
}

static void payloads_of_the_reference_are_found_by_key_and_client(void **state)
{
	struct lookup a;
	struct lookup b;

	UNUSED(state);
	expect(KIND_API_KEY, KEY_1, "api-v4", "d8bb1dd4-4b9b");
	expect(KIND_SUBSCRIPTION, SUB_1, "api-v4", "client-1");
	expect(KIND_SUBSCRIPTION, SUB_PRODUCT, "prod-1", "client-1");
	expect(KIND_API_KEY, "{\"api\":\"\\u00e9\",\"key\":\"a\\n\\\"b\"}", "\303\251", "a\n\"b");
	/* The last of two equal names counts, as for the reference's reader. */
	expect(KIND_API_KEY, "{\"api\":\"x\",\"key\":\"k\",\"api\":\"y\"}", "y", "k");
	lookup_make(&a, LOOKUP_KEY, "ab", "c");
	lookup_make(&b, LOOKUP_KEY, "a", "bc");
	assert_memory_not_equal(a.b, b.b, LOOKUP_BYTES);
	lookup_make(&b, LOOKUP_CLIENT, "ab", "c");
	assert_memory_not_equal(a.b, b.b, LOOKUP_BYTES);
}

static void what_is_malformed_is_found_under_nothing(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"null",
		"[]",
		"7",
		"\"api\"",
		"{}",
		"{\"api\":\"a\"}",
		"{\"key\":\"k\"}",
		"{\"api\":1,\"key\":\"k\"}",
		"{\"api\":\"a\",\"key\":true}",
		"{\"api\":null,\"key\":\"k\"}",
		"{\"api\":\"a\",\"key\":[\"k\"]}",
		"{\"api\":\"\",\"key\":\"k\"}",
		"{\"api\":\"a\",\"key\":\"\"}",
		"{\"api\":\"a\",\"key\":\"k\\u0000x\"}",
		"{\"api\":\"a\",\"key\":\"k\"} ,",
		"{\"api\":\"a\",\"key\":\"\\ud800\"}",
		"{\"api\":\"a\",\"key\":\"\xff\"}",
		"{\"apiProductId\":\"a\",\"key\":\"k\"}", /* a key's scope stands in `api` */
	};
	struct lookup l;
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		if (lookup_of(&l, KIND_API_KEY, bad[i], strlen(bad[i])))
			fail_msg("found: %s", bad[i]);
	assert_false(lookup_of(&l, KIND_API, KEY_1, strlen(KEY_1)));
	assert_false(lookup_of(&l, KIND_SUBSCRIPTION, KEY_1, strlen(KEY_1)));
	assert_false(lookup_of(&l, KIND_API_KEY, SUB_1, strlen(SUB_1)));
	assert_false(lookup_of(&l, KIND_API_KEY, NULL, 0));
}

static void texts_and_payloads_of_any_size_are_found(void **state)
{
	static const size_t sizes[] = { 1, 1024, 1025, 60000, 16U << 20 };
	struct lookup l;
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		char *text = mem_alloc(sizes[i] + 1);
		char *p;

		memset(text, 'k', sizes[i]);
		text[sizes[i]] = '\0';
		p = mem_printf("{\"api\":\"a\",\"key\":\"%s\"}", text);
		assert_true(lookup_of(&l, KIND_API_KEY, p, strlen(p)));
		mem_free(p);
		p = mem_printf("{\"api\":\"a\",\"clientId\":\"c\",\"metadata\":\"%s\"}", text);
		assert_true(lookup_of(&l, KIND_SUBSCRIPTION, p, strlen(p)));
		mem_free(p);
		mem_free(text);
	}
}

static void a_product_is_found_by_each_of_its_apis_once(void **state)
{
	static const char text[] = "{\"id\":\"p\",\"apiIds\":[\"b\",\"\\u0061\",7,null,\"a\",\"\","
				   "\"x\\u0000\"]}";
	const struct json_span doc = { text, strlen(text) };
	struct lookups l = { 0 };
	struct lookup want[2];
	struct buf many = { 0 };
	unsigned i;

	UNUSED(state);
	lookups_of(&l, KIND_API_PRODUCT, text, strlen(text));
	assert_int_equal(l.n, 2);
	lookup_make(&want[0], LOOKUP_MEMBER, "a", "");
	lookup_make(&want[1], LOOKUP_MEMBER, "b", "");
	for (i = 0; i < 2; i++)
		assert_true(memcmp(&l.v[0], &want[i], LOOKUP_BYTES) == 0 ||
			    memcmp(&l.v[1], &want[i], LOOKUP_BYTES) == 0);
	assert_true(lookup_holds(doc, "a") && lookup_holds(doc, "b"));
	assert_false(lookup_holds(doc, "c") || lookup_holds(doc, "p"));
	lookups_reset(&l);
	lookups_of(&l, KIND_API_PRODUCT, "{\"apiIds\":\"a\"}", 14);
	lookups_of(&l, KIND_API_PRODUCT, "{\"apiIds\":[\"a\"", 14);
	lookups_of(&l, KIND_API_PRODUCT, "{}", 2);
	lookups_of(&l, KIND_API, text, strlen(text));
	assert_int_equal(l.n, 0);
	buf_adds(&many, "{\"apiIds\":[\"first\"");
	for (i = 0; i < 20000; i++)
		buf_printf(&many, ",\"a%u\"", i);
	buf_adds(&many, "]}");
	lookups_of(&l, KIND_API_PRODUCT, many.data, many.len);
	assert_int_equal(l.n, 20001);
	lookups_reset(&l);
	buf_reset(&many);
}

/* --- the store's index --- */

static char *dir;
static struct store *st;
static uint64_t revision;

static int setup(void **state)
{
	char aside[200];
	struct err e = { 0 };

	UNUSED(state);
	dir = store_kit_make();
	revision = 0;
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

/* payload NULL: a tombstone */
static void put(enum kind k, const char *id, const char *ref, const char *payload)
{
	struct event ev = { .kind = k,
			    .action = payload == NULL ? ACTION_UNDEPLOY : ACTION_DEPLOY,
			    .id = mem_strdup(id),
			    .ref_id = mem_strdup(ref) };
	struct store_record r = { .ev = &ev, .revision = ++revision };
	struct store_batch b = { .records = &r,
				 .len = 1,
				 .position = { .lineage = "l", .revision = revision } };
	struct position after;
	struct err e = { 0 };

	buf_adds(&ev.payload, payload == NULL ? "" : payload);
	event_hash(&r.hash, &ev);
	if (store_apply(st, STORE_CURRENT, &b, &after, &e) < 0)
		fail_msg("apply: %s", e.text);
	event_reset(&ev);
}

static int show(void *arg, const struct store_entry *x)
{
	buf_printf(arg, "%.*s/%.*s ", (int)x->ref_len, x->ref, (int)x->id_len, x->id);
	return 0;
}

static void expect_hits(enum lookup_by by, const char *ref, const char *text, const char *want)
{
	struct store_view *v = NULL;
	struct buf b = { 0 };
	struct lookup l;

	lookup_make(&l, by, ref, text);
	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(store_lookup(v, &l, show, &b), 0);
	assert_string_equal(buf_cstr(&b), want);
	store_view_close(&v);
	buf_reset(&b);
}

static void verify(void)
{
	struct err e = { 0 };

	if (store_verify(st, &e) < 0)
		fail_msg("verify: %s", e.text);
}

static void the_index_follows_each_change_of_its_record(void **state)
{
	UNUSED(state);
	put(KIND_API_KEY, "k", "a", "{\"api\":\"a\",\"key\":\"one\"}");
	expect_hits(LOOKUP_KEY, "a", "one", "a/k ");
	expect_hits(LOOKUP_KEY, "b", "one", "");
	expect_hits(LOOKUP_CLIENT, "a", "one", "");
	put(KIND_API_KEY, "k", "a", "{\"api\":\"a\",\"key\":\"two\"}"); /* another value */
	expect_hits(LOOKUP_KEY, "a", "one", "");
	expect_hits(LOOKUP_KEY, "a", "two", "a/k ");
	put(KIND_API_KEY, "k", "a", "{\"api\":\"a\",\"key\":\"two\",\"plan\":\"p\"}");
	expect_hits(LOOKUP_KEY, "a", "two", "a/k ");
	put(KIND_API_KEY, "k2", "a", "{\"api\":\"a\",\"key\":\"two\"}"); /* one value, two events */
	put(KIND_API_KEY, "k1", "a", "{\"api\":\"a\",\"key\":\"two\"}");
	expect_hits(LOOKUP_KEY, "a", "two", "a/k a/k1 a/k2 ");
	put(KIND_API_KEY, "k", "a", "no JSON any more");
	expect_hits(LOOKUP_KEY, "a", "two", "a/k1 a/k2 ");
	put(KIND_API_KEY, "k1", "a", NULL);
	expect_hits(LOOKUP_KEY, "a", "two", "a/k2 ");
	put(KIND_API_KEY, "k1", "a", NULL); /* again */
	put(KIND_API_KEY, "k1", "a", "{\"api\":\"a\",\"key\":\"two\"}");
	expect_hits(LOOKUP_KEY, "a", "two", "a/k1 a/k2 ");
	verify();
}

static void the_index_follows_the_apis_of_a_product(void **state)
{
	UNUSED(state);
	put(KIND_API_PRODUCT, "p", NULL, "{\"apiIds\":[\"a\",\"b\",\"a\"]}");
	put(KIND_API_PRODUCT, "o", NULL, "{\"apiIds\":[\"b\"]}");
	expect_hits(LOOKUP_MEMBER, "a", "", "/p ");
	expect_hits(LOOKUP_MEMBER, "b", "", "/o /p "); /* in the order of their ids */
	verify();
	put(KIND_API_PRODUCT, "p", NULL, "{\"apiIds\":[\"c\",\"b\"]}");
	expect_hits(LOOKUP_MEMBER, "a", "", "");
	expect_hits(LOOKUP_MEMBER, "b", "", "/o /p ");
	expect_hits(LOOKUP_MEMBER, "c", "", "/p ");
	verify();
	put(KIND_API_PRODUCT, "p", NULL, NULL);
	expect_hits(LOOKUP_MEMBER, "b", "", "/o ");
	expect_hits(LOOKUP_MEMBER, "c", "", "");
	verify();
}

static void one_event_is_found_by_its_name(void **state)
{
	struct store_view *v = NULL;
	struct store_entry x;
	char *id = mem_alloc(301);

	UNUSED(state);
	memset(id, 'i', 300);
	id[300] = '\0';
	put(KIND_API, "a", NULL, "{}");
	put(KIND_API, "gone", NULL, NULL);
	put(KIND_API, id, NULL, "{}");
	put(KIND_SUBSCRIPTION, "s", "a", SUB_1);
	put(KIND_SUBSCRIPTION, "s", "b", NULL);
	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_true(store_is_live(v, KIND_API, "a"));
	assert_true(store_is_live(v, KIND_API, id));
	id[299] = 'j';
	assert_false(store_is_live(v, KIND_API, id));
	assert_false(store_is_live(v, KIND_API, "gone"));
	assert_false(store_is_live(v, KIND_API_PRODUCT, "a"));
	assert_false(store_is_live(v, KIND_SUBSCRIPTION, "s"));
	assert_int_equal(store_find(v, KIND_SUBSCRIPTION, "s", "a", &x, NULL), 0);
	assert_int_equal(x.payload_len, strlen(SUB_1));
	assert_int_equal(store_find(v, KIND_SUBSCRIPTION, "s", "b", &x, NULL), 0);
	assert_int_equal(x.action, ACTION_UNDEPLOY);
	assert_int_equal(store_find(v, KIND_SUBSCRIPTION, "s", "", &x, NULL), ERR_NOTFOUND);
	assert_int_equal(store_find(v, KIND_SUBSCRIPTION, "s", "c", &x, NULL), ERR_NOTFOUND);
	assert_int_equal(store_find(v, KIND_API, "a", "", &x, NULL), 0);
	store_view_close(&v);
	mem_free(id);
}

/* Any order of changes: what is found is what a scan of the live events finds. */
static void found_is_what_a_scan_finds(void **state)
{
	enum { IDS = 6, TEXTS = 4, TURNS = 800 };
	int now[IDS][2]; /* text of each event, by reference; -1: none */
	unsigned seed = 5;
	unsigned turn;

	UNUSED(state);
	memset(now, -1, sizeof(now));
	for (turn = 0; turn < TURNS; turn++) {
		unsigned id = (unsigned)rand_r(&seed) % IDS;
		unsigned ref = (unsigned)rand_r(&seed) % 2;
		int text = rand_r(&seed) % (TEXTS + 2) - 2; /* -1: malformed; -2: withdrawn */
		char name[2][4] = { "k0", "a" };
		char *payload = NULL;

		name[0][1] = (char)('0' + id);
		name[1][0] = (char)('a' + ref);
		if (text >= -1)
			payload = text == -1 ? mem_strdup("{\"api\":{}}")
					     : mem_printf("{\"api\":\"%s\",\"key\":\"t%d\"}",
							  name[1], text);
		put(KIND_API_KEY, name[0], name[1], payload);
		mem_free(payload);
		now[id][ref] = MAX(text, -1);
		for (text = 0; text < TEXTS; text++) {
			char key[8];
			struct buf want = { 0 };

			(void)snprintf(key, sizeof(key), "t%d", text);
			for (id = 0; id < IDS; id++)
				if (now[id][ref] == text)
					buf_printf(&want, "%s/k%u ", name[1], id);
			expect_hits(LOOKUP_KEY, name[1], key, buf_cstr(&want));
			buf_reset(&want);
		}
		if (turn % 100 == 0)
			verify();
	}
	verify();
}

enum tamper { LEADS_NOWHERE, EMPTY, FORMAT_1 };

/* With the store closed: what becomes of its index. */
static void tamper(enum tamper how)
{
	char *path = mem_printf("%s/1", dir);
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_dbi lookups;
	MDB_dbi meta;
	char text[] = "K0123456789abcdef nowhere";
	MDB_val key = { sizeof(text), text };
	MDB_val none = { 0, NULL };
	MDB_val format = { 6, (void *)(uintptr_t) "format" };
	MDB_val one = { 1, (void *)(uintptr_t) "1" };

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 5), 0);
	assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "lookups", 0, &lookups), 0);
	assert_int_equal(mdb_dbi_open(txn, "meta", 0, &meta), 0);
	if (how == LEADS_NOWHERE)
		assert_int_equal(mdb_put(txn, lookups, &key, &none, 0), 0);
	else
		assert_int_equal(mdb_drop(txn, lookups, how == FORMAT_1), 0);
	if (how == FORMAT_1)
		assert_int_equal(mdb_put(txn, meta, &format, &one, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	mem_free(path);
}

static void a_lookup_too_many_or_too_few_is_damage(void **state)
{
	char aside[200];
	struct err e = { 0 };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < 2; i++) {
		put(KIND_API_KEY, "k", "a", "{\"api\":\"a\",\"key\":\"one\"}");
		verify();
		store_close(&st);
		tamper(i == 0 ? LEADS_NOWHERE : EMPTY);
		assert_int_equal(store_open(&st, dir, MAP_BYTES, aside, &e), 0);
		assert_int_equal(store_verify(st, &e), ERR_DAMAGED);
		store_close(&st);
		assert_int_equal(teardown(NULL), 0);
		assert_int_equal(setup(NULL), 0);
	}
}

static void a_store_without_lookups_is_set_aside_for_its_format(void **state)
{
	char aside[200];
	struct err e = { 0 };

	UNUSED(state);
	put(KIND_API_KEY, "k", "a", "{\"api\":\"a\",\"key\":\"one\"}");
	store_close(&st);
	tamper(FORMAT_1);
	assert_int_equal(store_open(&st, dir, MAP_BYTES, aside, &e), 0);
	assert_non_null(strstr(aside, "MDB_VERSION_MISMATCH"));
	expect_hits(LOOKUP_KEY, "a", "one", "");
	put(KIND_API_KEY, "k", "a", "{\"api\":\"a\",\"key\":\"one\"}");
	expect_hits(LOOKUP_KEY, "a", "one", "a/k ");
}

#define S(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(payloads_of_the_reference_are_found_by_key_and_client),
		cmocka_unit_test(what_is_malformed_is_found_under_nothing),
		cmocka_unit_test(texts_and_payloads_of_any_size_are_found),
		cmocka_unit_test(a_product_is_found_by_each_of_its_apis_once),
		S(the_index_follows_each_change_of_its_record),
		S(the_index_follows_the_apis_of_a_product),
		S(one_event_is_found_by_its_name),
		S(found_is_what_a_scan_finds),
		S(a_lookup_too_many_or_too_few_is_damage),
		S(a_store_without_lookups_is_set_aside_for_its_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
