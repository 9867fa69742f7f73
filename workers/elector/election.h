/* SPDX-License-Identifier: Apache-2.0 */
/*
 * election - the role machine's hands: two Redis connections, one timer, and what the
 * supervisor is told.
 *
 * Owns:    the connections and the timer.
 * Blocks:  never.
 * Errors:  ERR_CONFIG for a configuration that cannot work.
 */
#pragma once

#include "common/worker/worker.h"

struct election;

extern const struct route_table election_routes; /* self: struct election ** */

int election_open(struct election **out, struct worker *w, const Ipc__Configure *c,
		  struct err *e) MUST_USE;
void election_report(struct election *x, Ipc__Report *out);

/* Releases the lease when it is held, then calls worker_done(). */
void election_stop(struct election *x);
void election_free(struct election **x); /* after the loop has ended */
