/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_tree - compares JSON values as trees: members in any order, elements in theirs,
 * strings by their characters, numbers by their text.
 *
 * Owns: nothing. Blocks: never. Errors: none; spans must be checked ones.
 */
#pragma once

#include "common/json/scan.h"

bool tree_equal(struct json_span a, struct json_span b);

/* The member whose name has the same characters as the string `name`; the last of several. */
struct json_span tree_member(struct json_span object, struct json_span name);

size_t tree_count(struct json_span v); /* members or elements */
