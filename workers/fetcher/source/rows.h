/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows - pages of database rows in, items of the feed out: finds out which rows the zone
 * does not hold yet, reads those, and maps each in the light of what it hangs on.
 *
 * A page is looked at in brief: ids, versions, relations. The feed's loop says what the
 * zone holds of it (feed_ask()), and only the rest is read with its payload; a refill reads
 * whole rows at once. A subscription is an event only while what it refers to, an API or an
 * API product, is deployed with its plan, a key while its subscription is (storage 3.6).
 * When a reference is deployed anew or its plans change, its subscriptions and their keys are
 * looked at again, as are the keys of a subscription that changed (zone-protocol 3): their rows
 * may lie far behind the cursor. So are the APIs that a product gains or loses, since it makes
 * them eligible.
 *
 * The id of a shared policy group is the same in all environments it was promoted to, and
 * each has a row: the newest of them counts, as it does for the reference.
 *
 * Owns:    what it remembers of references (their plans), and which rows are set aside.
 * Blocks:  in the database, and in feed_put_event() and feed_ask().
 * Errors:  those of the database, and ERR_STATE when the feed is stopping; a row that cannot
 *          be read or mapped is quarantined.
 */
#pragma once

#include "common/base/table.h"
#include "workers/fetcher/source/db.h"
#include "workers/fetcher/source/feed.h"
#include "workers/fetcher/map/membership.h"

#define ROWS_PAGE_BYTES (4U << 20) /* of rows that are kept for a look at them together */

struct rows {
	struct feed *feed; /* during a pass */
	struct db *db;
	struct map_ctx *ctx;
	const struct map_ids *environments;  /* only their rows, none: all; not owned */
	const struct map_ids *organizations; /* the same of licenses; sorted */
	uint32_t pass;			     /* number of the pass under way */
	bool remap;	      /* what rows are mapped with has changed: versions prove nothing */
	bool unsure;	      /* rows beyond the cursors may be half done: the last pass failed,
				    or was another process's */
	uint64_t read;	      /* rows, in this pass */
	struct table claims;  /* name -> struct claim, owned: of entities of several rows */
	struct table refs[2]; /* of APIs, of products: id -> struct ref, owned */
	struct map_ids owed;  /* APIs to be judged again, since products gained or lost them */
	struct map_unsure products;
	struct unpublished *unpublished; /* not owned; NULL: not a scan of everything */
	struct table quarantine;	 /* where -> number of the pass that saw it */
};

struct rows_edge {	     /* where a scan has come to */
	enum pass_kind kind; /* that it is a part of */
	int64_t ms;
	char *id;      /* owned, a position; NULL: no row was seen */
	int64_t in_ms; /* boot time: when the last page was in, and not yet looked at */
	/* The greatest (ms, id) that is not later than `until_ms`: what a cursor may say. */
	int64_t until_ms;
	int64_t seen_ms;
	char *seen_id; /* owned; NULL: none */
	/* The cursor it began at: rows up to it were done with all that hangs on them. */
	int64_t done_ms;
	const char *done_id; /* not owned; NULL: none */
};

void rows_begin(struct rows *r, struct feed *f, enum pass_kind kind);

/* Of a table, as far as it is of this gateway's environments. */
void rows_query(const struct rows *r, enum db_table t, struct db_query *q);

/* Each row of a query; `fn` asks no other one. The number of rows. */
int rows_each(struct rows *r, const struct db_query *q, db_row_fn *fn, void *arg,
	      struct err *e) MUST_USE;

/* A page of a table that is scanned; the edge moves on, and the query to the next page. 1:
   there may be one. */
int rows_take(struct rows *r, struct db_query *q, struct rows_edge *edge, struct err *e) MUST_USE;

/* A look in brief at rows of these ids, wherever their time stamps lie. */
int rows_take_ids(struct rows *r, enum pass_kind kind, enum db_table t, const struct map_ids *ids,
		  struct err *e) MUST_USE;
/* A row may have slipped past the scan: what the zone holds and no row made is asked for by its
   id before it counts as absent (zone-protocol 4.5). Rows that are there are taken. */
int rows_ask(struct rows *r, enum pass_kind kind, const struct feed_unmet *u,
	     struct err *e) MUST_USE;
/* Reads all products, so that APIs can be judged by them: `owed` and `products` say what
   came of it. */
int rows_products(struct rows *r, struct err *e) MUST_USE;
/* Reads and maps what is owed. */
int rows_rejudge(struct rows *r, enum pass_kind kind, struct err *e) MUST_USE;

/* A row that cannot be used, and one that can. `name` of its event: NULL when unknown. */
void rows_quarantine(struct rows *r, enum db_table t, const char *id, const char *name,
		     const char *why);
/* The same of a kind that is told; sets where and blocks. */
void rows_quarantine_of(struct rows *r, enum db_table t, struct feed_bad *bad, const char *name);
bool rows_is_bad(const struct rows *r, enum db_table t, const char *id); /* it is set aside */
void rows_fine(struct rows *r, enum db_table t, const char *id);

/* Its row cannot be read: it stays as it is. */
void rows_keep(struct rows *r, enum kind k, const char *id);

/* After a pass over everything: rows that were set aside and did not come again are gone. */
void rows_settle(struct rows *r);
void rows_edge_reset(struct rows_edge *edge);
void rows_reset(struct rows *r);
