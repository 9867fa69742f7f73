/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/serve.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/store/reader.h"
#include "gateway.pb-c.h"

#define WATCH_QUEUE_BYTES (1U << 20) /* beyond it a watcher is pumped when it has read */

struct pending { /* a watch or a wait that is not over */
	uint64_t id;
	bool is_watch;
	bool payloads;
	char lineage[STORE_LINEAGE_BYTES]; /* "": any */
	uint64_t revision;		   /* watch: sent so far; wait: wanted */
	int64_t until_ms;		   /* wait: boot time */
};

struct client {
	struct serve *s;
	struct chan *chan;
	struct pending *pending; /* owned array */
	size_t n, cap;
	struct stream *streams; /* owned, in the order of their requests */
	unsigned n_streams;
	int64_t stalled_ms; /* boot time at which a client that reads none of them is cut off */
	struct client *next;
};

struct serve {
	struct worker *w;
	struct store *store;
	struct upstream *upstream;
	uv_pipe_t listener;
	uv_timer_t timer; /* of the waits */
	struct client *clients;
	unsigned n;
	unsigned handles;
};

/* A reply in the making: events and the strings they point to. */
struct page_out {
	Gateway__Reply m;
	Gateway__Event *events;
	Gateway__Event **list;
	size_t n, cap, bytes;
	struct buf texts[SERVE_PAGE_EVENTS + 1]; /* id, ref, version and payload of each */
	bool payloads;
	size_t limit;
	bool tombstones;
	uint64_t last; /* revision */
};

/* An answer that goes out as the client reads: its page holds a large event. */
struct stream {
	struct stream *next;
	struct page_out *page; /* owned */
	uint64_t id;
	char *next_name; /* owned; of a List */
	bool more;	 /* further replies follow the last chunk: a Watch */
	bool has_position;
	bool proven;
	struct store_position at;
	char digest[36];
	size_t event;  /* of the page */
	size_t offset; /* in its payload */
};

static void drop(struct client *c);
static void arm(struct serve *s);

/* --- replies --- */

static void position_of(struct store_position *at, char *digest, Gateway__Position *p)
{
	gateway__position__init(p);
	p->lineage = at->lineage;
	p->revision = at->revision;
	p->count = at->digest.count;
	p->digest = digest;
}

static void fill_position(struct serve *s, struct store_view *v, Gateway__Position *p,
			  char digest[36], struct store_position *at)
{
	store_view_position(v, at);
	(void)snprintf(digest, 36, "%08x%08x%08x%08x", at->digest.lane[0], at->digest.lane[1],
		       at->digest.lane[2], at->digest.lane[3]);
	position_of(at, digest, p);
	p->proven = s->upstream->ops->proven(s->upstream);
}

static int send_simple(struct client *c, uint64_t id, Gateway__Code code, const char *error)
{
	Gateway__Reply m;

	gateway__reply__init(&m);
	m.id = id;
	m.code = code;
	m.error = (char *)(uintptr_t)error;
	return chan_send(c->chan, &m.base);
}

static struct page_out *page_new(bool payloads, size_t limit)
{
	struct page_out *p = mem_zalloc(sizeof(*p));

	p->events = mem_zalloc((SERVE_PAGE_EVENTS + 1) * sizeof(*p->events));
	p->list = mem_zalloc((SERVE_PAGE_EVENTS + 1) * sizeof(Gateway__Event *));
	p->payloads = payloads;
	p->limit = limit == 0 ? SERVE_PAGE_EVENTS : MIN(limit, SERVE_PAGE_EVENTS);
	p->tombstones = true;
	return p;
}

static void page_free(struct page_out *p)
{
	size_t i;

	if (p == NULL)
		return;
	for (i = 0; i < p->n; i++)
		buf_reset(&p->texts[i]);
	mem_free(p->events);
	mem_free(p->list);
	mem_free(p);
}

#define PAGE_FULL 1 /* what store_each_fn returns to stop */

