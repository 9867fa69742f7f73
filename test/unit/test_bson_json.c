/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bson/bson.h>
#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/scan.h"
#include "workers/fetcher/source/mongo/bson_json.h"

static void makes(const bson_t *b, const char *want)
{
	struct buf out = { 0 };
	struct json_span v = { 0 };
	struct err e = { 0 };

	assert_int_equal(bson_json(&out, bson_get_data(b), b->len, &e), 0);
	assert_string_equal(buf_cstr(&out), want);
	assert_int_equal(json_check(out.data, out.len, &v, &e), 0);
	buf_reset(&out);
}

static void fails(const bson_t *b, int code)
{
	struct buf out = { 0 };
	struct err e = { 0 };

	assert_int_equal(bson_json(&out, bson_get_data(b), b->len, &e), code);
	assert_true(e.text[0] != '\0');
	buf_reset(&out);
}

static void an_empty_document_is_an_empty_object(void **state)
{
	bson_t b = BSON_INITIALIZER;

	UNUSED(state);
	makes(&b, "{}");
	bson_destroy(&b);
}

static void the_types_a_row_has_become_what_the_mapping_reads(void **state)
{
	bson_oid_t oid;
	bson_decimal128_t decimal;
	bson_t b = BSON_INITIALIZER;

	UNUSED(state);
	bson_oid_init_from_string(&oid, "0123456789abcdef01234567");
	assert_true(bson_decimal128_from_string("1.50", &decimal));
	BSON_APPEND_UTF8(&b, "_id", "a\"\n");
	BSON_APPEND_INT32(&b, "i", -5);
	BSON_APPEND_INT64(&b, "l", INT64_MIN);
	BSON_APPEND_DATE_TIME(&b, "d", 1755700000123);
	BSON_APPEND_DATE_TIME(&b, "before", -1);
	BSON_APPEND_BOOL(&b, "t", true);
	BSON_APPEND_BOOL(&b, "f", false);
	BSON_APPEND_NULL(&b, "n");
	BSON_APPEND_OID(&b, "o", &oid);
	BSON_APPEND_DECIMAL128(&b, "m", &decimal);
	makes(&b, "{\"id\":\"a\\\"\\n\",\"i\":-5,\"l\":-9223372036854775808,\"d\":1755700000123,"
		  "\"before\":-1,\"t\":true,\"f\":false,\"n\":null,"
		  "\"o\":\"0123456789abcdef01234567\",\"m\":\"1.50\"}");
	bson_destroy(&b);
}

static void what_json_has_no_form_for_becomes_null(void **state)
{
	bson_t b = BSON_INITIALIZER;
	bson_t scope = BSON_INITIALIZER;
	const uint8_t bytes[] = { 1, 2, 3 };

	UNUSED(state);
	BSON_APPEND_BINARY(&b, "a", BSON_SUBTYPE_BINARY, bytes, sizeof(bytes));
	BSON_APPEND_REGEX(&b, "b", "x", "i");
	BSON_APPEND_CODE(&b, "c", "x");
	BSON_APPEND_CODE_WITH_SCOPE(&b, "d", "x", &scope);
	BSON_APPEND_TIMESTAMP(&b, "e", 1, 2);
	BSON_APPEND_MINKEY(&b, "f");
	BSON_APPEND_MAXKEY(&b, "g");
	BSON_APPEND_UNDEFINED(&b, "h");
	BSON_APPEND_SYMBOL(&b, "i", "s");
	makes(&b, "{\"a\":null,\"b\":null,\"c\":null,\"d\":null,\"e\":null,\"f\":null,\"g\":null,"
		  "\"h\":null,\"i\":null}");
	bson_destroy(&scope);
	bson_destroy(&b);
}

static void whole_doubles_are_integers_and_others_keep_their_value(void **state)
{
	static const struct {
		double v;
		const char *want;
	} cases[] = { { 3.0, "{\"v\":3}" },
		      { -0.0, "{\"v\":0}" },
		      { 0.1, "{\"v\":0.10000000000000001}" },
		      { 9007199254740991.0, "{\"v\":9007199254740991}" },
		      { -1e300, "{\"v\":-1.0000000000000001e+300}" } };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		bson_t b = BSON_INITIALIZER;

		BSON_APPEND_DOUBLE(&b, "v", cases[i].v);
		makes(&b, cases[i].want);
		bson_destroy(&b);
	}
}

static void numbers_that_are_none_are_refused(void **state)
{
	const double bad[] = { NAN, INFINITY, -INFINITY };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		bson_t b = BSON_INITIALIZER;

		BSON_APPEND_DOUBLE(&b, "v", bad[i]);
		fails(&b, ERR_PARSE);
		bson_destroy(&b);
	}
}

