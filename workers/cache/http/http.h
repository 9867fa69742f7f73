/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - the technical API: /_node/health, sync, apis, for probes, people and tools.
 *
 * Whoever may open the Unix socket may ask; on TCP a user of the configuration, or, when it
 * says so, anybody: then definitions are not served, they may hold secrets. A client that
 * floods, stalls or sends half a request is closed and slows nobody.
 *
 * Owns:    the listener the supervisor handed on, the connections. The only user of
 *          libmicrohttpd, which runs in our loop.
 * Blocks:  as http_body.h.
 * Errors:  to the client, as JSON.
 */
#pragma once

#include "common/worker/worker.h"
#include "workers/cache/http/http_body.h"

#define HTTP_FD		  (WORKER_FIRST_FD + 1)
#define HTTP_CLIENTS_MAX  128	      /* more wait in the listener's queue */
#define HTTP_CLIENT_BYTES 16384	      /* request line and headers; what is longer gets 414 or 431 */
#define HTTP_IDLE_MS	  30000	      /* to send a whole request, unless configured */
#define HTTP_CROWDED_MS	  1000	      /* the same while all connections are taken */
#define HTTP_ANSWER_MS	  300000      /* to take a whole answer */
#define HTTP_HELD_MAX	  (64U << 20) /* of answers under way; beyond it 503 */
#define HTTP_LISTINGS_MAX 16	      /* under way; each reads a slice a turn; beyond it 503 */
#define HTTP_TELL_MS	  60000	      /* refused users are logged so often at most */

struct http;

/* On the listener at HTTP_FD; of `max` connections. */
int http_open(struct http **out, struct worker *w, unsigned max, const Ipc__HttpConfig *c,
	      const struct http_about *about, struct err *e) MUST_USE;
void http_close(struct http **h);
