/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer - numbered batches of a publisher (zone-protocol 3), to whoever takes them: the
 * fenced script of a zone in Redis (zone_end.h), or the cache of this node (zone-protocol 7).
 *
 * Operations are added to the open batch; writer_flush() closes and sends it. Batches
 * are pipelined within a window; the content of a number never changes: after a lost
 * connection the writer asks for the last number there and sends the same bytes again
 * from there. Nothing is sent after the deadline of the lease.
 *
 * Owns:    the batches on the way.
 * Blocks:  never. writer_room() says when to stop adding.
 * Errors:  through hooks.over: ERR_FENCED (another token holds the lease), ERR_LOST
 *          (acknowledged batches were forgotten): the token is of no use any more.
 *          Through hooks.trouble: a batch was refused (ERR_FULL, ERR_REMOTE).
 *          Nothing is lost: call writer_up() after a while, and it is sent again.
 */
#pragma once

#include "common/base/str.h"
#include "common/model/event.h"

#define WRITER_TOKEN_BYTES  96
#define WRITER_BATCH_ITEMS  64
#define WRITER_BATCH_BYTES  (1U << 20)
#define WRITER_EMPTY	    "empty"    /* complete, of a zone whose refill found nothing */
#define WRITER_WINDOW	    8	       /* batches on the way */
#define WRITER_WINDOW_BYTES (8U << 20) /* but one larger batch may go alone */

struct writer;

struct written {
	uint64_t number;
	uint64_t revision;  /* of the zone after it */
	uint64_t effective; /* revisions it took */
	uint64_t left;	    /* children not yet withdrawn, of the last `C` */
	uint64_t unknown;   /* children of the last `C` whose share of the sums was lost */
	bool duplicate;	    /* had been applied before: the numbers above are unknown */
	void *mark;	    /* what the caller gave to writer_flush() */
};

struct writer_hooks {
	void *arg;
	void (*done)(void *arg, const struct written *w);
	void (*over)(void *arg, const struct err *why);
	void (*trouble)(void *arg, const struct err *why);
};

/* One operation, as the fields of a batch (write.lua tells what each letter means). */
struct write_op {
	char op;
	const char *name;	   /* of the event, W F T R A K P */
	const struct hash *hash;   /* W F A */
	const struct hash *was;	   /* W F T R: what counts there; NULL: nothing does */
	const struct event *ev;	   /* W F T R */
	const char *ref;	   /* K P C; NULL: none */
	const struct digest *sums; /* S */
	uint64_t number;	   /* C: how many; P: revision */
	const char *field;	   /* M O: field; L: lineage; Y: node */
	const char *value;	   /* M O: value; Y: version; E: complete */
};

struct batch_head {
	const char *token;
	uint64_t number;
};

/* Who takes batches. It answers each batch_send() with writer_answer() and each ask() with
   writer_known(), in order, unless the connection is lost. */
struct writer_end {
	bool (*is_up)(void *arg);
	void (*add)(void *arg, const struct batch_head *h, const struct write_op *op);
	size_t (*open_bytes)(void *arg);	     /* of the open batch */
	void (*finish)(void *arg, struct buf *wire); /* the open batch as bytes; it is empty then */
	int (*send)(void *arg, const struct buf *wire); /* < 0: not now */
	int (*ask)(void *arg);				/* the last number there; < 0: not now */
	void *arg;
};

struct write_answer {
	int rc; /* 0; ERR_FENCED, ERR_LOST; another: it was refused, and may be sent again */
	struct err why;
	struct written done; /* mark and number are the writer's */
};

struct writer *writer_create(const struct writer_end *end, const struct writer_hooks *h) MUST_USE;
void writer_answer(struct writer *w, const struct write_answer *a);
void writer_known(struct writer *w, uint64_t number, uint64_t epoch);
void writer_unknown(struct writer *w, const struct err *why); /* the question was refused */
void writer_missed(struct writer *w); /* an answer is lost with its connection */
void writer_free(struct writer **w);

/* A new token: everything of the old one is dropped, numbers start at 1. */
void writer_begin(struct writer *w, const char *token);
void writer_extend(struct writer *w, int64_t deadline_boot_ms); /* 0: stop sending */
bool writer_room(const struct writer *w);
bool writer_idle(const struct writer *w);      /* nothing open, nothing on the way */
size_t writer_waiting(const struct writer *w); /* batches not yet acknowledged */

/*
 * `was`: the hash of the name as this writer, the only one, wrote or read it last, when that
 * was live; else NULL. The zone's sums are taken from it: what stands there may be damaged.
 * `forced`: whatever is there.
 */
void writer_put(struct writer *w, const struct event *ev, const struct hash *h,
		const struct hash *was, bool forced);
/* An event of UNDEPLOY. */
void writer_tombstone(struct writer *w, const struct event *ev, const struct hash *was,
		      bool forced);
/* What count and digest are, of what stands there. */
void writer_sums(struct writer *w, const struct digest *d);
void writer_adopt(struct writer *w, const char *name, const struct hash *h);
void writer_keep(struct writer *w, const char *name, const char *ref);
void writer_children(struct writer *w, const char *ref, unsigned limit);
void writer_purge(struct writer *w, const char *name, const char *ref, uint64_t revision);
void writer_meta(struct writer *w, const char *field, const char *value);
void writer_cursor(struct writer *w, const char *field, const char *value);
void writer_refill_begin(struct writer *w, const char *lineage);
void writer_refill_end(struct writer *w, bool empty); /* it found nothing */
void writer_flush(struct writer *w, void *mark);      /* nothing to send: does nothing */

/* A field of the state Java gateways read (wire page 1.7): from -1, so that one which takes
   over reads everything. */
void writer_sync_state(struct writer *w, const char *node_id, const char *version);

/* The connection came up or went down. */
void writer_up(struct writer *w);
void writer_down(struct writer *w);

/* Sends what the deadline held back; call it when time passed or the lease was extended. */
void writer_pump(struct writer *w);
