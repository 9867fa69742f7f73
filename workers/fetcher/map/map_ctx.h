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
#include "workers/fetcher/map/places.h"
#include "workers/fetcher/map/tags.h"

struct map_ctx {
	struct tag_rules tags;
	char *secret; /* owned; NULL: encrypted properties stay as they are */
	size_t secret_len;
	bool authz;
	struct places places;
	struct table products; /* id -> struct map_ids of its APIs, owned */
	struct table members;  /* API id -> how many products have it */
};

/* The names of an environment and its organization; of one that is not known none: what the
   row itself says of them stays (storage 3.5). */
void map_write_names(const struct map_ctx *ctx, struct json_span environment, struct buf *b);
