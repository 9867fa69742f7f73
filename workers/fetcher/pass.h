/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass - what the source says, and what the zone lacks of it (zone-protocol 4).
 *
 * Owns: f->reading and f->pass. Blocks: never. Errors: of the source, kept for the report.
 */
#pragma once

#include "ipc.pb-c.h"
#include "workers/fetcher/source/feed.h"

#define PASS_SOURCE_MS	 30000 /* a source unheard for so long (or 3 delays) is down */
#define PASS_PURGE_ITEMS 1000  /* tombstones forgotten per pass */

struct fetcher;

struct reading {
	bool on;	       /* a pass is under way, */
	enum pass_kind kind;   /* of this kind, */
	int64_t begun_ms;      /* since then (boot time) */
	int64_t lag_ms;	       /* as old may be what it reads, */
	bool lags;	       /* and what the one before read */
	struct table lower;    /* name -> number of the first pass in a row that found it older */
	int64_t ok_ms;	       /* boot time: the last one that went well ended */
	struct err err;	       /* why the source is down; code 0: it is not */
	enum pass_kind failed; /* the greatest that does since: only its like ends that */
	bool reached;	       /* it was there when it was asked last */
	char notify[ERR_TEXT_BYTES + 16]; /* how it learns of changes between polls */
	uint32_t lacks_of;		  /* number of the full pass of which is known */
	bool lacks;			  /* whether the zone holds products that it did not meet */
	uint64_t rows;
	struct unpublished unpublished; /* owned: as the source told it last */
	bool asking_suspects;
};

/* The zone is known: the source is to be read, which may be as old as what the zone is made of. */
void pass_open(struct fetcher *f);
/* As much as can be sent. */
void pass_take(struct fetcher *f);
void pass_heard(struct fetcher *f, const struct feed_item *i); /* the END of any */
void pass_cannot(struct fetcher *f, const struct err *why);    /* the source is no such thing */

/* The zone is to be learned anew, and no pass is in the way. */
bool pass_relearn_is_due(const struct fetcher *f);
void pass_suspects(struct fetcher *f, const char *const *names, size_t n); /* found by followers */
void pass_end_lost(struct fetcher *f); /* no answer comes to what the end was asked */
void pass_report(struct fetcher *f, Ipc__FetcherReport *out); /* valid until the next one */
void pass_reset(struct fetcher *f);
