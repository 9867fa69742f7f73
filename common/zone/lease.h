/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease - the zone lease in Redis: ask for it, renew it, give it back (zone-protocol 2).
 *
 * Owns:    nothing.
 * Blocks:  never.
 * Errors:  as conn.h; lease_parse() gives ERR_PROTO for an answer it does not know.
 */
#pragma once

#include "common/model/event.h"
#include "common/zone/conn.h"

#define LEASE_HOLDER_BYTES 128
#define LEASE_PREVIOUS_MAX 4
#define LEASE_NONCE_BYTES  33 /* 32 hexadecimal digits and NUL */

enum lease_answer {
	LEASE_HELD,
	LEASE_BUSY,
	LEASE_LOST,
	LEASE_FREE,
	LEASE_NEWER /* the zone is of a format above ours: its text stands in `holder` */
};

struct lease_reply {
	enum lease_answer answer;
	char token[TOKEN_BYTES]; /* ours when held, the holder's when busy */
	uint64_t seq;		 /* busy: grows with each renewal */
	int64_t left_ms;	 /* busy: -1 no expiry */
	int64_t ttl_ms;		 /* busy: the holder's own TTL */
	char holder[LEASE_HOLDER_BYTES];
};

struct lease_ask {
	const char *nonce;
	uint32_t ttl_ms;	 /* 0: only look; LEASE_FREE says that nobody holds it */
	const char *holder;	 /* name of the node, for people */
	const char *break_token; /* "" or a stuck lease's, to be deleted by compare */
	uint64_t break_seq;
	const char *const *previous; /* nonces this node used before */
	size_t previous_len;
};

int lease_acquire(struct zone_conn *z, const struct lease_ask *a, redis_reply_fn *fn,
		  void *arg) MUST_USE;
int lease_renew(struct zone_conn *z, const char *token, uint32_t ttl_ms, redis_reply_fn *fn,
		void *arg) MUST_USE;
int lease_release(struct zone_conn *z, const char *token, redis_reply_fn *fn, void *arg) MUST_USE;

int lease_parse(const struct redis_reply *r, struct lease_reply *out, struct err *e) MUST_USE;

/* Epoch number of a token, 0 when it has none. */
uint64_t token_epoch(const char *token);
