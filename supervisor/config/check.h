/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check - what no key can be wrong in alone.
 *
 * The rules of zone-protocol 1 for the zone's id, the inequalities of the lease's
 * times, limits that must fit each other, and what this release must insist on. What a worker
 * reads itself, URLs and stores of keys, it judges itself (supervisor/ask.h).
 *
 * Owns: nothing. Blocks: never; pure. Errors: in `problems`.
 */
#pragma once

#include "supervisor/config/config.h"
#include "supervisor/config/origin.h"

void check_config(const struct config *c, struct problems *p);

/* Of it, the warnings that a connection is less protected than it could be. */
void check_protection(const struct config *c, struct problems *p);

/*
 * What is in the file and the environment, and should not be, or is ignored: keys that zonesync
 * must refuse, those of a later release, unknown ones with the nearest known name, texts where a
 * group belongs and the other way round, variables whose name matches nothing.
 */
void audit_config(const struct config *c, const struct resolver *r, struct problems *p);
