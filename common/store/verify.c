/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/base/mem.h"
#include "common/store/store_internal.h"

struct counts {
	struct digest digest;
	uint64_t events;
	uint64_t children;
	uint64_t lookups;
	uint64_t max_revision;
};

static int check_lookups(const struct gen *g, MDB_txn *txn, const MDB_val *key,
			 const struct store_entry *entry, struct counts *n, struct err *e)
{
	struct lookups l = { 0 };
	struct key index;
	MDB_val lk;
	MDB_val at;
	size_t i;
	int rc = 0;

	lookups_of(&l, entry->kind, entry->payload, entry->payload_len);
	if (l.n > 0 && key->mv_size > KEY_MAX_BYTES - LOOKUP_BYTES)
		rc = err_set(e, ERR_DAMAGED, "a key of %zu bytes", key->mv_size);
	for (i = 0; rc == 0 && i < l.n; i++) {
		key_lookup(&index, &l.v[i], key);
		lk = key_val(&index);
		if (mdb_get(txn, g->lookups, &lk, &at) != 0)
			rc = err_set(e, ERR_DAMAGED, "no lookup leads to a record");
	}
	n->lookups += l.n;
	lookups_reset(&l);
	return rc;
}

static int check_entry(const struct gen *g, MDB_txn *txn, const MDB_val *key, const MDB_val *v,
		       struct counts *n, struct err *e)
{
	struct store_entry entry;
	struct key index;
	MDB_val lk;
	MDB_val at;
	int rc = record_decode(&entry, v, e);

	if (rc < 0)
		return rc;
	key_log(&index, entry.revision);
	lk = key_val(&index);
	if (mdb_get(txn, g->log, &lk, &at) != 0 || at.mv_size != key->mv_size ||
	    memcmp(at.mv_data, key->mv_data, at.mv_size) != 0)
		return err_set(e, ERR_DAMAGED, "the log does not know a record");
	digest_add(&n->digest, &entry.hash);
	n->events++;
	n->max_revision = MAX(n->max_revision, entry.revision);
	if (entry.ref_len > 0 && entry.action == ACTION_DEPLOY)
		n->children++;
	return entry.action == ACTION_DEPLOY ? check_lookups(g, txn, key, &entry, n, e) : 0;
}

static int check_events(const struct gen *g, MDB_txn *txn, struct counts *n, struct err *e)
{
	MDB_cursor *c = NULL;
	MDB_val key;
	MDB_val v;
	int rc = mdb_cursor_open(txn, g->events, &c);
	int bad = 0;

	if (rc != 0)
		return lmdb_err(e, rc, "verify");
	rc = mdb_cursor_get(c, &key, &v, MDB_FIRST);
	while (rc == 0 && bad == 0) {
		bad = check_entry(g, txn, &key, &v, n, e);
		rc = mdb_cursor_get(c, &key, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	if (bad == 0 && rc != MDB_NOTFOUND)
		bad = lmdb_err(e, rc, "verify");
	return bad;
}

/* The key of `events` that an entry of an index leads to; false when it leads nowhere. */
static bool leads_to(const struct gen *g, MDB_dbi index, const MDB_val *key, MDB_val *v)
{
	size_t skip;

	if (index == g->log)
		return key->mv_size == 8;
	if (index == g->lookups) {
		skip = LOOKUP_BYTES;
	} else {
		const char *nul = memchr(key->mv_data, '\0', key->mv_size);

		skip = nul == NULL ? key->mv_size : (size_t)(nul + 1 - (const char *)key->mv_data);
	}
	if (key->mv_size <= skip)
		return false;
	v->mv_data = (char *)key->mv_data + skip;
	v->mv_size = key->mv_size - skip;
	return true;
}

/* Each entry leads to a record, and there are `want` of them. */
static int check_index(const struct gen *g, MDB_txn *txn, MDB_dbi index, uint64_t want,
		       struct err *e)
{
	MDB_cursor *c = NULL;
	uint64_t n = 0;
	MDB_val key;
	MDB_val v;
	MDB_val record;
	int rc = mdb_cursor_open(txn, index, &c);

	if (rc != 0)
		return lmdb_err(e, rc, "verify");
	rc = mdb_cursor_get(c, &key, &v, MDB_FIRST);
	while (rc == 0 && leads_to(g, index, &key, &v) &&
	       mdb_get(txn, g->events, &v, &record) == 0) {
		n++;
		rc = mdb_cursor_get(c, &key, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	if (rc != MDB_NOTFOUND || n != want)
		return err_set(e, ERR_DAMAGED, "an index is not that of the records");
	return 0;
}

/* LMDB takes the list of free pages on trust: numbers in falling order, behind their count. */
static int check_free(const struct gen *g, MDB_txn *txn, struct err *e)
{
	MDB_cursor *c = NULL;
	MDB_envinfo info;
	MDB_val key;
	MDB_val v;
	bool fine = true;
	int rc = mdb_cursor_open(txn, 0, &c);

	if (rc != 0)
		return lmdb_err(e, rc, "verify");
	(void)mdb_env_info(g->env, &info);
	rc = mdb_cursor_get(c, &key, &v, MDB_FIRST);
	while (rc == 0 && fine) {
		const size_t *ids = v.mv_data;
		size_t i;

		fine = v.mv_size >= sizeof(*ids) && v.mv_size / sizeof(*ids) - 1 >= ids[0];
		for (i = 1; fine && i <= ids[0]; i++)
			fine = ids[i] > 1 && ids[i] <= info.me_last_pgno &&
			       (i == 1 || ids[i] < ids[i - 1]);
		rc = mdb_cursor_get(c, &key, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	return fine && rc == MDB_NOTFOUND
		       ? 0
		       : err_set(e, ERR_DAMAGED, "the list of free pages is none");
}

int gen_verify(const struct gen *g, struct err *e)
{
	struct counts n = { 0 };
	MDB_txn *txn = NULL;
	int rc = lmdb_err(e, mdb_txn_begin(g->env, NULL, MDB_RDONLY, &txn), "verify");

	if (rc < 0)
		return rc;
	rc = check_events(g, txn, &n, e);
	if (rc == 0)
		rc = check_index(g, txn, g->log, n.events, e);
	if (rc == 0)
		rc = check_index(g, txn, g->refs, n.children, e);
	if (rc == 0)
		rc = check_index(g, txn, g->lookups, n.lookups, e);
	if (rc == 0)
		rc = check_free(g, txn, e);
	if (rc == 0 && (!digest_equal(&n.digest, &g->position.digest) ||
			n.max_revision > g->position.revision))
		rc = err_set(e, ERR_DAMAGED, "the digest is not that of the records");
	mdb_txn_abort(txn);
	return rc;
}

int store_verify(const struct store *s, struct err *e)
{
	return gen_verify(&s->current, e);
}
