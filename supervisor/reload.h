/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload - reads a configuration and asks the workers what they think of it, off the loop: a
 * file may be on a disk that hangs, and whoever is asked takes its time.
 *
 * Owns:    itself, until `fn` was called, which it is once, on the loop.
 * Blocks:  never; its thread up to ASK_MS, and on the file.
 * Errors:  those of config_load(); ERR_CONFIG when a worker objects.
 */
#pragma once

#include <uv.h>

#include "supervisor/config/config.h"

struct reload; /* opaque */

/* `c` is the callee's; NULL: refused, and why. `p` lives until the return. */
typedef void reload_fn(void *arg, struct config *c, const struct problems *p, const struct err *e);

struct reload_opts {
	uv_loop_t *loop;
	const char *path, *libexec_dir; /* they stay as long as it lives */
	reload_fn *fn;
	void *arg;
};

struct reload *reload_begin(const struct reload_opts *o) MUST_USE;

/* Nobody waits for it: it is over soon, and `fn` is called. */
void reload_hurry(struct reload *r);
