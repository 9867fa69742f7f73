/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/source/rows_page.h"

/* --- what is remembered of a reference --- */

struct table *refs_of(struct rows *r, enum kind k)
{
	return &r->refs[k == KIND_API_PRODUCT ? 1 : 0];
}

struct ref *ref_entry(struct rows *r, enum kind k, const char *id)
{
	struct ref *a = table_get(refs_of(r, k), id);

	CHECK(kind_has_children(k));
	if (a == NULL) {
		a = mem_zalloc(sizeof(*a));
		(void)table_set(refs_of(r, k), id, a);
	}
	return a;
}

static void forget_plans(struct ref *a)
{
	map_plans_reset(&a->plans);
	a->plans_known = false;
	a->looked_up = false;
}

static void set_unreadable(struct rows *r, enum kind k, const char *id)
{
	struct ref *a = ref_entry(r, k, id);

	a->state = REF_UNREADABLE;
	a->seen = r->pass;
}

/* Which of them it is the row may not say. */
void rows_unreadable(struct rows *r, const char *id)
{
	set_unreadable(r, KIND_API, id);
	set_unreadable(r, KIND_API_PRODUCT, id);
}

enum hang ref_hang(const struct ref *a, const char *plan)
{
	size_t i;

	switch (a->state) {
	case REF_ON:
		break;
	case REF_OFF:
		return HANG_NO;
	case REF_UNREADABLE:
		return HANG_KEPT;
	default:
		return HANG_NOTHING;
	}
	for (i = 0; i < a->plans.n; i++)
		if (str_equal(a->plans.v[i].id, plan))
			return HANG_YES;
	return a->plans_known ? HANG_NO : HANG_MAYBE;
}

/* What the row's event makes of it. true: its children must be looked at again. */
static bool ref_learn(struct ref *a, const struct map_out *out, struct map_plans *plans,
		      int64_t version_ms)
{
	bool on = out->ev.action == ACTION_DEPLOY;
	bool changed = on && (a->state != REF_ON || !a->plans_known || a->looked_up ||
			      !map_plans_equal(&a->plans, plans) ||
			      (a->version_ms != version_ms && map_plans_push(plans, NULL)));

	forget_plans(a);
	a->state = on ? REF_ON : REF_OFF;
	a->version_ms = version_ms;
	a->plans = *plans;
	a->plans_known = on;
	*plans = (struct map_plans){ 0 };
	return changed;
}

/* Of two rows of one entity, which one counts? */
static int foreign(enum kind k, const char *id, struct err *e)
{
	return err_set(e, ERR_PARSE, "it is of the %s %.200s, and has another _id", kind_name(k),
		       id);
}

int rows_check_id(const struct map_out *out, const char *id, struct err *e)
{
	return out->outcome != MAP_EVENT || !map_own_id(out->ev.kind) || str_equal(out->ev.id, id)
		       ? 0
		       : foreign(out->ev.kind, out->ev.id, e);
}

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
		rows_keep(r, name); /* should the other one be gone, the next pass finds out */
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

/* --- mapping --- */

/* Its last good version is named by what the row says it is about, if it says so. */
static void quarantine(struct rows *r, const struct row *row, const char *why)
{
	struct map_about about = { 0 };
	char *name = NULL;

	if (map_event_about(r->ctx, page_row(row), &about, NULL) == 0 && about.outcome == MAP_EVENT)
		name = rows_name(about.kind, about.id, NULL);
	rows_quarantine(r, DB_EVENTS, row->id, name, why);
	mem_free(about.id);
	mem_free(name);
}

static struct json_span payload_of(const struct map_out *out)
{
	return (struct json_span){ out->ev.payload.data, out->ev.payload.len };
}

/* An API that a product might hold, or held until an outage: nothing is said of it. */
static bool is_doubtful(struct rows *r, const struct map_out *out, int64_t version_ms)
{
	struct ref *a;
	char *name;

	if (!out->ineligible)
		return false;
	a = ref_entry(r, KIND_API, out->ev.id);
	if (r->doubt) {
		name = rows_name(KIND_API, out->ev.id, NULL);
		rows_keep(r, name);
		set_unreadable(r, KIND_API, out->ev.id);
		mem_free(name);
	} else if (r->lost || a->state == REF_LOST) {
		forget_plans(a);
		r->holds = true;
		a->state = REF_LOST;
		a->version_ms = version_ms;
	} else {
		return false;
	}
	return true;
}

