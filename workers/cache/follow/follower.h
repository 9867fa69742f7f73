/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follower - keeps the local store at the zone's head: reads the log by revision, proves
 * count and digest, resyncs when the history is another (zone-protocol 5 and 6).
 *
 * Owns:    two Redis connections, the keeper, timers.
 * Blocks, errors: as upstream.h says.
 */
#pragma once

#include "workers/cache/upstream.h"

int follower_open(struct upstream **out, struct worker *w, const Ipc__CacheConfig *c,
		  struct store *s, struct err *e) MUST_USE;
