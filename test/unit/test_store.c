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
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/store/reader.h"
#include "common/store/store.h"
#include "test/unit/store_kit.h"

#define MAP_BYTES (256ULL << 20)

/* --- faults: calls of the store that go through here --- */

static char calls[64]; /* S sync of a generation, F fsync, R rename; in order */
static int fail_fsync; /* number of the fsync that fails; 0 none */

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_mdb_env_sync(MDB_env *env, int force);
int __wrap_mdb_env_sync(MDB_env *env, int force);

static void note(char c)
{
	size_t n = strlen(calls);

	if (n + 1 < sizeof(calls))
		calls[n] = c;
}

int __wrap_fsync(int fd)
{
	note('F');
	if (fail_fsync > 0 && --fail_fsync == 0) {
		errno = EIO;
		return -1;
	}
	return __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
	note('R');
	return __real_rename(from, to);
}

int __wrap_mdb_env_sync(MDB_env *env, int force)
{
	note('S');
	return __real_mdb_env_sync(env, force);
}

static unsigned dice(unsigned *seed, unsigned n)
{
	return (unsigned)rand_r(seed) % n;
}

/* --- a store in a directory of its own --- */

static char *dir;
static struct store *st;
static char aside[200];

static void reopen(void)
{
	struct err e = { 0 };

	store_close(&st);
	if (store_open(&st, dir, MAP_BYTES, aside, &e) < 0)
		fail_msg("open: %s", e.text);
}

static int setup(void **state)
{
	UNUSED(state);
	dir = store_kit_make();
	fail_fsync = 0;
	reopen();
	return 0;
}

static int teardown(void **state)
{
	UNUSED(state);
	store_close(&st);
	store_kit_remove(&dir);
	return 0;
}

struct item {
	enum kind kind;
	const char *id;
	const char *ref;
	const char *payload; /* NULL: a tombstone */
	uint64_t revision;
};

static void fill_event(struct event *ev, struct store_record *r, const struct item *it)
{
	*ev = (struct event){ .kind = it->kind,
			      .action = it->payload == NULL ? ACTION_UNDEPLOY : ACTION_DEPLOY,
			      .id = mem_strdup(it->id),
			      .ref_id = mem_strdup(it->ref),
			      .version = mem_strdup("7") };
	if (it->payload != NULL)
		buf_adds(&ev->payload, it->payload);
	*r = (struct store_record){ .ev = ev, .revision = it->revision, .updated_ms = 99 };
	event_hash(&r->hash, ev);
}

static int apply_to(enum store_target t, const struct item *items, size_t n, uint64_t horizon,
		    struct err *e)
{
	struct event *ev = mem_zalloc((n + 1) * sizeof(*ev));
	struct store_record *r = mem_zalloc((n + 1) * sizeof(*r));
	struct store_batch b = { .records = r,
				 .len = n,
				 .position = { .lineage = "l1", .token = "1:a" },
				 .horizon = horizon };
	struct position after;
	size_t i;
	int rc;

	for (i = 0; i < n; i++) {
		fill_event(&ev[i], &r[i], &items[i]);
		b.position.revision = MAX(b.position.revision, items[i].revision);
	}
	if (t == STORE_CURRENT) { /* a position never goes back */
		store_position(st, &after);
		b.position.revision = MAX(b.position.revision, after.revision);
	}
	rc = store_apply(st, t, &b, &after, e);
	for (i = 0; i < n; i++)
		event_reset(&ev[i]);
	mem_free(ev);
	mem_free(r);
	return rc;
}

static void apply(const struct item *items, size_t n)
{
	struct err e = { 0 };

	if (apply_to(STORE_CURRENT, items, n, 0, &e) < 0)
		fail_msg("apply: %s", e.text);
}

static void verify(void)
{
	struct err e = { 0 };

	if (store_verify(st, &e) < 0)
		fail_msg("verify: %s", e.text);
}

/* "D API a1 - 1 payload|" of each entry. */
static int show(void *arg, const struct store_entry *x)
{
	struct buf *b = arg;

	buf_printf(b, "%c %s %.*s %.*s %" PRIu64 " %.*s|", x->action, kind_name(x->kind),
		   (int)x->id_len, x->id, (int)x->ref_len, x->ref, x->revision,
		   (int)MIN(x->payload_len, 20), x->payload);
	return 0;
}

static const struct item sample[] = {
	{ KIND_API, "a1", NULL, "one", 1 },	      { KIND_SUBSCRIPTION, "s1", "a1", "sub", 2 },
	{ KIND_SUBSCRIPTION, "s1", "a2", "sub2", 3 }, { KIND_API_KEY, "k1", "a1", "key", 4 },
	{ KIND_API, "a2", NULL, "two", 5 },
};

