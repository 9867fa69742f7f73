/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/query.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/mem.h"
#include "common/message/message.h"
#include "supervisor/cli/daemon.h"

static char *beside(const char *control)
{
	const char *slash = strrchr(control, '/');

	return mem_printf("%.*scache.sock", slash == NULL ? 0 : (int)(slash + 1 - control),
			  control);
}

int query_fail(struct query *q, int rc, struct err *e)
{
	return cli_fail(rc < 0 ? daemon_explain(q->path, rc, e) : rc, "%s", e->text);
}

int query_reopen(struct query *q, struct err *e)
{
	conn_close(&q->conn);
	return conn_open(&q->conn, q->path, e);
}

int query_open(struct query *q, const char *control)
{
	Control__Reply *r = NULL;
	struct err e = { 0 };
	struct err ignored = { 0 };
	int asked = daemon_status(control, &r, &e);
	int rc;

	*q = (struct query){ .conn = { .fd = -1 }, .timeout_ms = QUERY_TIMEOUT_MS };
	if (asked != 0 && asked != EX_UNAVAILABLE)
		return query_fail(q, asked, &e);
	q->path = asked == 0 && r->status->cache_socket[0] != '\0'
			  ? mem_strdup(r->status->cache_socket)
			  : beside(control);
	control__reply__free_unpacked(r, NULL);
	rc = query_reopen(q, asked == 0 ? &e : &ignored);
	if (rc == 0)
		return 0;
	rc = query_fail(q, asked == 0 ? rc : asked, &e);
	query_close(q);
	return rc;
}

void query_close(struct query *q)
{
	conn_close(&q->conn);
	mem_free(q->path);
	q->path = NULL;
}

static int receive(struct query *q, Gateway__Reply **out, struct err *e)
{
	const uint8_t *body = NULL;
	Gateway__Reply *r;
	size_t n = 0;
	int rc = conn_receive(&q->conn, q->timeout_ms, &body, &n, e);

	if (rc < 0)
		return rc;
	r = gateway__reply__unpack(NULL, n, body);
	/* Id 0 is about the connection: why it ends. */
	if (r == NULL || (r->id != q->id && (r->id != 0 || r->code == GATEWAY__CODE__OK))) {
		gateway__reply__free_unpacked(r, NULL);
		return err_set(e, ERR_PROTO, "%zu bytes that are no answer", n);
	}
	*out = r;
	return 0;
}

/* The exit code of a Reply's code; the text is in e. 0 for OK. */
static int code_of(const Gateway__Reply *r, struct err *e)
{
	static const struct {
		int exit_code;
		const char *text;
	} codes[] = {
		[GATEWAY__CODE__NOT_FOUND] = { CLI_NO, "there is no such entity" },
		[GATEWAY__CODE__RESET] = { CLI_RESET, "the position is of another history" },
		[GATEWAY__CODE__TIMEOUT] = { CLI_TIMEOUT, "not reached in time" },
		[GATEWAY__CODE__BAD_REQUEST] = { EX_USAGE, "the cache does not understand this" },
		[GATEWAY__CODE__BUSY] = { EX_UNAVAILABLE, "the cache is busy; try again" },
		[GATEWAY__CODE__UNAVAILABLE] = { EX_UNAVAILABLE, "this node has no data yet" },
		[GATEWAY__CODE__SLOW] = { EX_UNAVAILABLE, "cut off: the answers were not read" },
		[GATEWAY__CODE__UNSUPPORTED] = { EX_PROTOCOL,
						 "the daemon is older than this command" },
	};
	size_t code = (size_t)r->code;

	if (r->code == GATEWAY__CODE__OK)
		return 0;
	if (code >= ARRAY_LEN(codes) || codes[code].text == NULL) {
		(void)err_set(e, ERR_REMOTE, "the cache answers with code %d", (int)r->code);
		return EX_PROTOCOL;
	}
	(void)err_set(e, ERR_REMOTE, "%s", r->error[0] == '\0' ? codes[code].text : r->error);
	return codes[code].exit_code;
}

int query_run(struct query *q, const ProtobufCMessage *body, query_fn *fn, void *arg, struct err *e)
{
	Gateway__Request request = GATEWAY__REQUEST__INIT;
	bool more = true;
	int rc;

	message_wrap(&request.base, body);
	request.id = ++q->id;
	rc = conn_send(&q->conn, &request.base, QUERY_TIMEOUT_MS, e);
	while (rc == 0 && more) {
		Gateway__Reply *r = NULL;

		rc = receive(q, &r, e);
		if (rc < 0)
			break;
		CHECK(r != NULL);
		rc = code_of(r, e);
		more = r->more || q->timeout_ms < 0;
		rc = fn(arg, r, rc, e);
		gateway__reply__free_unpacked(r, NULL);
	}
	return rc;
}

/* --- chunks --- */

static bool is_open(const struct gather *g)
{
	return g->n > 0 && g->item[g->n - 1].payload.len < g->item[g->n - 1].whole;
}

static int start(struct gather *g, const Gateway__Event *ev, struct err *e)
{
	if (g->n == GATHER_ITEMS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d entities", GATHER_ITEMS_MAX);
	g->item = mem_grow(g->item, &g->cap, g->n + 1, sizeof(*g->item));
	g->item[g->n++] = (struct entity){ .kind = mem_strdup(ev->kind),
					   .id = mem_strdup(ev->id),
					   .ref = mem_strdup(ev->ref),
					   .whole = MAX(ev->payload_bytes, ev->payload.len) };
	return 0;
}

int gather_add(struct gather *g, const Gateway__Event *ev, struct err *e)
{
	struct entity *last;
	int rc = 0;

	if (g->bytes + ev->payload.len > GATHER_BYTES_MAX)
		return err_set(e, ERR_LIMIT, "more than %llu bytes", GATHER_BYTES_MAX);
	if (!is_open(g))
		rc = start(g, ev, e);
	if (rc < 0)
		return rc;
	last = &g->item[g->n - 1];
	if (!str_equal(last->kind, ev->kind) || !str_equal(last->id, ev->id) ||
	    !str_equal(last->ref, ev->ref))
		return err_set(e, ERR_PROTO, "an entity was cut off by another");
	if (last->whole > 0 && ev->payload.len == 0)
		return err_set(e, ERR_PROTO, "an entity comes in empty chunks");
	if (ev->payload.len > last->whole - last->payload.len)
		return err_set(e, ERR_PROTO, "an entity is longer than it said");
	if (ev->payload.len > 0)
		buf_add(&last->payload, ev->payload.data, ev->payload.len);
	g->bytes += ev->payload.len;
	return 0;
}

int gather_end(const struct gather *g, struct err *e)
{
	const struct entity *last = g->n == 0 ? NULL : &g->item[g->n - 1];

	if (!is_open(g))
		return 0;
	return err_set(e, ERR_PROTO, "%zu of %" PRIu64 " bytes came", last->payload.len,
		       last->whole);
}

void gather_reset(struct gather *g)
{
	size_t i;

	for (i = 0; i < g->n; i++) {
		mem_free(g->item[i].kind);
		mem_free(g->item[i].id);
		mem_free(g->item[i].ref);
		buf_reset(&g->item[i].payload);
	}
	mem_free(g->item);
	*g = (struct gather){ 0 };
}
