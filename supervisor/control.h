/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control - the supervisor's socket: one Request, one Reply (control.proto).
 *
 * The socket is 0660; beyond that a peer must be root, our own user, or in the group of
 * the socket (zonesync.control.group). Others get an answer that says so.
 *
 * Owns:    the listener (and removes its path), the connections.
 * Blocks:  never.
 * Errors:  a peer that floods, stalls or lies is closed; CONTROL_MAX at once,
 *          CONTROL_IDLE_MS without a request.
 */
#pragma once

#include <uv.h>

#include "common/base/err.h"
#include "ipc.pb-c.h"
#include "supervisor/command.h"

#define CONTROL_MAX	32
#define CONTROL_IDLE_MS 30000

struct control;

struct control_opts {
	uv_loop_t *loop;
	int fd; /* it listens; taken over */
	const char *path, *group;
	struct supervisor *supervisor; /* for `answer`, and to ask for the status */
	command_fn *answer;
};

int control_open(struct control **out, const struct control_opts *o, struct err *e) MUST_USE;
void control_close(struct control **c);

/* What the cache found, for all who asked; NULL: it is gone, and will not answer. */
void control_examined(struct control *c, const Ipc__Examined *found);

/* What came of a reload, for all who asked; `why` of code 0: it is done. */
void control_reloaded(struct control *c, const char *text, const struct err *why);
