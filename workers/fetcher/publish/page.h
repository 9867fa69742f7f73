/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page - what is written at once: records with their revisions, and the meta they lead to, made
 * of what is to be said with the help of `known` (zone-protocol 3). Redis and the cache of a node
 * alone are two sinks of the same pages; they compare, count and digest nothing.
 *
 * A page says what `known` says from then on: it is sent as it is, again and again, or the token
 * ends and all is learned anew. One revision for each event that has an effect; an equal one
 * takes none, its version may be brought up to date.
 *
 * Owns:    all it holds; page_drop() releases it.
 * Blocks:  never; pure.
 * Errors:  none. page_has_room() says when to stop adding.
 */
#pragma once

#include "workers/fetcher/publish/known.h"

#define PAGE_RECORDS	    256 /* one EXEC stops the server for as long as they take: 1.6 ms */
#define PAGE_REFILL_RECORDS 512 /* while nobody waits for what is in it */
#define PAGE_BYTES	    (1U << 20)
#define PAGE_EMPTY	    "empty" /* complete, of a zone whose refill found nothing */

enum record_what {
	RECORD_WRITE,	/* all of it; a tombstone has every field but the payload */
	RECORD_VERSION, /* nothing but its version is new: it takes no revision */
	RECORD_KEEP,	/* what could not be read stays as it is, in the log of a refill */
	RECORD_FORGET	/* a tombstone that nobody needs any more */
};

struct page_record {
	enum record_what what;
	struct event ev; /* owned; KEEP and FORGET know no payload */
	char *name;	 /* owned */
	struct hash hash;
	uint64_t revision;
	int64_t updated_ms;
	bool bare;    /* KEEP: another wrote what stands there */
	bool damaged; /* what stands under its name is in the way: it goes first; or what a sink
			 found of it: it is to be written again */
};

enum page_where { PAGE_META, PAGE_CURSOR };

struct page_field {
	enum page_where where;
	char *field, *value; /* owned */
};

struct zone_page {
	uint64_t number;	 /* under its token; the sender's */
	uint64_t base, revision; /* of the zone before and after it */
	uint64_t horizon;
	struct digest sums;					     /* after it */
	char was[KNOWN_LINEAGE_BYTES], lineage[KNOWN_LINEAGE_BYTES]; /* before and after it */
	const char *complete; /* static; of the refill that ends with it, else NULL */
	struct page_record *records;
	size_t n, cap, bytes;
	size_t most, most_bytes; /* PAGE_BYTES, or what the sender says */
	struct page_field *fields;
	size_t n_fields, cap_fields;
	bool begins;	 /* a refill, under its lineage */
	int64_t now_ms;	 /* wall clock of its making; a sink with a clock has that of its own */
	bool sync_state; /* the state that Java readers look at is due */
	bool corrects;	 /* the zone said other sums than it holds */
	bool caught;
	bool looks; /* nothing but whether the zone is as it was left */
};

/* An empty one, behind the page before. */
void page_begin(struct zone_page *p, const struct known *k, size_t most, int64_t now_ms);
bool page_has_room(const struct zone_page *p, size_t payload_bytes);
bool page_is_empty(const struct zone_page *p);
void page_drop(struct zone_page *p);

/* These take the event over. Of a name that `known` has. */
void page_deploy(struct zone_page *p, struct known *k, struct event *ev, const struct hash *h,
		 bool forced);
/* A version of "" says nothing of a later deploy. `forced`: whole, though it is one. */
void page_withdraw(struct zone_page *p, struct known *k, struct event *ev, bool forced);

/* As many of the live children of a reference as there is room for; true: none is left. */
bool page_children(struct zone_page *p, struct known *k, const char *ref) MUST_USE;
void page_keep(struct zone_page *p, struct known *k, const char *name);
/* The tombstone of that revision, which is no longer known then. */
void page_purge(struct zone_page *p, struct known *k, const char *name, uint64_t revision);

/* A damaged record again, under a new revision: what stood there was in its way. */
void page_again(struct zone_page *p, struct known *k, struct page_record *r);

void page_field(struct zone_page *p, enum page_where where, const char *field, const char *value);
void page_refill_begin(struct zone_page *p, struct known *k, const char *lineage);
void page_refill_end(struct zone_page *p, bool empty); /* it found nothing */

/* Nothing is added any more: what it leads to. */
void page_close(struct zone_page *p, const struct known *k);
