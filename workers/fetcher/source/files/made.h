/* SPDX-License-Identifier: Apache-2.0 */
/*
 * made - the events of one row in the making. A row may make the same name twice, a key
 * with two subscriptions of one API say: a deploy wins over a withdrawal, and the first
 * over a later one.
 *
 * Owns:    what was added.
 * Blocks:  never; pure.
 * Errors:  none.
 */
#pragma once

#include "common/base/table.h"
#include "workers/fetcher/map/map.h"

struct made { /* `{ 0 }` is empty */
	struct map_out *v;
	size_t n, cap;
	struct table names; /* of them -> their place, from 1: a key may make thousands */
};

bool made_has(const struct made *m, const char *name);

void made_add(struct made *m, struct map_out *out); /* takes it */
struct map_out made_withdrawal(enum kind k, const char *id, const char *ref);
void made_reset(struct made *m);
