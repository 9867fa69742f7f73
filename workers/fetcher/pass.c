/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/model/guard.h"
#include "workers/fetcher/work.h"

#define AGREE_MS (2 * GUARD_AGREE_MS) /* until everything is looked at again, or one delay */

/* --- held removals --- */

static void held_free(struct held *h)
{
	if (h == NULL)
		return;
	event_reset(&h->ev);
	mem_free(h);
}

static void unhold(struct fetcher *f, const char *name)
{
	held_free(table_del(&f->held, name));
}

/* The row is there: one that was held is not gone, and those of its like may come back too. */
static void is_there(struct fetcher *f, const char *name)
{
	struct held *h = table_del(&f->held, name);

	if (h != NULL && h->passes > 0)
		f->returned |= 1U << h->ev.kind;
	f->settle_again = f->settle_again || h != NULL;
	held_free(h);
}

static void hold(struct fetcher *f, const char *name, struct event *ev)
{
	struct held *h = table_get(&f->held, name);

	if (h != NULL)
		return; /* it keeps its count of passes */
	h = mem_zalloc(sizeof(*h));
	h->ev = *ev;
	*ev = (struct event){ 0 };
	(void)table_set(&f->held, name, h);
}

static const enum kind parents[] = { KIND_API, KIND_API_PRODUCT };

/* Is what a child refers to held too, or about to be? Then it goes, or stays, with it. */
static bool parent_is_held(const struct fetcher *f, const char *ref)
{
	struct buf name = { 0 };
	bool held = false;
	unsigned i;

	for (i = 0; ref != NULL && !held && i < ARRAY_LEN(parents); i++) {
		buf_clear(&name);
		event_name(&name, parents[i], ref, NULL);
		held = table_get(&f->held, buf_cstr(&name)) != NULL;
	}
	buf_reset(&name);
	return held;
}

static struct known_entry *live_reference(const struct fetcher *f, enum kind k, const char *id)
{
	struct known_entry *e;
	struct buf name = { 0 };

	event_name(&name, k, id, NULL);
	e = known_get(&f->known, buf_cstr(&name));
	buf_reset(&name);
	return e != NULL && known_live(e) ? e : NULL;
}

/* The names of children do not say whether they are an API's or those of a product with the
   same id (wire page 2.5). While the other one lives none is taken along: a comparison finds
   those that hang on nothing. */
static bool has_twin(const struct fetcher *f, const struct event *ev)
{
	return live_reference(f, ev->kind == KIND_API ? KIND_API_PRODUCT : KIND_API, ev->id) !=
	       NULL;
}

/* --- events --- */

static void withdraw(struct fetcher *f, const char *name, struct event *ev, uint64_t limit)
{
	struct known_entry *e = known_get(&f->known, name);
	enum outbox_how how = OUTBOX_PLAIN;
	struct hash tomb;

	if (e != NULL) {
		known_withdraw(&f->known, e);
		e->updated_ms = clock_wall_ms();
	}
	if (kind_has_children(ev->kind) && has_twin(f, ev))
		how = OUTBOX_ALONE;
	else if (kind_has_children(ev->kind))
		known_withdraw_children(&f->known, ev->id);
	hash_event(&tomb, 'U', name, NULL, 0);
	outbox_add(&f->outbox, ev, &tomb, how, limit);
}

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

		is_there(f, name);
		if (e == NULL)
			e = known_put(&f->known, name, i->ev.kind, i->ev.ref_id);
		e->pass = f->pass;
		e->unread = false;
		if (!settled) {
			bool forced = f->refill || e->repair;

			if (!known_live(e))
				f->added[e->kind]++;
			known_set(&f->known, e, &i->hash, i->ev.version);
			outbox_add(&f->outbox, &i->ev, &i->hash,
				   forced ? OUTBOX_FORCED : OUTBOX_PLAIN, 0);
		}
	} else if (e != NULL && known_live(e)) {
		if (i->absent) {
			hold(f, name, &i->ev);
		} else {
			unhold(f, name);
			withdraw(f, name, &i->ev, UINT64_MAX);
		}
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
			is_there(f, a->name);
		}
	}
	feed_answer(f->feed);
}

/* --- quarantine --- */

