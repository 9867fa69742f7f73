/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/known.h"

#include <string.h>

#include "common/base/mem.h"

struct known_entry *known_get(const struct known *k, const char *name)
{
	return table_get(&k->names, name);
}

bool known_live(const struct known_entry *e)
{
	return e->live && (e->ref == NULL || e->ref_gen == e->ref->gen);
}

const char *known_ref_id(const struct known_entry *e)
{
	return e->ref == NULL ? NULL : e->ref->id;
}

static struct known_ref *ref_of(struct known *k, const char *id)
{
	struct known_ref *r = table_get(&k->refs, id);

	if (r == NULL) {
		r = mem_zalloc(sizeof(*r));
		r->id = mem_strdup(id);
		(void)table_set(&k->refs, id, r);
	}
	return r;
}

void known_withdraw_children(struct known *k, const char *ref)
{
	struct known_ref *r = table_get(&k->refs, ref);
	unsigned i;

	if (r == NULL)
		return;
	r->gen++;
	for (i = 0; i < KIND__COUNT; i++) {
		k->live[i] -= r->live[i];
		r->live[i] = 0;
	}
}

static void count(struct known *k, struct known_entry *e, bool live)
{
	size_t step = live ? 1 : (size_t)-1;

	k->live[e->kind] += step;
	if (e->ref != NULL)
		e->ref->live[e->kind] += step;
}

struct known_entry *known_put(struct known *k, const char *name, enum kind kind, const char *ref)
{
	struct known_entry *e = table_get(&k->names, name);

	if (e != NULL)
		return e;
	e = mem_zalloc(sizeof(*e));
	e->kind = kind;
	e->ref = ref == NULL ? NULL : ref_of(k, ref);
	(void)table_set(&k->names, name, e);
	return e;
}

/* A number as it is, of another text the digest. */
static uint64_t fold_version(const char *version, bool *numbered)
{
	size_t n = strlen(version);
	int64_t number = 0;

	*numbered = str_to_i64(version, n, &number);
	if (*numbered)
		return (uint64_t)number;
	return n == 0 ? 0 : hash_u64(version, n, 0);
}

bool known_version_is(const struct known_entry *e, const char *version)
{
	bool numbered;
	uint64_t v = fold_version(version, &numbered);

	return e->version == v && e->numbered == numbered;
}

bool known_is_newer(const struct known_entry *e, const char *version)
{
	bool numbered;
	uint64_t v = fold_version(version, &numbered);

	if (e->live && !known_live(e))
		return false;
	return numbered && e->numbered &&
	       ((int64_t)e->version > (int64_t)v || (e->version == v && !e->live));
}

void known_set(struct known *k, struct known_entry *e, const struct hash *h, const char *version)
{
	if (!known_live(e))
		count(k, e, true);
	e->live = true;
	e->ref_gen = e->ref == NULL ? 0 : e->ref->gen;
	e->repair = false;
	e->unread = false;
	e->hash = *h;
	e->version = fold_version(version, &e->numbered);
}

const struct hash *known_counted(const struct known_entry *e)
{
	return known_live(e) && e->hash.b[0] == 'D' ? &e->hash : NULL;
}

void known_withdraw(struct known *k, struct known_entry *e, const char *version)
{
	if (known_live(e))
		count(k, e, false);
	e->live = false;
	e->repair = false;
	memset(&e->hash, 0, sizeof(e->hash));
	e->hash.b[0] = 'U';
	e->version = fold_version(version, &e->numbered);
}

void known_drop(struct known *k, const char *name)
{
	struct known_entry *e = table_get(&k->names, name);

	if (e == NULL)
		return;
	if (known_live(e))
		count(k, e, false);
	(void)table_del(&k->names, name);
	mem_free(e);
}

void known_reset(struct known *k)
{
	size_t at = 0;
	void *v;

	while (table_next(&k->names, &at, NULL, &v))
		mem_free(v);
	at = 0;
	while (table_next(&k->refs, &at, NULL, &v)) {
		mem_free(((struct known_ref *)v)->id);
		mem_free(v);
	}
	table_reset(&k->names);
	table_reset(&k->refs);
	*k = (struct known){ 0 };
}
