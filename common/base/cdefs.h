/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cdefs - the few macros every file uses.
 *
 * CHECK() is for facts of our own: it stays on in production and aborts. Bytes
 * that come from outside are never CHECKed, they are refused (err.h).
 *
 * Owns: nothing. Blocks: never. Errors: none.
 */
#pragma once

#include <stddef.h>
#include <sys/param.h> /* MIN, MAX: libuv brings them too */

#define ARRAY_LEN(a)	  (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(f, v) __attribute__((format(printf, f, v)))
#define MUST_USE	  __attribute__((warn_unused_result))
#define NORETURN	  __attribute__((noreturn))
#define UNUSED(x)	  ((void)(x))

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			check_failed(#cond, __FILE__, __LINE__);                                   \
	} while (0)

/* Writes one line to stderr (the supervisor logs it under our name) and aborts. */
void check_failed(const char *cond, const char *file, int line) NORETURN;