static int add_entry(void *arg, const struct store_entry *entry)
{
	struct page_out *p = arg;
	struct buf *t = &p->texts[p->n];
	Gateway__Event *ev = &p->events[p->n];
	size_t payload = p->payloads ? entry->payload_len : 0;

	if (entry->action == ACTION_UNDEPLOY && !p->tombstones)
		return 0;
	if (p->n >= p->limit || (p->n > 0 && p->bytes + payload > SERVE_PAGE_BYTES))
		return PAGE_FULL;
	buf_add(t, entry->id, entry->id_len);
	buf_addc(t, '\0');
	buf_add(t, entry->ref, entry->ref_len);
	buf_addc(t, '\0');
	buf_add(t, entry->version, entry->version_len);
	buf_addc(t, '\0');
	buf_add(t, entry->payload, payload);
	gateway__event__init(ev);
	ev->kind = (char *)(uintptr_t)kind_name(entry->kind);
	ev->id = t->data;
	ev->ref = t->data + entry->id_len + 1;
	ev->version = ev->ref + entry->ref_len + 1;
	ev->payload.data = (uint8_t *)ev->version + entry->version_len + 1;
	ev->payload.len = payload;
	ev->payload_bytes = entry->payload_len;
	ev->deployed = entry->action == ACTION_DEPLOY;
	ev->revision = entry->revision;
	ev->updated_ms = entry->updated_ms;
	p->list[p->n++] = ev;
	p->bytes += payload;
	p->last = entry->revision;
	return 0;
}

/* --- large answers --- */

static void stream_pop(struct client *c)
{
	struct stream *t = c->streams;

	c->streams = t->next;
	c->n_streams--;
	page_free(t->page);
	mem_free(t->next_name);
	mem_free(t);
}

static int send_chunk(struct client *c, struct stream *t)
{
	Gateway__Event ev = *t->page->list[t->event];
	Gateway__Event *list = &ev;
	Gateway__Position p;
	Gateway__Reply m;
	size_t left = ev.payload.len - t->offset;

	ev.payload.data += t->offset;
	ev.payload.len = MIN(left, SERVE_PAGE_BYTES);
	t->offset += ev.payload.len;
	if (ev.payload.len == left) {
		t->event++;
		t->offset = 0;
	}
	gateway__reply__init(&m);
	m.id = t->id;
	m.events = &list;
	m.n_events = 1;
	m.next = t->next_name;
	m.more = t->more || t->event < t->page->n;
	if (t->has_position) {
		position_of(&t->at, t->digest, &p);
		p.proven = t->proven;
		m.position = &p;
	}
	return chan_send(c->chan, &m.base);
}

/* Sends on as long as the client reads; on_drained() comes back. */
static int pump_streams(struct client *c)
{
	int rc = 0;

	c->stalled_ms = clock_boot_ms() + SERVE_STALL_MS;
	while (rc == 0 && c->streams != NULL && chan_queued_bytes(c->chan) < WATCH_QUEUE_BYTES) {
		struct stream *t = c->streams;

		rc = send_chunk(c, t);
		if (t->event == t->page->n)
			stream_pop(c);
	}
	return rc;
}

static bool is_stalled(const struct client *c)
{
	return c->streams != NULL && clock_boot_ms() >= c->stalled_ms;
}

/* A page over the size goes in chunks, which must not pile up in the channel's queue. */
static int begin_stream(struct client *c, struct page_out *p, const Gateway__Reply *m)
{
	struct stream **at = &c->streams;
	struct stream *t;

	if (c->n_streams == SERVE_STREAMS_MAX) {
		page_free(p);
		return send_simple(c, m->id, GATEWAY__CODE__BUSY, "too many large answers");
	}
	t = mem_zalloc(sizeof(*t));
	t->page = p;
	t->id = m->id;
	t->more = m->more;
	t->next_name = mem_strdup(m->next);
	if (m->position != NULL) {
		t->has_position = true;
		str_copy(t->at.lineage, sizeof(t->at.lineage), m->position->lineage);
		t->at.revision = m->position->revision;
		t->at.digest.count = m->position->count;
		t->proven = m->position->proven;
		str_copy(t->digest, sizeof(t->digest), m->position->digest);
	}
	while (*at != NULL)
		at = &(*at)->next;
	*at = t;
	if (c->n_streams++ > 0)
		return 0; /* behind the one under way */
	return pump_streams(c);
}

