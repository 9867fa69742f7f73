/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve - answers gateways and the CLI from the local store (gateway.proto).
 *
 * Whatever Redis and the source do, what the store holds is answered. A client that
 * floods, stalls or lies is closed; a watcher that does not read is cut off and slows
 * nobody.
 *
 * Owns:    the listener the supervisor handed on, the connections.
 * Blocks:  never, but for page faults of the store.
 * Errors:  per request, in Reply.code.
 */
#pragma once

#include "common/worker/worker.h"
#include "workers/cache/upstream.h"

#define SERVE_CLIENTS_MAX 1024
#define SERVE_PAGE_EVENTS 500
#define SERVE_PAGE_BYTES  (256U << 10) /* of payloads in one Reply; larger ones are chunked */
#define SERVE_WAITS_MAX	  64	       /* watches and waits of one client */
#define SERVE_WAIT_MAX_MS 3600000
#define SERVE_STREAMS_MAX 4	/* large answers of one client under way */
#define SERVE_STALL_MS	  30000 /* a client that takes nothing of them for so long is cut off */

struct serve;

int serve_open(struct serve **out, struct worker *w, int fd, struct store *s, struct upstream *u,
	       struct err *e) MUST_USE;
void serve_close(struct serve **s);
void serve_changed(struct serve *s, bool reset); /* the store has a new state */
