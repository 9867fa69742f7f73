/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/redis/reply.h"
#include "common/zone/find.h"
#include "common/zone/java.h"
#include "workers/cache/follow/marks.h"
#include "test/unit/resp_kit.h"

/* --- answers in short: resp_kit.h --- */

struct asked {
	reader_fn *fn;
	void *arg;
	bool called;
};

static int on_reply(void *arg, const struct redis_reply *r)
{
	struct asked *a = arg;

	a->called = true;
	return a->fn(a->arg, r);
}

static void with_reply(const char *shape, reader_fn *fn, void *arg)
{
	struct asked a = { fn, arg, false };
	struct reader *r = reader_create(1 << 20);
	struct buf wire = { 0 };
	struct err e = { 0 };

	(void)resp_put(&wire, shape);
	assert_int_equal(reader_feed(r, wire.data, wire.len, on_reply, &a, &e), 0);
	assert_true(a.called);
	buf_reset(&wire);
	reader_free(&r);
}

/* --- pages --- */

struct parsed {
	struct find_page page;
	int rc;
};

static int parse(void *arg, const struct redis_reply *r)
{
	struct parsed *p = arg;
	struct zone_keys k = { 0 };
	struct err e = { 0 };

	assert_int_equal(zone_keys_init(&k, "z", &e), 0);
	p->rc = find_page_parse(r, &k, 100, &p->page, &e);
	return 0;
}

#define ROW(name, rest) "(__key distributed_event:z:" name " clusterId z " rest ")"
#define GOOD                                                                                       \
	ROW("API:a:SUBSCRIPTION:s",                                                                \
	    "id s type SUBSCRIPTION syncAction DEPLOY updatedAt 1755700000000 payload {}")

static struct parsed page_of(const char *shape)
{
	struct parsed p = { 0 };

	with_reply(shape, parse, &p);
	return p;
}

static void check_good(struct parsed *p)
{
	assert_int_equal(p->rc, 0);
	assert_int_equal(p->page.cursor, 7);
	assert_int_equal(p->page.len, 1);
	assert_null(p->page.rows[0].wrong);
	assert_int_equal(p->page.rows[0].ev.kind, KIND_SUBSCRIPTION);
	assert_string_equal(p->page.rows[0].ev.id, "s");
	assert_string_equal(p->page.rows[0].ev.ref_id, "a");
	assert_int_equal(p->page.rows[0].updated_ms, 1755700000000);
	find_page_reset(&p->page);
}

static void rows_of_old_modules_are_lists(void **state)
{
	struct parsed p = page_of("((#1 " GOOD ") #7)");

	(void)state;
	check_good(&p);
}

static void rows_of_newer_modules_have_names(void **state)
{
	struct parsed p = page_of("((attributes () results ((extra_attributes " GOOD
				  " values ())) total_results #1) #7)");

	(void)state;
	check_good(&p);
}

static void what_is_no_page_is_an_error(void **state)
{
	static const char *const shapes[] = { "()", "(#1)", "((#1) x)", "word", "((#1 " GOOD "))" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(shapes); i++)
		assert_int_equal(page_of(shapes[i]).rc, ERR_PROTO);
}

