/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer - numbered, fenced batches into a zone (zone-protocol 3).
 *
 * Operations are added to the open batch; writer_flush() closes and sends it. Batches
 * are pipelined within a window; the content of a number never changes: after a lost
 * connection the writer asks for the zone's `batch` and sends the same bytes again
 * from there. Nothing is sent after the deadline of the lease.
 *
 * Owns:    the batches on the way.
 * Blocks:  never. writer_room() says when to stop adding.
 * Errors:  through hooks.over: ERR_FENCED (another token holds the lease), ERR_LOST
 *          (Redis forgot acknowledged batches): the token is of no use any more.
 *          Through hooks.trouble: the server refused a batch (ERR_FULL, ERR_REMOTE).
 *          Nothing is lost: call writer_up() after a while, and it is sent again.
 */
#pragma once

#include "common/model/event.h"
#include "common/zone/conn.h"

#define WRITER_BATCH_ITEMS  64
#define WRITER_BATCH_BYTES  (1U << 20)
#define WRITER_WINDOW	    8	       /* batches on the way */
#define WRITER_WINDOW_BYTES (8U << 20) /* but one larger batch may go alone */

struct writer;

struct written {
	uint64_t number;
	uint64_t revision;  /* of the zone after it */
	uint64_t effective; /* revisions it took */
	uint64_t left;	    /* children not yet withdrawn, of the last `C` */
	bool duplicate;	    /* had been applied before: the numbers above are unknown */
	void *mark;	    /* what the caller gave to writer_flush() */
};

struct writer_hooks {
	void *arg;
	void (*done)(void *arg, const struct written *w);
	void (*over)(void *arg, const struct err *why);
	void (*trouble)(void *arg, const struct err *why);
};

struct writer *writer_create(struct zone_conn *z, const struct writer_hooks *h) MUST_USE;
void writer_free(struct writer **w);

/* A new token: everything of the old one is dropped, numbers start at 1. */
void writer_begin(struct writer *w, const char *token);
void writer_extend(struct writer *w, int64_t deadline_boot_ms); /* 0: stop sending */
bool writer_room(const struct writer *w);
bool writer_idle(const struct writer *w);      /* nothing open, nothing on the way */
size_t writer_waiting(const struct writer *w); /* batches not yet acknowledged */

void writer_put(struct writer *w, const struct event *ev, const struct hash *h, bool forced);
void writer_touch(struct writer *w, const char *name, const struct hash *h, const char *version);
/* `limit`: a write above this revision survives; UINT64_MAX: no limit. */
void writer_tombstone(struct writer *w, const char *name, const char *ref, uint64_t limit);
void writer_keep(struct writer *w, const char *name, const char *ref);
void writer_children(struct writer *w, const char *ref, unsigned limit);
void writer_purge(struct writer *w, const char *name, uint64_t revision);
void writer_meta(struct writer *w, const char *field, const char *value);
void writer_cursor(struct writer *w, const char *field, const char *value);
void writer_refill_begin(struct writer *w, const char *lineage);
void writer_refill_end(struct writer *w);
void writer_flush(struct writer *w, void *mark); /* nothing to send: does nothing */

/* A field of the state Java gateways read (wire page 1.7): from -1, so that one which takes
   over reads everything. */
void writer_sync_state(struct writer *w, const char *node_id, const char *version);

/* The connection came up or went down. */
void writer_up(struct writer *w);
void writer_down(struct writer *w);

/* Sends what the deadline held back; call it when time passed or the lease was extended. */
void writer_pump(struct writer *w);
