/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "workers/fetcher/work.h"

/* --- events --- */

/* A withdrawal that is known already, said by something newer: it bars what is older. */
static void raise_version(struct fetcher *f, const char *name, struct known_entry *e,
			  const char *version)
{
	if (known_version_is(e, version) || known_is_newer(e, version))
		return;
	known_withdraw(&f->known, e, version);
	send_chore(f, CHORE_TOMBSTONE, name, e, version);
}

/*
 * Is what the source says older than what the zone holds, or than what withdrew it there? A
 * source that lags would take it back, and revive what was revoked. But what two comparisons in
 * a row found counts: clocks and restored databases would freeze a row for ever.
 */
static bool is_outdated(struct fetcher *f, const char *name, const struct known_entry *e,
			const char *version)
{
	uintptr_t first;

	if (f->refill != REFILL_NONE || e->repair || !known_is_newer(e, version))
		return false;
	if (f->reading.kind == PASS_DELTA)
		return true;
	first = (uintptr_t)table_get(&f->reading.lower, name);
	if (first != 0 && first + 1 == f->pass && !f->reading.lags)
		return false;
	(void)table_set(&f->reading.lower, name, (void *)(uintptr_t)f->pass);
	return true;
}

/* After a look at everything: what it did not find older again counts anew. */
static void settle_lower(struct fetcher *f)
{
	const char *name;
	size_t at = 0;
	void *v;

	while (table_next(&f->reading.lower, &at, &name, &v))
		if ((uintptr_t)v != f->pass)
			(void)table_del(&f->reading.lower, name);
}

/* Nothing to write: it is what the zone holds, or older than that. A version of a file is a
   digest of its content; that of a database row may stand for a new content, when what the
   row is mapped with has changed. */
static bool is_settled(struct fetcher *f, const char *name, const struct known_entry *e,
		       const struct feed_item *i)
{
	bool refill = f->refill != REFILL_NONE;

	if (e == NULL)
		return false;
	if (is_outdated(f, name, e, i->ev.version))
		return true;
	if (!known_live(e))
		return false;
	/* Two rows of one event in one pass: the newer one counts, whatever the order. */
	if (refill && e->pass == f->pass && known_is_newer(e, i->ev.version))
		return !e->repair;
	if (refill || e->repair || !known_version_is(e, i->ev.version))
		return false;
	return i->ev.version[0] == 'x' || hash_equal(&e->hash, &i->hash);
}

static void deploy(struct fetcher *f, struct known_entry *e, struct feed_item *i)
{
	bool forced = f->refill != REFILL_NONE || e->repair || known_is_newer(e, i->ev.version);

	known_set(&f->known, e, &i->hash, i->ev.version);
	send_event(f, &i->ev, &i->hash, forced ? OUTBOX_FORCED : OUTBOX_PLAIN);
}

/* Its content is more than a connection to the zone bears: what was there stays. */
static bool is_too_large(struct fetcher *f, const char *name, struct feed_item *i)
{
	struct feed_item q = { .kind = i->ev.kind,
			       .id = i->ev.id,
			       .where = (char *)(uintptr_t)name };
	char *text;

	if (!send_is_aside(f, name, &i->hash)) {
		if (quarantine_has(f, name))
			quarantine_clear(f, name);
		return false;
	}
	text = mem_printf("connections to the zone end while its %zu bytes are sent: see "
			  "client-query-buffer-limit and proto-max-bulk-len of Redis, and what is "
			  "in between",
			  i->ev.payload.len);
	q.text = text;
	quarantine_add(f, &q);
	quarantine_keep(f, name);
	removals_there(f, name);
	mem_free(text);
	return true;
}

/* Does the zone hold products that this look at everything did not meet? They come before APIs. */
static bool lacks_products(struct fetcher *f)
{
	struct reading *r = &f->reading;
	const char *name;
	size_t at = 0;
	void *v;

	if (r->lacks_of == f->pass)
		return r->lacks;
	r->lacks_of = f->pass;
	r->lacks = false;
	while (!r->lacks && table_next(&f->known.names, &at, &name, &v)) {
		struct known_entry *e = v;

		r->lacks = e->kind == KIND_API_PRODUCT && known_live(e) && e->pass != f->pass;
	}
	return r->lacks;
}

