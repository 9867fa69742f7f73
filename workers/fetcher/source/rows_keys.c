/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/map/narrow.h"
#include "workers/fetcher/source/rows_page.h"

/* A subscription that keys of the page hang on. */
struct parent {
	struct map_subscription facts;
	struct buf text; /* the row, as far as a key needs it; empty: too much to keep */
};

struct key_pair {	       /* a key with one of its subscriptions: what may be one event */
	size_t row;	       /* of the page */
	struct parent *parent; /* not owned */
	struct feed_ask ask;
	bool maybe;  /* the plans of its reference are not known */
	bool kept;   /* the reference cannot be read */
	bool wanted; /* to be mapped */
};

struct keys_work {
	struct row_page *page;
	struct map_key *keys; /* of each row; id NULL: unreadable */
	struct table parents; /* subscription id -> struct parent, owned */
	size_t kept_bytes;    /* of their texts */
	bool whole;	      /* subscriptions are being read with all they have */
	struct key_pair *pairs;
	size_t n, cap;
	struct table names; /* of the pairs of the row last added -> their place, from 1 */
	struct buf narrow;  /* the key's row, for one pair after another */
	size_t next;	    /* pair to look at, of the keys that come whole */
};

/* --- the subscriptions --- */

static int add_parent(void *arg, const struct db_row *row, struct err *e)
{
	struct keys_work *w = arg;
	struct parent *p;
	struct map_subscription facts = { 0 };

	if (feed_stopping(w->page->r->feed))
		return err_set(e, ERR_STATE, "the source is stopping");
	w->page->r->read++;
	/* One that cannot be read is set aside where subscriptions are read. */
	if (row->bad != NULL || map_subscription_read(row->json, &facts, NULL) < 0)
		return 0;
	p = table_get(&w->parents, facts.id);
	if (p == NULL) {
		p = mem_zalloc(sizeof(*p));
		(void)table_set(&w->parents, facts.id, p);
		p->facts = facts;
	} else {
		map_subscription_reset(&facts); /* pairs point to what it was asked for with */
	}
	if (w->whole && p->text.len == 0 && w->kept_bytes + row->json.n <= ROWS_PAGE_BYTES) {
		buf_add(&p->text, row->json.p, row->json.n);
		w->kept_bytes += row->json.n;
	}
	return 0;
}

static int read_parents(struct keys_work *w, char **ids, size_t n, struct err *e)
{
	struct row_lookup l = { DB_SUBSCRIPTIONS, true, "id", ids, 0 };
	size_t i;

	if (n > 0)
		qsort(ids, n, sizeof(*ids), str_order);
	for (i = 0; i < n; i++)
		if (l.n == 0 || strcmp(ids[l.n - 1], ids[i]) != 0)
			ids[l.n++] = ids[i];
	return rows_look_up(w->page->r, &l, add_parent, w, e);
}

static int find_parents(struct keys_work *w, struct err *e)
{
	size_t cap = 0;
	size_t n = 0;
	char **ids = NULL;
	size_t i, k;
	int rc;

	for (i = 0; i < w->page->n; i++)
		for (k = 0; k < w->keys[i].n; k++) {
			ids = mem_grow(ids, &cap, n + 1, sizeof(*ids));
			ids[n++] = w->keys[i].subscriptions[k];
		}
	w->whole = !w->page->brief;
	rc = read_parents(w, ids, n, e);
	mem_free(ids);
	return rc;
}

/* --- pairs --- */

/* Two subscriptions of one API make one name: a deploy wins, then the first. The version is
   that of all, or it would go back when another one of them counts. */
static void add_pair(struct keys_work *w, struct key_pair *p)
{
	uintptr_t at;

	if (w->n > 0 && w->pairs[w->n - 1].row != p->row)
		table_reset(&w->names);
	at = (uintptr_t)table_get(&w->names, p->ask.name);
	if (at > 0) {
		struct key_pair *old = &w->pairs[at - 1];

		p->ask.version_ms = MAX(old->ask.version_ms, p->ask.version_ms);
		if (old->ask.gone && !p->ask.gone) {
			mem_free(old->ask.name);
			*old = *p;
		} else {
			old->ask.version_ms = p->ask.version_ms;
			mem_free(p->ask.name);
		}
		return;
	}
	w->pairs = mem_grow(w->pairs, &w->cap, w->n + 1, sizeof(*w->pairs));
	w->pairs[w->n++] = *p;
	(void)table_set(&w->names, p->ask.name, (void *)(uintptr_t)w->n);
}

