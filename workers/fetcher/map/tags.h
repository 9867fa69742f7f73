/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tags - do an entity's sharding tags match the gateway's (storage 3.6)?
 *
 * Tags are equal when a Java collator of PRIMARY strength says so: letter case,
 * accents, blanks, hyphens and control characters make no difference. The folding
 * is that of OpenJDK 17 for ASCII, Latin-1, Latin Extended-A and combining marks;
 * every other letter is only equal to itself.
 *
 * Owns:    tag_rules_reset() releases the folded rules. `{ 0 }` matches everything.
 * Blocks:  never; pure.
 * Errors:  none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"
#include "common/json/scan.h"
#include "workers/fetcher/map/ids.h"

struct tag_rules {
	struct map_ids include; /* folded */
	struct map_ids exclude; /* folded, without the '!' */
};

/* What the tags seen so far say; `{ 0 }` is an entity without tags. */
struct tag_vote {
	bool included;
	bool excluded;
};

void tag_rules_add(struct tag_rules *r, const char *tag); /* an empty tag is no rule */
void tag_rules_reset(struct tag_rules *r);

void tag_vote_add(const struct tag_rules *r, struct tag_vote *v, struct json_span tag);
bool tag_vote_decide(const struct tag_rules *r, const struct tag_vote *v);

/* Of an array of strings; null and absent count as no tags. */
bool tags_match(const struct tag_rules *r, struct json_span tags);

/* Appends the form in which equal tags are equal bytes. */
void tag_fold(struct buf *out, const char *s, size_t n);
