/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query - questions to the cache's socket (gateway.proto), and entities that come in chunks.
 *
 * The supervisor says where the socket is; when it does not answer, the one beside its own
 * is tried. An event is followed by its own continuation until `payload_bytes` are there.
 *
 * Owns:    the connection; query_close() releases it. What was gathered; gather_reset().
 * Blocks:  as long as `timeout_ms` says.
 * Errors:  exit codes; query_run() those, and below 0 as dial.h. gather_*(): ERR_PROTO when
 *          chunks do not fit together, ERR_LIMIT beyond the limits below.
 */
#pragma once

#include "gateway.pb-c.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/dial.h"

#define QUERY_TIMEOUT_MS 10000
#define GATHER_ITEMS_MAX 10000
#define GATHER_BYTES_MAX (1ULL << 30) /* of all payloads; the daemon's own limit is half of it */

struct query {
	struct conn conn;
	char *path; /* owned; of the cache's socket */
	uint64_t id;
	int timeout_ms; /* of one Reply; < 0: there are always more, and they take what they take */
};

/* 0, or the exit code: it has said why. */
int query_open(struct query *q, const char *control) MUST_USE;
int query_reopen(struct query *q, struct err *e) MUST_USE; /* the cache was restarted */
void query_close(struct query *q);

/* `code` is the exit code of the Reply's, 0 for OK, with its text in e: return it to go on so. */
typedef int query_fn(void *arg, const Gateway__Reply *r, int code, struct err *e);

/* Sends a Request; `fn` takes each Reply to it, until one is the last or not OK. */
int query_run(struct query *q, const ProtobufCMessage *body, query_fn *fn, void *arg,
	      struct err *e) MUST_USE;

/* Says what went wrong, by what query_run() returned; the exit code. */
int query_fail(struct query *q, int rc, struct err *e);

struct entity {
	char *kind;	    /* owned */
	char *id;	    /* owned */
	char *ref;	    /* owned; "" none */
	uint64_t whole;	    /* bytes of the payload when it is complete */
	struct buf payload; /* owned */
};

struct gather {
	struct entity *item; /* owned */
	size_t n;
	size_t cap;
	uint64_t bytes;
};

int gather_add(struct gather *g, const Gateway__Event *ev, struct err *e) MUST_USE;
int gather_end(const struct gather *g, struct err *e) MUST_USE; /* nothing may be missing */
void gather_reset(struct gather *g);
