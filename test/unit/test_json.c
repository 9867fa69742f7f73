/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/scan.h"
#include "common/json/write.h"

/* Checks a copy without a byte to spare, so that the sanitizer sees a read past the end. */
static int check(const char *text, size_t n, struct err *e)
{
	char *copy = malloc(n == 0 ? 1 : n);
	struct json_span v = { 0 };
	int rc;

	assert_non_null(copy);
	memcpy(copy, text, n);
	rc = json_check(copy, n, &v, e);
	free(copy);
	return rc;
}

static struct json_span parse(const char *text)
{
	struct json_span v = { 0 };
	struct err e = { 0 };

	if (json_check(text, strlen(text), &v, &e) < 0)
		fail_msg("%s: %s", text, e.text);
	return v;
}

static void check_accepts_what_the_rfc_allows(void **state)
{
	static const char *const good[] = {
		"0",
		"-0",
		"12.5e-3",
		"1E+400",
		"123456789012345678901234567890",
		"\"\"",
		" null ",
		"true",
		"false",
		"[]",
		"{}",
		"[[],{},[1]]",
		"{\"a\":1,\"a\":2}",
		"\t{ \"a\" : [ ] }\r\n",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uD83D\\uDE00\"",
		"\"\xf0\x9f\x98\x80\x7f\"",
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(good); i++) {
		struct err e = { 0 };

		if (check(good[i], strlen(good[i]), &e) < 0)
			fail_msg("%s: %s", good[i], e.text);
	}
}

static void check_refuses_with_offset_and_expectation(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} bad[] = {
		{ "", "expected a value at byte 0" },
		{ "  ", "expected a value at byte 2" },
		{ "{", "expected a member name or '}' at byte 1" },
		{ "[", "expected a value or ']' at byte 1" },
		{ "[1", "expected ',' or the end" },
		{ "[1,]", "expected a value at byte 3" },
		{ "{\"a\":1,}", "expected a member name at byte 7" },
		{ "{\"a\"}", "expected ':' at byte 4" },
		{ "{\"a\":}", "expected a value at byte 5" },
		{ "{a:1}", "expected a member name or '}' at byte 1" },
		{ "{\"a\":1]", "expected ',' or the end" },
		{ "[1}", "expected ',' or the end" },
		{ "]", "expected a value at byte 0" },
		{ "1 2", "expected the end of the text at byte 2" },
		{ "{}}", "expected the end of the text at byte 2" },
		{ "01", "expected the end of the text at byte 1" },
		{ "1.", "digit after the decimal point at byte 2" },
		{ "1e", "digit in the exponent at byte 2" },
		{ "1e+", "digit in the exponent at byte 3" },
		{ "-", "expected a digit at byte 1" },
		{ "+1", "expected a value at byte 0" },
		{ ".5", "expected a value at byte 0" },
		{ "NaN", "expected a value at byte 0" },
		{ "nul", "expected a value at byte 0" },
		{ "truf", "expected a value at byte 0" },
		{ "'x'", "expected a value at byte 0" },
		{ "[1 // one\n]", "expected ',' or the end" },
		{ "/* */ 1", "expected a value at byte 0" },
		{ "\"", "expected a closing quote at byte 1" },
		{ "\"\\", "four hexadecimal digits after \\u at byte 1" },
		{ "\"\\\"", "expected a closing quote at byte 3" },
		{ "\"\\x\"", "expected a known escape at byte 1" },
		{ "\"\\u12\"", "four hexadecimal digits after \\u at byte 1" },
		{ "\"\\u12", "four hexadecimal digits after \\u at byte 1" },
		{ "\"\\uD83D\"", "expected a pair of surrogates at byte 1" },
		{ "\"\\uDE00\\uD83D\"", "expected a pair of surrogates at byte 1" },
		{ "\"\\uD83D\\u0041\"", "expected a pair of surrogates at byte 1" },
		{ "\"\\uD83D\\uDE0\"", "expected a pair of surrogates at byte 1" },
		{ "\"\n\"", "instead of a control character at byte 1" },
		{ "\"\xff\"", "expected valid UTF-8 at byte 1" },
		{ "\"\xc3\"", "expected valid UTF-8 at byte 1" },
		{ "\"\xed\xa0\x80\"", "expected valid UTF-8 at byte 1" },
		{ "\xef\xbb\xbf{}", "expected a value at byte 0" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };

		if (check(bad[i].text, strlen(bad[i].text), &e) != ERR_PARSE)
			fail_msg("accepted: %s", bad[i].text);
		if (strstr(e.text, bad[i].says) == NULL)
			fail_msg("%s: '%s' does not say '%s'", bad[i].text, e.text, bad[i].says);
	}
	assert_int_equal(check("\"a\0b\"", 5, NULL), ERR_PARSE);
	assert_int_equal(check("\"\\\0\"", 4, NULL), ERR_PARSE);
	assert_int_equal(check("1\0", 2, NULL), ERR_PARSE);
}

