/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis - one connection to a Redis server, kept up.
 *
 * Commands are pipelined in order. A connection that is lost, refused, too slow (nothing is
 * heard for `command_timeout_ms` while a command waits, and 1 s more for each megabyte of it)
 * or breaks the protocol is
 * closed: every waiting command ends with an error, its outcome unknown, and a new
 * connection is tried with backoff. Nothing is sent twice by this module.
 *
 * RESP2 only: hiredis 0.14 reads no RESP3.
 *
 * Owns:    the connection and its buffers; redis_close() releases them when libuv
 *          has let go. No callback reaches the owner after redis_close().
 * Blocks:  never; names are resolved on libuv's pool, and certificates are read there.
 * Errors:  ERR_TIMEOUT, ERR_PROTO, ERR_LIMIT, ERR_BUSY (window full), -errno,
 *          ERR_REMOTE (the server answered with an error to the greeting).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "ipc.pb-c.h"

struct redis;
struct redis_reply; /* borrowed, valid until the callback returns */

/*
 * Who says where the server is, when host and port are not given (sentinel.h). It has
 * connections of its own, to others.
 */
struct locator;
struct redis_opts;

struct locator_hooks {
	void *arg;
	/* An answer to ask(): `e` NULL and where the master is, or why nobody says. */
	void (*found)(void *arg, const char *host, uint16_t port, const struct err *e);
	/* The master is another one than was found last. */
	void (*moved)(void *arg);
};

struct locator_ops {
	/* `o` is that of the master's connection: its `sentinels`, its time limits. Copied. */
	int (*open)(struct locator **out, uv_loop_t *loop, const struct redis_opts *o,
		    const struct locator_hooks *h, struct err *e);
	/* One answer comes for the newest question. `doubt`: the last answer led nowhere. */
	void (*ask)(struct locator *l, bool doubt);
	void (*close)(struct locator **l); /* NULL is fine; no callback after it */
};

struct redis_sentinels {
	const struct locator_ops *ops; /* that ask them */
	const char *master;
	char *const *nodes; /* "host:port", at most SENTINEL_NODES_MAX */
	size_t n;
	const char *password; /* of the Sentinels */
};

struct redis_opts {
	const char *host; /* copied, as everything here */
	uint16_t port;
	struct redis_sentinels sentinels; /* if any: they say host and port, at each connect, and
					     the server must be a master */
	const char *socket;		  /* Unix socket; wins over host and port when not empty */
	const char *username;
	const char *password;
	const char *password_setting; /* static: the setting that errors name; NULL: Redis' */
	const Ipc__Tls *tls;	      /* NULL: plain */
	const char *client_name;      /* shown by CLIENT LIST */
	uint32_t connect_timeout_ms;
	uint32_t command_timeout_ms;
	uint32_t idle_ping_ms;	  /* 0: never; else a PING on a silent connection */
	uint32_t window;	  /* most commands on the way; 0: REDIS_WINDOW */
	uint64_t reply_max_bytes; /* 0: REDIS_REPLY_MAX_BYTES */
};

#define REDIS_WINDOW	      1024
#define REDIS_REPLY_MAX_BYTES (64U << 20)
#define REDIS_ELEMENTS_MAX    (1U << 20) /* of one array */
#define REDIS_RETRY_MIN_MS    20
#define REDIS_RETRY_MAX_MS    5000

/* `r` is NULL and `e` set when the connection was lost before the answer came. */
typedef void redis_reply_fn(void *arg, const struct redis_reply *r, const struct err *e);

struct redis_hooks {
	void *arg;
	void (*up)(void *arg);			      /* greeted; commands may be sent */
	void (*down)(void *arg, const struct err *e); /* lost, or could not be made; may be NULL */
	void (*message)(void *arg, const char *p, size_t n); /* pub/sub, may be NULL */
};

int redis_open(struct redis **out, uv_loop_t *loop, const struct redis_opts *o,
	       const struct redis_hooks *h, struct err *e) MUST_USE;
void redis_close(struct redis **r); /* NULL is fine */
bool redis_is_up(const struct redis *r);

/* A command in the making: its words. `{ 0 }` is empty. */
struct redis_cmd {
	struct buf words; /* as RESP has them */
	size_t n;
};

void redis_cmd_arg(struct redis_cmd *c, const void *p, size_t n);
void redis_cmd_str(struct redis_cmd *c, const char *s);
void redis_cmd_i64(struct redis_cmd *c, int64_t v);

/*
 * Sends the command, which is empty then in any case. ERR_STATE when the
 * connection is down, ERR_BUSY when the window is full: then `fn` is not called.
 */
int redis_send(struct redis *r, struct redis_cmd *c, redis_reply_fn *fn, void *arg) MUST_USE;

/* The same for a few C strings, ended by NULL. */
int redis_sendv(struct redis *r, redis_reply_fn *fn, void *arg, ...) MUST_USE
	__attribute__((sentinel));

/* From now on this connection only listens; messages go to hooks.message. */
int redis_subscribe(struct redis *r, const char *channel) MUST_USE;

/* Closes the connection for a reason of the caller's; it is tried again as after any loss. */
void redis_fail(struct redis *r, int code, const char *why);

/* What an answer is; all of them accept NULL. */
bool redis_is_error(const struct redis_reply *r);
bool redis_error_is(const struct redis_reply *r, const char *word); /* "NOSCRIPT", "READONLY" */
bool redis_is_nil(const struct redis_reply *r);
size_t redis_count(const struct redis_reply *r); /* elements of an array; 0 for anything else */
const struct redis_reply *redis_at(const struct redis_reply *r, size_t i); /* NULL beyond */
/* Behind a name in a list of names and values; NULL without it. */
const struct redis_reply *redis_value(const struct redis_reply *list, const char *name);
const char *redis_str(const struct redis_reply *r, size_t *n); /* NULL when it is no text */
/* As a C string; false: it is no text, has a NUL, or finds no room. */
bool redis_copy(const struct redis_reply *r, char *dst, size_t n);
bool redis_i64(const struct redis_reply *r, int64_t *out); /* integer, or its text */
bool redis_u64(const struct redis_reply *r, uint64_t *out);

/* The text equals `s`. */
bool redis_is(const struct redis_reply *r, const char *s);
