/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots - what a configuration is inside: load.c fills it, config.c hands it out.
 *
 * Owns:    all of it; config_free(). Blocks: never. Errors: none.
 */
#pragma once

#include <stdbool.h>

#include "supervisor/config/schema.h"
#include "supervisor/config/value.h"

struct slot {
	struct value v;
	char *key;     /* owned; of a pattern the key that was looked up; NULL: the row's */
	bool set;      /* not the default */
	char *env;     /* owned; the variable it came from */
	unsigned line; /* in the file; also of a value that was refused */
};

struct config {
	char *file; /* owned */
	struct slot slot[CFG__COUNT];
};
