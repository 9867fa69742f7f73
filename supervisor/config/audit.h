/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit - what is in the file and the environment, and should not be, or is ignored.
 *
 * Keys that zonesync must refuse, keys of a later release, unknown keys with the
 * nearest known name, texts where a group belongs and the other way round, variables
 * whose name matches nothing.
 *
 * Owns: nothing. Blocks: never; pure. Errors: in `problems`.
 */
#pragma once

#include "supervisor/config/config.h"
#include "supervisor/config/origin.h"

void audit_config(const struct config *c, const struct resolver *r, struct problems *p);
