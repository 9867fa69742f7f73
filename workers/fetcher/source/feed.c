/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/feed.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"

#define NOT_WANTED    (-1)
#define STUCK_LOOK_MS 200 /* how often it is looked whether it still is */

struct feed {
	struct source *source; /* owned */
	struct feed_opts o;
	uv_thread_t thread;
	uv_async_t async;
	uv_timer_t stuck; /* runs while closing */
	int64_t closed_ms;
	unsigned handles;
	int wake_fd;
	bool failed;	/* the last pass; of the thread */
	bool whole;	/* the pass under way looks at everything; of the thread */
	char *notify;	/* owned: as put last; of the thread */
	int64_t lag_ms; /* the same; -1: none yet */
	atomic_bool stop;
	atomic_bool ended; /* the thread is through */
	atomic_int wanted; /* the greatest pass_kind asked for, or NOT_WANTED */
	_Atomic int64_t heard_ms;
	/* Under the mutex: */
	uv_mutex_t mutex;
	uv_cond_t room;
	uv_cond_t answered;
	bool asking;
	struct feed_item *first;
	struct feed_item *last;
	size_t len;
	size_t bytes;
};

static size_t size_of(const struct feed_item *i)
{
	return sizeof(*i) + i->ev.payload.len;
}

static struct feed_item *feed_item_new(enum feed_type type)
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
	if (i->unpublished != NULL)
		unpublished_reset(i->unpublished);
	mem_free(i->unpublished);
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

int feed_stopped(struct feed *f, struct err *e)
{
	return feed_stopping(f) ? err_set(e, ERR_STATE, "the source is stopping") : 0;
}

/* The mutex is held. */
static void append(struct feed *f, struct feed_item *i)
{
	if (f->last == NULL)
		f->first = i;
	else
		f->last->next = i;
	f->last = i;
	f->len++;
	f->bytes += size_of(i);
}

/* Takes it; blocks until there is room. */
static void put(struct feed *f, struct feed_item *i)
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
	append(f, i);
	uv_mutex_unlock(&f->mutex);
	atomic_store(&f->heard_ms, clock_boot_ms());
	(void)uv_async_send(&f->async);
}

void feed_whole(struct feed *f)
{
	f->whole = true;
}

void feed_partial(struct feed *f)
{
	f->whole = false;
}

void feed_notify(struct feed *f, const char *text)
{
	if (str_equal(f->notify, text))
		return;
	mem_free(f->notify);
	f->notify = mem_strdup(text);
	feed_say(f, FEED_NOTIFY, NULL, text);
}

void feed_lag(struct feed *f, int64_t lag_ms)
{
	struct feed_item *i;

	if (f->lag_ms == lag_ms)
		return;
	f->lag_ms = lag_ms;
	i = feed_item_new(FEED_LAG);
	i->lag_ms = lag_ms;
	put(f, i);
}

void feed_put_event(struct feed *f, struct event *ev, enum feed_by by)
{
	struct feed_item *i = feed_item_new(FEED_EVENT);

	i->by = by;
	i->ev = *ev;
	*ev = (struct event){ 0 };
	event_hash(&i->hash, &i->ev);
	put(f, i);
}

void feed_say(struct feed *f, enum feed_type type, const char *where, const char *text)
{
	struct feed_item *i = feed_item_new(type);

	i->where = mem_strdup(where);
	i->text = mem_strdup(text);
	put(f, i);
}

void feed_quarantine(struct feed *f, const struct feed_bad *b)
{
	struct feed_item *i = feed_item_new(FEED_QUARANTINE);

	i->kind = b->kind;
	i->blocks = b->blocks;
	i->id = mem_strdup(b->id);
	i->where = mem_strdup(b->where);
	i->text = mem_strdup(b->why);
	put(f, i);
}

void feed_unpublished(struct feed *f, struct unpublished *u)
{
	struct feed_item *i = feed_item_new(FEED_UNPUBLISHED);

	i->unpublished = mem_dup(u, sizeof(*u));
	*u = (struct unpublished){ 0 };
	put(f, i);
}

void feed_doubt(struct feed *f, unsigned kinds, size_t least, const char *text)
{
	struct feed_item *i = feed_item_new(FEED_DOUBT);

	i->blocks = kinds;
	i->rows = least;
	i->text = mem_strdup(text);
	put(f, i);
}

