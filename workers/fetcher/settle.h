/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle - what followers wait for before they trust a zone that was restored (zone-protocol 3
 * and 5): that a poll ended whole, and that one settled everything there is.
 *
 *	OPEN, or ALL but what could not be read --settle_retry()--> AGAIN
 *	OPEN, AGAIN, ALL --a whole look--> ALL, or OPEN
 *	ALL --a delta that leaves something open--> OPEN;  settle_undo() --> AGAIN
 *
 * Owns: f->settle. Blocks: never. Errors: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SETTLE_REST_MS	    5000 /* between two looks at everything for that alone */
#define SETTLE_UNREAD_BYTES 4096 /* of names whose rows cannot be read, told in the zone */

struct fetcher;
struct feed_item;

struct settle {
	enum settle_state {
		SETTLE_OPEN,  /* something is not what the source says, as was seen last */
		SETTLE_AGAIN, /* what kept it open may be over: another look may settle it */
		SETTLE_ALL    /* everything is, nor did a delta since leave anything open */
	} state;
	int64_t whole_ms; /* boot time: when the last look at everything ended */
	bool told;	  /* the zone, since this token, that all is settled */
	char *unread;	  /* owned: what it was told then that could not be read */
};

/* At the end of a pass that went well, behind all that it found. `fresh`: it cannot have read
   what was true before this token only; another one proves nothing of what came since.
   `held`: removals that wait. `missing`: a bit for each kind that could not all be read. */
void settle_pass(struct fetcher *f, const struct feed_item *end, bool fresh, bool held,
		 unsigned missing);
void settle_retry(struct fetcher *f);
void settle_undo(struct fetcher *f); /* what came up may be any name: only another look tells */
void settle_told(struct fetcher *f); /* the zone has it */
bool settle_is_told(const struct fetcher *f);
void settle_reset(struct fetcher *f);
