/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed - the source's thread and the bounded queue between it and the loop.
 *
 * A source reads and maps in its own thread, since reading blocks; what it finds
 * crosses as items. When the queue is full the source waits: a slow Redis slows the
 * reading, nothing piles up.
 *
 * Owns:    the thread, the queue, the source.
 * Blocks:  on the source's thread only: feed_put_*() until there is room, feed_ask() until
 *          the loop has answered. feed_close() lets go at once; what is left ends by
 *          itself, or ends the process when the source does not come back (FEED_STUCK_MS).
 * Threads: what is "for sources" on the source's thread; the rest on the loop.
 */
#pragma once

#include <uv.h>

#include "common/model/event.h"
#include "workers/fetcher/source/source.h"
#include "workers/fetcher/source/unpublished.h"

#define FEED_ITEMS    2048
#define FEED_BYTES    (16U << 20) /* but one larger item may pass alone */
#define FEED_STUCK_MS 60000	  /* a source that was told to stop and does not */
#define FEED_END_MS   1000	  /* the same when the process has nothing else to do */
#define FEED_REST_MS  25	  /* between two passes, however many changes are told */
#define FEED_RETRY_MS 1000	  /* the same after one that failed */
#define FEED_AGAIN_MS 5000	  /* a pass that failed comes again, though the delay is longer */

enum feed_type {
	FEED_BEGIN,	 /* a pass begins */
	FEED_EVENT,	 /* what an entity is now, as `by` says */
	FEED_KEPT,	 /* the event named `where` stays as it is: its row cannot be read */
	FEED_QUARANTINE, /* `where` cannot be read: `text` says why */
	FEED_CLEARED,	 /* `where` is fine again, or gone */
	FEED_ASK,	 /* `asks` wait for feed_answer() */
	FEED_DOUBT,  /* the source lacks something: `text`. Of the kinds of `blocks`, of which the
			    zone holds `rows` at least, absence proves nothing */
	FEED_UNMET,  /* `unmet` waits for feed_answer(): what this pass did not come across */
	FEED_CURSOR, /* the rows so far bring cursor `where` of the zone to `text` */
	FEED_LAG,    /* what is read from here on was true `lag_ms` before it began, at least */
	FEED_OTHER,  /* the zone was made from another source: `text` */
	FEED_NOTIFY, /* how the source learns of changes between two polls: `text` */
	FEED_UNPUBLISHED, /* `unpublished` is the account of all of the source, until the next */
	FEED_END	  /* the pass ended; `rc` < 0: it failed and proves nothing */
};

/* What the zone holds of a row's event, so that what it holds is not read again. */
enum feed_verdict {
	ASK_SAME,   /* nothing to do: live in this version, or in a newer one; `gone`: not live */
	ASK_BARRED, /* nothing to do: withdrawn in this version, or in a newer one */
	ASK_OTHER,
	ASK_NEW /* not live */
};

/* What an event rests on: its row says so; or is gone; or no product makes it eligible, which
   is no better than that while one of them is gone. */
enum feed_by { BY_ROW, BY_ABSENCE, BY_PRODUCTS };

struct feed_ask {
	char *name;	    /* of the event */
	int64_t version_ms; /* of the row; 0: it has none, or `gone` is not of the row's making */
	bool gone;	    /* the row withdraws it */
	enum feed_verdict verdict;
};

struct feed_unmet { /* `{ 0 }` is empty; no larger than what the zone holds */
	struct feed_name {
		enum kind kind;
		char *id; /* owned */
	} * v;
	size_t n, cap;
};

static inline bool ask_is_same(const struct feed_ask *a)
{
	return a->verdict == ASK_SAME || a->verdict == ASK_BARRED;
}

struct feed_item {
	struct feed_item *next;
	enum feed_type type;
	enum pass_kind pass;	      /* BEGIN, END */
	int64_t at_ms;		      /* BEGIN, END: boot time of it */
	struct feed_ask *const *asks; /* not owned: the source's, which waits */
	size_t n_asks;
	struct feed_unmet *unmet;	 /* the same */
	struct unpublished *unpublished; /* UNPUBLISHED: owned */
	int64_t lag_ms;			 /* LAG */
	bool whole; /* END: all of the source was looked at, read again or not */
	enum feed_by by;
	int rc;
	struct event ev;
	struct hash hash;
	enum kind kind; /* QUARANTINE: of what; KIND__COUNT: of an event, nobody knows which */
	unsigned
		blocks; /* QUARANTINE, DOUBT: a bit for each kind of which nothing is removed meanwhile,
			    since the last good version can be named neither by `id` nor by KEPT */
	char *id;
	char *where;
	char *text;
	uint64_t rows; /* END: read in this pass; DOUBT */
};

struct feed;

typedef void feed_ready_fn(void *arg); /* on the loop: there is something to take */

struct feed_opts {
	uint32_t delay_ms;
	enum pass_kind first; /* COMPARE: a source that resumes makes a DELTA before it */
	feed_ready_fn *ready;
	void *arg;
};

struct feed *feed_open(uv_loop_t *loop, struct source *s, const struct feed_opts *o) MUST_USE;
void feed_close(struct feed **f); /* the loop cannot end before the thread has */
void feed_ending(void); /* the process only waits for closed feeds now, and ends without them */

struct feed_item *feed_take(struct feed *f); /* the next, the caller's now; NULL: none */
void feed_item_free(struct feed_item *i);
void feed_answer(struct feed *f); /* the verdicts of the ASK that was taken stand */
void feed_want(struct feed *f, enum pass_kind what); /* asks for such a pass; for sources too */
int64_t feed_heard_ms(struct feed *f); /* boot time of the last sign of life of the thread */

/* --- for sources --- */
void feed_whole(struct feed *f);   /* the pass under way looks at all of the source */
void feed_partial(struct feed *f); /* it does not: what it does not name may well be there */
void feed_notify(struct feed *f, const char *text); /* puts a NOTIFY when it says another thing */
void feed_lag(struct feed *f, int64_t lag_ms);	    /* the same; before the rows of a pass */
void feed_put_event(struct feed *f, struct event *ev, enum feed_by by); /* takes the event */
/* KEPT, CLEARED, CURSOR, NOTIFY; `text` may be NULL. */
void feed_say(struct feed *f, enum feed_type type, const char *where, const char *text);
struct feed_bad { /* QUARANTINE; not owned */
	enum kind kind;
	unsigned blocks;
	const char *id, *where, *why;
};
void feed_quarantine(struct feed *f, const struct feed_bad *b);
/* These fail with ERR_STATE when the source is to stop. */
int feed_ask(struct feed *f, struct feed_ask *const *v, size_t n, struct err *e) MUST_USE;
/* Of everything that this pass, which looks at all, would take for absent. */
int feed_unmet(struct feed *f, struct feed_unmet *out, struct err *e) MUST_USE;
int feed_stopped(struct feed *f, struct err *e) MUST_USE;
void feed_unmet_add(struct feed_unmet *u, enum kind k, const char *id);
void feed_unmet_reset(struct feed_unmet *u);
void feed_unpublished(struct feed *f, struct unpublished *u); /* takes what is in it */
void feed_doubt(struct feed *f, unsigned kinds, size_t least, const char *text); /* DOUBT */
bool feed_stopping(struct feed *f);
