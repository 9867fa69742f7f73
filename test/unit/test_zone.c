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
#include "common/zone/stamp.h"
#include "test/unit/redis_kit.h"
#include "workers/fetcher/publish/zone_sink.h"

#define NONCE_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NONCE_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define META	"zonesync:{z}:meta"
#define LOG	"zonesync:{z}:log"
#define OLD_LOG "zonesync:{z}:log:old"
#define SUSPECT "zonesync:{z}:suspect"
#define TURN	"zonesync:{z}:turn"
#define EVENT	"distributed_event:z:"

static struct kit kit;
static struct zone_conn *zone;
static struct zone_sink *pen;
static struct end desk; /* whose hooks the pen calls */
static struct known known;
static struct zone_page open_page; /* what is to be written next */
static bool up, downed, replied, progress, over, probed;
static bool troubled;
static struct err why_down, why_over;
static struct lease_reply lease;
static struct {
	uint64_t number, effective;
} last; /* page; and revisions since written() was asked last */
static unsigned done_count;
static bool was_broken;
static struct page page;
static int page_rc;
static struct err page_why;
static struct probe seen;

/* --- the zone's hooks --- */

static void on_up(void *arg)
{
	UNUSED(arg);
	up = true;
	if (pen != NULL)
		zone_sink_up(pen);
}

static void on_down(void *arg, const struct err *e)
{
	UNUSED(arg);
	up = false;
	downed = true;
	why_down = *e;
	if (pen != NULL)
		zone_sink_down(pen);
}

static void begin_page(size_t most)
{
	page_begin(&open_page, &known, most, clock_wall_ms());
}

/* What a page found damaged is the first of the next. */
static void on_written(void *arg, struct zone_page *p, bool broken)
{
	size_t i;

	UNUSED(arg);
	assert_int_equal(p->number, last.number + 1); /* in order, each one once */
	last.number = p->number;
	last.effective += p->revision - p->base;
	was_broken = broken;
	done_count++;
	progress = true;
	for (i = 0; i < p->n; i++)
		if (p->records[i].damaged)
			page_again(&open_page, &known, &p->records[i]);
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
	if (pen == NULL) {
		desk.hooks = (struct end_hooks){ .written = on_written,
						 .over = on_over,
						 .trouble = on_trouble };
		pen = zone_sink_create(zone, &desk, "node");
	}
	last.number = 0;
	last.effective = 0;
	over = false;
	troubled = false;
	zone_sink_begin(pen, token);
	zone_sink_extend(pen, clock_boot_ms() + 600000);
	page_drop(&open_page);
	begin_page(PAGE_RECORDS);
}

static int setup(void **state)
{
	UNUSED(state);
	kit_open(&kit);
	kit_start(&kit, NULL);
	open_zone(NULL, NULL);
	kit_until(&kit, &up);
	done_count = 0;
	return 0;
}

