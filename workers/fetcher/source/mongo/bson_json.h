/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bson_json - a BSON document of the management database as the JSON text the mapping
 * reads: `_id` becomes `id`, dates integer ms, whole doubles integers, an ObjectId its
 * hexadecimal digits. What JSON has no form for, binary say, becomes null: the mapping
 * says what it misses.
 *
 * Owns:    nothing. Blocks: never; pure.
 * Errors:  ERR_PARSE: text that is no UTF-8, a number that is none; ERR_LIMIT: nested
 *          deeper than BSON_JSON_DEPTH. The buffer is then left as it is, to be cleared.
 */
#pragma once

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

#define BSON_JSON_DEPTH 128 /* MongoDB itself stops at 100 */

/* Appends the document of n bytes. */
int bson_json(struct buf *out, const uint8_t *bson, size_t n, struct err *e) MUST_USE;
