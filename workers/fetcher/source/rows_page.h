/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows_page - what the files of rows share. Each calls only those before it:
 *
 *	rows_page           queries, a page of rows that is looked at together, items
 *	rows_refs           what is remembered of a reference: an API, or an API product
 *	rows_children       subscriptions, and keys with one of them: what hangs on a reference
 *	rows_tables         events, tables that are small, and which page is of which table
 *
 * No query runs within another: rows that need one are kept until theirs has ended. What does
 * not fit into a page is read again, by its id.
 *
 * Owns, blocks, errors: as rows.h says. Nobody outside includes this.
 */
#pragma once

#include "workers/fetcher/source/rows.h"

/* --- rows_page.c --- */

struct row {
	char *id; /* owned */
	int64_t updated_ms;
	bool redo;
	struct buf text; /* JSON */
};

struct row_page {
	struct rows *r;
	enum pass_kind kind; /* that it is a part of: a comparison makes deltas in between */
	enum db_table table;
	bool brief;
	bool attached; /* subscriptions of an API that is deployed anew */
	bool redo;     /* of rows from now on: what hangs on them may not have been looked at */
	struct row *v; /* owned */
	size_t n, cap, bytes;
	struct map_ids rest; /* rows for which there was no room */
};

struct json_span page_row(const struct row *row);
static inline struct row row_of(const struct db_row *row) /* not owned */
{
	return (struct row){ .id = (char *)(uintptr_t)row->id,
			     .updated_ms = row->updated_ms,
			     .text = { (char *)(uintptr_t)row->json.p, row->json.n, 0 } };
}
bool page_is_full(const struct row_page *p);
void page_add(struct row_page *p, const struct db_row *row); /* or sets it aside */
void page_reset(struct row_page *p);

/* Looks at what is in it. */
typedef int page_fn(struct row_page *p, struct err *e);

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
/* The same of the page's table, a page at a time. Resets the page. */
int page_look_up(struct row_page *p, const struct row_lookup *l, page_fn *take,
		 struct err *e) MUST_USE;

void rows_put(struct rows *r, struct map_out *out); /* an event, or nothing; takes it */
void rows_put_as(struct rows *r, struct map_out *out, int64_t version_ms);
/* `version_ms`: of the row that says so; 0: it does not, by itself. */
void rows_withdraw(struct rows *r, const struct event *what, int64_t version_ms);

/* --- rows_refs.c --- */

enum ref_state {
	REF_UNKNOWN,
	REF_ABSENT, /* no row, or not yet in the zone; looked up again in the next pass */
	REF_OFF,
	REF_ON,
	REF_UNREADABLE,
	REF_LOST /* an API that is not eligible since a product's row is gone: see map_unsure */
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

/* Whether a child of that plan belongs into the zone. MAYBE: rows_ref_plans() tells. */
enum hang ref_hang(const struct ref *a, const char *plan);

struct ref *ref_entry(struct rows *r, enum kind k, const char *id);
void rows_unreadable(struct rows *r, enum kind k, const char *id); /* its row is */
/* What its row says without being read; `version_ms` 0: it is asked for again. */
void ref_set(struct ref *a, enum ref_state state, int64_t version_ms);
void rows_forget_product(struct rows *r, const char *id);

/* Row and event are of the same entity: the row of one has its id (storage 4). */
int rows_check_id(enum kind k, const char *of, const char *id, struct err *e) MUST_USE;
/* A row of events that cannot be used: its last good version stays, if it says which. */
void rows_bad_event(struct rows *r, const struct row *row, const char *why);
/* Maps a row of events and learns from it. *children: what hangs on it is to be looked at
   again. An error was dealt with. */
int rows_map_event(struct rows *r, const struct row *row, struct map_out *out,
		   bool *children) MUST_USE;

/* What a child hangs on; never UNKNOWN. It need not be read for that. */
int rows_ref(const struct row_page *p, enum kind k, const char *id, struct ref **out,
	     struct err *e) MUST_USE;
/* The same, and its plans are known. */
int rows_ref_plans(const struct row_page *p, enum kind k, const char *id, struct ref **out,
		   struct err *e) MUST_USE;

/* --- rows_children.c --- */

page_fn rows_subscriptions_page, rows_keys_page;
/* In a delta: looks at all subscriptions of the reference, and their keys. */
int rows_children(struct rows *r, const char *ref, struct err *e) MUST_USE;
