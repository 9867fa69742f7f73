/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/rows.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/source/rows_page.h"

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
}

int page_take(struct row_page *p, struct err *e)
{
	int rc = 0;

	if (p->n == 0)
		return 0;
	if (p->table == DB_EVENTS)
		rc = rows_events_page(p, e);
	else if (p->table == DB_SUBSCRIPTIONS)
		rc = rows_subscriptions_page(p, e);
	else if (p->table == DB_KEYS)
		rc = rows_keys_page(p, e);
	else
		rows_whole_page(p);
	page_clear(p);
	return rc;
}

int page_add(void *arg, const struct db_row *row, struct err *e)
{
	struct row_page *p = arg;
	struct row *r;

	if (feed_stopping(p->r->feed))
		return err_set(e, ERR_STATE, "the source is stopping");
	p->r->read++;
	if (row->bad != NULL) {
		rows_quarantine(p->r, p->table, row->id, NULL, row->bad);
		return 0;
	}
	p->v = mem_grow(p->v, &p->cap, p->n + 1, sizeof(*p->v));
	r = &p->v[p->n++];
	*r = (struct row){ .id = mem_strdup(row->id),
			   .updated_ms = row->updated_ms,
			   .redo = p->redo };
	buf_add(&r->text, row->json.p, row->json.n);
	p->bytes += row->json.n;
	return p->n >= DB_PAGE_ROWS || p->bytes >= ROWS_PAGE_BYTES ? page_take(p, e) : 0;
}

void rows_query(const struct rows *r, enum db_table t, struct db_query *q)
{
	*q = (struct db_query){ .table = t };
	if (t == DB_LICENSES)
		return; /* of an organization */
	q->environments = r->environments;
	q->n_environments = r->n_environments;
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
		rc = r->db->ops->rows(r->db, &q, fn, arg, e);
	}
	return MIN(rc, 0);
}

/* --- scans --- */

struct scan {
	struct row_page page;
	struct rows_edge *edge;
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
	int rc;

	edge_set(&g->id, &g->ms, row);
	/* A row without a time is no place to go on from. */
	if (row->updated_ms > 0 && row->updated_ms <= g->until_ms &&
	    is_beyond(row, g->seen_id, g->seen_ms))
		edge_set(&g->seen_id, &g->seen_ms, row);
	s->page.redo = s->page.r->unsure && is_beyond(row, g->done_id, g->done_ms);
	rc = page_add(&s->page, row, e);
	if (rc == 0 && s->page.n == 0 && s->page.r->paged != NULL)
		rc = s->page.r->paged(s->page.r->arg, e);
	return rc;
}

int rows_take(struct rows *r, const struct db_query *q, struct rows_edge *edge, struct err *e)
{
	struct scan s = { .page = { .r = r, .table = q->table, .brief = q->brief }, .edge = edge };
	int n = r->db->ops->rows(r->db, q, scan_add, &s, e);
	int rc = n < 0 ? n : page_take(&s.page, e);

	page_reset(&s.page);
	return rc < 0 ? rc : n;
}

int rows_take_ids(struct rows *r, enum db_table t, char *const *ids, size_t n, struct err *e)
{
	const bool brief = db_has_brief(t);
	struct row_page page = { .r = r, .table = t, .brief = brief };
	const struct row_lookup l = { t, brief, "id", ids, n };
	int rc = rows_look_up(r, &l, page_add, &page, e);

	if (rc == 0)
		rc = page_take(&page, e);
	page_reset(&page);
	return rc;
}

void rows_edge_reset(struct rows_edge *g)
{
	mem_free(g->id);
	mem_free(g->seen_id);
	*g = (struct rows_edge){ 0 };
}

/* --- items --- */

char *rows_name(enum kind k, const char *id, const char *ref)
{
	struct buf b = { 0 };

	event_name(&b, k, id, ref);
	return buf_take(&b);
}

void rows_put(struct rows *r, struct map_out *out)
{
	if (out->outcome == MAP_EVENT)
		feed_put_event(r->feed, &out->ev, false);
	map_out_reset(out);
}

void rows_withdraw(struct rows *r, const struct event *what, int64_t version_ms)
{
	struct event ev = { .kind = what->kind, .action = ACTION_UNDEPLOY };

	ev.id = mem_strdup(what->id);
	ev.ref_id = mem_strdup(what->ref_id);
	ev.version = version_ms > 0 ? mem_printf("%" PRId64, version_ms) : mem_strdup("");
	feed_put_event(r->feed, &ev, false);
}

