/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem - allocation that does not fail: it aborts, and supervision restarts us.
 *
 * Therefore every size that comes from outside is bounded *before* it gets here.
 *
 * Owns: nothing. Blocks: never. Errors: abort when there is no memory.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "common/base/cdefs.h"

void *mem_alloc(size_t n) MUST_USE;
void *mem_zalloc(size_t n) MUST_USE;
void *mem_realloc(void *p, size_t n) MUST_USE;
void *mem_dup(const void *p, size_t n) MUST_USE; /* adds a NUL byte behind the copy */
char *mem_strdup(const char *s) MUST_USE;	 /* NULL stays NULL */
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2) MUST_USE;
char *mem_vprintf(const char *fmt, va_list ap) PRINTF_LIKE(1, 0) MUST_USE;
void mem_free(void *p); /* NULL is fine */

/* Overwrites before freeing: for secrets. */
void mem_free_secret(char *s);

/* Makes room for `need` items of `size` in a doubling array. */
void *mem_grow(void *p, size_t *cap, size_t need, size_t size) MUST_USE;
