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
#include "supervisor/nonce.h"

static char *dir; /* of one test */

static int make_dir(void **state)
{
	char text[] = "/tmp/zonesync-nonce-XXXXXX";

	UNUSED(state);
	dir = mem_strdup(mkdtemp(text));
	return 0;
}

static int remove_dir(void **state)
{
	static const char *const files[] = { "nonce", "nonce.new" };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(files); i++) {
		char *path = mem_printf("%s/%s", dir, files[i]);

		(void)remove(path);
		mem_free(path);
	}
	(void)rmdir(dir);
	mem_free(dir);
	return 0;
}

static void write_file(const char *text)
{
	char *path = mem_printf("%s/nonce", dir);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	mem_free(path);
}

static void each_nonce_is_fresh_and_the_newest_stand_first(void **state)
{
	char seen[6][NONCE_BYTES];
	struct nonces n;
	unsigned i;

	UNUSED(state);
	nonces_init(&n, dir);
	assert_int_equal(n.len, 0);
	for (i = 0; i < 6; i++) {
		unsigned j;

		assert_int_equal(nonces_next(&n, NULL), 0);
		memcpy(seen[i], n.last[0], NONCE_BYTES);
		assert_int_equal(strlen(seen[i]), NONCE_BYTES - 1);
		for (j = 0; j < i; j++)
			assert_string_not_equal(seen[i], seen[j]);
	}
	assert_int_equal(n.len, NONCE_KEEP);
	for (i = 0; i < NONCE_KEEP; i++)
		assert_string_equal(n.last[i], seen[5 - i]);
	nonces_reset(&n);
}

static void the_next_supervisor_of_this_boot_knows_them(void **state)
{
	struct nonces a;
	struct nonces b;
	struct stat sb;

	UNUSED(state);
	nonces_init(&a, dir);
	assert_int_equal(nonces_next(&a, NULL), 0);
	assert_int_equal(nonces_next(&a, NULL), 0);
	nonces_init(&b, dir);
	assert_int_equal(b.len, 2);
	assert_string_equal(b.last[0], a.last[0]);
	assert_string_equal(b.last[1], a.last[1]);
	assert_int_equal(stat(a.path, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
	nonces_reset(&a);
	nonces_reset(&b);
}

static void another_machine_or_boot_knows_nothing(void **state)
{
	struct nonces n;
	char *text;

	UNUSED(state);
	nonces_init(&n, dir);
	assert_true(strlen(n.boot) > 0);
	text = mem_printf("%s\nanother boot\n0123456789abcdef0123456789abcdef\n", n.machine);
	write_file(text);
	mem_free(text);
	text = mem_printf("another machine\n%s\n0123456789abcdef0123456789abcdef\n", n.boot);
	nonces_reset(&n);
	nonces_init(&n, dir);
	assert_int_equal(n.len, 0);
	nonces_reset(&n);
	write_file(text);
	mem_free(text);
	nonces_init(&n, dir);
	assert_int_equal(n.len, 0);
	nonces_reset(&n);
}

static void a_damaged_file_is_no_file(void **state)
{
	struct buf huge = { 0 };
	struct nonces n;
	char *text;

	UNUSED(state);
	nonces_init(&n, dir);
	text = mem_printf("%s\n%s\nshort\n0123456789ABCDEF0123456789ABCDEF\n"
			  "0123456789abcdef0123456789abcdef0\n0123456789abcdef0123456789abcdef",
			  n.machine, n.boot);
	write_file(text);
	mem_free(text);
	nonces_reset(&n);
	nonces_init(&n, dir);
	assert_int_equal(n.len, 1); /* the only whole one */
	nonces_reset(&n);
	while (huge.len < 10000)
		buf_adds(&huge, "0123456789abcdef0123456789abcdef\n");
	write_file(buf_cstr(&huge));
	buf_reset(&huge);
	nonces_init(&n, dir);
	assert_int_equal(n.len, 0);
	assert_int_equal(nonces_next(&n, NULL), 0);
	nonces_reset(&n);
	write_file("");
	nonces_init(&n, dir);
	assert_int_equal(n.len, 0);
	nonces_reset(&n);
}

static void a_nonce_that_cannot_be_kept_is_none(void **state)
{
	struct nonces n;
	struct err e = { 0 };

	UNUSED(state);
	nonces_init(&n, "/proc/self/no such directory");
	assert_true(nonces_next(&n, &e) < 0);
	assert_true(e.text[0] != '\0');
	assert_int_equal(n.len, 0);
	nonces_reset(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_nonce_is_fresh_and_the_newest_stand_first,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(the_next_supervisor_of_this_boot_knows_them,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(another_machine_or_boot_knows_nothing, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(a_damaged_file_is_no_file, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_nonce_that_cannot_be_kept_is_none, make_dir,
						remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
