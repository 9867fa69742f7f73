/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/table.h"
#include "common/zone/follow.h"
#include "common/zone/lease.h"
#include "common/zone/probe.h"
#include "common/zone/zone_end.h"
#include "test/unit/redis_kit.h"

#define NONCE_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NONCE_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define META	"zonesync:{z}:meta"
#define LOG	"zonesync:{z}:log"
#define OLD_LOG "zonesync:{z}:log:old"
#define SUSPECT "zonesync:{z}:suspect"
#define EVENT	"distributed_event:z:"

static struct kit kit;
static struct zone_conn *zone;
static struct writer *pen;
static struct zone_end *desk;
static bool up, downed, replied, progress, over, probed;
static bool troubled;
static struct err why_down, why_over;
static struct lease_reply lease;
static struct written last;
static unsigned done_count, duplicates;
static struct table held; /* name -> hash of what was put last, owned: what a writer knows */
static struct page page;
static int page_rc;
static struct probe seen;

/* --- the zone's hooks --- */

static void on_up(void *arg)
{
	UNUSED(arg);
	up = true;
	if (pen != NULL)
		writer_up(pen);
}

static void on_down(void *arg, const struct err *e)
{
	UNUSED(arg);
	up = false;
	downed = true;
	why_down = *e;
	if (pen != NULL)
		writer_down(pen);
}

static void on_done(void *arg, const struct written *w)
{
	UNUSED(arg);
	assert_int_equal(w->number, last.number + 1); /* in order, each one once */
	last = *w;
	done_count++;
	duplicates += w->duplicate;
	progress = true;
}

static void on_over(void *arg, const struct err *e)
{
	UNUSED(arg);
	over = true;
	progress = true;
	why_over = *e;
}

static void on_trouble(void *arg, const struct err *e)
{
	UNUSED(arg);
	troubled = true;
	progress = true;
	why_over = *e;
}

static void open_zone(const char *user, const char *password)
{
	const struct zone_hooks h = { .up = on_up, .down = on_down };
	struct redis_opts o;

	kit_opts(&kit, &o);
	o.username = user;
	o.password = password;
	up = downed = false;
	assert_int_equal(zone_conn_open(&zone, &kit.loop, &o, "z", &h, NULL), 0);
}

static void begin_pen(const char *token)
{
	const struct writer_hooks h = { .done = on_done, .over = on_over, .trouble = on_trouble };

	if (pen == NULL) {
		struct writer_end end;

		desk = zone_end_create(zone, &pen);
		end = zone_end_of(desk);
		pen = writer_create(&end, &h);
	}
	last = (struct written){ 0 };
	over = false;
	troubled = false;
	writer_begin(pen, token);
	writer_extend(pen, clock_boot_ms() + 600000);
}

static int setup(void **state)
{
	UNUSED(state);
	kit_open(&kit);
	kit_start(&kit, NULL);
	open_zone(NULL, NULL);
	kit_until(&kit, &up);
	done_count = duplicates = 0;
	return 0;
}

static int teardown(void **state)
{
	size_t at = 0;
	void *v;

	UNUSED(state);
	while (table_next(&held, &at, NULL, &v))
		mem_free(v);
	table_reset(&held);
	zone_conn_close(&zone); /* before the writer: its answers must not come any more */
	writer_free(&pen);
	zone_end_free(&desk);
	follow_page_reset(&page);
	kit_close(&kit);
	return 0;
}

/* --- lease --- */

static void on_lease(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct err e = { 0 };

	UNUSED(arg);
	replied = true;
	assert_int_equal(zone_check(zone, r, lost, &e), 0);
	assert_int_equal(lease_parse(r, &lease, &e), 0);
}

static void acquire(const char *nonce, const char *previous, const char *breaking, uint64_t seq)
{
	const struct lease_ask a = { .nonce = nonce,
				     .ttl_ms = 10000,
				     .holder = "node",
				     .break_token = breaking == NULL ? "" : breaking,
				     .break_seq = seq,
				     .previous = &previous,
				     .previous_len = previous == NULL ? 0 : 1 };

	replied = false;
	assert_int_equal(lease_acquire(zone, &a, on_lease, NULL), 0);
	kit_until(&kit, &replied);
}

static void renew(const char *token)
{
	replied = false;
	assert_int_equal(lease_renew(zone, token, 10000, on_lease, NULL), 0);
	kit_until(&kit, &replied);
}

static void release(const char *token)
{
	replied = false;
	assert_int_equal(lease_release(zone, token, on_lease, NULL), 0);
	kit_until(&kit, &replied);
}

static void a_lease_is_won_renewed_and_given_back(void **state)
{
	char token[LEASE_TOKEN_BYTES];

	UNUSED(state);
	acquire(NONCE_A, NULL, NULL, 0);
	assert_int_equal(lease.answer, LEASE_HELD);
	str_copy(token, sizeof(token), lease.token);
	assert_true(str_ends(token, ":" NONCE_A));
	acquire(NONCE_B, NULL, NULL, 0);
	assert_int_equal(lease.answer, LEASE_BUSY);
	assert_string_equal(lease.token, token);
	assert_int_equal(lease.seq, 1);
	assert_true(lease.left_ms > 0 && lease.left_ms <= 10000);
	assert_int_equal(lease.ttl_ms, 10000);
	assert_string_equal(lease.holder, "node");
	acquire(NONCE_A, NULL, NULL, 0); /* the first answer was lost */
	assert_int_equal(lease.answer, LEASE_HELD);
	assert_string_equal(lease.token, token);
	renew(token);
	assert_int_equal(lease.answer, LEASE_HELD);
	assert_string_equal(kit_ask(&kit, "HGET", "zonesync:{z}:lease", "seq", NULL), "3");
	renew("1:other");
	assert_int_equal(lease.answer, LEASE_LOST);
	release("1:other");
	assert_int_equal(lease.answer, LEASE_LOST);
	release(token);
	assert_int_equal(lease.answer, LEASE_FREE);
	renew(token); /* never creates it */
	assert_int_equal(lease.answer, LEASE_LOST);
	assert_string_equal(kit_ask(&kit, "EXISTS", "zonesync:{z}:lease", NULL), "0");
}

static void a_look_at_the_lease_takes_nothing(void **state)
{
	struct lease_ask a = { .nonce = NONCE_A, .holder = "node", .break_token = "" };

	UNUSED(state);
	replied = false;
	assert_int_equal(lease_acquire(zone, &a, on_lease, NULL), 0);
	kit_until(&kit, &replied);
	assert_int_equal(lease.answer, LEASE_FREE);
	assert_string_equal(kit_ask(&kit, "DBSIZE", NULL), "0");
	acquire(NONCE_A, NULL, NULL, 0);
	assert_int_equal(lease.answer, LEASE_HELD);
	replied = false;
	assert_int_equal(lease_acquire(zone, &a, on_lease, NULL), 0); /* though it is our own */
	kit_until(&kit, &replied);
	assert_int_equal(lease.answer, LEASE_BUSY);
	assert_true(lease.left_ms > 0);
}

static void a_lease_is_taken_over_or_broken_by_compare_only(void **state)
{
	char first[LEASE_TOKEN_BYTES];
	char second[LEASE_TOKEN_BYTES];

	UNUSED(state);
	acquire(NONCE_A, NULL, NULL, 0);
	str_copy(first, sizeof(first), lease.token);
	acquire(NONCE_B, "cccccccccccccccccccccccccccccccc", NULL, 0);
	assert_int_equal(lease.answer, LEASE_BUSY);
	acquire(NONCE_B, NULL, first, 2); /* renewed meanwhile: another seq */
	assert_int_equal(lease.answer, LEASE_BUSY);
	acquire(NONCE_B, NULL, "1:x", 1);
	assert_int_equal(lease.answer, LEASE_BUSY);
	acquire(NONCE_B, NULL, first, 1);
	assert_int_equal(lease.answer, LEASE_HELD);
	str_copy(second, sizeof(second), lease.token);
	assert_true(token_epoch(second) > token_epoch(first));
	acquire(NONCE_A, NONCE_B, NULL, 0); /* the same node, after a crash */
	assert_int_equal(lease.answer, LEASE_HELD);
	assert_true(token_epoch(lease.token) > token_epoch(second));
	assert_string_equal(kit_ask(&kit, "LLEN", "zonesync:{z}:epochs", NULL), "3");
	assert_string_equal(kit_ask(&kit, "HGET", META, "batch", NULL), "0");
}

