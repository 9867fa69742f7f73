/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work - what the parts of the fetcher share. Each part has a struct of its own in it, which
 * the others reach through its functions only (test/lint/layers.py), and calls those behind it:
 *
 *	fetcher.c	roles, life, what follows what
 *	pass.c		what the source says
 *	removals.c	what goes because it is absent there
 *	quarantine.c	what cannot be read
 *	settle.c	what followers wait for
 *	learn.c		what the zone holds
 *	send.c		what goes out
 *
 * Owns:    see the members.
 * Blocks:  never.
 * Errors:  kept in the state, for the report.
 */
#pragma once

#include "common/worker/worker.h"
#include "workers/fetcher/learn.h"
#include "workers/fetcher/pass.h"
#include "workers/fetcher/publish/end.h"
#include "workers/fetcher/publish/known.h"
#include "workers/fetcher/quarantine.h"
#include "workers/fetcher/removals.h"
#include "workers/fetcher/send.h"
#include "workers/fetcher/settle.h"

enum fetch_state {
	FETCH_IDLE,
	FETCH_HEAD, /* these four: see learn.h */
	FETCH_NAMES,
	FETCH_OLD_NAMES,
	FETCH_KEYS,
	FETCH_WORKING,
	FETCH_STOPPING
};

enum refill {
	REFILL_NONE,
	REFILL_READING, /* everything is written anew, under a new lineage, */
	REFILL_READ	/* and was read: what comes behind it waits until it is written */
};

struct fetcher {
	struct worker *w;
	Ipc__FetcherConfig *config; /* owned copy */
	char mapping[20];	    /* fingerprint of what decides contents */
	struct end *end;
	struct feed *feed, *hello; /* the work; while there is none, is the source there? */

	enum fetch_state state;
	enum refill refill;
	char token[TOKEN_BYTES]; /* "": not promoted */
	int64_t promoted_ms;	 /* boot time */
	struct known known;	 /* of the zone */
	uint32_t pass;		 /* number of the full pass under way or last */

	struct learn learn;
	struct reading reading;
	struct removals removals;
	struct quarantine quarantine;
	struct settle settle;
	struct send send;

	unsigned refusals; /* since the last page that was taken */
	struct err error;  /* of the other end; code 0: none */
	uv_timer_t retry, reconcile, drain, agree;
	int64_t drain_until_ms;
};
