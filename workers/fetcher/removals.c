/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/removals.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/zone/follow.h"
#include "workers/fetcher/work.h"

struct held { /* a removal the guard has not yet let go */
	struct event ev;
	unsigned passes;
	int64_t seen_ms; /* boot time: the end of the last of them */
	bool fresh;	 /* since the pass that ends now: only a look at everything judges again */
};

static void held_free(struct held *h)
{
	if (h == NULL)
		return;
	event_reset(&h->ev);
	mem_free(h);
}

static void unhold(struct fetcher *f, const char *name)
{
	held_free(table_del(&f->removals.held, name));
}

/* The row is there: one that was held is not gone, and those of its like may come back too. */
void removals_there(struct fetcher *f, const char *name)
{
	struct held *h = table_del(&f->removals.held, name);

	if (h != NULL && h->passes > 0)
		f->removals.returned |= 1U << h->ev.kind;
	if (h != NULL)
		settle_retry(f);
	held_free(h);
}

void removals_added(struct fetcher *f, enum kind k)
{
	f->removals.added[k]++;
}

void removals_hold(struct fetcher *f, const char *name, struct event *ev)
{
	struct held *h = table_get(&f->removals.held, name);

	if (h != NULL)
		return; /* it keeps its count of passes */
	h = mem_zalloc(sizeof(*h));
	h->ev = *ev;
	*ev = (struct event){ 0 };
	(void)table_set(&f->removals.held, name, h);
}

static const enum kind parents[] = { KIND_API, KIND_API_PRODUCT };

/* Is what a child refers to held too, or about to be? Then it goes, or stays, with it. */
static bool parent_is_held(const struct fetcher *f, const char *ref)
{
	bool held = false;
	unsigned i;

	for (i = 0; ref != NULL && !held && i < ARRAY_LEN(parents); i++) {
		char *name = event_name(parents[i], ref, NULL);

		held = table_get(&f->removals.held, name) != NULL;
		mem_free(name);
	}
	return held;
}

static struct known_entry *live_reference(const struct fetcher *f, enum kind k, const char *id)
{
	char *name = event_name(k, id, NULL);
	struct known_entry *e = known_get(&f->known, name);

	mem_free(name);
	return e != NULL && known_live(e) ? e : NULL;
}

/* The names of children do not say whether they are an API's or those of a product with the
   same id (storage 2.5). While the other one lives none is taken along: a comparison finds
   those that hang on nothing. */
static bool has_twin(const struct fetcher *f, const struct event *ev)
{
	return live_reference(f, ev->kind == KIND_API ? KIND_API_PRODUCT : KIND_API, ev->id) !=
	       NULL;
}

static void withdraw(struct fetcher *f, const char *name, struct event *ev)
{
	struct known_entry *e = known_get(&f->known, name);
	enum outbox_how how = OUTBOX_PLAIN;
	struct hash tomb;

	if (e != NULL) {
		known_withdraw(&f->known, e, ev->version == NULL ? "" : ev->version);
		e->updated_ms = clock_wall_ms();
	}
	if (kind_has_children(ev->kind) && has_twin(f, ev))
		how = OUTBOX_ALONE;
	else if (kind_has_children(ev->kind))
		known_withdraw_children(&f->known, ev->id);
	hash_event(&tomb, 'U', name, NULL, 0);
	send_event(f, ev, &tomb, how);
}

void removals_withdraw(struct fetcher *f, const char *name, struct event *ev)
{
	unhold(f, name);
	withdraw(f, name, ev);
}

/* --- what a whole pass did not meet --- */

/*
 * A name the source does not have any more, found by a full pass. That may be a license, an
 * organization or node metadata, which the reference never withdraws. Its readers ask for no
 * UNDEPLOY of the last two and do nothing about one of a license (storage 5): they keep what
 * they have until they start again, and then do not read it.
 */
static bool is_unmet(const struct fetcher *f, const struct known_entry *e)
{
	const char *ref = known_ref_id(e);
	unsigned i;

	if (!known_live(e) || e->pass == f->pass || quarantine_blocks(f, e->kind) > 0 ||
	    (e->kind == KIND_API_KEY && quarantine_blocks(f, KIND_SUBSCRIPTION) > 0))
		return false;
	for (i = 0; ref != NULL && i < ARRAY_LEN(parents); i++) {
		const struct known_entry *parent = live_reference(f, parents[i], ref);

		if (quarantine_blocks(f, parents[i]) > 0 ||
		    (parent != NULL && parent->pass != f->pass))
			return false; /* what it refers to decides */
	}
	return true;
}

