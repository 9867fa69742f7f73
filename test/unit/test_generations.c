/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/store/reader.h"
#include "common/store/store.h"
#include "test/unit/store_kit.h"

#define MAP_BYTES (64ULL << 20)
#define OLD	  1 /* what serves, as its only record is named after */
#define NEW	  2

/* --- faults --- */

static int fail_fsync; /* number of the fsync that fails; 0 none */
static int fail_open;  /* what the next open of a generation comes to; 0: as it is */
static bool no_time;   /* for any check */

int __real_fsync(int fd);
int __wrap_fsync(int fd);
unsigned __wrap_alarm(unsigned seconds);
int __real_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);
int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);

int __wrap_fsync(int fd)
{
	if (fail_fsync > 0 && --fail_fsync == 0) {
		errno = EIO;
		return -1;
	}
	return __real_fsync(fd);
}

unsigned __wrap_alarm(unsigned seconds)
{
	assert_in_range(seconds, 1, STORE_CHECK_MS / 1000 + 1);
	return no_time ? (unsigned)raise(SIGALRM) : 0;
}

int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
	int rc = fail_open;

	fail_open = 0;
	return rc != 0 ? rc : __real_mdb_env_open(env, path, flags, mode);
}

static bool fail_meta; /* LMDB's write of the page that ends a transaction */

/* In the place of the C library's, as LMDB calls it. */
ssize_t write_at(int fd, const void *p, size_t n, off_t at) __asm__("pwrite");

ssize_t write_at(int fd, const void *p, size_t n, off_t at)
{
	if (fail_meta && at < 2 * 4096) {
		fail_meta = false;
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, p, n, at);
}

/* --- a store in a directory of its own --- */

static char *dir;
static struct store *st;
static char aside[200];

static int try_open(struct err *e)
{
	return store_open(&st, dir, MAP_BYTES, aside, e);
}

static void reopen(void)
{
	struct err e = { 0 };

	store_close(&st);
	if (try_open(&e) < 0)
		fail_msg("open: %s", e.text);
}

/* In the directory of the store. */
static void shell(const char *command)
{
	char *whole = mem_printf("cd '%s' && { %s; }", dir, command);

	if (system(whole) != 0)
		fail_msg("%s", whole);
	mem_free(whole);
}

/* One API of that number, as the whole content. */
static void put(enum store_target t, unsigned n)
{
	struct event ev = { .kind = KIND_API, .action = ACTION_DEPLOY };
	struct store_record r = { .ev = &ev, .revision = n, .updated_ms = 1 };
	struct store_batch b = { .records = &r,
				 .len = 1,
				 .position = { .lineage = "l1", .token = "1:a", .revision = n } };
	struct position after;

	ev.id = mem_printf("%u", n);
	event_hash(&r.hash, &ev);
	assert_int_equal(store_apply(st, t, &b, &after, NULL), 0);
	event_reset(&ev);
}

static int sum(void *arg, const struct store_entry *x)
{
	*(unsigned *)arg = *(unsigned *)arg * 10 + (unsigned)(x->id[0] - '0');
	return 0;
}

static unsigned served(void)
{
	struct store_view *v = NULL;
	unsigned n = 0;

	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(store_list(v, KIND_API, NULL, sum, &n), 0);
	store_view_close(&v);
	return n;
}

static void build(unsigned n)
{
	assert_int_equal(store_next_begin(st, NULL), 0);
	put(STORE_NEXT, n);
}

/* Generation 2 serves OLD. */
static int setup(void **state)
{
	UNUSED(state);
	dir = store_kit_make();
	fail_fsync = 0;
	fail_open = 0;
	no_time = false;
	reopen();
	build(OLD);
	assert_int_equal(store_switch(st, NULL), 0);
	store_adopt(st);
	assert_int_equal(store_generation(st), 2);
	return 0;
}

static int teardown(void **state)
{
	UNUSED(state);
	store_close(&st);
	store_kit_remove(&dir);
	return 0;
}

