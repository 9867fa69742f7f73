/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/publish/outbox.h"
#include "workers/fetcher/publish/page.h"

/* --- a naive zone: what a page does to it, and what it must be then --- */

struct stored { /* under one name */
	struct event ev;
	struct hash hash;
	uint64_t revision; /* 0: no log names it */
};

struct zone {
	struct table names; /* -> stored, owned */
	uint64_t revision, horizon;
	uint64_t pages, effective;
};

static struct zone zone;
static struct known known;
static struct outbox box;
static struct outbox_item *undeploy; /* under way, in pages */
static struct table told;	     /* name -> payload, owned: live as the source says */
static unsigned seed;
static uint64_t version; /* grows with each word of the source */

static unsigned any(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

static void take_record(const struct page_record *r, bool forced)
{
	struct stored *s = table_get(&zone.names, r->name);
	struct buf payload = { 0 };

	if (r->what == RECORD_FORGET) {
		assert_non_null(s);
		assert_int_equal(s->ev.action, ACTION_UNDEPLOY);
		assert_int_equal(s->revision, r->revision);
		(void)table_del(&zone.names, r->name);
		event_reset(&s->ev);
		mem_free(s);
		return;
	}
	if (r->what == RECORD_VERSION) {
		assert_non_null(s);
		assert_true(hash_equal(&s->hash, &r->hash));
		assert_int_equal(s->revision, r->revision);
	} else {
		assert_int_equal(r->revision, ++zone.revision);
		zone.effective++;
		/* Equal is what takes no revision. */
		assert_false(!forced && s != NULL && s->revision > 0 && !r->damaged &&
			     hash_equal(&s->hash, &r->hash));
	}
	if (r->what == RECORD_KEEP)
		assert_true(s != NULL && s->revision == 0 && hash_equal(&s->hash, &r->hash));
	if (s == NULL) {
		s = mem_zalloc(sizeof(*s));
		(void)table_set(&zone.names, r->name, s);
	}
	if (r->ev.action == ACTION_DEPLOY && r->what != RECORD_KEEP)
		buf_add(&payload, r->ev.payload.data, r->ev.payload.len);
	else
		buf_add(&payload, s->ev.payload.data, s->ev.payload.len);
	event_reset(&s->ev);
	s->ev = (struct event){ .kind = r->ev.kind,
				.action = r->ev.action,
				.id = mem_strdup(r->ev.id),
				.ref_id = mem_strdup(r->ev.ref_id),
				.version = mem_strdup(r->ev.version),
				.payload = payload };
	s->hash = r->hash;
	s->revision = r->revision;
}

/* What Redis and a follower see: every record whole, each revision once, count and digest. */
static void check_zone(const struct zone_page *p)
{
	struct digest d = { 0 };
	struct buf seen = { 0 };
	const char *name;
	size_t at = 0;
	void *v;

	buf_reserve(&seen, zone.revision + 1);
	memset(seen.data, 0, zone.revision + 1);
	while (table_next(&zone.names, &at, &name, &v)) {
		const struct stored *s = v;
		const struct known_entry *e = known_get(&known, name);
		struct hash real;

		if (s->revision == 0)
			continue;
		event_hash(&real, &s->ev);
		assert_true(hash_equal(&real, &s->hash));
		assert_true(s->revision <= zone.revision && seen.data[s->revision] == 0);
		seen.data[s->revision] = 1;
		digest_add(&d, &s->hash);
		assert_non_null(e);
		assert_true(hash_equal(&e->there, &s->hash));
		assert_int_equal(e->revision, s->revision);
	}
	buf_reset(&seen);
	assert_int_equal(p->revision, zone.revision);
	assert_true(digest_equal(&d, &p->sums));
}

static void send(struct zone_page *p, bool forced)
{
	size_t at = 0;
	size_t i;
	void *v;

	page_close(p, &known);
	assert_true(p->n <= p->most);
	assert_int_equal(p->base, zone.revision);
	zone.pages++;
	while (p->begins && table_next(&zone.names, &at, NULL, &v))
		((struct stored *)v)->revision = 0;
	for (i = 0; i < p->n; i++)
		take_record(&p->records[i], forced);
	assert_true(p->horizon >= zone.horizon);
	zone.horizon = p->horizon;
	check_zone(p);
	page_drop(p);
}

/* --- the source speaks, and what waits is sent --- */

static void name_of(struct buf *b, const struct event *ev)
{
	char *name = event_name(ev->kind, ev->id, ev->ref_id);

	buf_clear(b);
	buf_adds(b, name);
	mem_free(name);
}

static struct event make(enum action a, enum kind k, const char *id, const char *ref)
{
	struct event ev = { .kind = k, .action = a };

	ev.id = mem_strdup(id);
	ev.ref_id = mem_strdup(ref);
	ev.version = mem_printf("%" PRIu64, ++version);
	return ev;
}

static void deploy(enum kind k, const char *id, const char *ref, const char *payload, bool forced)
{
	struct event ev = make(ACTION_DEPLOY, k, id, ref);
	struct known_entry *e;
	struct buf name = { 0 };
	struct hash h;

	buf_adds(&ev.payload, payload);
	event_hash(&h, &ev);
	name_of(&name, &ev);
	mem_free(table_set(&told, buf_cstr(&name), mem_strdup(payload)));
	e = known_put(&known, buf_cstr(&name), k, ref);
	known_set(&known, e, &h, ev.version);
	e->pass = 1;
	outbox_add(&box, &ev, &h, forced ? OUTBOX_FORCED : OUTBOX_PLAIN);
	buf_reset(&name);
}

static void withdraw(enum kind k, const char *id, const char *ref)
{
	struct event ev = make(ACTION_UNDEPLOY, k, id, ref);
	struct buf name = { 0 };
	struct known_entry *e;
	char *prefix = mem_printf("API:%s:", id);
	const char *at_name;
	size_t at = 0;
	void *v;

	name_of(&name, &ev);
	e = known_get(&known, buf_cstr(&name));
	if (e != NULL && known_live(e)) {
		mem_free(table_del(&told, buf_cstr(&name)));
		while (k == KIND_API && table_next(&told, &at, &at_name, &v))
			if (str_starts(at_name, prefix))
				mem_free(table_del(&told, at_name));
		known_withdraw(&known, e, ev.version);
		if (k == KIND_API)
			known_withdraw_children(&known, id);
		outbox_add(&box, &ev, &(struct hash){ { 'U' } }, OUTBOX_PLAIN);
	}
	mem_free(prefix);
	event_reset(&ev);
	buf_reset(&name);
}

static bool goes_on(struct zone_page *p)
{
	if (undeploy == NULL)
		return true;
	if (!page_children(p, &known, undeploy->ev.id) || !page_has_room(p, 0))
		return false;
	page_withdraw(p, &known, &undeploy->ev, false);
	outbox_item_free(undeploy);
	undeploy = NULL;
	return true;
}

/* One page of what waits; false: nothing did. */
static bool pump(size_t most, bool forced)
{
	struct zone_page p;

	page_begin(&p, &known, most, 1);
	while (goes_on(&p) && page_has_room(&p, 0)) {
		struct outbox_item *i = outbox_take(&box);

		if (i == NULL)
			break;
		if (i->ev.kind == KIND_API && i->ev.action == ACTION_UNDEPLOY) {
			undeploy = i;
			continue;
		}
		if (i->ev.action == ACTION_DEPLOY)
			page_deploy(&p, &known, &i->ev, &i->hash, i->how == OUTBOX_FORCED);
		else
			page_withdraw(&p, &known, &i->ev, false);
		outbox_item_free(i);
	}
	if (page_is_empty(&p)) {
		page_drop(&p);
		return false;
	}
	send(&p, forced);
	return true;
}

static void drain(bool forced)
{
	while (pump(1 + any(8), forced))
		continue;
	assert_int_equal(box.len, 0);
	assert_null(undeploy);
}

/* Whatever was said: what is live, and with what, is what the source said last. */
static void check_contents(void)
{
	const char *name;
	size_t live = 0;
	size_t at = 0;
	void *v;

	while (table_next(&zone.names, &at, &name, &v)) {
		struct stored *s = v;
		const char *payload = table_get(&told, name);

		if (s->revision == 0)
			continue;
		assert_int_equal(s->ev.action == ACTION_DEPLOY, payload != NULL);
		if (payload != NULL)
			assert_string_equal(buf_cstr(&s->ev.payload), payload);
		live += payload != NULL;
	}
	assert_int_equal(live, told.len);
}

static void say_something(bool forced)
{
	static const char *const refs[] = { "a", "b", "c" };
	const char *ref = refs[any(ARRAY_LEN(refs))];
	enum kind child = any(2) == 0 ? KIND_API_KEY : KIND_SUBSCRIPTION;
	char id[8];
	char payload[16];

	(void)snprintf(id, sizeof(id), "%u", any(6));
	(void)snprintf(payload, sizeof(payload), "p%u", any(3));
	switch (any(6)) {
	case 0:
		deploy(KIND_API, ref, NULL, payload, forced && any(2) == 0);
		break;
	case 1:
		withdraw(KIND_API, ref, NULL);
		break;
	case 2:
		withdraw(child, id, ref);
		break;
	case 3:
		deploy(KIND_DICTIONARY, id, NULL, payload, forced && any(2) == 0);
		break;
	default:
		deploy(child, id, ref, payload, forced && any(2) == 0);
		break;
	}
}

static void purge_some(void)
{
	struct zone_page p;
	const char *name;
	size_t at = 0;
	void *v;

	page_begin(&p, &known, 4, 1);
	while (table_next(&known.names, &at, &name, &v)) {
		const struct known_entry *e = v;
		uint64_t revision = e->revision;

		if (page_has_room(&p, 0) && any(4) == 0)
			page_purge(&p, &known, name, revision - (any(8) == 0));
	}
	send(&p, false);
}

/* A new lineage: some are written, some could not be read, the others are gone. */
static void refill(void)
{
	struct zone_page p;
	const char *name;
	size_t at = 0;
	void *v;

	page_begin(&p, &known, 512, 1);
	page_refill_begin(&p, &known, "next");
	send(&p, false);
	assert_int_equal(known.sums.count, 0);
	while (table_next(&known.names, &at, NULL, &v))
		((struct known_entry *)v)->pass = 0;
	while (any(20) > 0)
		say_something(true);
	drain(true);
	page_begin(&p, &known, 512, 1);
	at = 0;
	while (table_next(&known.names, &at, &name, &v)) {
		const struct known_entry *e = v;
		struct event ev = { .action = ACTION_UNDEPLOY };
		const char *id = NULL;

		if (e->pass == 1)
			continue;
		if (any(2) == 0 && (known_live(e) || e->hash.b[0] == 'U')) {
			page_keep(&p, &known, name);
			continue;
		}
		assert_int_equal(event_name_parse(name, known_ref_id(e), &ev.kind, &id, NULL), 0);
		ev.id = mem_strdup(id);
		ev.ref_id = mem_strdup(known_ref_id(e));
		known_withdraw(&known, v, "absent");
		mem_free(table_del(&told, name));
		page_withdraw(&p, &known, &ev, false);
	}
	page_refill_end(&p, false);
	send(&p, true);
	/* Nobody is left behind. */
	at = 0;
	while (table_next(&zone.names, &at, NULL, &v))
		assert_true(((struct stored *)v)->revision > 0);
}

static void reset_all(void)
{
	size_t at = 0;
	void *v;

	while (table_next(&zone.names, &at, NULL, &v)) {
		event_reset(&((struct stored *)v)->ev);
		mem_free(v);
	}
	table_reset(&zone.names);
	at = 0;
	while (table_next(&told, &at, NULL, &v))
		mem_free(v);
	table_reset(&told);
	outbox_reset(&box);
	known_reset(&known);
	zone = (struct zone){ 0 };
	version = 0;
}

/* As after a fail-over: all that is known is what the zone holds. */
static void learn_anew(void)
{
	struct known next = { .revision = zone.revision, .horizon = zone.horizon };
	const char *name;
	size_t at = 0;
	void *v;

	while (table_next(&zone.names, &at, &name, &v)) {
		const struct stored *s = v;
		struct known_entry *e = known_put(&next, name, s->ev.kind, s->ev.ref_id);

		known_learn(&next, e, &s->hash, s->revision);
		if (s->ev.action == ACTION_DEPLOY)
			known_set(&next, e, &s->hash, s->ev.version);
		else
			known_withdraw(&next, e, s->ev.version);
	}
	assert_true(digest_equal(&next.sums, &known.sums));
	known_reset(&known);
	known = next;
}

static void whatever_is_said_the_zone_is_what_a_naive_one_is(void **state)
{
	uint64_t pages = 0;
	uint64_t effective = 0;
	unsigned walk;
	unsigned i;

	UNUSED(state);
	for (walk = 1; walk <= 200; walk++) {
		seed = walk;
		for (i = 0; i < 60; i++) {
			unsigned what = any(24);

			if (what < 16)
				say_something(false);
			else if (what < 20)
				(void)pump(1 + any(5), false);
			else
				drain(false);
			if (what == 20)
				purge_some();
			if (what == 21 && any(3) == 0)
				refill();
			if (what == 22)
				learn_anew();
			if (what >= 20)
				check_contents();
		}
		drain(false);
		check_contents();
		pages += zone.pages;
		effective += zone.effective;
		reset_all();
	}
	assert_true(pages > 3000 && effective > 5000);
}

/* --- one by one --- */

static void equal_content_takes_no_revision_and_brings_its_version(void **state)
{
	struct zone_page p;
	struct stored *s;
	struct event ev;

	UNUSED(state);
	seed = 1;
	deploy(KIND_API, "a", NULL, "one", false);
	drain(false);
	deploy(KIND_API, "a", NULL, "one", false);
	drain(false);
	assert_int_equal(zone.revision, 1);
	s = table_get(&zone.names, "API:a");
	assert_string_equal(s->ev.version, "2");
	deploy(KIND_API, "a", NULL, "one", true); /* whatever is there */
	drain(true);
	assert_int_equal(zone.revision, 2);
	withdraw(KIND_API, "a", NULL);
	withdraw(KIND_API, "a", NULL);
	drain(false);
	assert_int_equal(zone.revision, 3);
	assert_string_equal(s->ev.version, "4");
	/* A withdrawal that something newer says too. */
	page_begin(&p, &known, 8, 1);
	version = 8;
	ev = make(ACTION_UNDEPLOY, KIND_API, "a", NULL);
	page_withdraw(&p, &known, &ev, false);
	send(&p, false);
	assert_int_equal(zone.revision, 3);
	assert_string_equal(s->ev.version, "9");
	reset_all();
}

static void children_go_in_bounded_pages_and_the_parent_last(void **state)
{
	struct stored *s;
	char id[8];
	unsigned i;

	UNUSED(state);
	deploy(KIND_API, "a", NULL, "one", false);
	for (i = 0; i < 20; i++) {
		(void)snprintf(id, sizeof(id), "%u", i);
		deploy(KIND_API_KEY, id, "a", "key", false);
	}
	seed = 3;
	drain(false);
	withdraw(KIND_API, "a", NULL);
	for (i = 0; i < 4; i++) {
		assert_true(pump(5, false));
		s = table_get(&zone.names, "API:a");
		assert_int_equal(s->ev.action, ACTION_DEPLOY);
	}
	assert_true(pump(5, false));
	assert_false(pump(5, false));
	assert_int_equal(s->ev.action, ACTION_UNDEPLOY);
	assert_int_equal(s->revision, zone.revision);
	assert_int_equal(zone.revision, 42);
	s = table_get(&zone.names, "API:a:API_KEY:7");
	assert_string_equal(s->ev.version, ""); /* it comes back as old as it is */
	reset_all();
}

static void a_child_that_comes_back_meanwhile_is_buried_and_written(void **state)
{
	struct stored *s;

	UNUSED(state);
	deploy(KIND_API, "a", NULL, "one", false);
	deploy(KIND_API_KEY, "k", "a", "old", false);
	drain(false);
	deploy(KIND_API_KEY, "k", "a", "newer", false); /* is never sent */
	withdraw(KIND_API, "a", NULL);
	deploy(KIND_API, "a", NULL, "one", false);
	deploy(KIND_API_KEY, "k", "a", "newest", false);
	drain(false);
	check_contents();
	s = table_get(&zone.names, "API:a:API_KEY:k");
	assert_string_equal(buf_cstr(&s->ev.payload), "newest");
	assert_int_equal(zone.revision, 6); /* 2, two tombstones, 2 */
	reset_all();
}

static void a_purge_takes_the_tombstone_it_means_and_no_other(void **state)
{
	struct zone_page p;

	UNUSED(state);
	deploy(KIND_API, "a", NULL, "one", false);
	deploy(KIND_API, "b", NULL, "one", false);
	withdraw(KIND_API, "b", NULL);
	drain(false);
	deploy(KIND_API, "b", NULL, "two", false);
	drain(false);
	withdraw(KIND_API, "b", NULL);
	drain(false);
	page_begin(&p, &known, 8, 1);
	page_purge(&p, &known, "API:a", 1); /* lives */
	page_purge(&p, &known, "API:b", zone.revision - 1);
	page_purge(&p, &known, "API:nobody", 1);
	assert_true(page_is_empty(&p));
	page_purge(&p, &known, "API:b", zone.revision);
	send(&p, false);
	assert_int_equal(zone.horizon, zone.revision);
	assert_null(known_get(&known, "API:b"));
	reset_all();
}

static void a_large_entity_is_a_page_of_its_own(void **state)
{
	struct zone_page p;
	struct event ev;
	struct hash h;

	UNUSED(state);
	page_begin(&p, &known, PAGE_RECORDS, 1);
	assert_true(page_has_room(&p, 16U << 20));
	(void)known_put(&known, "API:a", KIND_API, NULL);
	ev = make(ACTION_DEPLOY, KIND_API, "a", NULL);
	event_hash(&h, &ev);
	page_deploy(&p, &known, &ev, &h, false);
	assert_true(page_has_room(&p, 0));
	assert_false(page_has_room(&p, PAGE_BYTES));
	page_drop(&p);
	reset_all();
}

/* What lay in the way of a record is gone with the next page, under a revision of its own. */
static void a_record_that_failed_is_written_again(void **state)
{
	struct zone_page p;
	struct zone_page next;

	UNUSED(state);
	deploy(KIND_API, "a", NULL, "one", false);
	page_begin(&p, &known, 8, 1);
	{
		struct outbox_item *i = outbox_take(&box);

		page_deploy(&p, &known, &i->ev, &i->hash, false);
		outbox_item_free(i);
	}
	page_close(&p, &known);
	zone.revision = 1;
	page_begin(&next, &known, 8, 1);
	page_again(&next, &known, &p.records[0]);
	assert_int_equal(next.n, 1);
	assert_true(next.records[0].damaged);
	assert_int_equal(next.records[0].revision, 2);
	page_drop(&p);
	send(&next, false);
	assert_int_equal(known.sums.count, 1);
	reset_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_is_said_the_zone_is_what_a_naive_one_is),
		cmocka_unit_test(equal_content_takes_no_revision_and_brings_its_version),
		cmocka_unit_test(children_go_in_bounded_pages_and_the_parent_last),
		cmocka_unit_test(a_child_that_comes_back_meanwhile_is_buried_and_written),
		cmocka_unit_test(a_purge_takes_the_tombstone_it_means_and_no_other),
		cmocka_unit_test(a_large_entity_is_a_page_of_its_own),
		cmocka_unit_test(a_record_that_failed_is_written_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
