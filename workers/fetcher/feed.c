/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/feed.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"

struct feed {
	struct source *source; /* owned */
	uint32_t delay_ms;
	feed_ready_fn *ready;
	void *arg;
	uv_thread_t thread;
	uv_async_t async;
	int wake_fd;
	bool failed; /* the last pass; of the thread */
	bool whole;  /* the pass under way looks at everything; of the thread */
	atomic_bool stop;
	atomic_bool full;
	_Atomic int64_t heard_ms;
	/* Under the mutex: */
	uv_mutex_t mutex;
	uv_cond_t room;
	struct feed_item *first;
	struct feed_item *last;
	size_t len;
	size_t bytes;
};

static size_t size_of(const struct feed_item *i)
{
	return sizeof(*i) + i->ev.payload.len;
}

struct feed_item *feed_item_new(enum feed_type type)
{
	struct feed_item *i = mem_zalloc(sizeof(*i));

	i->type = type;
	return i;
}

void feed_item_free(struct feed_item *i)
{
	if (i == NULL)
		return;
	event_reset(&i->ev);
	mem_free(i->id);
	mem_free(i->where);
	mem_free(i->text);
	mem_free(i);
}

bool feed_stopping(struct feed *f)
{
	atomic_store(&f->heard_ms, clock_boot_ms());
	return atomic_load(&f->stop);
}

void feed_whole(struct feed *f)
{
	f->whole = true;
}

void feed_put(struct feed *f, struct feed_item *i)
{
	size_t n = size_of(i);

	uv_mutex_lock(&f->mutex);
	while (!atomic_load(&f->stop) && f->len > 0 &&
	       (f->len >= FEED_ITEMS || f->bytes + n > FEED_BYTES))
		uv_cond_wait(&f->room, &f->mutex);
	if (atomic_load(&f->stop)) {
		uv_mutex_unlock(&f->mutex);
		feed_item_free(i);
		return;
	}
	if (f->last == NULL)
		f->first = i;
	else
		f->last->next = i;
	f->last = i;
	f->len++;
	f->bytes += n;
	uv_mutex_unlock(&f->mutex);
	atomic_store(&f->heard_ms, clock_boot_ms());
	(void)uv_async_send(&f->async);
}

struct feed_item *feed_take(struct feed *f)
{
	struct feed_item *i;

	uv_mutex_lock(&f->mutex);
	i = f->first;
	if (i != NULL) {
		f->first = i->next;
		if (f->first == NULL)
			f->last = NULL;
		f->len--;
		f->bytes -= size_of(i);
		i->next = NULL;
		uv_cond_signal(&f->room);
	}
	uv_mutex_unlock(&f->mutex);
	return i;
}

int64_t feed_heard_ms(struct feed *f)
{
	/* Waiting for the loop to take is no silence of the source. */
	uv_mutex_lock(&f->mutex);
	if (f->len > 0)
		atomic_store(&f->heard_ms, clock_boot_ms());
	uv_mutex_unlock(&f->mutex);
	return atomic_load(&f->heard_ms);
}

/* A pass that failed is owed: it comes again, full if it was, after a wait. */
static void one_pass(struct feed *f, bool full)
{
	struct feed_item *i = feed_item_new(FEED_BEGIN);
	struct err e = { 0 };
	int rc;

	i->full = full;
	feed_put(f, i);
	i = feed_item_new(FEED_END);
	f->whole = full;
	rc = f->source->ops->pass(f->source, full, f, &e);
	i->full = full;
	i->whole = f->whole;
	i->rc = rc < 0 ? rc : 0;
	if (rc < 0)
		i->text = mem_strdup(err_text(&e));
	else
		i->rows = (uint64_t)rc;
	f->failed = rc < 0;
	if (f->failed && full)
		atomic_store(&f->full, true);
	feed_put(f, i);
}

static void thread_main(void *arg)
{
	struct feed *f = arg;
	uint64_t n;

	while (!feed_stopping(f)) {
		one_pass(f, atomic_exchange(&f->full, false));
		if (feed_stopping(f))
			break;
		if (f->failed || !atomic_load(&f->full))
			f->source->ops->wait(f->source, f->wake_fd, (int)f->delay_ms);
		(void)!read(f->wake_fd, &n, sizeof(n));
	}
}

static void wake(struct feed *f)
{
	uint64_t one = 1;

	(void)!write(f->wake_fd, &one, sizeof(one));
}

void feed_full_pass(struct feed *f)
{
	atomic_store(&f->full, true);
	wake(f);
}

static void on_async(uv_async_t *a)
{
	struct feed *f = a->data;

	if (!atomic_load(&f->stop))
		f->ready(f->arg);
}

struct feed *feed_open(uv_loop_t *loop, struct source *s, uint32_t delay_ms, feed_ready_fn *ready,
		       void *arg)
{
	struct feed *f = mem_zalloc(sizeof(*f));

	f->source = s;
	f->delay_ms = delay_ms;
	f->ready = ready;
	f->arg = arg;
	f->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(f->wake_fd >= 0);
	atomic_store(&f->full, true);
	atomic_store(&f->heard_ms, clock_boot_ms());
	CHECK(uv_mutex_init(&f->mutex) == 0 && uv_cond_init(&f->room) == 0);
	CHECK(uv_async_init(loop, &f->async, on_async) == 0);
	f->async.data = f;
	CHECK(uv_thread_create(&f->thread, thread_main, f) == 0);
	return f;
}

static void on_closed(uv_handle_t *h)
{
	mem_free(h->data);
}

void feed_close(struct feed **fp)
{
	struct feed *f = *fp;
	struct feed_item *i;

	*fp = NULL;
	if (f == NULL)
		return;
	uv_mutex_lock(&f->mutex);
	atomic_store(&f->stop, true);
	uv_cond_signal(&f->room);
	uv_mutex_unlock(&f->mutex);
	wake(f);
	CHECK(uv_thread_join(&f->thread) == 0);
	while ((i = feed_take(f)) != NULL)
		feed_item_free(i);
	f->source->ops->close(f->source);
	(void)close(f->wake_fd);
	uv_mutex_destroy(&f->mutex);
	uv_cond_destroy(&f->room);
	uv_close((uv_handle_t *)&f->async, on_closed);
}