static void check_bounds_the_depth(void **state)
{
	char text[2 * (JSON_DEPTH_MAX + 1)];
	struct err e = { 0 };
	size_t n = JSON_DEPTH_MAX;

	UNUSED(state);
	memset(text, '[', n);
	memset(text + n, ']', n);
	assert_int_equal(check(text, 2 * n, &e), 0);
	n++;
	memset(text, '[', n);
	memset(text + n, ']', n);
	assert_int_equal(check(text, 2 * n, &e), ERR_LIMIT);
	assert_non_null(strstr(e.text, "at most 512 levels at byte 512"));
	assert_int_equal(check(text, n - 1, &e), ERR_PARSE);
}

static void every_prefix_of_a_text_is_refused(void **state)
{
	static const char text[] =
		"{\"a\\u0041\\uD83D\\uDE00\":[true,false,null,-1.5e3,\"\xc3\xa9\"]}";
	size_t n;

	UNUSED(state);
	assert_int_equal(check(text, strlen(text), NULL), 0);
	for (n = 0; n < strlen(text); n++)
		assert_int_equal(check(text, n, NULL), ERR_PARSE);
}

static void iteration_yields_raw_spans(void **state)
{
	static const char *const want[] = { "1.50", "\"x,]}\\\"\"", "[ 1 , 2 ]", "{ }", "null" };
	struct json_span v = parse(" [1.50 , \"x,]}\\\"\",[ 1 , 2 ],{ },null] ");
	struct json_iter it;
	size_t i = 0;

	UNUSED(state);
	json_iter_init(&it, v);
	while (json_next(&it)) {
		assert_int_equal(it.name.n, 0);
		assert_int_equal(it.value.n, strlen(want[i]));
		assert_memory_equal(it.value.p, want[i], it.value.n);
		i++;
	}
	assert_int_equal(i, ARRAY_LEN(want));
	assert_false(json_next(&it));
	json_iter_init(&it, parse("\"[1]\""));
	assert_false(json_next(&it));
	json_iter_init(&it, parse("{ }"));
	assert_false(json_next(&it));
}

static void lookup_takes_the_last_and_resolves_escapes(void **state)
{
	struct json_span v =
		parse("{\"a\" : {\"b\":9} , \"b\":1,\"\\u0062\" : 2 , \"\xc3\xa9\":3, \"c\":null}");
	static const char *const names[] = { "b", "zz", "a" };
	struct json_span picked[3];
	int64_t n = 0;

	UNUSED(state);
	assert_true(json_to_i64(json_get(v, "b"), &n));
	assert_int_equal(n, 2);
	assert_true(json_to_i64(json_get(v, "\xc3\xa9"), &n));
	assert_int_equal(n, 3);
	assert_int_equal(json_type(json_get(v, "c")), JSON_NULL);
	assert_int_equal(json_type(json_get(v, "d")), JSON_NONE);
	assert_true(json_is_null(json_get(v, "c")) && json_is_null(json_get(v, "d")));
	assert_int_equal(json_type(json_get(json_get(v, "b"), "b")), JSON_NONE);
	json_pick(v, names, picked, 3);
	assert_true(json_to_i64(picked[0], &n) && n == 2);
	assert_int_equal(json_type(picked[1]), JSON_NONE);
	assert_int_equal(json_type(picked[2]), JSON_OBJECT);
	json_pick(parse("[]"), names, picked, 3);
	assert_int_equal(json_type(picked[2]), JSON_NONE);
}

static void strings_compare_and_unescape(void **state)
{
	static const char want[] = "\"\\/\b\f\n\r\t\0A\xf0\x9f\x98\x80\xe2\x82\xac";
	struct json_span v =
		parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u0041\\uD83D\\uDE00\\u20ac\"");
	struct buf b = { 0 };

	UNUSED(state);
	json_unescape(v, &b);
	assert_int_equal(b.len, sizeof(want) - 1);
	assert_memory_equal(b.data, want, b.len);
	buf_reset(&b);
	json_unescape(parse("12"), &b);
	assert_int_equal(b.len, 0);
	assert_true(json_equals(parse("\"\\u0061b\\u00e9\""), "ab\xc3\xa9"));
	assert_false(json_equals(parse("\"ab\""), "abc"));
	assert_false(json_equals(parse("\"abc\""), "ab"));
	assert_false(json_equals(parse("\"a\\u0000\""), "a"));
	assert_false(json_equals(parse("null"), "null"));
	assert_true(json_equals_nocase(parse("\"PubLished\""), "published"));
	assert_false(json_equals_nocase(parse("\"publishe\""), "published"));
	buf_reset(&b);
}