static int teardown(void **state)
{
	UNUSED(state);
	zone_conn_close(&zone); /* before the pen: its answers must not come any more */
	zone_sink_free(&pen);
	page_drop(&open_page);
	known_reset(&known);
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
	char token[TOKEN_BYTES];

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
	char first[TOKEN_BYTES];
	char second[TOKEN_BYTES];

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

static struct known_entry *entry_of(const struct event *ev)
{
	char *name;
	struct known_entry *e;

	name = event_name(ev->kind, ev->id, ev->ref_id);
	e = known_put(&known, name, ev->kind, ev->ref_id);
	mem_free(name);
	return e;
}

/* As the fetcher does: what is older than what is known is not said. */
static void put(const char *id, const char *ref, const char *payload, const char *version,
		bool forced)
{
	struct event ev;
	struct known_entry *e;
	struct hash h;

	make(&ev, ACTION_DEPLOY, id, ref, version);
	buf_adds(&ev.payload, payload);
	event_hash(&h, &ev);
	e = entry_of(&ev);
	if (forced || !known_is_newer(e, version)) {
		known_set(&known, e, &h, version);
		page_deploy(&open_page, &known, &ev, &h, forced);
	}
	event_reset(&ev);
}

static void take_back(const char *id, const char *ref, const char *version, bool forced)
{
	struct event ev;
	struct known_entry *e;

	make(&ev, ACTION_UNDEPLOY, id, ref, version);
	e = entry_of(&ev);
	if (known_live(e) || forced ||
	    (version[0] != '\0' && !known_version_is(e, version) && !known_is_newer(e, version))) {
		known_withdraw(&known, e, version);
		page_withdraw(&open_page, &known, &ev, forced);
	}
	event_reset(&ev);
}

/* true: none is left. */
static bool children(const char *ref, size_t most)
{
	open_page.most = most;
	known_withdraw_children(&known, ref);
	return page_children(&open_page, &known, ref);
}

static void refill_begin(const char *lineage)
{
	page_refill_begin(&open_page, &known, lineage);
}

/* Sends the open page, when there is something in it; does not wait. */
static void post(void)
{
	page_close(&open_page, &known);
	if (page_is_empty(&open_page))
		page_drop(&open_page);
	else
		zone_sink_write(pen, &open_page, false);
	begin_page(PAGE_RECORDS);
}

/* Sends all, and waits until it is answered. */
static void flush(void)
{
	while (!over && (!zone_sink_is_free(pen) || !page_is_empty(&open_page))) {
		if (zone_sink_is_free(pen))
			post();
		progress = zone_sink_is_free(pen) || over;
		kit_until(&kit, &progress);
	}
}

static uint64_t written(void)
{
	uint64_t n;

	flush();
	if (over)
		fail_msg("%s", why_over.text);
	n = last.effective;
	last.effective = 0;
	return n;
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
	refill_begin("l1");
	put("a1", NULL, "one", "10", true);
	put("k1", "a1", "key", "10", true);
	page_field(&open_page, PAGE_META, "caught", lease.token);
	page_refill_end(&open_page, false);
	assert_int_equal(written(), 2);
}

static void on_page(void *arg, const struct redis_reply *r, const struct err *lost)
{
	UNUSED(arg);
	replied = true;
	page_why = (struct err){ 0 };
	page_rc = zone_check(zone, r, lost, &page_why);
	if (page_rc == 0)
		page_rc = follow_parse(r, &page, &page_why);
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

/* Of the stamp what is text: revision, marks, version. */
static const char *stamp_of(const char *name)
{
	char *key = mem_printf(EVENT "%s", name);
	const char *out = kit_ask(&kit, "EVAL",
				  "return string.sub(redis.call('HGET', KEYS[1], 'zs'), 18)", "1",
				  key, NULL);

	mem_free(key);
	return out;
}

static void a_write_shows_in_log_stamp_count_and_digest(void **state)
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
	assert_string_equal(kit_ask(&kit, "HMGET", EVENT "API:a1", "payload", "syncAction", "type",
				    "id", "clusterId", NULL),
			    "(one DEPLOY API a1 z)");
	assert_string_equal(stamp_of("API:a1"), "1  10");
	assert_string_equal(kit_ask(&kit, "HGET", META, "version", NULL), "2.0");
}

static void equal_content_takes_no_revision(void **state)
{
	UNUSED(state);
	found_zone();
	put("a1", NULL, "one", "11", false);
	assert_int_equal(written(), 0);
	assert_string_equal(stamp_of("API:a1"), "1  11");
	prove();
	/* A stamp that is not there is a hint: all of it is written. */
	(void)kit_ask(&kit, "DEL", EVENT "API:a1", NULL);
	put("a1", NULL, "one", "12", false);
	assert_int_equal(written(), 1);
	assert_string_equal(stamp_of("API:a1"), "3  12");
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
	assert_string_equal(stamp_of("API:a1"), "1  10");
	put("a1", NULL, "one", "12", false);
	assert_int_equal(written(), 0);
	assert_string_equal(stamp_of("API:a1"), "1  12");
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
	assert_false(children("a1", 8));
	assert_int_equal(written(), 8);
	assert_true(children("a1", 8));
	assert_int_equal(written(), 3);
	prove();
	assert_int_equal(page.head.digest.count, 1);
}

static void a_purge_forgets_tombstones_and_moves_the_horizon(void **state)
{
	UNUSED(state);
	found_zone();
	take_back("k1", "a1", "11", false);
	assert_int_equal(written(), 1);
	page_purge(&open_page, &known, "API:a1:API_KEY:k1", 2); /* not of that revision */
	page_purge(&open_page, &known, "API:a1", 1);		/* lives */
	assert_int_equal(written(), 0);
	prove();
	assert_int_equal(page.head.horizon, 0);
	page_purge(&open_page, &known, "API:a1:API_KEY:k1", 3);
	assert_int_equal(written(), 0);
	prove();
	assert_int_equal(page.head.horizon, 3);
	assert_string_equal(kit_ask(&kit, "EXISTS", EVENT "API:a1:API_KEY:k1", NULL), "0");
}

/* --- damage --- */

#define STAMP(as)                                                                                  \
	"local z = redis.call('HGET', KEYS[1], 'zs') return redis.call('HSET', KEYS[1], 'zs', " as \
	")"

/* What may befall an event behind our back. The hash that is read is damaged or not there. */
static const struct damage {
	const char *what;
	const char *command[5];
} damages[] = {
	{ "deleted", { "DEL", EVENT "API:a1" } },
	{ "of a wrong type", { "SET", EVENT "API:a1", "text" } },
	{ "another hash",
	  { "EVAL", STAMP("'Dsixteen bytes...' .. string.sub(z, 18)"), "1", EVENT "API:a1" } },
	{ "half a stamp", { "HSET", EVENT "API:a1", "zs", "short" } },
	{ "the stamp is gone", { "HDEL", EVENT "API:a1", "zs" } },
	{ "another revision",
	  { "EVAL", STAMP("string.sub(z, 1, 17) .. '77  10'"), "1", EVENT "API:a1" } },
	{ "no revision", { "EVAL", STAMP("string.sub(z, 1, 17)"), "1", EVENT "API:a1" } },
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

#define WRONG_TYPE 1 /* of the damages */

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
			/* Twice, where what stood there was in the way. */
			assert_int_equal(written(), i == WRONG_TYPE ? 2 : 1);
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
		assert_int_equal(written(), i == WRONG_TYPE ? 2 : 1);
		prove();
		assert_int_equal(page.head.digest.count, 1);
		assert_string_equal(kit_ask(&kit, "HMGET", EVENT "API:a1", "clusterId", "id",
					    "type", "syncAction", NULL),
				    "(z a1 API UNDEPLOY)");
		assert_true(str_ends(stamp_of("API:a1"), "  12"));
		assert_string_equal(kit_ask(&kit, "EXISTS", SUSPECT, NULL), "0");
	}
	assert_string_equal(kit_ask(&kit, "HGET", META, "horizon", NULL), "0"); /* no resync */
}

