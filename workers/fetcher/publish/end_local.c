/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ipc/chan.h"
#include "common/message/message.h"
#include "common/worker/worker.h"
#include "local.pb-c.h"
#include "workers/fetcher/publish/end.h"
#include "workers/fetcher/publish/local_page.h"

#define CHUNK_BYTES	 (FRAME_MAX_BYTES / 2)
#define RETRY_FIRST_MS	 50
#define RETRY_LONGEST_MS 2000

struct parcel { /* bytes of a request on their way */
	struct parcel *next;
	struct buf bytes;
	size_t sent;
};

struct end_local {
	struct end base;
	uv_loop_t *loop;
	char *path;
	struct chan *chan;
	bool up; /* the cache has said who we are */
	int64_t up_ms;
	uv_timer_t retry;
	struct backoff backoff;
	struct parcel *first, *last;
	uint64_t number;       /* of the last page that was taken */
	bool has, sent;	       /* a page is to be taken; its answer is owed */
	struct zone_page page; /* owned */
};

static struct end_local *self_of(struct end *e)
{
	return (struct end_local *)e;
}

/* --- sending --- */

static void drop_parcels(struct end_local *e)
{
	while (e->first != NULL) {
		struct parcel *p = e->first;

		e->first = p->next;
		buf_reset(&p->bytes);
		mem_free(p);
	}
	e->last = NULL;
}

/* A request larger than a frame goes in chunks, as fast as the cache takes them. */
static int send_piece(struct end_local *e, struct parcel *p)
{
	size_t n = MIN(p->bytes.len - p->sent, (size_t)CHUNK_BYTES);
	Local__Request m = LOCAL__REQUEST__INIT;
	Local__Chunk c = LOCAL__CHUNK__INIT;
	int rc;

	c.data.data = (uint8_t *)p->bytes.data + p->sent;
	c.data.len = n;
	c.last = p->sent + n == p->bytes.len;
	message_wrap(&m.base, &c.base);
	rc = chan_send(e->chan, &m.base);
	if (rc == 0)
		p->sent += n;
	return rc;
}

static void pump(struct end_local *e)
{
	while (e->first != NULL && e->chan != NULL) {
		struct parcel *p = e->first;

		if (send_piece(e, p) < 0)
			return; /* on_drained() comes back */
		if (p->sent < p->bytes.len)
			continue;
		e->first = p->next;
		if (e->first == NULL)
			e->last = NULL;
		buf_reset(&p->bytes);
		mem_free(p);
	}
}

static void on_drained(void *arg)
{
	pump(arg);
}

static void post(struct end_local *e, const struct buf *bytes)
{
	struct parcel *p = mem_zalloc(sizeof(*p));

	buf_add(&p->bytes, bytes->data, bytes->len);
	if (e->last == NULL)
		e->first = p;
	else
		e->last->next = p;
	e->last = p;
	pump(e);
}

static void post_message(struct end_local *e, const ProtobufCMessage *body)
{
	Local__Request m = LOCAL__REQUEST__INIT;
	struct buf b = { 0 };

	message_wrap(&m.base, body);
	buf_reserve(&b, local__request__get_packed_size(&m));
	b.len = local__request__pack(&m, (uint8_t *)b.data);
	post(e, &b);
	buf_reset(&b);
}

/* --- pages --- */

static void post_page(struct end_local *e)
{
	struct buf wire = { 0 };

	if (!e->up)
		return; /* its connection was a token, which ends with it */
	local_page_pack(&wire, &e->page);
	post(e, &wire);
	buf_reset(&wire);
	e->sent = true;
}

static void drop_page(struct end_local *e)
{
	page_drop(&e->page);
	e->has = false;
	e->sent = false;
}

static void local_begin(struct end *base, const char *token)
{
	UNUSED(token); /* it is that of the connection */
	drop_page(self_of(base));
	self_of(base)->number = 0;
}

static void local_extend(struct end *base, int64_t deadline_boot_ms)
{
	UNUSED(base);
	UNUSED(deadline_boot_ms); /* there is no lease */
}

static bool local_is_free(const struct end *base)
{
	const struct end_local *e = (const struct end_local *)base;

	return e->up && !e->has;
}

