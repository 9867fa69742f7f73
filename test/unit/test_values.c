/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each row of the table of keys with what it may hold and what it may not, and the bounds of
 * what a file may be. What whole files mean together is in test_config.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "supervisor/config/read.h"
#include "supervisor/config/value.h"

static struct err e;

/* The value of that text, or NULL with its reason in `e`. To be reset by the caller. */
static const char *parse(struct value *v, const struct schema_row *row, const char *text)
{
	*v = (struct value){ 0 };
	e = (struct err){ 0 };
	if (value_parse(v, row, text, &e) == 0)
		return v->text;
	assert_int_equal(e.code, ERR_CONFIG);
	assert_null(v->text);
	return NULL;
}

static void expect(const struct schema_row *row, const char *text, const char *want)
{
	struct value v;
	const char *got = parse(&v, row, text);

	if (got == NULL || strcmp(got, want) != 0)
		fail_msg("%s: `%s` is `%s` (%s), not `%s`", row->key, text, got, e.text, want);
	value_reset(&v);
}

static void expect_refused(const struct schema_row *row, const char *text, const char *words)
{
	struct value v;

	if (parse(&v, row, text) != NULL)
		fail_msg("%s takes `%.60s`", row->key, text);
	if (strstr(e.text, words) == NULL)
		fail_msg("%s: `%s`, without `%s`", row->key, e.text, words);
	value_reset(&v);
}

static bool is_read(const struct schema_row *row, enum schema_type type)
{
	return row->type == type && row->status != STATUS_NO_EFFECT;
}

/* --- numbers --- */

static void each_number_keeps_within_its_bounds(void **state)
{
	unsigned i;

	UNUSED(state);
	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);
		char *range;
		char text[4][32];
		unsigned k;

		if (!is_read(row, TYPE_INT))
			continue;
		(void)snprintf(text[0], sizeof(text[0]), "%" PRId64, row->min);
		(void)snprintf(text[1], sizeof(text[1]), "%" PRId64, row->max);
		(void)snprintf(text[2], sizeof(text[2]), "%" PRId64, row->min - 1);
		(void)snprintf(text[3], sizeof(text[3]), "%" PRId64, row->max + 1);
		range = mem_printf("from %s to %s", text[0], text[1]);
		expect(row, text[0], text[0]);
		expect(row, text[1], text[1]);
		for (k = 2; k < 4; k++)
			expect_refused(row, text[k], range);
		mem_free(range);
	}
}

static void what_is_no_whole_number_is_refused_by_each(void **state)
{
	static const char *const bad[] = { "",	      "x",   "1.5",   "0x10",
					   "1e3",     " 7",  "7 ",    "7,0",
					   "+-7",     "--7", "1 000", "99999999999999999999",
					   "\xd9\xa7" /* an Arabic seven */ };
	unsigned i;
	size_t k;

	UNUSED(state);
	for (i = 0; i < CFG__COUNT; i++)
		for (k = 0; k < ARRAY_LEN(bad); k++)
			if (is_read(schema_row((enum cfg)i), TYPE_INT))
				expect_refused(schema_row((enum cfg)i), bad[k],
					       "is not a whole number");
}

/* People write what other programs read; the remedy is worked out for them. */
static void a_unit_is_worked_out_where_milliseconds_are_wanted(void **state)
{
	static const struct {
		const char *text;
		const char *words;
	} rows[] = {
		{ "250ms", "write 250," },  { "10s", "write 10000," },
		{ "5m", "write 300000," },  { "2min", "write 120000," },
		{ "1h", "write 3600000," }, { "7d", "whole number of" },
		{ "s", "whole number of" }, { "1234567890s", "whole number of" },
	};
	unsigned i;
	size_t k;
	unsigned met = 0;

	UNUSED(state);
	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);

		if (!is_read(row, TYPE_INT))
			continue;
		if (row->unit == NULL || strcmp(row->unit, "ms") != 0) {
			expect_refused(row, "10s", "is not a whole number; write a whole number");
			continue;
		}
		met++;
		for (k = 0; k < ARRAY_LEN(rows); k++)
			expect_refused(row, rows[k].text, rows[k].words);
	}
	assert_true(met > 0);
}

/* --- words --- */

