/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "test/unit/store_kit.h"
#include "workers/cache/local/words.h"
#include "workers/fetcher/publish/local_page.h"

#define MAP_BYTES   (64ULL << 20)
#define SMALL_BYTES (1ULL << 20)

static char *dir;
static struct store *st;
static struct known known;
static struct {
	struct position after;
	uint64_t effective; /* revisions it took */
	bool left;	    /* children not yet withdrawn */
} last;

static void reopen(uint64_t map_bytes)
{
	char aside[200];
	struct err e = { 0 };

	store_close(&st);
	if (store_open(&st, dir, map_bytes, aside, &e) < 0)
		fail_msg("open: %s", e.text);
	assert_string_equal(aside, "");
}

static int setup(void **state)
{
	UNUSED(state);
	dir = store_kit_make();
	reopen(MAP_BYTES);
	return 0;
}

static int teardown(void **state)
{
	UNUSED(state);
	store_close(&st);
	known_reset(&known);
	store_kit_remove(&dir);
	return 0;
}

/* --- what a publisher knows --- */

static int learn_one(void *arg, const struct store_entry *x)
{
	char *id = mem_dup(x->id, x->id_len);
	char *ref = x->ref_len == 0 ? NULL : mem_dup(x->ref, x->ref_len);
	char *version = mem_dup(x->version, x->version_len);
	char *name;
	struct known_entry *e;

	name = event_name(x->kind, id, ref);
	e = known_put(&known, name, x->kind, ref);
	if (x->action == ACTION_DEPLOY)
		known_set(&known, e, &x->hash, version);
	else
		known_withdraw(&known, e, version);
	known_learn(&known, e, &x->hash, x->revision);
	*(uint64_t *)arg = x->revision;
	mem_free(name);
	mem_free(version);
	mem_free(ref);
	mem_free(id);
	return 0;
}

/* As a fetcher that comes back does; what is damaged is passed over. */
static void learn(void)
{
	struct store_view *v = NULL;
	struct position p;
	uint64_t at = 0;

	known_reset(&known);
	store_position(st, &p);
	str_copy(known.lineage, sizeof(known.lineage), p.lineage);
	assert_int_equal(store_view_open(st, &v, NULL), 0);
	while (store_since(v, at, learn_one, &at) == ERR_DAMAGED)
		at = store_next_revision(v, at);
	store_view_close(&v);
	known.revision = p.revision;
}

/* --- words of a publisher --- */

enum publish_what {
	PUBLISH_PUT,
	PUBLISH_FORCE,
	PUBLISH_WITHDRAW,
	PUBLISH_KEEP,
	PUBLISH_CHILDREN,
	PUBLISH_PURGE,
	PUBLISH_META
};

struct publish_op {
	enum publish_what what;
	enum kind kind;
	const char *id, *ref, *version, *payload;
	uint64_t number;
	const char *field, *value;
};

static struct publish_op op(enum publish_what what, enum kind k, const char *id, const char *ref)
{
	return (struct publish_op){ .what = what, .kind = k, .id = id, .ref = ref, .version = "" };
}

static struct publish_op put_op(enum kind k, const char *id, const char *ref, const char *payload,
				const char *version)
{
	struct publish_op o = op(PUBLISH_PUT, k, id, ref);

	o.payload = payload;
	o.version = version;
	return o;
}

static struct publish_op forced(struct publish_op o)
{
	o.what = PUBLISH_FORCE;
	return o;
}

static struct publish_op withdraw_op(enum kind k, const char *id, const char *ref,
				     const char *version)
{
	struct publish_op o = op(PUBLISH_WITHDRAW, k, id, ref);

	o.version = version;
	return o;
}

static struct publish_op purge_op(enum kind k, const char *id, uint64_t revision)
{
	struct publish_op o = op(PUBLISH_PURGE, k, id, NULL);

	o.number = revision;
	return o;
}

static struct publish_op children_op(const char *ref, uint64_t n)
{
	struct publish_op o = op(PUBLISH_CHILDREN, KIND_API, "", ref);

	o.number = n;
	return o;
}

static struct publish_op meta_op(const char *field, const char *value)
{
	struct publish_op o = op(PUBLISH_META, KIND_API, "", NULL);

