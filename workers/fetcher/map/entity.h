/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entity - what map.c knows of each type that comes out of events_latest.
 *
 * Each function gets a row that was checked and an empty `out`, and fills it but for
 * the version. After an error map.c resets `out`.
 *
 * Owns:    nothing. Blocks: never; pure.
 * Errors:  ERR_PARSE, ERR_LIMIT: the row is not readable.
 */
#pragma once

#include "workers/fetcher/map/map.h"

typedef int event_fn(const struct map_ctx *ctx, struct json_span row, struct map_out *out,
		     struct err *e);

event_fn api_publish;
event_fn api_withdraw;
event_fn dictionary_publish;
event_fn dictionary_withdraw;
event_fn organization_publish;
