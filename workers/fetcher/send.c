/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "workers/fetcher/source/source_db.h"
#include "workers/fetcher/work.h"

static bool is_more_waiting(const struct send *s)
{
	return s->undeploy != NULL || s->outbox.len > 0 || s->next_chore < s->n_chores;
}

bool send_idle(const struct fetcher *f)
{
	const struct send *s = &f->send;

	return !is_more_waiting(s) && s->n_due == 0 && !s->completes && s->held == NULL &&
	       !s->corrects && s->lineage_due[0] == '\0' && s->redo.n == 0 &&
	       (f->end == NULL || f->end->ops->is_free(f->end));
}

static void drop_due(struct send *s)
{
	mem_free(s->due[0].field);
	mem_free(s->due[0].value);
	memmove(&s->due[0], &s->due[1], (--s->n_due) * sizeof(s->due[0]));
}

#define DUE_OF_ITEM 2 /* the end of a pass: it was one, and it settled everything */

bool send_has_room(const struct fetcher *f)
{
	const struct send *s = &f->send;

	return s->n_chores == 0 && s->n_due + DUE_OF_ITEM <= SEND_DUE && !outbox_full(&s->outbox);
}

static void add_due(struct fetcher *f, enum due_what what, const char *field, const char *value)
{
	struct send *s = &f->send;

	CHECK(s->n_due < SEND_DUE);
	s->due[s->n_due++] =
		(struct due){ what, mem_strdup(field), mem_strdup(value), s->outbox.seq };
}

void send_cursor(struct fetcher *f, const char *field, const char *value)
{
	add_due(f, DUE_CURSOR, field, value);
}

void send_poll(struct fetcher *f, bool counts)
{
	add_due(f, counts ? DUE_POLL : DUE_LOOK, NULL, NULL);
}

void send_caught(struct fetcher *f, const char *unread)
{
	add_due(f, DUE_CAUGHT, NULL, unread);
}

void send_lag(struct fetcher *f, int64_t lag_ms)
{
	f->send.lag_ms = lag_ms;
}

void send_correction(struct fetcher *f)
{
	f->send.corrects = true;
}

void send_refill(struct fetcher *f, const char *lineage)
{
	str_copy(f->send.lineage_due, sizeof(f->send.lineage_due), lineage);
}

void send_complete(struct fetcher *f, bool empty)
{
	f->send.completes = true;
	f->send.empty = empty;
}

void send_event(struct fetcher *f, struct event *ev, const struct hash *h, enum outbox_how how)
{
	outbox_add(&f->send.outbox, ev, h, how);
}

static void drop_removals(struct send *s)
{
	mem_free(s->held);
	mem_free(s->accepted);
	s->held = NULL;
	s->accepted = NULL;
}

void send_removals(struct fetcher *f, const char *held, const char *accepted)
{
	drop_removals(&f->send);
	f->send.held = mem_strdup(held);
	f->send.accepted = mem_strdup(accepted);
}

static void write_caught(struct fetcher *f, struct zone_page *p, const char *unread)
{
	page_field(p, PAGE_META, "unread", unread);
	page_field(p, PAGE_META, "caught", f->token);
	p->sync_state = true;
	p->caught = true;
}

static void write_due(struct fetcher *f, struct zone_page *p, const struct due *d)
{
	char text[24];

	switch (d->what) {
	case DUE_CURSOR:
		page_field(p, PAGE_CURSOR, d->field, d->value);
		break;
	case DUE_POLL:
		(void)snprintf(text, sizeof(text), "%" PRIu64, ++f->known.polls);
		page_field(p, PAGE_META, "polls", text);
		break;
	case DUE_LOOK:
		p->looks = true;
		break;
	case DUE_CAUGHT:
		write_caught(f, p, d->value);
		break;
	}
}

/* A cursor never passes a row that is not yet written (zone-protocol 3), nor does a poll: it
   stands in the page of the row, or in a later one. */
static void put_due(struct fetcher *f, struct zone_page *p)
{
	struct send *s = &f->send;
	uint64_t oldest = outbox_oldest(&s->outbox);

	if (s->undeploy != NULL)
		oldest = MIN(oldest, s->undeploy->seq);
	while (s->n_due > 0 && s->due[0].seq < oldest) {
		write_due(f, p, &s->due[0]);
		drop_due(s);
	}
}

static void chore_reset(struct chore *c)
{
	mem_free(c->name);
	mem_free(c->ref);
	mem_free(c->version);
}

void send_reset(struct fetcher *f)
{
	struct send *s = &f->send;

	while (s->next_chore < s->n_chores)
		chore_reset(&s->chores[s->next_chore++]);
	mem_free(s->chores);
	while (s->n_due > 0)
		drop_due(s);
	outbox_reset(&s->outbox);
	outbox_item_free(s->undeploy);
	drop_removals(s);
	page_drop(&s->redo);
	*s = (struct send){ .published = s->published,
			    .acked = s->acked,
			    .quarters = s->quarters,
			    .well = s->well,
			    .last_n = s->last_n,
			    .only = s->only,
			    .aside = s->aside };
}

