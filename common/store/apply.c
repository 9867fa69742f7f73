/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/store/store_internal.h"

/* What is not there was dropped before. An empty key names nothing. */
static int drop(MDB_txn *txn, MDB_dbi dbi, const struct key *k)
{
	MDB_val key = key_val(k);
	int rc = k->n == 0 ? 0 : mdb_del(txn, dbi, &key, NULL);

	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The record `v` that stands under `k` goes: out of the log, the indexes, the digest. */
static int forget(struct gen *g, MDB_txn *txn, const struct key *k, const MDB_val *v,
		  struct digest *d, struct err *e)
{
	MDB_val key;
	struct store_entry old;
	struct key log;
	struct key child = { .n = 0 };
	struct key found;
	struct lookups l = { 0 };
	size_t i;
	int rc = record_decode(&old, v, e);

	if (rc < 0)
		return rc;
	digest_sub(d, &old.hash);
	key_log(&log, old.revision);
	if (old.ref_len > 0 && old.action == ACTION_DEPLOY) {
		char *ref = mem_dup(old.ref, old.ref_len);

		key_ref(&child, ref, k);
		mem_free(ref);
	}
	if (old.action == ACTION_DEPLOY)
		lookups_of(&l, old.kind, old.payload, old.payload_len);
	/* What `old` points at is gone with the first change. */
	rc = drop(txn, g->log, &log);
	if (rc == 0)
		rc = drop(txn, g->refs, &child);
	for (i = 0; rc == 0 && i < l.n; i++) {
		key = key_val(k);
		key_lookup(&found, &l.v[i], &key);
		rc = drop(txn, g->lookups, &found);
	}
	lookups_reset(&l);
	return lmdb_err(e, rc, "replace");
}

/* Under what a live event is found, in the transaction of the event. */
static int put_indexes(struct gen *g, MDB_txn *txn, const struct event *ev, const struct key *k)
{
	MDB_val none = { 0, NULL };
	MDB_val to = key_val(k);
	struct lookups l = { 0 };
	struct key index;
	MDB_val key;
	size_t i;
	int rc = 0;

	if (ev->action != ACTION_DEPLOY)
		return 0;
	if (ev->ref_id != NULL) {
		key_ref(&index, ev->ref_id, k);
		key = key_val(&index);
		rc = mdb_put(txn, g->refs, &key, &none, 0);
	}
	lookups_of(&l, ev->kind, ev->payload.data, ev->payload.len);
	for (i = 0; rc == 0 && i < l.n; i++) {
		key_lookup(&index, &l.v[i], &to);
		key = key_val(&index);
		rc = mdb_put(txn, g->lookups, &key, &none, 0);
	}
	lookups_reset(&l);
	return rc;
}

/* The record, in place of what stands there; `d` is the digest of all. */
static int put(struct gen *g, MDB_txn *txn, const struct store_record *r, struct digest *d,
	       struct buf *scratch, struct err *e)
{
	struct key k;
	struct key other;
	MDB_val key;
	MDB_val v;
	int rc;

	key_event(&k, r->ev->kind, r->ev->id, r->ev->ref_id);
	record_encode(scratch, r);
	key = key_val(&k);
	v = (MDB_val){ scratch->len, scratch->data };
	rc = mdb_put(txn, g->events, &key, &v, MDB_NOOVERWRITE);
	if (rc == MDB_KEYEXIST) { /* `v` is what stands there */
		rc = forget(g, txn, &k, &v, d, e);
		if (rc < 0)
			return rc;
		v = (MDB_val){ scratch->len, scratch->data };
		rc = mdb_put(txn, g->events, &key, &v, 0);
	}
	if (rc == 0) {
		key_log(&other, r->revision);
		key = key_val(&other);
		v = key_val(&k);
		rc = mdb_put(txn, g->log, &key, &v, 0);
	}
	if (rc == 0)
		rc = put_indexes(g, txn, r->ev, &k);
	digest_add(d, &r->hash);
	return lmdb_err(e, rc, "write");
}

/* Tombstones at or below the horizon, a bounded number of them. */
static int purge(struct gen *g, MDB_txn *txn, uint64_t horizon, uint64_t *history, struct err *e)
{
	MDB_cursor *c = NULL;
	struct key low;
	MDB_val key;
	MDB_val at;
	unsigned gone = 0;
	unsigned seen = 0;
	bool more = true; /* something at or below the horizon may be left */
	int rc = mdb_cursor_open(txn, g->log, &c);

	if (rc != 0 || *history >= horizon) {
		if (c != NULL)
			mdb_cursor_close(c);
		return lmdb_err(e, rc, "purge");
	}
	key_log(&low, *history);
	key = key_val(&low);
	rc = mdb_cursor_get(c, &key, &at, MDB_SET_RANGE);
	while (rc == 0 && gone < STORE_PURGE_MAX && seen++ < 16 * STORE_PURGE_MAX) {
		struct store_entry old;
		struct key limit;
		MDB_val rec;

		key_log(&limit, horizon);
		more = memcmp(key.mv_data, limit.b, 8) <= 0;
		if (!more)
			break;
		rc = mdb_get(txn, g->events, &at, &rec);
		if (rc == 0 && record_decode(&old, &rec, NULL) == 0) {
			*history = old.revision;
			if (old.action == ACTION_UNDEPLOY) {
				rc = mdb_del(txn, g->events, &at, NULL);
				if (rc == 0)
					rc = mdb_cursor_del(c, 0);
				gone++;
			}
		}
		if (rc == 0)
			rc = mdb_cursor_get(c, &key, &at, MDB_NEXT);
	}
	mdb_cursor_close(c);
	if (rc == MDB_NOTFOUND) {
		more = false;
		rc = 0;
	}
	if (rc == 0 && !more)
		*history = horizon;
	return lmdb_err(e, rc, "purge");
}

/* The end of a transaction: tombstones up to `horizon` go, and the position is written. */
static int seal(struct gen *g, MDB_txn *txn, const struct position *after, uint64_t horizon,
		struct err *e)
{
	uint64_t history = g->history;
	int rc = 0;

	if (horizon > history)
		rc = purge(g, txn, horizon, &history, e);
	if (rc == 0)
		rc = lmdb_err(e, meta_put(g, txn, "position", after, sizeof(*after)),
			      "write position");
	if (rc == 0)
		rc = lmdb_err(e, meta_put(g, txn, "history", &history, sizeof(history)),
			      "write history");
	if (rc == 0)
		g->history = history;
	return rc;
}

struct filling {
	const struct gen *behind; /* the current generation */
	const struct store_batch *b;
	struct buf scratch;
	struct digest *d;
};

static int put_fields(struct gen *g, MDB_txn *txn, const struct store_batch *b, struct err *e)
{
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < b->n_fields; i++) {
		const struct store_field *f = &b->fields[i];
		char *name = mem_printf(META_PREFIX "%s", f->field);

		rc = meta_put(g, txn, name, f->value, strlen(f->value));
		mem_free(name);
	}
	return lmdb_err(e, rc, "write a field");
}

