/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream - where the content of the store comes from: a zone in Redis (follower.h), or
 * the publisher of this node (intake.h). Those who serve know no more of it than this.
 *
 * Owns:    as each says.
 * Blocks:  never, but for close(), which waits for the transaction under way.
 * Errors:  told in the report: the last known good serves on, whatever happens there.
 */
#pragma once

#include "common/store/store.h"
#include "common/worker/worker.h"

/* The store has a new state, or (`reset`) another history. */
typedef void upstream_changed_fn(void *arg, bool reset);

struct upstream;
struct zone_conn;

struct upstream_ops {
	void (*report)(const struct upstream *u, Ipc__CacheReport *out);
	bool (*proven)(
		const struct upstream *u); /* the store is at the head, and it is all there */
	void (*resync)(struct upstream *u, const char *why);
	/* These two are NULL where this node is alone: what its publisher writes serves at once. */
	void (*accept)(struct upstream *u); /* a person: what is missing upstream may go here */
	struct zone_conn *(*zone)(struct upstream *u);
	void (*close)(struct upstream *u);
};

struct upstream {
	const struct upstream_ops *ops;
	upstream_changed_fn *changed; /* NULL: nobody listens */
	void *changed_arg;
};