/* Learns what an API or a product has become. *children: see ref_learn(). */
static int learn(struct rows *r, const struct map_out *out, int64_t version_ms, bool *children,
		 struct err *e)
{
	struct map_plans plans = { 0 };
	int rc = 0;

	if (out->ev.action == ACTION_DEPLOY)
		rc = map_plans_read(out->ev.kind, payload_of(out), &plans, e);
	if (rc == 0 && out->ev.kind == KIND_API_PRODUCT)
		rc = rows_learn_product(r, out, e);
	if (rc == 0)
		*children =
			ref_learn(ref_entry(r, out->ev.kind, out->ev.id), out, &plans, version_ms);
	map_plans_reset(&plans);
	return rc;
}

/* Maps a row and learns from it. */
static int map_row(struct rows *r, const struct row *row, struct map_out *out, bool *children)
{
	struct json_span text = page_row(row);
	struct err why = { 0 };
	int rc = map_event(r->ctx, text, out, &why);

	if (rc == 0)
		rc = rows_check_id(out, row->id, &why);
	if (rc == 0 && out->outcome == MAP_EVENT && is_doubtful(r, out, row->updated_ms))
		map_out_reset(out);
	else if (rc == 0 && out->outcome == MAP_EVENT && kind_has_children(out->ev.kind))
		rc = learn(r, out, row->updated_ms, children, &why);
	if (rc < 0) {
		map_out_reset(out);
		quarantine(r, row, why.text);
	} else {
		rows_fine(r, DB_EVENTS, row->id);
	}
	return rc;
}

/* --- look-ups for children --- */

static int learn_row(void *arg, const struct db_row *row, struct err *e)
{
	struct rows *r = arg;
	struct row one = { .id = (char *)(uintptr_t)row->id, .updated_ms = row->updated_ms };
	struct map_out out = { 0 };
	bool children = false;

	UNUSED(e);
	r->read++;
	if (row->bad != NULL) {
		char *name = rows_name(KIND_API, row->id, NULL);

		rows_quarantine(r, DB_EVENTS, row->id, name, row->bad);
		mem_free(name);
		return 0;
	}
	one.text = (struct buf){ (char *)(uintptr_t)row->json.p, row->json.n, 0 };
	rows_unreadable(r, row->id); /* unless it can be read */
	if (map_row(r, &one, &out, &children) == 0 && out.outcome == MAP_EVENT &&
	    kind_has_children(out.ev.kind))
		ref_entry(r, out.ev.kind, row->id)->looked_up = true;
	map_out_reset(&out);
	return 0;
}

/* Only what the zone holds live has children there: its own row may be on its way. */
static int is_live(struct rows *r, enum kind k, const char *id, bool *live, struct err *e)
{
	struct feed_ask ask = { .name = rows_name(k, id, NULL), .gone = true };
	bool go = feed_ask(r->feed, &ask, 1);

	mem_free(ask.name);
	*live = ask.verdict == ASK_OTHER;
	return go ? 0 : err_set(e, ERR_STATE, "the source is stopping");
}

int rows_ref(struct rows *r, enum kind k, const char *id, struct ref **out, struct err *e)
{
	struct ref *a = ref_entry(r, k, id);
	bool live = false;
	int rc;

	*out = a;
	/* A pass over everything comes by its row before its children, unless it is gone. */
	if (r->kind != PASS_DELTA && a->seen != r->pass && a->pass != r->pass) {
		forget_plans(a);
		a->state = REF_UNKNOWN;
	}
	if (a->state == REF_OFF || a->state == REF_UNREADABLE || a->state == REF_ON ||
	    a->state == REF_LOST || (a->state == REF_ABSENT && a->pass == r->pass))
		return 0;
	rc = is_live(r, k, id, &live, e);
	a->state = live ? REF_ON : REF_ABSENT;
	a->version_ms = 0;
	a->pass = r->pass;
	return rc;
}

