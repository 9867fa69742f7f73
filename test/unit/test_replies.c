/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of Redis as bytes: how they are cut, what they are taken for, and what of the lease's
 * and the log's is refused. Whoever can write to the Redis can make it say any of this.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/redis/reply.h"
#include "common/zone/follow.h"
#include "common/zone/lease.h"
#include "test/unit/resp_kit.h"

/* --- the reader --- */

static struct buf heard;
static int next_rc;

/* What a reply is, in short: "text", #number, !error, -, (elements). */
static void say(const struct redis_reply *r)
{
	size_t n = 0;
	const char *s = redis_str(r, &n);
	int64_t v = 0;
	size_t i;

	if (redis_is_nil(r)) {
		buf_addc(&heard, '-');
	} else if (s != NULL) {
		buf_addc(&heard, redis_is_error(r) ? '!' : '"');
		buf_add(&heard, s, n);
		buf_addc(&heard, '"');
	} else if (redis_i64(r, &v)) {
		buf_printf(&heard, "#%lld", (long long)v);
	} else {
		buf_addc(&heard, '(');
		for (i = 0; i < redis_count(r); i++)
			say(redis_at(r, i));
		buf_addc(&heard, ')');
	}
}

static int on_reply(void *arg, const struct redis_reply *r)
{
	UNUSED(arg);
	say(r);
	return next_rc;
}

static int feed(struct reader *r, const char *s, size_t n)
{
	struct err e = { 0 };
	int rc = reader_feed(r, s, n, on_reply, NULL, &e);

	assert_int_equal(e.code, rc);
	return rc;
}

static int feeds(struct reader *r, const char *s)
{
	return feed(r, s, strlen(s));
}

static void expect_heard(const char *want)
{
	assert_string_equal(buf_cstr(&heard), want);
	buf_reset(&heard);
}

static const char stream[] = "+OK\r\n:-7\r\n$5\r\na\r\nbc\r\n*3\r\n:1\r\n*1\r\n$1\r\nx\r\n$-1\r\n"
			     "-ERR no\r\n$0\r\n\r\n*0\r\n";
static const char stream_says[] = "\"OK\"#-7\"a\r\nbc\"(#1(\"x\")-)!ERR no\"\"\"()";

static void replies_are_the_same_however_they_are_cut(void **state)
{
	size_t piece;

	UNUSED(state);
	next_rc = 0;
	for (piece = 1; piece <= sizeof(stream) - 1; piece++) {
		struct reader *r = reader_create(100);
		size_t at;

		for (at = 0; at < sizeof(stream) - 1; at += piece)
			assert_int_equal(feed(r, stream + at, MIN(piece, sizeof(stream) - 1 - at)),
					 0);
		expect_heard(stream_says);
		reader_free(&r);
	}
}

static void nothing_is_said_after_the_owner_closed_or_refused(void **state)
{
	struct reader *r = reader_create(100);

	UNUSED(state);
	next_rc = READER_STOP;
	assert_int_equal(feeds(r, "+one\r\n+two\r\n"), 0);
	expect_heard("\"one\"");
	reader_free(&r);
	r = reader_create(100);
	next_rc = ERR_BUSY;
	assert_int_equal(reader_feed(r, "+one\r\n+two\r\n", 12, on_reply, NULL, NULL), ERR_BUSY);
	expect_heard("\"one\"");
	reader_free(&r);
	next_rc = 0;
}

/* The limit is of one reply, not of a connection's life. */
static void a_reply_has_a_limit_of_bytes_and_a_stream_has_none(void **state)
{
	struct reader *r = reader_create(20);
	unsigned i;

	UNUSED(state);
	for (i = 0; i < 1000; i++)
		assert_int_equal(feeds(r, "+0123456789\r\n"), 0);
	buf_reset(&heard);
	assert_int_equal(feeds(r, "$1000\r\n"), 0);
	assert_int_equal(feeds(r, "0123456789abc"), 0); /* twenty with its header */
	assert_int_equal(feeds(r, "d"), ERR_LIMIT);
	assert_int_equal(heard.len, 0);
	reader_free(&r);
}

static void an_array_has_a_limit_of_elements(void **state)
{
	struct reader *r = reader_create(100);
	char text[32];

	UNUSED(state);
	(void)snprintf(text, sizeof(text), "*%u\r\n", REDIS_ELEMENTS_MAX);
	assert_int_equal(feeds(r, text), 0);
	reader_free(&r);
	r = reader_create(100);
	(void)snprintf(text, sizeof(text), "*%u\r\n", REDIS_ELEMENTS_MAX + 1);
	assert_int_equal(feeds(r, text), ERR_PROTO);
	reader_free(&r);
}

