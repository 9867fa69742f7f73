/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/base/mem.h"
#include "common/store/internal.h"

struct counts {
	struct digest digest;
	uint64_t events;
	uint64_t children;
	uint64_t max_revision;
};

static int check_entry(const struct gen *g, MDB_txn *txn, const MDB_val *key, const MDB_val *v,
		       struct counts *n, struct err *e)
{
	struct store_entry entry;
	struct key log;
	MDB_val lk;
	MDB_val at;
	int rc = record_decode(&entry, v, e);

	if (rc < 0)
		return rc;
	key_log(&log, entry.revision);
	lk = key_val(&log);
	if (mdb_get(txn, g->log, &lk, &at) != 0 || at.mv_size != key->mv_size ||
	    memcmp(at.mv_data, key->mv_data, at.mv_size) != 0)
		return err_set(e, ERR_DAMAGED, "the log does not know a record");
	digest_add(&n->digest, &entry.hash);
	n->events++;
	n->max_revision = MAX(n->max_revision, entry.revision);
	if (entry.ref_len > 0 && entry.action == ACTION_DEPLOY)
		n->children++;
	return 0;
}

static uint64_t entries(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_stat st = { 0 };

	(void)mdb_stat(txn, dbi, &st);
	return st.ms_entries;
}

int store_verify(const struct store *s, struct err *e)
{
	const struct gen *g = &s->current;
	struct counts n = { 0 };
	MDB_cursor *c = NULL;
	MDB_txn *txn = NULL;
	MDB_val key;
	MDB_val v;
	int rc = mdb_txn_begin(g->env, NULL, MDB_RDONLY, &txn);
	int bad = 0;

	if (rc != 0)
		return lmdb_err(e, rc, "verify");
	rc = mdb_cursor_open(txn, g->events, &c);
	if (rc == 0)
		rc = mdb_cursor_get(c, &key, &v, MDB_FIRST);
	while (rc == 0 && bad == 0) {
		bad = check_entry(g, txn, &key, &v, &n, e);
		rc = mdb_cursor_get(c, &key, &v, MDB_NEXT);
	}
	if (bad == 0 && rc != MDB_NOTFOUND)
		bad = lmdb_err(e, rc, "verify");
	if (bad == 0 && (entries(txn, g->log) != n.events || entries(txn, g->refs) != n.children))
		bad = err_set(e, ERR_DAMAGED, "an index holds more than there is");
	if (bad == 0 && (!digest_equal(&n.digest, &g->position.digest) ||
			 n.max_revision > g->position.revision))
		bad = err_set(e, ERR_DAMAGED, "the digest is not that of the records");
	if (c != NULL)
		mdb_cursor_close(c);
	mdb_txn_abort(txn);
	return bad;
}