	o.field = field;
	o.value = value;
	return o;
}

static void put_word(struct zone_page *p, const struct publish_op *o, struct known_entry *e,
		     struct event *ev)
{
	struct hash h;

	ev->action = ACTION_DEPLOY;
	buf_adds(&ev->payload, o->payload);
	event_hash(&h, ev);
	if (o->what == PUBLISH_PUT && known_is_newer(e, o->version))
		return;
	known_set(&known, e, &h, o->version);
	page_deploy(p, &known, ev, &h, o->what == PUBLISH_FORCE);
}

static void withdraw_word(struct zone_page *p, const struct publish_op *o, struct known_entry *e,
			  struct event *ev)
{
	ev->action = ACTION_UNDEPLOY;
	if (!known_live(e) && (o->version[0] == '\0' || known_version_is(e, o->version) ||
			       known_is_newer(e, o->version)))
		return;
	known_withdraw(&known, e, o->version);
	page_withdraw(p, &known, ev, false);
}

/* As the fetcher does: what is older than what is known is not said. */
static void say(struct zone_page *p, const struct publish_op *o)
{
	struct event ev = { .kind = o->kind };
	char *name;
	struct known_entry *e;

	ev.id = mem_strdup(o->id);
	ev.ref_id = mem_strdup(o->ref);
	ev.version = mem_strdup(o->version);
	name = event_name(o->kind, o->id, o->ref);
	e = known_get(&known, name);
	if (e == NULL && o->what <= PUBLISH_WITHDRAW)
		e = known_put(&known, name, o->kind, o->ref);
	if (o->what == PUBLISH_PUT || o->what == PUBLISH_FORCE) {
		put_word(p, o, e, &ev);
	} else if (o->what == PUBLISH_WITHDRAW) {
		withdraw_word(p, o, e, &ev);
	} else if (o->what == PUBLISH_KEEP) {
		page_keep(p, &known, name);
	} else if (o->what == PUBLISH_PURGE) {
		page_purge(p, &known, name, o->number);
	} else if (o->what == PUBLISH_META) {
		page_field(p, PAGE_META, o->field, o->value);
	} else {
		p->most = o->number;
		known_withdraw_children(&known, o->ref);
		last.left = !page_children(p, &known, o->ref);
	}
	mem_free(name);
	event_reset(&ev);
}

/* In the words of local.proto to the cache, and by it into the store. Uses up the page. */
static int send_page(enum store_target t, struct zone_page *p, struct err *e)
{
	struct keeper_job *job;
	struct buf wire = { 0 };
	Local__Request *r;
	int rc = 0;

	page_close(p, &known);
	last.effective = p->revision - p->base;
	local_page_pack(&wire, p);
	page_drop(p);
	r = local__request__unpack(NULL, wire.len, (const uint8_t *)wire.data);
	buf_reset(&wire);
	job = words_job(r);
	assert_non_null(job);
	str_copy(job->batch.position.token, sizeof(job->batch.position.token), "0:t");
	if (job->begin_next)
		rc = store_next_begin(st, e);
	if (rc == 0)
		rc = store_apply(st, t, &job->batch, &last.after, e);
	if (rc == 0 && job->end_next)
		rc = store_switch(st, e);
	if (rc == 0 && job->end_next)
		store_adopt(st);
	keeper_job_free(job);
	return rc;
}

/* A page that was not taken: what is known is learned anew. */
static int publish_to(enum store_target t, const struct publish_op *ops, size_t n, struct err *e)
{
	struct zone_page p;
	size_t i;
	int rc;

	page_begin(&p, &known, PAGE_RECORDS, 99);
	for (i = 0; i < n; i++)
		say(&p, &ops[i]);
	rc = send_page(t, &p, e);
	if (rc < 0)
		learn();
	return rc;
}

static void to(enum store_target t, const struct publish_op *ops, size_t n)
{
	struct err e = { 0 };

	if (publish_to(t, ops, n, &e) < 0)
		fail_msg("publish: %s", e.text);
}

static void publish(struct publish_op o)
{
	to(STORE_CURRENT, &o, 1);
}

