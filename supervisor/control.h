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

#define CONTROL_MAX	32
#define CONTROL_IDLE_MS 30000

struct control;
struct supervisor;

/* Takes the listening descriptor over. */
int control_open(struct control **out, struct supervisor *s, uv_loop_t *loop, int fd,
		 const char *path, struct err *e) MUST_USE;
void control_close(struct control **c);

/* What the cache found, for all who asked; NULL: it is gone, and will not answer. */
void control_examined(struct control *c, const Ipc__Examined *found);