/* Takes the page. */
static int send_page(struct client *c, struct page_out *p, Gateway__Reply *m)
{
	int rc;

	if (p->bytes > SERVE_PAGE_BYTES) {
		rc = begin_stream(c, p, m);
		arm(c->s);
		return rc;
	}
	m->events = p->list;
	m->n_events = p->n;
	rc = chan_send(c->chan, &m->base);
	page_free(p);
	return rc;
}

/* --- requests --- */

static int on_get(struct client *c, struct store_view *v, const Gateway__Request *req)
{
	struct page_out *p;
	Gateway__Reply m;
	enum kind k;
	int rc;

	if (!kind_parse(req->get->kind, strlen(req->get->kind), &k))
		return send_simple(c, req->id, GATEWAY__CODE__BAD_REQUEST, "there is no such type");
	p = page_new(true, 0);
	p->tombstones = req->get->tombstones;
	rc = store_get(v, k, req->get->entity_id, add_entry, p, NULL);
	gateway__reply__init(&m);
	m.id = req->id;
	if (rc < 0 && rc != ERR_NOTFOUND)
		rc = send_simple(c, req->id, GATEWAY__CODE__UNAVAILABLE, "the record is damaged");
	else if (rc == PAGE_FULL)
		rc = send_simple(c, req->id, GATEWAY__CODE__BUSY,
				 "under several references, too much for one answer: list it");
	else if (p->n == 0)
		rc = send_simple(c, req->id, GATEWAY__CODE__NOT_FOUND, "not deployed here");
	else
		return send_page(c, p, &m);
	page_free(p);
	return rc;
}

static bool from_hex(const char *s, struct buf *out)
{
	size_t n = strlen(s);
	size_t i;

	if (n % 2 != 0 || n > 2 * 1024 || strspn(s, "0123456789abcdef") != n)
		return false;
	for (i = 0; i < n; i += 2) {
		unsigned v = 0;

		(void)sscanf(s + i, "%2x", &v);
		buf_addc(out, (char)v);
	}
	return true;
}

static int on_list(struct client *c, struct store_view *v, const Gateway__Request *req)
{
	const Gateway__List *l = req->list;
	enum kind k = KIND__COUNT;
	struct buf cursor = { 0 };
	struct page_out *p;
	Gateway__Reply m;
	char *next = NULL;
	int rc;

	if ((l->kind[0] != '\0' && !kind_parse(l->kind, strlen(l->kind), &k)) ||
	    !from_hex(l->after, &cursor)) {
		buf_reset(&cursor);
		return send_simple(c, req->id, GATEWAY__CODE__BAD_REQUEST,
				   "there is no such type, or no such place to go on from");
	}
	p = page_new(l->payloads, l->limit);
	p->tombstones = false;
	if (l->ref[0] != '\0')
		rc = store_children(v, l->ref, k, &cursor, add_entry, p);
	else
		rc = store_list(v, k, &cursor, add_entry, p);
	gateway__reply__init(&m);
	m.id = req->id;
	if (rc == PAGE_FULL) {
		next = mem_alloc(2 * cursor.len + 1);
		str_hex(next, cursor.data, cursor.len);
		m.next = next;
	}
	if (rc < 0) {
		page_free(p);
		rc = send_simple(c, req->id, GATEWAY__CODE__UNAVAILABLE, "a record is damaged");
	} else {
		rc = send_page(c, p, &m);
	}
	mem_free(next);
	buf_reset(&cursor);
	return rc;
}

