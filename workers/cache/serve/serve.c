/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/serve/serve.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "workers/cache/serve/client.h"

#define TICK_MS 1000

static void drop(struct client *c);

/* --- waits, watches and large answers --- */

static void pump_all(struct serve *s)
{
	struct client *c;
	struct client *next;
	struct store_view *v = NULL;

	if (store_view_open(s->store, &v, NULL) < 0)
		return;
	for (c = s->clients; c != NULL; c = next) {
		int rc = pump_client(c, v);

		next = c->next;
		if (rc < 0 && !client_end(c, rc))
			drop(c);
	}
	store_view_close(&v);
	arm(s);
}

static void on_timer(uv_timer_t *t)
{
	pump_all(t->data);
}

void serve_changed(struct serve *s, bool reset)
{
	struct client *c;
	size_t i;

	for (c = s->clients; reset && c != NULL; c = c->next)
		for (i = 0; i < c->n; i++)
			watch_lost(&c->pending[i]);
	pump_all(s);
}

/* --- large answers: each is copied out of the store, so they take turns --- */

static void on_turn(uv_idle_t *i)
{
	struct serve *s = i->data;
	struct store_view *v = NULL;
	struct client *first = NULL;
	struct client *c;
	int rc;

	for (c = s->clients; c != NULL; c = c->next)
		if (c->place != 0 && (first == NULL || c->place < first->place))
			first = c;
	if (first == NULL || s->large_bytes >= SERVE_LARGE_ALL ||
	    store_view_open(s->store, &v, NULL) < 0) {
		(void)uv_idle_stop(i);
		return;
	}
	first->place = 0;
	first->turn = true;
	rc = begin_later(first, v);
	if (rc == 0)
		rc = pump_client(first, v);
	first->turn = false;
	store_view_close(&v);
	if (rc < 0 && !client_end(first, rc))
		drop(first);
}

/* Does anybody wait for what those who do not read hold? */
static bool is_crowded(const struct serve *s)
{
	const struct client *c;

	for (c = s->clients; c != NULL; c = c->next)
		if (c->place != 0 && s->large_bytes >= SERVE_LARGE_ALL)
			return true;
	return s->unread_bytes >= SERVE_UNREAD_ALL;
}

/* --- the end of a client --- */

static void drop(struct client *c)
{
	struct serve *s = c->s;
	struct client **at = &s->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	s->n--;
	if (s->n == 0)
		(void)uv_timer_stop(&s->tick);
	s->unread_bytes -= c->counted;
	chan_close(&c->chan);
	drop_streams(c);
	mem_free(c->pending);
	mem_free(c);
}

/* Has it read on since the last time? In a crowd a trickle is not enough. */
static bool reads_on(struct client *c, bool crowded)
{
	uint64_t taken = chan_taken_bytes(c->chan);

	count_unread(c);
	if (c->counted > 0 && taken - c->taken < (crowded ? SERVE_PAGE_BYTES : 1))
		return false;
	c->taken = taken;
	return true;
}

static bool is_due(struct client *c, bool crowded)
{
	int64_t now = clock_boot_ms();

	if (!c->parting && reads_on(c, crowded)) {
		c->until_ms = now + SERVE_STALL_MS;
		c->idle = 0;
		return false;
	}
	return now >= c->until_ms || (++c->idle >= SERVE_CROWDED_TICKS && crowded);
}

/* Who takes nothing of what waits for it is cut off; who was cut off is closed in the end. */
static void on_tick(uv_timer_t *t)
{
	struct serve *s = t->data;
	bool crowded = is_crowded(s);
	struct client *c;
	struct client *next;

	for (c = s->clients; c != NULL; c = next) {
		next = c->next;
		if (!is_due(c, crowded))
			continue;
		if (c->parting)
			drop(c);
		else
			client_part(c, GATEWAY__CODE__SLOW, "nothing was read for too long");
	}
}

/* --- connections --- */

