/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/source.h"

#include "workers/fetcher/map/places.h"
#include "workers/fetcher/source/feed.h"

struct map_ctx *source_context(const Ipc__FetcherConfig *c)
{
	struct map_ctx *ctx = map_ctx_create((const char *const *)c->tags, c->n_tags,
					     c->encryption_secret.data, c->encryption_secret.len);

	map_ctx_set_authz(ctx, c->authz);
	places_want(map_places(ctx),
		    &(struct places_wanted){ { c->environments, c->n_environments, 0 },
					     { c->organizations, c->n_organizations, 0 },
					     c->legacy_hrids });
	return ctx;
}

void source_doubt_places(struct feed *f, const struct places *p)
{
	struct buf text = { 0 };

	if (places_lack(p, &text))
		feed_doubt(f, UINT32_MAX, 1, buf_cstr(&text));
	buf_reset(&text);
}