static void a_member_called_id_gives_way_to_the_id_and_only_at_the_top(void **state)
{
	bson_t b = BSON_INITIALIZER;
	bson_t in;

	UNUSED(state);
	BSON_APPEND_UTF8(&b, "id", "no");
	BSON_APPEND_UTF8(&b, "_id", "yes");
	BSON_APPEND_DOCUMENT_BEGIN(&b, "in", &in);
	BSON_APPEND_UTF8(&in, "id", "1");
	BSON_APPEND_UTF8(&in, "_id", "2");
	bson_append_document_end(&b, &in);
	BSON_APPEND_UTF8(&b, "id", "no");
	makes(&b, "{\"id\":\"yes\",\"in\":{\"id\":\"1\",\"_id\":\"2\"}}");
	bson_destroy(&b);
}

static void arrays_have_no_names_and_nest(void **state)
{
	bson_t b = BSON_INITIALIZER;
	bson_t a, in;

	UNUSED(state);
	BSON_APPEND_ARRAY_BEGIN(&b, "a", &a);
	BSON_APPEND_INT32(&a, "0", 1);
	BSON_APPEND_ARRAY_BEGIN(&a, "1", &in);
	bson_append_array_end(&a, &in);
	BSON_APPEND_DOCUMENT_BEGIN(&a, "2", &in);
	bson_append_document_end(&a, &in);
	bson_append_array_end(&b, &a);
	makes(&b, "{\"a\":[1,[],{}]}");
	bson_destroy(&b);
}

static bson_t *nested(int levels)
{
	bson_t *b = bson_new();
	int i;

	for (i = 1; i < levels; i++) {
		bson_t *outer = bson_new();

		BSON_APPEND_DOCUMENT(outer, "n", b);
		bson_destroy(b);
		b = outer;
	}
	return b;
}

static void depth_has_an_end(void **state)
{
	struct buf out = { 0 };
	struct err e = { 0 };
	bson_t *b = nested(BSON_JSON_DEPTH);

	UNUSED(state);
	assert_int_equal(bson_json(&out, bson_get_data(b), b->len, &e), 0);
	bson_destroy(b);
	buf_reset(&out);
	b = nested(BSON_JSON_DEPTH + 1);
	fails(b, ERR_LIMIT);
	bson_destroy(b);
}

static void text_that_is_no_utf8_is_refused_as_a_value_and_as_a_name(void **state)
{
	bson_t b = BSON_INITIALIZER;

	UNUSED(state);
	bson_append_utf8(&b, "v", -1, "\xff\xfe", 2);
	fails(&b, ERR_PARSE);
	bson_reinit(&b);
	bson_append_int32(&b, "\xc0\x80", 2, 1);
	fails(&b, ERR_PARSE);
	bson_destroy(&b);
}

/* Each byte of a document of all sorts, damaged in every bit: an answer or an error. */
static void damaged_bytes_end_in_an_answer_or_an_error(void **state)
{
	bson_t b = BSON_INITIALIZER;
	bson_t a, in;
	uint8_t *raw;
	size_t i, bit;

	UNUSED(state);
	BSON_APPEND_UTF8(&b, "_id", "a");
	BSON_APPEND_DATE_TIME(&b, "d", 5);
	BSON_APPEND_ARRAY_BEGIN(&b, "a", &a);
	BSON_APPEND_DOCUMENT_BEGIN(&a, "0", &in);
	BSON_APPEND_DOUBLE(&in, "x", 2.5);
	bson_append_document_end(&a, &in);
	bson_append_array_end(&b, &a);
	for (i = 0; i < b.len; i++) {
		for (bit = 0; bit < 8; bit++) {
			struct buf out = { 0 };
			struct json_span v = { 0 };
			struct err e = { 0 };

			raw = mem_alloc(b.len); /* its own, so that a byte beyond is noticed */
			memcpy(raw, bson_get_data(&b), b.len);
			raw[i] ^= (uint8_t)(1U << bit);
			if (bson_json(&out, raw, b.len, &e) == 0)
				assert_int_equal(json_check(out.data, out.len, &v, NULL), 0);
			else
				assert_true(e.text[0] != '\0');
			buf_reset(&out);
			mem_free(raw);
		}
	}
	for (i = 0; i < b.len; i++) {
		struct buf out = { 0 };
		struct err e = { 0 };

		raw = mem_alloc(i + 1);
		memcpy(raw, bson_get_data(&b), i);
		assert_true(bson_json(&out, raw, i, &e) < 0);
		buf_reset(&out);
		mem_free(raw);
	}
	bson_destroy(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_document_is_an_empty_object),
		cmocka_unit_test(the_types_a_row_has_become_what_the_mapping_reads),
		cmocka_unit_test(what_json_has_no_form_for_becomes_null),
		cmocka_unit_test(whole_doubles_are_integers_and_others_keep_their_value),
		cmocka_unit_test(numbers_that_are_none_are_refused),
		cmocka_unit_test(a_member_called_id_gives_way_to_the_id_and_only_at_the_top),
		cmocka_unit_test(arrays_have_no_names_and_nest),
		cmocka_unit_test(depth_has_an_end),
		cmocka_unit_test(text_that_is_no_utf8_is_refused_as_a_value_and_as_a_name),
		cmocka_unit_test(damaged_bytes_end_in_an_answer_or_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