static void each_switch_has_the_spellings_of_yaml(void **state)
{
	static const char *const yes[] = { "true", "TRUE", "yes", "On", "1" };
	static const char *const no[] = { "false", "False", "no", "OFF", "0" };
	unsigned i;
	size_t k;

	UNUSED(state);
	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);

		if (!is_read(row, TYPE_BOOL))
			continue;
		for (k = 0; k < ARRAY_LEN(yes); k++) {
			expect(row, yes[k], "true");
			expect(row, no[k], "false");
		}
		expect_refused(row, "", "write true or false");
		expect_refused(row, "2", "write true or false");
		expect_refused(row, "tru", "write true or false");
	}
}

static void upper(char *s)
{
	for (; *s != '\0'; s++)
		*s = (char)toupper((unsigned char)*s);
}

/* "a|b|c=a": a and b are themselves in any case, c is another word for a and is not offered. */
static void each_word_of_a_choice_is_taken_and_no_other(void **state)
{
	unsigned i;

	UNUSED(state);
	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);
		char *options;
		char *word;
		char *rest;

		if (!is_read(row, TYPE_ENUM))
			continue;
		options = mem_strdup(row->options);
		for (word = strtok_r(options, "|", &rest); word != NULL;
		     word = strtok_r(NULL, "|", &rest)) {
			char *real = strchr(word, '=');
			char *loud;

			if (real != NULL)
				*real++ = '\0';
			loud = mem_strdup(word);
			upper(loud);
			expect(row, word, real == NULL ? word : real);
			expect(row, loud, real == NULL ? word : real);
			if (real == NULL)
				expect_refused(row, "nonsense", word);
			mem_free(loud);
		}
		expect_refused(row, "", "is not known");
		expect_refused(row, row->options[0] == 'x' ? "y" : "x", "is not known");
		mem_free(options);
	}
}

/* --- texts --- */

static char *text_of(size_t n)
{
	char *s = mem_alloc(n + 1);

	memset(s, 'a', n);
	s[n] = '\0';
	if (n > 0)
		s[0] = '/'; /* so that it is a path too */
	return s;
}

static bool is_text(const struct schema_row *row)
{
	return is_read(row, TYPE_STR) || is_read(row, TYPE_PATH) || is_read(row, TYPE_SECRET);
}

static void each_text_has_a_limit_of_bytes(void **state)
{
	unsigned i;

	UNUSED(state);
	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);
		size_t max = row->max > 0 ? (size_t)row->max : VALUE_MAX_BYTES;
		char *fits;
		char *more;

		if (!is_text(row))
			continue;
		assert_true(max <= VALUE_MAX_BYTES);
		fits = text_of(max);
		more = text_of(max + 1);
		expect(row, fits, fits);
		expect_refused(row, more, "are allowed");
		mem_free(fits);
		mem_free(more);
	}
}

static void control_characters_are_for_secrets_only(void **state)
{
	static const char *const bad[] = { "/a\nb", "/a\tb", "/\x01", "/\x7f" };
	unsigned i;
	size_t k;

	UNUSED(state);
	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);

		for (k = 0; is_text(row) && k < ARRAY_LEN(bad); k++) {
			if (row->type == TYPE_SECRET)
				expect(row, bad[k], bad[k]);
			else
				expect_refused(row, bad[k], "control character");
		}
	}
}

static void each_path_is_absolute(void **state)
{
	unsigned i;

	UNUSED(state);
	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);

		if (!is_read(row, TYPE_PATH))
			continue;
		expect(row, "/", "/");
		expect_refused(row, "./x", "begins with /");
		expect_refused(row, "~/x", "begins with /");
		expect_refused(row, "", "begins with /");
	}
}

static void what_is_no_utf8_is_refused_by_each_that_is_read(void **state)
{
	unsigned i;

	UNUSED(state);
	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);

		if (row->status == STATUS_NO_EFFECT)
			expect(row, "\xff", "\xff");
		else
			expect_refused(row, "\xff", "is not UTF-8");
	}
}

static void secret_providers_are_not_taken_for_values(void **state)
{
	unsigned i;

	UNUSED(state);
	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);

		if (row->status == STATUS_NO_EFFECT)
			continue;
		expect_refused(row, "secret://vault/x", "secret providers");
		expect_refused(row, "kubernetes://x", "secret providers");
	}
}

