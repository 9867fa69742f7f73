/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hint - what would be right, for YAML that does not parse.
 *
 * A parser says where it gave up; the mistake is often a line before. These hints
 * look at the lines around for the mistakes people make: a key of a list item at the
 * indentation of the list, a tab, a value with ": " in it, a quote left open.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include <stddef.h>

#include "common/base/str.h"

struct hint_input {
	const char *text; /* the file; not NUL-terminated */
	size_t n;
	const char *problem;   /* the parser's words */
	unsigned line;	       /* from 1: where it gave up */
	unsigned context_line; /* from 1: where the construct began; 0: unknown */
};

/* Adds a sentence to `out`. */
void hint_for(struct buf *out, const struct hint_input *in);
