/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check - what no key can be wrong in alone.
 *
 * The rules of zone-protocol 1 for the zone's id, the inequalities of the lease's
 * times, limits that must fit each other, and what this release must insist on.
 *
 * Owns: nothing. Blocks: never; pure. Errors: in `problems`.
 */
#pragma once

#include "supervisor/config/config.h"

void check_config(const struct config *c, struct problems *p);

/* Of it, the warnings that a connection is less protected than it could be. */
void check_protection(const struct config *c, struct problems *p);
