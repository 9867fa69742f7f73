/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed - the source's thread and the bounded queue between it and the loop.
 *
 * A source reads and maps in its own thread, since reading blocks; what it finds
 * crosses as items. When the queue is full the source waits: a slow Redis slows the
 * reading, nothing piles up.
 *
 * Owns:    the thread, the queue, the source.
 * Blocks:  feed_put() until there is room (on the source's thread); feed_close() until
 *          the thread has left its present file.
 * Threads: feed_put(), feed_stopping() on the source's thread; the rest on the loop.
 */
#pragma once

#include <uv.h>

#include "common/model/event.h"
#include "workers/fetcher/source.h"

#define FEED_ITEMS 2048
#define FEED_BYTES (16U << 20) /* but one larger item may pass alone */

enum feed_type {
	FEED_BEGIN,	 /* a pass begins; `full`: over everything */
	FEED_EVENT,	 /* what an entity is now; `absent`: its row is gone */
	FEED_KEPT,	 /* the event named `where` stays as it is: its row cannot be read */
	FEED_QUARANTINE, /* `where` cannot be read: `text` says why */
	FEED_CLEARED,	 /* `where` is fine again, or gone */
	FEED_END	 /* the pass ended; `rc` < 0: it failed and proves nothing */
};

struct feed_item {
	struct feed_item *next;
	enum feed_type type;
	bool full;
	bool whole; /* END: all of the source was looked at, read again or not */
	bool absent;
	int rc;
	struct event ev;
	struct hash hash;
	enum kind kind; /* QUARANTINE: of what */
	bool id_known;	/* QUARANTINE: the last good version is named in `id` */
	char *id;
	char *where;
	char *text;
	uint64_t rows; /* END: read in this pass */
};

struct feed;

/* `ready` runs on the loop when there is something to take. */
typedef void feed_ready_fn(void *arg);

struct feed *feed_open(uv_loop_t *loop, struct source *s, uint32_t delay_ms, feed_ready_fn *ready,
		       void *arg) MUST_USE;
void feed_close(struct feed **f);

/* The next item, the caller's now; NULL when there is none. */
struct feed_item *feed_take(struct feed *f);
void feed_item_free(struct feed_item *i);
void feed_full_pass(struct feed *f); /* asks for one, besides those at the start */

/* Boot time of the last sign of life of the thread. */
int64_t feed_heard_ms(struct feed *f);

/* --- for sources --- */
struct feed_item *feed_item_new(enum feed_type type) MUST_USE;
void feed_put(struct feed *f, struct feed_item *i); /* takes it */
void feed_whole(struct feed *f); /* the pass under way looks at all of the source */
bool feed_stopping(struct feed *f);
