/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask - what the workers think of a configuration, before it counts: each one that would run is
 * started with --check, gets its slice on stdin, and says what is wrong, key by key, without
 * connecting (common/worker/worker.h). There is no second opinion here about what they read.
 *
 * Owns:    the processes it starts, while it asks.
 * Blocks:  ASK_MS at most, for all of them: not on a loop's thread.
 * Errors:  problems. A worker that does not answer was not asked, which is one, too.
 * Threads: any.
 */
#pragma once

#include <stdatomic.h>

#include "supervisor/config/config.h"

#define ASK_MS		 8000 /* less than `zonesync reload` waits for the daemon */
#define ASK_ANSWER_BYTES (1U << 20)

struct ask {
	const char *libexec_dir;
	bool mine; /* they run as this user: what cannot be read now, they could not read then */
	const atomic_bool *stop; /* true: nobody waits for it any more; NULL: never */
};

void ask_workers(const struct config *c, const struct ask *a, struct problems *p);