static void refill(struct publish_op o)
{
	to(STORE_NEXT, &o, 1);
}

static void begin_refill(void)
{
	struct zone_page p;
	struct err e = { 0 };

	page_begin(&p, &known, PAGE_RECORDS, 99);
	page_refill_begin(&p, &known, "new");
	if (send_page(STORE_NEXT, &p, &e) < 0)
		fail_msg("begin: %s", e.text);
}

static void end_refill(void)
{
	struct zone_page p;
	struct err e = { 0 };

	page_begin(&p, &known, PAGE_RECORDS, 99);
	page_refill_end(&p, false);
	if (send_page(STORE_NEXT, &p, &e) < 0)
		fail_msg("switch: %s", e.text);
}

/* --- what stands there --- */

static int show(void *arg, const struct store_entry *x)
{
	struct buf *b = arg;

	buf_printf(b, "%c %.*s %.*s r%" PRIu64 " v%.*s %.*s|", x->action, (int)x->id_len, x->id,
		   (int)x->ref_len, x->ref, x->revision, (int)x->version_len, x->version,
		   (int)MIN(x->payload_len, 20), x->payload);
	return 0;
}

/* All of it in the order of revisions; and the store agrees with itself. */
static void expect(const char *want)
{
	struct store_view *v = NULL;
	struct position in_view;
	struct position p;
	struct buf b = { 0 };
	struct err e = { 0 };

	assert_int_equal(store_view_open(st, &v, &e), 0);
	assert_int_equal(store_since(v, 0, show, &b), 0);
	store_view_position(v, &in_view);
	assert_true(store_history_start(v) <= in_view.revision);
	store_view_close(&v);
	assert_string_equal(buf_cstr(&b), want);
	buf_reset(&b);
	if (store_verify(st, &e) < 0)
		fail_msg("verify: %s", e.text);
	store_position(st, &p);
	assert_int_equal(in_view.revision, p.revision);
	assert_true(digest_equal(&in_view.digest, &p.digest));
}

static size_t found_by_key(const char *ref, const char *key)
{
	struct store_view *v = NULL;
	struct lookup l;
	struct buf b = { 0 };
	size_t n = 0;
	const char *p;

	lookup_make(&l, LOOKUP_KEY, ref, key);
	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(store_lookup(v, &l, show, &b), 0);
	store_view_close(&v);
	for (p = buf_cstr(&b); (p = strchr(p, '|')) != NULL; p++)
		n++;
	buf_reset(&b);
	return n;
}

static uint64_t history(void)
{
	struct store_view *v = NULL;
	uint64_t h;

	assert_int_equal(store_view_open(st, &v, NULL), 0);
	h = store_history_start(v);
	store_view_close(&v);
	return h;
}

/* --- puts --- */

static void a_put_takes_a_revision_only_when_it_changes_something(void **state)
{
	UNUSED(state);
	publish(put_op(KIND_API, "a", NULL, "one", "5"));
	assert_int_equal(last.effective, 1);
	assert_int_equal(last.after.digest.count, 1);
	assert_string_equal(last.after.token, "0:t");
	publish(put_op(KIND_API, "a", NULL, "one", "5"));
	assert_int_equal(last.effective, 0);
	expect("D a  r1 v5 one|");
	publish(put_op(KIND_API, "a", NULL, "one", "6")); /* equal, of a newer version */
	assert_int_equal(last.effective, 0);
	expect("D a  r1 v6 one|");
	publish(put_op(KIND_API, "a", NULL, "two", "7"));
	assert_int_equal(last.effective, 1);
	expect("D a  r2 v7 two|");
	reopen(MAP_BYTES);
	expect("D a  r2 v7 two|");
}