void send_chore(struct fetcher *f, enum chore_what what, const char *name,
		const struct known_entry *e, const char *version)
{
	struct send *s = &f->send;
	struct chore c = { .what = what, .name = mem_strdup(name), .version = mem_strdup(version) };

	if (e != NULL) {
		c.ref = mem_strdup(known_ref_id(e));
		c.revision = e->revision;
	}
	s->chores = mem_grow(s->chores, &s->cap_chores, s->n_chores + 1, sizeof(*s->chores));
	s->chores[s->n_chores++] = c;
}

/* --- pages that connections do not bear --- */

struct aside {
	char *name; /* owned */
	struct hash hash;
	int64_t since_ms; /* boot time */
};

static void aside_free(struct aside *a)
{
	if (a != NULL)
		mem_free(a->name);
	mem_free(a);
}

/* So that it can be told what a page was, when it is gone. */
static void remember_page(struct send *s, const struct zone_page *p)
{
	aside_free(s->only);
	s->only = NULL;
	s->last_n = p->n;
	if (p->n != 1 || p->bytes < SEND_LIMIT_BYTES)
		return;
	s->only = mem_zalloc(sizeof(*s->only));
	s->only->name = mem_strdup(p->records[0].name);
	s->only->hash = p->records[0].hash;
}

void send_try_all(struct fetcher *f)
{
	struct table *t = &f->send.aside;
	size_t at = 0;
	void *v;

	while (table_next(t, &at, NULL, &v))
		aside_free(v);
	table_reset(t);
}

void send_free(struct fetcher *f)
{
	send_try_all(f);
	aside_free(f->send.only);
	f->send.only = NULL;
}

void send_shrink(struct fetcher *f)
{
	struct send *s = &f->send;

	s->well = 0;
	if (s->only != NULL) {
		if (s->aside.len >= SEND_ASIDE)
			send_try_all(f);
		s->only->since_ms = clock_boot_ms();
		aside_free(table_set(&s->aside, s->only->name, s->only));
		s->only = NULL;
	} else if (s->last_n > 1) {
		s->quarters = MIN(s->quarters + 1, SEND_QUARTERS);
	}
	log_warn(EV("page_not_borne"), KV("records", (uint64_t)s->last_n),
		 KV("aside", (uint64_t)s->aside.len));
}

bool send_is_aside(struct fetcher *f, const char *name, const struct hash *h)
{
	struct aside *a = table_get(&f->send.aside, name);

	if (a == NULL)
		return false;
	if (hash_equal(&a->hash, h) && clock_boot_ms() - a->since_ms < SEND_ASIDE_MS)
		return true;
	aside_free(table_del(&f->send.aside, name));
	return false;
}

/* --- one page --- */

static void put_item(struct fetcher *f, struct zone_page *p, struct outbox_item *i)
{
	if (i->ev.action == ACTION_DEPLOY)
		page_deploy(p, &f->known, &i->ev, &i->hash, i->how == OUTBOX_FORCED);
	else
		page_withdraw(p, &f->known, &i->ev, false);
	f->send.published++;
	outbox_item_free(i);
}

static bool takes_children(const struct outbox_item *i)
{
	return kind_has_children(i->ev.kind) && i->ev.action == ACTION_UNDEPLOY &&
	       i->how != OUTBOX_ALONE;
}

/* A reference goes after its children; nothing else is written meanwhile, so order is kept.
   false: there is no room for all of it. */
static bool undeploy_is_through(struct fetcher *f, struct zone_page *p)
{
	struct outbox_item *i = f->send.undeploy;

	if (i == NULL)
		return true;
	if (!page_children(p, &f->known, i->ev.id) || !page_has_room(p, 0))
		return false;
	put_item(f, p, i);
	f->send.undeploy = NULL;
	return true;
}

/* Of what is not live, or not yet in the log of a refill. */
static void put_tombstone(struct fetcher *f, struct zone_page *p, struct chore *c)
{
	struct event ev = { .action = ACTION_UNDEPLOY };
	struct known_entry *e = known_get(&f->known, c->name);
	const char *id = NULL;

	if (e == NULL || event_name_parse(c->name, c->ref, &ev.kind, &id, NULL) < 0)
		return; /* none of ours */
	if (c->what == CHORE_MEND && known_live(e))
		return;
	ev.id = mem_strdup(id);
	ev.ref_id = mem_strdup(c->ref);
	ev.version = mem_strdup(c->version);
	if (known_live(e))
		known_withdraw(&f->known, e, c->version == NULL ? "" : c->version);
	page_withdraw(p, &f->known, &ev, c->what == CHORE_MEND);
}

