/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look - asks the zone what lies behind our position, one question at a time; and what the
 * parts of the follower share. Each has a struct of its own, which the others reach through its
 * functions only (test/lint/layers.py), and calls those behind it:
 *
 *	follower.c	life, links, who leads: our log or a Java primary
 *	replay.c	our log: pages, proof, resync
 *	look.c		questions and answers
 *
 * While the store's thread applies a page the next one is asked for, behind the end of the first:
 * one page ahead, no more. A page counts only where it was read: its turn comes when the thread
 * is free, and if that is not where we stand then, it is dropped unjudged. So whoever moves,
 * begins, gives up or fails need not think of what was read ahead.
 *
 * Owns:    f->look.
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
#include "workers/cache/follow/mirror.h"
#include "workers/cache/follow/replay.h"
#include "workers/cache/keeper.h"
#include "workers/cache/upstream.h"

#define LOOK_RETRY_MS 1000 /* after an error of the disk or the server */

enum mode { MODE_START, MODE_WAITING, MODE_FOLLOWING, MODE_RESYNCING, MODE_BEHIND, MODE_MIRRORING };

struct look {
	bool out;   /* a question, until the answer comes, or the connection is lost */
	bool here;  /* `page` is the answer */
	bool whole; /* events were asked for, not the head alone */
	enum store_target into;
	struct position behind; /* its digest does not count */
	struct page page;	/* owned */
	bool events; /* the last head let them be read; else only the head is asked for */
	bool owed;   /* something came while a question was out, or the thread at work */
	int64_t looked_ms;
	uint32_t poll_min_ms, poll_max_ms;
	uint64_t reads;	 /* pages that came */
	int64_t read_ms; /* wall clock of the last one */
};

struct follower {
	struct upstream base;
	struct worker *w;
	struct store *store; /* not owned */
	struct zone_conn *z;
	struct redis *listener;
	struct keeper *keeper;
	char *node_id;
	int64_t ttl_ms;
	enum mode mode;
	struct position pos;  /* of the current generation */
	bool building;	      /* a resync does: */
	struct position next; /* where that is */
	struct head head;     /* of the last page judged */
	bool proven;
	struct err error; /* of the store or the data; code 0: none */
	uint64_t errors;
	int64_t applied_ms;
	int64_t reported_ms;
	struct look look;
	struct replay replay;
	struct probe probe;
	struct err down; /* of Redis */
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
	unsigned handles;
	void (*turn)(struct follower *f); /* an answer is here, and the store's thread is free */
};

void look_open(struct follower *f, const Ipc__CacheConfig *c);
void look_now(struct follower *f);				/* behind our position */
void look_behind(struct follower *f, const struct position *p); /* none must be out */
void look_in(struct follower *f, int64_t ms);			/* then; 0: as configured */
/* Soon, as nothing may be read there yet; `late`: in so long, if no word came meanwhile. */
void look_later(struct follower *f, int64_t late_ms);
void look_woken(struct follower *f); /* by the zone */
void look_owe(struct follower *f);   /* when what is under way is over */
bool look_is_owed(const struct follower *f);
bool look_settle(struct follower *f);		       /* was one owed? No more. */
void look_for_events(struct follower *f, bool events); /* they may be read */
bool look_is_under_way(const struct follower *f);      /* asked, or answered */
bool look_is_answered(const struct follower *f);
void look_drop(struct follower *f); /* the answer, and with a lost link the question */
void look_lost(struct follower *f);
/* Takes the answer out; false: it is not of where we stand. */
bool look_take(struct follower *f, struct page *out) MUST_USE;
bool look_was_whole(const struct follower *f); /* events were asked for with the last one taken */
void look_report(const struct follower *f, Ipc__CacheReport *out);

/* What is common to all. */
struct position *follower_target(struct follower *f);	   /* of what is being read now, */
enum store_target follower_into(const struct follower *f); /* and where it goes */
void follower_mode(struct follower *f, enum mode m);
const char *follower_mode_name(enum mode m);
void follower_fail(struct follower *f, const struct err *e); /* told, and tried again */
void follower_tell_zone(struct follower *f);		     /* where this node stands */
void follower_changed(struct follower *f, bool reset);	     /* what is served is another */
void follower_ignore(void *arg, const struct redis_reply *r, const struct err *lost);
