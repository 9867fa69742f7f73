/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source - where management state comes from. One implementation a kind of source; each
 * is the only user of its client library.
 *
 * Owns:    as each says. Blocks: yes: runs on the feed's thread.
 * Errors:  pass() < 0: the source could not be read, and nothing may be concluded from
 *          what was not seen.
 */
#pragma once

#include <stdbool.h>

#include "common/base/err.h"

struct feed;
struct source;

struct source_ops {
	/* Reads what changed, or everything, and puts items between BEGIN and END. */
	int (*pass)(struct source *s, bool full, struct feed *f, struct err *e);
	/* Returns when something changed, `wake_fd` is readable, or the time is over. */
	void (*wait)(struct source *s, int wake_fd, int timeout_ms);
	void (*close)(struct source *s);
};

struct source {
	const struct source_ops *ops;
};
