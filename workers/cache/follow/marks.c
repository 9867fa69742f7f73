/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/follow/marks.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/mem.h"

uint64_t marks_hash(const char *key)
{
	return hash_u64(key, strlen(key), 0);
}

void marks_add_hash(struct marks *l, uint64_t hash)
{
	l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = hash;
}

void marks_add(struct marks *l, const char *key)
{
	marks_add_hash(l, marks_hash(key));
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a;
	const uint64_t *y = b;

	return *x < *y ? -1 : *x > *y;
}

void marks_settle(struct marks *l)
{
	size_t n = 0;
	size_t i;

	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), by_value);
	for (i = 0; i < l->n; i++)
		if (n == 0 || l->v[n - 1] != l->v[i])
			l->v[n++] = l->v[i];
	l->n = n;
}

bool marks_have(const struct marks *l, uint64_t hash)
{
	return l->n > 0 && bsearch(&hash, l->v, l->n, sizeof(*l->v), by_value) != NULL;
}

void marks_reset(struct marks *l)
{
	mem_free(l->v);
	*l = (struct marks){ 0 };
}
