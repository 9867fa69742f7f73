/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines - an event of the cache as one line, with tabs for programs or as JSON.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include "common/base/str.h"
#include "gateway.pb-c.h"

/* TYPE, ID, REF or "-", REVISION, "deployed" or "withdrawn" */
void lines_entity(struct buf *out, const Gateway__Event *ev);

/* REVISION, DEPLOY or UNDEPLOY, TYPE, ID, REF or "-" */
void lines_change(struct buf *out, const Gateway__Event *ev);

/* The position is left out when `lineage` is "". */
void lines_json(struct buf *out, const Gateway__Event *ev, const char *lineage);

/* "api-key" to "API_KEY": the caller's bytes. False when it does not fit n bytes. */
bool lines_kind(char *out, size_t n, const char *typed);