static void local_write(struct end *base, struct zone_page *p, bool more)
{
	struct end_local *e = self_of(base);

	UNUSED(more);
	CHECK(local_is_free(base));
	e->page = *p;
	*p = (struct zone_page){ 0 };
	e->page.number = e->number + 1;
	e->has = true;
	post_page(e);
}

static void local_retry(struct end *base)
{
	struct end_local *e = self_of(base);

	if (e->has && !e->sent)
		post_page(e);
}

/* --- answers --- */

static void take_state(struct end_local *e, const Local__State *s)
{
	e->up = true;
	e->up_ms = clock_boot_ms();
	e->base.hooks.up(e->base.hooks.arg, s->token);
}

static void take_held(struct end_local *e, const Local__State *m)
{
	struct end_state s = { .lineage = m->lineage,
			       .revision = m->revision,
			       .complete = true,
			       .mapping = m->mapping };
	const char **fields = mem_zalloc((2 * m->n_cursors + 1) * sizeof(*fields));
	size_t i;

	for (i = 0; i < m->n_cursors; i++) {
		fields[i] = m->cursors[i]->field;
		fields[m->n_cursors + i] = m->cursors[i]->value;
	}
	s.n_cursors = m->n_cursors;
	s.cursor_fields = fields;
	s.cursor_values = fields + m->n_cursors;
	e->base.hooks.state(e->base.hooks.arg, &s);
	mem_free(fields);
}

static void take_names(struct end_local *e, const Local__NamesPage *p)
{
	struct end_name *v = mem_zalloc((p->n_names + 1) * sizeof(*v));
	size_t i;

	for (i = 0; i < p->n_names; i++) {
		const Local__Name *n = p->names[i];

		v[i] = (struct end_name){ .name = n->name,
					  .revision = n->revision,
					  .version = n->version,
					  .kind = n->kind,
					  .id = n->id,
					  .updated_ms = n->updated_ms };
		if (n->hash.len == HASH_BYTES)
			memcpy(v[i].hash.b, n->hash.data, HASH_BYTES);
	}
	e->base.hooks.names(e->base.hooks.arg, v, p->n_names, p->last);
	mem_free(v);
}

static void taken(struct end_local *e)
{
	struct zone_page p = e->page;

	e->number = p.number;
	e->page = (struct zone_page){ 0 };
	drop_page(e);
	e->base.hooks.written(e->base.hooks.arg, &p, false);
	page_drop(&p);
}

static void take_written(struct end_local *e, const Local__Written *m)
{
	struct err why = { 0 };

	e->sent = false;
	if (m->outcome == LOCAL__OUTCOME__OK) {
		taken(e);
	} else if (m->outcome == LOCAL__OUTCOME__LOST) {
		(void)err_set(&why, ERR_LOST, "the cache is not where the page begins");
		drop_page(e);
		e->base.hooks.over(e->base.hooks.arg, &why);
	} else {
		(void)err_set(&why, ERR_FULL, "the cache: %s", m->error);
		e->base.hooks.trouble(e->base.hooks.arg, &why);
	}
}

static int on_message(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	struct end_local *l = arg;
	Local__Answer *m = local__answer__unpack(NULL, n, body);
	int rc = 0;

	if (m == NULL)
		return err_set(e, ERR_PROTO, "the cache answered something unknown");
	if (m->body_case == LOCAL__ANSWER__BODY_STATE && !l->up)
		take_state(l, m->state);
	else if (m->body_case == LOCAL__ANSWER__BODY_STATE)
		take_held(l, m->state);
	else if (m->body_case == LOCAL__ANSWER__BODY_NAMES && l->up)
		take_names(l, m->names);
	else if (m->body_case == LOCAL__ANSWER__BODY_WRITTEN && l->sent)
		take_written(l, m->written);
	else
		rc = err_set(e, ERR_PROTO, "the cache answered out of order");
	local__answer__free_unpacked(m, NULL);
	return rc;
}

/* --- the connection --- */

static void connect_later(struct end_local *e);