/* --- writing --- */

static void make(struct event *ev, enum action a, const char *id, const char *ref,
		 const char *version)
{
	*ev = (struct event){ .kind = ref == NULL ? KIND_API : KIND_API_KEY,
			      .action = a,
			      .id = mem_strdup(id),
			      .ref_id = mem_strdup(ref),
			      .version = mem_strdup(version) };
}

/* What the writer knows of the name, and knows from now on; the caller's. */
static struct hash *hold_hash(const struct event *ev, const struct hash *h)
{
	struct buf name = { 0 };
	struct hash *old;

	event_name(&name, ev->kind, ev->id, ev->ref_id);
	if (h != NULL)
		old = table_set(&held, buf_cstr(&name), mem_dup(h, sizeof(*h)));
	else
		old = table_del(&held, buf_cstr(&name));
	buf_reset(&name);
	return old;
}

static void put(const char *id, const char *ref, const char *payload, const char *version,
		bool forced)
{
	struct event ev;
	struct hash h;
	struct hash *was;

	make(&ev, ACTION_DEPLOY, id, ref, version);
	buf_adds(&ev.payload, payload);
	event_hash(&h, &ev);
	was = hold_hash(&ev, &h);
	writer_put(pen, &ev, &h, was, forced);
	mem_free(was);
	event_reset(&ev);
}

static void take_back(const char *id, const char *ref, const char *version, bool forced)
{
	struct event ev;
	struct hash *was;

	make(&ev, ACTION_UNDEPLOY, id, ref, version);
	was = hold_hash(&ev, NULL);
	writer_tombstone(pen, &ev, was, forced);
	mem_free(was);
	event_reset(&ev);
}

/* Sends the open batch and waits until all is answered. */
static void flush(void)
{
	writer_flush(pen, NULL);
	while (!writer_idle(pen) && !over) {
		progress = false;
		kit_until(&kit, &progress);
	}
}

static uint64_t written(void)
{
	flush();
	assert_false(over);
	return last.effective;
}

static void hold(const char *nonce)
{
	acquire(nonce, nonce[0] == 'a' ? NONCE_B : NONCE_A, NULL, 0);
	assert_int_equal(lease.answer, LEASE_HELD);
	begin_pen(lease.token);
}

/* A whole first refill: the zone is complete. */
static void found_zone(void)
{
	hold(NONCE_A);
	writer_refill_begin(pen, "l1");
	put("a1", NULL, "one", "10", true);
	put("k1", "a1", "key", "10", true);
	writer_meta(pen, "caught", lease.token);
	writer_refill_end(pen, false);
	assert_int_equal(written(), 2);
}

static void on_page(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct err e = { 0 };

	UNUSED(arg);
	replied = true;
	page_rc = zone_check(zone, r, lost, &e);
	if (page_rc == 0)
		page_rc = follow_parse(r, &page, &e);
}

static void read_page(const struct position *pos, unsigned events)
{
	const struct follow_ask ask = { pos, pos->token, events };

	follow_page_reset(&page);
	replied = false;
	assert_int_equal(follow_read(zone, &ask, on_page, NULL), 0);
	kit_until(&kit, &replied);
	assert_int_equal(page_rc, 0);
}

/* Reads all of the zone; count and digest of what is there must be those of the head. */
static void prove(void)
{
	struct position pos = { 0 };
	struct digest d = { 0 };

	do {
		size_t i;

		read_page(&pos, 3);
		for (i = 0; i < page.len; i++) {
			if (page.events[i].damaged)
				fail_msg("%s is damaged", page.events[i].name);
			digest_add(&d, &page.events[i].hash);
			pos.revision = page.events[i].revision;
		}
	} while (page.len > 0);
	assert_true(digest_equal(&d, &page.head.digest));
	assert_true(pos.revision <= page.head.revision);
}

static void a_write_shows_in_log_references_count_and_digest(void **state)
{
	UNUSED(state);
	found_zone();
	prove();
	assert_int_equal(page.head.revision, 2);
	assert_int_equal(page.head.digest.count, 2);
	assert_int_equal(page.head.complete, ZONE_COMPLETE);
	assert_string_equal(page.head.lineage, "l1");
	assert_string_equal(page.head.caught, page.head.token);
	assert_string_equal(kit_ask(&kit, "ZRANGE", LOG, "0", "-1", "WITHSCORES", NULL),
			    "(API:a1 1 API:a1:API_KEY:k1 2)");
	assert_string_equal(kit_ask(&kit, "SMEMBERS", "zonesync:{z}:refs:API:a1", NULL),
			    "(API:a1:API_KEY:k1)");
	assert_string_equal(kit_ask(&kit, "HMGET", EVENT "API:a1", "payload", "syncAction", "type",
				    "id", "clusterId", "zsRev", "zsVer", NULL),
			    "(one DEPLOY API a1 z 1 10)");
}

static void equal_content_takes_no_revision(void **state)
{
	UNUSED(state);
	found_zone();
	put("a1", NULL, "one", "11", false);
	assert_int_equal(written(), 0);
	assert_string_equal(kit_ask(&kit, "HGET", EVENT "API:a1", "zsVer", NULL), "11");
	/* Equal only if the hash was written at the revision the log names. */
	(void)kit_ask(&kit, "HSET", EVENT "API:a1", "zsRev", "77", NULL);
	put("a1", NULL, "one", "11", false);
	assert_int_equal(written(), 1);
	prove();
}

static void a_lower_version_never_replaces_a_higher_one(void **state)
{
	UNUSED(state);
	found_zone();
	put("a1", NULL, "old", "9", false);
	assert_int_equal(written(), 0);
	put("a1", NULL, "one", "5", false); /* equal, and older: the version stays */
	assert_int_equal(written(), 0);
	assert_string_equal(kit_ask(&kit, "HGET", EVENT "API:a1", "zsVer", NULL), "10");
	put("a1", NULL, "one", "12", false);
	assert_int_equal(written(), 0);
	assert_string_equal(kit_ask(&kit, "HGET", EVENT "API:a1", "zsVer", NULL), "12");
	put("a1", NULL, "older but forced", "9", true);
	assert_int_equal(written(), 1);
	put("a1", NULL, "by digest", "xabc", false); /* files: no order */
	assert_int_equal(written(), 1);
	prove();
}

static void an_undeploy_keeps_the_payload_and_leaves_the_digest(void **state)
{
	UNUSED(state);
	found_zone();
	take_back("k1", "a1", "11", false);
	assert_int_equal(written(), 1);
	prove();
	assert_int_equal(page.head.digest.count, 1);
	assert_string_equal(
		kit_ask(&kit, "HMGET", EVENT "API:a1:API_KEY:k1", "payload", "syncAction", NULL),
		"(key UNDEPLOY)");
	assert_string_equal(kit_ask(&kit, "SCARD", "zonesync:{z}:refs:API:a1", NULL), "0");
	take_back("k1", "a1", "11", false); /* again */
	take_back("unknown", NULL, "11", false);
	assert_int_equal(written(), 0);
	assert_string_equal(kit_ask(&kit, "EXISTS", EVENT "API:unknown", NULL), "0");
	take_back("a1", NULL, "11", false);
	assert_int_equal(written(), 1);
	prove();
	assert_int_equal(page.head.digest.count, 0);
}

static void children_go_in_bounded_steps(void **state)
{
	char id[16];
	unsigned i;

	UNUSED(state);
	found_zone();
	for (i = 0; i < 10; i++) {
		(void)snprintf(id, sizeof(id), "c%u", i);
		put(id, "a1", "key", "1", false);
	}
	assert_int_equal(written(), 10);
	writer_children(pen, "a1", 8);
	assert_int_equal(written(), 8);
	assert_int_equal(last.left, 3);
	writer_children(pen, "a1", 8);
	assert_int_equal(written(), 3);
	assert_int_equal(last.left, 0);
	prove();
	assert_int_equal(page.head.digest.count, 1);
}