static void expect_get(enum kind k, const char *id, const char *want)
{
	struct store_view *v = NULL;
	struct buf b = { 0 };
	int rc;

	assert_int_equal(store_view_open(st, &v, NULL), 0);
	rc = store_get(v, k, id, show, &b, NULL);
	assert_int_equal(rc, want == NULL ? ERR_NOTFOUND : 0);
	assert_string_equal(buf_cstr(&b), want == NULL ? "" : want);
	store_view_close(&v);
	buf_reset(&b);
}

static void what_is_put_is_found_again_after_a_reopen(void **state)
{
	struct position p;

	UNUSED(state);
	apply(sample, ARRAY_LEN(sample));
	verify();
	reopen();
	verify();
	assert_string_equal(aside, "");
	store_position(st, &p);
	assert_int_equal(p.revision, 5);
	assert_int_equal(p.digest.count, 5);
	assert_string_equal(p.lineage, "l1");
	expect_get(KIND_API, "a1", "D API a1  1 one|");
	expect_get(KIND_SUBSCRIPTION, "s1",
		   "D SUBSCRIPTION s1 a1 2 sub|D SUBSCRIPTION s1 a2 3 sub2|");
	expect_get(KIND_API, "a", NULL);
	expect_get(KIND_API, "", NULL);
	expect_get(KIND_API_KEY, "a1", NULL);
}

static void lists_children_and_history_are_in_order(void **state)
{
	struct store_view *v = NULL;
	struct buf b = { 0 };
	struct buf cursor = { 0 };

	UNUSED(state);
	apply(sample, ARRAY_LEN(sample));
	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(store_list(v, KIND_API, &cursor, show, &b), 0);
	assert_string_equal(buf_cstr(&b), "D API a1  1 one|D API a2  5 two|");
	assert_int_equal(cursor.len, 0);
	buf_clear(&b);
	assert_int_equal(store_list(v, KIND__COUNT, &cursor, show, &b), 0);
	assert_string_equal(buf_cstr(&b), "D API a1  1 one|D API a2  5 two|"
					  "D SUBSCRIPTION s1 a1 2 sub|D SUBSCRIPTION s1 a2 3 sub2|"
					  "D API_KEY k1 a1 4 key|");
	buf_clear(&b);
	assert_int_equal(store_children(v, "a1", KIND__COUNT, &cursor, show, &b), 0);
	assert_string_equal(buf_cstr(&b), "D SUBSCRIPTION s1 a1 2 sub|D API_KEY k1 a1 4 key|");
	buf_clear(&b);
	assert_int_equal(store_children(v, "a1", KIND_API_KEY, &cursor, show, &b), 0);
	assert_string_equal(buf_cstr(&b), "D API_KEY k1 a1 4 key|");
	buf_clear(&b);
	assert_int_equal(store_children(v, "a", KIND__COUNT, &cursor, show, &b), 0);
	assert_string_equal(buf_cstr(&b), "");
	assert_int_equal(store_since(v, 3, show, &b), 0);
	assert_string_equal(buf_cstr(&b), "D API_KEY k1 a1 4 key|D API a2  5 two|");
	buf_clear(&b);
	assert_int_equal(store_since(v, UINT64_MAX, show, &b), 0);
	assert_string_equal(buf_cstr(&b), "");
	store_view_close(&v);
	buf_reset(&b);
	buf_reset(&cursor);
}

static int show_one(void *arg, const struct store_entry *x)
{
	struct buf *b = arg;

	if (b->len > 0)
		return 1;
	return show(b, x);
}

static void a_list_goes_on_where_it_stopped(void **state)
{
	struct store_view *v = NULL;
	struct buf all = { 0 };
	struct buf cursor = { 0 };
	unsigned turns = 0;
	int rc;

	UNUSED(state);
	apply(sample, ARRAY_LEN(sample));
	do {
		struct buf one = { 0 };

		assert_int_equal(store_view_open(st, &v, NULL), 0);
		rc = store_list(v, KIND__COUNT, &cursor, show_one, &one);
		store_view_close(&v);
		buf_add(&all, one.data, one.len);
		buf_reset(&one);
		turns++;
	} while (rc == 1);
	assert_int_equal(rc, 0);
	assert_int_equal(turns, 5);
	assert_string_equal(buf_cstr(&all),
			    "D API a1  1 one|D API a2  5 two|"
			    "D SUBSCRIPTION s1 a1 2 sub|D SUBSCRIPTION s1 a2 3 sub2|"
			    "D API_KEY k1 a1 4 key|");
	buf_reset(&all);
	buf_reset(&cursor);
}

