/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/membership.h"

#include <stdint.h>

#include "common/base/digest.h"
#include "common/base/mem.h"
#include "workers/fetcher/map/map_ctx.h"

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

void membership_reset(struct map_ctx *ctx)
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