static void count_blocks(struct fetcher *f, unsigned kinds, int by)
{
	unsigned k;

	for (k = 0; k < KIND__COUNT; k++)
		if ((kinds & 1U << k) != 0)
			f->blocks[k] += (size_t)by;
}

static void quarantined_free(struct fetcher *f, struct quarantined *q)
{
	if (q == NULL)
		return;
	count_blocks(f, q->blocks, -1);
	mem_free(q->id);
	mem_free(q->where);
	mem_free(q->text);
	mem_free(q);
}

/* What cannot be read counts as seen: its last good version stays. */
static void keep_unread(struct fetcher *f, const char *name)
{
	struct known_entry *e = known_get(&f->known, name);

	if (e == NULL)
		return;
	e->pass = f->pass;
	e->unread = true;
}

static bool touch_by_id(struct fetcher *f, enum kind k, const char *id)
{
	struct buf name = { 0 };

	if (id[0] == '\0' || k == KIND_SUBSCRIPTION || k == KIND_API_KEY)
		return false;
	event_name(&name, k, id, NULL);
	keep_unread(f, buf_cstr(&name));
	buf_reset(&name);
	return true;
}

static void take_kept(struct fetcher *f, const char *name)
{
	keep_unread(f, name);
	is_there(f, name);
}

static void take_quarantine(struct fetcher *f, struct feed_item *i)
{
	struct quarantined *q = table_get(&f->quarantine, i->where);
	bool named = touch_by_id(f, i->kind, i->id);

	if (q == NULL || !str_equal(q->text, i->text)) {
		log_error(EV("quarantine"), KV("where", i->where), KV("id", i->id),
			  KV("reason", i->text));
		quarantined_free(f, table_del(&f->quarantine, i->where));
		q = mem_zalloc(sizeof(*q));
		q->kind = i->kind;
		q->id = mem_strdup(i->id);
		q->where = mem_strdup(i->where);
		q->text = mem_strdup(i->text);
		q->since_ms = clock_wall_ms();
		q->blocks = named ? i->blocks & ~(1U << i->kind) : i->blocks;
		count_blocks(f, q->blocks, 1);
		(void)table_set(&f->quarantine, i->where, q);
		worker_report(f->w);
	}
}

/* --- the end of a pass --- */

/*
 * A name the source does not have any more, found by a full pass. That may be a license, an
 * organization or node metadata, which the reference never withdraws. Its readers ask for no
 * UNDEPLOY of the last two and do nothing about one of a license (wire page 5): they keep what
 * they have until they start again, and then do not read it.
 */
static void sweep_one(struct fetcher *f, const char *name, struct known_entry *e)
{
	struct event ev = { .kind = e->kind, .action = ACTION_UNDEPLOY };
	const char *ref = known_ref_id(e);
	struct buf b = { 0 };
	unsigned i;

	if (f->blocks[e->kind] > 0 || (e->kind == KIND_API_KEY && f->blocks[KIND_SUBSCRIPTION] > 0))
		return;
	for (i = 0; ref != NULL && i < ARRAY_LEN(parents); i++) {
		const struct known_entry *parent = live_reference(f, parents[i], ref);

		if (f->blocks[parents[i]] > 0 || (parent != NULL && parent->pass != f->pass))
			return; /* what it refers to decides */
	}
	buf_printf(&b, "%s:", kind_name(e->kind));
	if (ref != NULL) {
		size_t skip = strlen("API:") + strlen(ref) + 1 + b.len;

		ev.ref_id = mem_strdup(ref);
		ev.id = mem_strdup(name + skip);
	} else {
		ev.id = mem_strdup(name + b.len);
	}
	buf_reset(&b);
	hold(f, name, &ev);
	event_reset(&ev);
}

static void sweep(struct fetcher *f)
{
	size_t at = 0;
	const char *name;
	void *v;

	while (table_next(&f->known.names, &at, &name, &v)) {
		struct known_entry *e = v;

		if (known_live(e) && e->pass != f->pass)
			sweep_one(f, name, e);
	}
}

/* How many were there before this source brought more: all of them gone is the look of a
   wrong source, however much it holds. Those that come while some are held count as new;
   never fewer than are gone, when new ones go too. Java gateways leave node metadata under
   one more id at each start, in the place of which comes a single one. */
