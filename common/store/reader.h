/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader - read the current generation of the store.
 *
 * A view is a snapshot; what it hands out is borrowed until it is closed. Views are
 * short: open, answer, close, within one turn of the loop (a long one pins old pages).
 *
 * Owns:    nothing beyond the view.
 * Blocks:  on page faults of the mapped file only.
 * Errors:  ERR_NOTFOUND, ERR_DAMAGED (the record is not what was written). Where several
 *          are read a damaged one is left out: it must not cost the others.
 */
#pragma once

#include "common/model/lookup.h"
#include "common/store/store.h"

struct store_entry {
	enum kind kind;
	enum action action;
	uint64_t revision;
	int64_t updated_ms;
	struct hash hash;
	const char *id, *ref, *version, *payload; /* borrowed, not terminated */
	size_t id_len, ref_len, version_len, payload_len;
};

struct store_view;

/* Nested views are not possible: one at a time. */
int store_view_open(struct store *s, struct store_view **out, struct err *e) MUST_USE;
void store_view_close(struct store_view **v);
bool store_view_is_ahead(const struct store_view *v); /* see struct store_ahead */
void store_view_position(const struct store_view *v, struct position *out);
/* The same for clients. Its lineage says too that withdrawals were taken ahead, or that a
   generation took the place of a damaged one: who knows the same revision from before those may
   hold what is gone, or lack what could not be read, and has to look at all of it. */
void store_view_told(const struct store_view *v, struct position *out);
/* A payload of more ends the walk with STORE_LARGE, before it is read: that costs. */
void store_view_limit(struct store_view *v, size_t payload_bytes);
#define STORE_LARGE 2
unsigned store_view_left_out(const struct store_view *v); /* damaged records, so far */

/* Called at the first damaged record of a generation, in the middle of a read: only note it. */
typedef void store_damaged_fn(void *arg);
void store_on_damaged(struct store *s, store_damaged_fn *fn, void *arg);
/* Called with it too when the store is lost: see STORE_LOST. */
bool store_is_lost(const struct store *s);
void store_lose(struct store *s); /* the writer thread got that error; on the loop */

/* 0 to go on, anything else stops and is returned. */
typedef int store_each_fn(void *arg, const struct store_entry *entry);

/* All events of that kind and id: one, or one per reference. Tombstones too. ERR_DAMAGED: all
   that there may be is damaged. */
int store_get(struct store_view *v, enum kind k, const char *id, store_each_fn *fn, void *arg,
	      struct err *e) MUST_USE;

/*
 * All of a kind, or (k = KIND__COUNT) of all kinds, in key order. `cursor` is empty at first
 * and afterwards where to go on; the caller keeps and resets it.
 */
int store_list(struct store_view *v, enum kind k, struct buf *cursor, store_each_fn *fn,
	       void *arg) MUST_USE;

/* The live children of a reference; of all kinds with k = KIND__COUNT. */
int store_children(struct store_view *v, const char *ref, enum kind k, struct buf *cursor,
		   store_each_fn *fn, void *arg) MUST_USE;

/* The live events under a lookup, in the order of their keys. A hit is to be verified: lookup.h. */
int store_lookup(struct store_view *v, const struct lookup *l, store_each_fn *fn,
		 void *arg) MUST_USE;

/* That one event, tombstone or not; `ref` "" for none. */
int store_find(struct store_view *v, enum kind k, const char *id, const char *ref,
	       struct store_entry *out, struct err *e) MUST_USE;

/*
 * Is there a live event of that id, without a reference? Reads the record's head only, not
 * the payload its checksum covers: the cost does not grow with it.
 */
bool store_is_live(struct store_view *v, enum kind k, const char *id);

/* Everything with a revision above `after`, in revision order, tombstones included. Without a
   gap: it stops at a damaged one. */
int store_since(struct store_view *v, uint64_t after, store_each_fn *fn, void *arg) MUST_USE;

/* The first revision in the log above `after`, UINT64_MAX: none. Where store_since() stopped
   because a record is damaged, it is that one's. */
uint64_t store_next_revision(struct store_view *v, uint64_t after);

/* The lowest revision from which store_since() has no gap: the local history begins there. */
uint64_t store_history_start(struct store_view *v);

/* The fields of store_batch. 0 to go on, anything else is returned. */
typedef int store_meta_fn(void *arg, const char *field, const char *value);
int store_meta(struct store_view *v, store_meta_fn *fn, void *arg) MUST_USE;
