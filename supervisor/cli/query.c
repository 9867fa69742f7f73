/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/query.h"

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

int query_reopen(struct query *q, struct err *e)
{
	int rc;

	conn_close(&q->conn);
	rc = conn_open(&q->conn, q->path, e);
	return rc == 0 ? 0 : daemon_explain(q->path, rc, e);
}

int query_open(struct query *q, const char *control, struct err *e)
{
	Control__Reply *r = NULL;
	struct err ignored = { 0 };
	int asked;
	int rc;

	*q = (struct query){ .conn = { .fd = -1 } };
	asked = daemon_status(control, &r, e);
	if (asked != 0 && asked != EX_UNAVAILABLE)
		return asked;
	q->path = asked == 0 && r->status->cache_socket[0] != '\0'
			  ? mem_strdup(r->status->cache_socket)
			  : beside(control);
	control__reply__free_unpacked(r, NULL);
	rc = query_reopen(q, asked == 0 ? e : &ignored);
	if (rc != 0)
		query_close(q);
	return rc == 0 || asked == 0 ? rc : asked;
}

void query_close(struct query *q)
{
	conn_close(&q->conn);
	mem_free(q->path);
	q->path = NULL;
}

int query_send(struct query *q, const ProtobufCMessage *body, struct err *e)
{
	Gateway__Request r = GATEWAY__REQUEST__INIT;

	message_wrap(&r.base, body);
	r.id = ++q->id;
	return conn_send(&q->conn, &r.base, QUERY_TIMEOUT_MS, e);
}

int query_receive(struct query *q, int timeout_ms, Gateway__Reply **out, struct err *e)
{
	const uint8_t *body = NULL;
	Gateway__Reply *r;
	size_t n = 0;
	int rc = conn_receive(&q->conn, timeout_ms, &body, &n, e);

	if (rc < 0)
		return rc;
	r = gateway__reply__unpack(NULL, n, body);
	/* Id 0 is about the connection: why it ends. */
	if (r == NULL || (r->id != q->id && (r->id != 0 || r->code == GATEWAY__CODE__OK))) {
		if (r != NULL)
			gateway__reply__free_unpacked(r, NULL);
		return err_set(e, ERR_PROTO, "%zu bytes that are no answer", n);
	}
	*out = r;
	return 0;
}

int query_code(const Gateway__Reply *r, struct err *e)
{
	static const struct {
		Gateway__Code code;
		int exit_code;
		const char *text;
	} codes[] = {
		{ GATEWAY__CODE__NOT_FOUND, CLI_NO, "there is no such entity" },
		{ GATEWAY__CODE__RESET, CLI_RESET, "the position is of another history" },
		{ GATEWAY__CODE__TIMEOUT, CLI_TIMEOUT, "not reached in time" },
		{ GATEWAY__CODE__BAD_REQUEST, EX_USAGE, "the cache does not understand this" },
		{ GATEWAY__CODE__BUSY, EX_UNAVAILABLE, "the cache is busy; try again" },
		{ GATEWAY__CODE__UNAVAILABLE, EX_UNAVAILABLE, "this node has no data yet" },
		{ GATEWAY__CODE__SLOW, EX_UNAVAILABLE, "cut off: the answers were not read" },
		{ GATEWAY__CODE__UNSUPPORTED, EX_PROTOCOL,
		  "the daemon is older than this command" },
	};
	size_t i;

	if (r->code == GATEWAY__CODE__OK)
		return 0;
	for (i = 0; i < ARRAY_LEN(codes); i++) {
		if (codes[i].code != r->code)
			continue;
		(void)err_set(e, ERR_REMOTE, "%s", r->error[0] == '\0' ? codes[i].text : r->error);
		return codes[i].exit_code;
	}
	(void)err_set(e, ERR_REMOTE, "the cache answers with code %d", (int)r->code);
	return EX_PROTOCOL;
}