static int on_head(struct client *c, struct store_view *v, const Gateway__Request *req)
{
	struct store_position at;
	Gateway__Position p;
	Gateway__Reply m;
	char digest[36];

	fill_position(c->s, v, &p, digest, &at);
	gateway__reply__init(&m);
	m.id = req->id;
	m.position = &p;
	return chan_send(c->chan, &m.base);
}

/* "<lineage>:<revision>" or a bare revision. */
static bool parse_position(const char *s, struct pending *p)
{
	const char *colon = strrchr(s, ':');
	const char *number = colon == NULL ? s : colon + 1;

	if (colon != NULL && (size_t)(colon - s) >= sizeof(p->lineage))
		return false;
	if (colon != NULL) {
		memcpy(p->lineage, s, (size_t)(colon - s));
		p->lineage[colon - s] = '\0';
	}
	return str_to_u64(number, strlen(number), &p->revision);
}

static int remember(struct client *c, const struct pending *p)
{
	if (c->n >= SERVE_WAITS_MAX)
		return send_simple(c, p->id, GATEWAY__CODE__BUSY, "too many watches and waits");
	c->pending = mem_grow(c->pending, &c->cap, c->n + 1, sizeof(*c->pending));
	c->pending[c->n++] = *p;
	return 0;
}

static void forget(struct client *c, size_t i)
{
	c->pending[i] = c->pending[--c->n];
}

#define STILL_PENDING 1 /* neither answered nor failed */

static int reply_reached(struct client *c, struct store_view *v, uint64_t id, Gateway__Code code)
{
	struct store_position at;
	Gateway__Position p;
	Gateway__Reply m;
	char digest[36];

	fill_position(c->s, v, &p, digest, &at);
	gateway__reply__init(&m);
	m.id = id;
	m.code = code;
	m.position = &p;
	m.error = (char *)(uintptr_t)(code == GATEWAY__CODE__RESET
					      ? "the history is another, or begins later"
				      : code == GATEWAY__CODE__TIMEOUT ? "not reached in time"
								       : "");
	return chan_send(c->chan, &m.base);
}

static int check_wait(struct client *c, struct store_view *v, const struct pending *p)
{
	struct store_position at;

	store_view_position(v, &at);
	if (p->lineage[0] != '\0' && at.lineage[0] != '\0' && !str_equal(p->lineage, at.lineage))
		return reply_reached(c, v, p->id, GATEWAY__CODE__RESET);
	if (at.lineage[0] != '\0' && at.revision >= p->revision)
		return reply_reached(c, v, p->id, GATEWAY__CODE__OK);
	if (clock_boot_ms() >= p->until_ms)
		return reply_reached(c, v, p->id, GATEWAY__CODE__TIMEOUT);
	return STILL_PENDING;
}

/* Sends what lies behind the watcher's revision, as long as it reads. */
static int pump_watch(struct client *c, struct store_view *v, struct pending *p)
{
	struct store_position at;
	int rc = 0;

	store_view_position(v, &at);
	if (at.lineage[0] == '\0')
		return STILL_PENDING;
	if (p->lineage[0] == '\0')
		str_copy(p->lineage, sizeof(p->lineage), at.lineage);
	if (!str_equal(p->lineage, at.lineage) || p->revision < store_history_start(v) ||
	    p->revision > at.revision)
		return reply_reached(c, v, p->id, GATEWAY__CODE__RESET);
	while (rc == 0 && p->revision < at.revision && c->streams == NULL &&
	       chan_queued_bytes(c->chan) < WATCH_QUEUE_BYTES) {
		struct page_out *page = page_new(p->payloads, 0);
		Gateway__Position pos;
		Gateway__Reply m;
		char digest[36];
		int full = store_since(v, p->revision, add_entry, page);

		fill_position(c->s, v, &pos, digest, &at);
		gateway__reply__init(&m);
		m.id = p->id;
		m.more = true;
		m.position = &pos;
		p->revision = full == PAGE_FULL ? page->last : at.revision;
		pos.revision = p->revision; /* where a watcher may go on from */
		if (full >= 0 && page->n > 0) {
			rc = send_page(c, page, &m);
		} else {
			rc = full < 0 ? ERR_DAMAGED : 0;
			page_free(page);
		}
	}
	return rc < 0 ? rc : STILL_PENDING;
}

