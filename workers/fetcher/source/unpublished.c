/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/unpublished.h"

#include "common/base/mem.h"
#include "common/base/str.h"

static struct unpublished_reason *find(struct unpublished *u, const char *type, const char *reason)
{
	size_t i;

	for (i = 0; i < u->n; i++)
		if (str_equal(u->v[i].type, type) && str_equal(u->v[i].reason, reason))
			return &u->v[i];
	if (u->n == UNPUBLISHED_REASONS)
		return NULL;
	u->v[u->n] = (struct unpublished_reason){ .type = type, .reason = reason };
	return &u->v[u->n++];
}

void unpublished_add(struct unpublished *u, const char *type, const char *reason,
		     const char *example)
{
	struct unpublished_reason *r = find(u, type, reason);
	char shown[UNPUBLISHED_BYTES];

	if (r == NULL)
		return;
	r->count++;
	if (r->n_examples == UNPUBLISHED_EXAMPLES)
		return;
	str_copy(shown, sizeof(shown), example);
	r->examples[r->n_examples++] = mem_strdup(shown);
}

static bool is_same(const struct unpublished_reason *a, const struct unpublished_reason *b)
{
	size_t i;

	if (!str_equal(a->type, b->type) || !str_equal(a->reason, b->reason) ||
	    a->count != b->count || a->n_examples != b->n_examples)
		return false;
	for (i = 0; i < a->n_examples; i++)
		if (!str_equal(a->examples[i], b->examples[i]))
			return false;
	return true;
}

bool unpublished_equal(const struct unpublished *a, const struct unpublished *b)
{
	size_t i = 0;

	while (i < a->n && i < b->n && is_same(&a->v[i], &b->v[i]))
		i++;
	return i == a->n && i == b->n;
}

void unpublished_reset(struct unpublished *u)
{
	while (u->n > 0) {
		struct unpublished_reason *r = &u->v[--u->n];

		while (r->n_examples > 0)
			mem_free(r->examples[--r->n_examples]);
	}
}