static size_t were_live(const struct fetcher *f, enum kind k, size_t gone)
{
	size_t live = f->known.live[k];

	if (k == KIND_NODE_METADATA)
		return live;
	return MAX(live - MIN(live, f->added[k]), gone);
}

/* Lets go what the guard allows, of one kind. */
static void judge_kind(struct fetcher *f, enum kind k, bool whole, struct buf *text)
{
	enum guard_verdict v = GUARD_GO;
	size_t gone = 0;
	unsigned passes = UINT32_MAX;
	struct held **go;
	size_t n = 0;
	size_t at = 0;
	void *p;

	while (table_next(&f->held, &at, NULL, &p)) {
		struct held *h = p;

		if (h->ev.kind == k && !parent_is_held(f, h->ev.ref_id)) {
			gone++;
			passes = MIN(passes, h->passes);
		}
	}
	if (gone == 0) {
		f->added[k] = whole ? 0 : f->added[k];
		return;
	}
	v = guard_judge(were_live(f, k, gone), gone, passes, f->accept_deletes);
	f->undecided = f->undecided || v == GUARD_AGAIN;
	if (v != GUARD_GO) {
		buf_printf(text, "%s%zu of %zu %s would be removed: %s", text->len > 0 ? "; " : "",
			   gone, f->known.live[k], kind_name(k),
			   v == GUARD_AGAIN ? "waiting for a second pass to agree"
					    : "held back until `zonesync resync --accept-deletes`");
		return;
	}
	go = mem_alloc((f->held.len + 1) * sizeof(struct held *));
	at = 0;
	while (table_next(&f->held, &at, NULL, &p))
		if (((struct held *)p)->ev.kind == k && (whole || ((struct held *)p)->fresh) &&
		    !parent_is_held(f, ((struct held *)p)->ev.ref_id))
			go[n++] = p;
	while (n-- > 0) {
		struct held *h = go[n];
		struct buf name = { 0 };

		event_name(&name, h->ev.kind, h->ev.id, h->ev.ref_id);
		(void)table_del(&f->held, buf_cstr(&name));
		log_note(EV("removed"), KV("name", name.data));
		withdraw(f, name.data, &h->ev, UINT64_MAX);
		held_free(h);
		buf_reset(&name);
	}
	mem_free(go);
}

/* What went another way meanwhile, with its API say, is held no more. */
static void drop_settled(struct fetcher *f)
{
	char **names = mem_alloc((f->held.len + 1) * sizeof(*names));
	const char *name;
	size_t at = 0;
	size_t n = 0;
	void *v;

	while (table_next(&f->held, &at, &name, &v)) {
		struct known_entry *e = known_get(&f->known, name);

		if (e == NULL || !known_live(e))
			names[n++] = mem_strdup(name);
	}
	while (n-- > 0) {
		unhold(f, names[n]);
		mem_free(names[n]);
	}
	mem_free(names);
}

/* Only a pass over everything agrees with an earlier one, and not when some came back since:
   a table that is being restored is no evidence of what is not in it yet. */
static void count_pass(const struct fetcher *f, struct held *h, bool whole, int64_t end_ms)
{
	bool differs = whole && (f->returned & 1U << h->ev.kind) != 0;

	h->fresh = h->passes == 0;
	if (!h->fresh && !differs && (!whole || !guard_agrees(h->seen_ms, f->begun_ms)))
		return;
	h->passes = differs ? 1 : h->passes + 1;
	h->seen_ms = end_ms;
}

static void on_agree(uv_timer_t *t)
{
	struct fetcher *f = t->data;

	log_note(EV("second_look"));
	feed_want(f->feed, PASS_COMPARE);
}

/* Polls of a database do not look at everything: it would be long until one agrees. */
static void look_again(struct fetcher *f)
{
	if (!f->undecided)
		(void)uv_timer_stop(&f->agree);
	else if (!uv_is_active((uv_handle_t *)&f->agree))
		CHECK(uv_timer_start(&f->agree, on_agree, MAX(AGREE_MS, f->config->sync_delay_ms),
				     0) == 0);
}

/* `whole`: the pass looked at everything. Else what is held already stays so: as its like
   comes back one by one, the rest is no small number that may go. */