static int on_watch(struct client *c, struct store_view *v, const Gateway__Request *req)
{
	struct pending p = { .id = req->id, .is_watch = true, .payloads = req->watch->payloads };
	struct store_position at;
	int rc;

	store_view_position(v, &at);
	p.revision = at.revision;
	str_copy(p.lineage, sizeof(p.lineage), at.lineage);
	if (req->watch->from[0] != '\0' && !parse_position(req->watch->from, &p))
		return send_simple(c, req->id, GATEWAY__CODE__BAD_REQUEST, "this is no position");
	rc = pump_watch(c, v, &p);
	return rc == STILL_PENDING ? remember(c, &p) : rc;
}

static int on_wait(struct client *c, struct store_view *v, const Gateway__Request *req)
{
	uint32_t ms = MIN(req->wait->timeout_ms, SERVE_WAIT_MAX_MS);
	struct pending p = { .id = req->id, .until_ms = clock_boot_ms() + ms };
	int rc;

	if (!parse_position(req->wait->position, &p))
		return send_simple(c, req->id, GATEWAY__CODE__BAD_REQUEST, "this is no position");
	rc = check_wait(c, v, &p);
	if (rc == STILL_PENDING)
		rc = remember(c, &p);
	arm(c->s);
	return rc;
}

static int answer(struct client *c, const Gateway__Request *req, struct err *e)
{
	struct store_view *v = NULL;
	int rc = store_view_open(c->s->store, &v, e);

	if (rc < 0)
		return send_simple(c, req->id, GATEWAY__CODE__UNAVAILABLE, e->text);
	switch (req->body_case) {
	case GATEWAY__REQUEST__BODY_GET:
		rc = on_get(c, v, req);
		break;
	case GATEWAY__REQUEST__BODY_LIST:
		rc = on_list(c, v, req);
		break;
	case GATEWAY__REQUEST__BODY_WATCH:
		rc = on_watch(c, v, req);
		break;
	case GATEWAY__REQUEST__BODY_WAIT:
		rc = on_wait(c, v, req);
		break;
	case GATEWAY__REQUEST__BODY_HEAD:
		rc = on_head(c, v, req);
		break;
	default:
		rc = err_set(e, ERR_PROTO, "a request without a body");
		break;
	}
	store_view_close(&v);
	return rc;
}

static int on_message(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	struct client *c = arg;
	Gateway__Request *req = gateway__request__unpack(NULL, n, body);
	int rc;

	if (req == NULL)
		return err_set(e, ERR_PROTO, "%zu bytes that are no request", n);
	rc = route_strings_ok(&req->base)
		     ? answer(c, req, e)
		     : err_set(e, ERR_PROTO, "a request with text that is not UTF-8");
	gateway__request__free_unpacked(req, NULL);
	if (rc < 0 && e->text[0] == '\0')
		(void)err_set(e, rc, "the client does not read its answers");
	return rc;
}

/* --- waits and watches --- */

static int pump_client(struct client *c, struct store_view *v)
{
	size_t i = 0;

	while (i < c->n) {
		struct pending *p = &c->pending[i];
		int rc = p->is_watch ? pump_watch(c, v, p) : check_wait(c, v, p);

		if (rc < 0)
			return rc;
		if (rc == STILL_PENDING)
			i++;
		else
			forget(c, i);
	}
	return 0;
}

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

static void arm(struct serve *s)
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
	while (c->streams != NULL)
		stream_pop(c);
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
	struct chan_hooks hooks = { NULL, on_message, on_closed, on_drained };
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

int serve_open(struct serve **out, struct worker *w, int fd, struct store *st, struct upstream *u,
	       struct err *e)
{
	struct serve *s = mem_zalloc(sizeof(*s));
	int rc;

	s->w = w;
	s->store = st;
	s->upstream = u;
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
