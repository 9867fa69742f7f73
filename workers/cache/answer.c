/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/ipc/route.h"
#include "workers/cache/client.h"

static int on_get(struct client *c, struct store_view *v, const Gateway__Request *req)
{
	struct page_out *p;
	Gateway__Reply m;
	enum kind k;
	int rc;

	if (!kind_parse(req->get->kind, strlen(req->get->kind), &k))
		return send_simple(c, req->id, GATEWAY__CODE__BAD_REQUEST, "there is no such type");
	p = page_new(true, 0);
	if (!req->get->tombstones)
		page_leave_tombstones_out(p);
	rc = store_get(v, k, req->get->entity_id, add_entry, p, NULL);
	gateway__reply__init(&m);
	m.id = req->id;
	if (rc < 0 && rc != ERR_NOTFOUND)
		rc = send_simple(c, req->id, GATEWAY__CODE__UNAVAILABLE, "the record is damaged");
	else if (rc == PAGE_FULL)
		rc = send_simple(c, req->id, GATEWAY__CODE__BUSY,
				 "under several references, too much for one answer: list it");
	else if (page_is_empty(p))
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
	page_leave_tombstones_out(p);
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

int client_message(void *arg, const uint8_t *body, size_t n, struct err *e)
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
