/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find - what a Java primary wrote, by the reference's search index (storage 1.4, 1.5):
 * its queries, and what their answers hold.
 *
 * The index is no proof: it may answer with a part (a time limit, an index that is still
 * being built) and say nothing. Who asks compares with find_count() and asks again.
 *
 * Owns:    find_page_reset() releases a page.
 * Blocks:  never; the parsers are pure.
 * Errors:  as conn.h; ERR_PROTO for an answer of another shape. A row that makes no event
 *          is told with what is wrong with it: the others count.
 */
#pragma once

#include "common/model/event.h"
#include "common/zone/conn.h"

#define FIND_ROWS 200 /* in one page; fewer when pages were too large */

struct found {
	struct event ev;
	struct hash hash;
	int64_t updated_ms; /* of the clock of who wrote it; 0 unknown */
	char *key;	    /* owned; whole: one that is no text with its bytes escaped */
	bool live;	    /* the index counts it as deployed, whatever it is */
	bool other;	    /* of a zone whose id the index takes for ours: letter case, a comma */
	const char *wrong;  /* NULL: it is an event; else a static text */
};

struct find_page {
	struct found *rows; /* owned */
	size_t len;
	uint64_t cursor; /* 0: it was the last */
};

/* Which events: `live` deployed ones only; since `from_ms`, 0 whenever. */
struct find_query {
	bool live;
	int64_t from_ms;
};

int find_count(struct zone_conn *z, const struct find_query *q, redis_reply_fn *fn,
	       void *arg) MUST_USE;
int find_rows(struct zone_conn *z, const struct find_query *q, unsigned rows, redis_reply_fn *fn,
	      void *arg) MUST_USE;
int find_more(struct zone_conn *z, uint64_t cursor, unsigned rows, redis_reply_fn *fn,
	      void *arg) MUST_USE;

int find_count_parse(const struct redis_reply *r, uint64_t *out, struct err *e) MUST_USE;
/* A payload of more than `max_bytes` is wrong. */
int find_page_parse(const struct redis_reply *r, const struct zone_keys *k, uint64_t max_bytes,
		    struct find_page *out, struct err *e) MUST_USE;
void find_page_reset(struct find_page *p);

/* The value of a tag as queries have it. */
void find_escape(struct buf *out, const char *tag);
