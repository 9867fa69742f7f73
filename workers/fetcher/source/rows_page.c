/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/source/rows_page.h"

/* --- queries --- */

void rows_query(const struct rows *r, enum db_table t, struct db_query *q)
{
	*q = (struct db_query){ .table = t };
	if (t == DB_LICENSES)
		return; /* of an organization */
	q->environments = r->environments->v;
	q->n_environments = r->environments->n;
}

struct each {
	struct rows *r;
	db_row_fn *fn;
	void *arg;
};

static int each_row(void *arg, const struct db_row *row, struct err *e)
{
	struct each *w = arg;

	w->r->read++;
	return feed_stopped(w->r->feed, e) < 0 ? ERR_STATE : w->fn(w->arg, row, e);
}

int rows_each(struct rows *r, const struct db_query *q, db_row_fn *fn, void *arg, struct err *e)
{
	struct each w = { r, fn, arg };

	return r->db->ops->rows(r->db, q, each_row, &w, e);
}

int rows_look_up(struct rows *r, const struct row_lookup *l, db_row_fn *fn, void *arg,
		 struct err *e)
{
	struct db_query q;
	size_t at;
	int rc = 0;

	rows_query(r, l->table, &q);
	q.brief = l->brief;
	q.field = l->field;
	for (at = 0; rc >= 0 && at < l->n; at += DB_PAGE_ROWS) {
		q.in = l->ids + at;
		q.n_in = MIN(l->n - at, (size_t)DB_PAGE_ROWS);
		rc = rows_each(r, &q, fn, arg, e);
	}
	return MIN(rc, 0);
}

/* --- pages --- */

struct json_span page_row(const struct row *row)
{
	return (struct json_span){ row->text.data, row->text.len };
}

static void page_clear(struct row_page *p)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		mem_free(p->v[i].id);
		buf_reset(&p->v[i].text);
	}
	p->n = 0;
	p->bytes = 0;
}

void page_reset(struct row_page *p)
{
	page_clear(p);
	mem_free(p->v);
	p->v = NULL;
	p->cap = 0;
	map_ids_reset(&p->rest);
}

bool page_is_full(const struct row_page *p)
{
	return p->n >= DB_PAGE_ROWS || p->bytes >= ROWS_PAGE_BYTES;
}

void page_add(struct row_page *p, const struct db_row *row)
{
	struct row *r;

	if (row->bad != NULL) {
		rows_quarantine(p->r, p->table, row->id, NULL, row->bad);
		return;
	}
	p->v = mem_grow(p->v, &p->cap, p->n + 1, sizeof(*p->v));
	r = &p->v[p->n++];
	*r = (struct row){ .id = mem_strdup(row->id),
			   .updated_ms = row->updated_ms,
			   .redo = p->redo };
	buf_add(&r->text, row->json.p, row->json.n);
	p->bytes += row->json.n;
}

static int add_or_name(void *arg, const struct db_row *row, struct err *e)
{
	struct row_page *p = arg;

	UNUSED(e);
	if (page_is_full(p) && row->bad == NULL)
		map_ids_add(&p->rest, row->id);
	else
		page_add(p, row);
	return 0;
}

int page_look_up(struct row_page *p, const struct row_lookup *l, page_fn *take, struct err *e)
{
	struct row_lookup left = *l;
	struct map_ids own = { 0 };
	size_t fit = DB_PAGE_ROWS; /* rows of a query */
	int rc = 0;

	while (rc == 0 && left.n + p->rest.n > 0) {
		struct row_lookup one = left;
		size_t over;

		if (left.n == 0) { /* what was left over is the next to be read */
			map_ids_reset(&own);
			own = p->rest;
			p->rest = (struct map_ids){ 0 };
			left = (struct row_lookup){ l->table, l->brief, "id", own.v, own.n };
			one = left;
		}
		one.n = MIN(left.n, fit);
		left.ids += one.n;
		left.n -= one.n;
		over = p->rest.n;
		rc = rows_look_up(p->r, &one, add_or_name, p, e);
		if (p->rest.n > over)
			fit = p->n;
		if (rc == 0)
			rc = take(p, e);
		page_clear(p);
	}
	map_ids_reset(&own);
	page_reset(p);
	return rc;
}

/* --- items --- */

