/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "workers/fetcher/quarantine.h"
#include "workers/fetcher/settle.h"
#include "workers/fetcher/work.h"

/* --- events --- */

/* Nothing to write: it is what the zone holds, or older than that. A version of a file is a
   digest of its content; that of a database row may stand for a new content, when what the
   row is mapped with has changed. */
static bool is_settled(const struct fetcher *f, const struct known_entry *e,
		       const struct feed_item *i)
{
	if (e == NULL || !known_live(e))
		return false;
	/* Two rows of one event in one pass: the newer one counts, whatever the order. */
	if ((!f->refill || e->pass == f->pass) && known_is_newer(e, i->ev.version))
		return !e->repair;
	if (f->refill || e->repair || !known_version_is(e, i->ev.version))
		return false;
	return i->ev.version[0] == 'x' || hash_equal(&e->hash, &i->hash);
}

static void take_event(struct fetcher *f, struct feed_item *i)
{
	struct buf b = { 0 };
	struct known_entry *e;
	const char *name;

	event_name(&b, i->ev.kind, i->ev.id, i->ev.ref_id);
	name = buf_cstr(&b);
	e = known_get(&f->known, name);
	if (i->ev.action == ACTION_DEPLOY) {
		bool settled = is_settled(f, e, i);

		removals_there(f, name);
		if (e == NULL)
			e = known_put(&f->known, name, i->ev.kind, i->ev.ref_id);
		e->pass = f->pass;
		e->unread = false;
		if (!settled) {
			bool forced = f->refill || e->repair;

			if (!known_live(e))
				f->removals.added[e->kind]++;
			known_set(&f->known, e, &i->hash, i->ev.version);
			outbox_add(&f->outbox, &i->ev, &i->hash,
				   forced ? OUTBOX_FORCED : OUTBOX_PLAIN, 0);
		}
	} else if (e != NULL && known_live(e)) {
		if (i->absent)
			removals_hold(f, name, &i->ev);
		else
			removals_withdraw(f, name, &i->ev);
	}
	buf_reset(&b);
}

/* What the zone holds of each: the source reads the rows of the others. */
static void take_asks(struct fetcher *f, struct feed_item *i)
{
	char version[24];
	size_t n;

	for (n = 0; n < i->n_asks; n++) {
		struct feed_ask *a = &i->asks[n];
		struct known_entry *e = known_get(&f->known, a->name);
		bool live = e != NULL && known_live(e);

		(void)snprintf(version, sizeof(version), "%" PRId64, a->version_ms);
		if (a->gone)
			a->verdict = live ? ASK_OTHER : ASK_SAME;
		else if (!live)
			a->verdict = ASK_NEW;
		else if (!e->repair && !f->refill &&
			 (known_version_is(e, version) || known_is_newer(e, version)))
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

		if (e->pass == f->pass)
			continue;
		/* What went with its API; and what lost its hash, which nobody could follow. */
		if (e->hash.b[0] == 0 || (!known_live(e) && e->hash.b[0] != 'U'))
			send_chore(f, 'T', name, known_ref_id(e), 0);
		else
			send_chore(f, 'K', name, known_ref_id(e), 0);
	}
	f->finish_refill = true;
	f->refill_ends = true; /* or the overlap of the next delta would be written twice */
}

/* Old tombstones, a few at a time. */
static void purge(struct fetcher *f)
{
	int64_t before = clock_wall_ms() - (int64_t)f->config->tombstone_retention_ms;
	char *names[FETCHER_PURGE_ITEMS];
	size_t n = 0;
	size_t at = 0;
	const char *name;
	void *v;

	while (n < ARRAY_LEN(names) && table_next(&f->known.names, &at, &name, &v)) {
		struct known_entry *e = v;

		if (e->hash.b[0] != 'U' || e->updated_ms >= before || e->revision == 0)
			continue;
		send_chore(f, 'P', name, known_ref_id(e), e->revision);
		names[n++] = mem_strdup(name);
	}
	while (n-- > 0) {
		known_drop(&f->known, names[n]);
		mem_free(names[n]);
	}
}

