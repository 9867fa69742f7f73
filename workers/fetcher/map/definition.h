/* SPDX-License-Identifier: Apache-2.0 */
/*
 * definition - what the mapping knows of an API's definition: which kind it is, and
 * the two things the primary changes in it (storage 2.3), plans and properties.
 * Everything else is copied byte for byte.
 *
 * Owns:    nothing.
 * Blocks:  never; pure.
 * Errors:  ERR_PARSE: a definition that no gateway would take.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/json/scan.h"
#include "workers/fetcher/map/map.h"

enum definition_kind {
	DEFINITION_V2,
	DEFINITION_V4_HTTP,
	DEFINITION_V4_NATIVE,
	DEFINITION_V4_EDGE
};

/* The definition's own word: "definitionVersion" or "gravitee" is 4.0.0. */
bool definition_says_v4(struct json_span def);

/* `type` is the v4 type, from the row or the definition; not looked at for v2. */
int definition_recognise(struct json_span def, bool v4, struct json_span type,
			 enum definition_kind *out, struct err *e) MUST_USE;

/* Appends the plans that are published or deprecated and, with a context, have its tags.
   *n is how many. */
int definition_write_plans(const struct map_ctx *ctx, struct json_span plans, struct buf *b,
			   size_t *n, struct err *e) MUST_USE;

/*
 * Appends the definition with the plans that are left for these tags and the
 * properties opened. *plans is how many plans are left.
 */
int definition_write(const struct map_ctx *ctx, struct json_span def, struct buf *b, size_t *plans,
		     struct err *e) MUST_USE;
