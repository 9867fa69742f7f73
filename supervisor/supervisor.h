/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor - the process that runs the others: starts them, relays between them,
 * promotes the fetcher on the elector's lease, reloads, stops in order.
 *
 * It links no client of a database or of Redis, and nothing a worker does ends it.
 *
 * Owns:    the children, the configuration, the control socket, the listeners.
 * Blocks:  on the configuration file at start, on small state files.
 * Errors:  supervisor_open(): ERR_CONFIG (exit 78), -errno.
 */
#pragma once

#include <uv.h>

#include "control.pb-c.h"
#include "supervisor/child.h"
#include "supervisor/command.h"
#include "supervisor/config/config.h"
#include "supervisor/config/slice.h"
#include "supervisor/nonce.h"
#include "supervisor/role.h"

#define SUPERVISOR_DEATHS 32 /* ring of recent deaths */

struct options {		   /* of the command line */
	char *path[OPTION__PATHS]; /* absolute; OPTION_LOG_DIR NULL: everything to stderr */
	unsigned time_scale;	   /* percent; for tests */
};

struct supervisor;

/* `answer`: to what the control socket is asked. */
int supervisor_open(struct supervisor **out, uv_loop_t *loop, const struct options *o,
		    command_fn *answer, struct err *e) MUST_USE;
void supervisor_stop(struct supervisor *s); /* in order; the loop ends when all are gone */
void supervisor_free(struct supervisor **s);

/* What the control socket may ask for, and what there is to say of it: texts are the caller's. */
typedef int supervisor_fn(struct supervisor *s, struct buf *text, struct err *e);
/* control_reloaded() says what came of it. `zone`: that it may enter, "": only its own. */
int supervisor_reload(struct supervisor *s, const char *zone, struct err *e) MUST_USE;
supervisor_fn supervisor_reopen_logs;
supervisor_fn supervisor_stepdown;
supervisor_fn supervisor_examine;
supervisor_fn supervisor_takeover;
supervisor_fn supervisor_resync;  /* the cache builds its store anew */
supervisor_fn supervisor_compare; /* the fetcher compares the source with the zone */
supervisor_fn supervisor_show_config;
int supervisor_restart(struct supervisor *s, const char *worker, struct buf *text,
		       struct err *e) MUST_USE;
/* Of the removals that its fetcher holds back and status shows; `set` NULL: whichever. */
int supervisor_accept_deletes(struct supervisor *s, const char *set, struct buf *text,
			      struct err *e) MUST_USE;

Control__Status *supervisor_status(struct supervisor *s) MUST_USE; /* message_free() it */
