/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store whose parts do not agree: each index is changed behind the store's back, and what
 * store_verify() says of it. LMDB itself is sound here; broken pages are in test_store.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <lmdb.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/store/reader.h"
#include "common/store/store.h"
#include "test/unit/store_kit.h"

#define MAP_BYTES (64ULL << 20)

static char *dir;
static struct store *st;

static void reopen(char aside[200])
{
	struct err e = { 0 };

	store_close(&st);
	if (store_open(&st, dir, MAP_BYTES, aside, &e) < 0)
		fail_msg("open: %s", e.text);
}

static const struct item {
	enum kind kind;
	const char *id;
	const char *ref;
	const char *payload; /* NULL: a tombstone */
} items[] = {
	{ KIND_API, "a", NULL, "{}" },
	{ KIND_API, "gone", NULL, NULL },
	{ KIND_API_KEY, "k", "a", "{\"api\":\"a\",\"key\":\"secret\"}" },
	{ KIND_API_KEY, "old", "a", NULL },
};

static void fill(void)
{
	struct event ev[ARRAY_LEN(items)];
	struct store_record r[ARRAY_LEN(items)];
	struct store_batch b = { .records = r,
				 .len = ARRAY_LEN(items),
				 .position = { .lineage = "l", .token = "1:a", .revision = 4 } };
	struct position after;
	struct err e = { 0 };
	size_t i;

	for (i = 0; i < ARRAY_LEN(items); i++) {
		const struct item *it = &items[i];

		ev[i] = (struct event){ .kind = it->kind,
					.action = it->payload == NULL ? ACTION_UNDEPLOY
								      : ACTION_DEPLOY,
					.id = (char *)(uintptr_t)it->id,
					.ref_id = (char *)(uintptr_t)it->ref,
					.version = (char *)(uintptr_t) "1" };
		if (it->payload != NULL)
			buf_adds(&ev[i].payload, it->payload);
		r[i] = (struct store_record){ .ev = &ev[i], .revision = i + 1, .updated_ms = 1 };
		event_hash(&r[i].hash, &ev[i]);
	}
	if (store_apply(st, STORE_CURRENT, &b, &after, &e) < 0)
		fail_msg("apply: %s", e.text);
	for (i = 0; i < ARRAY_LEN(items); i++)
		buf_reset(&ev[i].payload);
}

static int setup(void **state)
{
	char aside[200];

	UNUSED(state);
	dir = store_kit_make();
	reopen(aside);
	fill();
	return 0;
}

static int teardown(void **state)
{
	UNUSED(state);
	store_close(&st);
	store_kit_remove(&dir);
	return 0;
}

/* --- behind its back --- */

struct inside {
	MDB_txn *txn;
	MDB_dbi of[5];
};
enum { EVENTS, LOG, REFS, LOOKUPS, META };

typedef void change_fn(const struct inside *in);

static void change(change_fn *fn)
{
	static const char *const names[] = { "events", "log", "refs", "lookups", "meta" };
	char *path = mem_printf("%s/1", dir);
	struct inside in = { 0 };
	MDB_env *env = NULL;
	size_t i;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 5), 0);
	assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &in.txn), 0);
	for (i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(mdb_dbi_open(in.txn, names[i], 0, &in.of[i]), 0);
	fn(&in);
	assert_int_equal(mdb_txn_commit(in.txn), 0);
	mdb_env_close(env);
	mem_free(path);
}

/* What keys are made of: the rows of store_internal.h, as another reader of the files sees them. */
struct key {
	unsigned char b[511];
	size_t n;
};

static void key_add(struct key *k, const void *p, size_t n)
{
	memcpy(k->b + k->n, p, n);
	k->n += n;
}

static MDB_val key_val(const struct key *k)
{
	return (MDB_val){ k->n, (void *)(uintptr_t)k->b };
}

static void put(const struct inside *in, unsigned of, const struct key *k, const void *p, size_t n)
{
	MDB_val key = key_val(k);
	MDB_val v = { n, (void *)(uintptr_t)p };

	assert_int_equal(mdb_put(in->txn, in->of[of], &key, &v, 0), 0);
}

static void take(const struct inside *in, unsigned of, const struct key *k)
{
	MDB_val key = key_val(k);

	assert_int_equal(mdb_del(in->txn, in->of[of], &key, NULL), 0);
}

static struct key name_of(const struct item *it)
{
	const unsigned char kind = (unsigned char)(it->kind + 1);
	struct key k = { 0 };

	key_add(&k, &kind, 1);
	key_add(&k, it->id, strlen(it->id) + 1);
	if (it->ref != NULL)
		key_add(&k, it->ref, strlen(it->ref) + 1);
	return k;
}

static struct key log_of(uint64_t revision)
{
	struct key k = { .n = 8 };
	unsigned i;