static int pair_up(struct keys_work *w, size_t row, struct parent *s, struct err *e)
{
	struct rows *r = w->page->r;
	const struct map_key *k = &w->keys[row];
	struct key_pair p = { .row = row, .parent = s };
	struct ref *a;
	enum hang h;
	int rc;

	rc = rows_ref(r, rows_scope(&s->facts), s->facts.scope, &a, e);
	h = rc < 0 ? HANG_NOTHING : ref_hang(a, s->facts.plan);
	if (h == HANG_NOTHING)
		return rc;
	p.ask.name = rows_name(KIND_API_KEY, k->id, s->facts.scope);
	p.ask.gone = k->revoked || k->paused || k->federated || !s->facts.accepted;
	p.ask.version_ms = !p.ask.gone && h == HANG_NO
				   ? 0 /* what it hangs on may come back to it as it is */
				   : MAX(k->updated_at, s->facts.updated_at);
	p.ask.gone = p.ask.gone || h == HANG_NO;
	p.maybe = h == HANG_MAYBE;
	p.kept = h == HANG_KEPT && !p.ask.gone;
	add_pair(w, &p);
	return 0;
}

static int make_pairs(struct keys_work *w, struct err *e)
{
	size_t i, k;
	int rc = 0;

	for (i = 0; rc == 0 && i < w->page->n; i++)
		for (k = 0; rc == 0 && k < w->keys[i].n; k++) {
			struct parent *s = table_get(&w->parents, w->keys[i].subscriptions[k]);

			if (s != NULL)
				rc = pair_up(w, i, s, e);
		}
	return rc;
}

/* A refill writes whatever it reads. */
static bool is_asked(const struct keys_work *w, const struct key_pair *p)
{
	return !p->kept && (w->page->r->kind != PASS_ALL || p->ask.gone);
}

static bool ask_pairs(struct keys_work *w)
{
	struct feed_ask *asks = mem_zalloc((w->n + 1) * sizeof(*asks));
	size_t n = 0;
	size_t i;
	bool go;

	for (i = 0; i < w->n; i++) {
		w->pairs[i].ask.verdict = ASK_NEW;
		if (is_asked(w, &w->pairs[i]))
			asks[n++] = w->pairs[i].ask;
	}
	go = feed_ask(w->page->r->feed, asks, n);
	for (i = 0, n = 0; i < w->n; i++)
		if (is_asked(w, &w->pairs[i]))
			w->pairs[i].ask.verdict = asks[n++].verdict;
	mem_free(asks);
	return go;
}

/* --- events --- */

static int keep_text(void *arg, const struct db_row *row, struct err *e)
{
	struct buf *text = arg;

	UNUSED(e);
	if (row->bad == NULL) {
		buf_clear(text);
		buf_add(text, row->json.p, row->json.n);
	}
	return 0;
}

/* `w->narrow` is the key's row. */
static int take_whole(struct keys_work *w, const struct key_pair *p, struct err *e)
{
	struct rows *r = w->page->r;
	char *ids[1] = { p->parent->facts.id };
	const struct row_lookup l = { DB_SUBSCRIPTIONS, true, "id", ids, 1 };
	struct buf alone = { 0 };
	struct buf key = { 0 };
	const struct buf *text = &p->parent->text;
	struct map_out out = { 0 };
	struct err why = { 0 };
	int rc = 0;

	if (text->len == 0) { /* it was too much to keep with the others */
		rc = rows_look_up(r, &l, keep_text, &alone, e);
		text = &alone;
	}
	if (rc == 0 && text->len > 0) {
		map_key_complete(&w->narrow, ids[0], &key);
		if (map_apikey((struct json_span){ key.data, key.len },
			       (struct json_span){ text->data, text->len }, MAP_PRODUCT_KNOWN, &out,
			       &why) < 0)
			rows_quarantine(r, DB_KEYS, w->page->v[p->row].id, p->ask.name, why.text);
		else
			rows_fine(r, DB_KEYS, w->page->v[p->row].id);
		if (out.outcome == MAP_EVENT) {
			mem_free(out.ev.version);
			out.ev.version = mem_printf("%" PRId64, p->ask.version_ms);
		}
		rows_put(r, &out);
	}
	buf_reset(&key);
	buf_reset(&alone);
	return rc;
}

static int add_whole(void *arg, const struct db_row *row, struct err *e)
{
	struct keys_work *w = arg;
	size_t i;
	int rc = 0;

	if (feed_stopping(w->page->r->feed))
		return err_set(e, ERR_STATE, "the source is stopping");
	w->page->r->read++;
	if (row->bad != NULL) {
		rows_quarantine(w->page->r, DB_KEYS, row->id, NULL, row->bad);
		return 0;
	}
	buf_clear(&w->narrow);
	map_key_narrow(row->json, &w->narrow);
	/* Rows may come in any order, but mostly they come in that of the page. */
	for (i = 0; rc == 0 && i < w->n; i++) {
		const struct key_pair *p = &w->pairs[(w->next + i) % w->n];

		if (strcmp(w->page->v[p->row].id, row->id) != 0)
			continue;
		if (p->wanted)
			rc = take_whole(w, p, e);
		if (i + 1 < w->n && w->pairs[(w->next + i + 1) % w->n].row != p->row) {
			w->next = (w->next + i + 1) % w->n;
			break;
		}
	}
	return rc;
}

