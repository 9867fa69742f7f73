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
#include "supervisor/dirs.h"

struct place {
	char *base, *path, *aside;
	struct dir d;
};

static struct place *setup(void)
{
	struct place *p = mem_zalloc(sizeof(*p));

	p->base = mem_strdup("/tmp/zs-dirs-XXXXXX");
	assert_non_null(mkdtemp(p->base));
	p->path = mem_printf("%s/state", p->base);
	p->aside = mem_printf("%s/aside", p->base);
	p->d = (struct dir){ p->path, "--state-dir", 0700, true, -1 };
	return p;
}

static void teardown(struct place *p)
{
	dir_release(&p->d);
	(void)rmdir(p->path);
	(void)rmdir(p->aside);
	assert_int_equal(rmdir(p->base), 0);
	mem_free(p->base);
	mem_free(p->path);
	mem_free(p->aside);
	mem_free(p);
}

static void a_directory_is_made_and_taken_once(void **state)
{
	struct place *p = setup();
	struct dir other = p->d;
	struct err e = { 0 };
	struct stat sb;

	UNUSED(state);
	assert_int_equal(dir_take(&p->d, &e), 0);
	assert_int_equal(stat(p->path, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0700);
	assert_true(dir_is_there(&p->d));
	assert_int_equal(dir_take(&other, &e), ERR_BUSY);
	assert_non_null(strstr(e.text, "another zonesyncd runs on"));
	dir_release(&p->d);
	assert_int_equal(dir_take(&other, &e), 0);
	dir_release(&other);
	teardown(p);
}

static void what_others_may_write_is_refused_with_the_cure(void **state)
{
	struct place *p = setup();
	struct err e = { 0 };

	UNUSED(state);
	assert_int_equal(mkdir(p->path, 0700), 0);
	assert_int_equal(chmod(p->path, 01777),
			 0); /* sticky: links may be put there all the same */
	assert_int_equal(dir_take(&p->d, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "chmod o-w"));
	assert_int_equal(p->d.fd, -1);
	assert_int_equal(chmod(p->path, 0770), 0);
	assert_int_equal(dir_take(&p->d, &e), 0);
	assert_true(dir_is_shared(&p->d));
	assert_int_equal(chmod(p->path, 0755), 0);
	assert_false(dir_is_shared(&p->d));
	teardown(p);
}

static void what_belongs_to_another_user_is_refused_with_the_cure(void **state)
{
	struct place *p = setup();
	struct err e = { 0 };

	UNUSED(state);
	assert_int_equal(mkdir(p->path, 0700), 0);
	if (chown(p->path, 65534, (gid_t)-1) == 0 && geteuid() != 65534) { /* root only */
		assert_int_equal(dir_take(&p->d, &e), ERR_CONFIG);
		assert_non_null(strstr(e.text, "belongs to user 65534"));
		assert_non_null(strstr(e.text, "--state-dir"));
	}
	teardown(p);
}

static void one_that_is_removed_is_noticed_and_made_anew(void **state)
{
	struct place *p = setup();
	struct err e = { 0 };

	UNUSED(state);
	assert_int_equal(dir_take(&p->d, &e), 0);
	assert_int_equal(rename(p->path, p->aside), 0);
	assert_false(dir_is_there(&p->d));
	assert_int_equal(mkdir(p->path, 0777), 0); /* another one in its place */
	assert_int_equal(chmod(p->path, 0777), 0);
	assert_false(dir_is_there(&p->d));
	assert_int_equal(dir_take(&p->d, &e), ERR_CONFIG);
	assert_true(p->d.fd >= 0); /* what was taken stays */
	assert_int_equal(rmdir(p->path), 0);
	assert_int_equal(dir_take(&p->d, &e), 0);
	assert_true(dir_is_there(&p->d));
	teardown(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_is_made_and_taken_once),
		cmocka_unit_test(what_others_may_write_is_refused_with_the_cure),
		cmocka_unit_test(what_belongs_to_another_user_is_refused_with_the_cure),
		cmocka_unit_test(one_that_is_removed_is_noticed_and_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