	for (i = 0; i < 8; i++)
		k.b[i] = (unsigned char)(revision >> (56 - 8 * i));
	return k;
}

static struct key text(const char *s, size_t n)
{
	struct key k = { .n = n };

	memcpy(k.b, s, n);
	return k;
}

/* The record as it stands, to be changed and put back. */
static size_t read_record(const struct inside *in, const struct item *it, char out[512])
{
	struct key k = name_of(it);
	MDB_val key = key_val(&k);
	MDB_val v;

	assert_int_equal(mdb_get(in->txn, in->of[EVENTS], &key, &v), 0);
	assert_true(v.mv_size <= 512);
	memcpy(out, v.mv_data, v.mv_size);
	return v.mv_size;
}

static void write_record(const struct inside *in, const struct item *it, const char *p, size_t n)
{
	const struct key k = name_of(it);

	put(in, EVENTS, &k, p, n);
}

/* --- the log --- */

static void log_lacks_one(const struct inside *in)
{
	const struct key k = log_of(1);

	take(in, LOG, &k);
}

static void log_leads_elsewhere(const struct inside *in)
{
	const struct key at = log_of(1);
	const struct key other = name_of(&items[2]);

	put(in, LOG, &at, other.b, other.n);
}

static void log_has_one_more(const struct inside *in)
{
	const struct key at = log_of(3000);
	const struct key a = name_of(&items[0]);

	put(in, LOG, &at, a.b, a.n);
}

static void log_leads_nowhere(const struct inside *in)
{
	const struct key at = log_of(3000);

	put(in, LOG, &at, "nowhere", 7);
}

static void log_has_a_short_key(const struct inside *in)
{
	const struct key at = text("\0\0\0\0\0\0\7", 7);
	const struct key a = name_of(&items[0]);

	put(in, LOG, &at, a.b, a.n);
}

/* --- the records --- */

static void a_record_is_cut(const struct inside *in)
{
	char b[512];

	(void)read_record(in, &items[0], b);
	write_record(in, &items[0], b, 63);
}

static void a_record_lacks_its_end(const struct inside *in)
{
	char b[512];
	size_t n = read_record(in, &items[2], b);

	write_record(in, &items[2], b, n - 1);
}

static void a_record_is_of_no_kind(const struct inside *in)
{
	char b[512];
	size_t n = read_record(in, &items[0], b);

	b[57] = KIND__COUNT; /* behind check, revision, time, four lengths and the hash */
	write_record(in, &items[0], b, n);
}

static void a_payload_is_another(const struct inside *in)
{
	char b[512];
	size_t n = read_record(in, &items[0], b);

	b[n - 1] ^= 1;
	write_record(in, &items[0], b, n);
}

static void a_length_overflows(const struct inside *in)
{
	char b[512];
	size_t n = read_record(in, &items[0], b);

	memset(b + 24, 0xff, 16); /* 4 * 4 GiB: the sum must not come out as what is there */
	write_record(in, &items[0], b, n);
}

static void a_record_is_gone(const struct inside *in)
{
	const struct key name = name_of(&items[0]);
	const struct key at = log_of(1);

	take(in, EVENTS, &name);
	take(in, LOG, &at);
}

/* --- children --- */

static void refs_lack_one(const struct inside *in)
{
	assert_int_equal(mdb_drop(in->txn, in->of[REFS], 0), 0);
}

static void refs_lead_nowhere(const struct inside *in)
{
	const struct key k = text("a\0nowhere", 9);

	put(in, REFS, &k, "", 0);
}

static void a_ref_has_no_end(const struct inside *in)
{
	const struct key k = text("abc", 3);

	put(in, REFS, &k, "", 0);
}

static void a_tombstone_is_a_child(const struct inside *in)
{
	const struct key name = name_of(&items[3]);
	struct key k = text("a", 2);

	key_add(&k, name.b, name.n);
	put(in, REFS, &k, "", 0);
}

/* --- lookups --- */

static void lookups_are_gone(const struct inside *in)
{
	assert_int_equal(mdb_drop(in->txn, in->of[LOOKUPS], 0), 0);
}

static void a_lookup_is_cut(const struct inside *in)
{
	const struct key k = text("K0123456789abcdef", 17);

	put(in, LOOKUPS, &k, "", 0);
}

static void one_record_has_a_lookup_more(const struct inside *in)
{
	const struct key a = name_of(&items[0]);
	struct key k = text("K0123456789abcdef", 17);

	memcpy(k.b + k.n, a.b, a.n);
	k.n += a.n;
	put(in, LOOKUPS, &k, "", 0);
}

/* --- the position --- */

static void set_position(const struct inside *in, const struct position *p)
{
	const struct key k = text("position", 8);

	put(in, META, &k, p, sizeof(*p));
}

static struct position here;

static void look(void)
{
	struct store_view *v = NULL;

	assert_int_equal(store_view_open(st, &v, NULL), 0);
	store_view_position(v, &here);
	store_view_close(&v);
}