static void what_is_no_reply_loses_the_stream(void **state)
{
	static const char *const rows[] = { "x\r\n",
					    "\r\n",
					    "GET / HTTP/1.1\r\n",
					    "*1\r\nx\r\n",
					    "\x16\x03\x01\x02",
					    "*99999999999999999999\r\n" };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct reader *r = reader_create(100);

		if (feeds(r, rows[i]) != ERR_PROTO)
			fail_msg("row %zu is a reply", i);
		if (reader_feed(r, "+OK\r\n", 5, on_reply, NULL, NULL) != ERR_PROTO)
			fail_msg("row %zu: the stream goes on", i);
		assert_int_equal(heard.len, 0);
		reader_free(&r);
	}
}

/* --- values --- */

typedef void look_fn(const struct redis_reply *r, const void *arg);

struct look {
	look_fn *fn;
	const void *arg;
};

static int on_look(void *arg, const struct redis_reply *r)
{
	const struct look *l = arg;

	l->fn(r, l->arg);
	return 0;
}

static void with(const char *wire, size_t n, look_fn *fn, const void *arg)
{
	struct reader *r = reader_create(1 << 20);
	struct look l = { fn, arg };

	assert_int_equal(reader_feed(r, wire, n, on_look, &l, NULL), 0);
	reader_free(&r);
}

struct number {
	const char *text;
	bool is;
	int64_t value;
};

static void look_number(const struct redis_reply *r, const void *arg)
{
	const struct number *want = arg;
	int64_t v = 77;
	uint64_t u = 77;

	if (redis_i64(r, &v) != want->is || v != (want->is ? want->value : 77))
		fail_msg("`%s` is %lld", want->text, (long long)v);
	if (redis_u64(r, &u) != (want->is && want->value >= 0))
		fail_msg("`%s` is %llu", want->text, (unsigned long long)u);
	if (!want->is || want->value < 0)
		assert_int_equal(u, 77); /* written on success only */
}

static void numbers_are_integers_or_their_whole_text(void **state)
{
	static const struct number rows[] = {
		{ "0", true, 0 },
		{ "-1", true, -1 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "-9223372036854775807", true, -INT64_MAX },
		{ "9223372036854775808", false, 0 },
		{ "", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "1.0", false, 0 },
		{ "0x1", false, 0 },
		{ "-", false, 0 },
		{ "one", false, 0 },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct redis_cmd c = { 0 };
		struct buf b = { 0 };

		redis_cmd_str(&c, rows[i].text);
		with(c.words.data, c.words.len, look_number, &rows[i]);
		buf_reset(&c.words);
		if (!rows[i].is)
			continue;
		buf_printf(&b, ":%s\r\n", rows[i].text);
		with(b.data, b.len, look_number, &rows[i]);
		buf_reset(&b);
	}
}

static void look_copy(const struct redis_reply *r, const void *arg)
{
	char dst[4] = "zzz";

	assert_int_equal(redis_copy(r, dst, sizeof(dst)), arg != NULL);
	assert_string_equal(dst, arg != NULL ? arg : "zzz");
}

static void a_copy_is_whole_or_none(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *want;
	} rows[] = { { "", 0, "" },
		     { "abc", 3, "abc" },
		     { "abcd", 4, NULL },
		     { "a\0c", 3, NULL },
		     { "abc\0", 4, NULL } };
	static const char *const others[] = { "$-1\r\n", ":1\r\n", "*0\r\n" };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct redis_cmd c = { 0 };

		redis_cmd_arg(&c, rows[i].text, rows[i].n);
		with(c.words.data, c.words.len, look_copy, rows[i].want);
		buf_reset(&c.words);
	}
	for (i = 0; i < ARRAY_LEN(others); i++)
		with(others[i], strlen(others[i]), look_copy, NULL);
}

static void look_error(const struct redis_reply *r, const void *arg)
{
	assert_true(redis_is_error(r));
	assert_int_equal(redis_error_is(r, "NOSCRIPT"), arg != NULL);
}

static void look_no_error(const struct redis_reply *r, const void *arg)
{
	UNUSED(arg);
	assert_false(redis_is_error(r));
	assert_false(redis_error_is(r, "NOSCRIPT"));
}

