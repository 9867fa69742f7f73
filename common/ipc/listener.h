/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener - a listening pipe that takes a bounded number of connections per turn of the loop.
 *
 * libuv accepts until there is nobody left, and frees what was closed only after that: who
 * connects and leaves in a loop would have the process to itself, and all its memory. Here
 * the next one waits for the next turn. So everybody else is heard in between, and of
 * connections that are closing there are at most LISTENER_TURN_MAX more than were open.
 *
 * Owns:    the pipe; listener_close() releases all when libuv has let go.
 * Blocks:  never.
 * Errors:  libuv's, of listener_start(). A connection that fails is forgotten.
 */
#pragma once

#include <uv.h>

#include "common/base/err.h"

#define LISTENER_TURN_MAX 16

struct listener;

struct listener_hooks {
	void *arg;
	void (*connection)(void *arg, uv_stream_t *from); /* has to chan_accept() it */
};

struct listener *listener_create(uv_loop_t *loop, const struct listener_hooks *h) MUST_USE;
uv_pipe_t *listener_pipe(struct listener *l); /* to be bound or opened before the start */
int listener_start(struct listener *l, int backlog, struct err *e) MUST_USE;
void listener_close(struct listener **l); /* no hook is called any more; NULL is fine */
