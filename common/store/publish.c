/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/publish.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/store/internal.h"

struct work {
	struct store *s;
	struct gen *g;
	MDB_txn *txn;
	const struct publish_batch *b;
	struct store_position *after;
	struct published *out;
	struct buf scratch;
	uint64_t horizon;
};

/* The record of a key. ERR_NOTFOUND is an answer. */
static int look(MDB_txn *txn, MDB_dbi events, const struct key *k, struct store_entry *out,
		struct err *e)
{
	MDB_val key = key_val(k);
	MDB_val v;
	int rc = mdb_get(txn, events, &key, &v);

	if (rc == MDB_NOTFOUND)
		return ERR_NOTFOUND;
	return rc != 0 ? lmdb_err(e, rc, "look up") : record_decode(out, &v, e);
}

static int put(struct work *w, const struct store_record *r, struct err *e)
{
	return gen_put(w->g, w->txn, r, &w->after->digest, &w->scratch, e);
}

/* --- puts --- */

/* Versions of a database are numbers and compare; those of files only differ. */
static bool is_older(const char *version, const struct store_entry *old)
{
	int64_t is;
	int64_t was;

	return str_to_i64(version, strlen(version), &is) &&
	       str_to_i64(old->version, old->version_len, &was) && is < was;
}

static bool is_version(const char *version, const struct store_entry *old)
{
	return old->version_len == strlen(version) &&
	       memcmp(old->version, version, old->version_len) == 0;
}

/* A deploy is to be above what withdrew it: what lags would bring back what is gone. */
static bool is_barred(const char *version, const struct store_entry *old)
{
	int64_t is;

	return is_older(version, old) ||
	       (old->action == ACTION_UNDEPLOY && is_version(version, old) &&
		str_to_i64(version, strlen(version), &is));
}

static int op_put(struct work *w, const struct publish_op *o, struct err *e)
{
	struct event ev = { .kind = o->kind, .action = ACTION_DEPLOY };
	struct store_record r = { &ev, o->hash, 0, w->b->now_ms };
	bool forced = o->what == PUBLISH_FORCE;
	struct store_entry old = { 0 };
	struct key k;
	bool live;
	int rc;

	key_event(&k, o->kind, o->id, o->ref);
	rc = look(w->txn, w->g->events, &k, &old, e);
	if (rc < 0 && rc != ERR_NOTFOUND)
		return rc;
	live = rc == 0 && old.action == ACTION_DEPLOY;
	if (!forced && rc == 0 && is_barred(o->version, &old))
		return 0;
	if (!forced && live && hash_equal(&old.hash, &o->hash)) {
		if (is_version(o->version, &old))
			return 0;
		r.revision = old.revision; /* a newer version of an equal event */
		r.updated_ms = old.updated_ms;
	} else {
		r.revision = ++w->after->revision;
		w->out->effective++;
	}
	/* The store copies; nothing of the event is owned here. */
	ev.id = (char *)(uintptr_t)o->id;
	ev.ref_id = (char *)(uintptr_t)o->ref;
	ev.version = (char *)(uintptr_t)o->version;
	ev.payload = (struct buf){ (char *)(uintptr_t)o->payload, o->payload_len, 0 };
	return put(w, &r, e);
}

/* --- what a refill finds behind it --- */

static char *text_of(const char *p, size_t n)
{
	return n == 0 ? NULL : mem_dup(p, n);
}

static void copy_names(struct event *ev, const struct store_entry *old)
{
	ev->kind = old->kind;
	ev->action = old->action;
	ev->id = mem_dup(old->id, old->id_len);
	ev->ref_id = text_of(old->ref, old->ref_len);
}

/* Into `ev`, the caller's: the record as the current generation has it, when that is not the
   one being written; with `r` all of it. Of one that is damaged nothing is left: ERR_NOTFOUND. */
static int look_behind(struct work *w, const struct key *k, struct event *ev,
		       struct store_record *r, struct err *e)
{
	const struct gen *behind = &w->s->current;
	struct store_entry old;
	MDB_txn *txn = NULL;
	int rc;

