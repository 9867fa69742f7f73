/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/source/rows_page.h"

struct sub { /* a row of the page */
	struct map_subscription facts;
	struct feed_ask ask; /* name NULL: nothing is to be said of it */
	bool maybe;	     /* the plans of its reference are not known */
};

static void sub_reset(struct sub *s)
{
	map_subscription_reset(&s->facts);
	mem_free(s->ask.name);
}

enum kind rows_scope(const struct map_subscription *s)
{
	return s->product ? KIND_API_PRODUCT : KIND_API;
}

/* Those that are pushed to are written anew with their API. */
static int64_t version_of(const struct ref *a, const struct map_subscription *s)
{
	return !s->product && a->state == REF_ON && map_plans_push(&a->plans, s->plan)
		       ? MAX(s->updated_at, a->version_ms)
		       : s->updated_at;
}

/* What should be in the zone of a row. */
static int expect(struct rows *r, const struct row *row, struct sub *s, struct err *e)
{
	struct err why = { 0 };
	struct ref *a;
	enum hang h;
	char *name;
	int rc;

	if (map_subscription_read(page_row(row), &s->facts, &why) < 0) {
		rows_quarantine(r, DB_SUBSCRIPTIONS, row->id, NULL, why.text);
		return 0;
	}
	rc = rows_ref(r, rows_scope(&s->facts), s->facts.scope, &a, e);
	h = rc < 0 ? HANG_NOTHING : ref_hang(a, s->facts.plan);
	if (h == HANG_NOTHING)
		return rc;
	name = rows_name(KIND_SUBSCRIPTION, s->facts.id, s->facts.scope);
	if (h == HANG_KEPT && s->facts.accepted) {
		rows_keep(r, name);
		mem_free(name);
		return 0;
	}
	s->ask = (struct feed_ask){ .name = name, .version_ms = version_of(a, &s->facts) };
	s->ask.gone = !s->facts.accepted || h == HANG_NO;
	if (s->facts.accepted && h == HANG_NO)
		s->ask.version_ms = 0; /* what it hangs on may come back to it as it is */
	s->maybe = h == HANG_MAYBE;
	return 0;
}

/* Those that have a name. A refill writes whatever it reads, so it need not ask for that. */
static bool ask_subs(struct rows *r, struct sub *v, size_t n)
{
	struct feed_ask *asks = mem_zalloc((n + 1) * sizeof(*asks));
	size_t len = 0;
	size_t i;
	bool go;

	for (i = 0; i < n; i++) {
		v[i].ask.verdict = ASK_NEW;
		if (v[i].ask.name != NULL && (r->kind != PASS_ALL || v[i].ask.gone))
			asks[len++] = v[i].ask;
	}
	go = feed_ask(r->feed, asks, len);
	for (i = 0, len = 0; i < n; i++)
		if (v[i].ask.name != NULL && (r->kind != PASS_ALL || v[i].ask.gone))
			v[i].ask.verdict = asks[len++].verdict;
	mem_free(asks);
	return go;
}

static void set_version(struct rows *r, const struct map_subscription *s, struct map_out *out)
{
	const struct ref *a = table_get(refs_of(r, rows_scope(s)), s->scope);

	if (out->outcome != MAP_EVENT || a == NULL)
		return;
	mem_free(out->ev.version);
	out->ev.version = mem_printf("%" PRId64, version_of(a, s));
}

/* In other passes than deltas all of them are found with their APIs (wire page 3.6). */
static void take_whole(const struct row_page *p, const char *id, struct json_span text)
{
	struct rows *r = p->r;
	struct map_subscription facts = { 0 };
	struct map_out out = { 0 };
	struct err why = { 0 };
	char *name = NULL;
	unsigned flags = MAP_PRODUCT_KNOWN;
	bool known = map_subscription_read(text, &facts, NULL) == 0;

	if (known && !facts.product && (p->attached || r->kind != PASS_DELTA))
		flags |= MAP_ATTACHED;
	if (map_subscription(text, flags, &out, &why) == 0) {
		if (known)
			set_version(r, &facts, &out);
		rows_fine(r, DB_SUBSCRIPTIONS, id);
		rows_put(r, &out);
		map_subscription_reset(&facts);
		return;
	}
	if (known)
		name = rows_name(KIND_SUBSCRIPTION, facts.id, facts.scope);
	rows_quarantine(r, DB_SUBSCRIPTIONS, id, name, why.text);
	map_subscription_reset(&facts);
	mem_free(name);
}

