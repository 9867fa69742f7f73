/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/places.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/mem.h"
#include "workers/fetcher/map/members.h"

/* --- rows --- */

static void place_free(struct place *p)
{
	if (p == NULL)
		return;
	map_ids_reset(&p->hrids);
	mem_free(p->organization);
	mem_free(p->id);
	mem_free(p);
}

int places_add(struct places *p, enum place_type t, struct json_span text, struct err *e)
{
	struct place *made = mem_zalloc(sizeof(*made));
	struct json_span row = { 0 };
	int rc = member_check_object(text, "row", &row, e);

	if (rc == 0)
		rc = member_take_id(json_get(row, "id"), "id", &made->id, e);
	if (rc == 0)
		rc = member_take_ids(json_get(row, "hrids"), "hrids", "hrid", &made->hrids, e);
	if (rc == 0 && !json_is_null(json_get(row, "organizationId")))
		rc = member_take_id(json_get(row, "organizationId"), "organizationId",
				    &made->organization, e);
	made->hash = hash_u64(text.p, text.n, 0);
	made->there = true;
	place_free(rc == 0 ? table_set(&p->of[t], made->id, made) : made);
	return rc;
}

void places_gone(struct places *p, enum place_type t, const char *id)
{
	struct place *one = table_get(&p->of[t], id);

	if (one != NULL)
		one->there = false;
}

void places_begin(struct places *p)
{
	unsigned t;
	void *v;

	for (t = 0; t < PLACE__COUNT; t++) {
		size_t at = 0;

		while (table_next(&p->of[t], &at, NULL, &v))
			((struct place *)v)->there = false;
	}
	places_unname(p);
	p->unreadable = 0;
}

void places_unname(struct places *p)
{
	if (p->named != NULL)
		memset(p->named, 0, p->wanted.environments.n * sizeof(*p->named));
}

static void forget(struct places *p, bool all)
{
	const char *id;
	unsigned t;
	void *v;

	for (t = 0; t < PLACE__COUNT; t++) {
		size_t at = 0;

		while (table_next(&p->of[t], &at, &id, &v)) {
			if (!all && ((struct place *)v)->there)
				continue;
			(void)table_del(&p->of[t], id);
			place_free(v);
		}
	}
}

void places_end(struct places *p)
{
	if (p->unreadable == 0)
		forget(p, false);
}

const struct place *places_find(const struct places *p, enum place_type t, const char *id)
{
	return id == NULL ? NULL : table_get(&p->of[t], id);
}

const struct place *places_organization(const struct places *p, const struct place *env)
{
	return env == NULL ? NULL : places_find(p, PLACE_ORGANIZATION, env->organization);
}

const char *place_hrid(const struct place *p)
{
	return p != NULL && p->hrids.n > 0 ? p->hrids.v[0] : NULL;
}

/* --- what is wanted --- */

void places_want(struct places *p, const struct places_wanted *w)
{
	p->wanted = *w;
	map_ids_copy(&p->wanted.environments, &w->environments);
	map_ids_copy(&p->wanted.organizations, &w->organizations);
	p->named = mem_zalloc((w->environments.n + 1) * sizeof(*p->named));
}

void places_reset(struct places *p)
{
	unsigned t;

	forget(p, true);
	for (t = 0; t < PLACE__COUNT; t++)
		table_reset(&p->of[t]);
	map_ids_reset(&p->ids);
	map_ids_reset(&p->organization_ids);
	map_ids_reset(&p->wanted.environments);
	map_ids_reset(&p->wanted.organizations);
	mem_free(p->named);
	*p = (struct places){ 0 };
}

/* Has it one of the wanted hrids? */
static enum owner intersects(const struct place *p, const struct map_ids *l)
{
	size_t i, k;

	if (p == NULL || !p->there)
		return OWNER_UNKNOWN;
	for (i = 0; i < p->hrids.n; i++)
		for (k = 0; k < l->n; k++)
			if (str_equal(p->hrids.v[i], l->v[k]))
				return OURS;
	return NOT_OURS;
}

bool places_filter(const struct places *p)
{
	const struct places_wanted *w = &p->wanted;

	/* By ids, organizations decide nothing: they follow from the environments. */
	return w->environments.n > 0 || (w->organizations.n > 0 && w->legacy_hrids);
}

