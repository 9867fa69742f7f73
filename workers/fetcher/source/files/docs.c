/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/files/docs.h"

#include <limits.h>
#include <string.h>

#include "common/base/mem.h"

const struct docs_form *docs_form(enum docs_dir d)
{
	static const struct docs_form forms[DIR__COUNT] = {
		[DIR_ENVIRONMENTS] = { "environments", KIND_ORGANIZATION },
		[DIR_ORGANIZATIONS] = { "organizations", KIND_ORGANIZATION },
		[DIR_API_PRODUCTS] = { "api-products", KIND_API_PRODUCT, "DEPLOY_API_PRODUCT",
				       "api_product_id", "id" },
		[DIR_APIS] = { "apis", KIND_API },
		[DIR_SUBSCRIPTIONS] = { "subscriptions", KIND_SUBSCRIPTION },
		[DIR_API_KEYS] = { "api-keys", KIND_API_KEY },
		[DIR_DICTIONARIES] = { "dictionaries", KIND_DICTIONARY, "PUBLISH_DICTIONARY",
				       "dictionary_id", "id" },
		[DIR_SHARED_POLICY_GROUPS] = { "shared-policy-groups", KIND_SHARED_POLICY_GROUP,
					       "DEPLOY_SHARED_POLICY_GROUP",
					       "shared_policy_group_id", "id" },
		[DIR_AUTHZ_ENTITIES] = { "authz-entities", KIND_AUTHZ_ENTITY,
					 "PUBLISH_AUTHZ_ENTITY", "authz_entity_id", "entityId" },
		[DIR_AUTHZ_POLICIES] = { "authz-policies", KIND_AUTHZ_POLICY,
					 "PUBLISH_AUTHZ_POLICY", "authz_policy_id", "id" },
		[DIR_ACCESS_POINTS] = { "access-points", KIND_ACCESS_POINT },
		[DIR_LICENSES] = { "licenses", KIND_LICENSE },
		[DIR_INSTALLATION] = { "installation", KIND_NODE_METADATA },
	};

	CHECK(d < DIR__COUNT);
	return &forms[d];
}

bool docs_is_document(const char *name)
{
	return name[0] != '.' && str_ends(name, ".json") && strlen(name) < NAME_MAX;
}

struct doc *docs_find(const struct docs *d, const char *path)
{
	return table_get(&d->paths, path);
}

void docs_mark(struct docs *d, struct doc *doc)
{
	if (doc->dirty)
		return;
	doc->dirty = true;
	d->dirty[doc->dir]++;
}

void docs_unmark(struct docs *d, struct doc *doc)
{
	if (!doc->dirty)
		return;
	doc->dirty = false;
	d->dirty[doc->dir]--;
}

struct doc *docs_add(struct docs *d, enum docs_dir dir, const char *path)
{
	struct doc *doc = mem_zalloc(sizeof(*doc));

	doc->path = mem_strdup(path);
	doc->dir = dir;
	(void)table_set(&d->paths, path, doc);
	return doc;
}

/* --- lists in tables --- */

static struct doc_list *list_of(struct table *t, const char *key)
{
	struct doc_list *l = table_get(t, key);

	if (l == NULL) {
		l = mem_zalloc(sizeof(*l));
		(void)table_set(t, key, l);
	}
	return l;
}

static void list_add(struct table *t, const char *key, struct doc *doc)
{
	struct doc_list *l = list_of(t, key);
	size_t at = l->n;

	l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(struct doc *));
	while (at > 0 && strcmp(l->v[at - 1]->path, doc->path) > 0) {
		l->v[at] = l->v[at - 1];
		at--;
	}
	l->v[at] = doc;
	l->n++;
}

static void list_drop(struct table *t, const char *key, const struct doc *doc)
{
	struct doc_list *l = table_get(t, key);
	size_t i;

	if (l == NULL)
		return;
	for (i = 0; i < l->n && l->v[i] != doc; i++)
		continue;
	if (i == l->n)
		return;
	memmove(&l->v[i], &l->v[i + 1], (l->n - i - 1) * sizeof(struct doc *));
	if (--l->n == 0) {
		(void)table_del(t, key);
		mem_free(l->v);
		mem_free(l);
	}
}

