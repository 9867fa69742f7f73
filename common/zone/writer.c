/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/zone/lease.h"

struct batch {
	struct batch *next;
	uint64_t number;
	struct buf wire;
	void *mark;
	bool sent; /* on this connection */
};

struct writer {
	struct zone_conn *z; /* not owned */
	struct writer_hooks hooks;
	char token[LEASE_TOKEN_BYTES];
	int64_t deadline_ms;
	uint64_t number; /* of the last closed batch */
	uint64_t acked;
	struct batch *first; /* oldest not acknowledged; owned list */
	struct batch *last;
	size_t len;
	size_t bytes;
	struct zone_cmd open; /* the batch being built */
	unsigned items;
	size_t out;   /* answers that this connection still owes us */
	size_t stale; /* the first of them, which belong to an earlier token */
	bool asked;   /* `batch` is known on this connection: sending may go on */
	bool over;
	bool refused; /* the server refused one: the answers behind it are void */
	struct err why;
};

struct writer *writer_create(struct zone_conn *z, const struct writer_hooks *h)
{
	struct writer *w = mem_zalloc(sizeof(*w));

	w->z = z;
	w->hooks = *h;
	w->over = true;
	return w;
}

static void drop_first(struct writer *w)
{
	struct batch *b = w->first;

	w->first = b->next;
	if (w->first == NULL)
		w->last = NULL;
	w->len--;
	w->bytes -= b->wire.len;
	buf_reset(&b->wire);
	mem_free(b);
}

static void drop_all(struct writer *w)
{
	while (w->first != NULL)
		drop_first(w);
	buf_reset(&w->open.body);
	w->open = (struct zone_cmd){ 0 };
	w->items = 0;
}

void writer_free(struct writer **wp)
{
	struct writer *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	drop_all(w);
	mem_free(w);
}

static void end(struct writer *w, const struct err *why)
{
	if (w->over)
		return;
	w->over = true;
	drop_all(w);
	w->hooks.over(w->hooks.arg, why);
}

bool writer_room(const struct writer *w)
{
	return !w->over && w->len < WRITER_WINDOW && w->bytes < WRITER_WINDOW_BYTES;
}

bool writer_idle(const struct writer *w)
{
	return w->first == NULL && w->items == 0;
}

size_t writer_waiting(const struct writer *w)
{
	return w->len;
}

/* --- sending and answers --- */

/* An answer came, in the order of the questions; true: to a question of an earlier token. */
static bool is_stale(struct writer *w)
{
	CHECK(w->out > 0);
	w->out--;
	if (w->stale == 0)
		return false;
	w->stale--;
	return true;
}

static void on_written(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct writer *w = arg;
	struct written done = { 0 };
	struct err e = { 0 };
	const struct redis_reply *what = redis_at(r, 0);

	if (is_stale(w) || lost != NULL)
		return; /* writer_down() remembers; the outcome is asked for */
	if (w->over || w->first == NULL)
		return;
	if (!w->refused && zone_check(w->z, r, lost, &e) < 0) {
		if (!zone_conn_is_up(w->z))
			return;
		w->refused = true;
		w->why = e;
		w->asked = false;
	}
	if (w->refused) { /* what was sent behind it was answered LOST, and is not */
		if (w->out == 0) {
			w->refused = false;
			w->hooks.trouble(w->hooks.arg, &w->why);
		}
		return;
	}
	if (redis_is(what, "FENCED") || redis_is(what, "LOST")) {
		bool fenced = redis_is(what, "FENCED");

		(void)err_set(&e, fenced ? ERR_FENCED : ERR_LOST,
			      fenced ? "another token holds the lease"
				     : "Redis forgot acknowledged batches");
		end(w, &e);
		return;
	}
	done.number = w->first->number;
	done.mark = w->first->mark;
	done.duplicate = redis_is(what, "DUP");
	if (!done.duplicate &&
	    (!redis_is(what, "OK") || !redis_u64(redis_at(r, 1), &done.revision) ||
	     !redis_u64(redis_at(r, 2), &done.effective) ||
	     !redis_u64(redis_at(r, 3), &done.left))) {
		redis_fail(zone_conn_redis(w->z), ERR_PROTO, "the write script answered nonsense");
		return;
	}
	w->acked = done.number;
	drop_first(w);
	w->hooks.done(w->hooks.arg, &done);
	writer_pump(w);
}