enum owner places_owner(const struct places *p, const char *id)
{
	const struct places_wanted *w = &p->wanted;
	const struct place *env = places_find(p, PLACE_ENVIRONMENT, id);
	enum owner o = OURS;
	size_t i;

	if (w->environments.n + w->organizations.n == 0)
		return OURS;
	if (id == NULL)
		return NOT_OURS;
	for (i = 0; !w->legacy_hrids && i < w->environments.n; i++)
		if (str_equal(w->environments.v[i], id)) {
			p->named[i] = true;
			return OURS;
		}
	if (!w->legacy_hrids)
		return w->environments.n == 0 ? OURS : NOT_OURS;
	if (w->organizations.n > 0)
		o = intersects(env != NULL && env->there ? places_organization(p, env) : NULL,
			       &w->organizations);
	if (o == OURS && w->environments.n > 0)
		o = intersects(env, &w->environments);
	return o;
}

/* --- what follows --- */

void places_organizations(const struct places *p, struct map_ids *out)
{
	const struct places_wanted *w = &p->wanted;
	size_t at = 0;
	void *v;

	while (places_filter(p) && table_next(&p->of[PLACE_ENVIRONMENT], &at, NULL, &v)) {
		const struct place *env = v;

		if (env->there && env->organization != NULL && places_owner(p, env->id) == OURS)
			map_ids_add(out, env->organization);
	}
	at = 0;
	while (w->legacy_hrids && table_next(&p->of[PLACE_ORGANIZATION], &at, NULL, &v))
		if (intersects(v, &w->organizations) == OURS)
			map_ids_add(out, ((struct place *)v)->id);
	map_ids_sort(out);
}

int places_resolve(struct places *p, struct err *e)
{
	struct map_ids environments = { 0 };
	size_t at = 0;
	void *v;

	while (places_filter(p) && table_next(&p->of[PLACE_ENVIRONMENT], &at, NULL, &v)) {
		const struct place *env = v;

		if (env->there && places_owner(p, env->id) == OURS)
			map_ids_add(&environments, env->id);
	}
	if (places_filter(p) && environments.n == 0)
		return err_set(e, ERR_STATE,
			       "no environment of the database is one of "
			       "`environments` and `organizations`");
	map_ids_reset(&p->ids);
	map_ids_reset(&p->organization_ids);
	p->ids = environments;
	places_organizations(p, &p->organization_ids);
	return 0;
}

static bool has_hrid(const struct table *t, char *hrid)
{
	const struct map_ids one = { &hrid, 1, 0 };
	size_t at = 0;
	void *v;

	while (table_next(t, &at, NULL, &v))
		if (intersects(v, &one) == OURS)
			return true;
	return false;
}

/* By ids it is enough that a row of any kind names it. */
static bool is_there(const struct places *p, size_t i)
{
	char *one = p->wanted.environments.v[i];
	const struct place *env = places_find(p, PLACE_ENVIRONMENT, one);

	return p->wanted.legacy_hrids ? has_hrid(&p->of[PLACE_ENVIRONMENT], one)
				      : p->named[i] || (env != NULL && env->there);
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
	for (i = 0; i < w->environments.n; i++)
		if (!is_there(p, i))
			say_lack(out, "environment", w->environments.v[i]);
	for (i = 0; w->legacy_hrids && i < w->organizations.n; i++)
		if (!has_hrid(&p->of[PLACE_ORGANIZATION], w->organizations.v[i]))
			say_lack(out, "organization", w->organizations.v[i]);
	return out->len > before;
}

/* The order of a table is none, so the hashes are added up. */
char *places_digest(const struct places *p)
{
	uint64_t sum = 0;
	unsigned t;
	void *v;

	for (t = 0; t < PLACE__COUNT; t++) {
		size_t at = 0;

		while (table_next(&p->of[t], &at, NULL, &v))
			if (((struct place *)v)->there)
				sum += ((struct place *)v)->hash * (t == PLACE_ENVIRONMENT ? 1 : 3);
	}
	return mem_printf("%016" PRIx64 "%s", sum, p->unreadable > 0 ? "?" : "");
}
