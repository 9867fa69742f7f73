/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/digest.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/str.h"

static void a_list_of_words_has_whole_words(void **state)
{
	UNUSED(state);
	assert_true(str_lists("id name of", "id", 2) && str_lists("id name of", "of", 2));
	assert_true(str_lists("id name of", "name", 4) && str_lists("id", "id", 2));
	assert_false(str_lists("id name", "i", 1) || str_lists("id name", "names", 5));
	assert_false(str_lists("id name", "id name", 7) || str_lists("id name", "", 0));
	assert_false(str_lists("id name", "id\0", 3) || str_lists("", "id", 2));
}

static void err_keeps_code_and_adds_context(void **state)
{
	struct err e = { 0 };

	UNUSED(state);
	assert_int_equal(err_errno(&e, ENOENT, "open %s", "x"), -ENOENT);
	assert_int_equal(err_wrap(&e, "load"), -ENOENT);
	assert_string_equal(e.text, "load: open x: No such file or directory");
	assert_int_equal(err_set(NULL, ERR_BUSY, "nobody listens"), ERR_BUSY);
}

/* "é" at the place where the text is cut, at each of its bytes; and bytes that are no text. */
static void text_is_cut_between_characters_wherever_it_is_cut(void **state)
{
	static const char longest[] = "\xf0\x9f\x98\x80";
	char src[64];
	char dst[40];
	size_t n;

	UNUSED(state);
	for (n = 1; n <= sizeof(dst); n++) {
		size_t lead = n < 20 ? 0 : 17;

		(void)snprintf(src, sizeof(src), "%.*s%s\xc3\xa9\xe2\x82\xac%s", (int)lead,
			       "xxxxxxxxxxxxxxxxx", longest, longest);
		str_copy(dst, n, src);
		assert_true(str_is_utf8(dst, strlen(dst)));
		assert_true(str_starts(src, dst) && strlen(dst) + 4 >= MIN(n, strlen(src) + 1));
		str_print(dst, n, "%s", src);
		assert_true(str_is_utf8(dst, strlen(dst)));
		assert_true(str_starts(src, dst) && strlen(dst) + 4 >= MIN(n, strlen(src) + 1));
	}
	str_copy(dst, sizeof(dst),
		 "\xa9\xa9\xa9\xa9\xa9"); /* no character: nothing to keep whole */
	assert_int_equal(strlen(dst), 5);
}

static void an_error_is_utf8_whatever_it_is_made_of(void **state)
{
	char path[ERR_TEXT_BYTES + 2];
	struct err e = { 0 };
	size_t n;

	UNUSED(state);
	assert_int_equal(err_errno(&e, ENOENT, "open %s", "caf\xe9.json"), -ENOENT);
	assert_string_equal(e.text, "open caf\\xe9.json: No such file or directory");
	(void)err_wrap(&e, "read %s", "\xff");
	assert_string_equal(e.text, "read \\xff: open caf\\xe9.json: No such file or directory");
	for (n = ERR_TEXT_BYTES - 8; n <= ERR_TEXT_BYTES; n++) {
		memset(path, 'p', sizeof(path));
		memcpy(path + n - 1, "\xc3\xa9", 3);
		(void)err_set(&e, ERR_PARSE, "%s", path);
		assert_true(str_is_utf8(e.text, strlen(e.text)) && str_starts(path, e.text));
		(void)err_errno(&e, ENOENT, "%s", path);
		assert_true(str_is_utf8(e.text, strlen(e.text)));
		(void)err_wrap(&e, "%s", path);
		assert_true(str_is_utf8(e.text, strlen(e.text)));
	}
}

static void what_is_formatted_is_bounded_and_mended(void **state)
{
	char huge[2 * STR_PRINT_BYTES];
	char dst[2 * STR_PRINT_BYTES];

	UNUSED(state);
	memset(huge, 'x', sizeof(huge));
	memcpy(huge + STR_PRINT_BYTES - 2, "\xe2\x82\xac", 4);
	str_print(dst, sizeof(dst), "%s", huge);
	assert_int_equal(strlen(dst), STR_PRINT_BYTES - 2);
	str_print(dst, 8, "ab\xe9\xe9");
	assert_string_equal(dst, "ab\\xe9"); /* the second one has no room: not half of it */
	str_print(dst, 1, "a");
	assert_string_equal(dst, "");
}

static void what_controls_or_hides_is_escaped(void **state)
{
	static const struct {
		const char *s, *quoted;
	} t[] = {
		{ "a\xc3\xa9\xf0\x9f\x98\x80", "a\xc3\xa9\xf0\x9f\x98\x80" },
		{ "\"\\\n\t", "\\\"\\\\\\n\\t" },
		{ "\033\x7f", "\\u001b\\u007f" },
		{ "\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "\\u0080\\u009b\\u009f\xc2\xa0" },
		{ "\xe2\x80\xae\xe2\x81\xa6\xd8\x9c", "\\u202e\\u2066\\u061c" },
		{ "\xe2\x80\x8b\xe2\x81\xa0\xef\xbb\xbf", "\\u200b\\u2060\\ufeff" },
		{ "\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029" },
		{ "\xf3\xa0\x81\x81", "\\udb40\\udc41" },
		{ "\xff\xe2\x82", "\\ufffd\\ufffd\\ufffd" },
	};
	struct buf b = { 0 };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(t); i++) {
		size_t n = strlen(t[i].s);
		size_t at = 0;

		while (at < n)
			at += str_quote(&b, t[i].s + at, n - at);
		assert_int_equal(at, n);
		assert_string_equal(buf_cstr(&b), t[i].quoted);
		buf_clear(&b);
	}
	buf_reset(&b);
}

