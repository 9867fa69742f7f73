/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gather - put the chunks of entities together that came in several Replies.
 *
 * An event is followed by its own continuation until `payload_bytes` are there.
 *
 * Owns:    the entities; gather_reset() releases them. `{ 0 }` is empty.
 * Blocks:  never; pure.
 * Errors:  ERR_PROTO when chunks do not fit together, ERR_LIMIT beyond the limits below.
 */
#pragma once

#include "common/base/err.h"
#include "common/base/str.h"
#include "gateway.pb-c.h"

#define GATHER_ITEMS_MAX 10000
#define GATHER_BYTES_MAX (1ULL << 30) /* of all payloads; the daemon's own limit is half of it */

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
