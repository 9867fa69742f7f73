/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write - appends compact JSON to a buffer, spelled as the reference spells it
 * (storage 2.1): control characters as \b \t \n \f \r or \u00XX in upper case,
 * the quote and the backslash escaped, everything else raw.
 *
 *	buf_addc(b, '{');
 *	json_add_str(b, "id", id);
 *	json_add_i64(b, "deployedAt", ms);
 *	buf_addc(b, '}');
 *
 * A comma is put in by itself: it is due unless '{' or '[' was written last.
 *
 * Owns:    nothing. Blocks: never; pure.
 * Errors:  none. Text must be UTF-8 already: it is copied, not checked. What is for people, of
 *          whatever bytes, is "shown": safe for a terminal too (str_quote()).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/json/scan.h"

void json_write_string(struct buf *b, const char *p, size_t n);
void json_write_shown(struct buf *b, const char *s);
void json_write_comma(struct buf *b);		       /* before an element, if one is due */
void json_write_name(struct buf *b, const char *name); /* comma, name, colon; NULL: in a list */
void json_open(struct buf *b, const char *name, char bracket); /* the same, and the bracket */

void json_add_str(struct buf *b, const char *name, const char *v); /* NULL: nothing is written */
void json_add_shown(struct buf *b, const char *name, const char *v);
void json_add_i64(struct buf *b, const char *name, int64_t v);
void json_add_u64(struct buf *b, const char *name, uint64_t v);
void json_add_bool(struct buf *b, const char *name, bool v);
void json_add_null(struct buf *b, const char *name);
void json_add_span(struct buf *b, const char *name,
		   struct json_span v); /* compacted; null: nothing */

/* A string value spelled anew, so that equal strings are equal bytes; other types compacted. */
void json_write_respelled(struct buf *b, struct json_span v);
