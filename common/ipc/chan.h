/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chan - framed protobuf-c messages over a stream socket on the loop.
 *
 * A slow reader is never buffered for without end: beyond `queue_max_bytes` of unsent
 * bytes a send is refused with ERR_BUSY, and the owner decides what that means.
 *
 * Owns:    the descriptor and the pipe; chan_close() releases all when libuv has let go.
 * Blocks:  never. One read per turn of the loop.
 * Errors:  hooks.closed gets ERR_PROTO, ERR_BUSY, -errno, or UV_EOF when the peer left.
 *          After a reason of ours (not the kernel's) a last word may still be sent.
 *          No hook is called after chan_close(), and none inside chan_send().
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <uv.h>

#include "common/ipc/frame.h"

#define CHAN_QUEUE_BYTES (4U << 20)

struct chan;

struct chan_hooks {
	void *arg;
	/* 0, FRAME_STOP after chan_close(), or an error, which closes with that reason. */
	int (*message)(void *arg, const uint8_t *body, size_t n, struct err *e);
	void (*closed)(void *arg, const struct err *why); /* the channel is dead; close it */
	void (*drained)(void *arg);			  /* queue empty again; may be NULL */
};

/* Takes the descriptor over, also on error. */
int chan_open(struct chan **out, uv_loop_t *loop, int fd, const struct chan_hooks *h,
	      struct err *e) MUST_USE;

/* Accepts from a listening pipe. */
int chan_accept(struct chan **out, uv_stream_t *listener, const struct chan_hooks *h,
		struct err *e) MUST_USE;
void chan_close(struct chan **c);

/* A longer message of the peer closes with ERR_PROTO; FRAME_MAX_BYTES when it is not called. */
void chan_limit(struct chan *c, size_t body_bytes);
void chan_mute(struct chan *c); /* reads no more; what was read already still comes */
int chan_send(struct chan *c, const ProtobufCMessage *m) MUST_USE;
size_t chan_queued_bytes(const struct chan *c);
uint64_t chan_taken_bytes(const struct chan *c); /* by the peer's kernel, since the beginning */
int chan_fd(const struct chan *c);		 /* for SO_PEERCRED; not for reading or writing */

/* Closes once everything queued was written; no hook is called any more. */
void chan_finish(struct chan **c);