/* What could not be read at the source stays as the current generation has it. */
static int keep(struct filling *w, struct gen *g, MDB_txn *txn, const struct store_record *r,
		struct err *e)
{
	struct event ev = *r->ev;
	struct store_record kept = *r;
	struct store_entry old;
	MDB_txn *txn_behind = NULL;
	struct key k;
	MDB_val key;
	MDB_val v;
	int rc;

	if (g == w->behind)
		return err_set(e, ERR_STATE, "nothing is behind what serves");
	rc = lmdb_err(e, mdb_txn_begin(w->behind->env, NULL, MDB_RDONLY, &txn_behind), "begin");
	if (rc < 0)
		return rc;
	key_event(&k, ev.kind, ev.id, ev.ref_id);
	key = key_val(&k);
	if (mdb_get(txn_behind, w->behind->events, &key, &v) == 0 &&
	    record_decode(&old, &v, NULL) == 0 && hash_equal(&old.hash, &r->hash)) {
		ev.payload = (struct buf){ (char *)(uintptr_t)old.payload, old.payload_len, 0 };
		kept.ev = &ev;
		kept.updated_ms = old.updated_ms;
		rc = put(g, txn, &kept, w->d, &w->scratch, e);
	}
	mdb_txn_abort(txn_behind);
	return rc;
}