/* Serves OLD, has lost nothing, and CURRENT names what serves again. */
static void expect_recovered(const char *what)
{
	reopen();
	if (served() != OLD || aside[0] != '\0' || !store_recovered(st))
		fail_msg("%s: serves %u, recovered %d, aside '%s'", what, served(),
			 store_recovered(st), aside);
	shell("[ \"$(cat CURRENT)\" = 2 ] && [ ! -h CURRENT ]");
	reopen();
	if (served() != OLD || store_recovered(st) || store_verify(st, NULL) < 0)
		fail_msg("%s: not mended", what);
}

/* --- CURRENT --- */

static const char *const current_damages[] = {
	"rm CURRENT",
	": > CURRENT",
	"printf 2 > CURRENT",
	"echo 0 > CURRENT",
	"echo > CURRENT",
	"echo x > CURRENT",
	"echo -1 > CURRENT",
	"echo '2 ' > CURRENT",
	"printf '2\\n2\\n' > CURRENT",
	"echo 77 > CURRENT",
	"echo 18446744073709551615 > CURRENT",
	"echo 18446744073709551614 > CURRENT",
	"echo 18446744073709551616 > CURRENT",
	"head -c 1000000 /dev/zero > CURRENT",
	"head -c 1000000 /dev/zero | tr '\\0' 2 > CURRENT",
	"rm CURRENT; mkdir CURRENT",
	"rm CURRENT; mkdir CURRENT; echo 2 > CURRENT/x",
	"rm CURRENT; ln -s nowhere CURRENT",
	"rm CURRENT; echo 2 > elsewhere; ln -s elsewhere CURRENT",
	"rm CURRENT; ln -s CURRENT CURRENT",
	"rm CURRENT; mkfifo CURRENT",
	"rm CURRENT; mkdir CURRENT.new",
	"rm CURRENT; mkfifo CURRENT.new",
	"rm CURRENT; ln -s precious CURRENT.new; echo kept > precious",
	"echo 7 > CURRENT; echo file > 7",
	"echo 7 > CURRENT; mkdir 7",
	"echo 7 > CURRENT; mkdir 7; head -c 40000 /dev/urandom > 7/data.mdb",
	"echo 7 > CURRENT; ln -s 2 7",
	"rm CURRENT; mkdir 18446744073709551615",
	"rm CURRENT; mkdir 9; touch 9/SEALED",
	"rm CURRENT; mkdir -p 9/SEALED",
	"rm CURRENT; mkdir 9; cp 2/SEALED 9",
	"rm CURRENT; cp -r 2 9",
};

static void whatever_becomes_of_current_the_sealed_generation_serves(void **state)
{
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(current_damages); i++) {
		store_close(&st);
		shell(current_damages[i]);
		expect_recovered(current_damages[i]);
		shell("[ ! -e precious ] || grep -q kept precious; "
		      "rm -rf precious elsewhere CURRENT?*");
	}
}

static void a_flipped_bit_of_current_costs_nothing(void **state)
{
	unsigned bit;

	UNUSED(state);
	for (bit = 0; bit < 16; bit++) {
		char text[] = "2\n";
		char *command;

		text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
		store_close(&st);
		command = mem_printf("printf '\\%03o\\%03o' > CURRENT", (unsigned char)text[0],
				     (unsigned char)text[1]);
		shell(command);
		expect_recovered(command);
		mem_free(command);
	}
}

/* --- what is not sealed --- */

static void a_half_built_generation_never_serves(void **state)
{
	static const char *const names[] = { "echo 3 > CURRENT", "rm CURRENT", "true" };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(names); i++) {
		build(NEW);
		store_close(&st); /* as a crash would: it opens and passes every check */
		shell(names[i]);
		reopen();
		assert_int_equal(served(), OLD);
		assert_string_equal(aside, "");
	}
}

static void a_half_built_first_generation_never_serves(void **state)
{
	UNUSED(state);
	store_close(&st);
	shell("rm -rf *");
	reopen();
	build(NEW);
	store_close(&st);
	shell("echo 2 > CURRENT");
	reopen();
	assert_int_equal(served(), 0);
}

static void a_switch_that_fails_leaves_no_seal(void **state)
{
	int n;

	UNUSED(state);
	for (n = 1; n <= 4; n++) {
		build(NEW);
		fail_fsync = n;
		assert_int_equal(store_switch(st, NULL), -EIO);
		fail_fsync = 0;
		assert_int_equal(served(), OLD);
		store_close(&st); /* it crashes before the half-built one is dropped */
		shell("rm CURRENT");
		reopen();
		assert_int_equal(served(), OLD);
	}
	build(NEW);
	fail_fsync = 5; /* there is no such one */
	assert_int_equal(store_switch(st, NULL), 0);
	store_adopt(st);
	assert_int_equal(served(), NEW);
}

