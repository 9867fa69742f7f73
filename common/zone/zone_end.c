/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone/zone_end.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

struct zone_end {
	struct zone_conn *z;  /* not owned */
	struct writer **w;    /* not owned */
	struct zone_cmd open; /* the batch being built */
	bool building;
};

/* --- batches --- */

static void begin(struct zone_end *e, const struct batch_head *h)
{
	const struct zone_keys *k = zone_conn_keys(e->z);
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, h->number);
	zone_cmd_begin(e->z, &e->open, SCRIPT_WRITE, k->lease, k->meta, k->log, k->cursor,
		       k->old_log, k->state, k->suspect, NULL);
	zone_cmd_str(&e->open, h->token);
	zone_cmd_str(&e->open, text);
	zone_cmd_str(&e->open, k->event_prefix);
	zone_cmd_str(&e->open, k->refs_prefix);
	zone_cmd_str(&e->open, k->wake);
	zone_cmd_str(&e->open, k->zone);
	e->building = true;
}

static void add_event(struct zone_cmd *c, const struct write_op *op)
{
	const struct event *ev = op->ev;

	zone_cmd_str(c, op->name);
	if (op->hash != NULL)
		zone_cmd_arg(c, op->hash->b, HASH_BYTES);
	zone_cmd_str(c, ev->version == NULL ? "" : ev->version);
	zone_cmd_str(c, kind_name(ev->kind));
	zone_cmd_str(c, ev->id);
	zone_cmd_str(c, ev->ref_id == NULL ? "" : ev->ref_id);
	zone_cmd_arg(c, op->was == NULL ? "" : (const char *)op->was->b,
		     op->was == NULL ? 0 : HASH_BYTES);
}

static void add_sums(struct zone_cmd *c, const struct digest *d)
{
	unsigned i;

	zone_cmd_i64(c, (int64_t)d->count);
	for (i = 0; i < ARRAY_LEN(d->lane); i++)
		zone_cmd_i64(c, d->lane[i]);
}

/* The fields in the order of write.lua. */
static void add(void *arg, const struct batch_head *h, const struct write_op *op)
{
	struct zone_end *e = arg;
	struct zone_cmd *c = &e->open;
	const char letter[2] = { op->op, '\0' };
	const char *ref = op->ref == NULL ? "" : op->ref;

	if (!e->building)
		begin(e, h);
	zone_cmd_str(c, letter);
	switch (op->op) {
	case 'W':
	case 'F':
		add_event(c, op);
		zone_cmd_arg(c, op->ev->payload.data, op->ev->payload.len);
		break;
	case 'A':
		zone_cmd_str(c, op->name);
		zone_cmd_arg(c, op->hash->b, HASH_BYTES);
		break;
	case 'T':
	case 'R':
		add_event(c, op);
		break;
	case 'K':
		zone_cmd_str(c, op->name);
		zone_cmd_str(c, ref);
		break;
	case 'C':
		zone_cmd_str(c, ref);
		zone_cmd_i64(c, (int64_t)op->number);
		break;
	case 'P':
		zone_cmd_str(c, op->name);
		zone_cmd_i64(c, (int64_t)op->number);
		break;
	case 'S':
		add_sums(c, op->sums);
		break;
	case 'L':
		zone_cmd_str(c, op->field);
		break;
	case 'E':
		zone_cmd_str(c, op->value);
		break;
	default: /* M O Y */
		zone_cmd_str(c, op->field);
		zone_cmd_str(c, op->value);
		break;
	}
}

static size_t open_bytes(void *arg)
{
	const struct zone_end *e = arg;

	return e->open.body.len;
}

static void finish(void *arg, struct buf *wire)
{
	struct zone_end *e = arg;

	zone_cmd_wire(&e->open, wire);
	e->building = false;
}

/* --- answers --- */

static void on_written(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct zone_end *e = arg;
	const struct redis_reply *what = redis_at(r, 0);
	struct write_answer a = { 0 };

	if (lost != NULL) {
		writer_missed(*e->w);
		return;
	}
	a.rc = zone_check(e->z, r, lost, &a.why);
	if (a.rc < 0 && !zone_conn_is_up(e->z)) {
		writer_missed(*e->w);
		return;
	}
	if (a.rc == 0 && redis_is(what, "FENCED"))
		a.rc = err_set(&a.why, ERR_FENCED, "another token holds the lease");
	else if (a.rc == 0 && redis_is(what, "LOST"))
		a.rc = err_set(&a.why, ERR_LOST, "Redis forgot acknowledged batches");
	a.done.duplicate = redis_is(what, "DUP");
	if (a.rc == 0 && !a.done.duplicate &&
	    (!redis_is(what, "OK") || !redis_u64(redis_at(r, 1), &a.done.revision) ||
	     !redis_u64(redis_at(r, 2), &a.done.effective) ||
	     !redis_u64(redis_at(r, 3), &a.done.left) ||
	     !redis_u64(redis_at(r, 4), &a.done.unknown))) {
		writer_missed(*e->w);
		redis_fail(zone_conn_redis(e->z), ERR_PROTO, "the write script answered nonsense");
		return;
	}
	writer_answer(*e->w, &a);
}

static void on_asked(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct zone_end *e = arg;
	struct err why = { 0 };
	uint64_t batch = 0;
	uint64_t epoch = 0;

	if (lost != NULL) {
		writer_missed(*e->w);
	} else if (zone_check(e->z, r, lost, &why) < 0) {
		if (zone_conn_is_up(e->z))
			writer_unknown(*e->w, &why);
		else
			writer_missed(*e->w);
	} else {
		(void)redis_u64(redis_at(r, 0), &batch);
		(void)redis_u64(redis_at(r, 1), &epoch);
		writer_known(*e->w, batch, epoch);
	}
}

static bool is_up(void *arg)
{
	const struct zone_end *e = arg;

	return zone_conn_is_up(e->z);
}

static int send_batch(void *arg, const struct buf *wire)
{
	struct zone_end *e = arg;

	return redis_send(zone_conn_redis(e->z), wire, on_written, e);
}

static int ask(void *arg)
{
	struct zone_end *e = arg;

	return redis_sendv(zone_conn_redis(e->z), on_asked, e, "HMGET", zone_conn_keys(e->z)->meta,
			   "batch", "epoch", NULL);
}

/* --- life --- */

struct zone_end *zone_end_create(struct zone_conn *z, struct writer **w)
{
	struct zone_end *e = mem_zalloc(sizeof(*e));

	e->z = z;
	e->w = w;
	return e;
}

void zone_end_free(struct zone_end **ep)
{
	struct zone_end *e = *ep;

	*ep = NULL;
	if (e == NULL)
		return;
	buf_reset(&e->open.body);
	mem_free(e);
}

struct writer_end zone_end_of(struct zone_end *e)
{
	return (struct writer_end){ is_up, add, open_bytes, finish, send_batch, ask, e };
}