static void an_older_version_does_not_replace_a_newer_one_unless_it_is_forced(void **state)
{
	UNUSED(state);
	publish(put_op(KIND_API, "a", NULL, "new", "10"));
	publish(put_op(KIND_API, "a", NULL, "old", "9"));
	publish(put_op(KIND_API, "a", NULL, "new", "9"));
	expect("D a  r1 v10 new|");
	publish(forced(put_op(KIND_API, "a", NULL, "old", "9")));
	expect("D a  r2 v9 old|");
	publish(forced(put_op(KIND_API, "a", NULL, "old", "9"))); /* and counts as a write */
	assert_int_equal(last.effective, 1);
	expect("D a  r3 v9 old|");
	/* Versions of files only differ. */
	publish(put_op(KIND_API, "a", NULL, "file", "xff"));
	publish(put_op(KIND_API, "a", NULL, "other", "x11"));
	expect("D a  r5 vx11 other|");
}

/* --- withdrawals --- */

static void a_withdrawal_leaves_a_tombstone(void **state)
{
	UNUSED(state);
	publish(put_op(KIND_API, "a", NULL, "one", "1"));
	publish(put_op(KIND_API, "a", NULL, "two", "2"));
	publish(withdraw_op(KIND_API, "a", NULL, ""));
	assert_int_equal(last.after.digest.count, 0);
	expect("U a  r3 v |");
	publish(withdraw_op(KIND_API, "a", NULL, "")); /* once is enough */
	publish(withdraw_op(KIND_API, "never", NULL, ""));
	assert_int_equal(last.effective, 0);
	expect("U a  r3 v |");
	publish(put_op(KIND_API, "a", NULL, "two", "2"));
	expect("D a  r4 v2 two|");
}

static void a_deploy_must_be_above_what_withdrew_it(void **state)
{
	UNUSED(state);
	publish(put_op(KIND_API, "a", NULL, "one", "1"));
	publish(withdraw_op(KIND_API, "a", NULL, "5"));
	expect("U a  r2 v5 |");
	publish(put_op(KIND_API, "a", NULL, "old", "4"));
	publish(put_op(KIND_API, "a", NULL, "old", "5"));
	assert_int_equal(last.effective, 0);
	publish(withdraw_op(KIND_API, "a", NULL, "7")); /* something newer says so too */
	publish(withdraw_op(KIND_API, "a", NULL, "6"));
	publish(withdraw_op(KIND_API, "a", NULL, ""));
	assert_int_equal(last.effective, 0);
	expect("U a  r2 v7 |");
	publish(put_op(KIND_API, "a", NULL, "new", "8"));
	expect("D a  r3 v8 new|");
	publish(withdraw_op(KIND_API, "a", NULL, "9"));
	publish(forced(put_op(KIND_API, "a", NULL, "repair", "2")));
	expect("D a  r5 v2 repair|");
	publish(withdraw_op(KIND_API, "a", NULL, VERSION_ABSENT));
	publish(put_op(KIND_API, "a", NULL, "again", "2"));
	expect("D a  r7 v2 again|");
}

static void what_went_with_its_reference_comes_back_as_it_was(void **state)
{
	UNUSED(state);
	publish(put_op(KIND_API, "a", NULL, "api", "1"));
	publish(put_op(KIND_SUBSCRIPTION, "s", "a", "sub", "1"));
	publish(children_op("a", 2));
	publish(withdraw_op(KIND_API, "a", NULL, "5"));
	publish(put_op(KIND_API, "a", NULL, "api", "6"));
	publish(put_op(KIND_SUBSCRIPTION, "s", "a", "sub", "1"));
	assert_int_equal(last.effective, 1);
	assert_int_equal(last.after.digest.count, 2);
}

static void children_go_in_pages_and_those_of_others_stay(void **state)
{
	char id[8];
	size_t i;

	UNUSED(state);
	publish(put_op(KIND_API, "a", NULL, "api", "1"));
	for (i = 0; i < 5; i++) {
		(void)snprintf(id, sizeof(id), "s%zu", i);
		publish(put_op(KIND_SUBSCRIPTION, id, "a", "sub", "1"));
		publish(put_op(KIND_SUBSCRIPTION, id, "ab", "sub", "1"));
	}
	publish(children_op("a", 2));
	assert_true(last.left);
	assert_int_equal(last.effective, 2);
	publish(children_op("a", 2));
	assert_true(last.left);
	publish(children_op("a", 2));
	assert_false(last.left);
	assert_int_equal(last.effective, 1);
	publish(children_op("a", 2));
	assert_false(last.left);
	assert_int_equal(last.effective, 0);
	assert_int_equal(last.after.digest.count, 6);
	publish(children_op("ab", 5)); /* a page that is just full is the last one */
	assert_false(last.left);
	expect("D a  r1 v1 api|U s4 a r12 v |U s3 a r13 v |U s2 a r14 v |U s1 a r15 v |"
	       "U s0 a r16 v |U s4 ab r17 v |U s3 ab r18 v |U s2 ab r19 v |U s1 ab r20 v |"
	       "U s0 ab r21 v |");
}