static void take_event(struct fetcher *f, struct feed_item *i)
{
	char *name = event_name(i->ev.kind, i->ev.id, i->ev.ref_id);
	struct known_entry *e = known_get(&f->known, name);

	if (i->ev.action == ACTION_DEPLOY && is_too_large(f, name, i)) {
		mem_free(name);
		return;
	}
	if (i->ev.action == ACTION_DEPLOY) {
		bool settled = is_settled(f, name, e, i);

		removals_there(f, name);
		if (e == NULL)
			e = known_put(&f->known, name, i->ev.kind, i->ev.ref_id);
		e->pass = f->pass;
		e->unread = false;
		if (!settled) {
			if (!known_live(e))
				removals_added(f, e->kind);
			deploy(f, e, i);
		}
	} else if (e != NULL && known_live(e)) {
		if (i->by == BY_ABSENCE || (i->by == BY_PRODUCTS && lacks_products(f)))
			removals_hold(f, name, &i->ev);
		else
			removals_withdraw(f, name, &i->ev);
	}
	mem_free(name);
}

/* What the zone holds of each: the source reads the rows of the others. */
static void take_asks(struct fetcher *f, struct feed_item *i)
{
	char version[24];
	size_t n;

	for (n = 0; n < i->n_asks; n++) {
		struct feed_ask *a = i->asks[n];
		struct known_entry *e = known_get(&f->known, a->name);
		bool live = e != NULL && known_live(e);

		(void)snprintf(version, sizeof(version), "%" PRId64, a->version_ms);
		if (a->gone && e != NULL && !live && a->version_ms > 0)
			raise_version(f, a->name, e, version);
		if (a->gone)
			a->verdict = live ? ASK_OTHER : ASK_SAME;
		else if (e != NULL && is_outdated(f, a->name, e, version))
			a->verdict = live ? ASK_SAME : ASK_BARRED;
		else if (!live)
			a->verdict = ASK_NEW;
		else if (!e->repair && f->refill == REFILL_NONE && known_version_is(e, version))
			a->verdict = ASK_SAME;
		else
			a->verdict = ASK_OTHER;
		if (live && a->verdict == ASK_SAME) {
			e->pass = f->pass;
			e->unread = false;
			removals_there(f, a->name);
		}
	}
	feed_answer(f->feed);
}

static void take_kept(struct fetcher *f, const char *name)
{
	quarantine_keep(f, name);
	removals_there(f, name);
}

/* --- the end of a pass --- */

/* In a refill everything the zone held is either written, withdrawn, or kept. */
static void settle_refill(struct fetcher *f)
{
	size_t at = 0;
	const char *name;
	void *v;

	while (table_next(&f->known.names, &at, &name, &v)) {
		struct known_entry *e = v;

		if (e->pass == f->pass && !e->unread)
			continue;
		/* What went with its API; and what lost its hash, which nobody could follow. */
		if (e->hash.b[0] == 0 || (!known_live(e) && e->hash.b[0] != 'U'))
			send_chore(f, CHORE_TOMBSTONE, name, e, NULL);
		else
			send_chore(f, CHORE_KEEP, name, e, NULL);
	}
	send_complete(f, removals_empty(f));
	f->refill = REFILL_READ; /* or the overlap of the next delta would be written twice */
}

/* Old tombstones, a few at a time. */
static void purge(struct fetcher *f)
{
	int64_t before = clock_wall_ms() - (int64_t)f->config->tombstone_retention_ms;
	size_t n = 0;
	size_t at = 0;
	const char *name;
	void *v;

	while (n < PASS_PURGE_ITEMS && table_next(&f->known.names, &at, &name, &v)) {
		struct known_entry *e = v;

		if (e->there.b[0] != 'U' || known_live(e) || e->updated_ms >= before)
			continue;
		send_chore(f, CHORE_PURGE, name, e, NULL);
		n++;
	}
}

