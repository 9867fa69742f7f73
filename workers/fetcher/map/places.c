/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/places.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

struct place {
	char *organization; /* owned; of an environment; NULL: none */
	char **hrids;	    /* owned */
	size_t n, cap;
	uint64_t hash; /* of the row */
};

static void place_free(struct place *p)
{
	size_t i;

	if (p == NULL)
		return;
	for (i = 0; i < p->n; i++)
		mem_free(p->hrids[i]);
	mem_free(p->hrids);
	mem_free(p->organization);
	mem_free(p);
}

static void clear(struct table *t)
{
	size_t at = 0;
	void *v;

	while (table_next(t, &at, NULL, &v))
		place_free(v);
	table_reset(t);
}

struct ids { /* `{ 0 }` is empty */
	char **v;
	size_t n, cap;
};

static void ids_add(struct ids *l, const char *id)
{
	l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = mem_strdup(id);
}

static void ids_sort(struct ids *l)
{
	size_t n = 0;
	size_t i;

	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), str_order);
	for (i = 0; i < l->n; i++) {
		if (n > 0 && strcmp(l->v[n - 1], l->v[i]) == 0)
			mem_free(l->v[i]);
		else
			l->v[n++] = l->v[i];
	}
	l->n = n;
}

/* Takes them over. */
static void set_list(char ***v, size_t *n, const struct ids *l)
{
	while (*n > 0)
		mem_free((*v)[--*n]);
	mem_free(*v);
	*v = l->v;
	*n = l->n;
}

static void set_ids(struct places *p, const struct ids *environments,
		    const struct ids *organizations)
{
	set_list(&p->ids, &p->n_ids, environments);
	set_list(&p->organization_ids, &p->n_organization_ids, organizations);
}

void places_begin(struct places *p)
{
	clear(&p->environments);
	clear(&p->organizations);
	p->unreadable = 0;
}

void places_reset(struct places *p)
{
	const struct ids none = { 0 };

	places_begin(p);
	set_ids(p, &none, &none);
}

void places_unreadable(struct places *p)
{
	p->unreadable++;
}

static char *text_of(struct json_span v)
{
	struct buf b = { 0 };

	if (json_type(v) != JSON_STRING)
		return NULL;
	json_unescape(v, &b);
	return buf_take(&b);
}

static void keep(struct table *t, struct json_span row)
{
	struct place *p = mem_zalloc(sizeof(*p));
	char *id = text_of(json_get(row, "id"));
	struct json_iter it;

	p->organization = text_of(json_get(row, "organizationId"));
	json_iter_init(&it, json_get(row, "hrids"));
	while (json_next(&it)) {
		char *hrid = text_of(it.value);

		if (hrid == NULL)
			continue;
		p->hrids = mem_grow(p->hrids, &p->cap, p->n + 1, sizeof(*p->hrids));
		p->hrids[p->n++] = hrid;
	}
	p->hash = hash_u64(row.p, row.n, 0);
	place_free(table_set(t, id, p));
	mem_free(id);
}

int places_environment(struct places *p, struct map_ctx *ctx, struct json_span row, struct err *e)
{
	int rc = map_environment(ctx, row, e);

	if (rc == 0)
		keep(&p->environments, row);
	return rc;
}

int places_organization(struct places *p, struct map_ctx *ctx, struct json_span row, struct err *e)
{
	int rc = map_organization(ctx, row, e);

	if (rc == 0)
		keep(&p->organizations, row);
	return rc;
}

static bool is_one_of(const char *s, char *const *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (str_equal(s, v[i]))
			return true;
	return false;
}

static bool intersects(const struct place *p, char *const *v, size_t n)
{
	size_t i;

	for (i = 0; p != NULL && i < p->n; i++)
		if (is_one_of(p->hrids[i], v, n))
			return true;
	return false;
}

