/* SPDX-License-Identifier: Apache-2.0 */
#include "common/ipc/listener.h"

#include <stdbool.h>

#include "common/base/mem.h"

struct listener {
	uv_pipe_t pipe;
	uv_prepare_t turn; /* active while `taken` is not of an earlier turn */
	struct listener_hooks hooks;
	unsigned taken;	  /* in this turn */
	bool held;	  /* libuv has one for us, and stopped to look for more */
	unsigned handles; /* that are not closed yet */
};

static void on_turn(uv_prepare_t *p);

static void take(struct listener *l)
{
	if (l->taken++ == 0)
		CHECK(uv_prepare_start(&l->turn, on_turn) == 0);
	l->hooks.connection(l->hooks.arg, (uv_stream_t *)&l->pipe);
}

static void on_turn(uv_prepare_t *p)
{
	struct listener *l = p->data;
	bool held = l->held;

	(void)uv_prepare_stop(p);
	l->taken = 0;
	l->held = false;
	if (held)
		take(l);
}

/* A connection that is not accepted within its callback stops libuv until it is. */
static void on_connection(uv_stream_t *s, int status)
{
	struct listener *l = s->data;

	if (status < 0)
		return;
	if (l->taken < LISTENER_TURN_MAX)
		take(l);
	else
		l->held = true;
}

struct listener *listener_create(uv_loop_t *loop, const struct listener_hooks *h)
{
	struct listener *l = mem_zalloc(sizeof(*l));

	l->hooks = *h;
	CHECK(uv_pipe_init(loop, &l->pipe, 0) == 0);
	CHECK(uv_prepare_init(loop, &l->turn) == 0);
	l->pipe.data = l;
	l->turn.data = l;
	l->handles = 2;
	return l;
}

uv_pipe_t *listener_pipe(struct listener *l)
{
	return &l->pipe;
}

int listener_start(struct listener *l, int backlog, struct err *e)
{
	int rc = uv_listen((uv_stream_t *)&l->pipe, backlog, on_connection);

	return rc == 0 ? 0 : err_set(e, rc, "listen: %s", uv_strerror(rc));
}

static void on_closed(uv_handle_t *h)
{
	struct listener *l = h->data;

	if (--l->handles == 0)
		mem_free(l);
}

void listener_close(struct listener **lp)
{
	struct listener *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	uv_close((uv_handle_t *)&l->pipe, on_closed);
	uv_close((uv_handle_t *)&l->turn, on_closed);
}
