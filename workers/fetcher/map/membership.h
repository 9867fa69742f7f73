/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership - which APIs are in an API product. An API of a deployed product that has plans
 * is deployed whatever its own tags and plans (storage 3.6), so products must be known
 * before APIs are mapped, and an API is mapped again when its membership changes.
 *
 * Owns:    what a context was given is its own.
 * Blocks:  never; pure.
 * Errors:  as map.h.
 */
#pragma once

#include "workers/fetcher/map/ids.h"
#include "workers/fetcher/map/map.h"

/* The APIs of a product's event, by its payload; none when it has no plans. */
int map_members_read(struct json_span payload, struct map_ids *out, struct err *e) MUST_USE;

/*
 * Takes `apis` in place of those that the product had; none: it is withdrawn. Appends to
 * `changed` the APIs that are in a product now and were in none, or the other way.
 */
void map_ctx_set_product(struct map_ctx *ctx, const char *id, struct map_ids *apis,
			 struct map_ids *changed);

/* What is not known of products, and so of the APIs that only they make eligible. */
struct map_unsure {
	bool doubt; /* some cannot be read, and never could: what is not eligible may be */
	bool lost;  /* some are gone, as of an outage: what only they made eligible goes as if
		       its own row were, if the guard lets it */
	bool holds; /* and some of that may be in the zone still */
};
enum map_say {
	MAP_SAY,   /* as the row has it */
	MAP_DOUBT, /* nothing: it may be eligible */
	MAP_LOST   /* it is as good as gone */
};
/* `lost`: this API was left so by a product that is gone. */
enum map_say map_judge(const struct map_unsure *u, const struct map_out *api, bool lost);

/* Equal while the same APIs are in a product. The caller's. */
char *map_ctx_members_digest(const struct map_ctx *ctx) MUST_USE;