static void lists_reset(struct table *t)
{
	size_t at = 0;
	void *v;

	while (table_next(t, &at, NULL, &v)) {
		struct doc_list *l = v;

		mem_free(l->v);
		mem_free(l);
	}
	table_reset(t);
}

static void mark_list(struct docs *d, const struct table *t, const char *key)
{
	const struct doc_list *l = table_get(t, key);
	size_t i;

	for (i = 0; l != NULL && i < l->n; i++)
		docs_mark(d, l->v[i]);
}

/* --- ids --- */

struct doc *docs_owner(const struct docs *d, enum docs_dir dir, const char *id)
{
	const struct doc_list *l = table_get(&d->ids[dir], id);

	return l == NULL || l->n == 0 ? NULL : l->v[0];
}

/* After a list changed: whoever won or lost the first place must be mapped again. */
static void rank(struct docs *d, enum docs_dir dir, const char *id)
{
	const struct doc_list *l = table_get(&d->ids[dir], id);
	size_t i;

	for (i = 0; l != NULL && i < l->n; i++) {
		bool shadowed = i > 0;

		if (l->v[i]->shadowed == shadowed)
			continue;
		l->v[i]->shadowed = shadowed;
		docs_mark(d, l->v[i]);
	}
}

void docs_set_id(struct docs *d, struct doc *doc, const char *id)
{
	char *old = doc->id;

	if (str_equal(old, id))
		return;
	doc->id = mem_strdup(id);
	doc->shadowed = false;
	if (old != NULL) {
		list_drop(&d->ids[doc->dir], old, doc);
		rank(d, doc->dir, old);
	}
	if (id != NULL) {
		list_add(&d->ids[doc->dir], id, doc);
		rank(d, doc->dir, id);
	}
	mem_free(old);
}

void docs_set_facts(struct docs *d, struct doc *sub, struct map_subscription *facts)
{
	const char *old = sub->facts.scope;

	if (!str_equal(old, facts->scope)) {
		if (old != NULL)
			list_drop(&d->children, old, sub);
		if (facts->scope != NULL)
			list_add(&d->children, facts->scope, sub);
	}
	map_subscription_reset(&sub->facts);
	sub->facts = *facts;
	*facts = (struct map_subscription){ 0 };
}

void docs_set_subscriptions(struct docs *d, struct doc *key, const struct map_key *facts)
{
	size_t i;

	for (i = 0; i < key->subscriptions.n; i++)
		list_drop(&d->keys, key->subscriptions.v[i], key);
	map_ids_reset(&key->subscriptions);
	map_ids_copy(&key->subscriptions, &facts->subscriptions);
	for (i = 0; i < key->subscriptions.n; i++)
		list_add(&d->keys, key->subscriptions.v[i], key);
}

void docs_mark_children(struct docs *d, const char *ref)
{
	mark_list(d, &d->children, ref);
}

void docs_mark_keys(struct docs *d, const char *subscription)
{
	mark_list(d, &d->keys, subscription);
}

void docs_mark_dir(struct docs *d, enum docs_dir dir)
{
	size_t at = 0;
	void *v;

	while (table_next(&d->paths, &at, NULL, &v))
		if (((struct doc *)v)->dir == dir)
			docs_mark(d, v);
}

static void doc_free(struct doc *doc)
{
	map_ids_reset(&doc->names);
	map_ids_reset(&doc->subscriptions);
	map_plans_reset(&doc->plans);
	mem_free(doc->path);
	mem_free(doc->id);
	map_subscription_reset(&doc->facts);
	mem_free(doc->version);
	mem_free(doc);
}

void docs_remove(struct docs *d, struct doc *doc)
{
	struct map_subscription none = { 0 };
	const struct map_key no_key = { 0 };

	docs_unmark(d, doc);
	docs_set_id(d, doc, NULL);
	docs_set_facts(d, doc, &none);
	docs_set_subscriptions(d, doc, &no_key);
	(void)table_del(&d->paths, doc->path);
	doc_free(doc);
}

void docs_reset(struct docs *d)
{
	size_t at = 0;
	unsigned i;
	void *v;

	while (table_next(&d->paths, &at, NULL, &v))
		doc_free(v);
	table_reset(&d->paths);
	for (i = 0; i < DIR__COUNT; i++)
		lists_reset(&d->ids[i]);
	lists_reset(&d->children);
	lists_reset(&d->keys);
	*d = (struct docs){ 0 };
}