/* Reads what was looked at in brief: the subscriptions first, then the keys. */
static int read_wanted(struct keys_work *w, struct err *e)
{
	char **subs = mem_zalloc((w->n + 1) * sizeof(*subs));
	char **keys = mem_zalloc((w->n + 1) * sizeof(*keys));
	struct row_lookup l = { DB_KEYS, false, "id", keys, 0 };
	size_t n = 0;
	size_t i;
	int rc;

	for (i = 0; i < w->n; i++) {
		if (!w->pairs[i].wanted)
			continue;
		subs[n++] = w->pairs[i].parent->facts.id;
		if (l.n == 0 || keys[l.n - 1] != w->page->v[w->pairs[i].row].id)
			keys[l.n++] = w->page->v[w->pairs[i].row].id;
	}
	w->whole = true;
	rc = read_parents(w, subs, n, e);
	if (rc == 0)
		rc = rows_look_up(w->page->r, &l, add_whole, w, e);
	mem_free(subs);
	mem_free(keys);
	return rc;
}

/* The zone does not hold it as the rows say: what is to be done? */
static int decide(struct keys_work *w, struct key_pair *p, struct err *e)
{
	struct rows *r = w->page->r;
	const struct map_subscription *s = &p->parent->facts;
	const struct event ev = { .kind = KIND_API_KEY,
				  .id = w->keys[p->row].id,
				  .ref_id = s->scope };
	enum hang h = HANG_YES;
	struct ref *a;
	int rc = 0;

	if (!p->ask.gone && p->maybe) {
		rc = rows_ref_plans(r, rows_scope(s), s->scope, e);
		if (rc == 0)
			rc = rows_ref(r, rows_scope(s), s->scope, &a, e);
		if (rc < 0)
			return rc;
		h = ref_hang(a, s->plan);
	}
	p->wanted = !p->ask.gone && h == HANG_YES;
	if (h == HANG_KEPT)
		rows_keep(r, p->ask.name);
	else if (p->ask.gone || (h == HANG_NO && p->ask.verdict == ASK_OTHER))
		rows_withdraw(r, &ev, p->ask.gone ? p->ask.version_ms : 0);
	return 0;
}

/* Of a row that is not read now nothing is wrong, as far as we need it. */
static void clear_others(struct keys_work *w)
{
	bool *read = mem_zalloc((w->page->n + 1) * sizeof(*read));
	size_t i;

	for (i = 0; i < w->n; i++)
		read[w->pairs[i].row] |= w->pairs[i].wanted || w->pairs[i].kept;
	for (i = 0; i < w->page->n; i++)
		if (!read[i] && w->keys[i].id != NULL)
			rows_fine(w->page->r, DB_KEYS, w->page->v[i].id);
	mem_free(read);
}

static int judge(struct keys_work *w, struct err *e)
{
	size_t narrowed = SIZE_MAX; /* the row that w->narrow is of */
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < w->n; i++) {
		struct key_pair *p = &w->pairs[i];

		if (p->kept)
			rows_keep(w->page->r, p->ask.name);
		else if (!ask_is_same(&p->ask))
			rc = decide(w, p, e);
		if (rc != 0 || !p->wanted || w->page->brief)
			continue;
		if (p->row != narrowed) {
			buf_clear(&w->narrow);
			map_key_narrow(page_row(&w->page->v[p->row]), &w->narrow);
			narrowed = p->row;
		}
		rc = take_whole(w, p, e);
	}
	if (rc == 0)
		clear_others(w);
	return rc == 0 && w->page->brief ? read_wanted(w, e) : rc;
}

static void work_reset(struct keys_work *w)
{
	size_t at = 0;
	size_t i;
	void *v;

	for (i = 0; i < w->n; i++)
		mem_free(w->pairs[i].ask.name);
	mem_free(w->pairs);
	while (table_next(&w->parents, &at, NULL, &v)) {
		struct parent *p = v;

		map_subscription_reset(&p->facts);
		buf_reset(&p->text);
		mem_free(p);
	}
	table_reset(&w->parents);
	table_reset(&w->names);
	buf_reset(&w->narrow);
	for (i = 0; i < w->page->n; i++)
		map_key_reset(&w->keys[i]);
	mem_free(w->keys);
}

int rows_keys_page(struct row_page *p, struct err *e)
{
	struct keys_work w = { .page = p };
	size_t i;
	int rc;

	w.keys = mem_zalloc((p->n + 1) * sizeof(*w.keys));
	for (i = 0; i < p->n; i++) {
		struct err why = { 0 };

		if (map_key_read(page_row(&p->v[i]), &w.keys[i], &why) < 0)
			rows_quarantine(p->r, DB_KEYS, p->v[i].id, NULL, why.text);
	}
	rc = find_parents(&w, e);
	if (rc == 0)
		rc = make_pairs(&w, e);
	if (rc == 0 && !ask_pairs(&w))
		rc = err_set(e, ERR_STATE, "the source is stopping");
	if (rc == 0)
		rc = judge(&w, e);
	work_reset(&w);
	return rc;
}
