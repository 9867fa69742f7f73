/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/base/mem.h"
#include "common/base/table.h"
#include "common/store/store_internal.h"

struct comparison {
	const struct gen *one, *other;
	MDB_txn *one_txn, *other_txn;
	struct table names; /* whose difference is to be told; of values that mean nothing */
	struct store_difference *out;
};

static bool live_in(const struct gen *g, MDB_txn *txn, MDB_val key, struct store_entry *out)
{
	MDB_val v;

	return mdb_get(txn, g->events, &key, &v) == 0 && record_peek(out, &v) &&
	       out->action == ACTION_DEPLOY;
}

static bool reference_lives(const struct gen *g, MDB_txn *txn, const struct store_entry *child)
{
	static const enum kind kinds[] = { KIND_API, KIND_API_PRODUCT };
	char *ref = mem_dup(child->ref, child->ref_len);
	struct store_entry e;
	struct key k;
	bool lives = false;
	unsigned i;

	for (i = 0; !lives && i < ARRAY_LEN(kinds); i++) {
		key_event(&k, kinds[i], ref, NULL);
		lives = live_in(g, txn, key_val(&k), &e);
	}
	mem_free(ref);
	return lives;
}

static bool is_told(const struct comparison *c, const struct store_entry *e)
{
	char *id = mem_dup(e->id, e->id_len);
	char *ref = e->ref_len == 0 ? NULL : mem_dup(e->ref, e->ref_len);
	char *name = event_name(e->kind, id, ref);
	bool told = table_get(&c->names, name) != NULL;

	mem_free(name);
	mem_free(ref);
	mem_free(id);
	return told;
}

/* `lost`: the names of `one` are what may be lost; else those that are in both were seen. */
static void compare_one(struct comparison *c, MDB_val key, const struct store_entry *e, bool lost)
{
	struct store_entry there;
	bool lives = live_in(c->other, c->other_txn, key, &there);

	c->out->live[e->kind] += lost;
	if (lives && (!lost || hash_equal(&e->hash, &there.hash)))
		return;
	c->out->differs++;
	if (lost && !lives && (e->ref_len == 0 || reference_lives(c->other, c->other_txn, e)))
		c->out->lacks[e->kind]++;
	c->out->told = c->out->told || is_told(c, e);
}

static int walk(struct comparison *c, bool lost, struct err *e)
{
	struct store_entry entry;
	MDB_cursor *cursor = NULL;
	MDB_val key;
	MDB_val v;
	int rc = mdb_cursor_open(c->one_txn, c->one->events, &cursor);

	if (rc != 0)
		return lmdb_err(e, rc, "compare");
	rc = mdb_cursor_get(cursor, &key, &v, MDB_FIRST);
	while (rc == 0) {
		if (record_peek(&entry, &v) && entry.action == ACTION_DEPLOY)
			compare_one(c, key, &entry, lost);
		rc = mdb_cursor_get(cursor, &key, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : lmdb_err(e, rc, "compare");
}

static void take_names(struct table *t, const char *lines)
{
	while (*lines != '\0') {
		size_t n = strcspn(lines, "\n");
		char *name = mem_dup(lines, n);

		(void)table_set(t, name, t);
		mem_free(name);
		lines += n + (lines[n] == '\n');
	}
}

static void turn(struct comparison *c)
{
	struct comparison was = *c;

	c->one = was.other;
	c->one_txn = was.other_txn;
	c->other = was.one;
	c->other_txn = was.one_txn;
}

int store_compare(struct store *s, const char *names, struct store_difference *out, struct err *e)
{
	struct comparison c = { .one = &s->current, .other = &s->next, .out = out };
	int rc;

	CHECK(s->next.env != NULL);
	*out = (struct store_difference){ 0 };
	rc = lmdb_err(e, mdb_txn_begin(c.one->env, NULL, MDB_RDONLY, &c.one_txn), "compare");
	if (rc == 0)
		rc = lmdb_err(e, mdb_txn_begin(c.other->env, NULL, MDB_RDONLY, &c.other_txn),
			      "compare");
	take_names(&c.names, names);
	if (rc == 0)
		rc = walk(&c, true, e);
	turn(&c);
	if (rc == 0)
		rc = walk(&c, false, e);
	if (c.one_txn != NULL)
		mdb_txn_abort(c.one_txn);
	if (c.other_txn != NULL)
		mdb_txn_abort(c.other_txn);
	table_reset(&c.names);
	return rc;
}
