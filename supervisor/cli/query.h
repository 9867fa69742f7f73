/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query - questions to the cache's socket (gateway.proto).
 *
 * The supervisor says where the socket is; when it does not answer, the one beside its own
 * is tried.
 *
 * Owns:    the connection; query_close() releases it. A Reply is the caller's.
 * Blocks:  as long as the caller says.
 * Errors:  query_open() and query_code() give exit codes; the others as conn.h.
 */
#pragma once

#include "gateway.pb-c.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/dial.h"

#define QUERY_TIMEOUT_MS 10000

struct query {
	struct conn conn;
	char *path; /* owned; of the cache's socket */
	uint64_t id;
};

int query_open(struct query *q, const char *control, struct err *e) MUST_USE;
int query_reopen(struct query *q, struct err *e) MUST_USE; /* the cache was restarted */
void query_close(struct query *q);

/* Sends the next Request. */
int query_send(struct query *q, const ProtobufCMessage *body, struct err *e) MUST_USE;

/* The next Reply to it; gateway__reply__free_unpacked() it. */
int query_receive(struct query *q, int timeout_ms, Gateway__Reply **out, struct err *e) MUST_USE;

/* The exit code of a Reply's code; the text is in e. 0 for OK. */
int query_code(const Gateway__Reply *r, struct err *e);
