/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/table.h"

#include <string.h>

#include "common/base/digest.h"
#include "common/base/mem.h"

static uint64_t hash_of(const char *key)
{
	uint64_t h = hash_u64(key, strlen(key), 0);

	return h == 0 ? 1 : h;
}

static struct table_slot *find(const struct table *t, const char *key, uint64_t h)
{
	size_t i;

	if (t->cap == 0)
		return NULL;
	for (i = h & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
		struct table_slot *s = &t->slots[i];

		if (s->key == NULL && s->hash == 0)
			return NULL;
		if (s->key != NULL && s->hash == h && strcmp(s->key, key) == 0)
			return s;
	}
}

static struct table_slot *free_slot(const struct table *t, uint64_t h)
{
	size_t i = h & (t->cap - 1);

	while (t->slots[i].key != NULL)
		i = (i + 1) & (t->cap - 1);
	return &t->slots[i];
}

static void rehash(struct table *t)
{
	struct table old = *t;
	size_t cap = 16;
	size_t i;

	while (cap < old.len * 2 + 2)
		cap *= 2;
	*t = (struct table){ .slots = mem_zalloc(cap * sizeof(*t->slots)), .cap = cap };
	for (i = 0; i < old.cap; i++) {
		if (old.slots[i].key == NULL)
			continue;
		*free_slot(t, old.slots[i].hash) = old.slots[i];
		t->len++;
		t->used++;
	}
	mem_free(old.slots);
}

void *table_get(const struct table *t, const char *key)
{
	struct table_slot *s = find(t, key, hash_of(key));

	return s == NULL ? NULL : s->value;
}

void *table_set(struct table *t, const char *key, void *value)
{
	uint64_t h = hash_of(key);
	struct table_slot *s = find(t, key, h);
	void *old;

	if (s != NULL) {
		old = s->value;
		s->value = value;
		return old;
	}
	if ((t->used + 1) * 4 > t->cap * 3)
		rehash(t);
	s = free_slot(t, h);
	if (s->hash == 0)
		t->used++;
	*s = (struct table_slot){ mem_strdup(key), value, h };
	t->len++;
	return NULL;
}

void *table_del(struct table *t, const char *key)
{
	struct table_slot *s = find(t, key, hash_of(key));
	void *old;

	if (s == NULL)
		return NULL;
	old = s->value;
	mem_free(s->key);
	s->key = NULL; /* the hash stays: a deleted slot is walked over */
	s->value = NULL;
	t->len--;
	return old;
}

const char *table_key(const struct table *t, const char *key)
{
	struct table_slot *s = find(t, key, hash_of(key));

	return s == NULL ? NULL : s->key;
}

bool table_next(const struct table *t, size_t *at, const char **key, void **value)
{
	for (; *at < t->cap; (*at)++) {
		struct table_slot *s = &t->slots[*at];

		if (s->key == NULL)
			continue;
		if (key != NULL)
			*key = s->key;
		*value = s->value;
		(*at)++;
		return true;
	}
	return false;
}

void table_reset(struct table *t)
{
	size_t i;

	for (i = 0; i < t->cap; i++)
		mem_free(t->slots[i].key);
	mem_free(t->slots);
	*t = (struct table){ 0 };
}
