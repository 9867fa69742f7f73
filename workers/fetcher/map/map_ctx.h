/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_ctx - what a struct map_ctx holds, for the files of this folder.
 *
 * Owns:    everything in it; map_ctx_free() releases it and wipes the secret.
 * Blocks:  never; pure.
 * Errors:  see map.h.
 */
#pragma once

#include "common/base/str.h"
#include "common/base/table.h"
#include "workers/fetcher/map/map.h"
#include "workers/fetcher/map/tags.h"

/* An environment or an organization; sorted by id. */
struct map_place {
	char *id;     /* owned */
	char *hrid;   /* owned; NULL: it has none */
	char *parent; /* owned; an environment's organization; NULL: unknown */
};

struct map_places {
	struct map_place *v; /* owned */
	size_t n;
	size_t cap;
};

struct map_ctx {
	struct tag_rules tags;
	char *secret; /* owned; NULL: encrypted properties stay as they are */
	size_t secret_len;
	bool authz;
	struct map_places environments;
	struct map_places organizations;
	struct table products; /* id -> struct map_ids of its APIs, owned */
	struct table members;  /* API id -> how many products have it */
};

void membership_reset(struct map_ctx *ctx);

/* NULL when it is not known. */
const struct map_place *map_place_find(const struct map_places *p, const char *id);