/* Whatever is wrong with it, a secret is not in what is said. */
static void no_refusal_shows_a_secret(void **state)
{
	char *more = text_of(VALUE_MAX_BYTES + 1);
	struct value v;
	unsigned i;

	UNUSED(state);
	memcpy(more + 1, "hush", 4);
	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);

		if (!is_read(row, TYPE_SECRET) && !is_read(row, TYPE_MAP))
			continue;
		assert_null(parse(&v, row, more));
		assert_null(strstr(e.text, "hush"));
		assert_null(parse(&v, row, "hush\xff"));
		assert_null(strstr(e.text, "hush"));
		assert_null(parse(&v, row, "secret://hush"));
		assert_null(strstr(e.text, "hush"));
	}
	mem_free(more);
}

/* --- lists --- */

static const struct schema_row *a_list(void)
{
	unsigned i;

	for (i = 0; i < CFG__COUNT; i++)
		if (is_read(schema_row((enum cfg)i), TYPE_LIST))
			return schema_row((enum cfg)i);
	fail_msg("no key is a list");
	return NULL;
}

static void a_list_in_one_text_is_cut_and_trimmed(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *first;
		const char *last;
	} rows[] = {
		{ "a", 1, "a", "a" },
		{ "a,b", 2, "a", "b" },
		{ "  a \t,\n b  ", 2, "a", "b" },
		{ "a b,c", 2, "a b", "c" },
		{ ",,a,,", 1, "a", "a" },
		{ "", 0, NULL, NULL },
		{ " , ,", 0, NULL, NULL },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct value v = { 0 };

		assert_int_equal(value_parse(&v, a_list(), rows[i].text, &e), 0);
		assert_int_equal(v.n, rows[i].n);
		if (v.n > 0) {
			assert_string_equal(v.list[0], rows[i].first);
			assert_string_equal(v.list[v.n - 1], rows[i].last);
		}
		value_reset(&v);
	}
}

static void a_list_has_limits(void **state)
{
	struct value v = { 0 };
	struct buf b = { 0 };
	char *item = text_of(VALUE_ITEM_BYTES);
	char *more = text_of(VALUE_ITEM_BYTES + 1);
	size_t i;

	UNUSED(state);
	for (i = 0; i < VALUE_LIST_MAX; i++)
		buf_printf(&b, "%zu,", i);
	assert_int_equal(value_parse(&v, a_list(), buf_cstr(&b), &e), 0);
	assert_int_equal(v.n, VALUE_LIST_MAX);
	assert_int_equal(value_parse(&v, a_list(), "one", &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "item number 1001"));
	assert_int_equal(v.n, VALUE_LIST_MAX);
	value_reset(&v);
	assert_int_equal(value_parse(&v, a_list(), item, &e), 0);
	assert_int_equal(value_parse(&v, a_list(), more, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "longer than 256 bytes"));
	assert_int_equal(v.n, 1);
	value_reset(&v);
	mem_free(item);
	mem_free(more);
	buf_reset(&b);
}

/* --- names with secrets --- */

static void names_of_a_map_have_limits(void **state)
{
	static const char *const bad[] = { "a:b", "a\nb", "a\x7f", "\xff" };
	const struct schema_row *map = NULL;
	struct value v = { 0 };
	char *fits = text_of(VALUE_ITEM_BYTES);
	char *more = text_of(VALUE_ITEM_BYTES + 1);
	size_t i;

	UNUSED(state);
	for (i = 0; i < CFG__COUNT && map == NULL; i++)
		if (is_read(schema_row((enum cfg)i), TYPE_MAP))
			map = schema_row((enum cfg)i);
	assert_non_null(map);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(value_parse_entry(&v, map, bad[i], "x", &e), ERR_CONFIG);
		assert_non_null(strstr(e.text, "is no name"));
	}
	assert_int_equal(value_parse_entry(&v, map, more, "x", &e), ERR_CONFIG);
	assert_int_equal(v.n, 0);
	assert_int_equal(value_parse_entry(&v, map, fits, "x", &e), 0);
	assert_true(value_has_entry(&v, fits));
	assert_false(value_has_entry(&v, "x"));
	for (i = 1; i < VALUE_MAP_MAX; i++) {
		char *name = mem_printf("u%zu", i);

		assert_int_equal(value_parse_entry(&v, map, name, "x", &e), 0);
		mem_free(name);
	}
	assert_int_equal(value_parse_entry(&v, map, "last", "x", &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "one name too many; at most 32"));
	assert_int_equal(v.n, VALUE_MAP_MAX);
	value_reset(&v);
	mem_free(fits);
	mem_free(more);
}

