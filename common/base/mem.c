/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *mem_alloc(size_t n)
{
	void *p = malloc(n == 0 ? 1 : n);

	CHECK(p != NULL);
	return p;
}

void *mem_zalloc(size_t n)
{
	void *p = calloc(1, n == 0 ? 1 : n);

	CHECK(p != NULL);
	return p;
}

void *mem_realloc(void *p, size_t n)
{
	void *q = realloc(p, n == 0 ? 1 : n);

	CHECK(q != NULL);
	return q;
}

void *mem_dup(const void *p, size_t n)
{
	char *q = mem_alloc(n + 1);

	if (n > 0)
		memcpy(q, p, n);
	q[n] = '\0';
	return q;
}

char *mem_strdup(const char *s)
{
	return s == NULL ? NULL : mem_dup(s, strlen(s));
}

char *mem_vprintf(const char *fmt, va_list ap)
{
	char *s = NULL;

	CHECK(vasprintf(&s, fmt, ap) >= 0);
	return s;
}

char *mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = mem_vprintf(fmt, ap);
	va_end(ap);
	return s;
}

void mem_free(void *p)
{
	free(p);
}

void mem_free_secret(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

void *mem_grow(void *p, size_t *cap, size_t need, size_t size)
{
	size_t n = *cap == 0 ? 8 : *cap;

	if (need <= *cap)
		return p;
	while (n < need) {
		CHECK(n <= SIZE_MAX / 2 / size);
		n *= 2;
	}
	*cap = n;
	return mem_realloc(p, n * size);
}
