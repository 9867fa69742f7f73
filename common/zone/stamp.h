/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stamp - field `zs` of an event's hash (zone-protocol 1): what proves the others, and where it
 * stands in the log. 17 bytes of hash, the revision in digits, a space, marks, a space, the version.
 *
 * Owns:    stamp_read() gives a version that is borrowed from the bytes.
 * Blocks:  never; pure.
 * Errors:  false: no such field, or a damaged one.
 */
#pragma once

#include "common/base/digest.h"
#include "common/base/str.h"

#define STAMP_FIELD "zs"
#define STAMP_KEPT  'k' /* a refill kept it as it was, for its row could not be read */

struct stamp {
	struct hash hash;
	uint64_t revision;
	bool kept;
	const char *version; /* not terminated */
	size_t version_len;
};

void stamp_write(struct buf *out, const struct stamp *s);
/* Marks of a later version are passed over. */
bool stamp_read(struct stamp *s, const char *p, size_t n);