/* Without another that is sealed what CURRENT names is it: so was every store before. */
static void a_seal_that_is_damaged_or_missing_is_made_anew(void **state)
{
	static const char *const seals[] = { "rm 2/SEALED",
					     ": > 2/SEALED",
					     "echo 2 > 2/SEALED",
					     "echo 3 l1 > 2/SEALED",
					     "printf '2 l1' > 2/SEALED",
					     "rm 2/SEALED; mkdir 2/SEALED",
					     "rm 2/SEALED; ln -s SEALED 2/SEALED",
					     "rm 2/SEALED; mkfifo 2/SEALED",
					     "head -c 1000000 /dev/zero > 2/SEALED" };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(seals); i++) {
		store_close(&st);
		shell(seals[i]);
		reopen();
		assert_int_equal(served(), OLD);
		assert_false(store_recovered(st));
		store_close(&st);
		shell("rm CURRENT");
		expect_recovered(seals[i]);
	}
}

/* --- more than one --- */

/* Crashed between the switch and its end: both are sealed. */
static void two_sealed(void)
{
	build(NEW);
	assert_int_equal(store_switch(st, NULL), 0);
	store_close(&st);
}

static void the_newest_sealed_generation_serves(void **state)
{
	UNUSED(state);
	two_sealed();
	shell("rm CURRENT");
	reopen();
	assert_int_equal(served(), NEW);
	assert_true(store_recovered(st));
	shell("[ ! -e 2 ]");
}

static void current_decides_among_sealed_ones(void **state)
{
	UNUSED(state);
	two_sealed();
	shell("echo 2 > CURRENT");
	reopen();
	assert_int_equal(served(), OLD);
	assert_false(store_recovered(st));
}

static void a_damaged_generation_gives_way_to_an_older_sealed_one(void **state)
{
	static const char *const damages[] = {
		"truncate -s 5000 3/data.mdb",
		"rm CURRENT; truncate -s 5000 3/data.mdb",
		"rm 3/data.mdb",
		"rm 3/data.mdb; mkdir 3/data.mdb",
		("for p in 0 4096; do printf '\\377\\377\\377\\377' |"
		 " dd of=3/data.mdb bs=1 seek=$((p + 16)) conv=notrunc status=none; done"),
	};
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(damages); i++) {
		shell("rm -rf *");
		reopen();
		build(OLD);
		assert_int_equal(store_switch(st, NULL), 0);
		store_adopt(st);
		two_sealed();
		shell(damages[i]);
		reopen();
		if (served() != OLD || strstr(aside, "/damaged-3-") == NULL || !store_recovered(st))
			fail_msg("%s: serves %u, aside '%s'", damages[i], served(), aside);
	}
}

/* A disk that damages one after another is not filled with them. */
static void the_newest_few_that_were_set_aside_are_kept(void **state)
{
	unsigned i;

	UNUSED(state);
	shell("mkdir -p damaged-1-5/sub damaged-1-6 CURRENT.damaged-7;"
	      "echo 1 > damaged-1-5/sub/file; touch damaged-9-4");
	for (i = 0; i < 2; i++) {
		shell("truncate -s 100 $(cat CURRENT)/data.mdb");
		reopen();
		assert_non_null(strstr(aside, "/damaged-"));
		build(OLD);
		assert_int_equal(store_switch(st, NULL), 0);
		store_adopt(st);
	}
	shell("[ $(ls -d *damaged-* | wc -l) = 3 ] && [ -d CURRENT.damaged-7 ]");
	reopen();
	assert_int_equal(served(), OLD);
}

/* Nothing that is begun empty hides what holds data. */
static void an_empty_generation_does_not_hide_a_sealed_one(void **state)
{
	UNUSED(state);
	store_close(&st);
	shell("mkdir keep; mv [0-9]* keep; rm CURRENT");
	reopen();
	store_close(&st);
	shell("mv [0-9]* 9; echo '9 ' > 9/SEALED; mv keep/2 .; rmdir keep; echo 9 > CURRENT");
	expect_recovered("an empty 9");
}

