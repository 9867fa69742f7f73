/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard - no mass deletion on thin evidence (zone-protocol 4.5).
 *
 * Judges what would be removed of one type because its rows are absent at the source. What
 * was removed that way lately counts too: the zone's tombstones tell, whoever made them.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUARD_FREE    10 /* where nothing is configured */
#define GUARD_PERCENT 20

struct guard_rules { /* zonesync.guard.* */
	bool off;
	uint32_t free;	       /* so many of a type may always go at once ... */
	uint32_t percent;      /* ... or such a share */
	uint32_t hold_free;    /* fewer than this never wait for a person because of ... */
	uint32_t hold_percent; /* ... more than such a share within the window */
	uint32_t agree_ms;     /* between two passes that agree */
	uint64_t window_ms;
};

enum guard_verdict { GUARD_GO, GUARD_AGAIN, GUARD_PERSON };

struct guard_case {
	size_t live;  /* entities of the type in the zone, those to go included */
	size_t gone;  /* those to go */
	size_t went;  /* removed before, within the window */
	size_t fresh; /* of those to go, not yet absent in two passes that agree */
	bool doubted; /* the source does not look like that of this zone */
};

/* May so many go at once? */
bool guard_is_few(size_t live, size_t gone, size_t free, unsigned percent);

enum guard_verdict guard_judge(const struct guard_rules *r, const struct guard_case *c);

/* Does a pass that began then agree with one that ended before? Not when it came right after
   it: passes that notifications wake may all see one directory in the middle of its being
   replaced. Boot times. */
bool guard_agrees(const struct guard_rules *r, int64_t ended_ms, int64_t began_ms);

/* A set of removals, as it is shown to a person and taken by one. */
struct guard_set {
	uint64_t count;
	uint64_t digest; /* in whatever order they come */
};

void guard_set_add(struct guard_set *s, const char *name);
bool guard_set_equal(const struct guard_set *a, const struct guard_set *b);

#define GUARD_SET_BYTES 40 /* "<count>-<digest>" */
void guard_set_text(const struct guard_set *s, char out[GUARD_SET_BYTES]);