static void numbers_convert_only_when_they_are_integers(void **state)
{
	static const char *const bad[] = { "1.0", "1e3", "9223372036854775808", "\"1\"", "true" };
	int64_t n = 7;
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(json_to_i64(parse(bad[i]), &n));
	assert_int_equal(n, 7);
	assert_true(json_to_i64(parse("-9223372036854775807"), &n));
	assert_true(n == -INT64_MAX);
	assert_true(json_to_i64(parse("9223372036854775807"), &n));
	assert_true(n == INT64_MAX);
}

static void compaction_keeps_everything_but_white_space(void **state)
{
	struct buf b = { 0 };

	UNUSED(state);
	json_compact(
		parse(" { \"a b\\\" \" : [ 1.50 ,\n\t\"\\u0041 \" , { } ] , \"a b\\\" \":-0.0 } "),
		&b);
	assert_string_equal(buf_cstr(&b),
			    "{\"a b\\\" \":[1.50,\"\\u0041 \",{}],\"a b\\\" \":-0.0}");
	buf_reset(&b);
}

static void writer_spells_as_the_reference_does(void **state)
{
	static const char text[] = "\"\\/\b\t\n\f\r\x01\x1f\x7f\xe2\x80\xa8\xc3\xbc";
	struct buf b = { 0 };

	UNUSED(state);
	buf_addc(&b, '{');
	json_add_str(&b, "s", text);
	json_add_str(&b, "absent", NULL);
	json_add_span(&b, "null", parse("null"));
	json_add_i64(&b, "i", -5);
	json_add_bool(&b, "b", true);
	json_add_span(&b, "v", parse("[ 1 ]"));
	json_write_name(&b, "r");
	json_write_respelled(&b, parse("\"\\u00e9\\/\\u000b\""));
	json_write_name(&b, "n");
	buf_addc(&b, '[');
	json_write_comma(&b);
	json_write_respelled(&b, parse(" 1.0 "));
	json_write_comma(&b);
	json_write_string(&b, NULL, 0);
	buf_adds(&b, "]}");
	assert_string_equal(
		buf_cstr(&b),
		"{\"s\":\"\\\"\\\\/\\b\\t\\n\\f\\r\\u0001\\u001F\x7f\xe2\x80\xa8\xc3\xbc\","
		"\"i\":-5,\"b\":true,\"v\":[1],\"r\":\"\xc3\xa9/\\u000B\",\"n\":[1.0,\"\"]}");
	buf_reset(&b);
}

static void what_is_shown_is_valid_for_any_bytes(void **state)
{
	struct buf b = { 0 };

	UNUSED(state);
	buf_addc(&b, '{');
	json_add_shown(&b, "a", "\"\\\n\x01\xff");
	json_add_u64(&b, "b", UINT64_MAX);
	json_open(&b, "c", '[');
	json_add_bool(&b, NULL, true);
	json_add_null(&b, NULL);
	buf_addc(&b, ']');
	json_add_i64(&b, "d", -1);
	buf_addc(&b, '}');
	assert_string_equal(buf_cstr(&b), "{\"a\":\"\\\"\\\\\\n\\u0001\\ufffd\","
					  "\"b\":18446744073709551615,\"c\":[true,null],\"d\":-1}");
	buf_reset(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_accepts_what_the_rfc_allows),
		cmocka_unit_test(check_refuses_with_offset_and_expectation),
		cmocka_unit_test(check_bounds_the_depth),
		cmocka_unit_test(every_prefix_of_a_text_is_refused),
		cmocka_unit_test(iteration_yields_raw_spans),
		cmocka_unit_test(lookup_takes_the_last_and_resolves_escapes),
		cmocka_unit_test(strings_compare_and_unescape),
		cmocka_unit_test(numbers_convert_only_when_they_are_integers),
		cmocka_unit_test(compaction_keeps_everything_but_white_space),
		cmocka_unit_test(writer_spells_as_the_reference_does),
		cmocka_unit_test(what_is_shown_is_valid_for_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
