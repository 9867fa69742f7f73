/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "workers/fetcher/source/source_db.h"
#include "workers/fetcher/work.h"

bool send_idle(const struct fetcher *f)
{
	return f->outbox.len == 0 && f->undeploy == NULL && f->next_chore == f->n_chores &&
	       f->n_due == 0 && !f->finish_refill && !f->removals.say && !f->corrects &&
	       f->lineage_due[0] == '\0' && f->redo.n == 0 &&
	       (f->end == NULL || f->end->ops->is_free(f->end));
}

static void drop_due(struct fetcher *f)
{
	mem_free(f->due[0].field);
	mem_free(f->due[0].value);
	memmove(&f->due[0], &f->due[1], (--f->n_due) * sizeof(f->due[0]));
}

#define DUE_OF_ITEM 2 /* the end of a pass: it was one, and it settled everything */

bool send_has_room(const struct fetcher *f)
{
	return f->n_due + DUE_OF_ITEM <= FETCHER_DUE;
}

static void add_due(struct fetcher *f, enum due_what what, const char *field, const char *value)
{
	CHECK(f->n_due < FETCHER_DUE);
	f->due[f->n_due++] =
		(struct due){ what, mem_strdup(field), mem_strdup(value), f->outbox.seq };
}

void send_cursor(struct fetcher *f, const char *field, const char *value)
{
	add_due(f, DUE_CURSOR, field, value);
}

void send_poll(struct fetcher *f)
{
	add_due(f, DUE_POLL, NULL, NULL);
}

void send_caught(struct fetcher *f, const char *unread)
{
	add_due(f, DUE_CAUGHT, NULL, unread);
}

static void write_caught(struct fetcher *f, struct zone_page *p, const char *unread)
{
	mem_free(f->unread);
	f->unread = mem_strdup(unread);
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
		(void)snprintf(text, sizeof(text), "%" PRIu64, ++f->polls);
		page_field(p, PAGE_META, "polls", text);
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
	uint64_t oldest = outbox_oldest(&f->outbox);

	if (f->undeploy != NULL)
		oldest = MIN(oldest, f->undeploy->seq);
	while (f->n_due > 0 && f->due[0].seq < oldest) {
		write_due(f, p, &f->due[0]);
		drop_due(f);
	}
}

void send_drop_chores(struct fetcher *f)
{
	size_t i;

	for (i = f->next_chore; i < f->n_chores; i++) {
		mem_free(f->chores[i].name);
		mem_free(f->chores[i].ref);
		mem_free(f->chores[i].version);
	}
	f->n_chores = 0;
	f->next_chore = 0;
}

void send_reset(struct fetcher *f)
{
	send_drop_chores(f);
	mem_free(f->chores);
	f->chores = NULL;
	f->cap_chores = 0;
	while (f->n_due > 0)
		drop_due(f);
	outbox_reset(&f->outbox);
	outbox_item_free(f->undeploy);
	f->undeploy = NULL;
	page_drop(&f->redo);
	f->lineage_due[0] = '\0';
	f->corrects = false;
	f->finish_refill = false;
	f->refill_ends = false;
	f->caught = false;
	f->settled = false;
	f->settle_again = false;
	mem_free(f->unread);
	f->unread = NULL;
}

void send_chore(struct fetcher *f, char op, const char *name, const struct known_entry *e,
		const char *version)
{
	struct chore c = { .op = op, .name = mem_strdup(name), .version = mem_strdup(version) };

	if (e != NULL) {
		c.ref = mem_strdup(known_ref_id(e));
		c.revision = e->revision;
	}
	f->chores = mem_grow(f->chores, &f->cap_chores, f->n_chores + 1, sizeof(*f->chores));
	f->chores[f->n_chores++] = c;
}

/* --- one page --- */

static void put_item(struct fetcher *f, struct zone_page *p, struct outbox_item *i)
{
	if (i->ev.action == ACTION_DEPLOY)
		page_deploy(p, &f->known, &i->ev, &i->hash, i->how == OUTBOX_FORCED);
	else
		page_withdraw(p, &f->known, &i->ev, false);
	f->published++;
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
	if (f->undeploy == NULL)
		return true;
	if (!page_children(p, &f->known, f->undeploy->ev.id) || !page_has_room(p, 0))
		return false;
	put_item(f, p, f->undeploy);
	f->undeploy = NULL;
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
	if (c->op == 'R' && known_live(e))
		return;
	ev.id = mem_strdup(id);
	ev.ref_id = mem_strdup(c->ref);
	ev.version = mem_strdup(c->version);
	if (known_live(e))
		known_withdraw(&f->known, e, c->version == NULL ? "" : c->version);
	page_withdraw(p, &f->known, &ev, c->op == 'R');
}

