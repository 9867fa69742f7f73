/* SPDX-License-Identifier: Apache-2.0 */
/* What serves beside what was built: withdrawals taken ahead, and the difference of both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/store/reader.h"
#include "common/store/store.h"
#include "test/unit/store_kit.h"

#define MAP_BYTES (64ULL << 20)

static char *dir;
static struct store *st;
static char aside[200];

static void reopen(void)
{
	store_close(&st);
	assert_int_equal(store_open(&st, dir, MAP_BYTES, aside, NULL), 0);
}

static int setup(void **state)
{
	UNUSED(state);
	dir = store_kit_make();
	reopen();
	return 0;
}

static int teardown(void **state)
{
	UNUSED(state);
	store_close(&st);
	store_kit_remove(&dir);
	return 0;
}

struct item {
	enum kind kind;
	const char *id, *ref;
	const char *payload; /* NULL: a tombstone */
};

/* Revisions as they come, from `first` on; what `with` does with them. */
typedef int with_fn(const struct store_batch *b, struct position *after);

static int give(const struct item *v, size_t n, uint64_t first, const char *token, with_fn *with)
{
	struct event *ev = mem_zalloc(n * sizeof(*ev));
	struct store_record *r = mem_zalloc(n * sizeof(*r));
	struct store_batch b = { .records = r, .len = n, .position = { .lineage = "l" } };
	struct position after;
	size_t i;
	int rc;

	for (i = 0; i < n; i++) {
		ev[i] = (struct event){ .kind = v[i].kind,
					.action = v[i].payload == NULL ? ACTION_UNDEPLOY
								       : ACTION_DEPLOY,
					.id = mem_strdup(v[i].id),
					.ref_id = mem_strdup(v[i].ref),
					.version = mem_strdup("1") };
		buf_adds(&ev[i].payload, v[i].payload == NULL ? "" : v[i].payload);
		r[i] = (struct store_record){ .ev = &ev[i], .revision = first + i };
		event_hash(&r[i].hash, &ev[i]);
	}
	str_copy(b.position.token, sizeof(b.position.token), token);
	b.position.revision = first + n - 1;
	rc = with(&b, &after);
	for (i = 0; i < n; i++)
		event_reset(&ev[i]);
	mem_free(ev);
	mem_free(r);
	return rc;
}

static int serve(const struct store_batch *b, struct position *after)
{
	return store_apply(st, STORE_CURRENT, b, after, NULL);
}

static int build(const struct store_batch *b, struct position *after)
{
	return store_apply(st, STORE_NEXT, b, after, NULL);
}

static int take(const struct store_batch *b, struct position *after)
{
	return store_withdraw(st, b, after, NULL);
}

static const struct item sample[] = {
	{ KIND_API, "a", NULL, "one" },	   { KIND_API, "b", NULL, "two" },
	{ KIND_API, "c", NULL, "three" },  { KIND_API_KEY, "k1", "a", "{\"key\":\"x\"}" },
	{ KIND_API_KEY, "k2", "b", "{}" }, { KIND_API_KEY, "k3", "b", "{}" },
	{ KIND_API_KEY, "k4", "b", "{}" },
};

static bool is_live(enum kind k, const char *id, const char *ref)
{
	struct store_view *v = NULL;
	struct store_entry e;
	bool live;

	assert_int_equal(store_view_open(st, &v, NULL), 0);
	live = store_find(v, k, id, ref, &e, NULL) == 0 && e.action == ACTION_DEPLOY;
	store_view_close(&v);
	return live;
}

static void withdrawals_leave_position_and_log_as_they_are(void **state)
{
	static const struct item gone[] = { { KIND_API_KEY, "k1", "a", NULL },
					    { KIND_API_KEY, "never", "a", NULL },
					    { KIND_API, "c", NULL, NULL } };
	struct position before;
	struct position after;
	struct store_ahead ahead;
	struct err e = { 0 };

	UNUSED(state);
	assert_int_equal(give(sample, ARRAY_LEN(sample), 11, "5:a", serve), 0);
	store_position(st, &before);
	/* Their revisions are those of another history: 13 is another record's here. */
	assert_int_equal(give(gone, ARRAY_LEN(gone), 11, "6:b", take), 2);
	assert_int_equal(give(gone, ARRAY_LEN(gone), 11, "6:b", take), 0);
	assert_false(is_live(KIND_API_KEY, "k1", "a"));
	assert_false(is_live(KIND_API, "c", ""));
	assert_true(is_live(KIND_API, "a", ""));
	reopen();
	assert_string_equal(aside, "");
	store_position(st, &after);
	assert_int_equal(after.revision, before.revision);
	assert_string_equal(after.token, "5:a");
	assert_int_equal(after.digest.count, before.digest.count - 2);
	store_ahead(st, &ahead);
	assert_string_equal(ahead.token, "6:b");
	assert_int_equal(ahead.revision, 13);
	if (store_verify(st, &e) < 0)
		fail_msg("%s", e.text);
}