static void a_key_is_found_by_its_value_while_it_lives(void **state)
{
	const char *old = "{\"key\":\"K1\",\"api\":\"a\"}";
	const char *new = "{\"key\":\"K2\",\"api\":\"a\"}";

	UNUSED(state);
	publish(put_op(KIND_API_KEY, "k", "a", old, "1"));
	assert_int_equal(found_by_key("a", "K1"), 1);
	publish(put_op(KIND_API_KEY, "k", "a", old, "2"));
	assert_int_equal(found_by_key("a", "K1"), 1);
	publish(put_op(KIND_API_KEY, "k", "a", new, "3"));
	assert_int_equal(found_by_key("a", "K1"), 0);
	assert_int_equal(found_by_key("a", "K2"), 1);
	begin_refill();
	refill(op(PUBLISH_KEEP, KIND_API_KEY, "k", "a"));
	end_refill();
	assert_int_equal(found_by_key("a", "K2"), 1);
	publish(children_op("a", 10));
	assert_int_equal(found_by_key("a", "K2"), 0);
	expect("U k a r4 v |");
}

/* --- tombstones are forgotten --- */

static void only_the_tombstone_that_is_named_sets_the_horizon(void **state)
{
	UNUSED(state);
	publish(put_op(KIND_API, "a", NULL, "one", "1"));
	publish(put_op(KIND_API, "b", NULL, "one", "1"));
	publish(withdraw_op(KIND_API, "a", NULL, ""));
	publish(purge_op(KIND_API, "a", 1)); /* not of that revision */
	publish(purge_op(KIND_API, "b", 2)); /* it lives */
	publish(purge_op(KIND_API, "c", 1000000));
	assert_int_equal(history(), 0);
	expect("D b  r2 v1 one|U a  r3 v |");
	publish(purge_op(KIND_API, "a", 3));
	assert_int_equal(history(), 3);
	expect("D b  r2 v1 one|");
	reopen(MAP_BYTES);
	assert_int_equal(history(), 3);
}

/* --- a refill --- */

static void a_refill_serves_when_it_is_complete_and_keeps_what_could_not_be_read(void **state)
{
	UNUSED(state);
	publish(put_op(KIND_API, "a", NULL, "a", "1"));
	publish(put_op(KIND_API, "b", NULL, "b", "1"));
	publish(put_op(KIND_SUBSCRIPTION, "s", "b", "s", "1"));
	publish(put_op(KIND_API, "gone", NULL, "gone", "1"));
	publish(meta_op("mapping", "m1"));
	begin_refill();
	refill(forced(put_op(KIND_API, "a", NULL, "a2", "2")));
	refill(op(PUBLISH_KEEP, KIND_API, "a", NULL)); /* written anew: not as it was */
	refill(op(PUBLISH_KEEP, KIND_API, "b", NULL));
	refill(op(PUBLISH_KEEP, KIND_SUBSCRIPTION, "s", "b"));
	refill(op(PUBLISH_KEEP, KIND_API, "nobody", NULL));
	expect("D a  r1 v1 a|D b  r2 v1 b|D s b r3 v1 s|D gone  r4 v1 gone|");
	end_refill();
	assert_string_equal(last.after.lineage, "new");
	expect("D a  r5 v2 a2|D b  r6 v1 b|D s b r7 v1 s|");
	reopen(MAP_BYTES);
	expect("D a  r5 v2 a2|D b  r6 v1 b|D s b r7 v1 s|");
	publish(children_op("b", 10)); /* a kept child hangs on its reference */
	assert_int_equal(last.effective, 1);
}