static void do_chore(struct fetcher *f, struct zone_page *p)
{
	struct chore *c = &f->chores[f->next_chore++];

	if (c->op == 'K')
		page_keep(p, &f->known, c->name);
	else if (c->op == 'P')
		page_purge(p, &f->known, c->name, c->revision);
	else
		put_tombstone(f, p, c);
	mem_free(c->name);
	mem_free(c->ref);
	mem_free(c->version);
	if (f->next_chore == f->n_chores) {
		f->n_chores = 0;
		f->next_chore = 0;
	}
}

static void put_waiting(struct fetcher *f, struct zone_page *p)
{
	while (undeploy_is_through(f, p)) {
		const struct outbox_item *next = outbox_next(&f->outbox);
		struct outbox_item *i;

		if (!page_has_room(p, next == NULL ? 0 : next->ev.payload.len))
			return;
		if (next == NULL && f->next_chore == f->n_chores)
			return;
		if (next == NULL) {
			do_chore(f, p);
			continue;
		}
		i = outbox_take(&f->outbox);
		if (takes_children(i))
			f->undeploy = i;
		else
			put_item(f, p, i);
	}
}

/* What was found damaged of the page before. */
static void put_again(struct fetcher *f, struct zone_page *p)
{
	size_t i;

	for (i = 0; i < f->redo.n; i++) {
		if (!f->redo.records[i].damaged)
			continue;
		log_warn(EV("repair"), KV("key", f->redo.records[i].name));
		page_again(p, &f->known, &f->redo.records[i]);
	}
	page_drop(&f->redo);
}

/* The last page of a refill: who made it, that it is whole, and that it is fresh. */
static void end_refill(struct fetcher *f, struct zone_page *p)
{
	f->finish_refill = false;
	page_field(p, PAGE_META, "mapping", f->mapping);
	p->sync_state = true;
	page_refill_end(p, f->removals.empty);
}

/* So that every node can say what is held back, and know what a person took. */
static void say_removals(struct fetcher *f, struct zone_page *p)
{
	f->removals.say = false;
	if (f->end->followed)
		page_field(p, PAGE_META, "held", f->removals.text);
	if (f->removals.accept[0] != '\0')
		page_field(p, PAGE_META, "accepted", f->removals.accept);
}

/* Before any row that may be as old: followers must not take it for newer than what they had. */
static void say_lag(struct fetcher *f, struct zone_page *p)
{
	char text[24];

	f->lag_said = f->lag_ms;
	(void)snprintf(text, sizeof(text), "%" PRId64, f->lag_ms);
	page_field(p, PAGE_META, "lag", text);
}

/* Of whose source the zone is stays known, whatever becomes of the refill. */
static void begin_refill(struct fetcher *f, struct zone_page *p)
{
	const char *installation = table_get(&f->cursors, SOURCE_INSTALLATION);

	page_refill_begin(p, &f->known, f->lineage_due);
	f->lineage_due[0] = '\0';
	if (installation != NULL)
		page_field(p, PAGE_CURSOR, SOURCE_INSTALLATION, installation);
}

static bool is_more_waiting(const struct fetcher *f)
{
	return f->undeploy != NULL || f->outbox.len > 0 || f->next_chore < f->n_chores;
}

static void make_page(struct fetcher *f, struct zone_page *p)
{
	page_begin(p, &f->known, f->refill ? PAGE_REFILL_RECORDS : PAGE_RECORDS, clock_wall_ms());
	if (f->lineage_due[0] != '\0') {
		begin_refill(f, p);
	} else {
		p->corrects = f->corrects;
		f->corrects = false;
		put_again(f, p);
		if (f->lag_said != f->lag_ms && f->end->followed)
			say_lag(f, p);
		put_waiting(f, p);
		put_due(f, p);
		if (f->removals.say && !is_more_waiting(f))
			say_removals(f, p);
		if (f->finish_refill && !is_more_waiting(f))
			end_refill(f, p);
	}
	page_close(p, &f->known);
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
		f->end->ops->write(f->end, &p, is_more_waiting(f));
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

void send_done(struct fetcher *f, struct zone_page *p, bool broken)
{
	f->acked = p->number;
	f->refusals = 0;
	f->error = (struct err){ 0 };
	if (broken) { /* a key of the zone's own is of a wrong type */
		log_warn(EV("repair"), KV("key", "*"));
		f->want_refill = true;
		f->reload = true;
	}
	if (p->complete != NULL) {
		log_note(EV("refill_done"), KV("revision", p->revision));
		f->refill = false;
		f->refill_ends = false;
		f->want_refill = broken;
		worker_report(f->w);
	}
	if (p->caught) {
		log_note(EV("caught_up"), KV("revision", p->revision));
		f->caught = true;
		worker_report(f->w);
	}
	if (has_damage(p)) {
		f->redo = *p;
		*p = (struct zone_page){ 0 };
	}
}