int rows_ref_plans(struct rows *r, enum kind k, const char *id, struct err *e)
{
	struct ref *a = ref_entry(r, k, id);
	char *ids[1] = { (char *)(uintptr_t)id };
	const struct row_lookup l = { DB_EVENTS, false, "id", ids, 1 };

	if (a->state != REF_ON || a->plans_known)
		return 0;
	a->state = REF_ABSENT; /* unless there is a row */
	a->pass = r->pass;
	return rows_look_up(r, &l, learn_row, r, e);
}

/* --- a page --- */

struct about { /* a row of the page */
	struct map_about what;
	bool skip;
	bool lost; /* REF_LOST, and nothing new: it is for the guard */
};

static struct ref *entry_of(struct rows *r, const struct map_about *what)
{
	return kind_has_children(what->kind) ? ref_entry(r, what->kind, what->id) : NULL;
}

static struct about *read_page(struct row_page *p, struct feed_ask *asks)
{
	struct about *v = mem_zalloc((p->n + 1) * sizeof(*v));
	struct err why = { 0 };
	size_t i;

	for (i = 0; i < p->n; i++) {
		int rc = map_event_about(p->r->ctx, page_row(&p->v[i]), &v[i].what, &why);
		struct ref *a;
		bool known;

		v[i].skip = rc < 0 || v[i].what.outcome == MAP_NOTHING;
		if (!v[i].skip && map_own_id(v[i].what.kind) &&
		    !str_equal(v[i].what.id, p->v[i].id))
			rc = foreign(v[i].what.kind, v[i].what.id, &why);
		if (rc < 0) {
			quarantine(p->r, &p->v[i], why.text);
			v[i].skip = true;
		}
		if (v[i].skip)
			continue;
		asks[i].name = rows_name(v[i].what.kind, v[i].what.id, NULL);
		if (!map_own_id(v[i].what.kind) && !claim(p->r, asks[i].name, &p->v[i])) {
			v[i].skip = true;
			continue;
		}
		a = entry_of(p->r, &v[i].what);
		if (a != NULL)
			a->seen = p->r->pass;
		/* It was read, and made nothing that the zone would hold: tags say. */
		known = p->brief && a != NULL && a->version_ms == p->v[i].updated_ms;
		v[i].skip = known && a->state == REF_OFF;
		v[i].lost = known && a->state == REF_LOST;
		asks[i].version_ms = v[i].lost ? 0 : p->v[i].updated_ms;
		asks[i].gone = v[i].what.withdraws || v[i].lost;
	}
	return v;
}

/* Without a name there is nothing to ask: the answers are kept at their places. */
static bool ask_page(struct row_page *p, const struct about *v, struct feed_ask *asks)
{
	struct feed_ask *out = mem_zalloc((p->n + 1) * sizeof(*out));
	size_t n = 0;
	size_t i;
	bool go;

	for (i = 0; i < p->n; i++)
		if (!v[i].skip)
			out[n++] = asks[i];
	go = feed_ask(p->r->feed, out, n);
	for (i = 0, n = 0; i < p->n; i++)
		if (!v[i].skip)
			asks[i].verdict = out[n++].verdict;
	mem_free(out);
	return go;
}

struct rows_wanted { /* rows to be read whole, and the references whose children come after them */
	struct rows *r;
	const struct row_page *page;
	const struct feed_ask *asks; /* of its rows */
	char **ids;		     /* not owned */
	size_t n;
	char **products; /* not owned: those go first, since APIs are judged by them */
	size_t n_products;
	char **parents; /* owned */
	size_t n_parents, cap_parents;
};

static void take_whole(struct rows_wanted *w, const struct row *row)
{
	struct map_out out = { 0 };
	bool children = false;

	if (map_row(w->r, row, &out, &children) < 0)
		return;
	if (children && w->r->kind == PASS_DELTA) { /* then it is one that has them */
		w->parents =
			mem_grow(w->parents, &w->cap_parents, w->n_parents + 1, sizeof(char *));
		w->parents[w->n_parents++] = mem_strdup(out.ev.id);
	}
	rows_put(w->r, &out);
}

static const char *name_in_page(const struct rows_wanted *w, const char *id)
{
	size_t i = 0;

	while (i < w->page->n && !str_equal(w->page->v[i].id, id))
		i++;
	return i < w->page->n ? w->asks[i].name : NULL;
}

