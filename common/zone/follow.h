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

#define FOLLOW_PAGE_BYTES   (1U << 20)
#define FOLLOW_PAGE_EVENTS  1024   /* more than the children one call withdraws, and their parent */
#define FOLLOW_UNREAD_BYTES 4500   /* of names; more are none that a primary of ours writes */
#define FOLLOW_LAG_MS	    120000 /* of polls where the zone does not say it, and at most */

enum completeness {
	ZONE_FILLING, /* a refill is under way, or was not finished */
	ZONE_EMPTY,   /* one found nothing in the source */
	ZONE_COMPLETE
};

struct head {
	char lineage[LINEAGE_BYTES]; /* "": nobody ever filled this zone */
	char token[TOKEN_BYTES];     /* newest epoch */
	char caught[TOKEN_BYTES];    /* newest token that settled everything */
	char lease[TOKEN_BYTES];     /* who holds the lease now, "" nobody */
	uint64_t lease_seq;
	uint64_t revision;
	uint64_t horizon; /* greatest purged tombstone */
	enum completeness complete;
	struct digest digest;
	int64_t own_end; /* revision at which the epoch after ours began; -1 ours is the newest;
			    -2 ours is not in the list */
	uint64_t polls;	 /* of the source that left nothing open */
	int64_t lag_ms;	 /* what a poll reads may be as old when it begins; -1: not said */
	int64_t above; /* revision at which the oldest epoch above the served one began; -1 none */
	char accepted[128]; /* what people let go in a lineage, see follow_accepted() */
	char held[256];	    /* removals the primary holds back, for people */
	char version[16];   /* of the format; "": nobody ever filled this zone */
	char unread[FOLLOW_UNREAD_BYTES]; /* names that `caught` says nothing of, a line each */
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

struct follow_ask {
	const struct position *behind; /* whose events are wanted */
	const char *served;	       /* token of the state that is served: `above` is for it */
	unsigned events;	       /* 0: the head alone */
};

int follow_read(struct zone_conn *z, const struct follow_ask *a, redis_reply_fn *fn,
		void *arg) MUST_USE;
int follow_parse(const struct redis_reply *r, struct page *out, struct err *e) MUST_USE;
void follow_page_reset(struct page *p);

#define FOLLOW_SUSPECTS 1000 /* named in a zone at once */

/* Names damaged keys to the primary, which mends them; "*": the digest is out of reach. What finds
   no room is found again. */
int follow_suspect(struct zone_conn *z, const char *const *names, size_t n, redis_reply_fn *fn,
		   void *arg) MUST_USE;

enum verdict {
	FOLLOW_WAIT,   /* nothing to follow yet: empty zone, or a refill is running */
	FOLLOW_RESUME, /* the own position is part of this history */
	FOLLOW_RESYNC, /* it is not: build anew */
	FOLLOW_BEHIND, /* the zone's epoch is older than ours: an old master came back */
	FOLLOW_FORMAT  /* its format is none of ours */
};

/* `ahead`: the newest token whose withdrawals were applied beyond `own`; "" none were. */
enum verdict follow_judge(const struct head *h, const struct position *own, const char *ahead);

/*
 * A zone that was restored, or lost its tail, is proven and complete, and yet holds what was
 * withdrawn since. So what was built of it is served only when a primary that came later has
 * looked at all of the source.
 */
struct looks { /* at the head of one token */
	char token[TOKEN_BYTES];
	int64_t since_ms; /* boot time of the first */
	bool late;	  /* a poll that begins now reads nothing older than the first look */
	uint64_t polls;	  /* at the first that was late */
};

/* `looks`: { 0 } at the beginning of a resync. */
void follow_look(struct looks *l, const struct head *h, int64_t now_ms);

struct doubt {		    /* what serves beside what was built */
	bool serves;	    /* else nothing can be lost */
	bool equal;	    /* no name differs */
	bool other_lineage; /* than the zone's: no tombstone tells what is gone */
	bool accepted;	    /* a person said at this node that it may go */
	bool unread;	    /* a name that the primary could not read differs */
	bool halved;	    /* more than half of a type, or any of a missing one, is gone: */
	size_t lacks;	    /* that many names, but for what went with its reference */
};

enum switch_verdict {
	SWITCH_NOW,
	SWITCH_COMPARE, /* all but what a comparison of both says: `unread`, `halved`, `lacks` */
	SWITCH_POLLS,	/* not before a primary has looked at all of the source */
	SWITCH_EMPTY,	/* a refill found nothing */
	SWITCH_UNREAD,
	SWITCH_HALVED
};

#define FOLLOW_HALVED_LEAST 3 /* so many of a type may always be gone, less one */

/* `compared`: what a comparison of both says is known. */
enum switch_verdict follow_switch(const struct head *h, const struct looks *l,
				  const struct doubt *d, bool compared);

bool follow_asks_a_person(enum switch_verdict v); /* who can say that it may serve all the same */

/* "<lineage> <count> -": of so many names a person said there that they may go.
   "<lineage> <count> <digest> <before>": that set is to go at the next look, as so many went
   before it. The sum of what went; 0 in another lineage. */
uint64_t follow_accepted(const char *accepted, const char *lineage);

/* The revision above which withdrawals hold for what is served, though it is not yet what was
   built; UINT64_MAX: none do. */
uint64_t follow_withdrawals_above(const struct head *h, const char *served_lineage);
