/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follower - keeps the local store at the zone's head: reads the log by revision, proves
 * count and digest, resyncs when the history is another (zone-protocol 5 and 6).
 *
 * Owns:    two Redis connections, the keeper, timers.
 * Blocks:  never.
 * Errors:  told in the report: the last known good serves on, whatever happens here.
 */
#pragma once

#include "common/store/store.h"
#include "common/worker/worker.h"

struct follower;

/* The store has a new state, or (`reset`) another history. */
typedef void follower_changed_fn(void *arg, bool reset);

int follower_open(struct follower **out, struct worker *w, const Ipc__CacheConfig *c,
		  struct store *s, struct err *e) MUST_USE;
void follower_close(struct follower **f); /* waits for the transaction under way */
void follower_on_changed(struct follower *f, follower_changed_fn *fn, void *arg);
void follower_resync(struct follower *f, const char *why);
void follower_report(const struct follower *f, Ipc__CacheReport *out);
bool follower_proven(const struct follower *f);