void writer_pump(struct writer *w)
{
	struct batch *b;

	if (w->over || !w->asked || !zone_conn_is_up(w->z))
		return;
	for (b = w->first; b != NULL; b = b->next) {
		if (b->sent)
			continue;
		/* No write is sent after the deadline (zone-protocol, rule 2 of the design). */
		if (clock_boot_ms() >= w->deadline_ms)
			return;
		if (redis_send(zone_conn_redis(w->z), &b->wire, on_written, w) < 0)
			return;
		b->sent = true;
		w->out++;
	}
}

static void on_asked(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct writer *w = arg;
	struct err e = { 0 };
	uint64_t batch = 0;
	uint64_t epoch = 0;

	if (is_stale(w) || lost != NULL || w->over)
		return;
	if (zone_check(w->z, r, lost, &e) < 0) {
		if (zone_conn_is_up(w->z))
			w->hooks.trouble(w->hooks.arg, &e);
		return;
	}
	(void)redis_u64(redis_at(r, 0), &batch);
	(void)redis_u64(redis_at(r, 1), &epoch);
	/* `batch` counts the batches of the newest epoch: another one's say nothing of ours. */
	if (epoch > token_epoch(w->token)) {
		(void)err_set(&e, ERR_FENCED, "a newer epoch has begun");
		end(w, &e);
		return;
	}
	if (epoch < token_epoch(w->token))
		batch = 0; /* Redis forgot the acquire of ours */
	if (batch < w->acked) {
		(void)err_set(&e, ERR_LOST, "Redis forgot acknowledged batches");
		end(w, &e);
		return;
	}
	while (w->first != NULL && w->first->number <= batch) {
		struct written done = { .number = w->first->number,
					.mark = w->first->mark,
					.duplicate = true };

		w->acked = done.number;
		drop_first(w);
		w->hooks.done(w->hooks.arg, &done);
		if (w->over)
			return;
	}
	w->asked = true;
	writer_pump(w);
}

void writer_up(struct writer *w)
{
	struct batch *b;

	w->asked = false;
	w->refused = false;
	for (b = w->first; b != NULL; b = b->next)
		b->sent = false;
	if (w->over)
		return;
	if (redis_sendv(zone_conn_redis(w->z), on_asked, w, "HMGET", zone_conn_keys(w->z)->meta,
			"batch", "epoch", NULL) == 0)
		w->out++; /* else down again: writer_up() comes back */
}

void writer_down(struct writer *w)
{
	w->asked = false;
	w->refused = false;
}

void writer_begin(struct writer *w, const char *token)
{
	drop_all(w);
	str_copy(w->token, sizeof(w->token), token);
	w->number = 0;
	w->acked = 0;
	w->deadline_ms = 0;
	w->over = false;
	w->asked = false;
	w->refused = false;
	w->stale = w->out;
	if (zone_conn_is_up(w->z))
		writer_up(w);
}

void writer_extend(struct writer *w, int64_t deadline_boot_ms)
{
	w->deadline_ms = deadline_boot_ms;
	writer_pump(w);
}

/* --- building --- */

static void op(struct writer *w, const char *letter)
{
	const struct zone_keys *k = zone_conn_keys(w->z);
	char text[24];

	CHECK(!w->over);
	if (w->items == 0) {
		w->number++;
		(void)snprintf(text, sizeof(text), "%" PRIu64, w->number);
		zone_cmd_begin(w->z, &w->open, SCRIPT_WRITE, k->lease, k->meta, k->log, k->cursor,
			       k->old_log, k->state, NULL);
		zone_cmd_str(&w->open, w->token);
		zone_cmd_str(&w->open, text);
		zone_cmd_str(&w->open, k->event_prefix);
		zone_cmd_str(&w->open, k->refs_prefix);
		zone_cmd_str(&w->open, k->wake);
		zone_cmd_str(&w->open, k->zone);
		zone_cmd_i64(&w->open, clock_wall_ms());
	}
	w->items++;
	zone_cmd_str(&w->open, letter);
}

