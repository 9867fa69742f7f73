/* SPDX-License-Identifier: Apache-2.0 */
/*
 * problems - what is wrong with a configuration, collected instead of thrown.
 *
 * A person who mends a file wants all of its faults at once. Each text is one line,
 *
 *	FILE:LINE: KEY: what is wrong; what would be right
 *
 * and is printed as it is. Control characters of the file never reach the text, and
 * callers never put the value of a secret into it.
 *
 * Owns:    the texts; problems_reset() releases them. `{ 0 }` is an empty list.
 * Blocks:  never.
 * Errors:  none. Beyond PROBLEMS_MAX a problem is counted and its text dropped, those of
 *          warnings first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

#define PROBLEMS_MAX 100

enum problem_level {
	PROBLEM_WARN,
	PROBLEM_ERROR,
	PROBLEM_UNCHECKED /* who asks may not look; no fault of the file */
};

struct problem {
	enum problem_level level;
	unsigned line; /* of the file; 0: none */
	char *text;    /* owned */
};

struct problems {
	struct problem *item; /* owned */
	size_t n;
	size_t cap;
	size_t errors; /* counted beyond PROBLEMS_MAX too, as are those that follow */
	size_t warnings;
	size_t unchecked;
};

/* Where a value came from. All strings are borrowed. */
struct problem_place {
	const char *file; /* NULL: no file is to blame */
	unsigned line;	  /* from 1; 0: the file as a whole */
	const char *env;  /* not NULL: the variable that overrides the file */
	const char *key;  /* NULL: no key */
};

/* What is there already is not added. */
void problems_add(struct problems *p, enum problem_level level, const struct problem_place *at,
		  const char *fmt, ...) PRINTF_LIKE(4, 5);

/* In the order of the file; what has no line comes last, otherwise as it was added. */
void problems_sort(struct problems *p);

/* A line for each. */
void problems_show(const struct problems *p, struct buf *out);

/* No text of a warning would be kept any more: work for better texts is in vain. */
bool problems_full(const struct problems *p);
void problems_reset(struct problems *p);
