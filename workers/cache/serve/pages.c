/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/message/message.h"
#include "workers/cache/serve/client.h"

/* An answer that goes out as the client reads: its page holds a large event. */
struct page_stream {
	struct page_stream *next;
	struct page_out *page;	   /* owned; NULL: it is not begun */
	Gateway__Request *request; /* owned; of one that is not begun */
	uint64_t id;
	char *next_name;       /* owned; of a List */
	bool more;	       /* further replies follow the last chunk: a Watch */
	Gateway__Position *at; /* owned; NULL: none is told */
	unsigned left_out;
	size_t event;  /* of the page */
	size_t offset; /* in its payload */
};

/* --- replies --- */

void tell_position(struct serve *s, struct store_view *v, struct told *out)
{
	store_view_told(v, &out->at);
	digest_text(out->digest, &out->at.digest);
	gateway__position__init(&out->p);
	out->p.lineage = out->at.lineage;
	out->p.revision = out->at.revision;
	out->p.count = out->at.digest.count;
	out->p.digest = out->digest;
	out->p.proven = s->upstream->ops->proven(s->upstream);
}

void count_unread(struct client *c)
{
	size_t now = chan_queued_bytes(c->chan);

	c->s->unread_bytes += now - c->counted;
	c->counted = now;
}

static bool is_unread_much(const struct serve *s)
{
	return s->unread_bytes >= SERVE_UNREAD_ALL;
}

size_t pump_bytes(const struct client *c)
{
	return is_unread_much(c->s) ? SERVE_PAGE_BYTES : SERVE_PUMP_BYTES;
}

int send_reply(struct client *c, const Gateway__Reply *m)
{
	size_t max = is_unread_much(c->s) ? SERVE_PAGE_BYTES : SERVE_UNREAD_BYTES;
	int rc;

	if (chan_queued_bytes(c->chan) > max)
		return ERR_BUSY;
	rc = chan_send(c->chan, &m->base);
	count_unread(c);
	return rc;
}

int send_simple(struct client *c, uint64_t id, Gateway__Code code, const char *error)
{
	Gateway__Reply m = GATEWAY__REPLY__INIT;

	m.id = id;
	m.code = code;
	m.error = (char *)(uintptr_t)error;
	return send_reply(c, &m);
}

struct page_out *page_new(const struct client *c, struct store_view *v, bool payloads, size_t limit)
{
	struct page_out *p = mem_zalloc(sizeof(*p));

	p->events = mem_zalloc((SERVE_PAGE_EVENTS + 1) * sizeof(*p->events));
	p->list = mem_zalloc((SERVE_PAGE_EVENTS + 1) * sizeof(Gateway__Event *));
	p->payloads = payloads;
	p->may_be_large = c->turn;
	p->limit = limit == 0 ? SERVE_PAGE_EVENTS : MIN(limit, SERVE_PAGE_EVENTS);
	p->tombstones = true;
	store_view_limit(v, payloads && !c->turn ? SERVE_PAGE_BYTES : SIZE_MAX);
	return p;
}

int page_result(const struct page_out *p, int rc)
{
	return rc == PAGE_LARGE && p->n > 0 ? PAGE_FULL : rc;
}

void page_free(struct page_out *p)
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

int add_entry(void *arg, const struct store_entry *entry)
{
	struct page_out *p = arg;
	struct buf *t = &p->texts[p->n];
	Gateway__Event *ev = &p->events[p->n];
	size_t payload = p->payloads ? entry->payload_len : 0;
	size_t bytes = payload + entry->id_len + entry->ref_len + entry->version_len;

	if (entry->action == ACTION_UNDEPLOY && !p->tombstones)
		return 0;
	if (p->n >= p->limit ||
	    (p->n > 0 && (p->bytes + bytes > SERVE_PAGE_BYTES || p->read > SERVE_READ_BYTES)))
		return PAGE_FULL;
	if (bytes > SERVE_PAGE_BYTES && !p->may_be_large)
		return PAGE_LARGE;
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
	p->bytes += bytes;
	p->read += entry->payload_len;
	p->last = entry->revision;
	return 0;
}

/* --- large answers --- */

void get_in_line(struct client *c)
{
	if (c->place == 0)
		c->place = ++c->s->last_place;
	if (c->s->large_bytes < SERVE_LARGE_ALL)
		CHECK(uv_idle_start(&c->s->next_turn, c->s->on_turn) == 0);
}

static void large_ended(struct serve *s, size_t bytes)
{
	s->large_bytes -= bytes;
	if (s->large_bytes < SERVE_LARGE_ALL)
		CHECK(uv_idle_start(&s->next_turn, s->on_turn) == 0);
}

static void stream_pop(struct client *c)
{
	struct page_stream *t = c->streams;

	c->streams = t->next;
	c->n_streams--;
	if (t->page != NULL)
		large_ended(c->s, t->page->bytes);
	page_free(t->page);
	message_free(t->request);
	message_free(t->at);
	mem_free(t->next_name);
	mem_free(t);
}