void rows_put(struct rows *r, struct map_out *out)
{
	if (out->outcome == MAP_EVENT)
		feed_put_event(r->feed, &out->ev, BY_ROW);
	map_out_reset(out);
}

void rows_put_as(struct rows *r, struct map_out *out, int64_t version_ms)
{
	mem_free(out->ev.version);
	out->ev.version = mem_printf("%" PRId64, version_ms);
	rows_put(r, out);
}

void rows_withdraw(struct rows *r, const struct event *what, int64_t version_ms)
{
	struct event ev = { .kind = what->kind, .action = ACTION_UNDEPLOY };

	ev.id = mem_strdup(what->id);
	ev.ref_id = mem_strdup(what->ref_id);
	ev.version = version_ms > 0 ? mem_printf("%" PRId64, version_ms) : mem_strdup("");
	feed_put_event(r->feed, &ev, BY_ROW);
}

void rows_keep(struct rows *r, enum kind k, const char *id)
{
	char *name = event_name(k, id, NULL);

	feed_say(r->feed, FEED_KEPT, name, NULL);
	mem_free(name);
}

/* --- rows that cannot be used --- */

struct ref *ref_entry(struct rows *r, enum kind k, const char *id)
{
	struct table *refs = &r->refs[k == KIND_API_PRODUCT ? 1 : 0];
	struct ref *a = table_get(refs, id);

	CHECK(kind_has_children(k));
	if (a == NULL) {
		a = mem_zalloc(sizeof(*a));
		(void)table_set(refs, id, a);
	}
	return a;
}

static char *where_of(enum db_table t, const char *id)
{
	return mem_printf("%s/%s", db_table_name(t), id);
}

/* The kinds it may be of whose name its id does not tell: most rows of events are named as
   their entity is; a child's name needs what it hangs on. */
static unsigned blocks_of(enum db_table t)
{
	unsigned blocks = t == DB_SUBSCRIPTIONS || t == DB_KEYS ? 1U << db_table_form(t)->kind : 0;
	unsigned k;

	for (k = 0; t == DB_EVENTS && k < KIND__COUNT; k++)
		if (!map_own_id((enum kind)k))
			blocks |= 1U << k;
	return blocks;
}

void rows_unreadable(struct rows *r, enum kind k, const char *id)
{
	struct ref *a = ref_entry(r, k, id);

	a->state = REF_UNREADABLE;
	a->seen = r->pass;
}

void rows_quarantine(struct rows *r, enum db_table t, const char *id, const char *name,
		     const char *why)
{
	enum kind k = db_table_form(t)->kind;
	const char *of;

	if (k == KIND__COUNT && name != NULL && event_name_parse(name, NULL, &k, &of, NULL) < 0)
		k = KIND__COUNT;
	rows_quarantine_of(r, t, &(struct feed_bad){ .kind = k, .id = id, .why = why }, name);
}

void rows_quarantine_of(struct rows *r, enum db_table t, struct feed_bad *bad, const char *name)
{
	static const enum kind kinds[] = { KIND_API, KIND_API_PRODUCT, KIND_DICTIONARY,
					   KIND_ORGANIZATION };
	const char *id = bad->id;
	char *where = where_of(t, id);
	unsigned k;

	bad->blocks = name == NULL ? blocks_of(t) : 0;
	bad->where = where;
	feed_quarantine(r->feed, bad);
	if (name != NULL)
		feed_say(r->feed, FEED_KEPT, name, NULL);
	/* Which of them it is the row may not say. */
	for (k = 0; t == DB_EVENTS && k < ARRAY_LEN(kinds); k++) {
		rows_keep(r, kinds[k], id);
		if (kind_has_children(kinds[k]))
			rows_unreadable(r, kinds[k], id);
	}
	(void)table_set(&r->quarantine, where, (void *)(uintptr_t)r->pass);
	mem_free(where);
}

bool rows_is_bad(const struct rows *r, enum db_table t, const char *id)
{
	char *where = where_of(t, id);
	bool bad = table_get(&r->quarantine, where) != NULL;

	mem_free(where);
	return bad;
}

void rows_fine(struct rows *r, enum db_table t, const char *id)
{
	char *where;

	if (r->quarantine.len == 0)
		return;
	where = where_of(t, id);
	if (table_del(&r->quarantine, where) != NULL)
		feed_say(r->feed, FEED_CLEARED, where, NULL);
	mem_free(where);
}
