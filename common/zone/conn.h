/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn - a connection to a zone: Redis with our scripts loaded.
 *
 * The scripts are loaded at each connect. A server that forgets them (NOSCRIPT), turns
 * into a replica (READONLY) or is loading its data is treated as a lost connection:
 * one path leads back, through a fresh greeting, and callers resume as after any loss.
 *
 * Owns:    the connection. No callback after zone_conn_close().
 * Blocks:  never.
 * Errors:  zone_check() turns a reply into 0 or a code: ERR_REMOTE with the server's
 *          words, ERR_FULL for a server out of memory, or the loss itself.
 */
#pragma once

#include "common/redis/redis.h"
#include "common/zone/keys.h"
#include "common/zone/script.h"

struct zone_conn;

struct zone_hooks {
	void *arg;
	void (*up)(void *arg);
	void (*down)(void *arg, const struct err *why);
};

int zone_conn_open(struct zone_conn **out, uv_loop_t *loop, const struct redis_opts *o,
		   const char *zone, const struct zone_hooks *h, struct err *e) MUST_USE;
void zone_conn_close(struct zone_conn **z);
bool zone_conn_is_up(const struct zone_conn *z);
const struct zone_keys *zone_conn_keys(const struct zone_conn *z);
struct redis *zone_conn_redis(struct zone_conn *z); /* for plain commands */

/* A call of a script: its keys, in order and ended by NULL; the arguments are the caller's. */
void zone_call(struct zone_conn *z, struct redis_cmd *c, enum script s, ...)
	__attribute__((sentinel));
/* As redis_send(); ERR_STATE too while the scripts are being loaded. */
int zone_send(struct zone_conn *z, struct redis_cmd *c, redis_reply_fn *fn, void *arg) MUST_USE;

/*
 * 0 when the reply is an answer. `lost` is what the callback got. May lose the
 * connection (see above): do nothing more with it then.
 */
int zone_check(struct zone_conn *z, const struct redis_reply *r, const struct err *lost,
	       struct err *e) MUST_USE;
