/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows_page - what the files of rows share: a page of rows that is looked at together, and
 * what is remembered of a reference: an API, or an API product.
 *
 * Owns, blocks, errors: as rows.h says. Nobody outside includes this.
 */
#pragma once

#include "workers/fetcher/source/rows.h"

struct row {
	char *id; /* owned */
	int64_t updated_ms;
	bool redo;
	struct buf text; /* JSON */
};

struct row_page {
	struct rows *r;
	enum db_table table;
	bool brief;
	bool attached; /* subscriptions of an API that is deployed anew */
	bool redo;     /* of rows from now on: what hangs on them may not have been looked at */
	struct row *v; /* owned */
	size_t n, cap, bytes;
};

/* For db.rows: keeps the row; looks at the page when it is full. */
int page_add(void *arg, const struct db_row *row, struct err *e);
/* Looks at what is in it, and empties it. */
int page_take(struct row_page *p, struct err *e) MUST_USE;
void page_reset(struct row_page *p);
struct json_span page_row(const struct row *row);

/* Rows whose `field` is one of the ids ("id": those rows), in as many queries as it takes. */
struct row_lookup {
	enum db_table table;
	bool brief;
	const char *field;
	char *const *ids;
	size_t n;
};
int rows_look_up(struct rows *r, const struct row_lookup *l, db_row_fn *fn, void *arg,
		 struct err *e) MUST_USE;

/* Maps, and puts what comes of it or sets the row aside. */
int rows_events_page(struct row_page *p, struct err *e) MUST_USE;
int rows_subscriptions_page(struct row_page *p, struct err *e) MUST_USE;
int rows_keys_page(struct row_page *p, struct err *e) MUST_USE;
void rows_whole_page(struct row_page *p); /* licenses, access points */

void rows_put(struct rows *r, struct map_out *out); /* an event, or nothing; takes it */
/* `version_ms`: of the row that says so; 0: it does not, by itself. */
void rows_withdraw(struct rows *r, const struct event *what, int64_t version_ms);

enum ref_state {
	REF_UNKNOWN,
	REF_ABSENT, /* no row, or not yet in the zone; looked up again in the next pass */
	REF_OFF,
	REF_ON,
	REF_UNREADABLE,
	REF_LOST /* an API that is not eligible since a product's row is gone: see rows.lost */
};

struct ref {
	enum ref_state state;
	int64_t version_ms; /* of the row that said so */
	bool plans_known;
	bool looked_up; /* the plans are of a look-up, which may have run ahead of the zone */
	struct map_plans plans;
	uint32_t pass; /* ABSENT: in this one */
	uint32_t seen; /* the last pass that came across its row */
	/* A product: the mapping has its APIs, as the listing of that pass had them. */
	bool learned;
	uint32_t listed;
};

/* Forgets rows of events that were not met in this pass. */
void rows_events_settle(struct rows *r);

struct table *refs_of(struct rows *r, enum kind k);
struct ref *ref_entry(struct rows *r, enum kind k, const char *id);

/* Its row cannot be read. */
void rows_unreadable(struct rows *r, const char *id);

/* Row and event are of the same entity: the row of one has its id (wire page 4). */
int rows_check_id(const struct map_out *out, const char *id, struct err *e) MUST_USE;

/* A product as it is mapped now. */
int rows_learn_product(struct rows *r, const struct map_out *out, struct err *e) MUST_USE;
void rows_forget_product(struct rows *r, const char *id);

/* What a subscription hangs on. */
enum kind rows_scope(const struct map_subscription *s);

/* What a child hangs on; never UNKNOWN. It need not be read for that. */
int rows_ref(struct rows *r, enum kind k, const char *id, struct ref **out, struct err *e) MUST_USE;

/* Whether a child of that plan belongs into the zone. */
enum hang {
	HANG_YES,
	HANG_NO,
	HANG_MAYBE,  /* the plans are not known: rows_ref_plans() tells */
	HANG_KEPT,   /* it cannot be read: its children stay as they are */
	HANG_NOTHING /* there is none: it takes its children along, or the guard keeps all */
};
enum hang ref_hang(const struct ref *a, const char *plan);
int rows_ref_plans(struct rows *r, enum kind k, const char *id, struct err *e) MUST_USE;

/* Looks at all subscriptions of the reference, and their keys. */
int rows_children(struct rows *r, const char *ref, struct err *e) MUST_USE;
