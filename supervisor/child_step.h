/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child_step - what a worker process may be, and what each fact makes of it.
 *
 * The wish (want_up) is kept apart from the state and is set before the step, so a
 * start asked for while stopping is honoured when the process is gone.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none; an impossible fact CHECKs.
 */
#pragma once

#include <stdbool.h>

enum child_state {
	CHILD_DOWN,
	CHILD_STARTING, /* spawned, READY not yet seen */
	CHILD_UP,
	CHILD_STOPPING, /* asked or told to go */
	CHILD_BACKOFF,	/* died; waits to be started again */
	CHILD__COUNT
};

enum child_event {
	ON_WANT_UP,
	ON_WANT_DOWN,
	ON_READY,
	ON_GONE,    /* exited, and its channel is drained */
	ON_TIMEOUT, /* the one timer: READY too late, stop too late, backoff over */
	ON_GIVE_UP, /* gone, and must not be started again (exit 78) */
	ON__COUNT
};

enum child_act {
	ACT_NONE,
	ACT_SPAWN,   /* -> STARTING */
	ACT_TERM,    /* -> STOPPING: Stop and SIGTERM, the kill timer runs */
	ACT_UP,	     /* -> UP */
	ACT_BACKOFF, /* -> BACKOFF: the restart timer runs */
	ACT_SETTLE,  /* gone while stopping: DOWN, or SPAWN again when wanted */
	ACT_DOWN,    /* -> DOWN */
	ACT_KILL,    /* SIGKILL; the state stays until it is gone */
	ACT_BUG	     /* cannot happen */
};

const char *child_state_name(enum child_state s);
enum child_act child_step(enum child_state s, enum child_event ev);