static int fill(void *arg, struct gen *g, MDB_txn *txn, struct position *after, struct err *e)
{
	struct filling *w = arg;
	const struct store_batch *b = w->b;
	int rc = 0;
	size_t i;

	*after = b->position;
	after->digest = g->position.digest;
	w->d = &after->digest;
	for (i = 0; rc == 0 && i < b->len; i++) {
		const struct store_record *r = &b->records[i];

		rc = r->keep ? keep(w, g, txn, r, e) : put(g, txn, r, w->d, &w->scratch, e);
	}
	buf_reset(&w->scratch);
	if (rc == 0)
		rc = put_fields(g, txn, b, e);
	return rc < 0 ? rc : seal(g, txn, after, b->horizon, e);
}

/* One transaction: `fill_it` does it all, and says the position after it. */
typedef int fill_fn(void *arg, struct gen *g, MDB_txn *txn, struct position *after, struct err *e);

static int write_it(struct gen *g, fill_fn *fill_it, void *arg, struct position *after,
		    struct err *e)
{
	struct position p = { 0 };
	uint64_t history = g->history;
	MDB_txn *txn = NULL;
	int rc;

	CHECK(g->env != NULL);
	rc = lmdb_err(e, mdb_txn_begin(g->env, NULL, 0, &txn), "begin");
	if (rc < 0)
		return rc;
	rc = fill_it(arg, g, txn, &p, e);
	if (rc == 0)
		rc = lmdb_err(e, mdb_txn_commit(txn), "commit");
	else
		mdb_txn_abort(txn);
	if (rc < 0) {
		g->history = history;
		return rc;
	}
	g->position = p;
	*after = p;
	return 0;
}

int store_apply(struct store *s, enum store_target t, const struct store_batch *b,
		struct position *after, struct err *e)
{
	struct filling w = { .behind = &s->current, .b = b };

	return write_it(t == STORE_CURRENT ? &s->current : &s->next, fill, &w, after, e);
}

/* --- withdrawals of an epoch that is not served yet --- */

/* 1 when it was live, else 0. */
static int withdraw_one(struct gen *g, MDB_txn *txn, const struct store_record *r, struct digest *d,
			struct buf *scratch, struct err *e)
{
	struct store_record tomb = *r;
	struct store_entry old;
	struct key k;
	MDB_val key;
	MDB_val v;
	int rc;

	key_event(&k, r->ev->kind, r->ev->id, r->ev->ref_id);
	key = key_val(&k);
	rc = mdb_get(txn, g->events, &key, &v);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return lmdb_err(e, rc, "withdraw");
	rc = record_decode(&old, &v, e);
	if (rc < 0 || old.action != ACTION_DEPLOY || !entry_is(&old, r->ev->id, r->ev->ref_id))
		return rc;
	tomb.revision = old.revision; /* the log stays as it is */
	rc = put(g, txn, &tomb, d, scratch, e);
	return rc < 0 ? rc : 1;
}

static int fill_withdrawals(void *arg, struct gen *g, MDB_txn *txn, struct position *after,
			    struct err *e)
{
	struct store_batch *b = arg;
	struct store_ahead ahead = { .revision = b->position.revision };
	struct buf scratch = { 0 };
	int gone = 0;
	int rc = 0;
	size_t i;

	*after = g->position;
	for (i = 0; rc >= 0 && i < b->len; i++) {
		rc = withdraw_one(g, txn, &b->records[i], &after->digest, &scratch, e);
		gone += rc > 0;
	}
	buf_reset(&scratch);
	if (rc < 0)
		return rc;
	str_copy(ahead.token, sizeof(ahead.token), b->position.token);
	if (gone > 0)
		rc = lmdb_err(e, meta_put(g, txn, "ahead", &ahead, sizeof(ahead)), "write ahead");
	b->len = (size_t)gone;
	return rc < 0 ? rc : seal(g, txn, after, 0, e);
}

int store_withdraw(struct store *s, const struct store_batch *b, struct position *after,
		   struct err *e)
{
	struct store_batch mine = *b; /* its length is the answer */
	int rc = write_it(&s->current, fill_withdrawals, &mine, after, e);

	if (rc < 0 || mine.len == 0)
		return rc < 0 ? rc : 0;
	s->current.ahead = (struct store_ahead){ .revision = b->position.revision };
	str_copy(s->current.ahead.token, sizeof(s->current.ahead.token), b->position.token);
	return (int)mine.len;
}
