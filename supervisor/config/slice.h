/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slice - the part of the configuration that one worker gets, as its first message.
 *
 * A worker gets its own section and its own secrets, nothing else. Two slices are equal
 * when their packed bytes are, so a reload restarts only the workers whose part changed; level
 * and form of the log change in one that runs.
 *
 * Owns:    message and bytes; slice_reset() overwrites the secrets and releases them.
 * Blocks:  never; pure.
 * Errors:  none: a configuration that was loaded can be sliced.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc.pb-c.h"
#include "supervisor/config/config.h"

enum slice_worker { SLICE_ELECTOR, SLICE_FETCHER, SLICE_CACHE, SLICE__COUNT };

/* What the configuration does not know. */
struct slice_input {
	const char *state_dir; /* the cache's store lies in <state_dir>/store */
	const char *run_dir;   /* standalone, the cache's local.sock lies there */
	const char *log_dir;   /* logs go to <log_dir>/<worker>.log; NULL: to stderr */
	const char *node_id;   /* of this installation; NULL: the node's name */
	const char *http;      /* where the technical API listens; NULL: nowhere */
};

struct slice {
	Ipc__Configure *msg; /* owned */
	uint8_t *bytes;	     /* owned; the message, packed */
	size_t n;
};

/* `out` is empty before. */
void slice_build(struct slice *out, const struct config *c, enum slice_worker worker,
		 const struct slice_input *in);
bool slice_equal(const struct slice *a, const struct slice *b);
bool slice_equal_but_log(const struct slice *a, const struct slice *b); /* at least that */
void slice_reset(struct slice *s);

const char *slice_worker_name(enum slice_worker worker);
