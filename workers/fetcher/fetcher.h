/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetcher - the primary's work: learns what the zone holds, reads the source, writes the
 * difference in fenced pages (zone-protocol 3 and 4).
 *
 *	idle -> learning (learn.h) -> working      (promoted)      working -> idle (demoted)
 *
 * Its parts are in work.h. publish/ makes pages of it, and knows where to. source/ reads, on a thread of its own, and
 * map/ makes events of rows.
 *
 * Owns:    everything below.
 * Blocks:  never on the loop.
 * Errors:  told in the report.
 */
#pragma once

#include "common/worker/worker.h"

struct fetcher;

extern const struct route_table fetcher_routes; /* self: struct fetcher ** */

int fetcher_open(struct fetcher **out, struct worker *w, const Ipc__Configure *c,
		 struct err *e) MUST_USE;
void fetcher_check(const Ipc__Configure *c, bool look, Ipc__Checked *out); /* see worker.h */
void fetcher_report(struct fetcher *f, Ipc__Report *out);
void fetcher_stop(struct fetcher *f);
void fetcher_free(struct fetcher **f);