/* The id in a name. */
static const char *id_in(const char *name, const struct known_entry *e)
{
	const char *ref = known_ref_id(e);

	if (ref != NULL)
		name += strlen("API:") + strlen(ref) + 1;
	return name + strlen(kind_name(e->kind)) + 1;
}

void removals_unmet(struct fetcher *f, struct feed_unmet *out)
{
	size_t at = 0;
	const char *name;
	void *v;

	while (table_next(&f->known.names, &at, &name, &v)) {
		const struct known_entry *e = v;

		if (is_unmet(f, e))
			feed_unmet_add(out, e->kind, id_in(name, e));
	}
}

void removals_sweep(struct fetcher *f)
{
	size_t at = 0;
	const char *name;
	void *v;

	while (table_next(&f->known.names, &at, &name, &v)) {
		const struct known_entry *e = v;
		struct event ev = { .kind = e->kind, .action = ACTION_UNDEPLOY };

		if (!is_unmet(f, e))
			continue;
		ev.ref_id = mem_strdup(known_ref_id(e));
		ev.id = mem_strdup(id_in(name, e));
		removals_hold(f, name, &ev);
		event_reset(&ev);
	}
}

/* --- what the source looks like --- */

void removals_begin(struct fetcher *f)
{
	buf_clear(&f->removals.doubt_next);
	f->removals.doubted_next = 0;
	f->removals.missing_next = 0;
}

void removals_doubt(struct fetcher *f, const struct feed_item *i)
{
	struct removals *r = &f->removals;
	unsigned kinds = 0;
	unsigned k;

	if (i->rows <= 1 && (i->blocks & (i->blocks - 1)) == 0) /* of one kind: its place */
		r->missing_next |= i->blocks;
	for (k = 0; k < KIND__COUNT; k++)
		if ((i->blocks & 1U << k) != 0 && f->known.live[k] >= i->rows)
			kinds |= 1U << k;
	if (kinds == 0)
		return;
	r->doubted_next |= kinds;
	if (strstr(buf_cstr(&r->doubt_next), i->text) == NULL)
		buf_printf(&r->doubt_next, "%s%s", r->doubt_next.len > 0 ? "; " : "", i->text);
}

/* The pass that ends now looked at everything. */
static void take_doubts(struct fetcher *f)
{
	struct removals *r = &f->removals;

	if (r->doubt_next.len > 0 && !str_equal(buf_cstr(&r->doubt), buf_cstr(&r->doubt_next)))
		log_warn(EV("source_doubted"), KV("why", buf_cstr(&r->doubt_next)));
	buf_clear(&r->doubt);
	buf_add(&r->doubt, r->doubt_next.data, r->doubt_next.len);
	r->doubted = r->doubted_next;
	if ((r->missing & ~r->missing_next) != 0)
		settle_retry(f); /* it can be read now */
	r->missing = r->missing_next;
}

/* --- judging --- */

struct tally { /* of what is held and does not go with what it refers to */
	size_t gone[KIND__COUNT];
	size_t fresh[KIND__COUNT]; /* of them, those that no second pass found absent yet */
	size_t went[KIND__COUNT];  /* removed as absent within the window */
	size_t stays;		   /* live, when all that is held were gone */
	size_t stays_main;
	size_t live, live_main;
	struct guard_set set;
};

/* Of a zone that has none of these nothing hangs on anything. */
static bool is_main(enum kind k)
{
	return k == KIND_API || k == KIND_API_PRODUCT || k == KIND_SUBSCRIPTION ||
	       k == KIND_API_KEY;
}

static void take_away(size_t stays[KIND__COUNT], enum kind k, size_t n)
{
	stays[k] -= MIN(stays[k], n);
}

/* Its children go with it. */
static void take_children(const struct fetcher *f, const char *id, size_t stays[KIND__COUNT])
{
	const struct known_ref *r = table_get(&f->known.refs, id);
	unsigned k;

	for (k = 0; r != NULL && k < KIND__COUNT; k++)
		take_away(stays, (enum kind)k, r->live[k]);
}