static void a_purge_forgets_tombstones_and_moves_the_horizon(void **state)
{
	UNUSED(state);
	found_zone();
	take_back("k1", "a1", "11", false);
	assert_int_equal(written(), 1);
	writer_purge(pen, "API:a1:API_KEY:k1", "a1", 2); /* not of that revision */
	writer_purge(pen, "API:a1", NULL, 1);		 /* lives */
	assert_int_equal(written(), 0);
	prove();
	assert_int_equal(page.head.horizon, 0);
	writer_purge(pen, "API:a1:API_KEY:k1", "a1", 3);
	assert_int_equal(written(), 0);
	prove();
	assert_int_equal(page.head.horizon, 3);
	assert_string_equal(kit_ask(&kit, "EXISTS", EVENT "API:a1:API_KEY:k1", NULL), "0");
}

/* --- damage --- */

/* What may befall an event behind our back. The hash that is read is damaged or not there. */
static const struct damage {
	const char *what;
	const char *command[5];
} damages[] = {
	{ "deleted", { "DEL", EVENT "API:a1" } },
	{ "of a wrong type", { "SET", EVENT "API:a1", "text" } },
	{ "another hash", { "HSET", EVENT "API:a1", "zsHash", "Dsixteen bytes..." } },
	{ "no hash at all", { "HSET", EVENT "API:a1", "zsHash", "short" } },
	{ "the hash is gone", { "HDEL", EVENT "API:a1", "zsHash" } },
	{ "another revision", { "HSET", EVENT "API:a1", "zsRev", "77" } },
	{ "the revision is gone", { "HDEL", EVENT "API:a1", "zsRev" } },
	{ "another payload", { "HSET", EVENT "API:a1", "payload", "other" } },
	{ "another type", { "HSET", EVENT "API:a1", "type", "KEY" } },
	{ "another id", { "HSET", EVENT "API:a1", "id", "a9" } },
	{ "withdrawn by a stranger", { "HSET", EVENT "API:a1", "syncAction", "UNDEPLOY" } },
	{ "no member of the log", { "ZREM", LOG, "API:a1" } },
	{ "another score", { "ZADD", LOG, "77", "API:a1" } },
};

static void do_damage(const struct damage *d)
{
	const char *const *c = d->command;
	const char *out = kit_ask(&kit, c[0], c[1], c[2], c[3], c[4], NULL);

	if (!str_equal(out, "OK") && !str_equal(out, "1") && !str_equal(out, "0"))
		fail_msg("%s: %s", d->what, out);
}

enum { BY_REPAIR, BY_CHANGE, BY_WITHDRAWAL, BY__COUNT };

/* Whatever was done to it, what is written over it leaves count and digest right. */
static void what_is_written_over_damage_is_counted_once(void **state)
{
	unsigned i, by;

	UNUSED(state);
	found_zone();
	for (i = 0; i < ARRAY_LEN(damages); i++)
		for (by = 0; by < BY__COUNT; by++) {
			do_damage(&damages[i]);
			(void)kit_ask(&kit, "SADD", SUSPECT, "API:a1", "other", NULL);
			if (by == BY_REPAIR)
				put("a1", NULL, "one", "10", true);
			else if (by == BY_CHANGE)
				put("a1", NULL, damages[i].what, "11", false);
			else
				take_back("a1", NULL, "12", false);
			assert_int_equal(written(), 1);
			prove();
			assert_int_equal(page.head.digest.count, by == BY_WITHDRAWAL ? 1 : 2);
			/* It leaves the suspects with what mends it. */
			assert_string_equal(kit_ask(&kit, "SMEMBERS", SUSPECT, NULL), "(other)");
			put("a1", NULL, "one", "10", true);
			(void)written();
			prove();
		}
}

static void a_damaged_tombstone_is_mended_whole(void **state)
{
	unsigned i;

	UNUSED(state);
	found_zone();
	for (i = 0; i < ARRAY_LEN(damages); i++) {
		take_back("a1", NULL, "12", true);
		(void)written();
		do_damage(&damages[i]);
		(void)kit_ask(&kit, "SADD", SUSPECT, "API:a1", NULL);
		take_back("a1", NULL, "12", true);
		assert_int_equal(written(), 1);
		prove();
		assert_int_equal(page.head.digest.count, 1);
		assert_string_equal(kit_ask(&kit, "HMGET", EVENT "API:a1", "clusterId", "id",
					    "type", "syncAction", "zsVer", NULL),
				    "(z a1 API UNDEPLOY 12)");
		assert_string_equal(kit_ask(&kit, "EXISTS", SUSPECT, NULL), "0");
	}
	assert_string_equal(kit_ask(&kit, "HGET", META, "horizon", NULL), "0"); /* no resync */
}

/* The share of a child is known only from what stands there: the writer is told to look. */
static void children_whose_share_is_lost_are_told(void **state)
{
	UNUSED(state);
	found_zone();
	put("k2", "a1", "key", "10", false);
	assert_int_equal(written(), 1);
	(void)kit_ask(&kit, "DEL", EVENT "API:a1:API_KEY:k1", NULL);
	writer_children(pen, "a1", 8);
	assert_int_equal(written(), 2);
	assert_int_equal(last.unknown, 1);
	read_page(&(struct position){ 0 }, 10);
	assert_int_equal(page.len, 3);
	assert_false(page.events[1].damaged || page.events[2].damaged);
	assert_int_equal(page.events[1].ev.action, ACTION_UNDEPLOY);
	assert_int_equal(page.head.digest.count, 2);
	writer_sums(pen, &(struct digest){ .count = 1, .lane = { 1, 2, 3, 4 } });
	assert_int_equal(written(), 0);
	read_page(&(struct position){ 0 }, 0);
	assert_int_equal(page.head.digest.count, 1);
	assert_int_equal(page.head.digest.lane[3], 4);
	(void)kit_ask(&kit, "SET", "zonesync:{z}:refs:API:a1", "no set", NULL);
	writer_children(pen, "a1", 8);
	assert_int_equal(written(), 0);
	assert_int_equal(last.unknown, 1);
	(void)kit_ask(&kit, "SET", "zonesync:{z}:refs:API:a1", "no set", NULL);
	put("k3", "a1", "key", "10", false);
	assert_int_equal(written(), 1);
	assert_string_equal(kit_ask(&kit, "SMEMBERS", "zonesync:{z}:refs:API:a1", NULL),
			    "(API:a1:API_KEY:k3)");
}

/* Bytes of the hash that a load learns of a1: other than those of a hash, it is lost. */
static void a_load_learns_what_is_lost(void **state)
{
	static const char *const bytes[ARRAY_LEN(damages)] = { "0",  "0",  "17", "5",  "0",
							       "0",  "0",  "17", "17", "17",
							       "17", "-1", "0" };
	char *lua = mem_printf("local all = (function() %s end)() "
			       "for _, one in ipairs(all) do "
			       "if one[1] == 'API:a1' then return #one[3] end end return -1",
			       script_text[SCRIPT_MANIFEST]);
	unsigned i;

	UNUSED(state);
	found_zone();
	for (i = 0; i < ARRAY_LEN(damages); i++) {
		const char *out;

		do_damage(&damages[i]);
		out = kit_ask(&kit, "EVAL", lua, "1", LOG, "0", "1000", EVENT, NULL);
		if (!str_equal(out, bytes[i]))
			fail_msg("%s: %s", damages[i].what, out);
		put("a1", NULL, "one", "10", true);
		(void)written();
	}
	mem_free(lua);
}

static void on_named(void *arg, const struct redis_reply *r, const struct err *lost)
{
	UNUSED(arg);
	UNUSED(r);
	UNUSED(lost);
	replied = true;
}

static void suspects_are_bounded(void **state)
{
	char text[1200][8];
	const char *names[ARRAY_LEN(text)];
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(text); i++) {
		(void)snprintf(text[i], sizeof(text[i]), "n%u", i / 2); /* each of them twice */
		names[i] = text[i];
	}
	replied = false;
	assert_int_equal(follow_suspect(zone, names, ARRAY_LEN(text), on_named, NULL), 0);
	kit_until(&kit, &replied);
	assert_string_equal(kit_ask(&kit, "SCARD", SUSPECT, NULL), "600");
	for (i = 0; i < ARRAY_LEN(text); i++)
		(void)snprintf(text[i], sizeof(text[i]), "m%u", i);
	replied = false;
	assert_int_equal(follow_suspect(zone, names, ARRAY_LEN(text), on_named, NULL), 0);
	kit_until(&kit, &replied);
	assert_string_equal(kit_ask(&kit, "SCARD", SUSPECT, NULL), "1000");
}