static void a_tombstone_leaves_children_digest_and_old_revision(void **state)
{
	static const struct item gone[] = { { KIND_SUBSCRIPTION, "s1", "a1", NULL, 6 } };
	static const struct item back[] = { { KIND_SUBSCRIPTION, "s1", "a1", "again", 7 } };
	struct position p;
	struct store_view *v = NULL;
	struct buf b = { 0 };

	UNUSED(state);
	apply(sample, ARRAY_LEN(sample));
	apply(gone, 1);
	verify();
	store_position(st, &p);
	assert_int_equal(p.digest.count, 4);
	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(store_children(v, "a1", KIND__COUNT, NULL, show, &b), 0);
	assert_int_equal(store_since(v, 1, show, &b), 0);
	assert_string_equal(buf_cstr(&b), "D API_KEY k1 a1 4 key|D SUBSCRIPTION s1 a2 3 sub2|"
					  "D API_KEY k1 a1 4 key|D API a2  5 two|"
					  "U SUBSCRIPTION s1 a1 6 |");
	store_view_close(&v);
	buf_reset(&b);
	apply(back, 1);
	verify();
	store_position(st, &p);
	assert_int_equal(p.digest.count, 5);
}

static void purged_tombstones_move_the_start_of_the_history(void **state)
{
	static const struct item gone[] = { { KIND_API, "a1", NULL, NULL, 6 },
					    { KIND_API, "a2", NULL, NULL, 8 } };
	struct store_view *v = NULL;

	UNUSED(state);
	apply(sample, ARRAY_LEN(sample));
	apply(gone, 2);
	assert_int_equal(apply_to(STORE_CURRENT, NULL, 0, 7, NULL), 0);
	expect_get(KIND_API, "a1", NULL);
	expect_get(KIND_API, "a2", "U API a2  8 |");
	verify();
	reopen();
	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(store_history_start(v), 7);
	store_view_close(&v);
}

#define MANY 20000

static void fill_many(uint64_t first, unsigned n, bool live)
{
	struct item *items = mem_zalloc(n * sizeof(*items));
	char(*ids)[16] = mem_zalloc(n * sizeof(*ids));
	unsigned i;

	for (i = 0; i < n; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "%07u", (unsigned)first + i);
		items[i] = (struct item){ KIND_API, ids[i], NULL, live ? "x" : NULL, first + i };
	}
	apply(items, n);
	mem_free(items);
	mem_free(ids);
}

/* One transaction looks at a bounded number of records; the rest is for the next. */
static void every_tombstone_is_purged_in_the_end(void **state)
{
	struct position p;
	unsigned turn;

	UNUSED(state);
	fill_many(1, MANY, true);
	fill_many(MANY + 1, 2500, false);
	for (turn = 0; turn < 10; turn++)
		assert_int_equal(apply_to(STORE_CURRENT, NULL, 0, MANY + 2500, NULL), 0);
	verify();
	expect_get(KIND_API, "0020001", NULL);
	expect_get(KIND_API, "0022500", NULL);
	expect_get(KIND_API, "0020000", "D API 0020000  20000 x|");
	store_position(st, &p);
	assert_int_equal(p.digest.count, MANY);
}

static void long_ids_are_told_apart(void **state)
{
	char a[2000];
	char b[2000];
	const struct item items[] = { { KIND_API, a, NULL, "A", 1 },
				      { KIND_API, b, NULL, "B", 2 },
				      { KIND_SUBSCRIPTION, a, b, "child", 3 },
				      { KIND_SUBSCRIPTION, b, b, "other", 4 } };
	struct store_view *v = NULL;
	struct buf out = { 0 };

	UNUSED(state);
	memset(a, 'x', sizeof(a));
	memset(b, 'x', sizeof(b));
	a[sizeof(a) - 1] = b[sizeof(b) - 1] = '\0';
	b[sizeof(b) - 2] = 'y'; /* they differ at the end only */
	apply(items, ARRAY_LEN(items));
	verify();
	reopen();
	verify();
	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(store_get(v, KIND_API, b, show, &out, NULL), 0);
	assert_true(str_ends(buf_cstr(&out), " 2 B|"));
	buf_clear(&out);
	assert_int_equal(store_children(v, b, KIND__COUNT, NULL, show, &out), 0);
	assert_non_null(strstr(buf_cstr(&out), " 3 child|"));
	assert_non_null(strstr(buf_cstr(&out), " 4 other|"));
	store_view_close(&v);
	buf_reset(&out);
}

static int payload_len(void *arg, const struct store_entry *x)
{
	*(size_t *)arg = x->payload_len;
	return 0;
}

static void the_largest_entity_fits(void **state)
{
	size_t n = 16U << 20;
	char *payload = mem_alloc(n + 1);
	const struct item items[] = { { KIND_API, "big", NULL, payload, 1 } };
	struct store_view *v = NULL;
	size_t got = 0;

	UNUSED(state);
	memset(payload, 'p', n);
	payload[n] = '\0';
	apply(items, 1);
	reopen();
	verify();
	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(store_get(v, KIND_API, "big", payload_len, &got, NULL), 0);
	assert_int_equal(got, n);
	store_view_close(&v);
	mem_free(payload);
}