static int add_whole(void *arg, const struct db_row *row, struct err *e)
{
	struct rows_wanted *w = arg;
	struct row one = { .id = (char *)(uintptr_t)row->id, .updated_ms = row->updated_ms };

	if (feed_stopping(w->r->feed))
		return err_set(e, ERR_STATE, "the source is stopping");
	w->r->read++;
	if (row->bad != NULL) {
		rows_quarantine(w->r, DB_EVENTS, row->id, name_in_page(w, row->id), row->bad);
		return 0;
	}
	one.text = (struct buf){ (char *)(uintptr_t)row->json.p, row->json.n, 0 };
	take_whole(w, &one);
	return 0;
}

/* What the answer, or the row by itself, says: read it, withdraw it, or nothing. */
static void judge(struct row_page *p, size_t i, const struct about *v, const struct feed_ask *ask,
		  struct rows_wanted *w)
{
	struct rows *r = p->r;
	struct ref *a = entry_of(r, &v->what);

	if (v->lost) {
		if (ask->verdict == ASK_SAME)
			a->state = REF_OFF; /* it is not there any more */
		else
			r->holds = true;
	} else if (v->what.withdraws) {
		const struct event ev = { .kind = v->what.kind, .id = v->what.id };

		if (ask->verdict != ASK_SAME)
			rows_withdraw(r, &ev, p->v[i].updated_ms);
		rows_fine(r, DB_EVENTS, p->v[i].id);
		if (a != NULL) {
			forget_plans(a);
			a->state = REF_OFF;
			a->version_ms = p->v[i].updated_ms;
		}
		if (v->what.kind == KIND_API_PRODUCT)
			rows_forget_product(r, v->what.id);
	} else if (ask->verdict == ASK_BARRED) { /* as if the row said what came after it */
		rows_fine(r, DB_EVENTS, p->v[i].id);
		if (a != NULL) {
			forget_plans(a);
			a->state = REF_OFF;
			a->version_ms = 0; /* it is asked for again */
		}
	} else if (ask->verdict != ASK_SAME || r->remap || p->v[i].redo) {
		if (a != NULL && (ask->verdict == ASK_NEW || p->v[i].redo))
			a->state = REF_UNKNOWN;
		if (p->brief && v->what.kind == KIND_API_PRODUCT)
			w->products[w->n_products++] = p->v[i].id;
		else if (p->brief)
			w->ids[w->n++] = p->v[i].id;
		else
			take_whole(w, &p->v[i]);
	} else if (a != NULL) {
		if (a->version_ms != p->v[i].updated_ms)
			forget_plans(a);
		a->state = REF_ON;
		a->version_ms = p->v[i].updated_ms;
		rows_fine(r, DB_EVENTS, p->v[i].id);
	}
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
	for (i = 0; i < w->n_parents; i++) {
		if (rc == 0)
			rc = rows_children(w->r, w->parents[i], e);
		mem_free(w->parents[i]);
	}
	mem_free(w->parents);
	return rc;
}

int rows_rejudge(struct rows *r, struct err *e)
{
	int rc = 0;

	while (rc == 0 && r->owed.n > 0) {
		struct map_ids now = r->owed;
		struct rows_wanted w = { .r = r, .ids = now.v, .n = now.n };
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
	struct feed_ask *asks = mem_zalloc((p->n + 1) * sizeof(*asks));
	struct rows_wanted w = { .r = p->r, .page = p, .asks = asks };
	struct about *v = read_page(p, asks);
	size_t i;
	int rc = 0;

	w.ids = mem_zalloc((p->n + 1) * sizeof(*w.ids));
	w.products = mem_zalloc((p->n + 1) * sizeof(*w.products));
	for (i = 0; i < p->n; i++)
		asks[i].verdict = ASK_NEW;
	if (p->brief && !ask_page(p, v, asks))
		rc = err_set(e, ERR_STATE, "the source is stopping");
	for (i = 0; rc == 0 && i < p->n; i++)
		if (!v[i].skip)
			judge(p, i, &v[i], &asks[i], &w);
	if (rc == 0)
		rc = read_wanted(&w, e);
	if (rc == 0)
		rc = rows_rejudge(p->r, e);
	mem_free(w.ids);
	mem_free(w.products);
	for (i = 0; i < p->n; i++) {
		mem_free(asks[i].name);
		mem_free(v[i].what.id);
	}
	mem_free(v);
	mem_free(asks);
	return rc;
}