/* --- versions of tombstones --- */

static const char *version_of_k1(void)
{
	return kit_ask(&kit, "HMGET", EVENT "API:a1:API_KEY:k1", "syncAction", "zsVer", NULL);
}

static void a_deploy_must_be_above_what_withdrew_it(void **state)
{
	UNUSED(state);
	found_zone();
	take_back("k1", "a1", "15", false);
	assert_int_equal(written(), 1);
	put("k1", "a1", "old", "14", false);
	put("k1", "a1", "old", "15", false);
	assert_int_equal(written(), 0);
	assert_string_equal(version_of_k1(), "(UNDEPLOY 15)");
	take_back("k1", "a1", "17", false); /* something newer says so too */
	take_back("k1", "a1", "16", false);
	take_back("k1", "a1", "", false);
	assert_int_equal(written(), 0);
	assert_string_equal(version_of_k1(), "(UNDEPLOY 17)");
	put("k1", "a1", "new", "18", false);
	assert_int_equal(written(), 1);
	prove();
	take_back("k1", "a1", "20", false);
	put("k1", "a1", "repair", "5", true);
	assert_int_equal(written(), 2);
	prove();
	take_back("k1", "a1", VERSION_ABSENT, false);
	assert_int_equal(written(), 1);
	assert_string_equal(version_of_k1(), "(UNDEPLOY absent)");
	put("k1", "a1", "there again", "5", false);
	assert_int_equal(written(), 1);
	prove();
}

/* What hangs on an API goes with it, and comes back with it, as old as it is. */
static void what_went_with_its_reference_comes_back_as_it_was(void **state)
{
	UNUSED(state);
	found_zone();
	writer_children(pen, "a1", 8);
	take_back("a1", NULL, "30", false);
	assert_int_equal(written(), 2);
	assert_string_equal(version_of_k1(), "(UNDEPLOY )");
	put("a1", NULL, "one", "31", false);
	put("k1", "a1", "key", "10", false);
	assert_int_equal(written(), 2);
	prove();
	assert_int_equal(page.head.digest.count, 2);
}

/* A reader of the reference looks at a window: the clock is that of whom it asks. */
static void events_have_the_time_of_the_server(void **state)
{
	long long from;
	long long made;

	UNUSED(state);
	hold(NONCE_A);
	writer_refill_begin(pen, "l1");
	put("a1", NULL, "one", "10", true); /* made now, written later */
	from = atoll(
		kit_ask(&kit, "EVAL",
			"local t = redis.call('TIME') return string.format('%.0f', t[1] * 1000 "
			"+ math.floor(t[2] / 1000) + 1)",
			"0", NULL));
	while (clock_wall_ms() <= from)
		(void)usleep(1000);
	writer_sync_state(pen, "node", "1");
	assert_int_equal(written(), 1);
	made = atoll(kit_ask(&kit, "HGET", EVENT "API:a1", "updatedAt", NULL));
	assert_true(made >= from);
	made = atoll(kit_ask(&kit, "HGET", "distributed_sync_state:z", "to", NULL));
	assert_true(made >= from);
}

/* Runs the write script by hand, with the arguments behind the number. */
static const char *write_by_hand(const char *number, const char *a, const char *b, const char *c)
{
	return kit_ask(&kit, "EVAL", script_text[SCRIPT_WRITE], "7", "zonesync:{z}:lease", META,
		       LOG, "zonesync:{z}:cursor", OLD_LOG, "state", SUSPECT, lease.token, number,
		       EVENT, "zonesync:{z}:refs:API:", "wake", "z", "M", "mark", "set", a, b, c,
		       NULL);
}

static void a_malformed_batch_changes_nothing(void **state)
{
	static const char *const bad[][3] = {
		{ "T", "API:a1", "" },	/* a field is missing */
		{ "X", "API:a1", "" },	/* no such operation */
		{ "C", "a1", "many" },	/* no number */
		{ "P", "API:a1", "x" }, /* no number */
		{ "O", "cursor", "v" }, /* whole; the rest is changed below */
	};
	unsigned i;

	UNUSED(state);
	found_zone();
	for (i = 0; i + 1 < ARRAY_LEN(bad); i++) {
		const char *out = write_by_hand("2", bad[i][0], bad[i][1], bad[i][2]);

		assert_non_null(strstr(out, "malformed"));
		assert_string_equal(kit_ask(&kit, "HMGET", META, "mark", "batch", NULL), "(- 1)");
	}
	assert_true(str_starts(write_by_hand("2", bad[i][0], bad[i][1], bad[i][2]), "(OK 2 0 0"));
	assert_true(str_starts(write_by_hand("2", bad[i][0], bad[i][1], bad[i][2]), "(DUP 2"));
	assert_true(str_starts(write_by_hand("4", bad[i][0], bad[i][1], bad[i][2]), "(LOST 2"));
	assert_string_equal(kit_ask(&kit, "HGET", "zonesync:{z}:cursor", "cursor", NULL), "v");
	(void)kit_ask(&kit, "HSET", "zonesync:{z}:lease", "token", "9:x", NULL);
	assert_string_equal(write_by_hand("3", "O", "cursor", "w"), "(FENCED 9:x)");
	assert_string_equal(kit_ask(&kit, "HGET", "zonesync:{z}:cursor", "cursor", NULL), "v");
}

static void a_refill_broken_off_and_begun_again_forgets_nobody(void **state)
{
	UNUSED(state);
	found_zone();
	put("a2", NULL, "two", "1", false);
	put("a3", NULL, "three", "1", false);
	assert_int_equal(written(), 2);
	hold(NONCE_B); /* the first one dies in the middle */
	writer_refill_begin(pen, "l2");
	put("a1", NULL, "one", "10", true);
	assert_int_equal(written(), 1);
	read_page(&(struct position){ 0 }, 0);
	assert_int_equal(page.head.complete, ZONE_FILLING);
	assert_int_equal(follow_judge(&page.head, &(struct position){ 0 }, ""), FOLLOW_WAIT);
	hold(NONCE_A);
	writer_refill_begin(pen, "l3");
	assert_int_equal(written(), 0);
	/* Nobody's score meets another's: who pages through by score sees everyone. */
	assert_string_equal(kit_ask(&kit, "ZRANGE", OLD_LOG, "0", "-1", "WITHSCORES", NULL),
			    "(API:a1:API_KEY:k1 2 API:a2 3 API:a3 4 API:a1 5)");
	put("a1", NULL, "one", "10", true);
	writer_keep(pen, "API:a1:API_KEY:k1", "a1");
	take_back("a2", NULL, "", false);
	take_back("a3", NULL, "", false);
	writer_refill_end(pen, false);
	assert_int_equal(written(), 4);
	prove();
	assert_int_equal(page.head.digest.count, 2);
	assert_int_equal(page.head.complete, ZONE_COMPLETE);
	assert_string_equal(page.head.lineage, "l3");
	assert_string_equal(kit_ask(&kit, "EXISTS", OLD_LOG, NULL), "0");
}

/* --- following --- */

static void pages_end_at_their_events_or_bytes(void **state)
{
	struct position pos = { 0 };
	char *big = mem_zalloc(700001);
	unsigned i;

	UNUSED(state);
	found_zone();
	read_page(&pos, 0);
	assert_int_equal(page.len, 0);
	assert_int_equal(page.head.revision, 2);
	read_page(&pos, 1);
	assert_int_equal(page.len, 1);
	memset(big, 'b', 700000);
	for (i = 0; i < 3; i++) {
		char id[8];

		(void)snprintf(id, sizeof(id), "b%u", i);
		put(id, NULL, big, "1", false);
	}
	flush();
	mem_free(big);
	pos.revision = 2;
	for (i = 0; i < 3; i++) { /* two of them are more than a page */
		read_page(&pos, FOLLOW_PAGE_EVENTS);
		assert_int_equal(page.len, 1);
		pos.revision = page.events[0].revision;
	}
	prove();
}

