/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone/writer.h"

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
	struct writer_end end;
	struct writer_hooks hooks;
	char token[WRITER_TOKEN_BYTES];
	int64_t deadline_ms;
	uint64_t number; /* of the last closed batch */
	uint64_t acked;
	struct batch *first; /* oldest not acknowledged; owned list */
	struct batch *last;
	size_t len;
	size_t bytes;
	unsigned items; /* of the open batch */
	size_t out;	/* answers that this connection still owes us */
	size_t stale;	/* the first of them, which belong to an earlier token */
	bool asked;	/* `batch` is known on this connection: sending may go on */
	bool over;
	bool refused; /* the server refused one: the answers behind it are void */
	struct err why;
};

struct writer *writer_create(const struct writer_end *end, const struct writer_hooks *h)
{
	struct writer *w = mem_zalloc(sizeof(*w));

	w->end = *end;
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
	if (w->items > 0) {
		struct buf rest = { 0 };

		w->end.finish(w->end.arg, &rest);
		buf_reset(&rest);
	}
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

void writer_missed(struct writer *w)
{
	(void)is_stale(w); /* writer_down() remembers; the outcome is asked for */
}

/* The first of those that were sent is refused: what was sent behind it is void as well. */
static void refuse(struct writer *w, const struct write_answer *a)
{
	if (!w->refused) {
		w->refused = true;
		w->why = a->why;
		w->asked = false;
	}
	if (w->out == 0) {
		w->refused = false;
		w->hooks.trouble(w->hooks.arg, &w->why);
	}
}

void writer_answer(struct writer *w, const struct write_answer *a)
{
	struct written done = a->done;

	if (is_stale(w) || w->over || w->first == NULL)
		return;
	if (w->refused || (a->rc < 0 && a->rc != ERR_FENCED && a->rc != ERR_LOST)) {
		refuse(w, a);
		return;
	}
	if (a->rc < 0) {
		end(w, &a->why);
		return;
	}
	done.number = w->first->number;
	done.mark = w->first->mark;
	w->acked = done.number;
	drop_first(w);
	w->hooks.done(w->hooks.arg, &done);
	writer_pump(w);
}

void writer_pump(struct writer *w)
{
	struct batch *b;

	if (w->over || !w->asked || !w->end.is_up(w->end.arg))
		return;
	for (b = w->first; b != NULL; b = b->next) {
		if (b->sent)
			continue;
		/* No write is sent after the deadline (zone-protocol, rule 2 of the design). */
		if (clock_boot_ms() >= w->deadline_ms)
			return;
		if (w->end.send(w->end.arg, &b->wire) < 0)
			return;
		b->sent = true;
		w->out++;
	}
}

void writer_unknown(struct writer *w, const struct err *why)
{
	if (!is_stale(w) && !w->over)
		w->hooks.trouble(w->hooks.arg, why);
}

void writer_known(struct writer *w, uint64_t batch, uint64_t epoch)
{
	struct err e = { 0 };

	if (is_stale(w) || w->over)
		return;
	/* `batch` counts the batches of the newest epoch: another one's say nothing of ours. */
	if (epoch > token_epoch(w->token)) {
		(void)err_set(&e, ERR_FENCED, "a newer epoch has begun");
		end(w, &e);
		return;
	}
	if (epoch < token_epoch(w->token))
		batch = 0; /* Redis forgot the acquire of ours */
	if (batch < w->acked) {
		(void)err_set(&e, ERR_LOST, "acknowledged batches were forgotten");
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
	if (w->end.ask(w->end.arg) == 0)
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
	if (w->end.is_up(w->end.arg))
		writer_up(w);
}

void writer_extend(struct writer *w, int64_t deadline_boot_ms)
{
	w->deadline_ms = deadline_boot_ms;
	writer_pump(w);
}

/* --- building --- */

static void add(struct writer *w, const struct write_op *op)
{
	struct batch_head h = { w->token, w->number };

	CHECK(!w->over);
	if (w->items++ == 0)
		h.number = ++w->number;
	w->end.add(w->end.arg, &h, op);
}

static void full(struct writer *w)
{
	if (w->items >= WRITER_BATCH_ITEMS || w->end.open_bytes(w->end.arg) >= WRITER_BATCH_BYTES)
		writer_flush(w, NULL);
}

static void add_event(struct writer *w, struct write_op *op)
{
	struct buf name = { 0 };

	event_name(&name, op->ev->kind, op->ev->id, op->ev->ref_id);
	op->name = buf_cstr(&name);
	add(w, op);
	buf_reset(&name);
	full(w);
}

void writer_put(struct writer *w, const struct event *ev, const struct hash *h,
		const struct hash *was, bool forced)
{
	struct write_op op = { .op = forced ? 'F' : 'W', .hash = h, .was = was, .ev = ev };

	CHECK(ev->action == ACTION_DEPLOY);
	/* A large entity is a batch of its own. */
	if (w->items > 0 && w->end.open_bytes(w->end.arg) + ev->payload.len > WRITER_BATCH_BYTES)
		writer_flush(w, NULL);
	add_event(w, &op);
}

void writer_tombstone(struct writer *w, const struct event *ev, const struct hash *was, bool forced)
{
	struct write_op op = { .op = forced ? 'R' : 'T', .was = was, .ev = ev };

	CHECK(ev->action == ACTION_UNDEPLOY);
	add_event(w, &op);
}

void writer_sums(struct writer *w, const struct digest *d)
{
	add(w, &(struct write_op){ .op = 'S', .sums = d });
	full(w);
}

void writer_adopt(struct writer *w, const char *name, const struct hash *h)
{
	add(w, &(struct write_op){ .op = 'A', .name = name, .hash = h });
	full(w);
}

void writer_keep(struct writer *w, const char *name, const char *ref)
{
	add(w, &(struct write_op){ .op = 'K', .name = name, .ref = ref });
	full(w);
}

void writer_children(struct writer *w, const char *ref, unsigned limit)
{
	add(w, &(struct write_op){ .op = 'C', .ref = ref, .number = limit });
}

void writer_purge(struct writer *w, const char *name, const char *ref, uint64_t revision)
{
	add(w, &(struct write_op){ .op = 'P', .name = name, .ref = ref, .number = revision });
	full(w);
}

void writer_meta(struct writer *w, const char *field, const char *value)
{
	add(w, &(struct write_op){ .op = 'M', .field = field, .value = value });
	full(w);
}

void writer_cursor(struct writer *w, const char *field, const char *value)
{
	add(w, &(struct write_op){ .op = 'O', .field = field, .value = value });
	full(w);
}

void writer_sync_state(struct writer *w, const char *node_id, const char *version)
{
	add(w, &(struct write_op){ .op = 'Y', .field = node_id, .value = version });
	full(w);
}

void writer_refill_begin(struct writer *w, const char *lineage)
{
	add(w, &(struct write_op){ .op = 'L', .field = lineage });
}

void writer_refill_end(struct writer *w, bool empty)
{
	add(w, &(struct write_op){ .op = 'E', .value = empty ? WRITER_EMPTY : "1" });
}

void writer_flush(struct writer *w, void *mark)
{
	struct batch *b;

	if (w->items == 0)
		return;
	b = mem_zalloc(sizeof(*b));
	b->number = w->number;
	b->mark = mark;
	w->end.finish(w->end.arg, &b->wire);
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
