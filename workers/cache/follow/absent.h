/* SPDX-License-Identifier: Apache-2.0 */
/*
 * absent - what the store holds and the mirror's index did not give: found by a walk over the
 * store, a turn of the loop at a time, and removed when two reads of all agree on it and the
 * guard against mass removal lets it go. Tombstones that are old enough are forgotten with it.
 *
 * Owns:    its lists; `{ 0 }` is empty, absent_reset() releases all of it.
 * Blocks:  on the pages of a mapped file, ABSENT_WALK records at most in one step.
 * Errors:  of the store, from absent_step(); nothing is removed by halves.
 */
#pragma once

#include "common/base/mem.h"
#include "common/store/reader.h"
#include "workers/cache/follow/marks.h"

#define ABSENT_WALK	 2000	  /* records of the store looked at in one turn of the loop */
#define ABSENT_FORGET_MS 86400000 /* a tombstone is kept for a day */

struct absent_one { /* a live record without a row */
	enum kind kind;
	char *id, *ref; /* owned; ref NULL: none */
	uint64_t mark;
};

struct absent_names {
	struct absent_one *v;
	size_t n, cap;
};

struct absent {
	struct store *store; /* not owned */
	const char *prefix;  /* not owned: of the keys that are marked */
	struct marks doubt;  /* missing in the last read of all */
	char held[160];	     /* removals the guard holds back; "": none */
	/* The walk. */
	uint64_t walked; /* revision */
	size_t told;	 /* in this turn */
	size_t live[KIND__COUNT];
	size_t kept_wrong; /* records whose row is none */
	const struct marks *seen, *wrong;
	struct absent_names names;
	uint64_t stale; /* revision of the greatest tombstone that may go; 0: none */
};

/* A walk against the keys that were seen, and those whose rows are none; settled, and not to
   change until it ends. */
void absent_begin(struct absent *a, const struct marks *seen, const struct marks *wrong);
int absent_step(struct absent *a, struct err *e) MUST_USE; /* 1: there is more; 0: it is whole */
bool absent_is_fresh(const struct absent *a); /* something is missing for the first time */

/* Those that go, names.n at most, borrowed; what is missing is doubted from now on. */
size_t absent_removals(struct absent *a, const struct absent_one **gone);
void absent_names_reset(struct absent_names *n);
void absent_reset(struct absent *a);
