/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys - the names of a zone's keys in Redis (zone-protocol 1): the only place that
 * knows them.
 *
 *	distributed_event:<zone>:<event name>	the reference's hashes (storage 1.1)
 *	distributed_sync_state:<zone>		the reference's state
 *	zonesync:{<zone>}:<part>		ours
 *
 * The members of the log are event names (model/event.h), not whole keys: it saves the
 * prefix a million times.
 *
 * Owns:    nothing; fixed buffers.
 * Blocks:  never; pure.
 * Errors:  ERR_CONFIG for an id that cannot be one.
 */
#pragma once

#include "common/base/err.h"
#include "common/base/str.h"

#define ZONE_ID_MAX_BYTES 200

/* Of the format, as meta has it. Another major is another format: who meets a greater one
   follows nothing and writes nothing. */
#define ZONE_FORMAT	  "2.0"
#define ZONE_FORMAT_MAJOR 2

typedef char zone_key[ZONE_ID_MAX_BYTES + 40];

struct zone_keys {
	zone_key zone;
	zone_key event_prefix; /* "distributed_event:<zone>:" */
	zone_key state;
	zone_key lease;
	zone_key meta;
	zone_key epochs;
	zone_key log;
	zone_key old_log; /* set aside while a refill runs */
	zone_key cursor;
	zone_key suspect;
	zone_key wake;
	zone_key nodes; /* hash: node id -> report */
	zone_key turn;	/* the attempt at a page that is under way */
	zone_key probe;
	zone_key ours; /* what all but the first two begin with */
};

/* Refuses an empty or too long id, '}' and control characters. */
int zone_keys_init(struct zone_keys *k, const char *zone, struct err *e) MUST_USE;

/* The glob pattern of all keys with a prefix, in which nothing is special. */
void zone_keys_pattern(struct buf *out, const char *prefix);

/* The major of a format's text; 0: it says none. */
unsigned zone_format_major(const char *text);