/* The first word is the error's name, and no text of data is one. */
static void an_error_is_known_by_its_first_word(void **state)
{
	static const char yes[] = "-NOSCRIPT No matching script\r\n";
	static const char later[] = "-ERR NOSCRIPT\r\n";
	static const char data[] = "$10\r\nNOSCRIPT x\r\n";
	static const char status[] = "+NOSCRIPT x\r\n";

	UNUSED(state);
	with(yes, sizeof(yes) - 1, look_error, "");
	with(later, sizeof(later) - 1, look_error, NULL);
	with(data, sizeof(data) - 1, look_no_error, NULL);
	with(status, sizeof(status) - 1, look_no_error, NULL);
}

static void of_no_reply_everything_may_be_asked(void **state)
{
	int64_t i = 7;
	uint64_t u = 7;
	size_t n = 7;
	char dst[4] = "zzz";

	UNUSED(state);
	assert_false(redis_is_error(NULL));
	assert_false(redis_error_is(NULL, "ERR"));
	assert_int_equal(redis_count(NULL), 0);
	assert_null(redis_at(NULL, 0));
	assert_null(redis_str(NULL, &n));
	assert_false(redis_i64(NULL, &i));
	assert_false(redis_u64(NULL, &u));
	assert_false(redis_copy(NULL, dst, sizeof(dst)));
	assert_false(redis_is(NULL, ""));
	assert_int_equal(i, 7);
	assert_int_equal(u, 7);
	assert_string_equal(dst, "zzz");
}

static void commands_are_written_by_their_lengths(void **state)
{
	static const char want[] =
		"$3\r\nSET\r\n$4\r\na\0\r\n\r\n$0\r\n\r\n$20\r\n-9223372036854775808\r\n";
	struct redis_cmd c = { 0 };

	UNUSED(state);
	redis_cmd_str(&c, "SET");
	redis_cmd_arg(&c, "a\0\r\n", 4);
	redis_cmd_str(&c, "");
	redis_cmd_i64(&c, INT64_MIN);
	assert_int_equal(c.n, 4);
	assert_int_equal(c.words.len, sizeof(want) - 1);
	assert_memory_equal(c.words.data, want, sizeof(want) - 1);
	buf_reset(&c.words);
}

/* --- answers of scripts, in short: resp_kit.h --- */

static void with_shape(const char *shape, look_fn *fn, const void *arg)
{
	struct buf b = { 0 };

	(void)resp_put(&b, shape);
	with(b.data, b.len, fn, arg);
	buf_reset(&b);
}

struct leased {
	const char *shape;
	int answer; /* or the error */
	const char *token;
	uint64_t seq;
	int64_t left_ms;
	int64_t ttl_ms;
	const char *holder;
};

static void look_lease(const struct redis_reply *r, const void *arg)
{
	const struct leased *want = arg;
	struct lease_reply l;
	struct err e = { 0 };

	memset(&l, 0x5a, sizeof(l));
	if (want->answer < 0) {
		if (lease_parse(r, &l, &e) != want->answer || e.text[0] == '\0')
			fail_msg("%s is an answer", want->shape);
		assert_int_equal((unsigned char)l.token[0], 0x5a); /* written on success only */
		return;
	}
	if (lease_parse(r, &l, &e) != 0 || (int)l.answer != want->answer)
		fail_msg("%s: %s", want->shape, e.text);
	assert_string_equal(l.token, want->token);
	assert_int_equal(l.seq, want->seq);
	assert_int_equal(l.left_ms, want->left_ms);
	assert_int_equal(l.ttl_ms, want->ttl_ms);
	assert_string_equal(l.holder, want->holder);
}

