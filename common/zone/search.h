/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search - the reference's search index over the events, for Java readers (storage 1.3).
 *
 * A zone of ours does not need it; find.h reads by it what a Java primary wrote. On a server
 * with the search module it is looked for, and made when it is missing, as after a FLUSHALL.
 * One of that name that cannot answer the reference's queries is left alone: its owner may
 * need it.
 *
 * Owns:    nothing; the index belongs to the server and serves all zones in it.
 * Blocks:  never; the server indexes what is there already in the background.
 * Errors:  they are the verdict: without the index everything but Java readers works.
 */
#pragma once

#include "common/redis/redis.h"

#define SEARCH_INDEX "distributed-event-search-idx-v2"

enum search_verdict {
	SEARCH_NO_MODULE,
	SEARCH_THERE,
	SEARCH_CREATED,
	SEARCH_OTHER,  /* one of that name does not serve; `why` says where it differs */
	SEARCH_REFUSED /* `why` are the server's words */
};

/* `why`: for people, and never empty. */
typedef void search_fn(void *arg, enum search_verdict v, const char *why);

/* The caller's storage: must live until `fn` was called or the connection closed. */
struct search {
	struct redis *redis;
	search_fn *fn;
	void *arg;
};

/* True when the reference's queries find what they look for in an index of this FT.INFO. */
bool search_serves(const struct redis_reply *info, char *why, size_t n);

/* `fn` is called once; not at all when the connection is lost. */
int search_keep(const struct search *s) MUST_USE;
