/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "common/store/store_internal.h"

struct header {
	uint64_t check; /* of everything behind it */
	uint64_t revision;
	int64_t updated_ms;
	uint32_t id_len;
	uint32_t ref_len;
	uint32_t version_len;
	uint32_t payload_len;
	unsigned char hash[HASH_BYTES];
	unsigned char kind;
	unsigned char pad[6];
};

_Static_assert(sizeof(struct header) == 64, "the record header is written as it stands");

int lmdb_err(struct err *e, int rc, const char *doing)
{
	int code;

	if (rc == 0)
		return 0;
	if (rc == ENOSPC || rc == EDQUOT || rc == MDB_MAP_FULL || rc == MDB_TXN_FULL)
		code = ERR_FULL;
	else if (rc == MDB_NOTFOUND)
		code = ERR_NOTFOUND;
	else if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID ||
		 rc == MDB_VERSION_MISMATCH || rc == MDB_BAD_DBI)
		code = ERR_DAMAGED;
	else if (rc == MDB_PANIC)
		code = STORE_LOST;
	else if (rc == MDB_READERS_FULL || rc == MDB_TLS_FULL)
		code = -EAGAIN;
	else
		code = rc > 0 ? -rc : ERR_DAMAGED;
	/* LMDB turns a write that came up short into EIO: that is what a full disk looks like. */
	return err_set(e, code, "%s: %s%s", doing, mdb_strerror(rc),
		       rc == EIO ? " (is the disk full?)" : "");
}

MDB_val key_val(const struct key *k)
{
	return (MDB_val){ k->n, (void *)(uintptr_t)k->b };
}

static void key_add(struct key *k, const void *p, size_t n)
{
	CHECK(k->n + n <= KEY_MAX_BYTES);
	memcpy(k->b + k->n, p, n);
	k->n += n;
}

/* A text and its NUL; a long one is cut and ends in a hash of the whole. */
static void key_part(struct key *k, const char *text)
{
	size_t n = strlen(text);

	if (n > KEY_PART_BYTES) {
		uint64_t h = hash_u64(text, n, 0);
		char hex[2 * sizeof(h) + 1];

		str_hex(hex, &h, sizeof(h));
		key_add(k, text, KEY_PART_BYTES - 2 * sizeof(h));
		key_add(k, hex, 2 * sizeof(h));
	} else {
		key_add(k, text, n);
	}
	key_add(k, "", 1);
}

void key_event(struct key *k, enum kind kind, const char *id, const char *ref)
{
	unsigned char byte = (unsigned char)(kind + 1);

	k->n = 0;
	key_add(k, &byte, 1);
	key_part(k, id);
	if (ref != NULL)
		key_part(k, ref);
}

void key_ref(struct key *k, const char *ref, const struct key *event)
{
	k->n = 0;
	key_part(k, ref);
	if (event != NULL)
		key_add(k, event->b, event->n);
}

void key_lookup(struct key *k, const struct lookup *l, const MDB_val *event)
{
	k->n = 0;
	key_add(k, l->b, LOOKUP_BYTES);
	if (event != NULL)
		key_add(k, event->mv_data, event->mv_size);
}

void key_log(struct key *k, uint64_t revision)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		k->b[i] = (unsigned char)(revision >> (56 - 8 * i));
	k->n = 8;
}

void record_encode(struct buf *out, const struct store_record *r)
{
	const struct event *ev = r->ev;
	bool live = ev->action == ACTION_DEPLOY;
	struct header h = { 0 };

	h.revision = r->revision;
	h.updated_ms = r->updated_ms;
	h.id_len = (uint32_t)strlen(ev->id);
	h.ref_len = ev->ref_id == NULL ? 0 : (uint32_t)strlen(ev->ref_id);
	h.version_len = ev->version == NULL ? 0 : (uint32_t)strlen(ev->version);
	h.payload_len = live ? (uint32_t)ev->payload.len : 0;
	memcpy(h.hash, r->hash.b, HASH_BYTES);
	h.kind = (unsigned char)ev->kind;
	buf_clear(out);
	buf_add(out, &h, sizeof(h));
	buf_add(out, ev->id, h.id_len);
	buf_add(out, ev->ref_id, h.ref_len);
	buf_add(out, ev->version, h.version_len);
	buf_add(out, ev->payload.data, h.payload_len);
	h.check = hash_u64(out->data + sizeof(h.check), out->len - sizeof(h.check), STORE_FORMAT);
	memcpy(out->data, &h.check, sizeof(h.check));
}

