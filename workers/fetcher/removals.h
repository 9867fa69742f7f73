/* SPDX-License-Identifier: Apache-2.0 */
/*
 * removals - what goes from the zone: at once when the source says so, past the guard
 * (common/model/guard.h) when it is only absent there.
 *
 * Owns: f->held. Blocks: never. Errors: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct fetcher;
struct event;

/* The source says that it is gone. Takes the event. */
void removals_withdraw(struct fetcher *f, const char *name, struct event *ev);
/* It is absent: it goes when the guard lets it. Takes the event, but not of one that is held. */
void removals_hold(struct fetcher *f, const char *name, struct event *ev);
void removals_there(struct fetcher *f, const char *name); /* it is not absent */

/* At the end of a pass: holds what it did not meet (one that looked at everything) ... */
void removals_sweep(struct fetcher *f);
/* ... and lets go what may. `whole`: it looked at everything. */
void removals_judge(struct fetcher *f, bool whole, int64_t end_ms);
void removals_reset(struct fetcher *f);
