/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve - may a call with this key, or of this client, pass (gateway.proto, Resolve*).
 *
 * Asked for an API, the keys and subscriptions of the API products that contain it count
 * too: products are not expanded, they are joined here.
 *
 * What counts is the snapshot of the view and the time the caller gives: an answer is a
 * function of these two.
 *
 * Owns:    an answer owns its texts; resolve_reset() releases them. It may be used again
 *          and then needs no new memory.
 * Blocks:  never, but for page faults of the store.
 * Errors:  ERR_DAMAGED: what was asked for may be a damaged record. One that cannot be read as
 *          what it should be is no match.
 */
#pragma once

#include "common/store/reader.h"
#include "gateway.pb-c.h"

#define RESOLVE_MATCHES_MAX  16		 /* in an answer: the best */
#define RESOLVE_HITS_MAX     1000	 /* events looked at; more under one key are an attack */
#define RESOLVE_BYTES_MAX    (64U << 20) /* of their payloads: another is read below it */
#define RESOLVE_TEXT_MAX     1024	 /* bytes of a plan, an application, an id in the answer */
#define RESOLVE_PRODUCTS_MAX 64 /* of one API that are looked at, in the order of their ids */

struct resolve_ask {
	enum lookup_by by;
	enum kind ref_kind;
	const char *ref;
	const char *text; /* the key, or the client id */
	const char *plan; /* "": any */
	int64_t now_ms;	  /* wall clock */
};

struct resolve_match {
	Gateway__Match__Why why;			/* NONE: it is active */
	size_t subscription, plan, application, key_id; /* where they begin in `texts` */
	size_t product;	     /* the same; 0: found under the reference itself */
	unsigned precedence; /* 0: the reference itself, then its products in their order */
	int64_t expire_ms;   /* 0: never */
	int64_t updated_ms;
	uint64_t revision;
};

struct resolve_answer {
	bool deployed;
	struct resolve_match match[RESOLVE_MATCHES_MAX]; /* the answer first */
	size_t n;
	struct buf texts; /* NUL-terminated ones */
};

int resolve(struct store_view *v, const struct resolve_ask *ask,
	    struct resolve_answer *out) MUST_USE;
void resolve_reset(struct resolve_answer *a);