void pass_heard(struct fetcher *f, const struct feed_item *i)
{
	struct reading *r = &f->reading;
	bool before = r->reached;

	r->reached = i->rc >= 0;
	if (i->rc < 0) {
		if (!str_equal(r->err.text, i->text))
			log_error(EV("source_down"), KV("err", i->text));
		r->failed = r->err.code < 0 ? MAX(r->failed, i->pass) : i->pass;
		(void)err_set(&r->err, i->rc, "%s", i->text);
	} else if (r->err.code < 0 && i->pass >= r->failed) {
		/* A delta in between that works does not say that a comparison would. */
		log_note(EV("source_up"));
		r->err = (struct err){ 0 };
	}
	if (i->rc < 0 || r->reached != before)
		worker_report(f->w);
}

static void ask_suspects(struct fetcher *f)
{
	if (!f->reading.asking_suspects)
		f->reading.asking_suspects = f->end->ops->ask_suspects(f->end);
}

static void end_pass(struct fetcher *f, const struct feed_item *i)
{
	struct reading *r = &f->reading;
	bool compared = i->pass != PASS_DELTA;

	r->on = false;
	pass_heard(f, i);
	if (i->rc < 0)
		return;
	r->ok_ms = clock_boot_ms();
	r->rows += i->rows;
	if (compared && i->whole)
		removals_sweep(f);
	if (compared)
		settle_lower(f);
	r->lags = r->lag_ms > 0;
	removals_judge(f, i->whole, r->begun_ms, i->at_ms);
	/* A refill that was asked for during the pass needs one that reads everything. */
	if (i->pass == PASS_ALL && f->refill == REFILL_READING)
		settle_refill(f);
	settle_pass(f, i, !f->end->followed || r->begun_ms - f->promoted_ms >= r->lag_ms,
		    removals_wait(f), removals_missing(f));
	if (compared) {
		purge(f);
		log_note(EV("pass_done"), KV("rows", i->rows),
			 KV("quarantined", (uint64_t)quarantine_count(f)));
		worker_report(f->w);
	}
	ask_suspects(f);
}

/* --- suspects --- */

static void mend_tombstone(struct fetcher *f, const char *name, const struct known_entry *e)
{
	char scratch[KNOWN_VERSION_BYTES];

	send_chore(f, CHORE_MEND, name, e, known_version(e, scratch));
}

/* true: it is to be read again. A name stays among the suspects until what was found damaged
   under it is written. */
static bool repair(struct fetcher *f, const char *name)
{
	struct known_entry *e = known_get(&f->known, name);

	if (e == NULL)
		f->end->ops->settle_suspect(f->end, name); /* nothing of ours */
	if (e == NULL || e->repair)
		return false;
	log_warn(EV("repair"), KV("key", name));
	e->repair = known_live(e);
	if (!e->repair)
		mend_tombstone(f, name, e);
	return e->repair;
}

void pass_suspects(struct fetcher *f, const char *const *names, size_t n)
{
	bool any = false;
	size_t i;

	f->reading.asking_suspects = false;
	if (f->state != FETCH_WORKING || n == 0)
		return;
	for (i = 0; i < n; i++) {
		if (!str_equal(names[i], "*"))
			any = repair(f, names[i]) || any;
		else if (n > 1) /* they are why, most likely */
			f->end->ops->settle_suspect(f->end, names[i]);
		else
			learn_doubt(f);
	}
	if (any && f->feed != NULL && !learn_is_wanted(f))
		feed_want(f->feed, PASS_COMPARE);
}

/* --- taking --- */

static void take_unpublished(struct fetcher *f, struct feed_item *i)
{
	struct unpublished before = f->reading.unpublished;

	if (unpublished_equal(&before, i->unpublished))
		return;
	f->reading.unpublished = *i->unpublished;
	*i->unpublished = before;
	worker_report(f->w);
}

