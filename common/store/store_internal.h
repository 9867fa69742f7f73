/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_internal - what the files of common/store share. Not for anyone else.
 *
 *	events	<kind byte><id>\0<ref>\0		-> record
 *	log	<revision, 8 bytes big-endian>	-> key in events
 *	refs	<ref>\0<key in events>		-> nothing; live children only
 *	lookups	<lookup.h's 17 bytes><key in events>	-> nothing; live events only
 *	meta	"format", "position", "history", "ahead"; "m:<field>" of store_batch
 *
 * Owns: nothing of its own. Blocks: on the disk. Errors: as store.h.
 */
#pragma once

#include <lmdb.h>

#include "common/model/lookup.h"
#include "common/store/reader.h"

#define KEY_MAX_BYTES  511  /* LMDB's limit */
#define META_PREFIX    "m:" /* of fields that are not the store's own */
#define KEY_PART_BYTES 120  /* of one id in a key; a longer one ends in a hash of itself */

struct gen {
	MDB_env *env; /* owned; NULL: closed */
	MDB_dbi events;
	MDB_dbi log;
	MDB_dbi refs;
	MDB_dbi lookups;
	MDB_dbi meta;
	uint64_t number;
	struct position position;
	uint64_t history; /* see store_history_start() */
	struct store_ahead ahead;
};

struct store {
	bool lost; /* see store_is_lost() */
	char *dir;
	uint64_t map_bytes;
	struct gen current;
	struct gen next;
	MDB_txn *reader; /* of `current`, reset between views */
	bool viewing;
	int64_t check_until_ms; /* boot time: for all checks of this open */
	bool unchecked;		/* see store_unchecked() */
	bool recovered;		/* see store_recovered() */
	size_t payload_max;	/* of the open view */
	unsigned left_out;	/* of the open view */
	bool damaged;		/* a reader met a damaged record in `current` */
	uint64_t mended; /* the generation that took the place of a damaged one; 0: none did */
	store_damaged_fn *on_damaged;
	void *on_damaged_arg;
};

struct key {
	unsigned char b[KEY_MAX_BYTES];
	size_t n;
};

void key_event(struct key *k, enum kind kind, const char *id, const char *ref);
void key_ref(struct key *k, const char *ref, const struct key *event);
void key_lookup(struct key *k, const struct lookup *l, const MDB_val *event);
void key_log(struct key *k, uint64_t revision);
MDB_val key_val(const struct key *k);

/* Record codec: header, strings, payload, checksum over all of it. */
void record_encode(struct buf *out, const struct store_record *r);
int record_decode(struct store_entry *out, const MDB_val *v, struct err *e) MUST_USE;
bool record_peek(struct store_entry *out, const MDB_val *v); /* without the checksum */

/* Keys that were cut to a hash may collide: the record knows its whole names. `ref` NULL: none. */
bool entry_is(const struct store_entry *x, const char *id, const char *ref);

bool position_decode(struct position *out, const MDB_val *v);

int meta_get(const struct gen *g, MDB_txn *txn, const char *name, MDB_val *v);
int meta_put(const struct gen *g, MDB_txn *txn, const char *name, const void *p, size_t n);

/* "position" of a generation of this format, and what stands beside it. */
int gen_read_meta(struct gen *g, MDB_txn *txn);

/* store_verify() of one generation. */
int gen_verify(const struct gen *g, struct err *e) MUST_USE;

/* --- files.c: what lies in the directory of the store, besides LMDB's own --- */

char *gen_path(const struct store *s, uint64_t number) MUST_USE;
uint64_t gen_after(uint64_t number); /* never 0 */
/* A number above all and above `above`, which nothing in the directory has. */
int gen_unused(const struct store *s, uint64_t above, uint64_t *out, struct err *e) MUST_USE;
void gen_remove(const struct store *s, uint64_t number);
void gen_set_aside(const struct store *s, uint64_t number, const char *why, char aside[200]);
void gens_sweep(const struct store *s);	 /* all but the current one */
void asides_trim(const struct store *s); /* all but the newest STORE_ASIDES */

/* Replaced whole, and durable. What is no file is moved out of the way. */
int current_write(const struct store *s, uint64_t number, struct err *e) MUST_USE;
/* ERR_NOTFOUND and 0: there is none, or it names nothing. */
int current_read(const struct store *s, uint64_t *out, struct err *e) MUST_USE;

/* SEALED of a generation says that it was finished: "<number> <lineage>". */
struct sealed {
	uint64_t number;
	bool has_data; /* the lineage is not "" */
	bool named;    /* by CURRENT */
};
struct sealed_list {	  /* `{ 0 }` is empty */
	struct sealed *v; /* owned */
	size_t n, cap;
};
int seal_write(const struct store *s, const struct gen *g, struct err *e) MUST_USE;
void seal_remove(const struct store *s, uint64_t number);
/* In the order in which they should serve: with data, then what CURRENT names, then the newest. */
int sealed_find(const struct store *s, uint64_t named, struct sealed_list *out,
		struct err *e) MUST_USE;

/* Does the error of an open say something about the data? All else is waited for. */
bool is_damage(const struct store *s, int rc);
bool is_doubted(const struct store *s);
bool was_unchecked(const struct store *s, uint64_t number);
void doubts_settle(const struct store *s); /* it opened */

/* Turns an LMDB result into one of ours. */
int lmdb_err(struct err *e, int rc, const char *doing);