static void damage_in_redis_is_seen(void **state)
{
	static const char *const fields[][2] = {
		{ "payload", "other" },	      { "type", "KEY" },     { "id", "a9" },
		{ "syncAction", "UNDEPLOY" }, { "zsHash", "short" }, { "zsRev", "9" },
	};
	unsigned i;

	UNUSED(state);
	found_zone();
	for (i = 0; i < ARRAY_LEN(fields); i++) {
		char was[64];

		str_copy(was, sizeof(was),
			 kit_ask(&kit, "HGET", EVENT "API:a1", fields[i][0], NULL));
		if (i == 4) /* binary: not to be put back; the last but one */
			(void)kit_ask(&kit, "COPY", EVENT "API:a1", "kept", NULL);
		(void)kit_ask(&kit, "HSET", EVENT "API:a1", fields[i][0], fields[i][1], NULL);
		read_page(&(struct position){ 0 }, 10);
		assert_int_equal(page.len, 2);
		assert_true(page.events[0].damaged);
		assert_false(page.events[1].damaged);
		if (i == 4)
			(void)kit_ask(&kit, "COPY", "kept", EVENT "API:a1", "REPLACE", NULL);
		else
			(void)kit_ask(&kit, "HSET", EVENT "API:a1", fields[i][0], was, NULL);
	}
	prove();
}

static int parse_wire(const struct redis_reply *r)
{
	struct page p = { 0 };
	int rc = follow_parse(r, &p, NULL);

	if (rc == 0)
		follow_page_reset(&p);
	return rc;
}

static void on_hostile(void *arg, const struct redis_reply *r, const struct err *lost)
{
	UNUSED(arg);
	UNUSED(lost);
	replied = true;
	page_rc = parse_wire(r);
}

static int hostile(const char *lua)
{
	replied = false;
	assert_int_equal(redis_sendv(kit.admin, on_hostile, NULL, "EVAL", lua, "0", NULL), 0);
	kit_until(&kit, &replied);
	return page_rc;
}

static void hostile_answers_are_refused(void **state)
{
#define HEAD	      "{'l','1:a','5','1','1','2','3','4','1','1:a','0','-1','','0','2','','','','-1'}"
#define EV(name, rev) "{" name "," rev ",'a1','API','DEPLOY','1','h','1','5','p'}"
	UNUSED(state);
	assert_int_equal(hostile("return {" HEAD ",{" EV("'API:a1'", "'5'") "}}"), 0);
	assert_int_equal(hostile("return {" HEAD ",{}}"), 0);
	assert_int_equal(hostile("return 7"), ERR_PROTO);
	assert_int_equal(hostile("return {}"), ERR_PROTO);
	assert_int_equal(hostile("return {{},{}}"), ERR_PROTO);
	assert_int_equal(hostile("return redis.error_reply('no')"), ERR_PROTO);
	assert_int_equal(hostile("return {'l',{}}"), ERR_PROTO);
	assert_int_equal(hostile("return {" HEAD ",{7}}"), ERR_PROTO);
	assert_int_equal(hostile("return {" HEAD ",{{}}}"), ERR_PROTO);
	assert_int_equal(hostile("return {" HEAD ",{" EV("'a\\0b'", "'5'") "}}"), ERR_PROTO);
	assert_int_equal(hostile("return {" HEAD ",{" EV("'a'", "'-5'") "}}"), ERR_PROTO);
	assert_int_equal(hostile("return {" HEAD ",{" EV("'a'", "'x'") "}}"), ERR_PROTO);
	assert_int_equal(hostile("return {" HEAD ",{" EV("'a'", "'5'") "," EV("'b'", "'5'") "}}"),
			 ERR_PROTO);
	assert_int_equal(hostile("return {{'l','1:a','x','1','1','2','3','4','1','1:a','0','-1','',"
				 "'0'},{}}"),
			 ERR_PROTO);
	assert_int_equal(
		hostile("return {{'l','1:a','5','1','4294967296','2','3','4','1','1:a','0',"
			"'-1','','0'},{}}"),
		ERR_PROTO);
	assert_int_equal(hostile("return {{string.rep('l',40),'1:a','5','1','1','2','3','4','1',"
				 "'1:a','0','-1','','0'},{}}"),
			 ERR_PROTO);
#undef HEAD
#undef EV
}

struct judged {
	const char *what;
	struct head h;
	struct position own;
	enum verdict want;
	const char *ahead; /* NULL: "" */
};