static void a_row_that_is_no_event_says_why(void **state)
{
	static const struct {
		const char *row;
		const char *wrong;
		bool other, live;
	} rows[] = {
		{ ROW("API:a", "type API syncAction DEPLOY payload {}"), "it has no id", false,
		  true },
		{ ROW("API:a", "id a type api syncAction DEPLOY payload {}"),
		  "its type is not known", false, true },
		{ ROW("API:a", "id a type API syncAction deploy payload {}"),
		  "its syncAction is not known", false, true },
		{ ROW("API:b", "id a type API syncAction UNDEPLOY payload {}"),
		  "its key is not that of its type and id", false, false },
		{ ROW("API:a", "id a type API syncAction DEPLOY"), "it has no payload", false,
		  true },
		{ ROW("API:a", "id a type API syncAction DEPLOY payload {"),
		  "its payload is no JSON", false, true },
		{ "(__key distributed_event:z:API:a clusterId Z id a type API syncAction DEPLOY payload {})",
		  "it is of another zone", true, true },
		{ "(__key other:z:API:a clusterId z id a type API syncAction DEPLOY payload {})",
		  "its key is not of this zone", false, true },
		{ "(clusterId z id a type API syncAction DEPLOY payload {})", "its key is no text",
		  false, true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		char *shape = mem_printf("((#1 %s) #0)", rows[i].row);
		struct parsed p = page_of(shape);

		assert_int_equal(p.page.len, 1);
		assert_string_equal(p.page.rows[0].wrong, rows[i].wrong);
		assert_int_equal(p.page.rows[0].other, rows[i].other);
		assert_int_equal(p.page.rows[0].live, rows[i].live);
		find_page_reset(&p.page);
		mem_free(shape);
	}
}

static void times_come_as_digits_or_with_an_exponent(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = { { "1755700000000", 1755700000000 },
		     { "1.7557e+12", 1755700000000 },
		     { "1755700000000.0", 1755700000000 },
		     { "nan", 0 },
		     { "1e300", 0 },
		     { "-5", 0 },
		     { "soon", 0 } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		char *shape = mem_printf(
			"((#1 " ROW("API:a",
				    "id a type API syncAction UNDEPLOY updatedAt %s") ") #0)",
			rows[i].text);
		struct parsed p = page_of(shape);

		assert_null(p.page.rows[0].wrong);
		assert_int_equal(p.page.rows[0].updated_ms, rows[i].ms);
		find_page_reset(&p.page);
		mem_free(shape);
	}
}

static int count(void *arg, const struct redis_reply *r)
{
	struct err e = { 0 };

	if (find_count_parse(r, arg, &e) < 0)
		*(uint64_t *)arg = UINT64_MAX;
	return 0;
}

static void counts_come_in_both_forms(void **state)
{
	uint64_t n = 0;

	(void)state;
	with_reply("(#21)", count, &n);
	assert_int_equal(n, 21);
	with_reply("(attributes () total_results #22 results ())", count, &n);
	assert_int_equal(n, 22);
	with_reply("(x)", count, &n);
	assert_int_equal(n, UINT64_MAX);
}

/* Cases R1 and R2 of CONFORMANCE.md. */
static void tags_are_escaped_as_the_reference_does(void **state)
{
	static const struct {
		const char *tag, *escaped;
	} rows[] = { { "cluster/a b|c?d", "cluster\\/a\\ b\\|c\\?d" },
		     { "my-release-apim-gateway-external-hz57",
		       "my\\-release\\-apim\\-gateway\\-external\\-hz57" },
		     { "a_b\xc3\xa9", "a_b\xc3\xa9" } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = { 0 };

		find_escape(&b, rows[i].tag);
		assert_string_equal(buf_cstr(&b), rows[i].escaped);
		buf_reset(&b);
	}
}

/* --- java --- */

static struct java_watch watch = { .silence_ms = 1000 };
static int64_t now_ms;

static int take(void *arg, const struct redis_reply *r)
{
	(void)arg;
	java_take(&watch, r, now_ms);
	return 0;
}

static enum java_verdict at(int64_t now, const char *state)
{
	now_ms = now;
	with_reply(state, take, NULL);
	return java_judge(&watch, now);
}

static void a_java_primary_is_told_by_its_state_that_moves(void **state)
{
	(void)state;
	watch = (struct java_watch){ .silence_ms = 1000 };
	assert_int_equal(at(1, "(zonesync-node zonesync #1 #5)"), JAVA_NONE);
	assert_int_equal(at(2, "(n 4.13.0 #1 #5)"), JAVA_UNSURE);
	assert_int_equal(at(500, "(n 4.13.0 #1 #5)"), JAVA_UNSURE);
	assert_int_equal(at(1002, "(n 4.13.0 #1 #5)"), JAVA_GONE);
	assert_int_equal(at(1100, "(n 4.13.0 #5 #9)"), JAVA_WRITES);
	assert_int_equal(at(2099, "(n 4.13.0 #5 #9)"), JAVA_WRITES);
	assert_int_equal(at(2100, "(n 4.13.0 #5 #9)"), JAVA_SILENT);
	/* Another node of it, whose clock is behind: it lives. */
	assert_int_equal(at(9000, "(m 4.13.0 #2 #3)"), JAVA_WRITES);
	/* We took over: it is over, until it writes once more. */
	assert_int_equal(at(9001, "(x zonesync #1 #9)"), JAVA_NONE);
	assert_int_equal(at(9002, "(m 4.13.0 #3 #4)"), JAVA_WRITES);
	/* A flush does not end it at once. */
	assert_int_equal(at(9003, "()"), JAVA_WRITES);
	assert_int_equal(at(20000, "()"), JAVA_NONE);
}

static void a_node_without_a_version_is_no_node_of_ours(void **state)
{
	(void)state;
	watch = (struct java_watch){ .silence_ms = 1000 };
	assert_int_equal(at(1, "(n unknown #1 #5)"), JAVA_UNSURE);
}

/* --- marks --- */

static void marks_know_what_was_added(void **state)
{
	struct marks l = { 0 };
	char key[16];
	size_t i;

	(void)state;
	assert_false(marks_have(&l, marks_hash("x")));
	for (i = 0; i < 2000; i++) {
		(void)snprintf(key, sizeof(key), "k%zu", i % 1000);
		marks_add(&l, key);
	}
	marks_settle(&l);
	assert_int_equal(l.n, 1000);
	for (i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof(key), "k%zu", i);
		assert_true(marks_have(&l, marks_hash(key)));
	}
	assert_false(marks_have(&l, marks_hash("k1000")));
	marks_reset(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_old_modules_are_lists),
		cmocka_unit_test(rows_of_newer_modules_have_names),
		cmocka_unit_test(what_is_no_page_is_an_error),
		cmocka_unit_test(a_row_that_is_no_event_says_why),
		cmocka_unit_test(times_come_as_digits_or_with_an_exponent),
		cmocka_unit_test(counts_come_in_both_forms),
		cmocka_unit_test(tags_are_escaped_as_the_reference_does),
		cmocka_unit_test(a_java_primary_is_told_by_its_state_that_moves),
		cmocka_unit_test(a_node_without_a_version_is_no_node_of_ours),
		cmocka_unit_test(marks_know_what_was_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