static bool is_ours(const struct places *p, const char *id, const struct place *env)
{
	const struct places_wanted *w = &p->wanted;

	if (!w->legacy_hrids)
		return is_one_of(id, w->environments, w->n_environments);
	if (w->n_organizations > 0 &&
	    !intersects(env->organization == NULL ? NULL
						  : table_get(&p->organizations, env->organization),
			w->organizations, w->n_organizations))
		return false;
	return w->n_environments == 0 || intersects(env, w->environments, w->n_environments);
}

int places_resolve(struct places *p, struct err *e)
{
	const struct places_wanted *w = &p->wanted;
	struct ids environments = { 0 };
	struct ids organizations = { 0 };
	size_t at = 0;
	const char *id;
	void *v;

	/* By ids, organizations decide nothing: they follow from the environments. */
	if (w->n_environments == 0 && (w->n_organizations == 0 || !w->legacy_hrids)) {
		set_ids(p, &environments, &organizations);
		return 0;
	}
	while (table_next(&p->environments, &at, &id, &v)) {
		const struct place *env = v;

		if (!is_ours(p, id, env))
			continue;
		ids_add(&environments, id);
		if (env->organization != NULL)
			ids_add(&organizations, env->organization);
	}
	if (environments.n == 0)
		return err_set(e, ERR_STATE,
			       "no environment of the database is one of "
			       "`environments` and `organizations`");
	at = 0;
	while (w->legacy_hrids && table_next(&p->organizations, &at, &id, &v))
		if (intersects(v, w->organizations, w->n_organizations))
			ids_add(&organizations, id);
	ids_sort(&organizations);
	set_ids(p, &environments, &organizations);
	return 0;
}

static bool has_hrid(const struct table *t, const char *hrid)
{
	char *const one[1] = { (char *)(uintptr_t)hrid };
	size_t at = 0;
	void *v;

	while (table_next(t, &at, NULL, &v))
		if (intersects(v, one, 1))
			return true;
	return false;
}

static void say_lack(struct buf *out, const char *what, const char *which)
{
	buf_printf(out, "%sthe source has no %s %s", out->len > 0 ? "; " : "", what, which);
}

bool places_lack(const struct places *p, struct buf *out)
{
	const struct places_wanted *w = &p->wanted;
	size_t before = out->len;
	size_t i;

	if (p->unreadable > 0)
		return false;
	for (i = 0; i < w->n_environments; i++)
		if (w->legacy_hrids ? !has_hrid(&p->environments, w->environments[i])
				    : table_get(&p->environments, w->environments[i]) == NULL)
			say_lack(out, "environment", w->environments[i]);
	for (i = 0; w->legacy_hrids && i < w->n_organizations; i++)
		if (!has_hrid(&p->organizations, w->organizations[i]))
			say_lack(out, "organization", w->organizations[i]);
	return out->len > before;
}

void places_apply(const struct places *p, struct map_ctx *ctx)
{
	const char *id;
	size_t at = 0;
	void *v;

	if (p->unreadable > 0)
		return;
	map_ctx_forget_places(ctx);
	while (table_next(&p->environments, &at, &id, &v)) {
		struct place *e = v;

		map_ctx_set_environment(ctx, id, e->n > 0 ? e->hrids[0] : NULL, e->organization);
	}
	at = 0;
	while (table_next(&p->organizations, &at, &id, &v)) {
		struct place *o = v;

		map_ctx_set_organization(ctx, id, o->n > 0 ? o->hrids[0] : NULL);
	}
}

/* The order of a table is none, so the hashes are added up. */
char *places_digest(const struct places *p)
{
	uint64_t sum = 0;
	size_t at = 0;
	void *v;

	while (table_next(&p->environments, &at, NULL, &v))
		sum += ((struct place *)v)->hash;
	at = 0;
	while (table_next(&p->organizations, &at, NULL, &v))
		sum += ((struct place *)v)->hash * 3;
	return mem_printf("%016" PRIx64 "%s", sum, p->unreadable > 0 ? "?" : "");
}
