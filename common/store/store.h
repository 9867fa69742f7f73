/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store - the local store: the last known good state of the zone on this node.
 *
 * Each generation is a directory of its own, <dir>/<n>, and <dir>/CURRENT names the
 * one that serves (zone-protocol 6). A resync builds the next generation beside it, and
 * when it is proven it is sealed (<dir>/<n>/SEALED) and switched to. Without a CURRENT that
 * names a sealed one, the newest sealed one that passes every check serves. A generation
 * that does not open, is of another format or fails its checks is moved aside to
 * <dir>/damaged-<n>-<ms>, of which the newest few are kept for whoever looks into it; with no
 * other that is sound an empty one takes its place.
 *
 * Owns:    the LMDB environments and the directory. The only user of LMDB.
 * Blocks:  everything but the readers: on the disk. Call store_apply(), store_next_*()
 *          and store_switch() on the store's writer thread.
 * Threads: one writer thread; readers (reader.h) and store_adopt() on the loop.
 * Errors:  ERR_FULL (disk or map full: nothing was changed), ERR_DAMAGED, -errno.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/digest.h"
#include "common/base/err.h"
#include "common/model/event.h"

#define STORE_FORMAT 4
/* A file of this name in the directory: who used the store crashed. The next open checks all
   of it first, in a process of its own; without it an open takes milliseconds. What cannot be
   checked in time is served all the same: that a disk is slow says nothing of the data. */
#define STORE_DOUBT	"DOUBT"
#define STORE_CHECK_MS	20000 /* less than a worker has until it must be ready */
#define STORE_ASIDES	3     /* kept of what was moved aside */
#define STORE_PURGE_MAX 1000  /* tombstones forgotten in one transaction */

/* A write of LMDB's own failed: the data is what it was, and only a process that opens it anew can
   read it. */
#define STORE_LOST (-ENOTRECOVERABLE)

struct store;

/*
 * A newer epoch withdrew names, and the rest of its state is not served yet (zone-protocol 5):
 * how far its withdrawals were taken. No history goes on from such a state.
 */
struct store_ahead {
	char token[TOKEN_BYTES]; /* "": none were */
	uint64_t revision;
};

struct store_record {
	const struct event *ev; /* not owned */
	struct hash hash;
	uint64_t revision;
	int64_t updated_ms;
	bool keep; /* in the next generation: as the current one has it, if that is sound */
};

struct store_field { /* what whoever writes the store keeps with the data: store_meta() */
	const char *field, *value;
};

struct store_batch {
	struct store_record *records; /* not owned */
	size_t len;
	const struct store_field *fields; /* not owned */
	size_t n_fields;
	struct position position; /* after it; the digest is computed, not read */
	uint64_t horizon;	  /* tombstones at or below it may be forgotten */
};

enum store_target { STORE_CURRENT, STORE_NEXT };

/*
 * Makes the directory (0700) when it is missing. `aside` is set to a text of the caller's
 * (200 bytes) when a damaged generation was moved away, else to "". What says nothing about
 * the data (rights, memory, descriptors; EIO, up to a minute) is returned and nothing changed.
 */
int store_open(struct store **out, const char *dir, uint64_t map_bytes, char aside[200],
	       struct err *e) MUST_USE;
void store_close(struct store **s);

/* CURRENT did not name what serves; it does now. */
bool store_recovered(const struct store *s);

/* The check of what serves was wanted, and ran out of time. */
bool store_unchecked(const struct store *s);

/* Of the current generation, as last committed. */
void store_position(const struct store *s, struct position *out);
uint64_t store_generation(const struct store *s);

/* Starts, or starts again, the next generation: empty, not synced until the switch. */
int store_next_begin(struct store *s, struct err *e) MUST_USE;
void store_next_drop(struct store *s);

/* One transaction. *after is the position with its new digest. */
int store_apply(struct store *s, enum store_target t, const struct store_batch *b,
		struct position *after, struct err *e) MUST_USE;

/*
 * Of the current generation: those of `b` that are live become tombstones where they stand, so
 * that position and log stay, and `b->position` says of what epoch and revision they are. Nothing
 * else of `b` counts. >= 0: how many there were.
 */
int store_withdraw(struct store *s, const struct store_batch *b, struct position *after,
		   struct err *e) MUST_USE;
void store_ahead(const struct store *s, struct store_ahead *out);

struct store_difference {
	size_t differs; /* names that are not the same in both */
	size_t live[KIND__COUNT];
	size_t lacks
		[KIND__COUNT]; /* live, and not in the next; but for what went with its reference */
	bool told;	       /* one of the `names` differs */
};

/* The current generation beside the next. `names`: of events, a line each. */
int store_compare(struct store *s, const char *names, struct store_difference *out,
		  struct err *e) MUST_USE;

/* Syncs the next generation and makes CURRENT name it: durable when it returns. */
int store_switch(struct store *s, struct err *e) MUST_USE;

/* On the loop, after store_switch(): readers use the new generation, the old one goes. */
void store_adopt(struct store *s);

/* Frees the slots of dead readers; call every few seconds. */
void store_tend(struct store *s);

/*
 * Walks everything: records, checksums, all indexes, the digest. ERR_DAMAGED says what
 * is wrong first.
 */
int store_verify(const struct store *s, struct err *e) MUST_USE;