	if (w->g == behind)
		return ERR_NOTFOUND;
	rc = lmdb_err(e, mdb_txn_begin(behind->env, NULL, MDB_RDONLY, &txn), "begin");
	if (rc < 0)
		return rc;
	rc = look(txn, behind->events, k, &old, e);
	if (rc == 0)
		copy_names(ev, &old);
	if (rc == 0 && r != NULL) {
		ev->version = mem_dup(old.version, old.version_len);
		buf_add(&ev->payload, old.payload, old.payload_len);
		r->hash = old.hash;
		r->updated_ms = old.updated_ms;
	}
	mdb_txn_abort(txn);
	return rc == ERR_DAMAGED ? ERR_NOTFOUND : rc;
}

/* --- withdrawals --- */

static int bury(struct work *w, struct event *ev, const char *version, struct err *e)
{
	const struct store_record r = { ev, { { 'U' } }, ++w->after->revision, w->b->now_ms };

	w->out->effective++;
	ev->action = ACTION_UNDEPLOY;
	mem_free(ev->version);
	ev->version = mem_strdup(version);
	return put(w, &r, e);
}

/* It is withdrawn already, and something newer says so too. */
static int raise_version(struct work *w, const struct store_entry *old, const char *version,
			 struct err *e)
{
	struct event ev = { 0 };
	const struct store_record r = { &ev, old->hash, old->revision, old->updated_ms };
	int rc;

	if (version[0] == '\0' || is_version(version, old) || is_older(version, old))
		return 0;
	copy_names(&ev, old);
	ev.version = mem_strdup(version);
	rc = put(w, &r, e);
	event_reset(&ev);
	return rc;
}

/* In a refill a tombstone says that what is behind it was withdrawn, and is not to be kept. */
static int withdraw(struct work *w, const struct key *k, const char *version, struct err *e)
{
	struct event ev = { .action = ACTION_UNDEPLOY };
	struct store_entry old;
	int rc = look(w->txn, w->g->events, k, &old, e);

	if (rc == 0 && old.action == ACTION_UNDEPLOY)
		return raise_version(w, &old, version, e);
	if (rc == 0)
		copy_names(&ev, &old); /* what `old` points at is gone with the first change */
	else if (rc == ERR_NOTFOUND)
		rc = look_behind(w, k, &ev, NULL, e);
	if (rc == 0 && ev.action == ACTION_DEPLOY)
		rc = bury(w, &ev, version, e);
	event_reset(&ev);
	return rc == ERR_NOTFOUND ? 0 : rc;
}

static int op_withdraw(struct work *w, const struct publish_op *o, struct err *e)
{
	struct key k;

	key_event(&k, o->kind, o->id, o->ref);
	return withdraw(w, &k, o->version, e);
}

/* Keys of live children, at most n; *more: there are others. */
static int children_of(struct work *w, const char *ref, struct key *keys, size_t *n, bool *more,
		       struct err *e)
{
	struct key prefix;
	MDB_cursor *c = NULL;
	MDB_val key;
	MDB_val v;
	size_t max = *n;
	int rc = mdb_cursor_open(w->txn, w->g->refs, &c);

