/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay - the half of the follower that reads the zone's log: pages, proof, resync
 * (zone-protocol 5 and 6). follower.c chooses between it and the mirror of a Java primary.
 *
 * A resync builds the next generation beside the one that serves, and takes its place when it is
 * the zone, and follow_switch() says that it may.
 *
 * Owns:    f->replay.
 * Blocks:  never.
 * Errors:  through follower_fail(); the last known good stays.
 */
#pragma once

#include "common/store/store.h"
#include "common/zone/follow.h"
#include "ipc.pb-c.h"

struct follower;
struct keeper_job;

struct replay {
	struct store_ahead ahead; /* withdrawals taken beyond the position that serves */
	/* The resync under way. */
	uint64_t begun_horizon;	      /* of the zone */
	bool other_history;	      /* than what serves, which nothing goes on from */
	bool named;		      /* it found damage and told it */
	struct looks looks;	      /* what was seen of the source's polls since */
	enum switch_verdict waits;    /* why it does not serve yet */
	size_t lacks;		      /* so many names were gone at the last comparison, */
	char lacking[48];	      /* of a type that is halved: "7 of 9 API_KEY"; */
	size_t doubtful;	      /* so many differed; SIZE_MAX: there was none yet */
	int64_t compared_ms;	      /* boot time: when that was to decide */
	char accepted[LINEAGE_BYTES]; /* whose state a person let serve, whatever is gone */
	/* The next one. */
	bool owed; /* asked for by a person, or because of damage */
	char why[64];
	int64_t failed_ms;	/* when one could not be proven; 0: never, */
	struct position failed; /* of the zone then, */
	unsigned failures;	/* and how often */
	int64_t build_after_ms; /* boot time: none before, as the last could not be written; */
	int64_t build_pause_ms; /* after so long */
	/* An older epoch's lease, as seen first. */
	uint64_t lease_seq;
	int64_t lease_since_ms;
};

void replay_open(struct follower *f);
void replay_judge(struct follower *f, struct page *page); /* by the head that came with it */
void replay_applied(struct follower *f, const struct keeper_job *job);
void replay_compared(struct follower *f, const struct keeper_job *job);
void replay_switched(struct follower *f);
void replay_owe(struct follower *f, const char *why); /* a resync, as soon as there can be one */
bool replay_paid(struct follower *f);		      /* by another: it is owed no more. Was it? */
void replay_at_once(struct follower *f); /* whatever kept the last from being written */
void replay_accept(struct follower *f);	 /* a person lets it serve */
void replay_abandon(struct follower *f); /* the resync */
void replay_broke(struct follower *f);	 /* it could not be written: not at once again */
void replay_went_well(struct follower *f);
void replay_report(const struct follower *f, Ipc__CacheReport *out); /* valid until the next one */