/* Count and digest are those of what is known, whatever became of it. */
static void children_that_were_lost_leave_the_sums_right(void **state)
{
	UNUSED(state);
	found_zone();
	put("k2", "a1", "key", "10", false);
	assert_int_equal(written(), 1);
	(void)kit_ask(&kit, "DEL", EVENT "API:a1:API_KEY:k1", NULL);
	assert_true(children("a1", 8));
	assert_int_equal(written(), 2);
	prove();
	assert_int_equal(page.len, 0);
	assert_int_equal(page.head.digest.count, 1);
}

static void other_sums_are_corrected_by_the_first_page(void **state)
{
	UNUSED(state);
	found_zone();
	(void)kit_ask(&kit, "HSET", META, "count", "7", "d2", "12345", NULL);
	(void)kit_ask(&kit, "SADD", SUSPECT, "*", NULL);
	open_page.corrects = true;
	assert_int_equal(written(), 0);
	prove();
	assert_int_equal(page.head.digest.count, 2);
	assert_string_equal(kit_ask(&kit, "EXISTS", SUSPECT, NULL), "0");
}

static void the_key_of_a_wrong_type_is_named(void **state)
{
	static const char *const keys[] = { LOG, META, "zonesync:{z}:epochs" };
	const struct position pos = { 0 };
	const struct follow_ask ask = { &pos, pos.token, 1 };
	unsigned i;

	UNUSED(state);
	found_zone();
	for (i = 0; i < ARRAY_LEN(keys); i++) {
		(void)kit_ask(&kit, "RENAME", keys[i], "aside", NULL);
		(void)kit_ask(&kit, "SET", keys[i], "text", NULL);
		replied = false;
		assert_int_equal(follow_read(zone, &ask, on_page, NULL), 0);
		kit_until(&kit, &replied);
		assert_int_equal(page_rc, ERR_REMOTE);
		assert_non_null(strstr(page_why.text, keys[i]));
		assert_non_null(strstr(page_why.text, "WRONGTYPE"));
		(void)kit_ask(&kit, "RENAME", "aside", keys[i], NULL);
	}
}

/* A key of the zone's own that is in the way: the page says so, and the next refill removes it. */
static void keys_of_a_wrong_type_lead_to_a_refill(void **state)
{
	static const char *const keys[] = { LOG, "zonesync:{z}:cursor" };
	unsigned i;

	UNUSED(state);
	found_zone();
	for (i = 0; i < ARRAY_LEN(keys); i++) {
		(void)kit_ask(&kit, "SET", keys[i], "text", NULL);
		put("a1", NULL, keys[i], "11", true);
		page_field(&open_page, PAGE_CURSOR, "c", "v");
		(void)written();
		assert_true(was_broken);
		refill_begin(i == 0 ? "l2" : "l3");
		put("a1", NULL, "one", "12", true);
		page_keep(&open_page, &known, "API:a1:API_KEY:k1");
		page_field(&open_page, PAGE_CURSOR, "c", "v");
		page_refill_end(&open_page, false);
		assert_int_equal(written(), 2);
		assert_false(was_broken);
		prove();
	}
	(void)kit_ask(&kit, "DEL", SUSPECT, NULL);
	(void)kit_ask(&kit, "SET", SUSPECT, "no set", NULL);
	put("a1", NULL, "two", "13", false);
	assert_int_equal(written(), 1);
	assert_false(was_broken);
	assert_string_equal(kit_ask(&kit, "EXISTS", SUSPECT, NULL), "0");
	(void)kit_ask(&kit, "SET", META, "no hash", NULL);
	put("a1", NULL, "three", "14", false);
	flush();
	assert_true(over);
	hold(NONCE_B); /* which makes it anew */
	assert_string_equal(kit_ask(&kit, "HGET", META, "token", NULL), lease.token);
	assert_string_equal(kit_ask(&kit, "EXISTS", LOG, NULL), "0");
	assert_string_equal(kit_ask(&kit, "EXISTS", EVENT "API:a1", NULL), "1");
}

