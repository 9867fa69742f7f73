/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/work.h"

/* What a batch's mark may be: addresses that mean something. */
static char mark_children;
static char mark_refilled;
static char mark_caught;

bool send_idle(const struct fetcher *f)
{
	return f->outbox.len == 0 && f->undeploy == NULL && f->next_chore == f->n_chores &&
	       f->n_due == 0 && !f->finish_refill && !f->removals.say &&
	       (f->writer == NULL || writer_idle(f->writer));
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

static void write_caught(struct fetcher *f, const char *unread)
{
	mem_free(f->unread);
	f->unread = mem_strdup(unread);
	writer_meta(f->writer, "unread", unread);
	writer_meta(f->writer, "caught", f->token);
	writer_sync_state(f->writer, f->config->node_id, "zonesync");
}

static void write_due(struct fetcher *f, const struct due *d)
{
	char text[24];

	switch (d->what) {
	case DUE_CURSOR:
		writer_cursor(f->writer, d->field, d->value);
		break;
	case DUE_POLL:
		(void)snprintf(text, sizeof(text), "%" PRIu64, ++f->polls);
		writer_meta(f->writer, "polls", text);
		break;
	case DUE_CAUGHT:
		write_caught(f, d->value);
		writer_flush(f->writer, &mark_caught);
		break;
	}
}

/* A cursor never passes a row that is not yet written (zone-protocol 3), nor does a poll: its
   operation stands behind the row's in the same or a later batch. */
static void send_due(struct fetcher *f)
{
	uint64_t oldest = outbox_oldest(&f->outbox);

	if (f->undeploy != NULL)
		oldest = MIN(oldest, f->undeploy->seq);
	while (f->n_due > 0 && f->due[0].seq < oldest && writer_room(f->writer)) {
		write_due(f, &f->due[0]);
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

static void send_item(struct fetcher *f, struct outbox_item *i)
{
	const struct hash *was = i->was.b[0] == 0 ? NULL : &i->was;

	if (i->ev.action == ACTION_DEPLOY)
		writer_put(f->writer, &i->ev, &i->hash, was, i->how == OUTBOX_FORCED);
	else
		writer_tombstone(f->writer, &i->ev, was, false);
	f->published++;
	outbox_item_free(i);
}

static void ask_children(struct fetcher *f)
{
	writer_children(f->writer, f->undeploy->ev.id, FETCHER_CHILDREN);
	writer_flush(f->writer, &mark_children);
}

static bool takes_children(const struct outbox_item *i)
{
	return kind_has_children(i->ev.kind) && i->ev.action == ACTION_UNDEPLOY &&
	       i->how != OUTBOX_ALONE;
}

/* A reference goes after its children; nothing else is sent meanwhile, so order is kept. */
static void begin_undeploy(struct fetcher *f, struct outbox_item *i)
{
	f->undeploy = i;
	writer_flush(f->writer, NULL);
	ask_children(f);
}

/* Of what is not live, or not yet in the log of a refill: the sums have nothing of it. */
static void send_tombstone(struct fetcher *f, const struct chore *c)
{
	struct event ev = { .action = ACTION_UNDEPLOY, .ref_id = c->ref, .version = c->version };
	const char *id = NULL;

	if (event_name_parse(c->name, c->ref, &ev.kind, &id, NULL) < 0)
		return; /* none of ours */
	ev.id = (char *)(uintptr_t)id;
	writer_tombstone(f->writer, &ev, NULL, c->op == 'R');
}

static void do_chore(struct fetcher *f)
{
	struct chore *c = &f->chores[f->next_chore++];
	const struct known_entry *e = known_get(&f->known, c->name);

	if (c->op == 'A' && e != NULL)
		writer_adopt(f->writer, c->name, &e->hash);
	else if (c->op == 'K')
		writer_keep(f->writer, c->name, c->ref);
	else if (c->op == 'T' || c->op == 'R')
		send_tombstone(f, c);
	else if (c->op == 'P')
		writer_purge(f->writer, c->name, c->ref, c->revision);
	mem_free(c->name);
	mem_free(c->ref);
	mem_free(c->version);
	if (f->next_chore == f->n_chores) {
		f->n_chores = 0;
		f->next_chore = 0;
	}
}

/* The last batch of a refill: who made it, that it is whole, and that it is fresh. */
static void end_refill(struct fetcher *f)
{
	f->finish_refill = false;
	writer_meta(f->writer, "mapping", f->mapping);
	writer_sync_state(f->writer, f->config->node_id, "zonesync");
	writer_refill_end(f->writer, f->removals.empty);
	writer_flush(f->writer, &mark_refilled);
}

/* So that every node can say what is held back, and know what a person took. */
static void say_removals(struct fetcher *f)
{
	f->removals.say = false;
	if (f->end->followed)
		writer_meta(f->writer, "held", f->removals.text);
	if (f->removals.accept[0] != '\0')
		writer_meta(f->writer, "accepted", f->removals.accept);
	writer_flush(f->writer, NULL);
}

/* Before any row that may be as old: followers must not take it for newer than what they had. */
static void say_lag(struct fetcher *f)
{
	char text[24];

	f->lag_said = f->lag_ms;
	(void)snprintf(text, sizeof(text), "%" PRId64, f->lag_ms);
	writer_meta(f->writer, "lag", text);
}

void send_pump(struct fetcher *f)
{
	if (f->state != FETCH_WORKING && f->state != FETCH_STOPPING)
		return;
	if (f->lag_said != f->lag_ms && f->end->followed && writer_room(f->writer))
		say_lag(f);
	while (f->undeploy == NULL && writer_room(f->writer)) {
		struct outbox_item *i = outbox_take(&f->outbox);

		if (i != NULL && takes_children(i))
			begin_undeploy(f, i);
		else if (i != NULL)
			send_item(f, i);
		else if (f->next_chore < f->n_chores)
			do_chore(f);
		else
			break;
	}
	send_due(f);
	if (f->undeploy != NULL || f->outbox.len > 0 || f->next_chore < f->n_chores)
		return;
	writer_flush(f->writer, NULL);
	if (f->removals.say && writer_room(f->writer))
		say_removals(f);
	if (f->finish_refill && writer_room(f->writer))
		end_refill(f);
}

static void children_done(struct fetcher *f, const struct written *w)
{
	if (w->unknown > 0)
		f->reload = true; /* what they were can only be read */
	if (f->undeploy == NULL)
		return;
	/* A duplicate says nothing of what is left: ask again. */
	if (w->left > 0 || w->duplicate) {
		ask_children(f);
		return;
	}
	send_item(f, f->undeploy);
	f->undeploy = NULL;
}

void send_done(struct fetcher *f, const struct written *w)
{
	f->acked = w->number;
	f->refusals = 0;
	f->error = (struct err){ 0 };
	if (w->mark == &mark_children) {
		children_done(f, w);
	} else if (w->mark == &mark_refilled) {
		log_note(EV("refill_done"), KV("revision", w->revision));
		f->refill = false;
		f->refill_ends = false;
		f->want_refill = false;
		worker_report(f->w);
	} else if (w->mark == &mark_caught) {
		log_note(EV("caught_up"), KV("revision", w->revision));
		f->caught = true;
		worker_report(f->w);
	}
}