static int add_whole(void *arg, const struct db_row *row, struct err *e)
{
	struct row_page *p = arg;
	struct rows *r = p->r;

	if (feed_stopping(r->feed))
		return err_set(e, ERR_STATE, "the source is stopping");
	r->read++;
	if (row->bad != NULL)
		rows_quarantine(r, DB_SUBSCRIPTIONS, row->id, NULL, row->bad);
	else
		take_whole(p, row->id, row->json);
	return 0;
}

/* The keys of subscriptions that changed. In other passes all keys come by themselves. */
static int take_keys(struct rows *r, char *const *ids, size_t n, struct err *e)
{
	struct row_page keys = { .r = r, .table = DB_KEYS };
	const struct row_lookup l = { DB_KEYS, false, "subscriptions", ids, n };
	int rc;

	if (r->kind != PASS_DELTA || n == 0)
		return 0;
	rc = rows_look_up(r, &l, page_add, &keys, e);
	if (rc == 0)
		rc = page_take(&keys, e);
	page_reset(&keys);
	return rc;
}

/* The zone does not hold it as the row says: is the row to be read, by what it refers to? */
static int decide(struct rows *r, struct sub *s, bool *read, struct err *e)
{
	const struct event ev = { .kind = KIND_SUBSCRIPTION,
				  .id = s->facts.id,
				  .ref_id = s->facts.scope };
	struct ref *a;
	enum hang h = HANG_YES;
	int rc = 0;

	if (!s->ask.gone && s->maybe) {
		rc = rows_ref_plans(r, rows_scope(&s->facts), s->facts.scope, e);
		if (rc == 0)
			rc = rows_ref(r, rows_scope(&s->facts), s->facts.scope, &a, e);
		if (rc < 0)
			return rc;
		h = ref_hang(a, s->facts.plan);
	}
	*read = !s->ask.gone && h == HANG_YES;
	if (h == HANG_KEPT)
		rows_keep(r, s->ask.name);
	else if (s->ask.gone || (h == HANG_NO && s->ask.verdict == ASK_OTHER))
		rows_withdraw(r, &ev, s->ask.gone ? s->ask.version_ms : 0);
	return 0;
}

static int judge(struct row_page *p, struct sub *v, struct err *e)
{
	char **wanted = mem_zalloc((p->n + 1) * sizeof(*wanted));
	char **changed = mem_zalloc((p->n + 1) * sizeof(*changed));
	struct row_lookup l = { DB_SUBSCRIPTIONS, false, "id", wanted, 0 };
	size_t n = 0;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < p->n; i++) {
		bool read = false;

		if (v[i].facts.id == NULL)
			continue; /* set aside */
		if (v[i].ask.name != NULL && (!ask_is_same(&v[i].ask) || p->v[i].redo))
			changed[n++] = v[i].facts.id;
		if (v[i].ask.name != NULL && !ask_is_same(&v[i].ask))
			rc = decide(p->r, &v[i], &read, e);
		if (!read)
			rows_fine(p->r, DB_SUBSCRIPTIONS, p->v[i].id);
		else if (p->brief)
			wanted[l.n++] = p->v[i].id;
		else
			take_whole(p, p->v[i].id, page_row(&p->v[i]));
	}
	if (rc == 0)
		rc = rows_look_up(p->r, &l, add_whole, p, e);
	if (rc == 0)
		rc = take_keys(p->r, changed, n, e);
	mem_free(changed);
	mem_free(wanted);
	return rc;
}

int rows_subscriptions_page(struct row_page *p, struct err *e)
{
	struct sub *v = mem_zalloc((p->n + 1) * sizeof(*v));
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < p->n; i++)
		rc = expect(p->r, &p->v[i], &v[i], e);
	if (rc == 0 && !ask_subs(p->r, v, p->n))
		rc = err_set(e, ERR_STATE, "the source is stopping");
	if (rc == 0)
		rc = judge(p, v, e);
	for (i = 0; i < p->n; i++)
		sub_reset(&v[i]);
	mem_free(v);
	return rc;
}

/* Old rows name the API in `api` alone, new ones in `referenceId` too. */
int rows_children(struct rows *r, const char *ref, struct err *e)
{
	static const char *const fields[] = { "referenceId", "api" };
	struct row_page page = { .r = r,
				 .table = DB_SUBSCRIPTIONS,
				 .brief = true,
				 .attached = true,
				 .redo = r->unsure };
	char *ids[1] = { (char *)(uintptr_t)ref };
	unsigned i;
	int rc = 0;

	for (i = 0; rc == 0 && i < ARRAY_LEN(fields); i++) {
		const struct row_lookup l = { DB_SUBSCRIPTIONS, true, fields[i], ids, 1 };

		rc = rows_look_up(r, &l, page_add, &page, e);
		if (rc == 0)
			rc = page_take(&page, e);
	}
	page_reset(&page);
	return rc;
}
