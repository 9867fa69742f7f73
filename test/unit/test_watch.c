/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "workers/fetcher/source/watch.h"

#define DEADLINE_MS 20000

/* A database that does what the test says, a step each time it is allowed to. */
struct script {
	struct watcher base;
	uv_sem_t go;	  /* for open() and next() */
	atomic_bool ends; /* they need not wait any more */
	uv_sem_t done;	  /* a step was made */
	int open_rc;
	int next_rc;
	bool lost;
	unsigned from, to; /* ids that the next step tells */
	bool closed;
};

static struct script script;

static int step(int rc, struct err *e)
{
	return rc < 0 ? err_set(e, rc, "the script says so") : 0;
}

static void await_go(struct script *s)
{
	if (!atomic_load(&s->ends))
		uv_sem_wait(&s->go);
}

static int script_open(struct watcher *w, struct watch *to, struct err *e)
{
	struct script *s = (struct script *)w;

	UNUSED(to);
	await_go(s);
	return step(s->open_rc, e);
}

static int script_next(struct watcher *w, struct watch *to, struct err *e)
{
	struct script *s = (struct script *)w;
	char id[2 * WATCH_ID_BYTES];

	await_go(s);
	for (; s->from < s->to; s->from++) {
		(void)snprintf(id, sizeof(id), "id-%u", s->from);
		watch_note(to, DB_KEYS, id);
	}
	if (s->lost)
		watch_lost(to);
	uv_sem_post(&s->done);
	return step(s->next_rc, e);
}

static void script_shut(struct watcher *w)
{
	UNUSED(w);
}

static void script_close(struct watcher *w)
{
	((struct script *)w)->closed = true;
}

static const struct watcher_ops ops = { script_open, script_next, script_shut, script_close };

static struct watch *begin(int open_rc)
{
	script = (struct script){ .base = { &ops, "a script" }, .open_rc = open_rc };
	assert_int_equal(uv_sem_init(&script.go, 0), 0);
	assert_int_equal(uv_sem_init(&script.done, 0), 0);
	return watch_open(&script.base);
}

static void end(struct watch *w)
{
	script.lost = false;
	atomic_store(&script.ends, true);
	uv_sem_post(&script.go);
	watch_close(&w);
	assert_null(w);
	assert_true(script.closed);
	uv_sem_destroy(&script.go);
	uv_sem_destroy(&script.done);
}

static bool is_told(const struct watch *w, int ms)
{
	struct pollfd p = { watch_fd(w), POLLIN, 0 };

	return poll(&p, 1, ms) == 1;
}

/* Waits for something to take, and checks how it stands. */
static void take(struct watch *w, struct watch_changes *c, const char *want)
{
	char *text;

	assert_true(is_told(w, DEADLINE_MS));
	watch_take(w, c, &text);
	assert_string_equal(text, want);
	mem_free(text);
	assert_false(is_told(w, 0));
}

static void tell(unsigned from, unsigned to)
{
	script.from = from;
	script.to = to;
	uv_sem_post(&script.go);
	uv_sem_wait(&script.done);
}

static void test_what_is_told_is_taken_once_and_together(void **state)
{
	struct watch *w = begin(0);
	struct watch_changes c = { 0 };

	UNUSED(state);
	uv_sem_post(&script.go);
	take(w, &c, "a script");
	assert_int_equal(c.n, 0);
	tell(0, 3);
	take(w, &c, "a script");
	assert_int_equal(c.n, 3);
	tell(2, 5); /* the pass of the first failed: they stay, and these come to them */
	take(w, &c, "a script");
	assert_int_equal(c.n, 5);
	assert_int_equal(c.ids[DB_KEYS].len, 5);
	assert_non_null(table_get(&c.ids[DB_KEYS], "id-4"));
	assert_false(c.lost);
	watch_changes_reset(&c);
	assert_int_equal(c.ids[DB_KEYS].len, 0);
	end(w);
}

static void test_more_than_can_be_named_is_lost(void **state)
{
	struct watch *w = begin(0);
	struct watch_changes c = { 0 };

	UNUSED(state);
	uv_sem_post(&script.go);
	take(w, &c, "a script");
	tell(0, WATCH_IDS);
	take(w, &c, "a script");
	assert_int_equal(c.n, WATCH_IDS);
	assert_false(c.lost);
	tell(WATCH_IDS, WATCH_IDS + 1);
	take(w, &c, "a script");
	assert_int_equal(c.n, WATCH_IDS);
	assert_true(c.lost);
	watch_changes_reset(&c);
	assert_false(c.lost);
	script.lost = true;
	tell(0, 0);
	take(w, &c, "a script");
	assert_true(c.lost);
	watch_changes_reset(&c);
	end(w);
}

static void test_it_says_why_not_and_tries_again(void **state)
{
	struct watch *w = begin(ERR_REMOTE);
	struct watch_changes c = { 0 };

	UNUSED(state);
	uv_sem_post(&script.go);
	take(w, &c, "polling: the script says so");
	script.open_rc = 0;
	uv_sem_post(&script.go);
	take(w, &c, "a script");
	script.next_rc = ERR_TIMEOUT; /* between now and the next open() it is told of nothing */
	tell(0, 0);
	take(w, &c, "polling: the script says so");
	uv_sem_post(&script.go);
	take(w, &c, "a script");
	script.next_rc = 0;
	end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_told_is_taken_once_and_together),
		cmocka_unit_test(test_more_than_can_be_named_is_lost),
		cmocka_unit_test(test_it_says_why_not_and_tries_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
