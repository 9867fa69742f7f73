/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/reader.h"

#include <stdio.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/mem.h"
#include "common/store/store_internal.h"

/* There is one at a time, and it is the store itself. */
struct store_view {
	struct store s;
};

static struct store *store_of(struct store_view *v)
{
	return &v->s;
}

int store_view_open(struct store *s, struct store_view **out, struct err *e)
{
	int rc;

	CHECK(!s->viewing);
	if (s->reader == NULL)
		rc = mdb_txn_begin(s->current.env, NULL, MDB_RDONLY, &s->reader);
	else
		rc = mdb_txn_renew(s->reader);
	if (rc == MDB_PANIC)
		store_lose(s);
	if (rc != 0)
		return lmdb_err(e, rc, "read");
	s->viewing = true;
	s->left_out = 0;
	s->payload_max = SIZE_MAX;
	*out = (struct store_view *)(void *)s;
	return 0;
}

void store_view_close(struct store_view **v)
{
	struct store *s;

	if (*v == NULL)
		return;
	s = store_of(*v);
	CHECK(s->viewing);
	mdb_txn_reset(s->reader);
	s->viewing = false;
	*v = NULL;
}

void store_view_limit(struct store_view *v, size_t payload_bytes)
{
	store_of(v)->payload_max = payload_bytes;
}

unsigned store_view_left_out(const struct store_view *v)
{
	return v->s.left_out;
}

void store_on_damaged(struct store *s, store_damaged_fn *fn, void *arg)
{
	s->on_damaged = fn;
	s->on_damaged_arg = arg;
}

bool store_is_lost(const struct store *s)
{
	return s->lost;
}

void store_lose(struct store *s)
{
	if (s->lost)
		return;
	s->lost = true;
	if (s->on_damaged != NULL)
		s->on_damaged(s->on_damaged_arg);
}

static int meet_damage(struct store *s)
{
	bool first = !s->damaged;

	s->left_out++;
	s->damaged = true;
	if (first && s->on_damaged != NULL)
		s->on_damaged(s->on_damaged_arg);
	return ERR_DAMAGED;
}

static int decode(struct store *s, struct store_entry *out, const MDB_val *v, struct err *e)
{
	int rc;

	if (record_peek(out, v) && out->payload_len > s->payload_max)
		return STORE_LARGE;
	rc = record_decode(out, v, e);
	return rc == ERR_DAMAGED ? meet_damage(s) : rc;
}

static int read_meta(const struct store *s, const char *name, MDB_val *v)
{
	return meta_get(&s->current, s->reader, name, v);
}

void store_view_position(const struct store_view *v, struct position *out)
{
	MDB_val raw;

	if (read_meta(&v->s, "position", &raw) != 0 || !position_decode(out, &raw))
		*out = (struct position){ 0 };
}

bool store_view_is_ahead(const struct store_view *v)
{
	MDB_val raw;

	return read_meta(&v->s, "ahead", &raw) == 0;
}

#define TOLD_MARK "+%06x"
#define TOLD_BITS 24

void store_view_told(const struct store_view *v, struct position *out)
{
	const struct store *s = &v->s;
	uint64_t mark = 0;
	size_t n;
	MDB_val raw;

	store_view_position(v, out);
	if (read_meta(s, "ahead", &raw) == 0)
		mark = hash_u64(raw.mv_data, raw.mv_size, 0);
	if (s->mended != 0)
		mark = hash_u64(&s->mended, sizeof(s->mended), mark);
	if (mark == 0)
		return;
	n = strlen(out->lineage);
	(void)snprintf(out->lineage + n, sizeof(out->lineage) - n, TOLD_MARK,
		       (unsigned)(mark >> (64 - TOLD_BITS)));
}

uint64_t store_history_start(struct store_view *v)
{
	uint64_t start = 0;
	MDB_val raw;

	if (read_meta(&v->s, "history", &raw) == 0 && raw.mv_size == sizeof(start))
		memcpy(&start, raw.mv_data, sizeof(start));
	return start;
}

/* Walks from `from` while keys begin with `prefix`, calling `fn` on what `at` yields. */
struct index_walk {
	MDB_dbi dbi;
	const struct key *prefix;
	bool indirect;	/* the key behind the prefix is a key of `events` */
	enum kind kind; /* of indirect ones; KIND__COUNT: any */
	store_each_fn *fn;
	void *arg;
};

