/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake - takes the pages of this node's own fetcher into the store: standalone, without
 * Redis (zone-protocol 7, local.proto).
 *
 * One publisher at a time: a new connection ends the one before, and is a new token. A
 * refill fills the next generation; the old one serves until it is complete, and on if
 * the publisher dies in it.
 *
 * Owns:    the listening socket, the keeper, the connection.
 * Blocks:  as upstream.h says.
 * Errors:  what a publisher may not say closes its connection.
 */
#pragma once

#include "workers/cache/upstream.h"

#define INTAKE_QUEUE 16 /* requests that wait for the disk; a publisher has one page under way */

int intake_open(struct upstream **out, struct worker *w, const Ipc__CacheConfig *c, struct store *s,
		struct err *e) MUST_USE;
