/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/serve.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "workers/cache/client.h"

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
		next = c->next;
		if ((c->n > 0 && pump_client(c, v) < 0) || is_stalled(c)) {
			log_warn(EV("client_cut_off"), KV("reason", "it does not read"));
			drop(c);
		}
	}
	store_view_close(&v);
	arm(s);
}

static void on_timer(uv_timer_t *t)
{
	pump_all(t->data);
}

void arm(struct serve *s)
{
	int64_t next = INT64_MAX;
	int64_t now = clock_boot_ms();
	struct client *c;
	size_t i;

	for (c = s->clients; c != NULL; c = c->next) {
		if (c->streams != NULL)
			next = MIN(next, c->stalled_ms);
		for (i = 0; i < c->n; i++)
			if (!c->pending[i].is_watch)
				next = MIN(next, c->pending[i].until_ms);
	}
	if (next == INT64_MAX)
		(void)uv_timer_stop(&s->timer);
	else
		CHECK(uv_timer_start(&s->timer, on_timer, (uint64_t)MAX(next - now, 0), 0) == 0);
}

void serve_changed(struct serve *s, bool reset)
{
	UNUSED(reset); /* each watcher compares the lineage itself */
	pump_all(s);
}

/* --- connections --- */

static void drop(struct client *c)
{
	struct client **at = &c->s->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->s->n--;
	chan_close(&c->chan);
	drop_streams(c);
	mem_free(c->pending);
	mem_free(c);
}

static void on_closed(void *arg, const struct err *why)
{
	struct client *c = arg;

	if (why->code != UV_EOF && why->code != UV_ECONNRESET)
		log_warn(EV("client_closed"), KV("err", why->text));
	drop(c);
}

static void on_drained(void *arg)
{
	struct client *c = arg;
	struct store_view *v = NULL;

	if (pump_streams(c) < 0) {
		drop(c);
		return;
	}
	if (c->n == 0 || store_view_open(c->s->store, &v, NULL) < 0)
		return;
	if (pump_client(c, v) < 0)
		drop(c);
	store_view_close(&v);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct serve *s = listener->data;
	struct chan_hooks hooks = { NULL, client_message, on_closed, on_drained };
	struct client *c;
	struct err e = { 0 };

	if (status < 0)
		return;
	c = mem_zalloc(sizeof(*c));
	c->s = s;
	hooks.arg = c;
	if (chan_accept(&c->chan, listener, &hooks, &e) < 0) {
		mem_free(c);
		return;
	}
	c->next = s->clients;
	s->clients = c;
	if (++s->n > SERVE_CLIENTS_MAX) {
		log_warn(EV("clients_full"), KV("max", SERVE_CLIENTS_MAX));
		drop(c);
	}
}

int serve_open(struct serve **out, struct worker *w, int fd, struct store *st, struct follower *f,
	       struct err *e)
{
	struct serve *s = mem_zalloc(sizeof(*s));
	int rc;

	s->w = w;
	s->store = st;
	s->follower = f;
	CHECK(uv_pipe_init(worker_loop(w), &s->listener, 0) == 0);
	CHECK(uv_timer_init(worker_loop(w), &s->timer) == 0);
	s->listener.data = s;
	s->timer.data = s;
	*out = s;
	rc = uv_pipe_open(&s->listener, fd);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&s->listener, SERVE_CLIENTS_MAX, on_connection);
	return rc == 0 ? 0 : err_set(e, rc, "listener: %s", uv_strerror(rc));
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
	s->handles = 2;
	uv_close((uv_handle_t *)&s->listener, on_own_closed);
	uv_close((uv_handle_t *)&s->timer, on_own_closed);
}