/* --- generations --- */

static void a_generation_serves_until_the_next_is_adopted(void **state)
{
	static const struct item next[] = { { KIND_API, "n1", NULL, "next", 50 } };
	uint64_t first;

	UNUSED(state);
	apply(sample, ARRAY_LEN(sample));
	first = store_generation(st);
	assert_int_equal(store_next_begin(st, NULL), 0);
	assert_int_equal(apply_to(STORE_NEXT, next, 1, 0, NULL), 0);
	expect_get(KIND_API, "a1", "D API a1  1 one|");
	expect_get(KIND_API, "n1", NULL);
	assert_int_equal(store_next_begin(st, NULL), 0); /* again, from nothing */
	assert_int_equal(apply_to(STORE_NEXT, next, 1, 0, NULL), 0);
	assert_int_equal(store_switch(st, NULL), 0);
	expect_get(KIND_API, "a1", "D API a1  1 one|");
	store_adopt(st);
	assert_true(store_generation(st) > first);
	expect_get(KIND_API, "n1", "D API n1  50 next|");
	expect_get(KIND_API, "a1", NULL);
	verify();
	reopen();
	expect_get(KIND_API, "n1", "D API n1  50 next|");
	assert_int_equal(store_next_begin(st, NULL), 0);
	store_next_drop(st);
	store_next_drop(st);
	expect_get(KIND_API, "n1", "D API n1  50 next|");
}

static void a_switch_syncs_before_current_names_the_generation(void **state)
{
	UNUSED(state);
	assert_int_equal(store_next_begin(st, NULL), 0);
	assert_int_equal(apply_to(STORE_NEXT, sample, 5, 0, NULL), 0);
	memset(calls, 0, sizeof(calls));
	assert_int_equal(store_switch(st, NULL), 0);
	/* the data; SEALED, its directory; the new CURRENT, then its name, then the directory */
	assert_string_equal(calls, "SFFFRF");
	store_adopt(st);
}

static void a_failed_switch_leaves_the_old_generation(void **state)
{
	int n;

	UNUSED(state);
	apply(sample, ARRAY_LEN(sample));
	for (n = 1; n <= 4; n++) {
		static const struct item next[] = { { KIND_API, "n1", NULL, "next", 50 } };

		assert_int_equal(store_next_begin(st, NULL), 0);
		assert_int_equal(apply_to(STORE_NEXT, next, 1, 0, NULL), 0);
		fail_fsync = n;
		assert_int_equal(store_switch(st, NULL), -EIO);
		fail_fsync = 0;
		store_next_drop(st);
		expect_get(KIND_API, "a1", "D API a1  1 one|");
		reopen();
		assert_string_equal(aside, "");
		expect_get(KIND_API, "a1", "D API a1  1 one|");
	}
}

/* --- what a crash leaves --- */

static void run_writer(int out)
{
	unsigned seed = (unsigned)getpid();
	struct position p;
	unsigned i;

	for (i = 0;; i++) {
		struct item items[8];
		char ids[8][8];
		char payload[6000];
		unsigned j;

		store_position(st, &p);
		memset(payload, 'a' + (int)(i % 26), sizeof(payload));
		payload[dice(&seed, sizeof(payload) - 1)] = '\0';
		payload[sizeof(payload) - 1] = '\0';
		for (j = 0; j < 8; j++) {
			(void)snprintf(ids[j], sizeof(ids[j]), "%u", j * 25 + dice(&seed, 25));
			items[j] = (struct item){ KIND_API_KEY, ids[j], "a",
						  dice(&seed, 4) == 0 ? NULL : payload,
						  p.revision + 1 + j };
		}
		if (i % 5 == 4 &&
		    (store_next_begin(st, NULL) < 0 ||
		     apply_to(STORE_NEXT, items, 8, 0, NULL) < 0 || store_switch(st, NULL) < 0))
			_exit(1);
		if (i % 5 == 4)
			store_adopt(st);
		else if (apply_to(STORE_CURRENT, items, 8, 0, NULL) < 0)
			_exit(1);
		store_position(st, &p);
		if (write(out, &p.revision, sizeof(p.revision)) < 0)
			_exit(1);
	}
}

/* Kills a writer after a number of its commits; the newest revision it told. */
static uint64_t killed_writer(unsigned commits, unsigned spins)
{
	uint64_t told = 0;
	int fd[2];
	int status;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	store_close(&st);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(fd[0]);
		if (store_open(&st, dir, MAP_BYTES, aside, NULL) < 0 || aside[0] != '\0')
			_exit(2);
		run_writer(fd[1]);
	}
	(void)close(fd[1]);
	while (commits-- > 0)
		assert_int_equal(read(fd[0], &told, sizeof(told)), sizeof(told));
	while (spins-- > 0) /* anywhere in what it does next */
		(void)sched_yield();
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	while (read(fd[0], &told, sizeof(told)) == sizeof(told))
		;
	(void)close(fd[0]);
	return told;
}

