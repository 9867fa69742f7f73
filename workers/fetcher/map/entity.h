/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entity - what map.c knows of each type that comes out of events_latest: how the payload of
 * its event is written.
 *
 * Each function gets a row that was checked, and an `out` that has all but the payload and
 * the version; that of an API finds out about the rest by itself. After an error map.c resets
 * `out`.
 *
 * Owns:    nothing. Blocks: never; pure.
 * Errors:  ERR_PARSE, ERR_LIMIT: the row is not readable.
 */
#pragma once

#include "workers/fetcher/map/map.h"

/* The members of a row of events_latest; empty where absent. */
struct event_row {
	struct json_span payload;    /* text that holds JSON ... */
	struct json_span bean;	     /* ... which is this; of rows that publish */
	struct json_span properties; /* strings by name */
	struct json_span created_at;
};

typedef int event_write_fn(const struct map_ctx *ctx, const struct event_row *row,
			   struct map_out *out, struct err *e);

event_write_fn api_write;
event_write_fn dictionary_write;
event_write_fn organization_write;
event_write_fn shared_policy_group_write;
event_write_fn authz_entity_write;
event_write_fn authz_policy_write;
event_write_fn product_write;