/* --- a file --- */

static char said[512]; /* the first problem */

static int read_tree(struct tree **t, const struct buf *b)
{
	static char *none[] = { NULL };
	const struct config_source src = {
		.name = "f.yml", .bytes = b->data, .n = b->len, .env = none, .hostname = "h"
	};
	struct problems p = { 0 };
	int rc = tree_read(t, &src, &p, &e);

	str_copy(said, sizeof(said), p.n > 0 ? p.item[0].text : "");
	problems_reset(&p);
	return rc;
}

static void expect_tree(const struct buf *b, size_t nodes)
{
	struct tree *t = NULL;

	if (read_tree(&t, b) < 0)
		fail_msg("refused: %s", said);
	assert_int_equal(t->n, nodes);
	tree_free(&t);
}

static void expect_no_tree(const struct buf *b, const char *words)
{
	struct tree *t = NULL;

	assert_int_equal(read_tree(&t, b), ERR_CONFIG);
	if (strstr(said, words) == NULL)
		fail_msg("`%s`, without `%s`", said, words);
	assert_null(t);
}

static void a_file_has_a_limit_of_values(void **state)
{
	struct buf b = { 0 };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < TREE_NODES_MAX; i++)
		buf_printf(&b, "k%u: v\n", i);
	expect_tree(&b, TREE_NODES_MAX);
	buf_adds(&b, "one: more\n");
	expect_no_tree(&b, "f.yml:10001: more than 10000 values");
	buf_reset(&b);
}

static void a_file_has_a_limit_of_depth(void **state)
{
	unsigned depth;

	UNUSED(state);
	for (depth = TREE_DEPTH_MAX; depth <= TREE_DEPTH_MAX + 1; depth++) {
		struct buf b = { 0 };
		unsigned i;

		for (i = 0; i < depth; i++)
			buf_printf(&b, "%*sa:%s", (int)i, "", i + 1 < depth ? "\n" : " x\n");
		if (depth == TREE_DEPTH_MAX)
			expect_tree(&b, 1);
		else
			expect_no_tree(&b, "nested deeper than 32 levels");
		buf_reset(&b);
	}
}

/* The whole path counts: short names, nested, are as long as one. */
static void a_key_has_a_limit_of_bytes(void **state)
{
	struct buf b = { 0 };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < TREE_KEY_MAX_BYTES; i++)
		buf_addc(&b, 'k');
	buf_adds(&b, ": x\n");
	expect_tree(&b, 1);
	buf_clear(&b);
	for (i = 0; i < 255; i++)
		buf_addc(&b, 'k');
	buf_adds(&b, ":\n ");
	for (i = 0; i < 257; i++)
		buf_addc(&b, 'k');
	buf_adds(&b, ": x\n");
	expect_no_tree(&b, "f.yml:2: a key of more than 512 bytes");
	buf_reset(&b);
}

/* A megabyte of file cannot become more than four of values, whatever aliases do. */
static void aliases_do_not_multiply_without_end(void **state)
{
	struct buf b = { 0 };
	unsigned i;

	UNUSED(state);
	buf_adds(&b, "a: &a '");
	for (i = 0; i < TREE_FILE_MAX_BYTES / 2; i++)
		buf_addc(&b, 'x');
	buf_adds(&b, "'\n");
	for (i = 0; i < 6; i++)
		buf_printf(&b, "k%u: *a\n", i);
	expect_tree(&b, 7);
	for (i = 6; i < 9; i++)
		buf_printf(&b, "k%u: *a\n", i);
	expect_no_tree(&b, "4194304 bytes of them");
	buf_reset(&b);
}

