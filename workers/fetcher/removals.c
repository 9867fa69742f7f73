/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/removals.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/model/guard.h"
#include "workers/fetcher/work.h"

#define AGREE_MS (2 * GUARD_AGREE_MS) /* until everything is looked at again, or one delay */

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
	held_free(table_del(&f->held, name));
}

/* The row is there: one that was held is not gone, and those of its like may come back too. */
void removals_there(struct fetcher *f, const char *name)
{
	struct held *h = table_del(&f->held, name);

	if (h != NULL && h->passes > 0)
		f->returned |= 1U << h->ev.kind;
	f->settle_again = f->settle_again || h != NULL;
	held_free(h);
}

void removals_hold(struct fetcher *f, const char *name, struct event *ev)
{
	struct held *h = table_get(&f->held, name);

	if (h != NULL)
		return; /* it keeps its count of passes */
	h = mem_zalloc(sizeof(*h));
	h->ev = *ev;
	*ev = (struct event){ 0 };
	mem_free(h->ev.version);
	h->ev.version = mem_strdup(VERSION_ABSENT);
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

static void withdraw(struct fetcher *f, const char *name, struct event *ev)
{
	struct known_entry *e = known_get(&f->known, name);
	enum outbox_how how = OUTBOX_PLAIN;
	struct hash was = { { 0 } };
	struct hash tomb;

	if (e != NULL) {
		if (known_counted(e) != NULL)
			was = *known_counted(e);
		known_withdraw(&f->known, e, ev->version == NULL ? "" : ev->version);
		e->updated_ms = clock_wall_ms();
	}
	if (kind_has_children(ev->kind) && has_twin(f, ev))
		how = OUTBOX_ALONE;
	else if (kind_has_children(ev->kind))
		known_withdraw_children(&f->known, ev->id);
	hash_event(&tomb, 'U', name, NULL, 0);
	outbox_add(&f->outbox, ev, &tomb, how, &was);
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
	removals_hold(f, name, &ev);
	event_reset(&ev);
}

void removals_sweep(struct fetcher *f)
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
		withdraw(f, name.data, &h->ev);
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
void removals_judge(struct fetcher *f, bool whole, int64_t end_ms)
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

void removals_reset(struct fetcher *f)
{
	size_t at = 0;
	void *v;

	while (table_next(&f->held, &at, NULL, &v))
		held_free(v);
	table_reset(&f->held);
	f->guard[0] = '\0';
	f->accept_deletes = false;
	f->undecided = false;
	f->returned = 0;
	memset(f->added, 0, sizeof(f->added));
}
