/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan - a strict, bounded JSON reader over bytes in memory (RFC 8259).
 *
 *	json_check(text, n, &doc, e)	validates once; everything below trusts it
 *	json_get(doc, "plans")		the raw bytes of a member's value
 *	json_iter_init(), json_next()	walks members or elements
 *
 * Nothing is converted: a span is the value's own bytes, so numbers keep their
 * digits and strings their escapes. Refused: invalid UTF-8, lone surrogates, raw
 * control characters, more than JSON_DEPTH_MAX levels, bytes behind the value.
 * Duplicate names are kept; json_get() takes the last, as the reference's reader.
 *
 * Spans that did not come out of json_check() must not be passed to the rest.
 *
 * Owns:    nothing; spans point into the caller's bytes.
 * Blocks:  never; pure, no recursion.
 * Errors:  ERR_PARSE with the byte offset and what was expected; ERR_LIMIT for depth.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

#define JSON_DEPTH_MAX 512 /* levels of arrays and objects; the reference's reader stops at 1000 */

struct json_span {
	const char *p; /* not owned */
	size_t n;      /* 0: there is no value */
};

enum json_type {
	JSON_NONE, /* no value: the empty span */
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

/* One JSON text and nothing else. *out is the value without the white space around it. */
int json_check(const char *p, size_t n, struct json_span *out, struct err *e) MUST_USE;

enum json_type json_type(struct json_span v);
bool json_is_null(struct json_span v); /* absent counts as null */
bool json_is_true(struct json_span v);

struct json_iter {
	struct json_span name;	/* of an object's member, with its quotes; else empty */
	struct json_span value; /* the member's or element's */
	const char *p;		/* what is left to read; private */
	const char *end;
	bool object;
};

/* Anything but an array or an object has no elements. */
void json_iter_init(struct json_iter *it, struct json_span v);
bool json_next(struct json_iter *it);

/* The last member of that (unescaped) name; empty when absent or `v` is no object. */
struct json_span json_get(struct json_span v, const char *name);

/* json_get() of n names in one pass: for values that are large or asked for much. */
void json_pick(struct json_span v, const char *const *names, struct json_span *out, size_t n);

/* Is `v` a string, and is that string `s`? Escapes are resolved on the way. */
bool json_equals(struct json_span v, const char *s);
bool json_equals_nocase(struct json_span v, const char *s); /* ASCII letters only */

/* Appends the characters of a string; \u0000 becomes a NUL byte. Nothing for other types. */
void json_unescape(struct json_span v, struct buf *out);

/* A number without fraction and exponent that fits. *out is written only then. */
bool json_to_i64(struct json_span v, int64_t *out);

/* Appends the value without insignificant white space, everything else byte for byte. */
void json_compact(struct json_span v, struct buf *out);