bool entry_is(const struct store_entry *x, const char *id, const char *ref)
{
	size_t n = ref == NULL ? 0 : strlen(ref);

	return x->id_len == strlen(id) && memcmp(x->id, id, x->id_len) == 0 && x->ref_len == n &&
	       (n == 0 || memcmp(x->ref, ref, n) == 0);
}

bool record_peek(struct store_entry *out, const MDB_val *v)
{
	const char *p = v->mv_data;
	struct header h;
	uint64_t want;

	if (v->mv_size < sizeof(h))
		return false;
	memcpy(&h, p, sizeof(h));
	want = sizeof(h) + (uint64_t)h.id_len + h.ref_len + h.version_len + h.payload_len;
	if (want != v->mv_size || h.kind >= KIND__COUNT)
		return false;
	*out = (struct store_entry){ .kind = (enum kind)h.kind,
				     .action = h.hash[0] == 'D' ? ACTION_DEPLOY : ACTION_UNDEPLOY,
				     .revision = h.revision,
				     .updated_ms = h.updated_ms,
				     .id_len = h.id_len,
				     .ref_len = h.ref_len,
				     .version_len = h.version_len,
				     .payload_len = h.payload_len };
	memcpy(out->hash.b, h.hash, HASH_BYTES);
	p += sizeof(h);
	out->id = p;
	out->ref = p + h.id_len;
	out->version = out->ref + h.ref_len;
	out->payload = out->version + h.version_len;
	return true;
}

int record_decode(struct store_entry *out, const MDB_val *v, struct err *e)
{
	const char *p = v->mv_data;
	uint64_t check;

	if (!record_peek(out, v))
		return err_set(e, ERR_DAMAGED, "%zu bytes that are no record", v->mv_size);
	memcpy(&check, p, sizeof(check));
	if (check != hash_u64(p + sizeof(check), v->mv_size - sizeof(check), STORE_FORMAT))
		return err_set(e, ERR_DAMAGED, "a record fails its checksum");
	return 0;
}

int meta_get(const struct gen *g, MDB_txn *txn, const char *name, MDB_val *v)
{
	MDB_val key = { strlen(name), (void *)(uintptr_t)name };

	return mdb_get(txn, g->meta, &key, v);
}

int meta_put(const struct gen *g, MDB_txn *txn, const char *name, const void *p, size_t n)
{
	MDB_val key = { strlen(name), (void *)(uintptr_t)name };
	MDB_val v = { n, (void *)(uintptr_t)p };

	return mdb_put(txn, g->meta, &key, &v, 0);
}

int gen_read_meta(struct gen *g, MDB_txn *txn)
{
	MDB_val v;
	int rc = meta_get(g, txn, "position", &v);

	if (rc != 0) /* created and never written */
		return rc == MDB_NOTFOUND ? 0 : rc;
	if (!position_decode(&g->position, &v))
		return MDB_INVALID;
	if (meta_get(g, txn, "history", &v) == 0 && v.mv_size == sizeof(g->history))
		memcpy(&g->history, v.mv_data, sizeof(g->history));
	if (meta_get(g, txn, "ahead", &v) == 0 && v.mv_size == sizeof(g->ahead))
		memcpy(&g->ahead, v.mv_data, sizeof(g->ahead));
	g->ahead.token[sizeof(g->ahead.token) - 1] = '\0';
	return 0;
}

bool position_decode(struct position *out, const MDB_val *v)
{
	if (v->mv_size != sizeof(*out))
		return false;
	memcpy(out, v->mv_data, sizeof(*out));
	return memchr(out->lineage, '\0', sizeof(out->lineage)) != NULL &&
	       memchr(out->token, '\0', sizeof(out->token)) != NULL;
}
