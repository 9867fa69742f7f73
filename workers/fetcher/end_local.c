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
#include "common/worker/worker.h"
#include "feed.pb-c.h"
#include "workers/fetcher/end.h"

#define CHUNK_BYTES	 (FRAME_MAX_BYTES / 2)
#define RETRY_FIRST_MS	 50
#define RETRY_LONGEST_MS 2000

struct parcel { /* bytes of a request on their way */
	struct parcel *next;
	struct buf bytes;
	size_t sent;
};

struct open_op { /* of the open batch; strings are owned */
	Feed__Op m;
	char letter[2];
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
	size_t owed; /* answers to the writer */
	/* The open batch. */
	uint64_t number;
	struct open_op *ops;
	size_t n, cap, bytes;
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
	Feed__Request m;
	Feed__Chunk c;
	int rc;

	feed__request__init(&m);
	feed__chunk__init(&c);
	c.data.data = (uint8_t *)p->bytes.data + p->sent;
	c.data.len = n;
	c.last = p->sent + n == p->bytes.len;
	m.body_case = FEED__REQUEST__BODY_CHUNK;
	m.chunk = &c;
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

static void post_message(struct end_local *e, const Feed__Request *m)
{
	struct buf b = { 0 };
	size_t n = feed__request__get_packed_size(m);

	buf_reserve(&b, n);
	b.len = feed__request__pack(m, (uint8_t *)b.data);
	post(e, &b);
	buf_reset(&b);
}

/* --- batches --- */

static bool is_up(void *arg)
{
	const struct end_local *e = arg;

	return e->up;
}

static char *copy(const char *s)
{
	return mem_strdup(s == NULL ? "" : s);
}

static void set_payload(Feed__Op *m, const struct event *ev)
{
	m->payload.len = ev->payload.len;
	m->payload.data =
		mem_dup(ev->payload.data == NULL ? "" : ev->payload.data, ev->payload.len);
}

static void add(void *arg, const struct batch_head *h, const struct write_op *op)
{
	struct end_local *e = arg;
	struct open_op *o;
	const char *ref = op->ev == NULL ? op->ref : op->ev->ref_id;
	const char *id = "";
	enum kind k = KIND_API;

	e->number = h->number;
	e->ops = mem_grow(e->ops, &e->cap, e->n + 1, sizeof(*e->ops));
	o = &e->ops[e->n++];
	feed__op__init(&o->m);
	o->letter[0] = op->op;
	o->letter[1] = '\0';
	/* Names are made by us, with the reference that is given. */
	if (op->ev != NULL) {
		k = op->ev->kind;
		id = op->ev->id;
	} else if (op->name != NULL) {
		CHECK(event_name_parse(op->name, ref, &k, &id, NULL) == 0);
	}
	o->m.kind = copy(kind_name(k));
	o->m.id = copy(id);
	o->m.ref = copy(ref);
	o->m.version = copy(op->ev == NULL ? NULL : op->ev->version);
	o->m.field = copy(op->field);
	o->m.value = copy(op->value);
	o->m.number = op->number;
	if (op->hash != NULL) {
		o->m.hash.len = HASH_BYTES;
		o->m.hash.data = mem_dup(op->hash->b, HASH_BYTES);
	}
	if (op->ev != NULL)
		set_payload(&o->m, op->ev);
	e->bytes += 100 + strlen(o->m.id) + strlen(o->m.ref) + o->m.payload.len;
}

static size_t open_bytes(void *arg)
{
	const struct end_local *e = arg;

	return e->bytes;
}

static void drop_open(struct end_local *e)
{
	size_t i;

	for (i = 0; i < e->n; i++) {
		Feed__Op *m = &e->ops[i].m;

		mem_free(m->kind);
		mem_free(m->id);
		mem_free(m->ref);
		mem_free(m->version);
		mem_free(m->field);
		mem_free(m->value);
		mem_free(m->hash.data);
		mem_free(m->payload.data);
	}
	e->n = 0;
	e->bytes = 0;
}

static void finish(void *arg, struct buf *wire)
{
	struct end_local *e = arg;
	Feed__Op **list = mem_alloc((e->n + 1) * sizeof(*list));
	Feed__Request m;
	Feed__Batch b;
	size_t i;

	feed__request__init(&m);
	feed__batch__init(&b);
	for (i = 0; i < e->n; i++) {
		e->ops[i].m.op = e->ops[i].letter;
		list[i] = &e->ops[i].m;
	}
	b.number = e->number;
	b.ops = list;
	b.n_ops = e->n;
	m.body_case = FEED__REQUEST__BODY_BATCH;
	m.batch = &b;
	buf_reserve(wire, feed__request__get_packed_size(&m));
	wire->len = feed__request__pack(&m, (uint8_t *)wire->data);
	mem_free(list);
	drop_open(e);
}

static int send_batch(void *arg, const struct buf *wire)
{
	struct end_local *e = arg;

	if (!e->up)
		return ERR_STATE;
	post(e, wire);
	e->owed++;
	return 0;
}

static int ask(void *arg)
{
	struct end_local *e = arg;
	Feed__Request m;
	Feed__Last last;

	if (!e->up)
		return ERR_STATE;
	feed__request__init(&m);
	feed__last__init(&last);
	m.body_case = FEED__REQUEST__BODY_LAST;
	m.last = &last;
	post_message(e, &m);
	e->owed++;
	return 0;
}

/* --- answers --- */

static void take_state(struct end_local *e, const Feed__State *s)
{
	e->up = true;
	e->up_ms = clock_boot_ms();
	e->base.hooks.up(e->base.hooks.arg, s->token);
}

static void take_held(struct end_local *e, const Feed__State *m)
{
	struct end_state s = { .lineage = m->lineage, .complete = true, .mapping = m->mapping };
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

static void take_names(struct end_local *e, const Feed__NamesPage *p)
{
	struct end_name *v = mem_zalloc((p->n_names + 1) * sizeof(*v));
	size_t i;

	for (i = 0; i < p->n_names; i++) {
		const Feed__Name *n = p->names[i];

		v[i] = (struct end_name){ n->name,    n->revision, n->hash.data, n->hash.len,
					  n->version, n->kind,	   n->id,	 n->updated_ms };
	}
	e->base.hooks.names(e->base.hooks.arg, v, p->n_names, p->last);
	mem_free(v);
}

static void take_known(struct end_local *e, const Feed__Known *m)
{
	e->owed--;
	writer_known(e->base.writer, m->number, 0);
}

static void take_written(struct end_local *e, const Feed__Written *m)
{
	struct write_answer a = { .done = { .revision = m->revision,
					    .effective = m->effective,
					    .left = m->left,
					    .duplicate = m->outcome == FEED__OUTCOME__DUP } };

	if (m->outcome == FEED__OUTCOME__LOST)
		a.rc = err_set(&a.why, ERR_LOST, "the cache missed a batch");
	else if (m->outcome == FEED__OUTCOME__REFUSED)
		a.rc = err_set(&a.why, ERR_FULL, "the cache: %s", m->error);
	e->owed--;
	writer_answer(e->base.writer, &a);
}

static int on_message(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	struct end_local *l = arg;
	Feed__Answer *m = feed__answer__unpack(NULL, n, body);
	int rc = 0;

	if (m == NULL)
		return err_set(e, ERR_PROTO, "the cache answered something unknown");
	if (m->body_case == FEED__ANSWER__BODY_STATE && !l->up)
		take_state(l, m->state);
	else if (m->body_case == FEED__ANSWER__BODY_STATE)
		take_held(l, m->state);
	else if (m->body_case == FEED__ANSWER__BODY_NAMES && l->up)
		take_names(l, m->names);
	else if (m->body_case == FEED__ANSWER__BODY_WRITTEN && l->owed > 0)
		take_written(l, m->written);
	else if (m->body_case == FEED__ANSWER__BODY_KNOWN && l->owed > 0)
		take_known(l, m->known);
	else
		rc = err_set(e, ERR_PROTO, "the cache answered out of order");
	feed__answer__free_unpacked(m, NULL);
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
	for (; e->owed > 0; e->owed--)
		writer_missed(e->base.writer);
	e->base.hooks.down(e->base.hooks.arg, why);
	connect_later(e);
}

static void on_closed(void *arg, const struct err *why)
{
	lose(arg, why);
}

static void say_hello(struct end_local *e)
{
	Feed__Request m;
	Feed__Hello hello;

	feed__request__init(&m);
	feed__hello__init(&hello);
	m.body_case = FEED__REQUEST__BODY_HELLO;
	m.hello = &hello;
	post_message(e, &m);
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
	Feed__Request m;
	Feed__Names names;

	if (!e->up)
		return;
	feed__request__init(&m);
	feed__names__init(&names);
	/* An unfinished refill sets nothing aside here: the old generation is still there. */
	names.after = old ? UINT64_MAX : after;
	m.body_case = FEED__REQUEST__BODY_NAMES;
	m.names = &names;
	post_message(e, &m);
}

static bool local_ask_suspects(struct end *e)
{
	UNUSED(e);
	return false; /* the cache proves its own records, and rebuilds a store that fails */
}

static void local_settle_suspect(struct end *e, const char *name)
{
	UNUSED(e);
	UNUSED(name);
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
	mem_free(e->ops);
	mem_free(e);
}

static void local_close(struct end *base)
{
	struct end_local *e = self_of(base);

	chan_close(&e->chan);
	drop_parcels(e);
	drop_open(e);
	uv_close((uv_handle_t *)&e->retry, on_timer_closed);
}

int end_local_open(struct end **out, struct worker *w, const Ipc__FetcherConfig *c,
		   const struct end_hooks *h, struct err *e)
{
	static const struct end_ops ops = { local_is_up, local_ask_state,    local_ask_names,
					    NULL,	 local_ask_suspects, local_settle_suspect,
					    local_fail,	 local_close };
	struct end_local *l;
	struct sockaddr_un a;

	if (strlen(c->feed_socket) >= sizeof(a.sun_path))
		return err_set(e, ERR_CONFIG, "the path of a socket has at most %zu bytes: %s",
			       sizeof(a.sun_path) - 1, c->feed_socket);
	l = mem_zalloc(sizeof(*l));
	l->base.ops = &ops;
	l->base.hooks = *h;
	l->base.writer_end =
		(struct writer_end){ is_up, add, open_bytes, finish, send_batch, ask, l };
	l->loop = worker_loop(w);
	l->path = mem_strdup(c->feed_socket);
	l->backoff = (struct backoff){ RETRY_FIRST_MS, RETRY_LONGEST_MS, 0 };
	CHECK(uv_timer_init(l->loop, &l->retry) == 0);
	l->retry.data = l;
	CHECK(uv_timer_start(&l->retry, on_retry, 0, 0) == 0);
	*out = &l->base;
	return 0;
}
