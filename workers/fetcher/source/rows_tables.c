/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "workers/fetcher/map/plain.h"
#include "workers/fetcher/source/rows_page.h"

/* --- rows that share an entity --- */

struct claim {	   /* the row that counts */
	char *row; /* owned */
	int64_t ms;
	uint32_t pass; /* the last that met it */
};

static void claim_free(struct claim *c)
{
	mem_free(c->row);
	mem_free(c);
}

/* Of several rows the newest has the say. false: this one has not, and changes nothing. */
static bool claim(struct rows *r, const char *name, const struct row *row)
{
	struct claim *c = table_get(&r->claims, name);
	bool same = c != NULL && str_equal(c->row, row->id);

	if (c != NULL && !same &&
	    (c->ms > row->updated_ms ||
	     (c->ms == row->updated_ms && strcmp(c->row, row->id) > 0))) {
		/* Should the other one be gone, the next pass finds out. */
		feed_say(r->feed, FEED_KEPT, name, NULL);
		return false;
	}
	if (!same) {
		if (c != NULL)
			claim_free(c);
		c = mem_zalloc(sizeof(*c));
		c->row = mem_strdup(row->id);
		(void)table_set(&r->claims, name, c);
	}
	c->ms = row->updated_ms;
	c->pass = r->pass;
	return true;
}

static void settle_claims(struct rows *r)
{
	const char *name;
	size_t at = 0;
	void *v;

	while (table_next(&r->claims, &at, &name, &v)) {
		if (((struct claim *)v)->pass == r->pass)
			continue;
		(void)table_del(&r->claims, name);
		claim_free(v);
	}
}

/* --- a page --- */

struct about { /* a row of the page */
	struct map_about what;
	struct feed_ask ask; /* name owned */
	bool skip;
	bool lost; /* REF_LOST, and nothing new: it is for the guard */
};

static struct ref *entry_of(struct rows *r, const struct map_about *what)
{
	return kind_has_children(what->kind) ? ref_entry(r, what->kind, what->id) : NULL;
}

/* What the row is about, and what is to be asked for. */
static void read_row(struct row_page *p, const struct row *row, struct about *v)
{
	struct err why = { 0 };
	int rc = map_event_about(p->r->ctx, page_row(row), &v->what, &why);
	struct ref *a;
	bool known;

	v->ask.verdict = ASK_NEW;
	v->skip = true;
	if (rc == 0 && v->what.outcome == MAP_EVENT)
		rc = rows_check_id(v->what.kind, v->what.id, row->id, &why);
	if (rc < 0)
		rows_bad_event(p->r, row, why.text);
	if (rc < 0 || v->what.outcome == MAP_NOTHING)
		return;
	v->ask.name = event_name(v->what.kind, v->what.id, NULL);
	if (!map_own_id(v->what.kind) && !claim(p->r, v->ask.name, row))
		return;
	a = entry_of(p->r, &v->what);
	if (a != NULL)
		a->seen = p->r->pass;
	/* It was read, and made nothing that the zone would hold: tags say. */
	known = p->brief && a != NULL && a->version_ms == row->updated_ms;
	v->skip = known && a->state == REF_OFF;
	v->lost = known && a->state == REF_LOST;
	v->ask.version_ms = v->lost ? 0 : row->updated_ms;
	v->ask.gone = v->what.withdraws || v->lost;
}

static int ask_page(const struct row_page *p, struct about *v, struct err *e)
{
	struct feed_ask **asks = mem_alloc((p->n + 1) * sizeof(struct feed_ask *));
	size_t n = 0;
	size_t i;
	int rc;

	for (i = 0; p->brief && i < p->n; i++)
		if (!v[i].skip)
			asks[n++] = &v[i].ask;
	rc = feed_ask(p->r->feed, asks, n, e);
	mem_free(asks);
	return rc;
}

struct rows_wanted { /* rows to be read whole, and the references whose children come after them */
	struct rows *r;
	enum pass_kind kind;
	const struct row_page *page; /* NULL: they are of none */
	const struct about *v;	     /* its rows */
	char **ids;		     /* not owned */
	size_t n;
	char **products; /* not owned: those go first, since APIs are judged by them */
	size_t n_products;
	struct map_ids parents;
};

static void take_whole(struct rows_wanted *w, const struct row *row)
{
	struct map_out out = { 0 };
	bool children = false;

	if (rows_map_event(w->r, row, &out, &children) < 0)
		return;
	if (children && w->kind == PASS_DELTA) /* then it is one that has them */
		map_ids_add(&w->parents, out.ev.id);
	rows_put(w->r, &out);
}

static const char *name_in_page(const struct rows_wanted *w, const char *id)
{
	size_t n = w->page == NULL ? 0 : w->page->n;
	size_t i = 0;

	while (i < n && !str_equal(w->page->v[i].id, id))
		i++;
	return i < n ? w->v[i].ask.name : NULL;
}

static int add_whole(void *arg, const struct db_row *row, struct err *e)
{
	struct rows_wanted *w = arg;
	const struct row one = row_of(row);

	UNUSED(e);
	if (row->bad != NULL)
		rows_quarantine(w->r, DB_EVENTS, row->id, name_in_page(w, row->id), row->bad);
	else
		take_whole(w, &one);
	return 0;
}

/* What the answer, or the row by itself, says: read it, withdraw it, or nothing. */
static void judge(struct row_page *p, const struct row *row, const struct about *v,
		  struct rows_wanted *w)
{
	struct rows *r = p->r;
	struct ref *a = entry_of(r, &v->what);
	const struct event ev = { .kind = v->what.kind, .id = v->what.id };
	enum feed_verdict verdict = v->ask.verdict;