static void numbers_at_their_end_go_on(void **state)
{
	UNUSED(state);
	store_close(&st);
	shell("mv 2 18446744073709551615; echo 18446744073709551615 l1 > 18446744073709551615/SEALED;"
	      "rm CURRENT");
	reopen();
	assert_int_equal(served(), OLD);
	assert_true(store_generation(st) == UINT64_MAX);
	build(NEW);
	assert_int_equal(store_switch(st, NULL), 0);
	store_adopt(st);
	reopen();
	assert_int_equal(served(), NEW);
	assert_int_equal(store_generation(st), 1);
	store_close(&st);
	shell("truncate -s 100 1/data.mdb; mkdir 18446744073709551615 2 3");
	reopen(); /* an empty one, of a number that nobody has */
	assert_non_null(strstr(aside, "/damaged-1-"));
	build(OLD);
	assert_int_equal(store_switch(st, NULL), 0);
	store_adopt(st);
	reopen();
	assert_int_equal(served(), OLD);
}

/* --- what says nothing about the data --- */

static void expect_untouched(const char *what)
{
	store_close(&st);
	reopen();
	if (served() != OLD || aside[0] != '\0' || store_generation(st) != 2)
		fail_msg("%s: serves %u, aside '%s'", what, served(), aside);
}

static void an_error_of_the_system_is_no_damage(void **state)
{
	static const int errors[] = { EACCES, EPERM, EMFILE, ENFILE, EIO,   ENOMEM,  EAGAIN,
				      EROFS,  EBUSY, ENODEV, ENOSPC, EINTR, ETXTBSY, EDQUOT };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(errors); i++) {
		struct err e = { 0 };

		store_close(&st);
		fail_open = errors[i];
		assert_true(try_open(&e) < 0);
		assert_null(st);
		assert_true(e.text[0] != '\0');
		expect_untouched(strerror(errors[i]));
	}
}

/* A disk that fails for longer is what damage looks like. */
static void an_io_error_is_waited_for(void **state)
{
	UNUSED(state);
	store_close(&st);
	fail_open = EIO;
	assert_int_equal(try_open(NULL), -EIO);
	shell("touch -d '-50 seconds' IO-ERROR");
	fail_open = EIO;
	assert_int_equal(try_open(NULL), -EIO);
	shell("touch -d '-61 seconds' IO-ERROR");
	expect_untouched("it can be read again");
	shell("[ ! -e IO-ERROR ]");
	store_close(&st);
	fail_open = EIO;
	assert_int_equal(try_open(NULL), -EIO);
	shell("touch -d '-61 seconds' IO-ERROR");
	fail_open = EIO;
	reopen();
	assert_non_null(strstr(aside, "/damaged-2-"));
	assert_int_equal(served(), 0);
}

/* Larger than what can be looked at until the worker must be ready. */
static void a_check_that_runs_out_of_time_costs_nothing(void **state)
{
	static const char *const states[] = { "touch DOUBT", "rm CURRENT" };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(states); i++) {
		store_close(&st);
		shell(states[i]);
		no_time = true;
		reopen();
		no_time = false;
		assert_true(store_unchecked(st));
		expect_untouched(states[i]);
		assert_false(store_unchecked(st));
	}
}

/* What crashes whoever reads it, and is too large to be found out, does not do so for ever. */
static void what_crashes_again_unchecked_is_set_aside(void **state)
{
	unsigned i;

	UNUSED(state);
	no_time = true;
	for (i = 0; i < 2; i++) {
		store_close(&st);
		shell("touch DOUBT");
		reopen();
		assert_int_equal(served(), i == 0 ? OLD : 0);
	}
	assert_non_null(strstr(aside, "/damaged-2-"));
}

static void count_call(void *arg)
{
	++*(unsigned *)arg;
}