void rows_keep(struct rows *r, const char *name)
{
	struct feed_item *i = feed_item_new(FEED_KEPT);

	i->where = mem_strdup(name);
	feed_put(r->feed, i);
}

static char *where_of(enum db_table t, const char *id)
{
	return mem_printf("%s/%s", db_table_name(t), id);
}

static enum kind kind_of(enum db_table t)
{
	static const enum kind kinds[DB__COUNT] = {
		[DB_EVENTS] = KIND_API,
		[DB_SUBSCRIPTIONS] = KIND_SUBSCRIPTION,
		[DB_KEYS] = KIND_API_KEY,
		[DB_ENVIRONMENTS] = KIND_ORGANIZATION,
		[DB_ORGANIZATIONS] = KIND_ORGANIZATION,
		[DB_INSTALLATION] = KIND_NODE_METADATA,
		[DB_LICENSES] = KIND_LICENSE,
		[DB_ACCESS_POINTS] = KIND_ACCESS_POINT,
	};

	return kinds[t];
}

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

static int ask_table(struct rows *r, enum db_table t, const struct feed_unmet *u, struct err *e)
{
	char **ids = mem_alloc((u->n + 1) * sizeof(*ids));
	size_t n = 0;
	size_t i;
	int rc;

	for (i = 0; i < u->n; i++)
		if (table_of(u->v[i].kind) == t)
			ids[n++] = u->v[i].id;
	rc = rows_take_ids(r, t, ids, n, e);
	mem_free(ids);
	return rc;
}

int rows_ask(struct rows *r, const struct feed_unmet *u, struct err *e)
{
	static const enum db_table tables[] = { DB_EVENTS, DB_SUBSCRIPTIONS, DB_KEYS };
	unsigned i;
	int rc = 0;

	for (i = 0; rc == 0 && u->n > 0 && i < ARRAY_LEN(tables); i++)
		rc = ask_table(r, tables[i], u, e);
	return rc;
}

void rows_quarantine(struct rows *r, enum db_table t, const char *id, const char *name,
		     const char *why)
{
	static const enum kind kinds[] = { KIND_API, KIND_API_PRODUCT, KIND_DICTIONARY,
					   KIND_ORGANIZATION };
	struct feed_item *i = feed_item_new(FEED_QUARANTINE);
	char *where = where_of(t, id);
	unsigned k;

	i->kind = kind_of(t);
	i->id = mem_strdup(id);
	/* Most rows of events are named as their entity is; a child's name needs what it
	   hangs on. */
	if (name == NULL && (t == DB_SUBSCRIPTIONS || t == DB_KEYS))
		i->blocks = 1U << i->kind;
	for (k = 0; name == NULL && t == DB_EVENTS && k < KIND__COUNT; k++)
		if (!map_own_id((enum kind)k))
			i->blocks |= 1U << k;
	i->where = mem_strdup(where);
	i->text = mem_strdup(why);
	feed_put(r->feed, i);
	if (name != NULL)
		rows_keep(r, name);
	if (t == DB_EVENTS)
		rows_unreadable(r, id);
	for (k = 0; t == DB_EVENTS && k < ARRAY_LEN(kinds); k++) {
		char *one = rows_name(kinds[k], id, NULL);

		rows_keep(r, one);
		mem_free(one);
	}
	(void)table_set(&r->quarantine, where, (void *)(uintptr_t)r->pass);
	mem_free(where);
}

static void put_cleared(struct rows *r, const char *where)
{
	struct feed_item *i = feed_item_new(FEED_CLEARED);

	i->where = mem_strdup(where);
	feed_put(r->feed, i);
}

void rows_fine(struct rows *r, enum db_table t, const char *id)
{
	char *where;

	if (r->quarantine.len == 0)
		return;
	where = where_of(t, id);
	if (table_del(&r->quarantine, where) != NULL)
		put_cleared(r, where);
	mem_free(where);
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
		put_cleared(r, where);
		(void)table_del(&r->quarantine, where);
	}
}

/* --- life --- */

void rows_begin(struct rows *r, struct feed *f, enum pass_kind kind)
{
	r->feed = f;
	r->kind = kind;
	r->pass++;
	r->read = 0;
	if (r->owed.n == 0)
		r->lost = false;
	if (kind != PASS_DELTA)
		r->holds = false;
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