static void a_kill_at_any_point_loses_nothing_committed(void **state)
{
	unsigned seed = 4711;
	uint64_t last = 0;
	unsigned i;

	UNUSED(state);
	for (i = 0; i < 60; i++) {
		uint64_t told = killed_writer(1 + dice(&seed, 12), dice(&seed, 3000));
		struct position p;

		reopen();
		if (aside[0] != '\0')
			fail_msg("run %u: set aside: %s", i, aside);
		verify();
		store_position(st, &p);
		assert_true(p.revision >= told);
		assert_true(p.revision >= last);
		last = p.revision;
	}
}

/* Pages freed in the transaction that made them are never written: the file ends early. */
static void a_file_without_its_last_free_pages_is_not_damaged(void **state)
{
	unsigned seed = 17;
	unsigned round;

	UNUSED(state);
	for (round = 0; round < 300; round++) {
		struct item items[40];
		char ids[40][16];
		static char payload[9000];
		unsigned j;

		memset(payload, 'x', sizeof(payload) - 1);
		for (j = 0; j < 40; j++) {
			(void)snprintf(ids[j], sizeof(ids[j]), "%u", (round * 7 + j * 13) % 300);
			items[j] = (struct item){ KIND_API, ids[j], j % 2 == 0 ? "r" : NULL,
						  dice(&seed, 2) == 0 ? NULL
								      : payload + dice(&seed, 8999),
						  round * 40 + j + 1 };
		}
		apply(items, 40);
		if (round % 3 == 0)
			assert_int_equal(apply_to(STORE_CURRENT, NULL, 0, (round + 1) * 40, NULL),
					 0);
		reopen();
		if (aside[0] != '\0')
			fail_msg("round %u: set aside: %s", round, aside);
	}
	verify();
}

static char *data_file(void)
{
	return mem_printf("%s/%" PRIu64 "/data.mdb", dir, store_generation(st));
}

/* What is in use of the file, which is longer. */
static size_t used_bytes(const char *path)
{
	MDB_env *env = NULL;
	MDB_envinfo info;
	MDB_stat stat;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, 0), 0);
	assert_int_equal(mdb_env_info(env, &info), 0);
	assert_int_equal(mdb_env_stat(env, &stat), 0);
	mdb_env_close(env);
	return (info.me_last_pgno + 1) * stat.ms_psize;
}

/* Thousands of damaged generations are too many for one directory. */
static bool drop_aside(void)
{
	char *path = mem_dup(aside, strcspn(aside, ":"));
	char *data = mem_printf("%s/data.mdb", path);
	char *lock = mem_printf("%s/lock.mdb", path);
	char *seal = mem_printf("%s/SEALED", path);

	return unlink(data) == 0 && (unlink(seal) == 0 || errno == ENOENT) &&
	       (unlink(lock) == 0 || errno == ENOENT) && rmdir(path) == 0;
}