/* The fetcher keeps every name it did not write, those it withdrew among them. */
static void what_a_refill_withdraws_is_not_kept(void **state)
{
	UNUSED(state);
	publish(put_op(KIND_API, "a", NULL, "a", "1"));
	publish(put_op(KIND_API_KEY, "revoked", "a", "{\"key\":\"K\",\"api\":\"a\"}", "1"));
	publish(put_op(KIND_API, "dead", NULL, "d", "1"));
	publish(withdraw_op(KIND_API, "dead", NULL, ""));
	begin_refill();
	refill(withdraw_op(KIND_API_KEY, "revoked", "a", ""));
	refill(op(PUBLISH_KEEP, KIND_API, "a", NULL));
	refill(op(PUBLISH_KEEP, KIND_API_KEY, "revoked", "a"));
	refill(withdraw_op(KIND_API, "dead", NULL, ""));
	end_refill();
	expect("U revoked a r5 v |D a  r6 v1 a|");
	assert_int_equal(found_by_key("a", "K"), 0);
}

static void a_refill_takes_no_horizon_of_the_history_before_it(void **state)
{
	size_t i;

	UNUSED(state);
	for (i = 0; i < 20; i++)
		publish(forced(put_op(KIND_API, "a", NULL, "a", "1")));
	publish(withdraw_op(KIND_API, "a", NULL, ""));
	begin_refill();
	refill(op(PUBLISH_KEEP, KIND_API, "a", NULL));
	refill(purge_op(KIND_API, "a", 21)); /* it has another revision by now */
	end_refill();
	assert_int_equal(history(), 21); /* where that of the refill begins */
	expect("U a  r22 v |");
}

static void a_refill_begun_again_holds_nothing_of_the_first_try(void **state)
{
	UNUSED(state);
	publish(put_op(KIND_API, "a", NULL, "a", "1"));
	begin_refill();
	refill(put_op(KIND_API, "half", NULL, "h", "1"));
	begin_refill();
	refill(put_op(KIND_API, "whole", NULL, "w", "1"));
	end_refill();
	expect("D whole  r3 v1 w|");
}

/* --- fields --- */

static int show_field(void *arg, const char *field, const char *value)
{
	buf_printf(arg, "%s=%s|", field, value);
	return 0;
}

static void expect_fields(const char *want)
{
	struct store_view *v = NULL;
	struct buf b = { 0 };

	assert_int_equal(store_view_open(st, &v, NULL), 0);
	assert_int_equal(store_meta(v, show_field, &b), 0);
	store_view_close(&v);
	assert_string_equal(buf_cstr(&b), want);
	buf_reset(&b);
}

static void fields_stand_beside_what_they_cover(void **state)
{
	const struct publish_op both[] = { put_op(KIND_API, "a", NULL, "a", "1"),
					   meta_op("apis", "1,a"),
					   meta_op("position", "nonsense") };

	UNUSED(state);
	expect_fields("");
	to(STORE_CURRENT, both, ARRAY_LEN(both));
	publish(meta_op("apis", "2,a"));
	publish(meta_op("empty", ""));
	expect_fields("apis=2,a|empty=|position=nonsense|");
	reopen(MAP_BYTES); /* the store's own field of that name is another */
	expect_fields("apis=2,a|empty=|position=nonsense|");
	expect("D a  r1 v1 a|");
	begin_refill();
	refill(meta_op("apis", "3,a"));
	end_refill();
	expect_fields("apis=3,a|");
}

/* --- whole or not at all --- */