static void the_digest_is_another(const struct inside *in)
{
	struct position p = here;

	memset(&p.digest, 7, sizeof(p.digest));
	set_position(in, &p);
}

static void the_revision_is_behind_the_records(const struct inside *in)
{
	struct position p = here;

	p.revision = 3;
	set_position(in, &p);
}

static void whatever_does_not_agree_is_damage(void **state)
{
	static const struct {
		change_fn *fn;
		const char *says;
	} rows[] = {
		{ log_lacks_one, "the log does not know a record" },
		{ log_leads_elsewhere, "the log does not know a record" },
		{ log_has_one_more, "an index is not that of the records" },
		{ log_leads_nowhere, "an index is not that of the records" },
		{ log_has_a_short_key, "an index is not that of the records" },
		{ a_record_is_cut, "63 bytes that are no record" },
		{ a_record_lacks_its_end, "bytes that are no record" },
		{ a_record_is_of_no_kind, "bytes that are no record" },
		{ a_payload_is_another, "a record fails its checksum" },
		{ a_length_overflows, "bytes that are no record" },
		{ a_record_is_gone, "the digest is not that of the records" },
		{ refs_lack_one, "an index is not that of the records" },
		{ refs_lead_nowhere, "an index is not that of the records" },
		{ a_ref_has_no_end, "an index is not that of the records" },
		{ a_tombstone_is_a_child, "an index is not that of the records" },
		{ lookups_are_gone, "no lookup leads to a record" },
		{ a_lookup_is_cut, "an index is not that of the records" },
		{ one_record_has_a_lookup_more, "an index is not that of the records" },
		{ the_digest_is_another, "the digest is not that of the records" },
		{ the_revision_is_behind_the_records, "the digest is not that of the records" },
	};
	char aside[200];
	struct err e;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		e = (struct err){ 0 };
		look();
		assert_int_equal(store_verify(st, &e), 0);
		store_close(&st);
		change(rows[i].fn);
		reopen(aside);
		if (store_verify(st, &e) != ERR_DAMAGED || strstr(e.text, rows[i].says) == NULL)
			fail_msg("row %zu: `%s`, not `%s`", i, e.text, rows[i].says);
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
	}
}

/* --- what stands beside the position --- */

static void position_is_of_another_size(const struct inside *in)
{
	const struct key k = text("position", 8);

	put(in, META, &k, "short", 5);
}

static void lineage_has_no_end(const struct inside *in)
{
	struct position p = here;

	memset(p.lineage, 'l', sizeof(p.lineage));
	set_position(in, &p);
}

static void token_has_no_end(const struct inside *in)
{
	struct position p = here;

	memset(p.token, 't', sizeof(p.token));
	set_position(in, &p);
}

static void a_position_that_is_none_sets_the_store_aside(void **state)
{
	static change_fn *const rows[] = { position_is_of_another_size, lineage_has_no_end,
					   token_has_no_end };
	char aside[200];
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		look();
		store_close(&st);
		change(rows[i]);
		reopen(aside);
		assert_string_not_equal(aside, "");
		look();
		assert_string_equal(here.lineage, ""); /* it starts anew */
		assert_int_equal(store_verify(st, NULL), 0);
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
	}
}

static void history_and_ahead_are_of_another_size(const struct inside *in)
{
	const struct key history = text("history", 7);
	const struct key ahead = text("ahead", 5);

	put(in, META, &history, "1", 1);
	put(in, META, &ahead, "1", 1);
}

/* They only spare work: without them the store still serves what it holds. */
static void what_is_no_history_is_not_taken_for_one(void **state)
{
	char aside[200];
	struct store_ahead a;

	UNUSED(state);
	store_close(&st);
	change(history_and_ahead_are_of_another_size);
	reopen(aside);
	assert_string_equal(aside, "");
	look();
	assert_int_equal(here.revision, 4);
	store_ahead(st, &a);
	assert_string_equal(a.token, "");
	assert_int_equal(store_verify(st, NULL), 0);
}

static void ahead_has_no_end(const struct inside *in)
{
	const struct key k = text("ahead", 5);
	struct store_ahead a = { .revision = 4 };

	memset(a.token, 't', sizeof(a.token));
	put(in, META, &k, &a, sizeof(a));
}

static void a_token_without_an_end_is_cut(void **state)
{
	char aside[200];
	struct store_ahead a;

	UNUSED(state);
	store_close(&st);
	change(ahead_has_no_end);
	reopen(aside);
	store_ahead(st, &a);
	assert_int_equal(strnlen(a.token, sizeof(a.token)), sizeof(a.token) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whatever_does_not_agree_is_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(a_position_that_is_none_sets_the_store_aside, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_no_history_is_not_taken_for_one, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_token_without_an_end_is_cut, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
