/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str - a growing byte buffer and the few string helpers we share.
 *
 * Owns:    buf owns its bytes; buf_reset() releases them. `{ 0 }` is empty.
 * Blocks:  never.
 * Errors:  none; a buffer grows through mem.h.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cdefs.h"

struct buf {
	char *data; /* owned; not NUL-terminated unless buf_cstr() was called */
	size_t len;
	size_t cap;
};

void buf_reset(struct buf *b);
void buf_clear(struct buf *b); /* keeps the room */
void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addi(struct buf *b, int64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_drop(struct buf *b, size_t n); /* removes the first n bytes */
const char *buf_cstr(struct buf *b);	/* NUL-terminated view, valid until the next change */
char *buf_take(struct buf *b);		/* the NUL-terminated bytes are the caller's now */

bool str_equal(const char *a, const char *b); /* NULL equals NULL only */
int str_order(const void *a, const void *b);  /* for qsort() and bsearch() of a list of texts */
bool str_lists(const char *words, const char *s, size_t n); /* one of those, apart by blanks? */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* Copies with truncation, between two characters; dst is always terminated. n is the size of dst. */
void str_copy(char *dst, size_t n, const char *src);

/*
 * Text for people: reports, logs, errors. What is no UTF-8 (a file's name, a server's words)
 * is shown as \xHH, and what does not fit is cut between two characters. str_mend() writes 4
 * bytes for one at most; str_print() formats STR_PRINT_BYTES before it cuts.
 */
#define STR_PRINT_BYTES 1024
void str_mend(char *dst, size_t n, const char *src);
void str_print(char *dst, size_t n, const char *fmt, ...) PRINTF_LIKE(3, 4);
void str_vprint(char *dst, size_t n, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);

/* Decimal, whole string, no sign, no blank. False when it is anything else or overflows. */
bool str_to_u64(const char *s, size_t n, uint64_t *out);
bool str_to_i64(const char *s, size_t n, int64_t *out);

/* Lower-case hexadecimal; out needs 2 * n + 1 bytes. */
void str_hex(char *out, const void *p, size_t n);
int str_hex_digit(char c); /* its value, in either case; -1: it is none */

/* How many bytes at the beginning are ASCII that stands for itself in JSON's strings. */
size_t str_plain_run(const char *s, size_t n);

/* Length of the valid UTF-8 sequence at s, 0 when it is not one (RFC 3629). */
size_t str_utf8_len(const char *s, size_t n);
bool str_is_utf8(const char *s, size_t n);

/*
 * False for a character that a terminal obeys or that hides: controls (C0, DEL, C1), marks of
 * direction, those of no width. `len` is str_utf8_len(s).
 */
bool str_is_shown(const char *s, size_t len);

/* Adds the character at s to a JSON string and returns how many bytes it has: what is not
   shown is escaped, what is no UTF-8 becomes U+FFFD. */
size_t str_quote(struct buf *b, const char *s, size_t n);

/* Damerau-free edit distance, for "did you mean"; strings beyond 63 bytes are far apart. */
unsigned str_distance(const char *a, const char *b);