static void count_held(const struct fetcher *f, struct tally *t, size_t stays[KIND__COUNT])
{
	const char *name;
	size_t at = 0;
	void *v;

	while (table_next(&f->removals.held, &at, &name, &v)) {
		const struct held *h = v;

		if (parent_is_held(f, h->ev.ref_id))
			continue;
		t->gone[h->ev.kind]++;
		t->fresh[h->ev.kind] += h->passes < 2;
		guard_set_add(&t->set, name);
		take_away(stays, h->ev.kind, 1);
		if (kind_has_children(h->ev.kind))
			take_children(f, h->ev.id, stays);
	}
}

/* Whoever removed it, and when: the zone's own tombstones say. */
static void count_went(const struct fetcher *f, struct tally *t)
{
	int64_t since_ms = clock_wall_ms() - (int64_t)f->removals.rules.window_ms;
	size_t at = 0;
	void *v;

	while (table_next(&f->known.names, &at, NULL, &v)) {
		const struct known_entry *e = v;

		if (!e->live && e->hash.b[0] == 'U' && e->updated_ms >= since_ms &&
		    known_version_is(e, VERSION_ABSENT))
			t->went[e->kind]++;
	}
}

static void make_tally(const struct fetcher *f, struct tally *t)
{
	size_t stays[KIND__COUNT];
	unsigned k;

	*t = (struct tally){ 0 };
	memcpy(stays, f->known.live, sizeof(stays));
	if (f->removals.held.len > 0) {
		count_held(f, t, stays);
		count_went(f, t);
	}
	for (k = 0; k < KIND__COUNT; k++) {
		t->live += f->known.live[k];
		t->stays += stays[k];
		t->live_main += is_main((enum kind)k) ? f->known.live[k] : 0;
		t->stays_main += is_main((enum kind)k) ? stays[k] : 0;
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
	return MAX(live - MIN(live, f->removals.added[k]), gone);
}

static const char *brings(size_t n)
{
	return n == 0 ? "nothing" : "no API, API product, subscription or key at all";
}

/* A source that brings nothing, or nothing that a call could pass by, where some is known: an
   empty mount point, or another tree. Which kinds its absence proves nothing of. */
static unsigned find_doubts(const struct fetcher *f, const struct tally *t, struct buf *why)
{
	const struct removals *r = &f->removals;
	/* What this pass says counts, whether it looked at everything or not. */
	const struct buf *text = r->doubted_next != 0 ? &r->doubt_next : &r->doubt;
	unsigned doubted = r->doubted | r->doubted_next;

	buf_add(why, text->data, text->len);
	if ((t->stays == 0 && t->live > 0) || (t->stays_main == 0 && t->live_main > 0)) {
		buf_printf(why, "%sthe source brings %s", why->len > 0 ? "; " : "",
			   brings(t->stays));
		doubted = UINT32_MAX;
	}
	return doubted;
}

static PRINTF_LIKE(2, 3) void say(struct buf *text, const char *fmt, ...)
{
	va_list args;
	char one[ERR_TEXT_BYTES];

	va_start(args, fmt);
	(void)vsnprintf(one, sizeof(one), fmt, args);
	va_end(args);
	buf_printf(text, "%s%s", text->len > 0 ? "; " : "", one);
}

/* Lets one kind go: all that is held of it, or what this pass found. */
static void let_go(struct fetcher *f, enum kind k, bool whole, const char *version)
{
	struct held **go = mem_alloc((f->removals.held.len + 1) * sizeof(struct held *));
	size_t n = 0;
	size_t at = 0;
	void *p;

	while (table_next(&f->removals.held, &at, NULL, &p)) {
		struct held *h = p;

		if (h->ev.kind == k && (whole || h->fresh) && !parent_is_held(f, h->ev.ref_id))
			go[n++] = h;
	}
	while (n-- > 0) {
		struct held *h = go[n];
		char *name = event_name(h->ev.kind, h->ev.id, h->ev.ref_id);

		(void)table_del(&f->removals.held, name);
		log_note(EV("removed"), KV("name", name));
		mem_free(h->ev.version);
		h->ev.version = mem_strdup(version);
		withdraw(f, name, &h->ev);
		held_free(h);
		mem_free(name);
	}
	mem_free(go);
}

struct judgement {
	struct tally tally;
	unsigned doubted;
	bool accepted; /* by a person: that very set */
	bool person;   /* some wait for one */
	bool whole;
	int64_t begun_ms, end_ms;
	struct buf text;
};

static enum guard_verdict judge_kind(const struct fetcher *f, enum kind k,
				     const struct judgement *j)
{
	const struct tally *t = &j->tally;
	bool doubted = (j->doubted & 1U << k) != 0;
	const struct guard_case c = { were_live(f, k, t->gone[k]), t->gone[k], t->went[k],
				      t->fresh[k], doubted };

	/* Of those one is enough, and others were left by Java gateways. */
	if (j->accepted || (k == KIND_NODE_METADATA && f->known.live[k] > c.gone && !doubted))
		return GUARD_GO;
	return guard_judge(&f->removals.rules, &c);
}

static void apply_verdict(struct fetcher *f, enum kind k, enum guard_verdict v, struct judgement *j)
{
	struct removals *r = &f->removals;
	size_t gone = j->tally.gone[k];

	if (gone == 0) {
		r->added[k] = j->whole ? 0 : r->added[k];
		return;
	}
	r->undecided = r->undecided || v == GUARD_AGAIN;
	j->person = j->person || v == GUARD_PERSON;
	if (v == GUARD_GO)
		let_go(f, k, j->whole, j->accepted ? VERSION_ACCEPTED : VERSION_ABSENT);
	else
		say(&j->text, "%zu of %zu %s would be removed: %s", gone, f->known.live[k],
		    kind_name(k),
		    v == GUARD_AGAIN ? "waiting for a second pass to agree" : "held back");
}

/* What went another way meanwhile, with its API say, is held no more. */
static void drop_settled(struct fetcher *f)
{
	char **names = mem_alloc((f->removals.held.len + 1) * sizeof(*names));
	const char *name;
	size_t at = 0;
	size_t n = 0;
	void *v;

	while (table_next(&f->removals.held, &at, &name, &v)) {
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
static void count_pass(const struct fetcher *f, struct held *h, const struct judgement *j)
{
	bool differs = j->whole && (f->removals.returned & 1U << h->ev.kind) != 0;

	h->fresh = h->passes == 0;
	if (!h->fresh && !differs &&
	    (!j->whole || !guard_agrees(&f->removals.rules, h->seen_ms, j->begun_ms)))
		return;
	h->passes = differs ? 1 : h->passes + 1;
	h->seen_ms = j->end_ms;
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
	uint64_t ms = (uint64_t)f->removals.rules.agree_ms * 11 / 10;

	if (!f->removals.undecided)
		(void)uv_timer_stop(f->removals.agree);
	else if (!uv_is_active((uv_handle_t *)f->removals.agree))
		CHECK(uv_timer_start(f->removals.agree, on_agree, MAX(ms, f->config->sync_delay_ms),
				     0) == 0);
}

/* What may be absent only because something else is: an API that no product names, a key that no
   subscription does. It goes no sooner. */
static const struct {
	enum kind of, kind;
} dependent[] = { { KIND_API_PRODUCT, KIND_API }, { KIND_SUBSCRIPTION, KIND_API_KEY } };

static void judge_kinds(struct fetcher *f, struct judgement *j)
{
	enum guard_verdict v[KIND__COUNT];
	unsigned k;

	for (k = 0; k < KIND__COUNT; k++)
		v[k] = judge_kind(f, (enum kind)k, j);
	for (k = 0; k < ARRAY_LEN(dependent); k++)
		v[dependent[k].kind] = MAX(v[dependent[k].kind], v[dependent[k].of]);
	/* Children first: whether one goes with its reference is known while that is held. */
	for (k = 0; k < KIND__COUNT; k++)
		if (!kind_has_children((enum kind)k))
			apply_verdict(f, (enum kind)k, v[k], j);
	for (k = 0; k < ARRAY_LEN(parents); k++)
		apply_verdict(f, parents[k], v[parents[k]], j);
	for (k = 0; k < KIND__COUNT; k++)
		if (quarantine_blocks(f, (enum kind)k) > 0 && f->known.live[k] > 0)
			say(&j->text, "%zu unreadable: nothing of type %s is removed meanwhile",
			    quarantine_blocks(f, (enum kind)k), kind_name((enum kind)k));
}

/* A refill that found nothing. Nothing is here that could be removed, and perhaps this node
   serves some: Redis forgot the zone, and the source is not there yet. */
static void judge_empty(struct fetcher *f, struct judgement *j)
{
	struct removals *r = &f->removals;
	const struct tally *t = &j->tally;
	const struct guard_set lost = { r->own - MIN(r->own, t->live), 0 };
	bool main = t->live_main > 0;

	if (r->rules.off || main || (t->live > 0 && lost.count == 0)) {
		r->empty = false;
	} else if (lost.count > 0 && guard_set_equal(&r->accepted, &lost)) {
		j->accepted = true;
		r->empty = false;
	} else {
		r->empty = true;
	}
	if (!r->empty || lost.count == 0)
		return;
	say(&j->text,
	    "the source brings %s, and this node's own store holds %" PRIu64 " entities: held back",
	    brings(t->live), r->own);
	j->person = true;
	r->set = lost;
}

/* What a person is to be shown, in the log and in the status; what to do first, as it may be cut. */
static void tell(struct fetcher *f, struct judgement *j, struct buf *why)
{
	struct removals *r = &f->removals;
	struct buf text = { 0 };
	char set[GUARD_SET_BYTES];

	guard_set_text(&r->set, set);
	if (j->person)
		say(&text, "removals wait for `zonesync resync --accept-deletes %s` on the primary",
		    set);
	if (j->person && why->len > 0)
		say(&text, "why: %s", buf_cstr(why));
	if (j->text.len > 0)
		buf_printf(&text, "%s%s", text.len > 0 ? "; " : "", buf_cstr(&j->text));
	if (text.len > 0 && !str_equal(r->text, text.data))
		log_error(EV("removals_held"), KV("text", text.data));
	str_copy(r->text, sizeof(r->text), buf_cstr(&text));
	buf_reset(&text);
	if (!str_equal(r->told, r->text)) {
		mem_free(r->told);
		r->told = mem_strdup(r->text);
		send_removals(f, r->text, r->accept);
	}
}

/* For the zone: its next primary goes on from there, and followers know what went. */
static void say_accepted(struct fetcher *f)
{
	struct removals *r = &f->removals;

	if (r->accepted.count > 0)
		(void)snprintf(r->accept, sizeof(r->accept),
			       "%s %" PRIu64 " %016" PRIx64 " %" PRIu64, r->lineage,
			       r->accepted.count, r->accepted.digest, r->went);
	else
		(void)snprintf(r->accept, sizeof(r->accept), "%s %" PRIu64 " -", r->lineage,
			       r->went);
	send_removals(f, r->text, r->accept);
}

/* What was taken is done, and is taken at no other time: not when the first look since finds
   another set either, or the same would go unasked whenever it is missing again. */
static void settle_accepted(struct fetcher *f, bool done)
{
	struct removals *r = &f->removals;

	if (done) {
		log_note(EV("removals_accepted"), KV("count", r->accepted.count));
		r->went += r->accepted.count;
	} else {
		log_warn(EV("acceptance_lapsed"), KV("count", r->accepted.count));
	}
	r->accepted = (struct guard_set){ 0 };
	say_accepted(f);
}

/* `whole`: the pass looked at everything. Else what is held already stays so: as its like
   comes back one by one, the rest is no small number that may go. */
void removals_judge(struct fetcher *f, bool whole, int64_t begun_ms, int64_t end_ms)
{
	struct removals *r = &f->removals;
	struct judgement j = { .whole = whole, .begun_ms = begun_ms, .end_ms = end_ms };
	struct buf why = { 0 };
	bool was_empty = r->empty;
	size_t at = 0;
	void *v;

	drop_settled(f);
	if (whole)
		take_doubts(f);
	r->undecided = false;
	while (table_next(&f->removals.held, &at, NULL, &v))
		count_pass(f, v, &j);
	make_tally(f, &j.tally);
	r->set = j.tally.set;
	j.accepted = whole && r->accepted.count > 0 && guard_set_equal(&r->accepted, &r->set);
	j.doubted = find_doubts(f, &j.tally, &why);
	judge_kinds(f, &j);
	drop_settled(f); /* what went with its reference */
	make_tally(f, &j.tally);
	r->set = j.tally.set;
	if (whole && (f->refill != REFILL_NONE || r->empty))
		judge_empty(f, &j);
	tell(f, &j, &why);
	if (whole && r->accepted.count > 0 && (j.accepted || begun_ms >= r->accepted_ms))
		settle_accepted(f, j.accepted);
	look_again(f);
	if (whole)
		r->returned = 0;
	if (was_empty && !r->empty)
		settle_retry(f);
	if (was_empty && !r->empty && f->refill == REFILL_NONE)
		send_complete(f, false);
	else if (r->empty && !whole && j.tally.live > 0)
		feed_want(f->feed, PASS_COMPARE); /* is that all of it? */
	buf_reset(&j.text);
	buf_reset(&why);
}

bool removals_wait(const struct fetcher *f)
{
	const struct removals *r = &f->removals;

	return r->held.len > 0 || r->undecided || r->empty;
}

bool removals_empty(const struct fetcher *f)
{
	return f->removals.empty;
}

unsigned removals_missing(const struct fetcher *f)
{
	return f->removals.missing;
}

/* --- what a person takes --- */

/* "<count>-<digest>", or with blanks and more behind; false: it is none. */
static bool parse_set(const char *text, char between, struct guard_set *out)
{
	char *end;

	out->count = strtoull(text, &end, 10);
	if (end == text || *end != between || end[1] == '\0')
		return false;
	text = end + 1;
	out->digest = strtoull(text, &end, 16);
	return end != text && (*end == '\0' || *end == between);
}

int removals_accept(struct fetcher *f, const char *set, struct err *e)
{
	struct removals *r = &f->removals;
	struct guard_set is;
	char now[GUARD_SET_BYTES];

	guard_set_text(&r->set, now);
	if (r->set.count == 0 || !parse_set(set, '-', &is) || !guard_set_equal(&is, &r->set))
		return err_set(e, ERR_STATE, "what is held back is %s, not %s", now, set);
	r->accepted = r->set;
	r->accepted_ms = clock_boot_ms();
	say_accepted(f);
	return 0;
}

void removals_went(struct fetcher *f, uint64_t count)
{
	if (count == 0)
		return;
	f->removals.went += count;
	say_accepted(f);
}

void removals_zone(struct fetcher *f, const char *lineage, const char *accepted)
{
	struct removals *r = &f->removals;
	size_t n = strlen(lineage);

	str_copy(r->lineage, sizeof(r->lineage), lineage);
	r->accepted = (struct guard_set){ 0 };
	r->accepted_ms = 0;
	r->accept[0] = '\0';
	r->went = accepted == NULL ? 0 : follow_accepted(accepted, lineage);
	if (n == 0 || accepted == NULL || strncmp(accepted, lineage, n) != 0 || accepted[n] != ' ')
		return;
	str_copy(r->accept, sizeof(r->accept), accepted);
	if (!parse_set(accepted + n + 1, ' ', &r->accepted))
		r->accepted = (struct guard_set){ 0 }; /* it is done */
}

/* --- life --- */

void removals_init(struct fetcher *f, uv_timer_t *agree)
{
	f->removals.agree = agree;
}

void removals_configure(struct fetcher *f)
{
	const Ipc__Guard *g = f->config->guard;

	f->removals.rules = (struct guard_rules){ g->off,	g->free,	 g->percent,
						  g->hold_free, g->hold_percent, g->agree_ms,
						  g->window_ms };
}

void removals_learned(struct fetcher *f, bool empty)
{
	f->removals.empty = empty;
}

void removals_promoted(struct fetcher *f, uint64_t own)
{
	f->removals.own = own;
}

const char *removals_text(const struct fetcher *f)
{
	return f->removals.text;
}

void removals_set(const struct fetcher *f, char out[GUARD_SET_BYTES])
{
	out[0] = '\0';
	if (f->removals.set.count > 0)
		guard_set_text(&f->removals.set, out);
}

void removals_reset(struct fetcher *f)
{
	struct removals *r = &f->removals;
	size_t at = 0;
	void *v;

	while (table_next(&r->held, &at, NULL, &v))
		held_free(v);
	table_reset(&r->held);
	buf_reset(&r->doubt);
	buf_reset(&r->doubt_next);
	mem_free(r->told);
	(void)uv_timer_stop(r->agree);
	*r = (struct removals){ .rules = r->rules, .agree = r->agree };
}