/* They wait for the end of their mapping, whose own keys win. */
static void a_mapping_has_a_limit_of_merges(void **state)
{
	unsigned n;

	UNUSED(state);
	for (n = 64; n <= 65; n++) {
		struct buf b = { 0 };
		unsigned i;

		buf_adds(&b, "a: &a {k: 1}\nb: {<<: [");
		for (i = 0; i < n; i++)
			buf_printf(&b, "%s*a", i == 0 ? "" : ", ");
		buf_adds(&b, "]}\n");
		if (n == 64)
			expect_tree(&b, 2);
		else
			expect_no_tree(&b, "f.yml:2: more than 64 merge keys");
		buf_reset(&b);
	}
}

static void what_is_no_tree_of_texts_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *yaml;
		const char *words;
	} rows[] = {
		{ "a: 1\n*b : 2\n", "f.yml:2: a * where a key should be" },
		{ "? [a, b]\n: 1\n", "f.yml:1: a key that is a list or a group" },
		{ "a: 1\n'': 2\n", "f.yml:2: an empty key" },
		{ "\"a\\0b\": 2\n", "f.yml:1: an empty key" },
		{ "a: \"b\\0c\"\n", "f.yml:1: a value with a NUL" },
		{ "a: *b\n", "there is none that is finished" },
		{ "a: &b\n  c: *b\n", "f.yml:2: a value that begins with *" },
		{ "a: 1\n\xff: 2\n", "f.yml:2: column 1: not valid YAML" },
		{ "a: {b: 1\n", "not valid YAML" },
		{ "- a\n- b\n", "f.yml:1" },
		{ "text\n", "f.yml:1" },
		{ "a: 1\n---\nb: 2\n", "f.yml:2" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = { 0 };

		buf_adds(&b, rows[i].yaml);
		expect_no_tree(&b, rows[i].words);
		buf_reset(&b);
	}
}

static void nothing_has_many_spellings_and_quotes_make_it_a_text(void **state)
{
	static const char yaml[] =
		"a:\nb: ~\nc: null\nd: Null\ne: NULL\nf: ''\ng: 'null'\nh: \"~\"\n"
		"i: []\nj: {}\nk: nUll\n";
	static const struct {
		const char *key;
		const char *value;
	} rows[] = {
		{ "a", "" },	 { "b", "" },  { "c", "" },	{ "d", "" },
		{ "e", "" },	 { "f", "" },  { "i", "" },	{ "j", "" },
		{ "g", "null" }, { "h", "~" }, { "k", "nUll" },
	};
	struct tree *t = NULL;
	struct buf b = { 0 };
	size_t i;

	UNUSED(state);
	buf_adds(&b, yaml);
	assert_int_equal(read_tree(&t, &b), 0);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		const struct node *n = tree_find(t, rows[i].key);

		if (n == NULL || strcmp(n->value, rows[i].value) != 0)
			fail_msg("%s is not `%s`", rows[i].key, rows[i].value);
	}
	assert_null(tree_find(t, "z"));
	tree_free(&t);
	buf_reset(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_number_keeps_within_its_bounds),
		cmocka_unit_test(what_is_no_whole_number_is_refused_by_each),
		cmocka_unit_test(a_unit_is_worked_out_where_milliseconds_are_wanted),
		cmocka_unit_test(each_switch_has_the_spellings_of_yaml),
		cmocka_unit_test(each_word_of_a_choice_is_taken_and_no_other),
		cmocka_unit_test(each_text_has_a_limit_of_bytes),
		cmocka_unit_test(control_characters_are_for_secrets_only),
		cmocka_unit_test(each_path_is_absolute),
		cmocka_unit_test(what_is_no_utf8_is_refused_by_each_that_is_read),
		cmocka_unit_test(secret_providers_are_not_taken_for_values),
		cmocka_unit_test(no_refusal_shows_a_secret),
		cmocka_unit_test(a_list_in_one_text_is_cut_and_trimmed),
		cmocka_unit_test(a_list_has_limits),
		cmocka_unit_test(names_of_a_map_have_limits),
		cmocka_unit_test(a_file_has_a_limit_of_values),
		cmocka_unit_test(a_file_has_a_limit_of_depth),
		cmocka_unit_test(a_key_has_a_limit_of_bytes),
		cmocka_unit_test(aliases_do_not_multiply_without_end),
		cmocka_unit_test(a_mapping_has_a_limit_of_merges),
		cmocka_unit_test(what_is_no_tree_of_texts_is_refused_with_its_line),
		cmocka_unit_test(nothing_has_many_spellings_and_quotes_make_it_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
