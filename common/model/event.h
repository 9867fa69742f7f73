/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event - what is distributed: one entity's newest state, or its withdrawal.
 *
 * The *name* of an event is its key without "distributed_event:<zone id>:"
 * (storage 1.1): "API:a1", or "API:a1:SUBSCRIPTION:s1" for a child of a1. It is
 * what the local store and the hash are keyed by.
 *
 * Owns:    event_reset() releases the strings and the payload.
 * Blocks:  never; pure.
 * Errors:  event_name_ref() refuses what is no name.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/digest.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/model/kind.h"

enum action { ACTION_DEPLOY = 'D', ACTION_UNDEPLOY = 'U' };

/* The version of a withdrawal that was judged by absence; and of one that a person took. */
#define VERSION_ABSENT	 "absent"
#define VERSION_ACCEPTED "accepted"

#define LINEAGE_BYTES 40
#define TOKEN_BYTES   96

/* Where a copy of a zone's events stands: stored with them, in one transaction. */
struct position {
	char lineage[LINEAGE_BYTES]; /* "": no data yet */
	char token[TOKEN_BYTES];     /* newest epoch when they were read */
	uint64_t revision;
	struct digest digest; /* of all that is live */
};

struct event {
	enum kind kind;
	enum action action;
	char *id;     /* owned */
	char *ref_id; /* owned; NULL: no reference. The reference's type is always API */
	/* Owned; JSON, but of a license. Empty on UNDEPLOY: the hash keeps the one it has, out of
	   which Java readers take what to withdraw, and of what it never held none is written. */
	struct buf payload;

	/*
	 * Version of what the event was made from (zone-protocol 1): decimal ms of a
	 * database row, or "x" and a digest of the content for files. Of a withdrawal that of
	 * what says so; "": it says nothing of a later deploy. Owned.
	 */
	char *version;
};

void event_reset(struct event *ev);

/* "API:a1:SUBSCRIPTION:s1", the caller's. */
char *event_name(enum kind k, const char *id, const char *ref_id) MUST_USE;

/* The kind and the id in a name whose reference is known (NULL: none). ERR_PARSE: it is no
   such name. *id points into `name`. */
int event_name_parse(const char *name, const char *ref, enum kind *k, const char **id,
		     struct err *e) MUST_USE;

/* "DEPLOY" or "UNDEPLOY", as in the hashes. */
const char *action_name(enum action a);
bool action_parse(const char *s, size_t n, enum action *out);

/* The hash of the event under its name (digest.h). */
void event_hash(struct hash *h, const struct event *ev);

/*
 * Finds the reference in a name, given kind and id (the grammar escapes nothing, so a
 * name cannot be cut without them). *ref is inside `name`; NULL when there is none.
 * ERR_PARSE when the name does not belong to that kind and id.
 */
int event_name_ref(const char *name, enum kind k, const char *id, const char **ref, size_t *ref_len,
		   struct err *e) MUST_USE;
