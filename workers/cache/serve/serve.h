/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve - answers gateways and the CLI from the local store (gateway.proto).
 *
 * Whatever Redis and the source do, what the store holds is answered. A client that
 * floods, stalls or lies is cut off with a last Reply that says why; it slows nobody.
 *
 * Owns:    the listener the supervisor handed on, the connections.
 * Blocks:  never, but for page faults of the store.
 * Errors:  per request, in Reply.code.
 */
#pragma once

#include "common/worker/worker.h"
#include "workers/cache/upstream.h"

/* These are public: gateway.proto tells them. */
#define SERVE_CLIENTS_MAX   1024
#define SERVE_REQUEST_BYTES (64U << 10) /* of one Request */
#define SERVE_PAGE_EVENTS   500
#define SERVE_PAGE_BYTES    (256U << 10) /* of one Reply; larger payloads are chunked */
#define SERVE_READ_BYTES    (8U << 20)	 /* of payloads read for one, sent or not */
#define SERVE_WAITS_MAX	    64		 /* watches and waits of one client */
#define SERVE_WAIT_MAX_MS   3600000
#define SERVE_STREAMS_MAX   4	       /* large answers of one client under way */
#define SERVE_PUMP_BYTES    (1U << 20) /* watches and large answers go on below it */
#define SERVE_UNREAD_BYTES  (2U << 20) /* queued; who asks for more then is cut off */
#define SERVE_STALL_MS	    10000      /* so is who takes nothing of the queue for so long */
/* Of all clients together. Above it those who do not read are cut off sooner, and the last two
   limits but one are a page's. */
#define SERVE_UNREAD_ALL    (128U << 20) /* bytes queued */
#define SERVE_LARGE_ALL	    (64U << 20)	 /* of large answers under way; another is begun below it */
#define SERVE_CROWDED_TICKS 2		 /* of a second: in these a page must be taken */
#define SERVE_LINGER_MS	    10000	 /* and has so long to read why */

struct serve;

/* On the listener at WORKER_FIRST_FD; of `max` clients. */
int serve_open(struct serve **out, struct worker *w, unsigned max, struct store *s,
	       struct upstream *u, struct err *e) MUST_USE;
void serve_close(struct serve **s);
void serve_changed(struct serve *s, bool reset); /* the store has a new state */
