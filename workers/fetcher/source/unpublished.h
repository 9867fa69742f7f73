/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpublished - the account of what the source has and the zone never gets, though a person
 * would ask why: a key without a subscription, a subscription of an API that is not known.
 * What is withdrawn, or of other environments or tags, is where it belongs and in no account.
 *
 * Owns:    the examples; the texts are static.
 * Blocks:  never; pure.
 * Errors:  none. It is bounded: further reasons are left out, further examples only counted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNPUBLISHED_REASONS  16
#define UNPUBLISHED_EXAMPLES 5
#define UNPUBLISHED_BYTES    100 /* of an example */

#define UNPUBLISHED_ALONE	    "without a subscription"
#define UNPUBLISHED_NO_SUBSCRIPTION "of a subscription that is not known"
#define UNPUBLISHED_NO_STATUS	    "without a status"
#define UNPUBLISHED_NO_API	    "of an API that is not known"
#define UNPUBLISHED_NO_PRODUCT	    "of an API product that is not known"
#define UNPUBLISHED_NO_ENVIRONMENT  "of an environment that is not known"

struct unpublished_reason {
	const char *type;   /* static: of a kind, or another thing of the source */
	const char *reason; /* static: reads on from "5 keys, " */
	uint64_t count;
	char *examples[UNPUBLISHED_EXAMPLES]; /* owned */
	size_t n_examples;
};

struct unpublished { /* `{ 0 }` is empty */
	struct unpublished_reason v[UNPUBLISHED_REASONS];
	size_t n;
};

void unpublished_add(struct unpublished *u, const char *type, const char *reason,
		     const char *example);
bool unpublished_equal(const struct unpublished *a, const struct unpublished *b);
void unpublished_reset(struct unpublished *u);
