/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/quarantine.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "workers/fetcher/work.h"

struct quarantined {
	enum kind kind;
	char *id, *where, *text;
	int64_t since_ms;
	unsigned blocks; /* a bit for each kind it may be of: nothing of those is swept */
};

#define SHOWN_BYTES 512 /* of an id or a path that a report carries, to be a part of a message */

static char *cut(const char *s)
{
	char shown[SHOWN_BYTES];

	str_copy(shown, sizeof(shown), s);
	return mem_strdup(shown);
}

static void count_blocks(struct fetcher *f, unsigned kinds, int by)
{
	unsigned k;

	for (k = 0; k < KIND__COUNT; k++)
		if ((kinds & 1U << k) != 0)
			f->quarantine.blocks[k] += (size_t)by;
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

void quarantine_keep(struct fetcher *f, const char *name)
{
	struct known_entry *e = known_get(&f->known, name);

	if (e == NULL)
		return;
	e->pass = f->pass;
	e->unread = true;
}

/* Is its event's name known? That of node metadata is not in a document that cannot be read. */
static bool touch_by_id(struct fetcher *f, enum kind k, const char *id)
{
	char *name;

	if (id[0] == '\0' || k == KIND__COUNT || k == KIND_SUBSCRIPTION || k == KIND_API_KEY ||
	    k == KIND_NODE_METADATA)
		return false;
	name = event_name(k, id, NULL);
	quarantine_keep(f, name);
	mem_free(name);
	return true;
}

void quarantine_add(struct fetcher *f, struct feed_item *i)
{
	struct quarantined *q = table_get(&f->quarantine.rows, i->where);
	bool named = touch_by_id(f, i->kind, i->id);

	if (q == NULL || !str_equal(q->text, i->text)) {
		log_error(EV("quarantine"), KV("where", i->where), KV("id", i->id),
			  KV("reason", i->text));
		quarantined_free(f, table_del(&f->quarantine.rows, i->where));
		q = mem_zalloc(sizeof(*q));
		q->kind = i->kind;
		q->id = cut(i->id);
		q->where = cut(i->where);
		q->text = mem_strdup(i->text);
		q->since_ms = clock_wall_ms();
		q->blocks = named ? i->blocks & ~(1U << i->kind) : i->blocks;
		count_blocks(f, q->blocks, 1);
		(void)table_set(&f->quarantine.rows, i->where, q);
		settle_undo(f);
		worker_report(f->w);
	}
}

void quarantine_clear(struct fetcher *f, const char *where)
{
	log_note(EV("quarantine_over"), KV("where", where));
	quarantined_free(f, table_del(&f->quarantine.rows, where));
	settle_retry(f);
	worker_report(f->w);
}

void quarantine_report(const struct fetcher *f, Ipc__FetcherReport *r)
{
	static Ipc__Quarantined items[QUARANTINE_TOLD];
	static Ipc__Quarantined *list[QUARANTINE_TOLD];
	size_t at = 0;
	void *v;

	while (r->n_quarantine < QUARANTINE_TOLD &&
	       table_next(&f->quarantine.rows, &at, NULL, &v)) {
		struct quarantined *q = v;
		Ipc__Quarantined *out = &items[r->n_quarantine];

		ipc__quarantined__init(out);
		/* The type of a row of events may be what cannot be read. */
		out->type =
			(char *)(uintptr_t)(q->kind == KIND__COUNT ? "EVENT" : kind_name(q->kind));
		out->id = q->id;
		out->where = q->where;
		out->reason = q->text;
		out->since_ms = q->since_ms;
		list[r->n_quarantine++] = out;
	}
	r->quarantine = list;
	r->quarantined = f->quarantine.rows.len;
}

void quarantine_reset(struct fetcher *f)
{
	size_t at = 0;
	void *v;

	while (table_next(&f->quarantine.rows, &at, NULL, &v))
		quarantined_free(f, v);
	table_reset(&f->quarantine.rows);
}

size_t quarantine_count(const struct fetcher *f)
{
	return f->quarantine.rows.len;
}

size_t quarantine_blocks(const struct fetcher *f, enum kind k)
{
	return f->quarantine.blocks[k];
}

bool quarantine_has(const struct fetcher *f, const char *where)
{
	return table_get(&f->quarantine.rows, where) != NULL;
}