static void take(struct fetcher *f, struct feed_item *i)
{
	switch (i->type) {
	case FEED_BEGIN:
		f->reading.on = true;
		f->reading.kind = i->pass;
		f->reading.begun_ms = i->at_ms;
		removals_begin(f);
		if (i->pass != PASS_DELTA)
			f->pass++;
		break;
	case FEED_EVENT:
		take_event(f, i);
		break;
	case FEED_KEPT:
		take_kept(f, i->where);
		break;
	case FEED_QUARANTINE:
		quarantine_add(f, i);
		break;
	case FEED_CLEARED:
		quarantine_clear(f, i->where);
		break;
	case FEED_ASK:
		take_asks(f, i);
		break;
	case FEED_DOUBT:
		removals_doubt(f, i);
		break;
	case FEED_UNMET:
		removals_unmet(f, i->unmet);
		feed_answer(f->feed);
		break;
	case FEED_CURSOR:
		send_cursor(f, i->where, i->text);
		break;
	case FEED_LAG:
		f->reading.lag_ms = i->lag_ms;
		send_lag(f, i->lag_ms);
		break;
	case FEED_OTHER:
		log_warn(EV("other_source"), KV("why", i->text));
		learn_want(f, RELEARN_REFILL);
		break;
	case FEED_NOTIFY:
		log_note(EV("notify"), KV("by", i->text));
		str_copy(f->reading.notify, sizeof(f->reading.notify), i->text);
		worker_report(f->w);
		break;
	case FEED_UNPUBLISHED:
		take_unpublished(f, i);
		break;
	case FEED_END:
		end_pass(f, i);
		break;
	}
}

/* Never in the middle of a refill: its end is owed by the pass that saw everything. */
bool pass_relearn_is_due(const struct fetcher *f)
{
	return learn_is_wanted(f) && f->refill == REFILL_NONE && !f->reading.on;
}

void pass_take(struct fetcher *f)
{
	struct feed_item *i;

	if (f->state != FETCH_WORKING)
		return;
	while (f->refill != REFILL_READ && send_has_room(f) && !pass_relearn_is_due(f) &&
	       f->feed != NULL && (i = feed_take(f->feed)) != NULL) {
		take(f, i);
		feed_item_free(i);
	}
}

void pass_open(struct fetcher *f)
{
	f->reading.ok_ms = clock_boot_ms();
	if (f->feed != NULL)
		return;
	f->reading.lag_ms = f->known.lag_ms;
	send_lag(f, f->known.lag_ms);
}

void pass_cannot(struct fetcher *f, const struct err *why)
{
	f->reading.err = *why;
}

void pass_end_lost(struct fetcher *f)
{
	f->reading.asking_suspects = false;
}

static bool is_heard(struct fetcher *f)
{
	int64_t limit = MAX((int64_t)PASS_SOURCE_MS, 3 * (int64_t)f->config->sync_delay_ms);
	int64_t now = clock_boot_ms();

	if (f->state != FETCH_WORKING || f->feed == NULL)
		return true;
	if (f->reading.on && now - feed_heard_ms(f->feed) < limit)
		return true;
	return now - f->reading.ok_ms < limit;
}

static void report_unpublished(const struct unpublished *u, Ipc__FetcherReport *out)
{
	static Ipc__Unpublished items[UNPUBLISHED_REASONS];
	static Ipc__Unpublished *list[UNPUBLISHED_REASONS];
	size_t i;

	for (i = 0; i < u->n; i++) {
		const struct unpublished_reason *r = &u->v[i];

		ipc__unpublished__init(&items[i]);
		items[i].type = (char *)(uintptr_t)r->type;
		items[i].reason = (char *)(uintptr_t)r->reason;
		items[i].count = r->count;
		items[i].examples = (char **)(uintptr_t)r->examples;
		items[i].n_examples = r->n_examples;
		list[i] = &items[i];
	}
	out->unpublished = list;
	out->n_unpublished = u->n;
}

void pass_report(struct fetcher *f, Ipc__FetcherReport *out)
{
	static char text[ERR_TEXT_BYTES + 8];
	bool up = f->reading.err.code == 0;

	str_print(text, sizeof(text), "%s%s", up ? "up" : "down: ", up ? "" : f->reading.err.text);
	out->source = text;
	out->source_heard = is_heard(f);
	out->source_reached = f->reading.reached;
	out->rows = f->reading.rows;
	out->notify = f->reading.notify;
	report_unpublished(&f->reading.unpublished, out);
}

void pass_reset(struct fetcher *f)
{
	struct reading *r = &f->reading;

	removals_reset(f);
	quarantine_reset(f);
	settle_reset(f);
	table_reset(&r->lower);
	unpublished_reset(&r->unpublished);
	f->pass = 0;
	*r = (struct reading){ .reached = r->reached, .rows = r->rows };
}