static void a_page_that_does_not_fit_changes_nothing(void **state)
{
	char *big = mem_alloc(2 * SMALL_BYTES);
	struct position before;
	struct position after;
	struct err e = { 0 };
	struct publish_op ops[5];

	UNUSED(state);
	memset(big, 'x', 2 * SMALL_BYTES - 1);
	big[2 * SMALL_BYTES - 1] = '\0';
	reopen(SMALL_BYTES);
	publish(put_op(KIND_API, "a", NULL, "a", "1"));
	publish(put_op(KIND_API, "b", NULL, "b", "1"));
	publish(withdraw_op(KIND_API, "b", NULL, ""));
	store_position(st, &before);
	ops[0] = put_op(KIND_API, "a", NULL, "changed", "2");
	ops[1] = meta_op("apis", "2,a");
	ops[2] = purge_op(KIND_API, "b", 3);
	ops[3] = put_op(KIND_API, "big", NULL, big, "1");
	ops[4] = withdraw_op(KIND_API, "a", NULL, "");
	assert_int_equal(publish_to(STORE_CURRENT, ops, ARRAY_LEN(ops), &e), ERR_FULL);
	store_position(st, &after);
	assert_int_equal(after.revision, before.revision);
	assert_true(digest_equal(&after.digest, &before.digest));
	assert_int_equal(history(), 0);
	expect("D a  r1 v1 a|U b  r3 v |");
	expect_fields("");
	publish(put_op(KIND_API, "a", NULL, "small", "2")); /* and it goes on */
	expect("U b  r3 v |D a  r4 v2 small|");
	mem_free(big);
}

/* Flips a byte behind `text` in the file of a generation. */
static void damage(uint64_t generation, const char *text)
{
	char *path = mem_printf("%s/%" PRIu64 "/data.mdb", dir, generation);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	size_t n = strlen(text);
	off_t size = lseek(fd, 0, SEEK_END);
	char *all = mem_alloc((size_t)size);
	unsigned hits = 0;
	off_t i;

	assert_int_equal(pread(fd, all, (size_t)size, 0), size);
	for (i = 0; i + (off_t)n <= size; i++)
		if (memcmp(all + i, text, n) == 0) {
			assert_int_equal(pwrite(fd, "#", 1, i), 1);
			hits++;
		}
	assert_true(hits > 0);
	(void)close(fd);
	mem_free(all);
	mem_free(path);
}

static void a_damaged_record_refuses_a_page_but_not_the_refill_that_replaces_it(void **state)
{
	struct publish_op o = put_op(KIND_API, "a", NULL, "other", "2");
	struct err e = { 0 };

	UNUSED(state);
	publish(put_op(KIND_API, "a", NULL, "a payload to be found", "1"));
	publish(put_op(KIND_API, "b", NULL, "b", "1"));
	store_close(&st);
	damage(1, "a payload to be found");
	reopen(MAP_BYTES);
	assert_int_equal(publish_to(STORE_CURRENT, &o, 1, &e), ERR_DAMAGED);
	(void)known_put(&known, "API:a", KIND_API, NULL); /* which was learned without it */
	known_learn(&known, known_get(&known, "API:a"), &(struct hash){ { 'D' } }, 1);
	known_set(&known, known_get(&known, "API:a"), &(struct hash){ { 'D' } }, "1");
	o = withdraw_op(KIND_API, "a", NULL, "");
	assert_int_equal(publish_to(STORE_CURRENT, &o, 1, &e), ERR_DAMAGED);
	begin_refill();
	refill(withdraw_op(KIND_API, "a", NULL, ""));
	refill(op(PUBLISH_KEEP, KIND_API, "a", NULL)); /* nothing of it is left to keep */
	refill(op(PUBLISH_KEEP, KIND_API, "b", NULL));
	end_refill();
	expect("D b  r3 v1 b|");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_put_takes_a_revision_only_when_it_changes_something),
		T(an_older_version_does_not_replace_a_newer_one_unless_it_is_forced),
		T(a_withdrawal_leaves_a_tombstone),
		T(a_deploy_must_be_above_what_withdrew_it),
		T(what_went_with_its_reference_comes_back_as_it_was),
		T(children_go_in_pages_and_those_of_others_stay),
		T(a_key_is_found_by_its_value_while_it_lives),
		T(only_the_tombstone_that_is_named_sets_the_horizon),
		T(a_refill_serves_when_it_is_complete_and_keeps_what_could_not_be_read),
		T(what_a_refill_withdraws_is_not_kept),
		T(a_refill_takes_no_horizon_of_the_history_before_it),
		T(a_refill_begun_again_holds_nothing_of_the_first_try),
		T(fields_stand_beside_what_they_cover),
		T(a_page_that_does_not_fit_changes_nothing),
		T(a_damaged_record_refuses_a_page_but_not_the_refill_that_replaces_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