static void judge_held(struct fetcher *f, bool whole, int64_t end_ms)
{
	struct buf text = { 0 };
	size_t at = 0;
	unsigned k;
	void *v;

	drop_settled(f);
	f->undecided = false;
	while (table_next(&f->held, &at, NULL, &v))
		count_pass(f, v, whole, end_ms);
	/* Children first: whether one goes with its reference is known while that is held. */
	for (k = 0; k < KIND__COUNT; k++)
		if (!kind_has_children((enum kind)k))
			judge_kind(f, (enum kind)k, whole, &text);
	for (k = 0; k < ARRAY_LEN(parents); k++)
		judge_kind(f, parents[k], whole, &text);
	for (k = 0; k < KIND__COUNT; k++)
		if (f->blocks[k] > 0 && f->known.live[k] > 0)
			buf_printf(&text,
				   "%s%zu unreadable: nothing of type %s is removed meanwhile",
				   text.len > 0 ? "; " : "", f->blocks[k], kind_name((enum kind)k));
	if (text.len > 0 && !str_equal(f->guard, buf_cstr(&text)))
		log_error(EV("removals_held"), KV("text", text.data));
	str_copy(f->guard, sizeof(f->guard), text.len == 0 ? "" : text.data);
	look_again(f);
	if (whole) {
		f->accept_deletes = false; /* a delta that was under way has not seen it */
		f->returned = 0;
	}
	buf_reset(&text);
}

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

/*
 * Is every name that is live in the zone what the source says it is? Not while a removal is
 * held, or something that cannot be read may be any name of its type. Names whose own row cannot
 * be read do not count: they go to `unread`, for followers to judge by what they serve.
 */
static bool all_settled(const struct fetcher *f, struct buf *unread)
{
	size_t at = 0;
	const char *name;
	void *v;

	if (f->held.len > 0)
		return false;
	while (table_next(&f->known.names, &at, &name, &v)) {
		const struct known_entry *e = v;

		if (!known_live(e))
			continue;
		if (e->pass != f->pass)
			return false;
		if (e->unread)
			buf_printf(unread, "%s%s", unread->len > 0 ? "\n" : "", name);
		if (unread->len > FETCHER_UNREAD_BYTES)
			return false;
	}
	return true;
}

/* Only a look at everything settles everything (zone-protocol 3). */
static void settle(struct fetcher *f)
{
	struct buf unread = { 0 };

	if (!all_settled(f, &unread))
		log_note(EV("not_settled"), KV("held", (uint64_t)f->held.len));
	else if (!f->caught || !str_equal(buf_cstr(&unread), f->unread))
		send_caught(f, buf_cstr(&unread));
	buf_reset(&unread);
}

/* What followers wait for: a poll that ended whole, and one that settled everything. One that may
   have read what was true before this token proves nothing of what came since. */
static void tell_zone(struct fetcher *f, const struct feed_item *end)
{
	bool whole = end->pass != PASS_DELTA && end->whole;
	bool late = !f->end->followed || f->begun_ms - f->promoted_ms >= end->lag_ms;

	if (whole && late)
		settle(f);
	else if (late && !f->caught && f->settle_again)
		feed_want(f->feed, PASS_COMPARE);
	if (whole)
		f->settle_again = !late;
	if (late && (whole || end->pass == PASS_DELTA) && f->end->followed)
		send_poll(f);
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
		sweep(f);
	judge_held(f, i->whole, i->at_ms);
	/* A refill that was asked for during the pass needs one that reads everything. */
	if (i->pass == PASS_ALL && f->refill)
		settle_refill(f);
	tell_zone(f, i);
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
		take_quarantine(f, i);
		break;
	case FEED_CLEARED:
		log_note(EV("quarantine_over"), KV("where", i->where));
		quarantined_free(f, table_del(&f->quarantine, i->where));
		f->settle_again = true;
		worker_report(f->w);
		break;
	case FEED_ASK:
		take_asks(f, i);
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
	size_t at = 0;
	void *v;

	while (table_next(&f->held, &at, NULL, &v))
		held_free(v);
	table_reset(&f->held);
	at = 0;
	while (table_next(&f->quarantine, &at, NULL, &v))
		quarantined_free(f, v);
	table_reset(&f->quarantine);
	f->pass = 0;
	f->in_pass = false;
	f->guard[0] = '\0';
	f->accept_deletes = false;
	f->undecided = false;
	f->returned = 0;
	memset(f->added, 0, sizeof(f->added));
	f->asking_suspects = false;
}
