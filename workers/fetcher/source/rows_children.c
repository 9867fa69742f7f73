/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/map/narrow.h"
#include "workers/fetcher/source/rows_page.h"

struct row_child {
	const struct map_subscription *sub; /* not owned */
	const struct map_key *key;	    /* not owned; NULL: it is the subscription */
	size_t row;			    /* of the page */
	struct feed_ask ask;		    /* name owned; NULL: nothing is to be said of it */
	bool maybe;			    /* the plans of its reference are not known */
	bool kept;			    /* the reference cannot be read: it stays as it is */
	bool wanted;			    /* to be mapped */
};

/* What it hangs on. */
static enum kind child_scope(const struct map_subscription *s)
{
	return s->product ? KIND_API_PRODUCT : KIND_API;
}

/* Those that are pushed to are written anew with their API. */
static int64_t child_version(const struct ref *a, const struct map_subscription *s)
{
	return !s->product && a->state == REF_ON && map_plans_push(&a->plans, s->plan)
		       ? MAX(s->updated_at, a->version_ms)
		       : s->updated_at;
}

static struct event event_of(const struct row_child *c)
{
	return (struct event){ .kind = c->key == NULL ? KIND_SUBSCRIPTION : KIND_API_KEY,
			       .id = c->key == NULL ? c->sub->id : c->key->id,
			       .ref_id = c->sub->scope };
}

/* What should be in the zone of it. */
static int child_expect(const struct row_page *p, struct row_child *c, struct err *e)
{
	const struct map_subscription *s = c->sub;
	const struct map_key *k = c->key;
	const struct event ev = event_of(c);
	bool live = s->accepted && (k == NULL || !(k->revoked || k->paused || k->federated));
	struct ref *a;
	int rc = rows_ref(p, child_scope(s), s->scope, &a, e);
	enum hang h = rc < 0 ? HANG_NOTHING : ref_hang(a, s->plan);

	if (h == HANG_NOTHING)
		return rc;
	c->ask.name = event_name(ev.kind, ev.id, ev.ref_id);
	c->ask.gone = !live || h == HANG_NO;
	if (live && h == HANG_NO)
		c->ask.version_ms = 0; /* what it hangs on may come back to it as it is */
	else
		c->ask.version_ms = k == NULL ? child_version(a, s)
					      : MAX(k->updated_at, s->updated_at);
	c->maybe = h == HANG_MAYBE;
	c->kept = live && h == HANG_KEPT;
	return 0;
}

/* The zone does not hold it as the rows say: what is to be done? */
static int decide(const struct row_page *p, struct row_child *c, struct err *e)
{
	const struct map_subscription *s = c->sub;
	const struct event ev = event_of(c);
	enum hang h = HANG_YES;
	struct ref *a;

	if (!c->ask.gone && c->maybe) {
		int rc = rows_ref_plans(p, child_scope(s), s->scope, &a, e);

		if (rc < 0)
			return rc;
		h = ref_hang(a, s->plan);
	}
	c->wanted = !c->ask.gone && h == HANG_YES;
	if (h == HANG_KEPT)
		feed_say(p->r->feed, FEED_KEPT, c->ask.name, NULL);
	else if (c->ask.gone || (h == HANG_NO && c->ask.verdict == ASK_OTHER))
		rows_withdraw(p->r, &ev, c->ask.gone ? c->ask.version_ms : 0);
	return 0;
}

/* Asks what is there, and withdraws, keeps, or wants each. */
static int children_judge(const struct row_page *p, struct row_child *v, size_t n, struct err *e)
{
	struct feed_ask **asks = mem_alloc((n + 1) * sizeof(struct feed_ask *));
	size_t n_asks = 0;
	size_t i;
	int rc;

	for (i = 0; i < n; i++) {
		v[i].ask.verdict = ASK_NEW;
		/* A refill writes whatever it reads, so it need not ask for that. */
		if (v[i].ask.name != NULL && !v[i].kept && (p->kind != PASS_ALL || v[i].ask.gone))
			asks[n_asks++] = &v[i].ask;
	}
	rc = feed_ask(p->r->feed, asks, n_asks, e);
	mem_free(asks);
	for (i = 0; rc == 0 && i < n; i++) {
		if (v[i].kept)
			feed_say(p->r->feed, FEED_KEPT, v[i].ask.name, NULL);
		else if (v[i].ask.name != NULL && !ask_is_same(&v[i].ask))
			rc = decide(p, &v[i], e);
	}
	return rc;
}

