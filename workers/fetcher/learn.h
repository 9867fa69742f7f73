/* SPDX-License-Identifier: Apache-2.0 */
/*
 * learn - what the zone holds: asked for at each promotion, and again when it is in doubt.
 *
 *	HEAD -> NAMES [-> OLD_NAMES] [-> KEYS] -> WORKING	(fetcher.state)
 *
 * OLD_NAMES: what an unfinished refill set aside. KEYS: others may have written there, and all
 * keys are looked at.
 *
 * Owns:    f->known, while it is being learned, and f->learn.
 * Blocks:  never.
 * Errors:  those of the end, which comes up again; then learn_begin().
 */
#pragma once

#include "workers/fetcher/publish/end.h"

#define LEARN_REFILL_MS 3600000 /* at most one refill in an hour because of a digest */
#define LEARN_DOUBT_MS	10000	/* at most one look at the zone in this time because of it */

struct fetcher;

enum relearn { /* why the zone is looked at once more; the greater one counts */
	       RELEARN_NO,
	       RELEARN_COMPARE, /* now and then: all of it is compared with the source again */
	       RELEARN_DOUBT,	/* a follower cannot reach its digest */
	       RELEARN_REFILL	/* it is damaged, or made from another source: written anew */
};

struct learn {
	enum relearn wanted; /* when there is a quiet moment */
	enum relearn why;    /* of the look under way */
	struct digest said;  /* the zone's sums, as it says they are, */
	bool has_said;	     /* if it does */
	uint64_t after;	     /* revision of the last name that came */
	bool adopt;	     /* KEYS are to follow */
	uint64_t adopted;
	int64_t doubted_ms;  /* boot time: when a digest was last looked into; 0: never */
	int64_t refilled_ms; /* and when one led to a refill */
};

void learn_want(struct fetcher *f, enum relearn why);
void learn_doubt(struct fetcher *f); /* RELEARN_DOUBT, but not too often */
bool learn_is_wanted(const struct fetcher *f);
void learn_begin(struct fetcher *f);
void learn_reset(struct fetcher *f);

/* The answers; learn_names() and learn_found() are true when that was the last one. */
bool learn_state(struct fetcher *f, const struct end_state *s) MUST_USE; /* false: to no question */
bool learn_names(struct fetcher *f, const struct end_name *v, size_t n, bool last) MUST_USE;
bool learn_found(struct fetcher *f, const struct end_found *v, size_t n,
		 const char *cursor) MUST_USE;

/* Of a zone that is not refilled: are its sums other than it says? Wants a refill where they
   are not, and were doubted. */
bool learn_finds_wrong_sums(struct fetcher *f) MUST_USE;
void learn_refilled(struct fetcher *f); /* what was damaged before is not any more */