static void end_pass(struct fetcher *f, const struct feed_item *i)
{
	f->in_pass = false;
	if (i->rc < 0) {
		if (!str_equal(f->source_err.text, i->text))
			log_error(EV("source_down"), KV("err", i->text));
		f->failed = f->source_err.code < 0 ? MAX(f->failed, i->pass) : i->pass;
		(void)err_set(&f->source_err, i->rc, "%s", i->text);
		worker_report(f->w);
		return;
	}
	/* A delta in between that works does not say that a comparison would. */
	if (f->source_err.code < 0 && i->pass >= f->failed) {
		log_note(EV("source_up"));
		f->source_err = (struct err){ 0 };
	}
	f->source_ok_ms = clock_boot_ms();
	f->rows += i->rows;
	if (i->pass != PASS_DELTA && i->whole)
		removals_sweep(f);
	removals_judge(f, i->whole, i->at_ms);
	/* A refill that was asked for during the pass needs one that reads everything. */
	if (i->pass == PASS_ALL && f->refill)
		settle_refill(f);
	settle_pass(f, i);
	if (i->pass != PASS_DELTA) {
		purge(f);
		log_note(EV("pass_done"), KV("rows", i->rows),
			 KV("quarantined", (uint64_t)f->quarantine.len));
		worker_report(f->w);
	}
	pass_ask_suspects(f);
}

/* --- suspects --- */

/* false: not now; the name stays among the suspects. */
static bool repair(struct fetcher *f, const char *name)
{
	struct known_entry *e = known_get(&f->known, name);

	if (str_equal(name, "*")) {
		int64_t now = clock_boot_ms();

		if (f->refilled_ms != 0 && now - f->refilled_ms < FETCHER_REFILL_MS)
			return false;
		f->refilled_ms = now;
		f->want_refill = true;
		f->reload = true;
	} else if (e != NULL && known_live(e)) {
		e->repair = true;
	}
	log_warn(EV("repair"), KV("key", name));
	/* When it cannot be sent, the name is found again later. */
	return f->end->ops->settle_suspect(f->end, name);
}

void pass_suspects(struct fetcher *f, const char *const *names, size_t n)
{
	bool any = false;
	size_t i;

	f->asking_suspects = false;
	if (f->state != FETCH_WORKING || n == 0)
		return;
	for (i = 0; i < n; i++)
		any = repair(f, names[i]) || any;
	if (any && f->feed != NULL && !f->reload)
		feed_want(f->feed, PASS_COMPARE);
}

void pass_ask_suspects(struct fetcher *f)
{
	if (!f->asking_suspects)
		f->asking_suspects = f->end->ops->ask_suspects(f->end);
}

/* --- taking --- */

static void take(struct fetcher *f, struct feed_item *i)
{
	switch (i->type) {
	case FEED_BEGIN:
		f->in_pass = true;
		f->begun_ms = i->at_ms;
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
		f->settle_again = true;
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
	case FEED_OTHER:
		log_warn(EV("other_source"), KV("why", i->text));
		f->want_refill = true;
		f->reload = true;
		break;
	case FEED_NOTIFY:
		log_note(EV("notify"), KV("by", i->text));
		str_copy(f->notify, sizeof(f->notify), i->text);
		worker_report(f->w);
		break;
	case FEED_END:
		end_pass(f, i);
		break;
	}
}

/* Never in the middle of a refill: its end is owed by the pass that saw everything. */
bool pass_reload_is_due(const struct fetcher *f)
{
	return f->reload && !f->refill && !f->in_pass;
}

void pass_take(struct fetcher *f)
{
	struct feed_item *i;

	if (f->state != FETCH_WORKING)
		return;
	while (!f->refill_ends && !outbox_full(&f->outbox) && f->n_chores == 0 &&
	       send_has_room(f) && !pass_reload_is_due(f) && f->feed != NULL &&
	       (i = feed_take(f->feed)) != NULL) {
		take(f, i);
		feed_item_free(i);
	}
}

void pass_reset(struct fetcher *f)
{
	removals_reset(f);
	quarantine_reset(f);
	f->pass = 0;
	f->in_pass = false;
	f->asking_suspects = false;
}