void drop_streams(struct client *c)
{
	while (c->streams != NULL)
		stream_pop(c);
}

static int send_chunk(struct client *c, struct page_stream *t)
{
	Gateway__Event ev = *t->page->list[t->event];
	Gateway__Event *list = &ev;
	Gateway__Position p;
	Gateway__Reply m = GATEWAY__REPLY__INIT;
	size_t left = ev.payload.len - t->offset;

	ev.payload.data += t->offset;
	ev.payload.len = MIN(left, SERVE_PAGE_BYTES);
	t->offset += ev.payload.len;
	if (ev.payload.len == left) {
		t->event++;
		t->offset = 0;
	}
	m.id = t->id;
	m.events = &list;
	m.n_events = 1;
	m.next = t->next_name;
	m.left_out = t->left_out;
	m.more = t->more || t->event < t->page->n;
	if (t->at != NULL) {
		p = *t->at;
		if (t->event < t->page->n) /* up to what is there whole */
			p.revision = t->event == 0 ? t->page->after
						   : t->page->list[t->event - 1]->revision;
		m.position = &p;
	}
	return send_reply(c, &m);
}

int pump_streams(struct client *c)
{
	int rc = 0;

	while (rc == 0 && c->streams != NULL && chan_queued_bytes(c->chan) < pump_bytes(c)) {
		struct page_stream *t = c->streams;

		if (t->page == NULL) {
			get_in_line(c);
			break;
		}
		rc = send_chunk(c, t);
		if (t->event == t->page->n)
			stream_pop(c);
	}
	return rc;
}

/*
 * A page over the size goes in chunks, which must not pile up in the channel's queue. It was
 * copied out of the store, so it was this client's turn: each is begun alone.
 */
static int begin_stream(struct client *c, struct page_out *p, const Gateway__Reply *m)
{
	struct page_stream *t = mem_zalloc(sizeof(*t));

	CHECK(c->turn);
	c->turn = false;
	c->s->large_bytes += p->bytes;
	t->page = p;
	t->id = m->id;
	t->more = m->more;
	t->next_name = mem_strdup(m->next);
	t->left_out = m->left_out;
	t->at = message_copy(m->position);
	t->next = c->streams; /* before those that are not begun */
	c->streams = t;
	c->n_streams++;
	return pump_streams(c);
}

int send_later(struct client *c, const Gateway__Request *req)
{
	struct page_stream **at = &c->streams;
	struct page_stream *t;

	if (c->n_streams == SERVE_STREAMS_MAX)
		return send_simple(c, req->id, GATEWAY__CODE__BUSY, "too many large answers");
	t = mem_zalloc(sizeof(*t));
	t->request = message_copy(req);
	while (*at != NULL)
		at = &(*at)->next;
	*at = t;
	if (c->n_streams++ > 0)
		return 0; /* behind the one under way */
	return pump_streams(c);
}

Gateway__Request *take_later(struct client *c)
{
	struct page_stream *t = c->streams;
	Gateway__Request *req;

	if (t == NULL || t->page != NULL)
		return NULL;
	req = t->request;
	t->request = NULL;
	stream_pop(c);
	return req;
}

int send_page(struct client *c, struct page_out *p, Gateway__Reply *m)
{
	int rc;

	if (p->bytes > SERVE_PAGE_BYTES)
		return begin_stream(c, p, m);
	m->events = p->list;
	m->n_events = p->n;
	rc = send_reply(c, m);
	page_free(p);
	return rc;
}

/* --- the end of a client --- */

static int peer_pid(const struct client *c)
{
	struct ucred cred = { 0 };
	socklen_t n = sizeof(cred);

	(void)getsockopt(chan_fd(c->chan), SOL_SOCKET, SO_PEERCRED, &cred, &n);
	return cred.pid;
}

void client_part(struct client *c, Gateway__Code code, const char *why)
{
	Gateway__Reply m = GATEWAY__REPLY__INIT;

	if (c->parting)
		return;
	log_warn(EV("client_cut_off"), KV("pid", peer_pid(c)), KV("reason", why));
	c->parting = true;
	c->until_ms = clock_boot_ms() + SERVE_LINGER_MS;
	c->n = 0;
	c->place = 0;
	c->idle = 0;
	drop_streams(c);
	chan_mute(c->chan);
	m.code = code;
	m.error = (char *)(uintptr_t)why;
	if (chan_send(c->chan, &m.base) < 0)
		c->until_ms = 0; /* it cannot be told */
}

bool client_end(struct client *c, int rc)
{
	if (rc == ERR_BUSY)
		client_part(c, GATEWAY__CODE__SLOW,
			    "answers wait to be read, and more are asked for");
	return c->parting;
}
