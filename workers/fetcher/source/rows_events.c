/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"
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

void rows_events_settle(struct rows *r)
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

int rows_events_page(struct row_page *p, struct err *e)
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