static void do_chore(struct fetcher *f, struct zone_page *p)
{
	struct send *s = &f->send;
	struct chore *c = &s->chores[s->next_chore++];

	if (c->what == CHORE_KEEP)
		page_keep(p, &f->known, c->name);
	else if (c->what == CHORE_PURGE)
		page_purge(p, &f->known, c->name, c->revision);
	else
		put_tombstone(f, p, c);
	chore_reset(c);
	if (s->next_chore == s->n_chores) {
		s->n_chores = 0;
		s->next_chore = 0;
	}
}

static void put_waiting(struct fetcher *f, struct zone_page *p)
{
	struct send *s = &f->send;

	while (undeploy_is_through(f, p)) {
		const struct outbox_item *next = outbox_next(&s->outbox);
		struct outbox_item *i;

		if (!page_has_room(p, next == NULL ? 0 : next->ev.payload.len))
			return;
		if (!is_more_waiting(s))
			return;
		if (next == NULL) {
			do_chore(f, p);
			continue;
		}
		i = outbox_take(&s->outbox);
		if (takes_children(i))
			s->undeploy = i;
		else
			put_item(f, p, i);
	}
}

/* What was found damaged of the page before. */
static void put_again(struct fetcher *f, struct zone_page *p)
{
	struct zone_page *redo = &f->send.redo;
	size_t i;

	for (i = 0; i < redo->n; i++) {
		if (!redo->records[i].damaged)
			continue;
		log_warn(EV("repair"), KV("key", redo->records[i].name));
		page_again(p, &f->known, &redo->records[i]);
	}
	page_drop(redo);
}

/* The last page of a refill: who made it, that it is whole, and that it is fresh. */
static void write_complete(struct fetcher *f, struct zone_page *p)
{
	f->send.completes = false;
	page_field(p, PAGE_META, "mapping", f->mapping);
	p->sync_state = true;
	page_refill_end(p, f->send.empty);
}

/* So that every node can say what is held back, and know what a person took. */
static void write_removals(struct fetcher *f, struct zone_page *p)
{
	struct send *s = &f->send;

	if (f->end->followed)
		page_field(p, PAGE_META, "held", s->held);
	if (s->accepted[0] != '\0')
		page_field(p, PAGE_META, "accepted", s->accepted);
	drop_removals(s);
}

/* Before any row that may be as old: followers must not take it for newer than what they had. */
static void write_lag(struct fetcher *f, struct zone_page *p)
{
	char text[24];

	f->known.lag_ms = f->send.lag_ms;
	(void)snprintf(text, sizeof(text), "%" PRId64, f->known.lag_ms);
	page_field(p, PAGE_META, "lag", text);
}

/* Of whose source the zone is stays known, whatever becomes of the refill. */
static void begin_refill(struct fetcher *f, struct zone_page *p)
{
	const char *installation = table_get(&f->known.cursors, SOURCE_INSTALLATION);

	page_refill_begin(p, &f->known, f->send.lineage_due);
	f->send.lineage_due[0] = '\0';
	if (installation != NULL)
		page_field(p, PAGE_CURSOR, SOURCE_INSTALLATION, installation);
}

static void make_page(struct fetcher *f, struct zone_page *p)
{
	struct send *s = &f->send;
	size_t most = f->refill == REFILL_NONE ? PAGE_RECORDS : PAGE_REFILL_RECORDS;

	page_begin(p, &f->known, MAX(most >> 2 * s->quarters, 1), clock_wall_ms());
	p->most_bytes >>= 2 * s->quarters;
	if (s->lineage_due[0] != '\0') {
		begin_refill(f, p);
	} else {
		p->corrects = s->corrects;
		s->corrects = false;
		put_again(f, p);
		if (f->known.lag_ms != s->lag_ms && f->end->followed)
			write_lag(f, p);
		put_waiting(f, p);
		put_due(f, p);
		if (s->held != NULL && !is_more_waiting(s))
			write_removals(f, p);
		if (s->completes && !is_more_waiting(s))
			write_complete(f, p);
	}
	page_close(p, &f->known);
	if (!page_is_empty(p))
		remember_page(s, p);
}

void send_pump(struct fetcher *f)
{
	struct zone_page p;

	while ((f->state == FETCH_WORKING || f->state == FETCH_STOPPING) &&
	       f->end->ops->is_free(f->end)) {
		make_page(f, &p);
		if (page_is_empty(&p)) {
			page_drop(&p);
			return;
		}
		f->end->ops->write(f->end, &p, is_more_waiting(&f->send));
	}
}

static bool has_damage(const struct zone_page *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->records[i].damaged)
			return true;
	return false;
}

void send_done(struct fetcher *f, struct zone_page *p)
{
	struct send *s = &f->send;

	s->acked = p->number;
	if (s->quarters > 0 && ++s->well >= SEND_WELL) {
		s->well = 0;
		s->quarters--;
	}
	if (!has_damage(p))
		return;
	s->redo = *p;
	*p = (struct zone_page){ 0 };
}

void send_report(const struct fetcher *f, Ipc__FetcherReport *out)
{
	out->published = f->send.published;
	out->batch = f->send.acked;
	out->outbox = f->send.outbox.len;
}
