/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay - the half of the follower that reads the zone's log: pages, proof, resync
 * (zone-protocol 5 and 6). follower.c chooses between it and the mirror of a Java primary.
 *
 * Owns:    nothing; works on the follower, which both halves share.
 * Blocks:  never.
 * Errors:  through follower_fail(); the last known good stays.
 */
#pragma once

#include <uv.h>

#include "common/worker/worker.h"
#include "common/zone/follow.h"
#include "common/zone/java.h"
#include "common/zone/probe.h"
#include "common/zone/search.h"
#include "workers/cache/keeper.h"
#include "workers/cache/follow/mirror.h"
#include "workers/cache/upstream.h"

/*
 * A question to the zone, one at a time, and its answer until it is its turn.
 *
 * While the store's thread applies a page the next one is asked for, behind the end of the first:
 * one page ahead, no more. A page counts only where it was read: its turn comes when the thread
 * is free, and if `into` and `behind` are not where replay_target() stands then, it is dropped
 * unjudged. So whoever moves, begins, gives up or fails need not think of what was read ahead.
 * Its head becomes follower.head, and is judged, not before that turn.
 */
struct question {
	bool out;   /* until the answer comes, or the connection is lost */
	bool here;  /* `page` is the answer */
	bool whole; /* events were asked for, not the head alone */
	enum store_target into;
	struct position behind; /* its digest does not count */
	struct page page;	/* owned */
};

enum mode { MODE_START, MODE_WAITING, MODE_FOLLOWING, MODE_RESYNCING, MODE_BEHIND, MODE_MIRRORING };

struct follower {
	struct upstream base;
	struct worker *w;
	struct store *store; /* not owned */
	struct zone_conn *z;
	struct redis *listener;
	struct keeper *keeper;
	struct probe probe;
	enum mode mode;
	struct position pos;		     /* of the current generation */
	struct store_ahead ahead;	     /* withdrawals taken beyond it */
	bool building;			     /* there is a next generation, */
	struct position next;		     /* which is here, */
	uint64_t next_horizon;		     /* this when it was begun, */
	struct looks looks;		     /* and this was seen of the source's polls since */
	enum switch_verdict waits;	     /* why it does not serve yet */
	char accepted[FOLLOW_LINEAGE_BYTES]; /* whose state a person let serve, whatever is gone */
	size_t lacks;			     /* so many names were gone at the last comparison */
	size_t doubtful;     /* names that differ, as last compared; SIZE_MAX: not yet */
	int64_t compared_ms; /* boot time: when that was to decide */
	bool other_history;  /* than what serves, which nothing goes on from */
	struct head head;    /* of the last page judged */
	bool proven;
	bool resumes; /* the last head let events be read; else only the head is asked for */
	bool again;   /* something came while a question was out, or the thread at work */
	bool forced;  /* a resync is owed: asked for by a person, or because of damage */
	struct question asked;
	int64_t looked_ms;
	char forced_why[64];
	int64_t failed_ms;	/* when a resync could not be proven; 0: never */
	int64_t build_after_ms; /* boot time: none before, as the last could not be written; */
	int64_t build_pause_ms; /* after so long */
	struct position failed; /* of the zone then */
	bool named;		/* the one under way found damage and told it */
	unsigned failures;
	int64_t applied_ms;
	int64_t reported_ms;
	uint32_t poll_min_ms;
	uint32_t poll_max_ms;
	int64_t ttl_ms;
	uint64_t lease_seq; /* of an older epoch's lease */
	int64_t lease_since_ms;
	char *node_id;
	/* A zone that a Java primary writes. */
	struct mirror *mirror;
	struct java_watch java;
	char java_node[sizeof(((struct java_watch *)0)->node)]; /* of the last round */
	char java_says[320];
	bool java_unwritten; /* it wrote, and does no more, as of the last look */
	struct search index; /* which is made where it is missing */
	bool keep_index;
	uint64_t set_aside;
	unsigned cut_rounds; /* in a row */
	uv_timer_t poll;
	uv_timer_t tend;
	struct err down;  /* of Redis */
	struct err error; /* of the store or the data; code 0: none */
	uint64_t progress;
	uint64_t reads;	 /* pages that came */
	int64_t read_ms; /* wall clock of the last one */
	uint64_t errors;
	unsigned handles;
};

/* A page that came, judged by the head that came with it. */
void replay_judge(struct follower *f, struct page *page);
struct position *replay_target(struct follower *f); /* of what is being read now */
enum store_target replay_into(const struct follower *f);
void replay_applied(struct follower *f, const struct keeper_job *job);
void replay_compared(struct follower *f, const struct keeper_job *job);
void replay_switched(struct follower *f);
/* Why what was built does not serve yet, for people; "" there is no such thing. */
void replay_waits(const struct follower *f, char *text, size_t n);
void replay_abandon(struct follower *f); /* the resync */
void replay_broke(struct follower *f);	 /* it could not be written: not at once again */
void replay_position(const struct store_position *p, struct position *out);

/* What follower.c has for it. */
void follower_look(struct follower *f); /* asks for what lies behind our position */
void follower_ask(struct follower *f, const struct position *behind); /* none must be out */
void follower_arm(struct follower *f, int64_t ms); /* looks again then; 0: as configured */
void follower_wait(struct follower *f);		   /* until events may be read there */
void follower_mode(struct follower *f, enum mode m);
void follower_fail(struct follower *f, const struct err *e);
void follower_report_node(struct follower *f);
