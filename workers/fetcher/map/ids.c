/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/ids.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/str.h"

void map_ids_take(struct map_ids *l, char *id)
{
	l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = id;
}

void map_ids_add(struct map_ids *l, const char *id)
{
	map_ids_take(l, mem_strdup(id));
}

void map_ids_copy(struct map_ids *to, const struct map_ids *from)
{
	size_t i;

	*to = (struct map_ids){ mem_alloc((from->n + 1) * sizeof(char *)), 0, from->n };
	for (i = 0; i < from->n; i++)
		map_ids_add(to, from->v[i]);
}

void map_ids_sort(struct map_ids *l)
{
	size_t n = 0;
	size_t i;

	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), str_order);
	for (i = 0; i < l->n; i++) {
		if (n > 0 && str_equal(l->v[n - 1], l->v[i]))
			mem_free(l->v[i]);
		else
			l->v[n++] = l->v[i];
	}
	l->n = n;
}

bool map_ids_has(const struct map_ids *l, const char *id)
{
	return id != NULL && l->n > 0 && bsearch(&id, l->v, l->n, sizeof(char *), str_order);
}

bool map_ids_equal(const struct map_ids *a, const struct map_ids *b)
{
	size_t i = 0;

	while (i < a->n && i < b->n && str_equal(a->v[i], b->v[i]))
		i++;
	return i == a->n && i == b->n;
}

void map_ids_reset(struct map_ids *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		mem_free(l->v[i]);
	mem_free(l->v);
	*l = (struct map_ids){ 0 };
}