/* --- the account of what is not published --- */

static void account(const struct row_page *p, enum kind k, const char *reason, const char *id)
{
	/* A comparison makes deltas in between: their rows it meets by itself. */
	if (p->r->unpublished != NULL && p->kind != PASS_DELTA)
		unpublished_add(p->r->unpublished, kind_name(k), reason, id);
}

static void account_subscription(const struct row_page *p, const struct map_subscription *s)
{
	const struct ref *a = ref_entry(p->r, child_scope(s), s->scope);

	if (s->status == NULL)
		account(p, KIND_SUBSCRIPTION, UNPUBLISHED_NO_STATUS, s->id);
	if (s->accepted && a->state == REF_ABSENT && a->seen != p->r->pass)
		account(p, KIND_SUBSCRIPTION,
			s->product ? UNPUBLISHED_NO_PRODUCT : UNPUBLISHED_NO_API, s->id);
}

/* `parents`: those of the subscriptions that are there. */
static void account_key(const struct row_page *p, const struct map_key *k,
			const struct table *parents)
{
	size_t i;

	if (k->revoked || k->paused || k->federated)
		return;
	for (i = 0; i < k->subscriptions.n; i++)
		if (table_get(parents, k->subscriptions.v[i]) != NULL ||
		    rows_is_bad(p->r, DB_SUBSCRIPTIONS, k->subscriptions.v[i]))
			return;
	account(p, KIND_API_KEY, i == 0 ? UNPUBLISHED_ALONE : UNPUBLISHED_NO_SUBSCRIPTION, k->id);
}

/* --- a page of keys --- */

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

static int add_whole_key(void *arg, const struct db_row *row, struct err *e)
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
	rc = rows_look_up(p->r, &l, add_whole_key, w, e);
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
	for (i = 0; rc == 0 && i < p->n; i++)
		if (w.keys[i].id != NULL)
			account_key(p, &w.keys[i], &w.parents);
	if (rc == 0)
		rc = make_pairs(&w, e);
	if (rc == 0)
		rc = children_judge(p, w.pairs, w.n, e);
	if (rc == 0)
		rc = take_wanted(&w, e);
	work_reset(&w);
	return rc;
}

/* --- a page of subscriptions --- */

/* In other passes than deltas all of them are found with their APIs (storage 3.6). */
static void take_whole_subscription(const struct row_page *p, const char *id, struct json_span text)
{
	struct rows *r = p->r;
	struct map_subscription facts = { 0 };
	struct map_out out = { 0 };
	struct err why = { 0 };
	char *name = NULL;
	unsigned flags = MAP_PRODUCT_KNOWN;
	int rc = map_subscription_read(text, &facts, &why);

	if (!facts.product && (p->attached || p->kind != PASS_DELTA))
		flags |= MAP_ATTACHED;
	if (rc == 0)
		rc = map_subscription(text, flags, &out, &why);
	if (rc == 0) {
		const struct ref *a = ref_entry(r, child_scope(&facts), facts.scope);

		rows_fine(r, DB_SUBSCRIPTIONS, id);
		rows_put_as(r, &out, child_version(a, &facts));
	} else {
		if (facts.id != NULL)
			name = event_name(KIND_SUBSCRIPTION, facts.id, facts.scope);
		rows_quarantine(r, DB_SUBSCRIPTIONS, id, name, why.text);
	}
	map_subscription_reset(&facts);
	mem_free(name);
}

