/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow - read the zone's log by revision, and judge what may be done with it
 * (zone-protocol 5). What the source and the zone say is data: it is checked here.
 *
 * Owns:    follow_page_reset() releases the events of a page.
 * Blocks:  never; all but follow_read() is pure.
 * Errors:  as conn.h; ERR_PROTO for an answer of another shape.
 */
#pragma once

#include "common/model/event.h"
#include "common/zone/conn.h"
#include "common/zone/lease.h"

#define FOLLOW_PAGE_BYTES    (1U << 20)
#define FOLLOW_PAGE_EVENTS   1024 /* more than the children one call withdraws, and their parent */
#define FOLLOW_LINEAGE_BYTES 40

/* Where a follower stands: stored with the data, in one transaction. */
struct position {
	char lineage[FOLLOW_LINEAGE_BYTES]; /* "": no data yet */
	char token[LEASE_TOKEN_BYTES];	    /* newest epoch when the page was read */
	uint64_t revision;
	struct digest digest;
};

struct head {
	char lineage[FOLLOW_LINEAGE_BYTES]; /* "": nobody ever filled this zone */
	char token[LEASE_TOKEN_BYTES];	    /* newest epoch */
	char caught[LEASE_TOKEN_BYTES];	    /* newest epoch that finished a poll */
	char lease[LEASE_TOKEN_BYTES];	    /* who holds the lease now, "" nobody */
	uint64_t lease_seq;
	uint64_t revision;
	uint64_t horizon; /* greatest purged tombstone */
	bool complete;
	struct digest digest;
	int64_t own_end; /* revision at which the epoch after ours began; -1 ours is the newest;
			    -2 ours is not in the list */
};

struct followed {
	struct event ev;
	uint64_t revision;
	int64_t updated_ms;
	struct hash hash;
	bool damaged; /* the hash does not fit the content, or fields are missing */
	char *name;   /* owned */
};

struct page {
	struct head head;
	struct followed *events; /* owned, in revision order */
	size_t len;
};

/* Reads behind `pos`; `events` 0 asks for the head alone. */
int follow_read(struct zone_conn *z, const struct position *pos, unsigned events,
		redis_reply_fn *fn, void *arg) MUST_USE;
int follow_parse(const struct redis_reply *r, struct page *out, struct err *e) MUST_USE;
void follow_page_reset(struct page *p);

enum verdict {
	FOLLOW_WAIT,   /* nothing to follow yet: empty zone, or a refill is running */
	FOLLOW_RESUME, /* the own position is part of this history */
	FOLLOW_RESYNC, /* it is not: build anew */
	FOLLOW_HOLD,   /* a resync would go back: wait until the new primary has polled */
	FOLLOW_BEHIND  /* the zone's epoch is older than ours: an old master came back */
};

enum verdict follow_judge(const struct head *h, const struct position *own);
const char *verdict_name(enum verdict v);