/* As a crash of the one that had it open would: the next open checks everything. */
static void doubt(void)
{
	char *path = mem_printf("%s/" STORE_DOUBT, dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	mem_free(path);
	assert_true(fd >= 0);
	(void)close(fd);
}

/* Opens, verifies and reads everything in a process of its own: what becomes of it. */
static int try_everything(void)
{
	int status = 0;
	pid_t pid;

	doubt();
	pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct store_view *v = NULL;
		struct buf b = { 0 };
		struct err e = { 0 };

		(void)signal(SIGSEGV, SIG_DFL); /* not cmocka's, which would go on here */
		(void)signal(SIGBUS, SIG_DFL);
		(void)signal(SIGABRT, SIG_DFL);
		(void)close(STDERR_FILENO);
		if (store_open(&st, dir, MAP_BYTES, aside, &e) < 0) {
			(void)fputs(e.text, stdout);
			(void)fflush(stdout);
			_exit(1);
		}
		if (aside[0] != '\0')
			_exit(drop_aside() ? 10 : 13); /* an empty one serves */
		if (store_verify(st, &e) < 0)
			_exit(11);
		if (store_view_open(st, &v, &e) == 0) {
			int rc = store_list(v, KIND__COUNT, NULL, show, &b);

			if (rc == 0)
				rc = store_since(v, 0, show, &b);
			if (rc == 0)
				rc = store_children(v, "a1", KIND__COUNT, NULL, show, &b);
			if (rc != 0)
				_exit(12);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void read_whole(const char *path, struct buf *out)
{
	char chunk[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(out, chunk, (size_t)n);
	(void)close(fd);
}

static void write_whole(const char *path, const struct buf *b, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, b->data, n), n);
	(void)close(fd);
}

/* Puts the generation back as it was, beside whatever the last try left. */
static void restore(const char *path, const struct buf *data, size_t n, uint64_t generation)
{
	char *parent = mem_strdup(path);
	char *current = mem_printf("%s/CURRENT", dir);
	char *lock;
	char *seal;
	struct buf text = { 0 };

	*strrchr(parent, '/') = '\0';
	(void)mkdir(parent, 0700);
	lock = mem_printf("%s/lock.mdb", parent);
	seal = mem_printf("%s/SEALED", parent);
	(void)unlink(lock);
	write_whole(path, data, n);
	buf_printf(&text, "%" PRIu64 " \n", generation);
	write_whole(seal, &text, text.len);
	buf_clear(&text);
	buf_printf(&text, "%" PRIu64 "\n", generation);
	write_whole(current, &text, text.len);
	buf_reset(&text);
	mem_free(seal);
	mem_free(lock);
	mem_free(current);
	mem_free(parent);
}

static void a_truncated_file_is_set_aside_at_every_length(void **state)
{
	uint64_t generation = store_generation(st);
	char *path = data_file();
	struct buf data = { 0 };
	size_t used;
	size_t n;

	UNUSED(state);
	apply(sample, ARRAY_LEN(sample));
	store_close(&st);
	used = used_bytes(path);
	read_whole(path, &data);
	assert_true(data.len >= used);
	for (n = 0; n < used; n += n < 200 ? 7 : 397) {
		int status;

		restore(path, &data, n, generation);
		status = try_everything();
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 10)
			fail_msg("%zu bytes of %zu: status %x", n, used, (unsigned)status);
	}
	restore(path, &data, used, generation);
	assert_int_equal(try_everything(), 0);
	buf_reset(&data);
	mem_free(path);
}

static void a_flipped_byte_never_crashes(void **state)
{
	uint64_t generation = store_generation(st);
	char *path = data_file();
	struct buf data = { 0 };
	size_t found = 0;
	size_t at;

	UNUSED(state);
	apply(sample, ARRAY_LEN(sample));
	apply(sample, ARRAY_LEN(sample)); /* both meta pages count */
	store_close(&st);
	read_whole(path, &data);
	data.len = MIN(data.len, used_bytes(path));
	for (at = 0; at < data.len; at++) {
		int status;

		/* All of the page headers; of the rest and of the empty space samples are enough. */
		if (at % 4096 >= 32 && at % (data.data[at] == '\0' ? 499 : 11) != 0)
			continue;
		data.data[at] = (char)(data.data[at] ^ 0xff);
		restore(path, &data, data.len, generation);
		status = try_everything();
		data.data[at] = (char)(data.data[at] ^ 0xff);
		if (!WIFEXITED(status) || WEXITSTATUS(status) == 1)
			fail_msg("byte %zu: status %x", at, (unsigned)status);
		found += WEXITSTATUS(status) != 0;
	}
	assert_true(found > 100); /* most of them matter, and are seen */
	buf_reset(&data);
	mem_free(path);
}

static void a_record_that_fails_its_checksum_is_told(void **state)
{
	static const struct item items[] = { { KIND_API, "a1", NULL, "find this payload", 1 } };
	char *path = data_file();
	uint64_t generation = store_generation(st);
	struct buf data = { 0 };
	char *p;

	UNUSED(state);
	apply(items, 1);
	store_close(&st);
	read_whole(path, &data);
	for (p = data.data;
	     (p = memmem(p, (size_t)(data.data + data.len - p), "find this", 9)) != NULL; p++)
		*p = 'F';
	restore(path, &data, data.len, generation);
	assert_int_equal(WEXITSTATUS(try_everything()), 10);
	buf_reset(&data);
	mem_free(path);
}

static void count_calls(void *arg)
{
	++*(unsigned *)arg;
}

/* One that is damaged costs none of the others; who asks for it alone is told. */
static void a_damaged_record_is_left_out(void **state)
{
	static const struct item items[] = { { KIND_API, "a1", NULL, "before", 1 },
					     { KIND_API, "a2", NULL, "broken", 2 },
					     { KIND_API, "a3", NULL, "behind", 3 },
					     { KIND_API_KEY, "k1", "a1", "child1", 4 },
					     { KIND_API_KEY, "k1", "a2", "broken", 5 },
					     { KIND_API_KEY, "k2", "a1", "broken", 6 },
					     { KIND_API_KEY, "k3", "a1", "child3", 7 } };
	struct store_entry one;
	struct store_view *v = NULL;
	struct buf cursor = { 0 };
	struct buf b = { 0 };
	struct position before;
	struct position after;
	unsigned told = 0;

	UNUSED(state);
	store_on_damaged(st, count_calls, &told);
	apply(items, ARRAY_LEN(items));
	store_kit_damage(dir, "broken");
	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(store_list(v, KIND_API, &cursor, show, &b), 0);
	assert_string_equal(buf_cstr(&b), "D API a1  1 before|D API a3  3 behind|");
	assert_int_equal(store_view_left_out(v), 1);
	buf_clear(&b);
	assert_int_equal(store_children(v, "a1", KIND__COUNT, &cursor, show, &b), 0);
	assert_string_equal(buf_cstr(&b), "D API_KEY k1 a1 4 child1|D API_KEY k3 a1 7 child3|");
	buf_clear(&b);
	assert_int_equal(store_get(v, KIND_API_KEY, "k1", show, &b, NULL), 0);
	assert_string_equal(buf_cstr(&b), "D API_KEY k1 a1 4 child1|");
	buf_clear(&b);
	store_view_close(&v);
	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(store_view_left_out(v), 0);
	assert_int_equal(store_get(v, KIND_API, "a2", show, &b, NULL), ERR_DAMAGED);
	assert_int_equal(store_find(v, KIND_API, "a2", "", &one, NULL), ERR_DAMAGED);
	assert_int_equal(store_get(v, KIND_API, "none", show, &b, NULL), ERR_NOTFOUND);
	assert_int_equal(store_since(v, 0, show, &b), ERR_DAMAGED); /* no gap in what follows */
	assert_string_equal(buf_cstr(&b), "D API a1  1 before|");
	store_view_close(&v);
	assert_int_equal(told, 1);
	before = store_kit_told(st);
	/* The next generation is whole. */
	assert_int_equal(store_next_begin(st, NULL), 0);
	assert_int_equal(apply_to(STORE_NEXT, items, ARRAY_LEN(items), 0, NULL), 0);
	assert_int_equal(store_switch(st, NULL), 0);
	store_adopt(st);
	after = store_kit_told(st);
	assert_int_equal(before.revision, after.revision);
	assert_string_not_equal(before.lineage, after.lineage); /* who read before lacks one */
	expect_get(KIND_API, "a2", "D API a2  2 broken|");
	assert_int_equal(told, 1);
	store_kit_damage(dir, "broken");
	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(store_get(v, KIND_API, "a2", show, &b, NULL), ERR_DAMAGED);
	store_view_close(&v);
	assert_int_equal(told, 2);
	buf_reset(&b);
	buf_reset(&cursor);
}

/* It is said before it is read: its checksum alone would cost. */
static void a_large_record_ends_a_walk_before_it_is_read(void **state)
{
	static const struct item items[] = { { KIND_API, "a1", NULL, "small", 1 },
					     { KIND_API, "a2", NULL, "broken and large", 2 },
					     { KIND_API, "a3", NULL, "small", 3 } };
	struct store_view *v = NULL;
	struct buf cursor = { 0 };
	struct buf b = { 0 };

	UNUSED(state);
	apply(items, ARRAY_LEN(items));
	store_kit_damage(dir, "broken");
	assert_int_equal(store_view_open(st, &v, NULL), 0);
	store_view_limit(v, 5);
	assert_int_equal(store_list(v, KIND_API, &cursor, show, &b), STORE_LARGE);
	assert_int_equal(store_since(v, 0, show, &b), STORE_LARGE);
	assert_int_equal(store_get(v, KIND_API, "a2", show, &b, NULL), STORE_LARGE);
	assert_string_equal(buf_cstr(&b), "D API a1  1 small|D API a1  1 small|");
	assert_int_equal(store_view_left_out(v), 0);
	store_view_limit(v, SIZE_MAX);
	buf_clear(&b);
	assert_int_equal(store_list(v, KIND_API, &cursor, show, &b), 0); /* goes on behind a1 */
	assert_string_equal(buf_cstr(&b), "D API a3  3 small|");
	assert_int_equal(store_view_left_out(v), 1);
	store_view_close(&v);
	buf_reset(&cursor);
	buf_reset(&b);
}

static void write_text(const char *name, const char *text)
{
	char *path = mem_printf("%s/%s", dir, name);
	struct buf b = { 0 };

	buf_adds(&b, text);
	write_whole(path, &b, b.len);
	buf_reset(&b);
	mem_free(path);
}

static void another_format_is_set_aside(void **state)
{
	char *path = mem_printf("%s/1", dir);
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_dbi meta;
	MDB_val key = { 6, (void *)(uintptr_t) "format" };
	MDB_val v = { 1, (void *)(uintptr_t) "9" };

	UNUSED(state);
	apply(sample, ARRAY_LEN(sample));
	assert_int_equal(store_generation(st), 1);
	store_close(&st);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
	assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "meta", 0, &meta), 0);
	assert_int_equal(mdb_put(txn, meta, &key, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	reopen();
	assert_non_null(strstr(aside, "/damaged-1-"));
	expect_get(KIND_API, "a1", NULL);
	apply(sample, ARRAY_LEN(sample));
	verify();
	mem_free(path);
}

static void a_full_map_changes_nothing(void **state)
{
	static char payload[100000];
	const struct item big[] = { { KIND_API, "big", NULL, payload, 100 } };
	struct position before;
	struct position after;
	struct err e = { 0 };
	unsigned i;
	int rc = 0;

	UNUSED(state);
	memset(payload, 'x', sizeof(payload) - 1);
	store_close(&st);
	assert_int_equal(store_open(&st, dir, 1 << 20, aside, &e), 0);
	apply(sample, ARRAY_LEN(sample));
	for (i = 0; i < 30 && rc == 0; i++) {
		char id[8];
		const struct item it = { KIND_API, id, NULL, payload, 10 + i };

		(void)snprintf(id, sizeof(id), "%u", i);
		store_position(st, &before);
		rc = apply_to(STORE_CURRENT, &it, 1, 0, &e);
	}
	assert_int_equal(rc, ERR_FULL);
	store_position(st, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	verify();
	expect_get(KIND_API, "a1", "D API a1  1 one|");
	assert_int_equal(apply_to(STORE_CURRENT, big, 1, 0, &e), ERR_FULL);
	reopen(); /* with more room */
	assert_string_equal(aside, "");
	assert_int_equal(apply_to(STORE_CURRENT, big, 1, 0, &e), 0);
	verify();
}

/* As root everything can be written: another user tries. */
static int open_as_nobody(void)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e = { 0 };

		if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(99);
		_exit(store_open(&st, dir, MAP_BYTES, aside, &e) == -EACCES && e.text[0] != '\0'
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void a_directory_that_cannot_be_written_is_an_error(void **state)
{
	struct err e = { 0 };
	char *file = mem_printf("%s/CURRENT", dir);

	UNUSED(state);
	apply(sample, ARRAY_LEN(sample));
	store_close(&st);
	assert_int_equal(chmod(dir, 0500), 0);
	assert_int_equal(open_as_nobody(), 0);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_true(store_open(&st, file, MAP_BYTES, aside, &e) < 0); /* a file */
	assert_null(st);
	mem_free(file);
	reopen();
	expect_get(KIND_API, "a1", "D API a1  1 one|");
}

/* Too little memory or no descriptor left says nothing about the data. */
static void what_is_not_damage_moves_nothing_aside(void **state)
{
	struct err e = { 0 };

	UNUSED(state);
	apply(sample, ARRAY_LEN(sample));
	store_close(&st);
	assert_int_equal(store_open(&st, dir, 1ULL << 62, aside, &e), -ENOMEM);
	assert_null(st);
	reopen();
	assert_string_equal(aside, "");
	expect_get(KIND_API, "a1", "D API a1  1 one|");
}

static void leftovers_of_a_crash_are_swept(void **state)
{
	char *path = mem_printf("%s/41", dir);

	UNUSED(state);
	apply(sample, ARRAY_LEN(sample));
	assert_int_equal(mkdir(path, 0700), 0);
	write_text("41/data.mdb", "half");
	write_text("CURRENT.new", "41\n");
	reopen();
	assert_int_equal(access(path, F_OK), -1);
	expect_get(KIND_API, "a1", "D API a1  1 one|");
	mem_free(path);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_put_is_found_again_after_a_reopen),
		T(lists_children_and_history_are_in_order),
		T(a_list_goes_on_where_it_stopped),
		T(a_tombstone_leaves_children_digest_and_old_revision),
		T(purged_tombstones_move_the_start_of_the_history),
		T(every_tombstone_is_purged_in_the_end),
		T(long_ids_are_told_apart),
		T(the_largest_entity_fits),
		T(a_generation_serves_until_the_next_is_adopted),
		T(a_switch_syncs_before_current_names_the_generation),
		T(a_failed_switch_leaves_the_old_generation),
		T(a_kill_at_any_point_loses_nothing_committed),
		T(a_file_without_its_last_free_pages_is_not_damaged),
		T(a_truncated_file_is_set_aside_at_every_length),
		T(a_flipped_byte_never_crashes),
		T(a_record_that_fails_its_checksum_is_told),
		T(a_damaged_record_is_left_out),
		T(a_large_record_ends_a_walk_before_it_is_read),
		T(another_format_is_set_aside),
		T(a_full_map_changes_nothing),
		T(a_directory_that_cannot_be_written_is_an_error),
		T(what_is_not_damage_moves_nothing_aside),
		T(leftovers_of_a_crash_are_swept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
