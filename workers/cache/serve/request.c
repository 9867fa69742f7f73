/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/message/message.h"
#include "workers/cache/serve/client.h"

static int on_get(struct client *c, struct store_view *v, const Gateway__Request *req)
{
	struct page_out *p;
	Gateway__Reply m = GATEWAY__REPLY__INIT;
	enum kind k;
	int rc;

	if (!kind_parse(req->get->kind, strlen(req->get->kind), &k))
		return send_simple(c, req->id, GATEWAY__CODE__BAD_REQUEST, "there is no such type");
	p = page_new(c, v, true, 0);
	p->tombstones = req->get->tombstones;
	rc = page_result(p, store_get(v, k, req->get->entity_id, add_entry, p, NULL));
	m.id = req->id;
	m.left_out = store_view_left_out(v);
	if ((rc < 0 && rc != ERR_NOTFOUND) || (rc == 0 && m.left_out > 0 && p->n == 0))
		rc = send_simple(c, req->id, GATEWAY__CODE__UNAVAILABLE, "the record is damaged");
	else if (rc == PAGE_LARGE)
		rc = send_later(c, req);
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
	for (i = 0; i < n; i += 2)
		buf_addc(out, (char)(str_hex_digit(s[i]) << 4 | str_hex_digit(s[i + 1])));
	return true;
}

static int on_list(struct client *c, struct store_view *v, const Gateway__Request *req)
{
	const Gateway__List *l = req->list;
	enum kind k = KIND__COUNT;
	struct buf cursor = { 0 };
	struct page_out *p;
	Gateway__Reply m = GATEWAY__REPLY__INIT;
	char *next = NULL;
	int rc;

	if ((l->kind[0] != '\0' && !kind_parse(l->kind, strlen(l->kind), &k)) ||
	    !from_hex(l->after, &cursor)) {
		buf_reset(&cursor);
		return send_simple(c, req->id, GATEWAY__CODE__BAD_REQUEST,
				   "there is no such type, or no such place to go on from");
	}
	p = page_new(c, v, l->payloads, l->limit);
	p->tombstones = false;
	if (l->ref[0] != '\0')
		rc = store_children(v, l->ref, k, &cursor, add_entry, p);
	else
		rc = store_list(v, k, &cursor, add_entry, p);
	rc = page_result(p, rc);
	m.id = req->id;
	m.left_out = store_view_left_out(v);
	if (rc == PAGE_FULL) {
		next = mem_alloc(2 * cursor.len + 1);
		str_hex(next, cursor.data, cursor.len);
		m.next = next;
	}
	if (rc < 0 || rc == PAGE_LARGE) {
		page_free(p);
		rc = rc == PAGE_LARGE ? send_later(c, req)
				      : send_simple(c, req->id, GATEWAY__CODE__UNAVAILABLE,
						    "a record is damaged");
	} else {
		rc = send_page(c, p, &m);
	}
	mem_free(next);
	buf_reset(&cursor);
	return rc;
}

static int on_head(struct client *c, struct store_view *v, const Gateway__Request *req)
{
	Gateway__Reply m = GATEWAY__REPLY__INIT;
	struct told told;

	tell_position(c->s, v, &told);
	m.id = req->id;
	m.position = &told.p;
	return send_reply(c, &m);
}

/* --- resolve --- */

static void fill_match(Gateway__Match *out, const struct resolve_match *m, char *texts)
{
	gateway__match__init(out);
	out->active = m->why == GATEWAY__MATCH__WHY__NONE;
	out->why = m->why;
	out->subscription = texts + m->subscription;
	out->plan = texts + m->plan;
	out->application = texts + m->application;
	out->key_id = texts + m->key_id;
	out->api_product = texts + m->product;
	out->expire_at_ms = m->expire_ms;
	out->updated_ms = m->updated_ms;
	out->revision = m->revision;
}

static int send_resolution(struct client *c, struct store_view *v, uint64_t id)
{
	const struct resolve_answer *a = &c->s->resolved;
	Gateway__Match matches[RESOLVE_MATCHES_MAX];
	Gateway__Match *list[RESOLVE_MATCHES_MAX];
	Gateway__Resolution r = GATEWAY__RESOLUTION__INIT;
	Gateway__Reply m = GATEWAY__REPLY__INIT;
	struct told told;
	size_t i;

	for (i = 0; i < a->n; i++) {
		fill_match(&matches[i], &a->match[i], a->texts.data);
		list[i] = &matches[i];
	}
	r.found = a->n > 0;
	r.deployed = a->deployed;
	r.matches = list;
	r.n_matches = a->n;
	tell_position(c->s, v, &told);
	m.id = id;
	m.position = &told.p;
	m.resolution = &r;
	if (!r.found) {
		m.code = GATEWAY__CODE__NOT_FOUND;
		m.error = (char *)(uintptr_t) "nothing is known under it";
	}
	return send_reply(c, &m);
}