static void on_named(void *arg, const struct redis_reply *r, const struct err *lost)
{
	UNUSED(arg);
	UNUSED(r);
	UNUSED(lost);
	replied = true;
}

static int learned; /* of a1: 1 whole, 0 lost, -1 not named */

static void on_manifest(void *arg, const struct redis_reply *r, const struct err *lost)
{
	size_t i;

	UNUSED(arg);
	assert_null(lost);
	learned = -1;
	for (i = 0; i < redis_count(r); i++) {
		const struct redis_reply *one = redis_at(r, i);
		struct stamp st;
		size_t n = 0;
		const char *p = redis_str(redis_at(one, 2), &n);
		uint64_t score = 0;

		if (redis_is(redis_at(one, 0), "API:a1"))
			learned = redis_u64(redis_at(one, 1), &score) && stamp_read(&st, p, n) &&
				  st.revision == score;
	}
	replied = true;
}

/* A stamp that is none, or of another revision than the log's: it is lost. */
static void a_load_learns_what_is_lost(void **state)
{
	static const int want[ARRAY_LEN(damages)] = { 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, -1, 0 };
	struct redis_cmd c;
	unsigned i;

	UNUSED(state);
	found_zone();
	for (i = 0; i < ARRAY_LEN(damages); i++) {
		do_damage(&damages[i]);
		replied = false;
		zone_call(zone, &c, SCRIPT_MANIFEST, LOG, NULL);
		redis_cmd_str(&c, "0");
		redis_cmd_str(&c, "1000");
		redis_cmd_str(&c, EVENT);
		assert_int_equal(zone_send(zone, &c, on_manifest, NULL), 0);
		kit_until(&kit, &replied);
		if (learned != want[i])
			fail_msg("%s: %d", damages[i].what, learned);
		put("a1", NULL, "one", "10", true);
		(void)written();
	}
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

static void k1_is(const char *action, const char *version)
{
	const char *stamp;

	assert_string_equal(kit_ask(&kit, "HGET", EVENT "API:a1:API_KEY:k1", "syncAction", NULL),
			    action);
	stamp = stamp_of("API:a1:API_KEY:k1");
	assert_string_equal(strrchr(stamp, ' ') + 1, version);
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
	k1_is("UNDEPLOY", "15");
	take_back("k1", "a1", "17", false); /* something newer says so too */
	take_back("k1", "a1", "16", false);
	take_back("k1", "a1", "", false);
	assert_int_equal(written(), 0);
	k1_is("UNDEPLOY", "17");
	put("k1", "a1", "new", "18", false);
	assert_int_equal(written(), 1);
	prove();
	take_back("k1", "a1", "20", false);
	put("k1", "a1", "repair", "5", true);
	assert_int_equal(written(), 2);
	prove();
	take_back("k1", "a1", VERSION_ABSENT, false);
	assert_int_equal(written(), 1);
	k1_is("UNDEPLOY", "absent");
	put("k1", "a1", "there again", "5", false);
	assert_int_equal(written(), 1);
	prove();
}

/* What hangs on an API goes with it, and comes back with it, as old as it is. */
static void what_went_with_its_reference_comes_back_as_it_was(void **state)
{
	UNUSED(state);
	found_zone();
	assert_true(children("a1", 8));
	take_back("a1", NULL, "30", false);
	assert_int_equal(written(), 2);
	k1_is("UNDEPLOY", "");
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
	refill_begin("l1");
	put("a1", NULL, "one", "10", true); /* made now, written later */
	from = atoll(
		kit_ask(&kit, "EVAL",
			"local t = redis.call('TIME') return string.format('%.0f', t[1] * 1000 "
			"+ math.floor(t[2] / 1000) + 1)",
			"0", NULL));
	while (clock_wall_ms() <= from)
		(void)usleep(1000);
	open_page.sync_state = true;
	assert_int_equal(written(), 1);
	made = atoll(kit_ask(&kit, "HGET", EVENT "API:a1", "updatedAt", NULL));
	assert_true(made >= from);
	made = atoll(kit_ask(&kit, "HGET", "distributed_sync_state:z", "to", NULL));
	assert_true(made >= from);
}

/* A page in a half-dead socket: each attempt ends all older ones, whatever is in it. */
static void a_late_copy_of_a_page_changes_nothing(void **state)
{
	char *turn;
	unsigned i;

	UNUSED(state);
	found_zone();
	for (i = 0; i < 2; i++) {
		/* The look of the attempt, as an old connection has it. */
		turn = mem_printf("%s:%u", lease.token, i);
		assert_string_equal(kit_ask(&kit, "SET", TURN, turn, "PX", "20000", NULL), "OK");
		mem_free(turn);
		assert_string_equal(kit_ask(&kit, "WATCH", TURN, META, NULL), "OK");
		/* The same, or something else, took effect by the next. */
		put("a2", NULL, i == 0 ? "late" : "other", "1", true);
		assert_int_equal(written(), 1);
		(void)kit_ask(&kit, "MULTI", NULL);
		(void)kit_ask(&kit, "HSET", EVENT "API:a2", "payload", "late", NULL);
		(void)kit_ask(&kit, "HSET", META, "batch", "9", NULL);
		assert_string_equal(kit_ask(&kit, "EXEC", NULL), "-");
		prove();
	}
	/* And one that was only overtaken: nothing was written since. */
	assert_string_equal(kit_ask(&kit, "WATCH", TURN, META, NULL), "OK");
	assert_string_equal(kit_ask(&kit, "HGET", META, "batch", NULL), "3");
	(void)kit_ask(&kit, "MULTI", NULL);
	(void)kit_ask(&kit, "PING", NULL);
	assert_string_equal(kit_ask(&kit, "EXEC", NULL), "(PONG)");
}

/* All that was asked for on the connection of the pen is answered. */
static void answer_all(void)
{
	replied = false;
	assert_int_equal(redis_sendv(zone_conn_redis(zone), on_named, NULL, "PING", NULL), 0);
	kit_until(&kit, &replied);
}

/* A page whose turn another attempt took after its look is called off, and sent again. */
static void a_page_that_is_called_off_is_sent_again(void **state)
{
	static const char *const keys[] = { TURN, META };
	unsigned i;

	UNUSED(state);
	found_zone();
	for (i = 0; i < ARRAY_LEN(keys); i++) {
		(void)kit_ask(&kit, "CONFIG", "RESETSTAT", NULL);
		put("a2", NULL, keys[i], "1", true);
		post();
		zone_sink_extend(pen, 0); /* what it finds waits */
		answer_all();
		if (i == 0)
			(void)kit_ask(&kit, "SET", TURN, "another", "PX", "20000", NULL);
		else
			(void)kit_ask(&kit, "HSET", META, "mark", "another", NULL);
		zone_sink_extend(pen, clock_boot_ms() + 600000);
		assert_int_equal(written(), 1);
		assert_non_null(strstr(kit_ask(&kit, "INFO", "commandstats", NULL),
				       "cmdstat_exec:calls=2"));
		prove();
		assert_int_equal(page.head.revision, 3 + i);
	}
}

/* Its answer was lost with the connection, and so was what failed alone: all of it is looked at. */
static void what_took_effect_already_is_read_back(void **state)
{
	UNUSED(state);
	found_zone();
	(void)kit_ask(&kit, "SET", EVENT "API:a2", "in the way", NULL);
	put("a2", NULL, "x", "1", false);
	put("a3", NULL, "x", "1", false);
	post();
	zone_sink_extend(pen, 0);
	answer_all();
	assert_int_equal(
		redis_sendv(zone_conn_redis(zone), on_named, NULL, "CLIENT", "REPLY", "OFF", NULL),
		0);
	zone_sink_extend(pen, clock_boot_ms() + 600000);
	while (!str_equal(kit_ask(&kit, "HGET", META, "batch", NULL), "2"))
		continue;
	assert_int_equal(done_count, 1);
	redis_fail(zone_conn_redis(zone), ERR_TIMEOUT, "by the test");
	/* Two of the page, and once more what was in the way: not the other. */
	assert_int_equal(written(), 3);
	assert_int_equal(last.number, 3);
	prove();
	assert_int_equal(page.head.digest.count, 4);
	assert_string_equal(stamp_of("API:a3"), "4  1");
}

static void a_refill_broken_off_and_begun_again_forgets_nobody(void **state)
{
	UNUSED(state);
	found_zone();
	put("a2", NULL, "two", "1", false);
	put("a3", NULL, "three", "1", false);
	assert_int_equal(written(), 2);
	hold(NONCE_B); /* the first one dies in the middle */
	refill_begin("l2");
	put("a1", NULL, "one", "10", true);
	assert_int_equal(written(), 1);
	read_page(&(struct position){ 0 }, 0);
	assert_int_equal(page.head.complete, ZONE_FILLING);
	assert_int_equal(follow_judge(&page.head, &(struct position){ 0 }, ""), FOLLOW_WAIT);
	hold(NONCE_A);
	refill_begin("l3");
	assert_int_equal(written(), 0);
	/* Nobody's score meets another's: who pages through by score sees everyone. */
	assert_string_equal(kit_ask(&kit, "ZRANGE", OLD_LOG, "0", "-1", "WITHSCORES", NULL),
			    "(API:a1:API_KEY:k1 2 API:a2 3 API:a3 4 API:a1 5)");
	put("a1", NULL, "one", "10", true);
	page_keep(&open_page, &known, "API:a1:API_KEY:k1");
	take_back("a2", NULL, "", false);
	take_back("a3", NULL, "", false);
	page_refill_end(&open_page, false);
	assert_int_equal(written(), 4);
	assert_string_equal(stamp_of("API:a1:API_KEY:k1"), "7 k 10");
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
		{ "payload", "other" },	      { "type", "KEY" }, { "id", "a9" },
		{ "syncAction", "UNDEPLOY" }, { "zs", "short" },
	};
	unsigned i;

	UNUSED(state);
	found_zone();
	for (i = 0; i < ARRAY_LEN(fields); i++) {
		char was[64];

		str_copy(was, sizeof(was),
			 kit_ask(&kit, "HGET", EVENT "API:a1", fields[i][0], NULL));
		if (i == 4) /* binary: not to be put back */
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
#define EV(name, rev) "{" name "," rev ",'a1','API','DEPLOY','1','h','p'}"
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

static void many_pages_survive_killed_connections(void **state)
{
	unsigned sent = 0;
	unsigned kills = 0;

	UNUSED(state);
	found_zone();
	while (sent < 300) {
		char id[16];

		(void)snprintf(id, sizeof(id), "m%u", sent++);
		put(id, NULL, "payload", "1", false);
		post();
		if (sent / 40 > kills && kills++ < 7)
			(void)kit_ask(&kit, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes",
				      NULL);
		progress = zone_sink_is_free(pen);
		kit_until(&kit, &progress);
		if (troubled || over)
			fail_msg("%s", why_over.text);
	}
	flush();
	assert_false(over);
	assert_int_equal(last.number, 301);
	assert_true(kills >= 5);
	prove();
	assert_int_equal(page.head.digest.count, 302);
	assert_int_equal(page.head.revision, 302); /* no effect twice */
}

/* Case M8 of CONFORMANCE.md: however much waits, so many writes are on the way. */
static void one_page_is_on_the_way(void **state)
{
	UNUSED(state);
	found_zone();
	assert_true(zone_sink_is_free(pen));
	put("w1", NULL, "payload", "1", false);
	post();
	assert_false(zone_sink_is_free(pen));
	assert_int_equal(done_count, 1);
	flush();
	assert_true(zone_sink_is_free(pen));
	assert_int_equal(last.number, 2);
}

/* Cases R3 and R4: what became of the connection is no refusal; it has its effect once. */
static void a_write_whose_connection_ends_twice_is_written_once(void **state)
{
	unsigned i;

	UNUSED(state);
	found_zone();
	put("a2", NULL, "x", "1", false);
	post();
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
	post();
	kit_until(&kit, &troubled);
	assert_false(over);
	assert_int_equal(why_over.code, ERR_REMOTE);
	assert_non_null(strstr(why_over.text, "NOPERM"));
	troubled = false;
	(void)kit_ask(&kit, "CONFIG", "RESETSTAT", NULL);
	put("a3", NULL, "x", "1", false);
	assert_null(strstr(kit_ask(&kit, "INFO", "commandstats", NULL), "multi"));
	(void)kit_ask(&kit, "ACL", "SETUSER", "default", "~*", NULL);
	zone_sink_up(pen);
	flush();
	assert_false(over || troubled);
	assert_int_equal(last.number, 3);
}

static void nothing_is_sent_after_the_deadline(void **state)
{
	UNUSED(state);
	found_zone();
	zone_sink_extend(pen, 0);
	put("late", NULL, "x", "1", false);
	post();
	assert_string_equal(kit_ask(&kit, "HGET", META, "batch", NULL), "1");
	assert_false(zone_sink_is_free(pen));
	zone_sink_extend(pen, clock_boot_ms() + 600000);
	flush();
	assert_string_equal(kit_ask(&kit, "HGET", META, "batch", NULL), "2");
}

static void a_newer_lease_ends_the_writer(void **state)
{
	char old[TOKEN_BYTES];

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
	zone_sink_extend(pen, 0);
	put("never", NULL, "x", "1", false);
	post();
	redis_fail(zone_conn_redis(zone), ERR_TIMEOUT, "by the test");
	zone_sink_extend(pen, clock_boot_ms() + 600000);
	kit_until(&kit, &over);
	assert_int_equal(why_over.code, ERR_FENCED);
	assert_int_equal(done_count, before);
}

/* The same process is promoted again while answers are on their way. */
static void answers_of_an_old_token_are_not_the_new_ones(void **state)
{
	char fresh[TOKEN_BYTES];

	UNUSED(state);
	found_zone();
	acquire(NONCE_B, NONCE_A, NULL, 0);
	str_copy(fresh, sizeof(fresh), lease.token);
	put("x1", NULL, "x", "1", false);
	post();		     /* will be FENCED */
	known_reset(&known); /* it learns anew what there is */
	known.revision = 2;
	str_copy(known.lineage, sizeof(known.lineage), "l1");
	begin_pen(fresh);
	put("y1", NULL, "y", "1", false);
	flush();
	assert_false(over);
	assert_int_equal(last.number, 1);
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
	assert_string_equal(kit_ask(&kit, "KEYS", "*", NULL), "(" TURN ")"); /* for a while */
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

static void a_full_redis_refuses_and_gets_every_page_later(void **state)
{
	unsigned i;

	UNUSED(state);
	found_zone();
	(void)kit_ask(&kit, "CONFIG", "SET", "maxmemory", "1", NULL);
	for (i = 0; i < 3; i++) {
		char id[8];

		(void)snprintf(id, sizeof(id), "a%u", i + 2);
		put(id, NULL, "x", "1", false);
		if (i == 0) /* what waits behind the refused one is written later */
			post();
	}
	kit_until(&kit, &troubled);
	assert_false(over);
	assert_int_equal(why_over.code, ERR_FULL);
	(void)kit_ask(&kit, "CONFIG", "SET", "maxmemory", "0", NULL);
	zone_sink_up(pen);
	flush();
	assert_false(over);
	prove();
	assert_int_equal(page.head.revision, 5);
}

static void forgotten_scripts_are_loaded_again(void **state)
{
	const struct position pos = { 0 };
	const struct follow_ask ask = { &pos, pos.token, 1 };

	UNUSED(state);
	found_zone();
	downed = up = false;
	(void)kit_ask(&kit, "SCRIPT", "FLUSH", NULL);
	replied = false;
	assert_int_equal(follow_read(zone, &ask, on_page, NULL), 0);
	kit_until(&kit, &downed);
	kit_until(&kit, &up);
	put("a2", NULL, "x", "1", false);
	assert_int_equal(written(), 1);
	prove();
}

static void a_server_that_became_a_replica_is_left(void **state)
{
	UNUSED(state);
	found_zone();
	downed = false;
	(void)kit_ask(&kit, "REPLICAOF", "localhost", "1", NULL);
	put("a2", NULL, "x", "1", false);
	post();
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
	probe_info(&seen, info);
	assert_non_null(strstr(seen.refused, "cluster mode"));
	seen = (struct probe){ 0 };
	probe_info(&seen, "cluster_enabled:1");
	assert_non_null(strstr(seen.refused, "cluster mode"));
}

static void reopen_as(const char *user)
{
	zone_conn_close(&zone);
	zone_sink_free(&pen);
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
	assert_non_null(strstr(seen.barred, "+@transaction"));
	(void)kit_ask(&kit, "ACL", "SETUSER", "u", "+@transaction", NULL);
	ask_probe();
	assert_string_equal(seen.barred, "");
}

/* Case: ACL without SCRIPT or EVALSHA, and a server on which they have another name. */
static void a_server_that_bars_scripts_is_told_the_cure(void **state)
{
	const struct position pos = { 0 };
	const struct follow_ask ask = { &pos, pos.token, 1 };
	static const char *const renamed[] = { "--rename-command", "SCRIPT", "", NULL };

	UNUSED(state);
	(void)kit_ask(&kit, "ACL", "SETUSER", "u", "on", ">pw", "~*", "&*", "+@all", "-script",
		      NULL);
	zone_conn_close(&zone);
	zone_sink_free(&pen);
	open_zone("u", "pw");
	kit_until(&kit, &downed);
	assert_non_null(strstr(why_down.text, "+script|load +evalsha"));
	(void)kit_ask(&kit, "ACL", "SETUSER", "u", "+script", "-evalsha", NULL);
	kit_until(&kit, &up);
	replied = false;
	assert_int_equal(follow_read(zone, &ask, on_page, NULL), 0);
	kit_until(&kit, &replied);
	assert_int_equal(page_rc, ERR_REMOTE);
	assert_non_null(strstr(page_why.text, "+script|load +evalsha"));
	zone_conn_close(&zone);
	kit_kill(&kit);
	kit_start(&kit, renamed);
	open_zone(NULL, NULL);
	do { /* it may be on its way up */
		downed = false;
		kit_until(&kit, &downed);
	} while (strstr(why_down.text, "connect") != NULL);
	assert_non_null(strstr(why_down.text, "+script|load +evalsha"));
	assert_null(strstr(why_down.text, "KEYS"));
	assert_null(strstr(why_down.text, "zone lease"));
}

static void a_user_without_the_channel_still_writes_whole_pages(void **state)
{
	UNUSED(state);
	(void)kit_ask(&kit, "ACL", "SETUSER", "u", "on", ">pw", "~*", "resetchannels", "+@read",
		      "+@write", "+@scripting", "+@pubsub", "+@transaction", "+@connection",
		      "+info", "+time", NULL);
	reopen_as("u");
	found_zone();
	put("a2", NULL, "x", "1", false);
	page_field(&open_page, PAGE_CURSOR, "c", "v");
	assert_int_equal(written(), 1);
	prove();
	assert_string_equal(kit_ask(&kit, "HGET", META, "batch", NULL), "2");
	release(lease.token);
	assert_int_equal(lease.answer, LEASE_FREE);
}

#define HASH "D0123456789abcdef"

static void a_stamp_is_read_as_it_was_written_or_not_at_all(void **state)
{
	static const char *const bad[] = { "",
					   "D",
					   HASH,
					   HASH "1",
					   HASH "1 ",
					   HASH " k 1",
					   HASH "-1  1",
					   HASH "x  1",
					   HASH "18446744073709551616  1",
					   "X0123456789abcdef1  1",
					   "\0000123456789abcdef1  1" };
	struct stamp st = {
		.revision = UINT64_MAX, .kept = true, .version = "a b", .version_len = 3
	};
	struct stamp out;
	struct buf b = { 0 };
	size_t i;

	UNUSED(state);
	st.hash.b[0] = 'U';
	stamp_write(&b, &st);
	assert_true(stamp_read(&out, b.data, b.len));
	assert_true(out.revision == UINT64_MAX && out.kept && hash_equal(&out.hash, &st.hash));
	assert_int_equal(out.version_len, 3);
	assert_memory_equal(out.version, "a b", 3);
	assert_true(stamp_read(&out, HASH "7  ", sizeof(HASH) + 2));
	assert_true(out.revision == 7 && !out.kept && out.version_len == 0);
	assert_true(
		stamp_read(&out, HASH "7 zkz 1", sizeof(HASH) + 6)); /* marks of a later minor */
	assert_true(out.kept);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(
			stamp_read(&out, bad[i], i + 1 == ARRAY_LEN(bad) ? 21 : strlen(bad[i])));
	assert_false(stamp_read(&out, HASH "7  a\0b", sizeof(HASH) + 5));
	assert_false(stamp_read(&out, NULL, 0));
	buf_reset(&b);
}

#undef HASH

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
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_lease_is_won_renewed_and_given_back),
		T(a_look_at_the_lease_takes_nothing),
		T(a_lease_is_taken_over_or_broken_by_compare_only),
		T(a_write_shows_in_log_stamp_count_and_digest),
		T(equal_content_takes_no_revision),
		T(a_lower_version_never_replaces_a_higher_one),
		T(an_undeploy_keeps_the_payload_and_leaves_the_digest),
		T(children_go_in_bounded_steps),
		T(a_purge_forgets_tombstones_and_moves_the_horizon),
		T(what_is_written_over_damage_is_counted_once),
		T(a_damaged_tombstone_is_mended_whole),
		T(children_that_were_lost_leave_the_sums_right),
		T(other_sums_are_corrected_by_the_first_page),
		T(the_key_of_a_wrong_type_is_named),
		T(keys_of_a_wrong_type_lead_to_a_refill),
		T(a_load_learns_what_is_lost),
		T(suspects_are_bounded),
		T(a_deploy_must_be_above_what_withdrew_it),
		T(what_went_with_its_reference_comes_back_as_it_was),
		T(events_have_the_time_of_the_server),
		T(a_late_copy_of_a_page_changes_nothing),
		T(a_page_that_is_called_off_is_sent_again),
		T(what_took_effect_already_is_read_back),
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
		T(many_pages_survive_killed_connections),
		T(one_page_is_on_the_way),
		T(a_write_whose_connection_ends_twice_is_written_once),
		T(a_write_that_is_refused_is_told_and_waits),
		T(nothing_is_sent_after_the_deadline),
		T(a_newer_lease_ends_the_writer),
		T(batches_of_another_epoch_are_not_taken_for_ours),
		T(answers_of_an_old_token_are_not_the_new_ones),
		T(a_redis_that_forgot_is_noticed),
		T(a_tail_that_was_lost_is_noticed_with_the_lease_alive),
		T(a_full_redis_refuses_and_gets_every_page_later),
		T(forgotten_scripts_are_loaded_again),
		T(a_server_that_became_a_replica_is_left),
		T(a_plain_server_is_fit_and_told_to_keep_its_data),
		T(an_evicting_server_is_barred),
		T(a_replica_is_refused),
		cmocka_unit_test(cluster_mode_is_refused),
		T(a_user_without_rights_is_told_the_cure),
		T(a_server_that_bars_scripts_is_told_the_cure),
		T(a_user_without_the_channel_still_writes_whole_pages),
		cmocka_unit_test(a_stamp_is_read_as_it_was_written_or_not_at_all),
		cmocka_unit_test(zone_ids_that_cannot_be_keys_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
