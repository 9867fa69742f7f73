/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/watch.h"

#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "common/base/mem.h"

struct watch {
	struct watcher *watcher; /* owned */
	uv_thread_t thread;
	atomic_bool stop;
	int told_fd; /* eventfd: something to take */
	int stop_fd; /* eventfd: wakes the thread out of its rest */
	/* Under the mutex: */
	uv_mutex_t mutex;
	struct watch_changes changes;
	char *text; /* owned */
};

static void ring(int fd)
{
	uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

/* --- what is told --- */

void watch_changes_reset(struct watch_changes *c)
{
	unsigned i;

	for (i = 0; i < DB__COUNT; i++)
		table_reset(&c->ids[i]);
	*c = (struct watch_changes){ 0 };
}

static void add(struct watch_changes *c, enum db_table t, const char *id)
{
	if (c->n >= WATCH_IDS || strlen(id) > WATCH_ID_BYTES) {
		c->lost = true;
	} else if (table_get(&c->ids[t], id) == NULL) {
		(void)table_set(&c->ids[t], id, c);
		c->n++;
	}
}

void watch_note(struct watch *w, enum db_table t, const char *id)
{
	uv_mutex_lock(&w->mutex);
	if (id != NULL)
		add(&w->changes, t, id);
	uv_mutex_unlock(&w->mutex);
	ring(w->told_fd);
}

void watch_lost(struct watch *w)
{
	uv_mutex_lock(&w->mutex);
	w->changes.lost = true;
	uv_mutex_unlock(&w->mutex);
	ring(w->told_fd);
}

void watch_row(struct watch *w, enum db_table t, const char *id)
{
	if (t != DB__COUNT &&
	    (db_table_form(t)->brief || t == DB_LICENSES || t == DB_ACCESS_POINTS))
		watch_note(w, t, id);
	else
		watch_lost(w);
}

void watch_take(struct watch *w, struct watch_changes *c, char **text)
{
	uint64_t n;
	unsigned i;

	(void)!read(w->told_fd, &n, sizeof(n));
	uv_mutex_lock(&w->mutex);
	for (i = 0; i < DB__COUNT; i++) {
		const char *id;
		size_t at = 0;
		void *v;

		while (table_next(&w->changes.ids[i], &at, &id, &v))
			add(c, (enum db_table)i, id);
	}
	c->lost = c->lost || w->changes.lost;
	watch_changes_reset(&w->changes);
	*text = mem_strdup(w->text);
	uv_mutex_unlock(&w->mutex);
}

/* --- the thread --- */

/* How it stands. When that changes a pass is woken: what came before may be unnoticed. */
static void say(struct watch *w, const char *how, const char *what)
{
	char *text = mem_printf("%s%s", how, what);
	bool other;

	uv_mutex_lock(&w->mutex);
	other = !str_equal(text, w->text);
	mem_free(w->text);
	w->text = text;
	uv_mutex_unlock(&w->mutex);
	if (other)
		ring(w->told_fd);
}

static bool listen_on(struct watch *w, struct err *e)
{
	const struct watcher_ops *ops = w->watcher->ops;
	bool heard = false;
	int rc = ops->open(w->watcher, w, e);

	if (rc == 0)
		say(w, "", w->watcher->name);
	while (rc == 0 && !atomic_load(&w->stop)) {
		rc = ops->next(w->watcher, w, e);
		heard = heard || rc == 0;
	}
	ops->shut(w->watcher);
	return heard;
}

static void thread_main(void *arg)
{
	struct watch *w = arg;
	struct pollfd p = { w->stop_fd, POLLIN, 0 };
	int rest_ms = WATCH_RETRY_MIN_MS;

	while (!atomic_load(&w->stop)) {
		struct err e = { 0 };

		if (listen_on(w, &e)) /* it worked for a while: it may well again */
			rest_ms = WATCH_RETRY_MIN_MS;
		if (atomic_load(&w->stop))
			break;
		say(w, "polling: ", err_text(&e));
		(void)poll(&p, 1, rest_ms);
		rest_ms = MIN(2 * rest_ms, WATCH_RETRY_MAX_MS);
	}
}

/* --- life --- */

int watch_fd(const struct watch *w)
{
	return w->told_fd;
}

struct watch *watch_open(struct watcher *watcher)
{
	struct watch *w = mem_zalloc(sizeof(*w));

	w->watcher = watcher;
	w->text = mem_strdup("");
	w->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(w->told_fd >= 0 && w->stop_fd >= 0);
	CHECK(uv_mutex_init(&w->mutex) == 0);
	CHECK(uv_thread_create(&w->thread, thread_main, w) == 0);
	return w;
}

void watch_close(struct watch **wp)
{
	struct watch *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	atomic_store(&w->stop, true);
	ring(w->stop_fd);
	CHECK(uv_thread_join(&w->thread) == 0);
	w->watcher->ops->close(w->watcher);
	(void)close(w->told_fd);
	(void)close(w->stop_fd);
	uv_mutex_destroy(&w->mutex);
	watch_changes_reset(&w->changes);
	mem_free(w->text);
	mem_free(w);
}
