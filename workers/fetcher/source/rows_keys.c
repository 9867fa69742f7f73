/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/map/narrow.h"
#include "workers/fetcher/source/rows_page.h"

struct keys_work {
	struct row_page *page;
	struct map_key *keys;	 /* of each row; id NULL: unreadable */
	struct table parents;	 /* subscription id -> struct map_subscription, owned */
	struct row_child *pairs; /* a key with one of its subscriptions: what may be one event */
	size_t n, cap;
	struct table names; /* of the pairs of the row last added -> their place, from 1 */
	struct buf narrow;  /* the key's row, for one pair after another */
	size_t next;	    /* pair to look at, of the keys that come whole */
};

/* --- the subscriptions --- */

/* One that cannot be read is set aside where subscriptions are read. */
static int add_parent(void *arg, const struct db_row *row, struct err *e)
{
	struct keys_work *w = arg;
	struct map_subscription facts = { 0 };
	struct map_subscription *kept;

	UNUSED(e);
	if (row->bad != NULL || map_subscription_read(row->json, &facts, NULL) < 0)
		return 0;
	kept = mem_dup(&facts, sizeof(facts));
	kept = table_set(&w->parents, facts.id, kept);
	if (kept != NULL)
		map_subscription_reset(kept);
	mem_free(kept);
	return 0;
}

static int find_parents(struct keys_work *w, struct err *e)
{
	struct row_lookup l = { DB_SUBSCRIPTIONS, true, "id", NULL, 0 };
	struct map_ids ids = { 0 };
	size_t i, k;
	int rc;

	for (i = 0; i < w->page->n; i++)
		for (k = 0; k < w->keys[i].subscriptions.n; k++)
			map_ids_add(&ids, w->keys[i].subscriptions.v[k]);
	map_ids_sort(&ids);
	l.ids = ids.v;
	l.n = ids.n;
	rc = rows_look_up(w->page->r, &l, add_parent, w, e);
	map_ids_reset(&ids);
	return rc;
}

/* --- pairs --- */

/* Two subscriptions of one API make one name: a deploy wins, then the first. The version is
   that of all, or it would go back when another one of them counts. */
static void add_pair(struct keys_work *w, const struct row_child *p)
{
	struct row_child *old;
	uintptr_t at;
	int64_t version_ms;

	if (w->n > 0 && w->pairs[w->n - 1].row != p->row)
		table_reset(&w->names);
	at = (uintptr_t)table_get(&w->names, p->ask.name);
	if (at == 0) {
		w->pairs = mem_grow(w->pairs, &w->cap, w->n + 1, sizeof(*w->pairs));
		w->pairs[w->n++] = *p;
		(void)table_set(&w->names, p->ask.name, (void *)(uintptr_t)w->n);
		return;
	}
	old = &w->pairs[at - 1];
	version_ms = MAX(old->ask.version_ms, p->ask.version_ms);
	if (old->ask.gone && !p->ask.gone) {
		mem_free(old->ask.name);
		*old = *p;
	} else {
		mem_free(p->ask.name);
	}
	old->ask.version_ms = version_ms;
}

static int make_pairs(struct keys_work *w, struct err *e)
{
	size_t i, k;
	int rc = 0;

	for (i = 0; rc == 0 && i < w->page->n; i++)
		for (k = 0; rc == 0 && k < w->keys[i].subscriptions.n; k++) {
			struct row_child p = { .row = i, .key = &w->keys[i] };

			p.sub = table_get(&w->parents, w->keys[i].subscriptions.v[k]);
			if (p.sub != NULL)
				rc = child_expect(w->page, &p, e);
			if (p.ask.name != NULL)
				add_pair(w, &p);
		}
	return rc;
}

/* --- events --- */

/* `w->narrow` is the key's row. */
static void take_pair(struct keys_work *w, const struct row_child *p)
{
	struct rows *r = w->page->r;
	const char *id = w->page->v[p->row].id;
	struct buf key = { 0 };
	struct map_out out = { 0 };
	struct err why = { 0 };

	map_key_complete(&w->narrow, p->sub->id, &key);
	if (map_apikey((struct json_span){ key.data, key.len }, p->sub, MAP_PRODUCT_KNOWN, &out,
		       &why) < 0)
		rows_quarantine(r, DB_KEYS, id, p->ask.name, why.text);
	else
		rows_fine(r, DB_KEYS, id);
	rows_put_as(r, &out, p->ask.version_ms);
	buf_reset(&key);
}

/* The pairs of a row, from the one at `i` on. */
static size_t take_pairs(struct keys_work *w, size_t i, struct json_span row)
{
	size_t of = w->pairs[i].row;

	buf_clear(&w->narrow);
	map_key_narrow(row, &w->narrow);
	for (; i < w->n && w->pairs[i].row == of; i++)
		if (w->pairs[i].wanted)
			take_pair(w, &w->pairs[i]);
	return i;
}

static int add_whole(void *arg, const struct db_row *row, struct err *e)
{
	struct keys_work *w = arg;
	size_t i;

	UNUSED(e);
	if (row->bad != NULL) {
		rows_quarantine(w->page->r, DB_KEYS, row->id, NULL, row->bad);
		return 0;
	}
	/* Rows may come in any order, but mostly they come in that of the page. */
	for (i = 0; i < w->n; i++) {
		size_t at = (w->next + i) % w->n;

		if (strcmp(w->page->v[w->pairs[at].row].id, row->id) == 0) {
			w->next = take_pairs(w, at, row->json);
			break;
		}
	}
	return 0;
}

/* Maps what is wanted; what was looked at in brief is read first. Of a row that is not read
   now nothing is wrong, as far as we need it. */
static int take_wanted(struct keys_work *w, struct err *e)
{
	const struct row_page *p = w->page;
	bool *wanted = mem_zalloc((p->n + 1) * sizeof(*wanted));
	bool *kept = mem_zalloc((p->n + 1) * sizeof(*kept));
	char **ids = mem_alloc((p->n + 1) * sizeof(*ids));
	struct row_lookup l = { DB_KEYS, false, "id", ids, 0 };
	size_t i;
	int rc;

	for (i = 0; i < w->n; i++) {
		wanted[w->pairs[i].row] |= w->pairs[i].wanted;
		kept[w->pairs[i].row] |= w->pairs[i].kept;
	}
	for (i = 0; i < p->n; i++) {
		if (wanted[i] && p->brief)
			ids[l.n++] = p->v[i].id;
		else if (!wanted[i] && !kept[i] && w->keys[i].id != NULL)
			rows_fine(p->r, DB_KEYS, p->v[i].id);
	}
	for (i = 0; !p->brief && i < w->n;)
		i = take_pairs(w, i, page_row(&p->v[w->pairs[i].row]));
	rc = rows_look_up(p->r, &l, add_whole, w, e);
	mem_free(ids);
	mem_free(wanted);
	mem_free(kept);
	return rc;
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
		map_subscription_reset(v);
		mem_free(v);
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
	if (rc == 0)
		rc = children_judge(p, w.pairs, w.n, e);
	if (rc == 0)
		rc = take_wanted(&w, e);
	work_reset(&w);
	return rc;
}
