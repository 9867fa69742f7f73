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

/* The members of a row of events_latest; empty where absent. */
struct event_row {
	struct json_span payload;    /* text that holds JSON */
	struct json_span properties; /* strings by name */
	struct json_span created_at;
};

typedef int event_fn(const struct map_ctx *ctx, const struct event_row *row, struct map_out *out,
		     struct err *e);

event_fn api_publish;
event_fn api_withdraw;
event_fn dictionary_publish;
event_fn dictionary_withdraw;
event_fn organization_publish;
event_fn shared_policy_group_publish;
event_fn shared_policy_group_withdraw;
event_fn authz_entity_publish;
event_fn authz_entity_withdraw;
event_fn authz_policy_publish;
event_fn authz_policy_withdraw;
event_fn product_publish;
event_fn product_withdraw;
