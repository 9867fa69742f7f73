/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge - lines of several log files in the order of their time stamps.
 *
 * A line without a stamp stays behind the one before it in its file. Lines of one file
 * keep their order.
 *
 * Owns:    the lines; merge_reset() releases them. `{ 0 }` is empty.
 * Blocks:  never; pure.
 * Errors:  none.
 */
#pragma once

#include "common/base/str.h"

#define MERGE_STAMP_BYTES 32
#define MERGE_LINE_BYTES  65536 /* a longer line is cut in two */

struct merge_line {
	char stamp[MERGE_STAMP_BYTES]; /* "" before the first of its file */
	size_t file;
	size_t seq;
	char *text; /* owned; without the newline */
};

struct merge {
	struct merge_line *item; /* owned */
	size_t n;
	size_t cap;
};

/* Adds the whole lines at the front of `in` and drops them there. */
void merge_add(struct merge *m, size_t file, struct buf *in);

/* The last `lines` of them in order, appended to `out`; the merge is empty after it. */
void merge_take(struct merge *m, size_t lines, struct buf *out);
void merge_reset(struct merge *m);
