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
#include <stdint.h>

#include "common/base/err.h"
#include "ipc.pb-c.h"

struct feed;
struct places;
struct source;

enum pass_kind {
	PASS_DELTA,   /* what changed since the pass before */
	PASS_COMPARE, /* everything is looked at; what the zone holds is not read again */
	PASS_ALL      /* everything is read: a refill */
};

struct source_ops {
	/* Puts items between BEGIN and END; >= 0: rows read. */
	int (*pass)(struct source *s, enum pass_kind what, struct feed *f, struct err *e);
	/* Returns when something changed, `wake_fd` is readable, or the time is over. */
	void (*wait)(struct source *s, int wake_fd, int timeout_ms);
	void (*close)(struct source *s);
};

struct source {
	const struct source_ops *ops;
	bool resumes; /* its first pass may be a delta, from the cursors of the zone */
};

/* What decides about contents besides the rows, as it is configured. */
struct map_ctx *source_context(const Ipc__FetcherConfig *c) MUST_USE;
/* What is in a place that is not there is not gone. */
void source_doubt_places(struct feed *f, const struct places *p);
