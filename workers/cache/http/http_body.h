/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_body - what the technical API says: the reference's shapes (storage 7) with our
 * own members beside theirs.
 *
 * Owns:    a listing owns what it has not handed out yet.
 * Blocks:  on page faults of the store only; a listing reads it in short slices.
 * Errors:  of the store, as in reader.h.
 */
#pragma once

#include <sys/types.h>

#include "common/store/store.h"
#include "workers/cache/upstream.h"

#define HTTP_PROBES_MAX	     32		  /* names in one question */
#define HTTP_SLICE_ENTRIES   64		  /* of a listing, read in one turn */
#define HTTP_SLICE_BYTES     (256U << 10) /* of payloads looked through in one turn */
#define HTTP_LISTED_TEXT_MAX 4096	  /* a longer name or version is left out of the listing */

struct http_about { /* not owned */
	struct store *store;
	const struct upstream *upstream;
	const char *node; /* name */
	const char *node_id;
	const char *zone;
};

void http_node(const struct http_about *a, struct buf *out);
void http_error(struct buf *out, unsigned status, const char *message);

/* `names` separated by commas; "" is those shown by default. *healthy: all of them are. False: too many. */
bool http_health(const struct http_about *a, const char *names, struct buf *out, bool *healthy);

/* True: this node has a state to serve. */
bool http_sync(const struct http_about *a, struct buf *out);

/* The payload. ERR_NOTFOUND, ERR_DAMAGED. */
int http_api(const struct http_about *a, const char *id, struct buf *out, struct err *e) MUST_USE;

struct http_listing;

/*
 * The APIs in the order of their ids, a slice at a time and without a view in between:
 * what changes meanwhile may or may not be in it.
 */
struct http_listing *listing_new(const struct http_about *a) MUST_USE;
void listing_free(struct http_listing *l);

/* Bytes put into `to`; 0: the end; negative: the store cannot be read. */
ssize_t listing_read(struct http_listing *l, char *to, size_t max) MUST_USE;
