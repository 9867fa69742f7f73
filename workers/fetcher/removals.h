/* SPDX-License-Identifier: Apache-2.0 */
/*
 * removals - what goes from the zone: at once when the source says so, past the guard
 * (common/model/guard.h) when it is only absent there.
 *
 * Owns: f->removals. Blocks: never. Errors: none.
 */
#pragma once

#include <uv.h>

#include "common/base/str.h"
#include "common/base/table.h"
#include "common/model/event.h"
#include "common/model/guard.h"

#define REMOVALS_TEXT_BYTES   512
#define REMOVALS_ACCEPT_BYTES 128

struct fetcher;
struct feed_item;
struct feed_unmet;

struct removals {
	struct guard_rules rules;
	struct table held;	   /* name -> struct held, owned */
	uv_timer_t *agree;	   /* owned by the fetcher: for a second pass that agrees */
	size_t added[KIND__COUNT]; /* new since a whole pass last missed none of the kind */
	bool undecided;		   /* some wait for a second pass that agrees */
	unsigned returned; /* a bit for each kind of which some were held and are there again */
	/* Why the source does not look like that of this zone; and as the pass under way finds. */
	struct buf doubt, doubt_next;
	unsigned doubted, doubted_next; /* a bit for each kind whose absence proves nothing then; */
	unsigned missing,
		missing_next;	   /* whose place is not there, whatever the zone holds of it */
	struct guard_set set;	   /* what is held */
	struct guard_set accepted; /* what a person takes; count 0: nothing */
	int64_t accepted_ms;	   /* boot time; 0: before this process was promoted */
	uint64_t went;		   /* so many were taken in this lineage before */
	char lineage[33];	   /* of the zone */
	char accept[REMOVALS_ACCEPT_BYTES]; /* what was taken, as the zone has it */
	uint64_t own;			/* entities in this node's own store, at the promotion */
	bool empty;			/* the source brings nothing: the zone is not complete */
	char text[REMOVALS_TEXT_BYTES]; /* what is held, and why; "": nothing */
	char *told;			/* owned: the same as the zone has it; NULL: not known */
};

/* `agree` is closed by the caller. */
void removals_init(struct fetcher *f, uv_timer_t *agree);
void removals_configure(struct fetcher *f); /* it has its configuration */
/* The zone's lineage, and what people took there: see follow_accepted(). */
void removals_zone(struct fetcher *f, const char *lineage, const char *accepted);
void removals_learned(struct fetcher *f, bool empty); /* the zone is complete, of an empty source */
void removals_promoted(struct fetcher *f, uint64_t own);

/* The source says that it is gone. Takes the event. */
void removals_withdraw(struct fetcher *f, const char *name, struct event *ev);
/* It is absent: it goes when the guard lets it. Takes the event, but not of one that is held. */
void removals_hold(struct fetcher *f, const char *name, struct event *ev);
void removals_there(struct fetcher *f, const char *name); /* it is not absent */
void removals_added(struct fetcher *f, enum kind k);	  /* one that was not live */

/* A pass begins; and what it says of the source. */
void removals_begin(struct fetcher *f);
void removals_doubt(struct fetcher *f, const struct feed_item *i);
/* What the pass, which looks at everything, did not meet. */
void removals_unmet(struct fetcher *f, struct feed_unmet *out);

/* At the end of a pass: holds what it did not meet (one that looked at everything) ... */
void removals_sweep(struct fetcher *f);
/* ... and lets go what may. `whole`: it looked at everything. Boot time. */
void removals_judge(struct fetcher *f, bool whole, int64_t begun_ms, int64_t end_ms);

bool removals_wait(const struct fetcher *f);  /* for another pass, or for a person */
bool removals_empty(const struct fetcher *f); /* the source brings nothing */
/* A bit for each kind of which the source may have more: its place was not there to be read. */
unsigned removals_missing(const struct fetcher *f);

/* A person takes the set that was shown. ERR_STATE: it is another one by now. */
int removals_accept(struct fetcher *f, const char *set, struct err *e) MUST_USE;
/* And takes that so many are not in this lineage, which followers wait for. */
void removals_went(struct fetcher *f, uint64_t count);
const char *removals_text(const struct fetcher *f); /* what is held, and why; "": nothing */
void removals_set(const struct fetcher *f, char out[GUARD_SET_BYTES]); /* the same, to be taken */
void removals_reset(struct fetcher *f);