	if (v->lost) {
		CHECK(a != NULL);
		if (verdict == ASK_SAME)
			a->state = REF_OFF; /* it is not there any more */
		else
			r->products.holds = true;
		return;
	}
	if (!v->what.withdraws && verdict != ASK_BARRED &&
	    (verdict != ASK_SAME || r->remap || row->redo)) {
		if (a != NULL && (verdict == ASK_NEW || row->redo))
			a->state = REF_UNKNOWN;
		if (p->brief && v->what.kind == KIND_API_PRODUCT)
			w->products[w->n_products++] = row->id;
		else if (p->brief)
			w->ids[w->n++] = row->id;
		else
			take_whole(w, row);
		return;
	}
	if (v->what.withdraws && verdict != ASK_SAME)
		rows_withdraw(r, &ev, row->updated_ms);
	if (v->what.withdraws && v->what.kind == KIND_API_PRODUCT)
		rows_forget_product(r, v->what.id);
	rows_fine(r, DB_EVENTS, row->id);
	/* Barred: as if the row said what came after it, and it is asked for again. */
	if (a != NULL)
		ref_set(a, v->what.withdraws || verdict == ASK_BARRED ? REF_OFF : REF_ON,
			v->what.withdraws || verdict != ASK_BARRED ? row->updated_ms : 0);
}

/* Reads what is wanted, and what hangs on it. */
static int read_wanted(struct rows_wanted *w, struct err *e)
{
	const struct row_lookup products = { DB_EVENTS, false, "id", w->products, w->n_products };
	const struct row_lookup rest = { DB_EVENTS, false, "id", w->ids, w->n };
	size_t i;
	int rc = rows_look_up(w->r, &products, add_whole, w, e);

	if (rc == 0)
		rc = rows_look_up(w->r, &rest, add_whole, w, e);
	for (i = 0; rc == 0 && i < w->parents.n; i++)
		rc = rows_children(w->r, w->parents.v[i], e);
	map_ids_reset(&w->parents);
	return rc;
}

int rows_rejudge(struct rows *r, enum pass_kind kind, struct err *e)
{
	int rc = 0;

	while (rc == 0 && r->owed.n > 0) {
		struct map_ids now = r->owed;
		struct rows_wanted w = { .r = r, .kind = kind, .ids = now.v, .n = now.n };
		size_t i;

		r->owed = (struct map_ids){ 0 };
		rc = read_wanted(&w, e);
		for (i = 0; rc < 0 && i < now.n; i++)
			map_ids_add(&r->owed, now.v[i]); /* it is owed still */
		map_ids_reset(&now);
	}
	return rc;
}

static int events_page(struct row_page *p, struct err *e)
{
	struct about *v = mem_zalloc((p->n + 1) * sizeof(*v));
	struct rows_wanted w = { .r = p->r, .kind = p->kind, .page = p, .v = v };
	size_t i;
	int rc;

	w.ids = mem_alloc((p->n + 1) * sizeof(*w.ids));
	w.products = mem_alloc((p->n + 1) * sizeof(*w.products));
	for (i = 0; i < p->n; i++)
		read_row(p, &p->v[i], &v[i]);
	rc = ask_page(p, v, e);
	for (i = 0; rc == 0 && i < p->n; i++)
		if (!v[i].skip)
			judge(p, &p->v[i], &v[i], &w);
	if (rc == 0)
		rc = read_wanted(&w, e);
	if (rc == 0)
		rc = rows_rejudge(p->r, p->kind, e);
	mem_free(w.ids);
	mem_free(w.products);
	for (i = 0; i < p->n; i++) {
		mem_free(v[i].ask.name);
		mem_free(v[i].what.id);
	}
	mem_free(v);
	return rc;
}

/* --- tables of few and small rows --- */

/* They are read whole each time: there is nothing to ask, the loop lets go what the zone holds
   in the same version and content. */
static void take_small(struct row_page *p, const struct row *row)
{
	const struct map_ids *ours = p->r->organizations;
	bool license = p->table == DB_LICENSES;
	enum kind k = license ? KIND_LICENSE : KIND_ACCESS_POINT;
	struct map_out out = { 0 };
	struct err why = { 0 };
	int rc;

	/* A license of another organization than this gateway's is not there. */
	if (license && ours->n > 0 && !map_ids_has(ours, row->id))
		return;
	rc = license ? map_license(page_row(row), &out, &why)
		     : map_access_point(page_row(row), &out, &why);
	if (rc < 0) {
		char *name = event_name(k, row->id, NULL);

		rows_quarantine(p->r, p->table, row->id, name, why.text);
		mem_free(name);
		return;
	}
	rows_fine(p->r, p->table, row->id);
	rows_put(p->r, &out);
}

static int whole_page(struct row_page *p, struct err *e)
{
	size_t i;

	UNUSED(e);
	for (i = 0; i < p->n; i++)
		take_small(p, &p->v[i]);
	return 0;
}

/* --- which table has which --- */

static page_fn *const pages[DB__COUNT] = {
	[DB_EVENTS] = events_page,	 [DB_SUBSCRIPTIONS] = rows_subscriptions_page,
	[DB_KEYS] = rows_keys_page,	 [DB_LICENSES] = whole_page,
	[DB_ACCESS_POINTS] = whole_page,
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

	settle_claims(r);
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
	settle_claims(r);
	table_reset(&r->claims);
	table_reset(&r->quarantine);
}