	*n = 0;
	*more = false;
	if (rc != 0)
		return lmdb_err(e, rc, "children");
	key_ref(&prefix, ref, NULL);
	key = key_val(&prefix);
	rc = mdb_cursor_get(c, &key, &v, MDB_SET_RANGE);
	while (rc == 0 && key.mv_size > prefix.n && memcmp(key.mv_data, prefix.b, prefix.n) == 0) {
		struct key *k = &keys[*n];

		if (*n == max) {
			*more = true;
			break;
		}
		k->n = key.mv_size - prefix.n;
		memcpy(k->b, (const char *)key.mv_data + prefix.n, k->n);
		(*n)++;
		rc = mdb_cursor_get(c, &key, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : lmdb_err(e, rc, "children");
}

static int op_children(struct work *w, const struct publish_op *o, struct err *e)
{
	size_t n = MIN(o->number, (uint64_t)STORE_CHILDREN_MAX);
	struct key *keys = mem_alloc((n + 1) * sizeof(*keys));
	size_t i;
	int rc = children_of(w, o->ref == NULL ? "" : o->ref, keys, &n, &w->out->left, e);

	for (i = 0; rc == 0 && i < n; i++)
		rc = withdraw(w, &keys[i], "", e); /* of no version, as write.lua says */
	mem_free(keys);
	return rc;
}

/* --- the rest --- */

/* What could not be read at the source stays as the current generation has it. */
static int op_keep(struct work *w, const struct publish_op *o, struct err *e)
{
	struct event ev = { .kind = o->kind };
	struct store_record r = { &ev, { { 0 } }, 0, 0 };
	struct store_entry there;
	struct key k;
	int rc;

	key_event(&k, o->kind, o->id, o->ref);
	rc = look(w->txn, w->g->events, &k, &there, e);
	if (rc != ERR_NOTFOUND)
		return rc;
	rc = look_behind(w, &k, &ev, &r, e);
	if (rc == 0) {
		r.revision = ++w->after->revision;
		w->out->effective++;
		rc = put(w, &r, e);
	}
	event_reset(&ev);
	return rc == ERR_NOTFOUND ? 0 : rc;
}

/* Nothing but a tombstone of this history moves the horizon. */
static int op_purge(struct work *w, const struct publish_op *o, struct err *e)
{
	struct store_entry old;
	struct key k;
	int rc;

	key_event(&k, o->kind, o->id, o->ref);
	rc = look(w->txn, w->g->events, &k, &old, e);
	if (rc == 0 && old.action == ACTION_UNDEPLOY && old.revision == o->number)
		w->horizon = MAX(w->horizon, o->number);
	return rc == ERR_NOTFOUND ? 0 : rc;
}

static int op_meta(struct work *w, const struct publish_op *o, struct err *e)
{
	char *name = mem_printf(META_PREFIX "%s", o->field);
	int rc = gen_put_meta(w->g, w->txn, name, o->value, strlen(o->value));

	mem_free(name);
	return lmdb_err(e, rc, "write a field");
}

/* --- a batch --- */

static int one(struct work *w, const struct publish_op *o, struct err *e)
{
	switch (o->what) {
	case PUBLISH_PUT:
	case PUBLISH_FORCE:
		return op_put(w, o, e);
	case PUBLISH_WITHDRAW:
		return op_withdraw(w, o, e);
	case PUBLISH_KEEP:
		return op_keep(w, o, e);
	case PUBLISH_CHILDREN:
		return op_children(w, o, e);
	case PUBLISH_PURGE:
		return op_purge(w, o, e);
	case PUBLISH_META:
		return op_meta(w, o, e);
	}
	return 0;
}

static int fill(void *arg, struct gen *g, MDB_txn *txn, struct store_position *after, struct err *e)
{
	struct work *w = arg;
	size_t i;
	int rc = 0;

	w->g = g;
	w->txn = txn;
	w->after = after;
	*after = g->position;
	if (w->b->lineage != NULL)
		str_copy(after->lineage, sizeof(after->lineage), w->b->lineage);
	str_copy(after->token, sizeof(after->token), w->b->token);
	for (i = 0; rc == 0 && i < w->b->n; i++)
		rc = one(w, &w->b->ops[i], e);
	return rc < 0 ? rc : gen_seal(g, txn, after, w->horizon, e);
}

int store_publish(struct store *s, enum store_target t, const struct publish_batch *b,
		  struct published *out, struct err *e)
{
	struct published made = { 0 };
	struct work w = { .s = s, .b = b, .out = &made };
	struct gen *g = t == STORE_CURRENT ? &s->current : &s->next;
	int rc = gen_write(g, fill, &w, &made.after, e);

	buf_reset(&w.scratch);
	if (rc == 0)
		*out = made;
	return rc;
}
