/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/map_ctx.h"

#include <stdint.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/membership.h"

/* --- which APIs are in a product --- */

/* One product more, or less, that has the API. */
static void count_member(struct map_ctx *ctx, const char *api, bool more, struct map_ids *changed)
{
	uintptr_t n = (uintptr_t)table_get(&ctx->members, api);

	CHECK(more || n > 0);
	n = more ? n + 1 : n - 1;
	if (n == 0)
		(void)table_del(&ctx->members, api);
	else
		(void)table_set(&ctx->members, api, (void *)n);
	if (n == (more ? 1 : 0))
		map_ids_add(changed, api);
}

void map_ctx_set_product(struct map_ctx *ctx, const char *id, struct map_ids *apis,
			 struct map_ids *changed)
{
	struct map_ids *old;
	struct map_ids *now = NULL;
	size_t i;

	/* The new ones first: one that stays does not leave in between. */
	for (i = 0; i < apis->n; i++)
		count_member(ctx, apis->v[i], true, changed);
	if (apis->n > 0)
		now = mem_dup(apis, sizeof(*apis));
	*apis = (struct map_ids){ 0 };
	old = now == NULL ? table_del(&ctx->products, id) : table_set(&ctx->products, id, now);
	if (old == NULL)
		return;
	for (i = 0; i < old->n; i++)
		count_member(ctx, old->v[i], false, changed);
	map_ids_reset(old);
	mem_free(old);
}

enum map_say map_judge(const struct map_unsure *u, const struct map_out *api, bool lost)
{
	if (!api->ineligible)
		return MAP_SAY;
	if (u->doubt)
		return MAP_DOUBT;
	return u->lost || lost ? MAP_LOST : MAP_SAY;
}

char *map_ctx_members_digest(const struct map_ctx *ctx)
{
	struct digest d = { { 0 }, 0 };
	char text[DIGEST_TEXT_BYTES];
	struct hash h;
	const char *api;
	size_t at = 0;
	void *v;

	while (table_next(&ctx->members, &at, &api, &v)) {
		hash_event(&h, 'D', api, NULL, 0);
		digest_add(&d, &h);
	}
	digest_text(text, &d);
	return mem_printf("%llu:%s", (unsigned long long)d.count, text);
}

static void forget_products(struct map_ctx *ctx)
{
	size_t at = 0;
	void *v;

	while (table_next(&ctx->products, &at, NULL, &v)) {
		map_ids_reset(v);
		mem_free(v);
	}
	table_reset(&ctx->products);
	table_reset(&ctx->members);
}

/* --- all of it --- */

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

struct places *map_places(struct map_ctx *ctx)
{
	return &ctx->places;
}

void map_write_names(const struct map_ctx *ctx, struct json_span environment, struct buf *b)
{
	const struct place *env;
	const struct place *org;
	struct buf id = { 0 };

	json_unescape(environment, &id);
	env = places_find(&ctx->places, PLACE_ENVIRONMENT, buf_cstr(&id));
	buf_reset(&id);
	org = places_organization(&ctx->places, env);
	json_add_str(b, "environmentHrid", place_hrid(env));
	json_add_str(b, "organizationId", org == NULL ? NULL : org->id);
	json_add_str(b, "organizationHrid", place_hrid(org));
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
	forget_products(ctx);
	places_reset(&ctx->places);
	mem_free(ctx);
}
