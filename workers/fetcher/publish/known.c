/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/publish/known.h"

#include <inttypes.h>
#include <stdio.h>
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
	(void)table_set(&k->names, name, e);
	e->name = table_key(&k->names, name);
	if (ref != NULL) {
		e->ref = ref_of(k, ref);
		e->next = e->ref->first;
		e->link = &e->ref->first;
		if (e->next != NULL)
			e->next->link = &e->next;
		e->ref->first = e;
	}
	return e;
}

static void drop_version(struct known_entry *e)
{
	if (!e->numbered)
		mem_free(e->version.text);
	e->version.text = NULL;
	e->numbered = false;
}

static void set_version(struct known_entry *e, const char *version)
{
	int64_t number = 0;

	drop_version(e);
	e->numbered = str_to_i64(version, strlen(version), &number);
	if (e->numbered)
		e->version.number = number;
	else if (version[0] != '\0')
		e->version.text = mem_strdup(version);
}

const char *known_version(const struct known_entry *e, char scratch[KNOWN_VERSION_BYTES])
{
	if (!e->numbered)
		return e->version.text == NULL ? "" : e->version.text;
	(void)snprintf(scratch, KNOWN_VERSION_BYTES, "%" PRId64, e->version.number);
	return scratch;
}

bool known_version_is(const struct known_entry *e, const char *version)
{
	int64_t v;

	if (!e->numbered)
		return str_equal(version, e->version.text == NULL ? "" : e->version.text);
	return str_to_i64(version, strlen(version), &v) && e->version.number == v;
}

bool known_is_newer(const struct known_entry *e, const char *version)
{
	int64_t v;

	if ((e->live && !known_live(e)) || !e->numbered ||
	    !str_to_i64(version, strlen(version), &v))
		return false;
	return e->version.number > v || (e->version.number == v && !e->live);
}

void known_learn(struct known *k, struct known_entry *e, const struct hash *h, uint64_t revision)
{
	digest_sub(&k->sums, &e->there);
	e->there = *h;
	digest_add(&k->sums, h);
	e->revision = revision;
	e->repair = h->b[0] == 0;
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
	set_version(e, version);
}

void known_withdraw(struct known *k, struct known_entry *e, const char *version)
{
	if (known_live(e))
		count(k, e, false);
	e->live = false;
	e->repair = false;
	memset(&e->hash, 0, sizeof(e->hash));
	e->hash.b[0] = 'U';
	set_version(e, version);
}

void known_drop(struct known *k, const char *name)
{
	struct known_entry *e = table_get(&k->names, name);

	if (e == NULL)
		return;
	if (known_live(e))
		count(k, e, false);
	if (e->link != NULL)
		*e->link = e->next;
	if (e->next != NULL)
		e->next->link = e->link;
	drop_version(e);
	(void)table_del(&k->names, name);
	mem_free(e);
}

void known_reset(struct known *k)
{
	size_t at = 0;
	void *v;

	while (table_next(&k->names, &at, NULL, &v)) {
		drop_version(v);
		mem_free(v);
	}
	at = 0;
	while (table_next(&k->refs, &at, NULL, &v)) {
		mem_free(((struct known_ref *)v)->id);
		mem_free(v);
	}
	at = 0;
	while (table_next(&k->cursors, &at, NULL, &v))
		mem_free(v);
	table_reset(&k->names);
	table_reset(&k->refs);
	table_reset(&k->cursors);
	*k = (struct known){ 0 };
}