static void full(struct writer *w)
{
	if (w->items >= WRITER_BATCH_ITEMS || w->open.body.len >= WRITER_BATCH_BYTES)
		writer_flush(w, NULL);
}

void writer_put(struct writer *w, const struct event *ev, const struct hash *h, bool forced)
{
	struct buf name = { 0 };

	CHECK(ev->action == ACTION_DEPLOY);
	/* A large entity is a batch of its own. */
	if (w->items > 0 && w->open.body.len + ev->payload.len > WRITER_BATCH_BYTES)
		writer_flush(w, NULL);
	event_name(&name, ev->kind, ev->id, ev->ref_id);
	op(w, forced ? "F" : "W");
	zone_cmd_arg(&w->open, name.data, name.len);
	zone_cmd_arg(&w->open, h->b, HASH_BYTES);
	zone_cmd_str(&w->open, ev->version);
	zone_cmd_str(&w->open, kind_name(ev->kind));
	zone_cmd_str(&w->open, ev->id);
	zone_cmd_str(&w->open, ev->ref_id == NULL ? "" : ev->ref_id);
	zone_cmd_arg(&w->open, ev->payload.data, ev->payload.len);
	buf_reset(&name);
	full(w);
}

void writer_touch(struct writer *w, const char *name, const struct hash *h, const char *version)
{
	op(w, "V");
	zone_cmd_str(&w->open, name);
	zone_cmd_arg(&w->open, h->b, HASH_BYTES);
	zone_cmd_str(&w->open, version);
	full(w);
}

void writer_tombstone(struct writer *w, const char *name, const char *ref, uint64_t limit)
{
	op(w, "T");
	zone_cmd_str(&w->open, name);
	zone_cmd_str(&w->open, ref == NULL ? "" : ref);
	if (limit == UINT64_MAX)
		zone_cmd_str(&w->open, "");
	else
		zone_cmd_i64(&w->open, (int64_t)limit);
	full(w);
}

static void op2(struct writer *w, const char *letter, const char *a, const char *b)
{
	op(w, letter);
	zone_cmd_str(&w->open, a);
	zone_cmd_str(&w->open, b);
	full(w);
}

void writer_keep(struct writer *w, const char *name, const char *ref)
{
	op2(w, "K", name, ref == NULL ? "" : ref);
}

void writer_children(struct writer *w, const char *ref, unsigned limit)
{
	op(w, "C");
	zone_cmd_str(&w->open, ref);
	zone_cmd_i64(&w->open, limit);
}

void writer_purge(struct writer *w, const char *name, uint64_t revision)
{
	op(w, "P");
	zone_cmd_str(&w->open, name);
	zone_cmd_i64(&w->open, (int64_t)revision);
	full(w);
}

void writer_meta(struct writer *w, const char *field, const char *value)
{
	op2(w, "M", field, value);
}

void writer_cursor(struct writer *w, const char *field, const char *value)
{
	op2(w, "O", field, value);
}

void writer_sync_state(struct writer *w, const char *node_id, const char *version)
{
	op2(w, "Y", node_id, version);
}

void writer_refill_begin(struct writer *w, const char *lineage)
{
	op(w, "L");
	zone_cmd_str(&w->open, lineage);
}

void writer_refill_end(struct writer *w)
{
	op(w, "E");
}

void writer_flush(struct writer *w, void *mark)
{
	struct batch *b;

	if (w->items == 0)
		return;
	b = mem_zalloc(sizeof(*b));
	b->number = w->number;
	b->mark = mark;
	zone_cmd_wire(&w->open, &b->wire);
	w->items = 0;
	if (w->last == NULL)
		w->first = b;
	else
		w->last->next = b;
	w->last = b;
	w->len++;
	w->bytes += b->wire.len;
	writer_pump(w);
}
