/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame - cut a byte stream into length-prefixed messages.
 *
 * Wire form: 4-byte big-endian body length, then the body. A body longer than
 * the limit is refused before any room is made for it.
 *
 * Owns:    the reassembly buffer; frame_reader_reset() releases it.
 * Blocks:  never; touches no fd, clock or loop.
 * Errors:  ERR_PROTO, or what the callback returns. After an error the stream is lost.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

#define FRAME_MAX_BYTES	 (1U << 20)
#define FRAME_HEAD_BYTES 4
#define FRAME_STOP	 (-1) /* the callback closed the owner: feed returns 0, touches nothing */

struct frame_reader {
	struct buf rest; /* an incomplete message */
	size_t max;	 /* of a body; 0: FRAME_MAX_BYTES, which it may only lower */
};

/* 0 to go on, FRAME_STOP, or an error. The body is borrowed until it returns. */
typedef int frame_fn(void *arg, const uint8_t *body, size_t n, struct err *e);

int frame_feed(struct frame_reader *r, const void *p, size_t n, frame_fn *fn, void *arg,
	       struct err *e) MUST_USE;
void frame_reader_reset(struct frame_reader *r);

/* Writes the four bytes before a body of n bytes; n is at most FRAME_MAX_BYTES. */
void frame_head(uint8_t head[FRAME_HEAD_BYTES], size_t n);
