/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror - keeps the local store equal to what a Java primary writes, which has no log to
 * follow: by the reference's search index (storage 1.5), in rounds.
 *
 * The first round builds the next generation from all that is deployed. Later ones read
 * what was written since, by the writer's own times and a wide overlap, and compare the
 * number of what is deployed; now and then, and when numbers differ, one reads all again
 * and finds what was missed, and what is gone.
 *
 * The index is distrusted: a read counts when it brought as many rows as the index counts
 * before and after it; a tombstone removes, a missing row only when two reads of all agree
 * and the guard against mass removal lets it go.
 *
 * Owns:    its round and the lists of it (absent.h: what is gone); the connection, the keeper and the store are the
 *          follower's. All answers of a round come before the next, or not at all.
 * Blocks:  never.
 * Errors:  of a round, through hooks.over; the last known good stays.
 */
#pragma once

#include "common/zone/find.h"
#include "workers/cache/keeper.h"

#define MIRROR_LINEAGE "java-" /* lineages of ours begin so: local, one for each generation */

/*
 * Behind the greatest time read: a Java primary takes the time before it writes, and may try
 * for 66 s (storage 1.6); beyond that the comparison finds it.
 */
#define MIRROR_OVERLAP_MS 120000
#define MIRROR_FULL_MS	  900000 /* all is read again so often, */
#define MIRROR_PAUSE_MS	  5000 /* and for other numbers this long after, doubled when it was no use */
#define MIRROR_TOLD	  20   /* events set aside that are logged of one read of all */

struct mirror;

struct mirror_round {
	struct err err;	    /* code 0: it went well */
	bool no_index;	    /* there is none */
	bool cut;	    /* it ended before all was read */
	bool level;	    /* everything read, and the numbers agree */
	uint64_t set_aside; /* events that are none */
};

struct mirror_hooks {
	void *arg;
	void (*applied)(void *arg, const struct position *p, bool switched);
	void (*over)(void *arg, const struct mirror_round *r);
};

struct mirror_about { /* none of it owned */
	struct zone_conn *z;
	struct keeper *keeper;
	struct store *store;
	uint64_t entity_max_bytes;
};

struct mirror *mirror_create(uv_loop_t *loop, const struct mirror_about *a,
			     const struct mirror_hooks *h) MUST_USE;
void mirror_close(struct mirror **m);

bool mirror_is_ours(const char *lineage);
bool mirror_busy(const struct mirror *m);

/*
 * Begins a round; `written_ms`: to where the primary says it is, of its clock, 0 unknown.
 * `other`: another primary than before writes, whose clock may differ. Not while busy.
 */
void mirror_begin(struct mirror *m, int64_t written_ms, bool other);
void mirror_renew(struct mirror *m);   /* the next round builds the store anew */
void mirror_dropped(struct mirror *m); /* the connection is lost, and the round with it */

/* The keeper is done with a job: true when it was one of the mirror's. */
bool mirror_kept(struct mirror *m, struct keeper_job *job);
