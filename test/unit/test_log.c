/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/json/scan.h"
#include "common/log/log.h"

static char dir[] = "/tmp/zs-log-XXXXXX";
static char path[64];
static char aside[64];

static int make_dir(void **state)
{
	UNUSED(state);
	str_copy(dir + strlen(dir) - 6, 7, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	str_print(path, sizeof(path), "%s/x.log", dir);
	str_print(aside, sizeof(aside), "%s/y.log", dir);
	return 0;
}

static int remove_dir(void **state)
{
	UNUSED(state);
	log_close();
	(void)remove(path);
	(void)remove(aside);
	return rmdir(dir);
}

static void read_file(const char *from, struct buf *out)
{
	FILE *f = fopen(from, "re");
	char chunk[4096];
	size_t n;

	buf_clear(out);
	while (f != NULL && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, chunk, n);
	if (f != NULL)
		(void)fclose(f);
	(void)buf_cstr(out);
}

/* Values that grow when they are quoted, more of them than a line has room for. */
static void write_long_line(void)
{
	struct log_kv kv[40] = { { 0 } };
	char text[3000];
	size_t i;

	for (i = 0; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, i % 14 == 0 ? "\033\"" : "\xc3\xa9", 2);
	text[sizeof(text) - 1] = '\0';
	for (i = 1; i < ARRAY_LEN(kv); i++)
		kv[i] = i % 4 == 0 ? KV("n", INT64_MIN) : KV("value", (const char *)text + i % 2);
	log_emit(LOG_WARN, EV("long"), kv, ARRAY_LEN(kv));
}

static void a_line_of_json_stays_json_however_long_its_values_are(void **state)
{
	struct buf b = { 0 };
	struct json_span line;

	UNUSED(state);
	assert_int_equal(log_open(path, "test", LOG_NOTE, LOG_JSON, NULL), 0);
	write_long_line();
	read_file(path, &b);
	assert_true(b.len <= LOG_LINE_MAX_BYTES + 1 && b.len > LOG_LINE_MAX_BYTES / 2);
	assert_int_equal(b.data[b.len - 1], '\n');
	assert_true(str_is_utf8(b.data, b.len));
	assert_int_equal(json_check(b.data, b.len - 1, &line, NULL), 0);
	assert_non_null(strstr(b.data, ",\"cut\":true}"));
	buf_reset(&b);
}

static void a_line_of_logfmt_ends_with_a_whole_field(void **state)
{
	struct buf b = { 0 };

	UNUSED(state);
	assert_int_equal(log_open(path, "test", LOG_NOTE, LOG_LOGFMT, NULL), 0);
	write_long_line();
	read_file(path, &b);
	assert_true(b.len <= LOG_LINE_MAX_BYTES + 1);
	assert_true(str_ends(b.data, " cut=true\n"));
	buf_reset(&b);
}

static void a_file_that_cannot_be_opened_is_told_and_tried_again(void **state)
{
	struct err e = { 0 };
	struct buf b = { 0 };

	UNUSED(state);
	assert_int_equal(mkdir(path, 0700), 0); /* in its place */
	assert_true(log_open(path, "test", LOG_NOTE, LOG_LOGFMT, &e) < 0);
	assert_string_equal(log_trouble(), e.text);
	log_tend();
	assert_true(log_trouble()[0] != '\0');
	assert_int_equal(rmdir(path), 0);
	log_tend();
	assert_string_equal(log_trouble(), "");
	read_file(path, &b);
	assert_non_null(strstr(b.data, "event=log_reopened"));
	buf_reset(&b);
}

static void a_file_that_is_removed_is_made_anew_and_one_that_is_renamed_is_not(void **state)
{
	struct buf b = { 0 };

	UNUSED(state);
	assert_int_equal(log_open(path, "test", LOG_NOTE, LOG_LOGFMT, NULL), 0);
	assert_int_equal(rename(path, aside), 0);
	log_tend();
	assert_true(access(path, F_OK) < 0); /* logrotate's: it says when */
	assert_int_equal(remove(aside), 0);
	log_tend();
	log_note(EV("after"));
	read_file(path, &b);
	assert_non_null(strstr(b.data, "event=after"));
	buf_reset(&b);
}

static void a_link_is_not_followed(void **state)
{
	UNUSED(state);
	assert_int_equal(symlink(aside, path), 0);
	assert_true(log_open(path, "test", LOG_NOTE, LOG_LOGFMT, NULL) < 0);
	assert_true(access(aside, F_OK) < 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_of_json_stays_json_however_long_its_values_are),
		TEST(a_line_of_logfmt_ends_with_a_whole_field),
		TEST(a_file_that_cannot_be_opened_is_told_and_tried_again),
		TEST(a_file_that_is_removed_is_made_anew_and_one_that_is_renamed_is_not),
		TEST(a_link_is_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