#define LONG_TOKEN                                                                                      \
	"1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void an_answer_about_the_lease_is_one_of_five(void **state)
{
	static const struct leased rows[] = {
		{ "(FREE)", LEASE_FREE, "", 0, -1, -1, "" },
		{ "(NEWER 3.0)", LEASE_NEWER, "", 0, -1, -1, "3.0" },
		{ "(HELD 5:n)", LEASE_HELD, "5:n", 0, -1, -1, "" },
		{ "(LOST 6:m)", LEASE_LOST, "6:m", 0, -1, -1, "" },
		{ "(LOST)", LEASE_LOST, "", 0, -1, -1, "" },
		{ "(LOST -)", LEASE_LOST, "", 0, -1, -1, "" },
		{ "(BUSY 6:m 9 #800 1000 node-2)", LEASE_BUSY, "6:m", 9, 800, 1000, "node-2" },
		{ "(BUSY 6:m)", LEASE_BUSY, "6:m", 0, -1, -1, "" },
		/* of what is only for people, or to be asked again, nothing is made up */
		{ "(BUSY 6:m -9 x - (a))", LEASE_BUSY, "6:m", 0, -1, -1, "" },
		{ "(HELD)", ERR_PROTO, "", 0, 0, 0, "" },
		{ "(HELD -)", ERR_PROTO, "", 0, 0, 0, "" },
		{ "(HELD #5)", ERR_PROTO, "", 0, 0, 0, "" },
		{ "(HELD " LONG_TOKEN ")", ERR_PROTO, "", 0, 0, 0, "" },
		{ "(BUSY)", ERR_PROTO, "", 0, 0, 0, "" },
		{ "(BUSY " LONG_TOKEN ")", ERR_PROTO, "", 0, 0, 0, "" },
		{ "(NEWER)", ERR_PROTO, "", 0, 0, 0, "" },
		{ "(held 5:n)", ERR_PROTO, "", 0, 0, 0, "" },
		{ "HELD", ERR_PROTO, "", 0, 0, 0, "" },
		{ "((HELD) 5:n)", ERR_PROTO, "", 0, 0, 0, "" },
		{ "()", ERR_PROTO, "", 0, 0, 0, "" },
		{ "-", ERR_PROTO, "", 0, 0, 0, "" },
		{ "#1", ERR_PROTO, "", 0, 0, 0, "" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		with_shape(rows[i].shape, look_lease, &rows[i]);
}

static void the_epoch_of_a_token_is_its_number(void **state)
{
	static const struct {
		const char *token;
		uint64_t epoch;
	} rows[] = {
		{ "5:n", 5 },
		{ "18446744073709551615:n", UINT64_MAX },
		{ "18446744073709551616:n", 0 },
		{ "5", 0 },
		{ "", 0 },
		{ ":n", 0 },
		{ "x:n", 0 },
		{ "-5:n", 0 },
		{ " 5:n", 0 },
		{ "5:n:6", 5 },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (token_epoch(rows[i].token) != rows[i].epoch)
			fail_msg("`%s`", rows[i].token);
}

/* --- a page of the log: its head, field by field --- */

static const char *const head[] = { "lineage", "5:n", "9",   "1",  "1",	  "2",	 "3",
				    "4",       "1",   "5:n", "2",  "#-1", "6:m", "3",
				    "8",       "''",  "''",  "''", "#-1", "100", "2.0" };

static int parsed_rc;
static struct head parsed;

static void look_page(const struct redis_reply *r, const void *arg)
{
	struct page p = { 0 };

	UNUSED(arg);
	parsed_rc = follow_parse(r, &p, NULL);
	parsed = p.head;
	if (parsed_rc == 0)
		follow_page_reset(&p);
}

/* The head with one field changed; NULL: as it is. */
static int parse_head(size_t field, const char *to)
{
	struct buf b = { 0 };
	size_t i;

	buf_adds(&b, "((");
	for (i = 0; i < ARRAY_LEN(head); i++)
		buf_printf(&b, "%s ", to != NULL && i == field ? to : head[i]);
	buf_adds(&b, ") ())");
	with_shape(buf_cstr(&b), look_page, NULL);
	buf_reset(&b);
	return parsed_rc;
}

static void a_head_is_read_field_by_field(void **state)
{
	UNUSED(state);
	assert_int_equal(parse_head(0, NULL), 0);
	assert_string_equal(parsed.lineage, "lineage");
	assert_string_equal(parsed.token, "5:n");
	assert_int_equal(parsed.revision, 9);
	assert_int_equal(parsed.digest.count, 1);
	assert_int_equal(parsed.digest.lane[3], 4);
	assert_int_equal(parsed.complete, ZONE_COMPLETE);
	assert_string_equal(parsed.caught, "5:n");
	assert_int_equal(parsed.horizon, 2);
	assert_int_equal(parsed.own_end, -1);
	assert_string_equal(parsed.lease, "6:m");
	assert_int_equal(parsed.lease_seq, 3);
	assert_int_equal(parsed.polls, 8);
	assert_int_equal(parsed.above, -1);
	assert_int_equal(parsed.lag_ms, 100);
	assert_string_equal(parsed.version, "2.0");
}

static void a_field_of_the_head_that_cannot_be_is_refused(void **state)
{
	enum { TEXT, NUMBER, LANE, SIGNED, WORDS, ANY };
	static const int kinds[ARRAY_LEN(head)] = { TEXT,   TEXT,   NUMBER, NUMBER, LANE,   LANE,
						    LANE,   LANE,   ANY,    TEXT,   NUMBER, SIGNED,
						    TEXT,   NUMBER, NUMBER, TEXT,   TEXT,   WORDS,
						    SIGNED, ANY,    WORDS };
	static const struct {
		const char *to;
		bool refused[6]; /* by kind */
	} rows[] = {
		/*		    TEXT   NUMBER LANE   SIGNED WORDS  ANY */
		{ "-", { true, true, true, true, false, false } },
		{ "(a)", { true, true, true, true, false, false } },
		{ "''", { false, false, false, true, false, false } },
		{ "-5", { false, true, true, false, false, false } },
		{ "#-5", { true, true, true, false, false, false } },
		{ "x", { false, true, true, true, false, false } },
		{ "4294967295", { false, false, false, false, false, false } },
		{ "4294967296", { false, false, true, false, false, false } },
		{ "99999999999999999999", { false, true, true, true, false, false } },
	};
	size_t i;
	size_t k;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(head); i++)
		for (k = 0; k < ARRAY_LEN(rows); k++)
			if ((parse_head(i, rows[k].to) != 0) != rows[k].refused[kinds[i]])
				fail_msg("field %zu as %s: %d", i, rows[k].to, parsed_rc);
}

static void texts_of_the_head_have_limits_and_words_are_cut(void **state)
{
	static const struct {
		size_t field;
		size_t bytes; /* with its NUL */
	} rows[] = { { 0, sizeof(parsed.lineage) }, { 1, sizeof(parsed.token) },
		     { 9, sizeof(parsed.caught) },  { 12, sizeof(parsed.lease) },
		     { 15, sizeof(parsed.unread) }, { 16, sizeof(parsed.accepted) } };
	char text[8192];
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(rows[i].bytes < sizeof(text));
		memset(text, 'a', sizeof(text));
		text[rows[i].bytes - 1] = '\0';
		assert_int_equal(parse_head(rows[i].field, text), 0);
		text[rows[i].bytes - 1] = 'a';
		text[rows[i].bytes] = '\0';
		assert_int_equal(parse_head(rows[i].field, text), ERR_PROTO);
	}
	assert_int_equal(parse_head(17, text), 0); /* what is held back, for people */
	assert_int_equal(strlen(parsed.held), MIN(strlen(text), sizeof(parsed.held) - 1));
}

static void how_full_a_zone_is_said_exactly(void **state)
{
	UNUSED(state);
	assert_int_equal(parse_head(8, "empty"), 0);
	assert_int_equal(parsed.complete, ZONE_EMPTY);
	assert_int_equal(parse_head(8, "0"), 0);
	assert_int_equal(parsed.complete, ZONE_FILLING);
	assert_int_equal(parse_head(8, "true"), 0);
	assert_int_equal(parsed.complete, ZONE_FILLING);
	/* A lag that is too long to be one is the longest; one that is none is not said. */
	assert_int_equal(parse_head(19, "999999999"), 0);
	assert_int_equal(parsed.lag_ms, FOLLOW_LAG_MS);
	assert_int_equal(parse_head(19, "-1"), 0);
	assert_int_equal(parsed.lag_ms, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_the_same_however_they_are_cut),
		cmocka_unit_test(nothing_is_said_after_the_owner_closed_or_refused),
		cmocka_unit_test(a_reply_has_a_limit_of_bytes_and_a_stream_has_none),
		cmocka_unit_test(an_array_has_a_limit_of_elements),
		cmocka_unit_test(what_is_no_reply_loses_the_stream),
		cmocka_unit_test(numbers_are_integers_or_their_whole_text),
		cmocka_unit_test(a_copy_is_whole_or_none),
		cmocka_unit_test(an_error_is_known_by_its_first_word),
		cmocka_unit_test(of_no_reply_everything_may_be_asked),
		cmocka_unit_test(commands_are_written_by_their_lengths),
		cmocka_unit_test(an_answer_about_the_lease_is_one_of_five),
		cmocka_unit_test(the_epoch_of_a_token_is_its_number),
		cmocka_unit_test(a_head_is_read_field_by_field),
		cmocka_unit_test(a_field_of_the_head_that_cannot_be_is_refused),
		cmocka_unit_test(texts_of_the_head_have_limits_and_words_are_cut),
		cmocka_unit_test(how_full_a_zone_is_said_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
