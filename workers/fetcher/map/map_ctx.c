/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/map_ctx.h"

#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/map/members.h"

struct map_ctx *map_ctx_create(const char *const *tags, size_t n_tags, const void *secret,
			       size_t secret_len)
{
	struct map_ctx *ctx = mem_zalloc(sizeof(*ctx));
	size_t i;

	for (i = 0; i < n_tags; i++)
		tag_rules_add(&ctx->tags, tags[i]);
	if (secret != NULL && secret_len > 0) {
		ctx->secret = mem_dup(secret, secret_len);
		ctx->secret_len = secret_len;
	}
	return ctx;
}

void map_ctx_set_authz(struct map_ctx *ctx, bool on)
{
	ctx->authz = on;
}

static void place_reset(struct map_place *p)
{
	mem_free(p->id);
	mem_free(p->hrid);
	mem_free(p->parent);
}

static void places_reset(struct map_places *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		place_reset(&p->v[i]);
	mem_free(p->v);
}

void map_ctx_free(struct map_ctx **cp)
{
	struct map_ctx *ctx = *cp;

	*cp = NULL;
	if (ctx == NULL)
		return;
	tag_rules_reset(&ctx->tags);
	if (ctx->secret != NULL)
		explicit_bzero(ctx->secret, ctx->secret_len);
	mem_free(ctx->secret);
	membership_reset(ctx);
	places_reset(&ctx->environments);
	places_reset(&ctx->organizations);
	mem_free(ctx);
}

/* Where the id is, or where it belongs. */
static size_t position_of(const struct map_places *p, const char *id)
{
	size_t low = 0;
	size_t high = p->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(p->v[mid].id, id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct map_place *map_place_find(const struct map_places *p, const char *id)
{
	size_t i = position_of(p, id);

	return i < p->n && strcmp(p->v[i].id, id) == 0 ? &p->v[i] : NULL;
}

/* Takes the strings of `given` over. */
static void places_set(struct map_places *p, struct map_place given)
{
	size_t i;

	CHECK(given.id != NULL);
	i = position_of(p, given.id);
	if (i < p->n && strcmp(p->v[i].id, given.id) == 0) {
		place_reset(&p->v[i]);
		p->v[i] = given;
		return;
	}
	p->v = mem_grow(p->v, &p->cap, p->n + 1, sizeof(*p->v));
	memmove(p->v + i + 1, p->v + i, (p->n - i) * sizeof(*p->v));
	p->v[i] = given;
	p->n++;
}

void map_ctx_forget_places(struct map_ctx *ctx)
{
	places_reset(&ctx->environments);
	places_reset(&ctx->organizations);
	ctx->environments = (struct map_places){ 0 };
	ctx->organizations = (struct map_places){ 0 };
}

void map_ctx_set_environment(struct map_ctx *ctx, const char *id, const char *hrid,
			     const char *organization_id)
{
	struct map_place p = { mem_strdup(id), mem_strdup(hrid), mem_strdup(organization_id) };

	places_set(&ctx->environments, p);
}

void map_ctx_set_organization(struct map_ctx *ctx, const char *id, const char *hrid)
{
	struct map_place p = { mem_strdup(id), mem_strdup(hrid), NULL };

	places_set(&ctx->organizations, p);
}

/* The first element of an array of strings; *out is NULL when there is none. An error may
   leave it set, as the caller's. */
static int first_hrid(struct json_span hrids, char **out, struct err *e)
{
	struct json_iter it;

	char *hrid = NULL;
	int rc = 0;

	*out = NULL;
	if (!json_is_null(hrids) && json_type(hrids) != JSON_ARRAY)
		return err_set(e, ERR_PARSE, "hrids is not an array");
	json_iter_init(&it, hrids);
	while (rc == 0 && json_next(&it)) {
		rc = member_take_id(it.value, "hrid", &hrid, e);
		if (rc == 0 && *out == NULL)
			*out = hrid;
		else if (rc == 0)
			mem_free(hrid);
	}
	return rc;
}

static int read_place(struct json_span text, struct map_place *p, struct err *e)
{
	struct json_span row = { 0 };
	struct json_span org;
	int rc = member_check_object(text, "row", &row, e);

	if (rc == 0)
		rc = member_take_id(json_get(row, "id"), "id", &p->id, e);
	if (rc == 0)
		rc = first_hrid(json_get(row, "hrids"), &p->hrid, e);
	org = rc == 0 ? json_get(row, "organizationId") : row;
	if (rc == 0 && !json_is_null(org))
		rc = member_take_id(org, "organizationId", &p->parent, e);
	return rc;
}

int map_environment(struct map_ctx *ctx, struct json_span row, struct err *e)
{
	struct map_place p = { 0 };
	int rc = read_place(row, &p, e);

	if (rc == 0)
		places_set(&ctx->environments, p);
	else
		place_reset(&p);
	return rc;
}

int map_organization(struct map_ctx *ctx, struct json_span row, struct err *e)
{
	struct map_place p = { 0 };
	int rc = read_place(row, &p, e);

	if (rc == 0)
		places_set(&ctx->organizations, p);
	else
		place_reset(&p);
	return rc;
}
