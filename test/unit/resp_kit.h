/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resp_kit - an answer of Redis in short: "(2 (a b) #5 - '')" is an array; words are texts, "#5"
 * a number, "-" nil, '' the empty text.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none: the shape is the test's.
 */
#pragma once

#include "common/base/str.h"

/* Adds it as RESP; returns what follows it in the text. */
const char *resp_put(struct buf *out, const char *shape);
