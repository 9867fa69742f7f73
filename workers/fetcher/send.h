/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send - what goes out to the zone: events, chores, and the words that wait for them; page
 * after page, each of what is there when the end is free for it (zone-protocol 3).
 *
 * Owns:    f->send.
 * Blocks:  never.
 * Errors:  none; a page that is refused is the end's.
 */
#pragma once

#include "ipc.pb-c.h"
#include "workers/fetcher/publish/known.h"
#include "workers/fetcher/publish/outbox.h"
#include "workers/fetcher/publish/page.h"

#define SEND_DUE	 64	    /* words that wait for the rows before them to be sent */
#define SEND_QUARTERS	 4	    /* a page is a record at last */
#define SEND_WELL	 64	    /* pages that were taken, and the next are larger again */
#define SEND_ASIDE	 1000	    /* records at once, */
#define SEND_ASIDE_MS	 600000	    /* for so long: then each is tried again */
#define SEND_LIMIT_BYTES (1U << 19) /* no limit of a server for a client is below twice that */

struct fetcher;

enum chore_what {
	CHORE_KEEP,	 /* what could not be read stays, in the log of a refill */
	CHORE_TOMBSTONE, /* of what is not live */
	CHORE_MEND,	 /* the same, whole */
	CHORE_PURGE	 /* a tombstone that nobody needs */
};

struct chore { /* without a payload, sent when the outbox is empty */
	enum chore_what what;
	char *name, *ref, *version; /* owned; NULL: none */
	uint64_t revision;	    /* of the tombstone to purge */
};

enum due_what {
	DUE_CURSOR, /* the rows so far bring cursor `field` to `value` */
	DUE_POLL,   /* a poll left nothing open, all that it found is written; */
	DUE_LOOK,   /* or it left some open */
	DUE_CAUGHT  /* one that settled everything; `value`: the names it could not read */
};

struct due { /* to be written when all that came before it is */
	enum due_what what;
	char *field, *value;
	uint64_t seq;
};

struct send {
	struct outbox outbox;
	struct chore *chores;
	size_t n_chores, cap_chores, next_chore;
	struct outbox_item *undeploy; /* of a reference: its children go first */
	struct due due[SEND_DUE];
	size_t n_due;
	int64_t lag_ms;	       /* as old may be what is read; written before the next row */
	bool corrects;	       /* the zone says other sums than it holds */
	bool completes;	       /* that it is whole, when all is sent; */
	bool empty;	       /* of a refill that found nothing */
	char lineage_due[33];  /* of a refill that is to begin; "": none is */
	char *held, *accepted; /* owned: words about removals; NULL: none is due */
	struct zone_page redo; /* what was found damaged of the last page; n 0: nothing */
	/* Pages that connections do not bear. */
	unsigned quarters;  /* pages are 4^this smaller */
	unsigned well;	    /* so many were taken since */
	size_t last_n;	    /* records of the last page; */
	struct aside *only; /* owned: the large one it was made of; NULL: it was not */
	struct table aside; /* name -> struct aside, owned */
	uint64_t published, acked;
};

/* Takes the event. */
void send_event(struct fetcher *f, struct event *ev, const struct hash *h, enum outbox_how how);
void send_chore(struct fetcher *f, enum chore_what what, const char *name,
		const struct known_entry *e, const char *version); /* of a tombstone; NULL: none */
void send_cursor(struct fetcher *f, const char *field, const char *value);
/* A poll ended; one that left something open only looks whether the zone is as it was left. */
void send_poll(struct fetcher *f, bool counts);
void send_caught(struct fetcher *f, const char *unread);
void send_lag(struct fetcher *f, int64_t lag_ms);
void send_correction(struct fetcher *f);
void send_refill(struct fetcher *f, const char *lineage); /* it begins */
/* The zone is whole; `empty`: its refill found nothing in the source. */
void send_complete(struct fetcher *f, bool empty);
/* What is held back, and what a person took: the newest words count. */
void send_removals(struct fetcher *f, const char *held, const char *accepted);

/* Connections end with the last page on its way: smaller ones then, and what is one record is
   set aside. */
void send_shrink(struct fetcher *f);
bool send_is_aside(struct fetcher *f, const char *name, const struct hash *h);
void send_try_all(struct fetcher *f); /* whatever is set aside */

bool send_has_room(const struct fetcher *f); /* for what one item of the source may make due */
bool send_idle(const struct fetcher *f);
void send_pump(struct fetcher *f);
void send_done(struct fetcher *f, struct zone_page *p); /* it was taken */
void send_report(const struct fetcher *f, Ipc__FetcherReport *out);
void send_reset(struct fetcher *f); /* of this token; what connections do not bear stays known */
void send_free(struct fetcher *f);