static int add_whole_subscription(void *arg, const struct db_row *row, struct err *e)
{
	const struct row_page *p = arg;

	UNUSED(e);
	if (row->bad != NULL)
		rows_quarantine(p->r, DB_SUBSCRIPTIONS, row->id, NULL, row->bad);
	else
		take_whole_subscription(p, row->id, row->json);
	return 0;
}

/* What comes of those that were judged: the rows to be read, and the keys of subscriptions
   that changed. In other passes than deltas all keys come by themselves. */
static int follow_up(struct row_page *p, const struct row_child *v, struct err *e)
{
	char **wanted = mem_alloc((p->n + 1) * sizeof(*wanted));
	char **changed = mem_alloc((p->n + 1) * sizeof(*changed));
	struct row_page keys = { .r = p->r, .kind = p->kind, .table = DB_KEYS };
	struct row_lookup rows = { DB_SUBSCRIPTIONS, false, "id", wanted, 0 };
	struct row_lookup of = { DB_KEYS, false, "subscriptions", changed, 0 };
	size_t i;
	int rc;

	for (i = 0; i < p->n; i++) {
		if (v[i].sub->id == NULL)
			continue; /* set aside */
		if (v[i].ask.name != NULL && !v[i].kept &&
		    (!ask_is_same(&v[i].ask) || p->v[i].redo))
			changed[of.n++] = v[i].sub->id;
		if (!v[i].wanted)
			rows_fine(p->r, DB_SUBSCRIPTIONS, p->v[i].id);
		else if (p->brief)
			wanted[rows.n++] = p->v[i].id;
		else
			take_whole_subscription(p, p->v[i].id, page_row(&p->v[i]));
	}
	rc = rows_look_up(p->r, &rows, add_whole_subscription, p, e);
	if (rc == 0 && p->kind == PASS_DELTA)
		rc = page_look_up(&keys, &of, rows_keys_page, e);
	mem_free(changed);
	mem_free(wanted);
	return rc;
}

int rows_subscriptions_page(struct row_page *p, struct err *e)
{
	struct map_subscription *facts = mem_zalloc((p->n + 1) * sizeof(*facts));
	struct row_child *v = mem_zalloc((p->n + 1) * sizeof(*v));
	size_t i;
	int rc = 0;

	for (i = 0; i < p->n; i++)
		v[i].sub = &facts[i];
	for (i = 0; rc == 0 && i < p->n; i++) {
		struct err why = { 0 };

		if (map_subscription_read(page_row(&p->v[i]), &facts[i], &why) == 0)
			rc = child_expect(p, &v[i], e);
		else
			rows_quarantine(p->r, DB_SUBSCRIPTIONS, p->v[i].id, NULL, why.text);
	}
	for (i = 0; rc == 0 && i < p->n; i++)
		if (facts[i].id != NULL)
			account_subscription(p, &facts[i]);
	if (rc == 0)
		rc = children_judge(p, v, p->n, e);
	if (rc == 0)
		rc = follow_up(p, v, e);
	for (i = 0; i < p->n; i++) {
		map_subscription_reset(&facts[i]);
		mem_free(v[i].ask.name);
	}
	mem_free(facts);
	mem_free(v);
	return rc;
}

/* Old rows name the API in `api` alone, new ones in `referenceId` too. */
int rows_children(struct rows *r, const char *ref, struct err *e)
{
	static const char *const fields[] = { "referenceId", "api" };
	char *ids[1] = { (char *)(uintptr_t)ref };
	unsigned i;
	int rc = 0;

	for (i = 0; rc == 0 && i < ARRAY_LEN(fields); i++) {
		const struct row_lookup l = { DB_SUBSCRIPTIONS, true, fields[i], ids, 1 };
		struct row_page page = { .r = r,
					 .kind = PASS_DELTA,
					 .table = DB_SUBSCRIPTIONS,
					 .brief = true,
					 .attached = true,
					 .redo = r->unsure };

		rc = page_look_up(&page, &l, rows_subscriptions_page, e);
	}
	return rc;
}