static void on_closed(void *arg, const struct err *why)
{
	struct client *c = arg;

	if (why->code == ERR_PROTO) {
		client_part(c, GATEWAY__CODE__BAD_REQUEST, why->text);
		return;
	}
	if (why->code != UV_EOF && why->code != UV_ECONNRESET)
		log_warn(EV("client_closed"), KV("err", why->text));
	drop(c);
}

static void on_drained(void *arg)
{
	struct client *c = arg;
	struct store_view *v = NULL;
	int rc;

	count_unread(c);
	if (c->parting) { /* it has read why */
		drop(c);
		return;
	}
	rc = pump_streams(c);
	if (rc == 0 && c->n > 0 && store_view_open(c->s->store, &v, NULL) == 0) {
		rc = pump_client(c, v);
		store_view_close(&v);
	}
	if (rc < 0 && !client_end(c, rc))
		drop(c);
}

/* One too many: told, and closed as soon as that is written, which a new socket has room for. */
static void refuse(struct serve *s, uv_stream_t *from)
{
	const struct chan_hooks hooks = { NULL, client_message, on_closed,
					  NULL }; /* never called */
	struct chan *chan = NULL;
	Gateway__Reply m = GATEWAY__REPLY__INIT;

	if (!s->full)
		log_warn(EV("clients_full"), KV("max", s->max));
	s->full = true;
	if (chan_accept(&chan, from, &hooks, NULL) < 0)
		return;
	m.code = GATEWAY__CODE__BUSY;
	m.error = (char *)(uintptr_t) "too many clients";
	(void)!chan_send(chan, &m.base);
	chan_finish(&chan);
}

static void on_connection(void *arg, uv_stream_t *from)
{
	struct serve *s = arg;
	struct chan_hooks hooks = { NULL, client_message, on_closed, on_drained };
	struct client *c;

	if (s->n >= s->max) {
		refuse(s, from);
		return;
	}
	s->full = false;
	c = mem_zalloc(sizeof(*c));
	c->s = s;
	hooks.arg = c;
	if (chan_accept(&c->chan, from, &hooks, NULL) < 0) {
		mem_free(c);
		return;
	}
	chan_limit(c->chan, SERVE_REQUEST_BYTES);
	c->until_ms = clock_boot_ms() + SERVE_STALL_MS;
	c->next = s->clients;
	s->clients = c;
	if (s->n++ == 0)
		CHECK(uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS) == 0);
}

int serve_open(struct serve **out, struct worker *w, unsigned max, struct store *st,
	       struct upstream *u, struct err *e)
{
	struct serve *s = mem_zalloc(sizeof(*s));
	const struct listener_hooks hooks = { s, on_connection };
	int rc;

	s->w = w;
	s->max = max;
	s->on_timer = on_timer;
	s->on_turn = on_turn;
	s->store = st;
	s->upstream = u;
	s->listener = listener_create(worker_loop(w), &hooks);
	CHECK(uv_timer_init(worker_loop(w), &s->timer) == 0);
	CHECK(uv_timer_init(worker_loop(w), &s->tick) == 0);
	CHECK(uv_idle_init(worker_loop(w), &s->next_turn) == 0);
	s->next_turn.data = s;
	s->tick.data = s;
	s->timer.data = s;
	*out = s;
	rc = uv_pipe_open(listener_pipe(s->listener), WORKER_FIRST_FD);
	if (rc < 0)
		return err_set(e, rc, "listener: %s", uv_strerror(rc));
	return listener_start(s->listener, SERVE_CLIENTS_MAX, e);
}

static void on_own_closed(uv_handle_t *h)
{
	struct serve *s = h->data;

	if (--s->handles == 0)
		mem_free(s);
}

void serve_close(struct serve **sp)
{
	struct serve *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	while (s->clients != NULL)
		drop(s->clients);
	resolve_reset(&s->resolved);
	listener_close(&s->listener);
	s->handles = 3;
	uv_close((uv_handle_t *)&s->next_turn, on_own_closed);
	uv_close((uv_handle_t *)&s->timer, on_own_closed);
	uv_close((uv_handle_t *)&s->tick, on_own_closed);
}
