/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply - bytes of a server in, replies out, within limits.
 *
 * hiredis' reader with the bounds it lacks: the bytes of one
 * reply and the elements of one array are limited before room is made for them.
 *
 * Owns:    its buffer; a reply is borrowed and gone when the callback returns.
 * Blocks:  never; touches no fd, clock or loop.
 * Errors:  ERR_PROTO, ERR_LIMIT. After an error the stream is lost.
 */
#pragma once

#include <stddef.h>

#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/redis/redis.h"

struct reader;

#define READER_STOP (-1) /* the callback closed the reader's owner: touch nothing */

/* 0 to go on, READER_STOP, or an error to return. */
typedef int reader_fn(void *arg, const struct redis_reply *r);

struct reader *reader_create(size_t max_bytes) MUST_USE;
void reader_free(struct reader **r);
int reader_feed(struct reader *r, const void *p, size_t n, reader_fn *fn, void *arg,
		struct err *e) MUST_USE;