static const struct judged judged[] = {
	{ "an empty zone", { .token = "5:a" }, { .lineage = "l" }, FOLLOW_WAIT },
	{ "a refill", { .lineage = "l", .token = "5:a" }, { .lineage = "" }, FOLLOW_WAIT },
	{ "an empty node",
	  { .lineage = "l", .token = "5:a", .complete = ZONE_COMPLETE },
	  { .lineage = "" },
	  FOLLOW_RESYNC },
	{ "the same epoch",
	  { .lineage = "l",
	    .token = "5:a",
	    .complete = ZONE_COMPLETE,
	    .revision = 9,
	    .own_end = -1 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_RESUME },
	{ "a next epoch that began here",
	  { .lineage = "l",
	    .token = "6:b",
	    .complete = ZONE_COMPLETE,
	    .revision = 12,
	    .own_end = 9 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_RESUME },
	{ "a next epoch that began before",
	  { .lineage = "l",
	    .token = "6:b",
	    .caught = "6:b",
	    .complete = ZONE_COMPLETE,
	    .revision = 12,
	    .own_end = 8 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_RESYNC },
	{ "the same, but nobody polled yet",
	  { .lineage = "l",
	    .token = "6:b",
	    .caught = "5:a",
	    .complete = ZONE_COMPLETE,
	    .revision = 12,
	    .own_end = 8 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_RESYNC },
	{ "an epoch that is not in the list",
	  { .lineage = "l",
	    .token = "6:b",
	    .caught = "6:b",
	    .complete = ZONE_COMPLETE,
	    .revision = 12,
	    .own_end = -2 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_RESYNC },
	{ "a purged tombstone not seen",
	  { .lineage = "l",
	    .token = "5:a",
	    .caught = "5:a",
	    .complete = ZONE_COMPLETE,
	    .revision = 12,
	    .horizon = 10,
	    .own_end = -1 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_RESYNC },
	{ "the last purged tombstone seen",
	  { .lineage = "l",
	    .token = "5:a",
	    .complete = ZONE_COMPLETE,
	    .revision = 12,
	    .horizon = 9,
	    .own_end = -1 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_RESUME },
	{ "a head behind us under our own token, which had polled before",
	  { .lineage = "l",
	    .token = "5:a",
	    .caught = "5:a",
	    .complete = ZONE_COMPLETE,
	    .revision = 8,
	    .own_end = -1 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_RESYNC },
	{ "a head behind us, and the next token has polled",
	  { .lineage = "l",
	    .token = "6:b",
	    .caught = "6:b",
	    .complete = ZONE_COMPLETE,
	    .revision = 8,
	    .own_end = 7 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_RESYNC },
	{ "another lineage, polled",
	  { .lineage = "m",
	    .token = "6:b",
	    .caught = "6:b",
	    .complete = ZONE_COMPLETE,
	    .own_end = -2 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_RESYNC },
	{ "an older master",
	  { .lineage = "l",
	    .token = "4:z",
	    .caught = "4:z",
	    .complete = ZONE_COMPLETE,
	    .revision = 20,
	    .own_end = -2 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_BEHIND },
	{ "an older master than the one whose withdrawals were taken",
	  { .lineage = "l",
	    .token = "6:b",
	    .caught = "6:b",
	    .complete = ZONE_COMPLETE,
	    .revision = 20,
	    .own_end = 9 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_BEHIND,
	  "7:c" },
	{ "the same history, of which withdrawals were taken",
	  { .lineage = "l",
	    .token = "7:c",
	    .complete = ZONE_COMPLETE,
	    .revision = 20,
	    .own_end = 9 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_RESYNC,
	  "7:c" },
	{ "a zone whose refill found nothing",
	  { .lineage = "m", .token = "7:c", .complete = ZONE_EMPTY, .own_end = -2 },
	  { .lineage = "l", .token = "5:a", .revision = 9 },
	  FOLLOW_RESYNC },
};

static void a_position_is_judged_by_the_table(void **state)
{
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(judged); i++) {
		const char *ahead = judged[i].ahead == NULL ? "" : judged[i].ahead;
		enum verdict v = follow_judge(&judged[i].h, &judged[i].own, ahead);

		if (v != judged[i].want)
			fail_msg("%s: %d", judged[i].what, v);
	}
}

struct waited {
	const char *what;
	struct head h;
	struct looks looks;
	struct doubt doubt;
	enum switch_verdict want;
};

#define POLLED(n)                                                                                  \
	.lineage = "m", .token = "6:b", .caught = "6:b", .lease = "6:b", .polls = (n),             \
	.complete = ZONE_COMPLETE
#define LOOKED                                                                                     \
	{                                                                                          \
		"6:b", .late = true, .polls = 4                                                    \
	}

static const struct waited waited[] = {
	{ "an empty node", { .complete = ZONE_EMPTY }, { "" }, { .serves = false }, SWITCH_NOW },
	{ "no name differs",
	  { .lineage = "l", .token = "6:b", .complete = ZONE_COMPLETE },
	  LOOKED,
	  { .serves = true, .equal = true },
	  SWITCH_NOW },
	{ "no name differs, but it may lag",
	  { .lineage = "l", .token = "6:b", .complete = ZONE_COMPLETE },
	  { "6:b" },
	  { .serves = true, .equal = true },
	  SWITCH_POLLS },
	{ "no name differs from another token's",
	  { .lineage = "l", .token = "6:b", .complete = ZONE_COMPLETE },
	  { "5:a", .late = true },
	  { .serves = true, .equal = true },
	  SWITCH_POLLS },
	{ "polled, and settled", { POLLED(6) }, LOOKED, { .serves = true }, SWITCH_NOW },
	{ "the poll may have begun before the look",
	  { POLLED(5) },
	  LOOKED,
	  { .serves = true },
	  SWITCH_POLLS },
	{ "a number that grew, and nobody holds the lease",
	  { .lineage = "m",
	    .token = "6:b",
	    .caught = "6:b",
	    .polls = 9,
	    .complete = ZONE_COMPLETE },
	  LOOKED,
	  { .serves = true },
	  SWITCH_POLLS },
	{ "polled, and not settled",
	  { .lineage = "l",
	    .token = "6:b",
	    .caught = "5:a",
	    .polls = 9,
	    .complete = ZONE_COMPLETE },
	  LOOKED,
	  { .serves = true },
	  SWITCH_POLLS },
	{ "the looks were at another token's head",
	  { POLLED(9) },
	  { "5:a", .late = true, .polls = 4 },
	  { .serves = true },
	  SWITCH_POLLS },
	{ "nothing was found",
	  { .lineage = "l", .token = "6:b", .caught = "6:b", .polls = 9, .complete = ZONE_EMPTY },
	  LOOKED,
	  { .serves = true },
	  SWITCH_EMPTY },
	{ "nothing was found, and a person says so",
	  { .lineage = "l",
	    .token = "6:b",
	    .caught = "6:b",
	    .lease = "6:b",
	    .polls = 9,
	    .complete = ZONE_EMPTY },
	  LOOKED,
	  { .serves = true, .accepted = true },
	  SWITCH_NOW },
	{ "what could not be read differs",
	  { POLLED(6) },
	  LOOKED,
	  { .serves = true, .unread = true },
	  SWITCH_UNREAD },
	{ "half of a type is gone, and tombstones say so",
	  { POLLED(6) },
	  LOOKED,
	  { .serves = true, .halved = true },
	  SWITCH_NOW },
	{ "half of a type is gone from another lineage",
	  { POLLED(6) },
	  LOOKED,
	  { .serves = true, .halved = true, .lacks = 4, .other_lineage = true },
	  SWITCH_HALVED },
	{ "which was accepted",
	  { POLLED(6), .accepted = "m 4 -" },
	  LOOKED,
	  { .serves = true, .halved = true, .lacks = 4, .other_lineage = true },
	  SWITCH_NOW },
	{ "less was accepted",
	  { POLLED(6), .accepted = "m 3 -" },
	  LOOKED,
	  { .serves = true, .halved = true, .lacks = 4, .other_lineage = true },
	  SWITCH_HALVED },
	{ "it is accepted, and not yet done",
	  { POLLED(6), .accepted = "m 4 00ff 0" },
	  LOOKED,
	  { .serves = true, .halved = true, .lacks = 4, .other_lineage = true },
	  SWITCH_HALVED },
	{ "another lineage's was accepted",
	  { POLLED(6), .accepted = "mm 4 -" },
	  LOOKED,
	  { .serves = true, .halved = true, .lacks = 4, .other_lineage = true },
	  SWITCH_HALVED },
	{ "a person says so here",
	  { POLLED(6) },
	  LOOKED,
	  { .serves = true, .halved = true, .lacks = 4, .other_lineage = true, .accepted = true },
	  SWITCH_NOW },
	{ "what could not be read differs, and a person says so here",
	  { POLLED(6) },
	  LOOKED,
	  { .serves = true, .unread = true, .accepted = true },
	  SWITCH_NOW },
};

static void what_was_built_serves_by_the_table(void **state)
{
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(waited); i++) {
		const struct waited *w = &waited[i];
		enum switch_verdict v = follow_switch(&w->h, &w->looks, &w->doubt, true);

		if (v != w->want)
			fail_msg("%s: %d", w->what, v);
	}
}

static void looks_begin_anew_with_a_token_and_with_a_number_that_fell(void **state)
{
	struct looks l = { "" };
	struct head h = { .token = "5:a", .polls = 7 };

	UNUSED(state);
	follow_look(&l, &h, 100);
	assert_int_equal(l.polls, 7);
	h.polls = 9;
	follow_look(&l, &h, 100);
	assert_int_equal(l.polls, 7);
	h.polls = 3;
	follow_look(&l, &h, 100);
	assert_int_equal(l.polls, 3);
	h = (struct head){ .token = "6:b", .polls = 8 };
	follow_look(&l, &h, 100);
	assert_int_equal(l.polls, 8);
}

/* A poll that began within the lag of the first look may have read what was before it. */
static void looks_count_when_the_lag_is_over(void **state)
{
	struct looks l = { "" };
	struct head h = { .token = "5:a", .polls = 7, .lag_ms = 50 };

	UNUSED(state);
	follow_look(&l, &h, 100);
	h.polls = 8;
	follow_look(&l, &h, 149);
	assert_false(l.late);
	h.polls = 9;
	follow_look(&l, &h, 150);
	assert_true(l.late);
	assert_int_equal(l.polls, 9);
	h.polls = 10;
	follow_look(&l, &h, 151);
	assert_int_equal(l.polls, 9);
	h.token[0] = '6';
	follow_look(&l, &h, 152);
	assert_false(l.late);
}

static void what_people_accepted_is_of_a_lineage_and_of_a_number(void **state)
{
	UNUSED(state);
	assert_int_equal(follow_accepted("", "l"), 0);
	assert_int_equal(follow_accepted("l 7 -", "l"), 7);
	assert_int_equal(follow_accepted("l 7 -", ""), 0);
	assert_int_equal(follow_accepted("l 7 -", "l7"), 0);
	assert_int_equal(follow_accepted("l 7 00ff 5", "l"), 5);
	assert_int_equal(follow_accepted("l 7 00ff", "l"), 0);
	assert_int_equal(follow_accepted("l x", "l"), 0);
}

/* Epochs 1 and 2, of which the first served: withdrawals of the second hold. */
static void withdrawals_hold_above_the_oldest_epoch_above_ours(void **state)
{
	struct position own = { .lineage = "l1", .revision = 2 };

	UNUSED(state);
	found_zone();
	str_copy(own.token, sizeof(own.token), lease.token);
	read_page(&own, 0);
	assert_true(follow_withdrawals_above(&page.head, "l1") == UINT64_MAX);
	put("a2", NULL, "two", "1", false);
	assert_int_equal(written(), 1);
	hold(NONCE_B);
	hold(NONCE_A);
	read_page(&own, 0);
	assert_int_equal(page.head.above, 3);
	assert_true(follow_withdrawals_above(&page.head, "l1") == 3);
	assert_true(follow_withdrawals_above(&page.head, "l2") == UINT64_MAX);
}

/* --- the writer's connection --- */

static void many_batches_survive_killed_connections(void **state)
{
	unsigned sent = 0;
	unsigned kills = 0;

	UNUSED(state);
	found_zone();
	while (sent < 300) {
		char id[16];

		while (writer_room(pen) && sent < 300) {
			(void)snprintf(id, sizeof(id), "m%u", sent++);
			put(id, NULL, "payload", "1", false);
			writer_flush(pen, NULL);
		}
		if (sent / 50 > kills && kills++ < 6)
			(void)kit_ask(&kit, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes",
				      NULL);
		progress = writer_room(pen);
		kit_until(&kit, &progress);
	}
	flush();
	assert_false(over);
	assert_int_equal(last.number, 301);
	assert_true(kills >= 5);
	prove();
	assert_int_equal(page.head.digest.count, 302);
	assert_int_equal(page.head.revision, 302); /* no effect twice */
}

/* Case M8 of the wire page: however much waits, so many writes are on the way. */
static void no_more_batches_than_a_window_are_on_the_way(void **state)
{
	unsigned n;

	UNUSED(state);
	found_zone();
	for (n = 0; n < 100 && writer_room(pen); n++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "w%u", n);
		put(id, NULL, "payload", "1", false);
		writer_flush(pen, NULL);
	}
	assert_int_equal(n, WRITER_WINDOW);
	assert_int_equal(done_count, 1);
	flush();
	assert_true(writer_room(pen));
	assert_int_equal(last.number, 1 + WRITER_WINDOW);
}

/* Cases R3 and R4: what became of the connection is no refusal; it has its effect once. */
static void a_write_whose_connection_ends_twice_is_written_once(void **state)
{
	unsigned i;

	UNUSED(state);
	found_zone();
	put("a2", NULL, "x", "1", false);
	writer_flush(pen, NULL);
	for (i = 0; i < 2; i++) {
		downed = up = false;
		(void)kit_ask(&kit, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
		kit_until(&kit, &downed);
		assert_false(troubled);
		if (i == 0)
			kit_until(&kit, &up);
	}
	flush();
	assert_false(over || troubled);
	assert_int_equal(last.number, 2);
	prove();
	assert_int_equal(page.head.revision, 3);
}

/* Case R5: what the server refuses is told once, with its words, and is not sent again by itself. */
static void a_write_that_is_refused_is_told_and_waits(void **state)
{
	UNUSED(state);
	found_zone();
	(void)kit_ask(&kit, "ACL", "SETUSER", "default", "resetkeys", "~zonesync:*",
		      "%R~distributed_event:*", NULL);
	put("a2", NULL, "x", "1", false);
	writer_flush(pen, NULL);
	kit_until(&kit, &troubled);
	assert_false(over);
	assert_int_equal(why_over.code, ERR_REMOTE);
	assert_non_null(strstr(why_over.text, "NOPERM"));
	troubled = false;
	(void)kit_ask(&kit, "CONFIG", "RESETSTAT", NULL);
	put("a3", NULL, "x", "1", false);
	writer_flush(pen, NULL);
	assert_null(strstr(kit_ask(&kit, "INFO", "commandstats", NULL), "evalsha"));
	(void)kit_ask(&kit, "ACL", "SETUSER", "default", "~*", NULL);
	writer_up(pen);
	flush();
	assert_false(over || troubled);
	assert_int_equal(last.number, 3);
}

static void nothing_is_sent_after_the_deadline(void **state)
{
	UNUSED(state);
	found_zone();
	writer_extend(pen, 0);
	put("late", NULL, "x", "1", false);
	writer_flush(pen, NULL);
	assert_string_equal(kit_ask(&kit, "HGET", META, "batch", NULL), "1");
	assert_int_equal(writer_waiting(pen), 1);
	writer_extend(pen, clock_boot_ms() + 600000);
	flush();
	assert_string_equal(kit_ask(&kit, "HGET", META, "batch", NULL), "2");
}

static void a_newer_lease_ends_the_writer(void **state)
{
	char old[LEASE_TOKEN_BYTES];

	UNUSED(state);
	found_zone();
	str_copy(old, sizeof(old), lease.token);
	acquire(NONCE_B, NONCE_A, NULL, 0);
	put("fenced", NULL, "x", "1", false);
	flush();
	assert_true(over);
	assert_int_equal(why_over.code, ERR_FENCED);
	assert_string_equal(kit_ask(&kit, "EXISTS", EVENT "API:fenced", NULL), "0");
}

/* Another epoch's number says nothing about ours. */
static void batches_of_another_epoch_are_not_taken_for_ours(void **state)
{
	unsigned before;

	UNUSED(state);
	found_zone();
	acquire(NONCE_B, NONCE_A, NULL, 0);
	(void)kit_ask(&kit, "HSET", META, "batch", "50", NULL); /* the new one is busy */
	before = done_count;
	writer_extend(pen, 0);
	put("never", NULL, "x", "1", false);
	writer_flush(pen, NULL);
	redis_fail(zone_conn_redis(zone), ERR_TIMEOUT, "by the test");
	kit_until(&kit, &over);
	assert_int_equal(why_over.code, ERR_FENCED);
	assert_int_equal(done_count, before);
}

/* The same process is promoted again while answers are on their way. */
static void answers_of_an_old_token_are_not_the_new_ones(void **state)
{
	char fresh[LEASE_TOKEN_BYTES];

	UNUSED(state);
	found_zone();
	acquire(NONCE_B, NONCE_A, NULL, 0);
	str_copy(fresh, sizeof(fresh), lease.token);
	put("x1", NULL, "x", "1", false);
	writer_flush(pen, NULL); /* will be FENCED */
	put("x2", NULL, "x", "1", false);
	writer_flush(pen, NULL);
	begin_pen(fresh);
	put("y1", NULL, "y", "1", false);
	flush();
	assert_false(over);
	assert_int_equal(last.number, 1);
	assert_false(last.duplicate);
	assert_string_equal(kit_ask(&kit, "HGET", EVENT "API:y1", "payload", NULL), "y");
}

static void a_redis_that_forgot_is_noticed(void **state)
{
	UNUSED(state);
	found_zone();
	put("a2", NULL, "x", "1", false);
	assert_int_equal(written(), 1);
	kit_kill(&kit); /* it keeps nothing on disk */
	kit_start(&kit, NULL);
	over = false;
	put("a3", NULL, "x", "1", false);
	flush();
	assert_true(over);
	assert_true(why_over.code == ERR_LOST || why_over.code == ERR_FENCED);
	assert_string_equal(kit_ask(&kit, "DBSIZE", NULL), "0");
}

static void a_tail_that_was_lost_is_noticed_with_the_lease_alive(void **state)
{
	UNUSED(state);
	found_zone();
	put("a2", NULL, "x", "1", false);
	assert_int_equal(written(), 1);
	(void)kit_ask(&kit, "HSET", META, "batch", "1", NULL); /* as a failover leaves it */
	put("a3", NULL, "x", "1", false);
	flush();
	assert_true(over);
	assert_int_equal(why_over.code, ERR_LOST);
}

static void a_full_redis_refuses_and_gets_every_batch_later(void **state)
{
	unsigned i;

	UNUSED(state);
	found_zone();
	(void)kit_ask(&kit, "CONFIG", "SET", "maxmemory", "1", NULL);
	for (i = 0; i < 3; i++) { /* what was sent behind the refused one is void, not lost */
		char id[8];

		(void)snprintf(id, sizeof(id), "a%u", i + 2);
		put(id, NULL, "x", "1", false);
		writer_flush(pen, NULL);
	}
	kit_until(&kit, &troubled);
	assert_false(over);
	assert_int_equal(why_over.code, ERR_FULL);
	(void)kit_ask(&kit, "CONFIG", "SET", "maxmemory", "0", NULL);
	writer_up(pen);
	flush();
	assert_false(over);
	prove();
	assert_int_equal(page.head.revision, 5);
}

static void forgotten_scripts_are_loaded_again(void **state)
{
	UNUSED(state);
	found_zone();
	downed = false;
	(void)kit_ask(&kit, "SCRIPT", "FLUSH", NULL);
	put("a2", NULL, "x", "1", false);
	assert_int_equal(written(), 1);
	assert_true(downed);
	prove();
}

static void a_server_that_became_a_replica_is_left(void **state)
{
	UNUSED(state);
	found_zone();
	downed = false;
	(void)kit_ask(&kit, "REPLICAOF", "localhost", "1", NULL);
	put("a2", NULL, "x", "1", false);
	writer_flush(pen, NULL);
	kit_until(&kit, &downed);
	assert_false(over);
	(void)kit_ask(&kit, "REPLICAOF", "NO", "ONE", NULL);
	flush(); /* the batch was kept, and goes out now */
	assert_false(over);
	prove();
	assert_int_equal(page.head.digest.count, 3);
}

/* --- probe --- */

static void on_probe(void *arg, const struct probe *p)
{
	UNUSED(arg);
	UNUSED(p);
	probed = true;
}

static void ask_probe(void)
{
	probed = false;
	assert_int_equal(probe_server(zone, &seen, true, on_probe, NULL), 0);
	kit_until(&kit, &probed);
}

static void a_plain_server_is_fit_and_told_to_keep_its_data(void **state)
{
	UNUSED(state);
	ask_probe();
	assert_string_equal(seen.refused, "");
	assert_string_equal(seen.barred, "");
	assert_non_null(strstr(seen.warning, "appendonly"));
	assert_string_equal(kit_ask(&kit, "DBSIZE", NULL), "0");
}

static void an_evicting_server_is_barred(void **state)
{
	UNUSED(state);
	(void)kit_ask(&kit, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru", NULL);
	ask_probe();
	assert_string_equal(seen.barred, ""); /* no limit: nothing is evicted */
	(void)kit_ask(&kit, "CONFIG", "SET", "maxmemory", "100mb", NULL);
	ask_probe();
	assert_non_null(strstr(seen.barred, "allkeys-lru"));
	assert_non_null(strstr(seen.barred, "noeviction"));
	(void)kit_ask(&kit, "CONFIG", "SET", "maxmemory-policy", "volatile-ttl", NULL);
	ask_probe();
	assert_string_equal(seen.barred, "");
	assert_non_null(strstr(seen.warning, "volatile-ttl"));
}

static void a_replica_is_refused(void **state)
{
	UNUSED(state);
	(void)kit_ask(&kit, "REPLICAOF", "localhost", "1", NULL);
	ask_probe();
	assert_non_null(strstr(seen.refused, "replica"));
	(void)kit_ask(&kit, "REPLICAOF", "NO", "ONE", NULL);
}

static void cluster_mode_is_refused(void **state)
{
	static const char info[] = "# Server\r\nredis_mode:cluster\r\nrole:master\r\n";

	UNUSED(state);
	seen = (struct probe){ 0 };
	probe_info(&seen, info, sizeof(info) - 1);
	assert_non_null(strstr(seen.refused, "cluster mode"));
	seen = (struct probe){ 0 };
	probe_info(&seen, "cluster_enabled:1", 17);
	assert_non_null(strstr(seen.refused, "cluster mode"));
}

static void reopen_as(const char *user)
{
	zone_conn_close(&zone);
	writer_free(&pen);
	open_zone(user, "pw");
	kit_until(&kit, &up);
}

static void a_user_without_rights_is_told_the_cure(void **state)
{
	UNUSED(state);
	(void)kit_ask(&kit, "ACL", "SETUSER", "u", "on", ">pw", "~*", "&*", "+@read", "+@scripting",
		      "+@connection", NULL);
	reopen_as("u");
	ask_probe();
	assert_non_null(strstr(seen.barred, "ACL SETUSER"));
	(void)kit_ask(&kit, "ACL", "SETUSER", "u", "+@write", "+@pubsub", "+info", NULL);
	ask_probe();
	assert_non_null(strstr(seen.barred, "TIME"));
	(void)kit_ask(&kit, "ACL", "SETUSER", "u", "+time", NULL);
	ask_probe();
	assert_string_equal(seen.barred, "");
}

static void a_user_without_the_channel_still_writes_whole_batches(void **state)
{
	UNUSED(state);
	(void)kit_ask(&kit, "ACL", "SETUSER", "u", "on", ">pw", "~*", "resetchannels", "+@read",
		      "+@write", "+@scripting", "+@pubsub", "+@connection", "+info", "+time", NULL);
	reopen_as("u");
	found_zone();
	put("a2", NULL, "x", "1", false);
	writer_cursor(pen, "c", "v");
	assert_int_equal(written(), 1);
	prove();
	assert_string_equal(kit_ask(&kit, "HGET", META, "batch", NULL), "2");
	release(lease.token);
	assert_int_equal(lease.answer, LEASE_FREE);
}

static void zone_ids_that_cannot_be_keys_are_refused(void **state)
{
	struct zone_keys k = { 0 };
	char huge[ZONE_ID_MAX_BYTES + 2];

	UNUSED(state);
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_int_equal(zone_keys_init(&k, "", NULL), ERR_CONFIG);
	assert_int_equal(zone_keys_init(&k, huge, NULL), ERR_CONFIG);
	assert_int_equal(zone_keys_init(&k, "a}b", NULL), ERR_CONFIG);
	assert_int_equal(zone_keys_init(&k, "a\nb", NULL), ERR_CONFIG);
	assert_int_equal(zone_keys_init(&k, huge + 1, NULL), 0);
	zone_keys_reset(&k);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_lease_is_won_renewed_and_given_back),
		T(a_look_at_the_lease_takes_nothing),
		T(a_lease_is_taken_over_or_broken_by_compare_only),
		T(a_write_shows_in_log_references_count_and_digest),
		T(equal_content_takes_no_revision),
		T(a_lower_version_never_replaces_a_higher_one),
		T(an_undeploy_keeps_the_payload_and_leaves_the_digest),
		T(children_go_in_bounded_steps),
		T(a_purge_forgets_tombstones_and_moves_the_horizon),
		T(what_is_written_over_damage_is_counted_once),
		T(a_damaged_tombstone_is_mended_whole),
		T(children_whose_share_is_lost_are_told),
		T(a_load_learns_what_is_lost),
		T(suspects_are_bounded),
		T(a_deploy_must_be_above_what_withdrew_it),
		T(what_went_with_its_reference_comes_back_as_it_was),
		T(events_have_the_time_of_the_server),
		T(a_malformed_batch_changes_nothing),
		T(a_refill_broken_off_and_begun_again_forgets_nobody),
		T(pages_end_at_their_events_or_bytes),
		T(damage_in_redis_is_seen),
		T(hostile_answers_are_refused),
		T(withdrawals_hold_above_the_oldest_epoch_above_ours),
		cmocka_unit_test(a_position_is_judged_by_the_table),
		cmocka_unit_test(what_was_built_serves_by_the_table),
		cmocka_unit_test(looks_begin_anew_with_a_token_and_with_a_number_that_fell),
		cmocka_unit_test(looks_count_when_the_lag_is_over),
		cmocka_unit_test(what_people_accepted_is_of_a_lineage_and_of_a_number),
		T(many_batches_survive_killed_connections),
		T(no_more_batches_than_a_window_are_on_the_way),
		T(a_write_whose_connection_ends_twice_is_written_once),
		T(a_write_that_is_refused_is_told_and_waits),
		T(nothing_is_sent_after_the_deadline),
		T(a_newer_lease_ends_the_writer),
		T(batches_of_another_epoch_are_not_taken_for_ours),
		T(answers_of_an_old_token_are_not_the_new_ones),
		T(a_redis_that_forgot_is_noticed),
		T(a_tail_that_was_lost_is_noticed_with_the_lease_alive),
		T(a_full_redis_refuses_and_gets_every_batch_later),
		T(forgotten_scripts_are_loaded_again),
		T(a_server_that_became_a_replica_is_left),
		T(a_plain_server_is_fit_and_told_to_keep_its_data),
		T(an_evicting_server_is_barred),
		T(a_replica_is_refused),
		cmocka_unit_test(cluster_mode_is_refused),
		T(a_user_without_rights_is_told_the_cure),
		T(a_user_without_the_channel_still_writes_whole_batches),
		cmocka_unit_test(zone_ids_that_cannot_be_keys_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
