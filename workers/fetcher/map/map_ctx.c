/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/map_ctx.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"

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
	membership_reset(ctx);
	places_reset(&ctx->places);
	mem_free(ctx);
}