/* LMDB reads nothing more after that, though nothing is wrong with what is on the disk. */
static void a_failed_write_of_a_meta_page_asks_for_another_process(void **state)
{
	struct store_view *v = NULL;
	struct position after;
	struct store_batch b = { .len = 0 };
	unsigned called = 0;

	UNUSED(state);
	store_on_damaged(st, count_call, &called);
	store_position(st, &b.position);
	b.position.revision++;
	fail_meta = true;
	assert_true(store_apply(st, STORE_CURRENT, &b, &after, NULL) < 0);
	assert_false(fail_meta);
	assert_int_equal(store_view_open(st, &v, NULL), STORE_LOST);
	assert_int_equal(store_view_open(st, &v, NULL), STORE_LOST);
	assert_true(store_is_lost(st));
	assert_int_equal(called, 1);
	expect_untouched("opened anew");
}

static void too_few_descriptors_cost_nothing(void **state)
{
	static const char *const states[] = { "true", "touch DOUBT", "rm CURRENT" };
	const struct rlimit all = { 1024, 1024 };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(states); i++) {
		unsigned n;
		int rc = -1;

		store_close(&st);
		shell(states[i]);
		for (n = 3; rc < 0; n++) {
			struct rlimit few = { n, all.rlim_max };
			struct err e = { 0 };

			assert_true(n < 100);
			assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
			rc = try_open(&e);
			assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
			if (rc < 0 && rc != -EMFILE)
				fail_msg("%u descriptors: %s", n, e.text);
		}
		assert_int_equal(served(), OLD);
		assert_string_equal(aside, "");
		expect_untouched(states[i]);
	}
}

/* As root everything can be read: another user tries. */
static int open_as_nobody(void)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(99);
		_exit(try_open(NULL) == -EACCES ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void what_may_not_be_read_is_no_damage(void **state)
{
	static const char *const paths[] = { "CURRENT", "2", "2/SEALED", "2/data.mdb",
					     "2/lock.mdb" };
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(paths); i++) {
		char *command = mem_printf("chmod 0711 ..; [ $(id -u) != 0 ] || chown -R 65534 .;"
					   "chmod 0 %s",
					   paths[i]);

		store_close(&st);
		shell(command);
		if (open_as_nobody() != 0)
			fail_msg("%s", paths[i]);
		shell("chmod 700 . 2; chmod 600 CURRENT 2/*");
		expect_untouched(paths[i]);
		mem_free(command);
	}
}

/* A limit below the map is the operator's to change: the text says which, and what else. */
static void too_little_address_space_names_the_cure(void **state)
{
	int status = 0;
	pid_t pid;

	UNUSED(state);
	store_close(&st);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e = { 0 };
		struct rlimit r;
		unsigned long pages = 0;
		FILE *f = fopen("/proc/self/statm", "re");

		if (f == NULL || fscanf(f, "%lu", &pages) != 1)
			_exit(2);
		(void)fclose(f);
		r.rlim_cur = pages * 4096 + (256U << 20);
		r.rlim_max = r.rlim_cur;
		if (setrlimit(RLIMIT_AS, &r) < 0)
			_exit(3);
		if (store_open(&st, dir, 64ULL << 30, aside, &e) != -ENOMEM)
			_exit(4);
		_exit(strstr(e.text, "RLIMIT_AS") != NULL && strstr(e.text, "LimitAS=") != NULL &&
				      strstr(e.text, "zonesync.store.map_bytes") != NULL
			      ? 0
			      : 5);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	expect_untouched("with less to map");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(whatever_becomes_of_current_the_sealed_generation_serves),
		T(a_flipped_bit_of_current_costs_nothing),
		T(a_half_built_generation_never_serves),
		T(a_half_built_first_generation_never_serves),
		T(a_switch_that_fails_leaves_no_seal),
		T(a_seal_that_is_damaged_or_missing_is_made_anew),
		T(the_newest_sealed_generation_serves),
		T(current_decides_among_sealed_ones),
		T(a_damaged_generation_gives_way_to_an_older_sealed_one),
		T(the_newest_few_that_were_set_aside_are_kept),
		T(an_empty_generation_does_not_hide_a_sealed_one),
		T(numbers_at_their_end_go_on),
		T(an_error_of_the_system_is_no_damage),
		T(an_io_error_is_waited_for),
		T(a_check_that_runs_out_of_time_costs_nothing),
		T(a_failed_write_of_a_meta_page_asks_for_another_process),
		T(what_crashes_again_unchecked_is_set_aside),
		T(too_few_descriptors_cost_nothing),
		T(what_may_not_be_read_is_no_damage),
		T(too_little_address_space_names_the_cure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