static void buf_grows_and_drops(void **state)
{
	struct buf b = { 0 };

	UNUSED(state);
	buf_adds(&b, "hello");
	buf_addi(&b, -42);
	buf_printf(&b, "%s", "!");
	buf_drop(&b, 5);
	assert_string_equal(buf_cstr(&b), "-42!");
	buf_reset(&b);
	assert_int_equal(b.cap, 0);
}

static void numbers_are_refused_when_they_overflow(void **state)
{
	uint64_t u = 7;
	int64_t i = 7;

	UNUSED(state);
	assert_true(str_to_u64("18446744073709551615", 20, &u));
	assert_true(u == UINT64_MAX);
	assert_false(str_to_u64("18446744073709551616", 20, &u));
	assert_false(str_to_u64("", 0, &u));
	assert_false(str_to_u64("1 ", 2, &u));
	assert_true(str_to_i64("-5", 2, &i));
	assert_int_equal(i, -5);
	assert_false(str_to_i64("-", 1, &i));
	assert_false(str_to_i64("9223372036854775808", 19, &i));
}

static void utf8_follows_rfc3629(void **state)
{
	UNUSED(state);
	assert_true(str_is_utf8("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9));
	assert_false(str_is_utf8("\xc0\x80", 2));
	assert_false(str_is_utf8("\xed\xa0\x80", 3));
	assert_false(str_is_utf8("\xf4\x90\x80\x80", 4));
	assert_false(str_is_utf8("\xe2\x82", 2));
}

static void distance_finds_typos(void **state)
{
	UNUSED(state);
	assert_int_equal(str_distance("redis.hsot", "redis.host"), 2);
	assert_int_equal(str_distance("abc", "abc"), 0);
	assert_int_equal(str_distance("", "abc"), 3);
}

static void backoff_doubles_to_its_bound(void **state)
{
	struct backoff b = { .min_ms = 100, .max_ms = 500 };

	UNUSED(state);
	assert_int_equal(backoff_next_ms(&b, 0), 100);
	assert_int_equal(backoff_next_ms(&b, 0), 200);
	assert_int_equal(backoff_next_ms(&b, 0), 400);
	assert_int_equal(backoff_next_ms(&b, 0), 500);
	assert_int_equal(backoff_next_ms(&b, 125), 375);
	backoff_reset(&b);
	assert_int_equal(backoff_next_ms(&b, 0), 100);
}

static void digest_is_a_sum_of_live_members(void **state)
{
	struct digest d = { 0 };
	struct digest empty = { 0 };
	struct hash a;
	struct hash b;
	struct hash gone;

	UNUSED(state);
	hash_event(&a, 'D', "API:a", "x", 1);
	hash_event(&b, 'D', "API:b", "x", 1);
	hash_event(&gone, 'U', "API:c", NULL, 0);
	assert_false(hash_equal(&a, &b));
	digest_add(&d, &a);
	digest_add(&d, &b);
	digest_add(&d, &gone);
	assert_int_equal(d.count, 2);
	digest_sub(&d, &a);
	digest_sub(&d, &gone);
	digest_sub(&d, &b);
	assert_true(digest_equal(&d, &empty));
}

/* Each byte value at each place of a word, behind and before all others. */
static void a_plain_run_ends_at_each_byte_that_json_escapes_or_utf8_begins_with(void **state)
{
	char text[40];
	unsigned at;
	int c;

	UNUSED(state);
	for (c = 0; c < 256; c++) {
		bool is_plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';

		for (at = 0; at < sizeof(text); at++) {
			memset(text, '~', sizeof(text));
			text[at] = (char)c;
			assert_int_equal(str_plain_run(text, sizeof(text)),
					 is_plain ? sizeof(text) : at);
			assert_int_equal(str_plain_run(text, at), at);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_plain_run_ends_at_each_byte_that_json_escapes_or_utf8_begins_with),
		cmocka_unit_test(err_keeps_code_and_adds_context),
		cmocka_unit_test(text_is_cut_between_characters_wherever_it_is_cut),
		cmocka_unit_test(an_error_is_utf8_whatever_it_is_made_of),
		cmocka_unit_test(what_is_formatted_is_bounded_and_mended),
		cmocka_unit_test(what_controls_or_hides_is_escaped),
		cmocka_unit_test(buf_grows_and_drops),
		cmocka_unit_test(numbers_are_refused_when_they_overflow),
		cmocka_unit_test(utf8_follows_rfc3629),
		cmocka_unit_test(distance_finds_typos),
		cmocka_unit_test(a_list_of_words_has_whole_words),
		cmocka_unit_test(backoff_doubles_to_its_bound),
		cmocka_unit_test(digest_is_a_sum_of_live_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
