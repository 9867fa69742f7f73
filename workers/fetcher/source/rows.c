/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/rows.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "workers/fetcher/source/rows_page.h"

static page_fn *const pages[DB__COUNT] = {
	[DB_EVENTS] = rows_events_page,	      [DB_SUBSCRIPTIONS] = rows_subscriptions_page,
	[DB_KEYS] = rows_keys_page,	      [DB_LICENSES] = rows_whole_page,
	[DB_ACCESS_POINTS] = rows_whole_page,
};

/* --- scans --- */

struct scan {
	struct row_page page;
	struct rows_edge *edge;
	bool cut; /* not all rows of the answer had room */
};

static void edge_set(char **id, int64_t *ms, const struct db_row *row)
{
	if (*id == NULL || strcmp(*id, row->position) != 0) {
		mem_free(*id);
		*id = mem_strdup(row->position);
	}
	*ms = row->updated_ms;
}

static bool is_beyond(const struct db_row *row, const char *id, int64_t ms)
{
	return id == NULL || row->updated_ms > ms ||
	       (row->updated_ms == ms && strcmp(row->position, id) > 0);
}

static int scan_add(void *arg, const struct db_row *row, struct err *e)
{
	struct scan *s = arg;
	struct rows_edge *g = s->edge;

	UNUSED(e);
	s->cut = s->cut || page_is_full(&s->page);
	if (s->cut)
		return 0;
	edge_set(&g->id, &g->ms, row);
	/* A row without a time is no place to go on from. */
	if (row->updated_ms > 0 && row->updated_ms <= g->until_ms &&
	    is_beyond(row, g->seen_id, g->seen_ms))
		edge_set(&g->seen_id, &g->seen_ms, row);
	s->page.redo = s->page.r->unsure && is_beyond(row, g->done_id, g->done_ms);
	page_add(&s->page, row);
	return 0;
}

int rows_take(struct rows *r, struct db_query *q, struct rows_edge *edge, struct err *e)
{
	struct scan s = {
		.page = { .r = r, .kind = edge->kind, .table = q->table, .brief = q->brief },
		.edge = edge
	};
	int n = rows_each(r, q, scan_add, &s, e);
	bool more = s.cut || n == (int)q->limit;
	int rc = n;

	edge->in_ms = clock_boot_ms();
	/* What had no room is read again: no more of them next time than have. */
	if (s.cut)
		q->limit = (unsigned)s.page.n;
	else if (s.page.bytes < ROWS_PAGE_BYTES / 2)
		q->limit = MIN(q->limit * 2, DB_PAGE_ROWS);
	if (n >= 0 && s.page.n > 0)
		rc = pages[q->table](&s.page, e);
	q->since_ms = edge->ms;
	q->after_id = edge->id;
	page_reset(&s.page);
	return rc < 0 ? rc : more;
}

int rows_take_ids(struct rows *r, enum pass_kind kind, enum db_table t, const struct map_ids *ids,
		  struct err *e)
{
	const bool brief = db_table_form(t)->brief;
	struct row_page page = { .r = r, .kind = kind, .table = t, .brief = brief };
	const struct row_lookup l = { t, brief, "id", ids->v, ids->n };

	return page_look_up(&page, &l, pages[t], e);
}

void rows_edge_reset(struct rows_edge *g)
{
	mem_free(g->id);
	mem_free(g->seen_id);
	*g = (struct rows_edge){ 0 };
}

/* --- what no row made --- */

/* Where rows have the ids of their entities; DB__COUNT: rows of that kind have not. */
static enum db_table table_of(enum kind k)
{
	if (k == KIND_SUBSCRIPTION)
		return DB_SUBSCRIPTIONS;
	if (k == KIND_API_KEY)
		return DB_KEYS;
	return k != KIND_LICENSE && k != KIND_ACCESS_POINT && k != KIND_NODE_METADATA &&
			       map_own_id(k)
		       ? DB_EVENTS
		       : DB__COUNT;
}

int rows_ask(struct rows *r, enum pass_kind kind, const struct feed_unmet *u, struct err *e)
{
	static const enum db_table tables[] = { DB_EVENTS, DB_SUBSCRIPTIONS, DB_KEYS };
	unsigned t;
	size_t i;
	int rc = 0;

	for (t = 0; rc == 0 && t < ARRAY_LEN(tables); t++) {
		struct map_ids ids = { 0 };

		for (i = 0; i < u->n; i++)
			if (table_of(u->v[i].kind) == tables[t])
				map_ids_add(&ids, u->v[i].id);
		rc = rows_take_ids(r, kind, tables[t], &ids, e);
		map_ids_reset(&ids);
	}
	return rc;
}

void rows_settle(struct rows *r)
{
	const char *where;
	size_t at = 0;
	void *v;

	rows_events_settle(r);
	while (table_next(&r->quarantine, &at, &where, &v)) {
		if ((uint32_t)(uintptr_t)v == r->pass)
			continue;
		feed_say(r->feed, FEED_CLEARED, where, NULL);
		(void)table_del(&r->quarantine, where);
	}
}

/* --- life --- */

void rows_begin(struct rows *r, struct feed *f, enum pass_kind kind)
{
	r->feed = f;
	r->pass++;
	r->read = 0;
	if (r->owed.n == 0)
		r->products.lost = false;
	if (kind != PASS_DELTA)
		r->products.holds = false;
}

void rows_reset(struct rows *r)
{
	unsigned i;
	void *v;

	for (i = 0; i < ARRAY_LEN(r->refs); i++) {
		size_t at = 0;

		while (table_next(&r->refs[i], &at, NULL, &v)) {
			map_plans_reset(&((struct ref *)v)->plans);
			mem_free(v);
		}
		table_reset(&r->refs[i]);
	}
	map_ids_reset(&r->owed);
	r->pass++; /* all of them are of an earlier one now */
	rows_events_settle(r);
	table_reset(&r->claims);
	table_reset(&r->quarantine);
}
