/* SPDX-License-Identifier: Apache-2.0 */
/*
 * environment - what the workers inherit of the daemon's environment.
 *
 * Nothing but what is named here: what configures zonesync reaches a worker in its Configure
 * message, each only its part; and a library must not be configured behind the file's back, as
 * libpq is by PGHOST and its like.
 *
 * Owns:    nothing.
 * Blocks:  never; pure.
 * Errors:  none.
 * Threads: any.
 */
#pragma once

#include "common/base/cdefs.h"

extern const char *const environment_names[]; /* ends with NULL */

/* Those of `all` that are named. Free with mem_free(); the texts are those of `all`. */
char **environment_of_worker(char *const *all) MUST_USE;