/* Puts a question, and waits for its answer. */
static int ask(struct feed *f, struct feed_item *i, struct err *e)
{
	uv_mutex_lock(&f->mutex);
	if (!atomic_load(&f->stop)) {
		f->asking = true;
		append(f, i);
		i = NULL;
		(void)uv_async_send(&f->async);
	}
	while (f->asking && !atomic_load(&f->stop))
		uv_cond_wait(&f->answered, &f->mutex);
	uv_mutex_unlock(&f->mutex);
	feed_item_free(i);
	return feed_stopped(f, e);
}

int feed_ask(struct feed *f, struct feed_ask *const *v, size_t n, struct err *e)
{
	struct feed_item *i;

	if (n == 0)
		return feed_stopped(f, e);
	i = feed_item_new(FEED_ASK);
	i->asks = v;
	i->n_asks = n;
	return ask(f, i, e);
}

int feed_unmet(struct feed *f, struct feed_unmet *out, struct err *e)
{
	struct feed_item *i = feed_item_new(FEED_UNMET);

	feed_unmet_reset(out);
	i->unmet = out;
	return ask(f, i, e);
}

void feed_unmet_add(struct feed_unmet *u, enum kind k, const char *id)
{
	u->v = mem_grow(u->v, &u->cap, u->n + 1, sizeof(*u->v));
	u->v[u->n++] = (struct feed_name){ k, mem_strdup(id) };
}

void feed_unmet_reset(struct feed_unmet *u)
{
	while (u->n > 0)
		mem_free(u->v[--u->n].id);
	mem_free(u->v);
	*u = (struct feed_unmet){ 0 };
}

void feed_answer(struct feed *f)
{
	uv_mutex_lock(&f->mutex);
	f->asking = false;
	uv_cond_signal(&f->answered);
	uv_mutex_unlock(&f->mutex);
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
	if (f->len > 0 || f->asking)
		atomic_store(&f->heard_ms, clock_boot_ms());
	uv_mutex_unlock(&f->mutex);
	return atomic_load(&f->heard_ms);
}

static void want(struct feed *f, int what)
{
	int now = atomic_load(&f->wanted);

	while (now < what && !atomic_compare_exchange_weak(&f->wanted, &now, what))
		continue;
}

/* A pass that failed is owed: it comes again, as it was, after a wait. */
static void one_pass(struct feed *f, enum pass_kind what)
{
	struct feed_item *i = feed_item_new(FEED_BEGIN);
	struct err e = { 0 };
	int rc;

	i->pass = what;
	i->at_ms = clock_boot_ms();
	put(f, i);
	i = feed_item_new(FEED_END);
	f->whole = what != PASS_DELTA;
	rc = f->source->ops->pass(f->source, what, f, &e);
	i->pass = what;
	i->at_ms = clock_boot_ms();
	i->whole = f->whole;
	i->rc = rc < 0 ? rc : 0;
	if (rc < 0)
		i->text = mem_strdup(err_text(&e));
	else
		i->rows = (uint64_t)rc;
	f->failed = rc < 0;
	if (f->failed)
		want(f, (int)what);
	put(f, i);
}

static enum pass_kind next_pass(struct feed *f, bool first)
{
	int what = atomic_exchange(&f->wanted, NOT_WANTED);

	/* Also after a failure: one that fails again and again must not keep the deltas away. */
	if (what == PASS_COMPARE && (first || f->failed) && f->source->resumes) {
		want(f, PASS_COMPARE);
		return PASS_DELTA;
	}
	return what == NOT_WANTED ? PASS_DELTA : (enum pass_kind)what;
}

/* Between two passes. Changes that come thick and fast make one pass together. */
static void rest(struct feed *f)
{
	struct pollfd p = { f->wake_fd, POLLIN, 0 };
	int delay_ms = (int)f->o.delay_ms;
	int64_t until_ms =
		clock_boot_ms() + MIN(f->failed ? FEED_RETRY_MS : FEED_REST_MS, delay_ms);
	int64_t left_ms;

	f->source->ops->wait(f->source, f->wake_fd,
			     f->failed ? MIN(FEED_AGAIN_MS, delay_ms) : delay_ms);
	left_ms = until_ms - clock_boot_ms();
	if (left_ms > 0)
		(void)poll(&p, 1, (int)left_ms);
}