static void lose(struct end_local *e, const struct err *why)
{
	chan_close(&e->chan);
	drop_parcels(e);
	/* A cache that hangs up on what it is sent would be sent it again at once, for ever. */
	if (e->up && clock_boot_ms() - e->up_ms >= RETRY_LONGEST_MS)
		backoff_reset(&e->backoff);
	e->up = false;
	drop_page(e);
	e->base.hooks.down(e->base.hooks.arg, why);
	connect_later(e);
}

static void on_closed(void *arg, const struct err *why)
{
	lose(arg, why);
}

static void say_hello(struct end_local *e)
{
	Local__Hello hello = LOCAL__HELLO__INIT;

	post_message(e, &hello.base);
}

/* On a Unix socket a connect is done at once, or refused. */
static int connect_now(struct end_local *e, struct err *why)
{
	const struct chan_hooks h = { e, on_message, on_closed, on_drained };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	str_copy(a.sun_path, sizeof(a.sun_path), e->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(why, errno, "socket");
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		int rc = err_errno(why, errno, "connect to the cache");

		(void)close(fd);
		return rc;
	}
	return chan_open(&e->chan, e->loop, fd, &h, why);
}

static void on_retry(uv_timer_t *t)
{
	struct end_local *e = t->data;
	struct err why = { 0 };

	if (connect_now(e, &why) < 0) {
		e->base.hooks.down(e->base.hooks.arg, &why);
		connect_later(e);
		return;
	}
	say_hello(e);
}

static void connect_later(struct end_local *e)
{
	CHECK(uv_timer_start(&e->retry, on_retry, (uint64_t)backoff_next_ms(&e->backoff, 0), 0) ==
	      0);
}

/* --- questions --- */

static bool local_is_up(const struct end *e)
{
	return ((const struct end_local *)e)->up;
}

static void local_ask_state(struct end *base)
{
	if (self_of(base)->up)
		say_hello(self_of(base));
}

static void local_ask_names(struct end *base, bool old, uint64_t after)
{
	struct end_local *e = self_of(base);
	Local__Names names = LOCAL__NAMES__INIT;

	if (!e->up)
		return;
	/* An unfinished refill sets nothing aside here: the old generation is still there. */
	names.after = old ? UINT64_MAX : after;
	post_message(e, &names.base);
}

static bool local_ask_suspects(struct end *e)
{
	UNUSED(e);
	return false; /* the cache proves its own records, and rebuilds a store that fails */
}

static void local_fail(struct end *base, const struct err *why)
{
	if (self_of(base)->chan != NULL)
		lose(self_of(base), why);
}

static void on_timer_closed(uv_handle_t *h)
{
	struct end_local *e = h->data;

	mem_free(e->path);
	mem_free(e);
}

static void local_close(struct end *base)
{
	struct end_local *e = self_of(base);

	chan_close(&e->chan);
	drop_parcels(e);
	drop_page(e);
	uv_close((uv_handle_t *)&e->retry, on_timer_closed);
}

int end_local_open(struct end **out, struct worker *w, const Ipc__FetcherConfig *c,
		   const struct end_hooks *h, struct err *e)
{
	static const struct end_ops ops = { local_is_up,   local_ask_state,    local_ask_names,
					    NULL,	   local_ask_suspects, NULL,
					    local_fail,	   local_begin,	       local_extend,
					    local_is_free, local_write,	       local_retry,
					    local_close };
	struct end_local *l;
	struct sockaddr_un a;

	if (strlen(c->local_socket) >= sizeof(a.sun_path))
		return err_set(e, ERR_CONFIG, "the path of a socket has at most %zu bytes: %s",
			       sizeof(a.sun_path) - 1, c->local_socket);
	l = mem_zalloc(sizeof(*l));
	l->base.ops = &ops;
	l->base.hooks = *h;
	l->loop = worker_loop(w);
	l->path = mem_strdup(c->local_socket);
	l->backoff = (struct backoff){ RETRY_FIRST_MS, RETRY_LONGEST_MS, 0 };
	CHECK(uv_timer_init(l->loop, &l->retry) == 0);
	l->retry.data = l;
	CHECK(uv_timer_start(&l->retry, on_retry, 0, 0) == 0);
	*out = &l->base;
	return 0;
}
