/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe - is this server one a zone can live on? (zone-protocol 1 and 2)
 *
 * Refused: a server in cluster mode, a replica. Barred from candidacy: an eviction
 * policy that can take events away, missing rights. Warned about: no persistence, a
 * policy that can take the lease away.
 *
 * Owns:    nothing. Blocks: never; probe_info() is pure.
 * Errors:  none; what is wrong stands in the verdict.
 */
#pragma once

#include "common/zone/conn.h"

#define PROBE_TEXT_BYTES 400

struct probe;
typedef void probe_fn(void *arg, const struct probe *p);

/* The caller's storage: must live until `fn` was called or the connection closed. */
struct probe {
	char refused[PROBE_TEXT_BYTES]; /* not empty: this server cannot be used, and the cure */
	char barred[PROBE_TEXT_BYTES];	/* not empty: no candidacy, and the cure */
	char warning[PROBE_TEXT_BYTES];
	bool done;

	/* While the questions are out. */
	probe_fn *fn;
	void *arg;
	unsigned open; /* answers still to come */
	bool aof_off;
	bool save_off;
};

/* Judges the text of INFO. */
void probe_info(struct probe *p, const char *info);

/* Asks the server, then calls `fn` once; not at all when the connection is lost. */
int probe_server(struct zone_conn *z, struct probe *p, bool candidate, probe_fn *fn,
		 void *arg) MUST_USE;