static int on_resolve(struct client *c, struct store_view *v, const Gateway__Request *req)
{
	struct resolve_ask ask = { .plan = "", .now_ms = clock_wall_ms() };
	const char *kind;

	if (req->body_case == GATEWAY__REQUEST__BODY_RESOLVE_KEY) {
		ask.by = LOOKUP_KEY;
		kind = req->resolve_key->ref_kind;
		ask.ref = req->resolve_key->ref;
		ask.text = req->resolve_key->key;
	} else {
		ask.by = LOOKUP_CLIENT;
		kind = req->resolve_subscription->ref_kind;
		ask.ref = req->resolve_subscription->ref;
		ask.text = req->resolve_subscription->client_id;
		ask.plan = req->resolve_subscription->plan;
	}
	ask.ref_kind = str_equal(kind, kind_name(KIND_API_PRODUCT)) ? KIND_API_PRODUCT : KIND_API;
	if (kind[0] != '\0' && !str_equal(kind, kind_name(ask.ref_kind)))
		return send_simple(c, req->id, GATEWAY__CODE__BAD_REQUEST,
				   "ref_kind is API or API_PRODUCT");
	if (ask.ref[0] == '\0' || ask.text[0] == '\0')
		return send_simple(c, req->id, GATEWAY__CODE__BAD_REQUEST,
				   "a reference and a key or client are needed");
	if (resolve(v, &ask, &c->s->resolved) < 0)
		return send_simple(c, req->id, GATEWAY__CODE__UNAVAILABLE, "a record is damaged");
	return send_resolution(c, v, req->id);
}

/* --- which is it? --- */

typedef int request_fn(struct client *c, struct store_view *v, const Gateway__Request *req);

static const struct {
	request_fn *fn;
	bool wants_data; /* is UNAVAILABLE before there is any */
} requests[] = {
	[GATEWAY__REQUEST__BODY_GET] = { on_get, true },
	[GATEWAY__REQUEST__BODY_LIST] = { on_list, true },
	[GATEWAY__REQUEST__BODY_WATCH] = { on_watch, false },
	[GATEWAY__REQUEST__BODY_WAIT] = { on_wait, false },
	[GATEWAY__REQUEST__BODY_HEAD] = { on_head, false },
	[GATEWAY__REQUEST__BODY_RESOLVE_KEY] = { on_resolve, true },
	[GATEWAY__REQUEST__BODY_RESOLVE_SUBSCRIPTION] = { on_resolve, true },
};

static int answer_request(struct client *c, struct store_view *v, const Gateway__Request *req)
{
	struct position at;

	store_view_position(v, &at);
	if (at.lineage[0] == '\0' && requests[req->body_case].wants_data)
		return send_simple(c, req->id, GATEWAY__CODE__UNAVAILABLE, "there is no data yet");
	return requests[req->body_case].fn(c, v, req);
}

static int answer(struct client *c, const Gateway__Request *req)
{
	struct store_view *v = NULL;
	struct err e = { 0 };
	int rc;

	if (!message_is_text(&req->base))
		return send_simple(c, req->id, GATEWAY__CODE__BAD_REQUEST,
				   "there is text that is not UTF-8");
	if ((size_t)req->body_case >= ARRAY_LEN(requests) || requests[req->body_case].fn == NULL)
		return send_simple(c, req->id, GATEWAY__CODE__UNSUPPORTED,
				   "this version does not know the request");
	if (store_view_open(c->s->store, &v, &e) < 0)
		return send_simple(c, req->id, GATEWAY__CODE__UNAVAILABLE, e.text);
	rc = answer_request(c, v, req);
	store_view_close(&v);
	return rc;
}

int client_message(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	struct client *c = arg;
	Gateway__Request *req;
	int rc;

	if (c->parting) /* it was read before that */
		return 0;
	req = gateway__request__unpack(NULL, n, body);
	if (req == NULL)
		return err_set(e, ERR_PROTO, "%zu bytes that are no request", n);
	rc = answer(c, req);
	gateway__request__free_unpacked(req, NULL);
	if (rc == 0 || client_end(c, rc))
		return 0;
	return err_set(e, rc, "the client cannot be answered");
}

int begin_later(struct client *c, struct store_view *v)
{
	Gateway__Request *req = take_later(c);
	int rc;

	if (req == NULL)
		return 0;
	rc = answer_request(c, v, req);
	gateway__request__free_unpacked(req, NULL);
	return rc < 0 ? rc : pump_streams(c);
}