static void thread_main(void *arg)
{
	struct feed *f = arg;
	bool first = true;
	uint64_t n;

	while (!feed_stopping(f)) {
		one_pass(f, next_pass(f, first));
		first = first && f->failed;
		if (feed_stopping(f))
			break;
		if (f->failed || atomic_load(&f->wanted) == NOT_WANTED)
			rest(f);
		(void)!read(f->wake_fd, &n, sizeof(n));
	}
	f->source->ops->close(f->source); /* here: closing a connection may block */
	atomic_store(&f->ended, true);
	(void)uv_async_send(&f->async);
}

static void wake(struct feed *f)
{
	uint64_t one = 1;

	(void)!write(f->wake_fd, &one, sizeof(one));
}

void feed_want(struct feed *f, enum pass_kind what)
{
	want(f, (int)what);
	wake(f);
}

static void on_closed(uv_handle_t *h)
{
	struct feed *f = h->data;

	if (--f->handles == 0) {
		mem_free(f->notify);
		mem_free(f);
	}
}

/* The thread has ended, so that joining it does not wait. */
static void dispose(struct feed *f)
{
	struct feed_item *i;

	CHECK(uv_thread_join(&f->thread) == 0);
	while ((i = feed_take(f)) != NULL)
		feed_item_free(i);
	(void)close(f->wake_fd);
	uv_mutex_destroy(&f->mutex);
	uv_cond_destroy(&f->room);
	uv_cond_destroy(&f->answered);
	uv_close((uv_handle_t *)&f->async, on_closed);
	uv_close((uv_handle_t *)&f->stuck, on_closed);
}

static void on_async(uv_async_t *a)
{
	struct feed *f = a->data;

	if (!atomic_load(&f->stop))
		f->o.ready(f->o.arg);
	else if (atomic_load(&f->ended))
		dispose(f);
}

static int64_t ending_ms; /* boot time of feed_ending(); 0: the process goes on */

void feed_ending(void)
{
	ending_ms = clock_boot_ms();
}

/* Nothing ends a thread that hangs in a library but the end of the process. One that was to
   end anyway has nothing to lose; for one that goes on the supervisor starts another. */
static void on_stuck(uv_timer_t *t)
{
	struct feed *f = t->data;
	int64_t now = clock_boot_ms();

	if (ending_ms != 0 && now - ending_ms >= FEED_END_MS) {
		log_warn(EV("source_left"), KV("ms", FEED_END_MS));
		_exit(EX_OK);
	}
	if (now - f->closed_ms >= FEED_STUCK_MS) {
		log_error(EV("source_stuck"), KV("ms", FEED_STUCK_MS));
		_exit(EX_TEMPFAIL);
	}
}

struct feed *feed_open(uv_loop_t *loop, struct source *s, const struct feed_opts *o)
{
	struct feed *f = mem_zalloc(sizeof(*f));

	f->source = s;
	f->o = *o;
	f->lag_ms = -1;
	f->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(f->wake_fd >= 0);
	atomic_store(&f->wanted, (int)o->first);
	atomic_store(&f->heard_ms, clock_boot_ms());
	CHECK(uv_mutex_init(&f->mutex) == 0 && uv_cond_init(&f->room) == 0 &&
	      uv_cond_init(&f->answered) == 0);
	CHECK(uv_async_init(loop, &f->async, on_async) == 0);
	CHECK(uv_timer_init(loop, &f->stuck) == 0);
	f->handles = 2;
	f->async.data = f;
	f->stuck.data = f;
	CHECK(uv_thread_create(&f->thread, thread_main, f) == 0);
	return f;
}

void feed_close(struct feed **fp)
{
	struct feed *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	uv_mutex_lock(&f->mutex);
	atomic_store(&f->stop, true);
	uv_cond_signal(&f->room);
	uv_cond_signal(&f->answered);
	uv_mutex_unlock(&f->mutex);
	wake(f);
	f->closed_ms = clock_boot_ms();
	CHECK(uv_timer_start(&f->stuck, on_stuck, STUCK_LOOK_MS, STUCK_LOOK_MS) == 0);
	(void)uv_async_send(&f->async); /* it may have ended before */
}