static void nothing_withdrawn_is_not_ahead(void **state)
{
	static const struct item gone[] = { { KIND_API_KEY, "never", "a", NULL } };
	struct store_ahead ahead;

	UNUSED(state);
	assert_int_equal(give(sample, ARRAY_LEN(sample), 11, "5:a", serve), 0);
	assert_int_equal(give(gone, ARRAY_LEN(gone), 11, "6:b", take), 0);
	store_ahead(st, &ahead);
	assert_string_equal(ahead.token, "");
	reopen();
	store_ahead(st, &ahead);
	assert_string_equal(ahead.token, "");
}

/* Who read at that revision before does not know what went since. */
static void clients_are_told_another_position_with_each_withdrawal(void **state)
{
	static const struct item one[] = { { KIND_API_KEY, "k1", "a", NULL } };
	static const struct item two[] = { { KIND_API_KEY, "k2", "b", NULL } };
	struct position p[3];

	UNUSED(state);
	assert_int_equal(give(sample, ARRAY_LEN(sample), 11, "5:a", serve), 0);
	p[0] = store_kit_told(st);
	assert_int_equal(give(one, 1, 11, "6:b", take), 1);
	p[1] = store_kit_told(st);
	assert_int_equal(give(two, 1, 12, "6:b", take), 1);
	p[2] = store_kit_told(st);
	assert_int_equal(p[0].revision, p[2].revision);
	assert_string_not_equal(p[0].lineage, p[1].lineage);
	assert_string_not_equal(p[1].lineage, p[2].lineage);
	assert_string_not_equal(p[0].lineage, p[2].lineage);
}

static void a_generation_that_was_built_is_not_ahead(void **state)
{
	static const struct item gone[] = { { KIND_API, "c", NULL, NULL } };
	struct store_ahead ahead;

	UNUSED(state);
	assert_int_equal(give(sample, 3, 1, "5:a", serve), 0);
	assert_int_equal(give(gone, 1, 9, "6:b", take), 1);
	assert_int_equal(store_next_begin(st, NULL), 0);
	assert_int_equal(give(sample, 2, 1, "6:b", build), 0);
	assert_int_equal(store_switch(st, NULL), 0);
	store_adopt(st);
	store_ahead(st, &ahead);
	assert_string_equal(ahead.token, "");
	reopen();
	store_ahead(st, &ahead);
	assert_string_equal(ahead.token, "");
}

static void two_generations_are_compared_name_by_name(void **state)
{
	static const struct item next[] = { { KIND_API, "a", NULL, "one" },
					    { KIND_API, "c", NULL, "other" },
					    { KIND_API_KEY, "new", "a", "{}" } };
	struct store_difference d;

	UNUSED(state);
	assert_int_equal(give(sample, ARRAY_LEN(sample), 1, "5:a", serve), 0);
	assert_int_equal(store_next_begin(st, NULL), 0);
	assert_int_equal(give(next, ARRAY_LEN(next), 1, "6:b", build), 0);
	assert_int_equal(store_compare(st, "", &d, NULL), 0);
	assert_int_equal(d.live[KIND_API], 3);
	assert_int_equal(d.lacks[KIND_API], 1);
	assert_int_equal(d.live[KIND_API_KEY], 4);
	assert_int_equal(d.lacks[KIND_API_KEY], 1); /* the others went with their API */
	assert_int_equal(d.differs, 7);		    /* b, c, k1 to k4, new */
	assert_false(d.told);
	assert_int_equal(store_compare(st, "API:a\nAPI:zz", &d, NULL), 0);
	assert_false(d.told);
	assert_int_equal(store_compare(st, "API:zz\nAPI:c", &d, NULL), 0);
	assert_true(d.told);
	assert_int_equal(store_compare(st, "API:a:API_KEY:new", &d, NULL), 0);
	assert_true(d.told);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(withdrawals_leave_position_and_log_as_they_are),
		T(nothing_withdrawn_is_not_ahead),
		T(clients_are_told_another_position_with_each_withdrawal),
		T(a_generation_that_was_built_is_not_ahead),
		T(two_generations_are_compared_name_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
