/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish - batches of a publisher straight into the store (zone-protocol 7): what the
 * script common/zone/write.lua does in Redis, in one transaction of the store.
 *
 * Owns:    nothing; operations are borrowed.
 * Blocks:  on the disk: call on the store's writer thread.
 * Errors:  as store.h; nothing was changed then.
 */
#pragma once

#include "common/store/reader.h"

#define STORE_CHILDREN_MAX 1000 /* withdrawn by one operation */

enum publish_what {
	PUBLISH_PUT, /* skipped when equal, or of an older version; a withdrawal's bars its like */
	PUBLISH_FORCE,	  /* whatever is there */
	PUBLISH_WITHDRAW, /* `version`: of what says so, "" when that bars nothing */
	PUBLISH_KEEP,	  /* in the next generation: as the current one has it */
	PUBLISH_CHILDREN, /* withdraws of the reference `ref`, `number` at most */
	PUBLISH_PURGE,	  /* the tombstone of revision `number`, and those before it, may go */
	PUBLISH_META	  /* `field` = `value` */
};

struct publish_op {
	enum publish_what what;
	enum kind kind;
	const char *id;
	const char *ref; /* NULL: none */
	const char *version;
	const void *payload;
	size_t payload_len;
	struct hash hash; /* PUT, FORCE */
	uint64_t number;
	const char *field, *value;
};

struct publish_batch {
	const struct publish_op *ops;
	size_t n;
	const char *lineage; /* of the generation after it; NULL: as before */
	const char *token;
	int64_t now_ms;
};

struct published {
	struct store_position after;
	uint64_t effective; /* revisions it took */
	bool left;	    /* children not yet withdrawn, of the last CHILDREN */
};

int store_publish(struct store *s, enum store_target t, const struct publish_batch *b,
		  struct published *out, struct err *e) MUST_USE;
