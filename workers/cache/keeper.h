/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper - the store's writer thread: one job at a time, done off the loop.
 *
 * Committing blocks on the disk, so it happens here; the loop goes on answering
 * readers. A job carries what it needs and comes back with its result.
 *
 * Owns:    the thread; a job belongs to the keeper from keeper_do() until its callback.
 * Blocks:  never on the loop, but for keeper_close(), which waits for the last job.
 * Errors:  of a job, in its result.
 * Threads: all functions on the loop; only store_* of store.h runs on the thread.
 */
#pragma once

#include <uv.h>

#include "common/store/reader.h"
#include "common/zone/follow.h"

enum keeper_what {
	KEEPER_APPLY,
	KEEPER_NEXT,
	KEEPER_COMPARE, /* what serves with the next generation */
	KEEPER_SWITCH,
	KEEPER_TEND,
	KEEPER_WRITE /* records of whoever decides their revisions */
};

struct keeper_job {
	enum keeper_what what;
	enum store_target target;
	struct page page;	  /* APPLY: owned */
	struct position position; /* APPLY: after it */
	uint64_t horizon;
	uint64_t withdraw_above; /* APPLY to the next: withdrawals above it are also taken where it
				    is served; UINT64_MAX: none are */
	char *names;		 /* COMPARE: owned; see store_compare() */
	bool drop_next;		 /* TEND: nobody fills the next generation any more */
	/* WRITE: records and fields are owned; what they point at lives in `data`. */
	struct store_batch batch;
	bool begin_next; /* a refill begins with it */
	bool end_next;	 /* and ends with it */
	void *data;
	void (*free_data)(void *data);
	/* Results. */
	int rc;
	struct err err;
	struct position after;
	unsigned damaged; /* events that were left out */
	int withdrawn;	  /* of what is served, which is at `served` now */
	struct position served;
	struct store_difference difference;
};

typedef void keeper_fn(void *arg, struct keeper_job *job);

struct keeper;

struct keeper *keeper_open(uv_loop_t *loop, struct store *s, keeper_fn *fn, void *arg) MUST_USE;
void keeper_close(struct keeper **k);
bool keeper_busy(const struct keeper *k);

/* The keeper must not be busy. */
void keeper_do(struct keeper *k, struct keeper_job *job);
struct keeper_job *keeper_job_new(enum keeper_what what) MUST_USE;
void keeper_job_free(struct keeper_job *job);