static int visit(struct store *s, const struct index_walk *w, const MDB_val *key, MDB_val *v)
{
	struct store_entry entry;
	MDB_val at;
	int rc;

	if (w->indirect) {
		const unsigned char *p = (const unsigned char *)key->mv_data + w->prefix->n;

		at = (MDB_val){ key->mv_size - w->prefix->n, (void *)(uintptr_t)p };
		if (w->kind != KIND__COUNT && (at.mv_size == 0 || *p != w->kind + 1))
			return 0;
		if (mdb_get(s->reader, s->current.events, &at, v) != 0) {
			(void)meet_damage(s);
			return 0;
		}
	}
	rc = decode(s, &entry, v, NULL);
	return rc < 0 ? 0 : rc > 0 ? rc : w->fn(w->arg, &entry);
}

static int walk(struct store *s, const struct index_walk *w, struct buf *cursor)
{
	MDB_cursor *c = NULL;
	bool resumed = cursor != NULL && cursor->len > 0;
	MDB_val key = resumed ? (MDB_val){ cursor->len, cursor->data } : key_val(w->prefix);
	MDB_val v;
	int rc = mdb_cursor_open(s->reader, w->dbi, &c);
	int out = 0;

	if (rc != 0)
		return lmdb_err(NULL, rc, "walk");
	rc = mdb_cursor_get(c, &key, &v, key.mv_size == 0 ? MDB_FIRST : MDB_SET_RANGE);
	if (rc == 0 && resumed && key.mv_size == cursor->len &&
	    memcmp(key.mv_data, cursor->data, cursor->len) == 0)
		rc = mdb_cursor_get(c, &key, &v, MDB_NEXT);
	while (rc == 0 && key.mv_size >= w->prefix->n &&
	       memcmp(key.mv_data, w->prefix->b, w->prefix->n) == 0) {
		out = visit(s, w, &key, &v);
		if (out != 0)
			break;
		if (cursor != NULL) {
			buf_clear(cursor);
			buf_add(cursor, key.mv_data, key.mv_size);
		}
		rc = mdb_cursor_get(c, &key, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	if (out != 0)
		return out;
	if (cursor != NULL)
		buf_clear(cursor); /* the end */
	return rc == 0 || rc == MDB_NOTFOUND ? 0 : lmdb_err(NULL, rc, "walk");
}

struct index_wanted {
	const char *id;
	size_t id_len;
	store_each_fn *fn;
	void *arg;
	bool found;
};

/* Keys that were cut to a hash may collide: the record knows its whole id. */
static int only_wanted(void *arg, const struct store_entry *entry)
{
	struct index_wanted *w = arg;

	if (entry->id_len != w->id_len || memcmp(entry->id, w->id, w->id_len) != 0)
		return 0;
	w->found = true;
	return w->fn(w->arg, entry);
}

int store_get(struct store_view *v, enum kind k, const char *id, store_each_fn *fn, void *arg,
	      struct err *e)
{
	struct store *s = store_of(v);
	struct index_wanted wanted = { id, strlen(id), fn, arg, false };
	unsigned left_out = s->left_out;
	struct key prefix;
	struct index_walk w;
	int rc;

	key_event(&prefix, k, id, NULL);
	w = (struct index_walk){ s->current.events, &prefix, false, k, only_wanted, &wanted };
	rc = walk(s, &w, NULL);
	if (rc == 0 && !wanted.found && s->left_out > left_out)
		rc = ERR_DAMAGED;
	if (rc < 0)
		return err_set(e, rc, "%s %s: the record cannot be read", kind_name(k), id);
	if (rc == 0 && !wanted.found)
		return err_set(e, ERR_NOTFOUND, "there is no %s %s", kind_name(k), id);
	return rc;
}

int store_list(struct store_view *v, enum kind k, struct buf *cursor, store_each_fn *fn, void *arg)
{
	struct store *s = store_of(v);
	struct key prefix = { .n = 0 };
	struct index_walk w = { s->current.events, &prefix, false, k, fn, arg };

	if (k != KIND__COUNT) {
		prefix.b[0] = (unsigned char)(k + 1);
		prefix.n = 1;
	}
	return walk(s, &w, cursor);
}

int store_children(struct store_view *v, const char *ref, enum kind k, struct buf *cursor,
		   store_each_fn *fn, void *arg)
{
	struct store *s = store_of(v);
	struct key prefix;
	struct index_walk w = { s->current.refs, &prefix, true, k, fn, arg };

	key_ref(&prefix, ref, NULL);
	return walk(s, &w, cursor);
}

int store_lookup(struct store_view *v, const struct lookup *l, store_each_fn *fn, void *arg)
{
	struct store *s = store_of(v);
	struct key prefix;
	struct index_walk w = { s->current.lookups, &prefix, true, KIND__COUNT, fn, arg };

	key_lookup(&prefix, l, NULL);
	return walk(s, &w, NULL);
}

static int get_one(struct store *s, const struct key *k, MDB_val *v)
{
	MDB_val key = key_val(k);

	return mdb_get(s->reader, s->current.events, &key, v);
}

int store_find(struct store_view *v, enum kind k, const char *id, const char *ref,
	       struct store_entry *out, struct err *e)
{
	struct key key;
	MDB_val raw;
	int rc;

	key_event(&key, k, id, ref[0] == '\0' ? NULL : ref);
	rc = get_one(store_of(v), &key, &raw);
	if (rc == 0)
		rc = decode(store_of(v), out, &raw, e);
	else
		rc = lmdb_err(e, rc, "find");
	if (rc == 0 && !entry_is(out, id, ref))
		rc = err_set(e, ERR_NOTFOUND, "there is no %s %s", kind_name(k), id);
	return rc;
}

bool store_is_live(struct store_view *v, enum kind k, const char *id)
{
	struct store_entry x;
	struct key key;
	MDB_val raw;

	key_event(&key, k, id, NULL);
	return get_one(store_of(v), &key, &raw) == 0 && record_peek(&x, &raw) &&
	       entry_is(&x, id, "") && x.action == ACTION_DEPLOY;
}

int store_since(struct store_view *v, uint64_t after, store_each_fn *fn, void *arg)
{
	struct store *s = store_of(v);
	MDB_cursor *c = NULL;
	struct key low;
	MDB_val key;
	MDB_val at;
	int rc;
	int out = 0;

	if (after == UINT64_MAX)
		return 0; /* nothing is above it */
	rc = mdb_cursor_open(s->reader, s->current.log, &c);
	if (rc != 0)
		return lmdb_err(NULL, rc, "read the log");
	key_log(&low, after + 1);
	key = key_val(&low);
	rc = mdb_cursor_get(c, &key, &at, MDB_SET_RANGE);
	while (rc == 0 && out == 0) {
		struct store_entry entry;
		MDB_val rec;

		if (mdb_get(s->reader, s->current.events, &at, &rec) != 0)
			out = meet_damage(s);
		else
			out = decode(s, &entry, &rec, NULL);
		if (out == 0)
			out = fn(arg, &entry);
		rc = mdb_cursor_get(c, &key, &at, MDB_NEXT);
	}
	mdb_cursor_close(c);
	if (out == 0 && rc != MDB_NOTFOUND)
		out = lmdb_err(NULL, rc, "read the log");
	return out;
}

uint64_t store_next_revision(struct store_view *v, uint64_t after)
{
	struct store *s = store_of(v);
	uint64_t revision = UINT64_MAX;
	MDB_cursor *c = NULL;
	struct key low;
	MDB_val key;
	MDB_val at;
	size_t i;

	if (after == UINT64_MAX || mdb_cursor_open(s->reader, s->current.log, &c) != 0)
		return UINT64_MAX;
	key_log(&low, after + 1);
	key = key_val(&low);
	if (mdb_cursor_get(c, &key, &at, MDB_SET_RANGE) == 0 && key.mv_size == low.n)
		for (revision = 0, i = 0; i < low.n; i++)
			revision = revision << 8 | ((const unsigned char *)key.mv_data)[i];
	mdb_cursor_close(c);
	return revision;
}

int store_meta(struct store_view *v, store_meta_fn *fn, void *arg)
{
	const struct store *s = store_of(v);
	size_t skip = strlen(META_PREFIX);
	MDB_val key = { skip, (void *)(uintptr_t)META_PREFIX };
	MDB_cursor *c = NULL;
	MDB_val val;
	int rc = 0;
	int at;

	if (mdb_cursor_open(s->reader, s->current.meta, &c) != 0)
		return 0;
	at = mdb_cursor_get(c, &key, &val, MDB_SET_RANGE);
	while (rc == 0 && at == 0 && key.mv_size > skip &&
	       memcmp(key.mv_data, META_PREFIX, skip) == 0) {
		char *field = mem_dup((const char *)key.mv_data + skip, key.mv_size - skip);
		char *value = mem_dup(val.mv_data, val.mv_size);

		rc = fn(arg, field, value);
		mem_free(field);
		mem_free(value);
		at = mdb_cursor_get(c, &key, &val, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return rc;
}
