/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "common/base/mem.h"
#include "workers/fetcher/source/rows_page.h"

/* In other passes than deltas all of them are found with their APIs (storage 3.6). */
static void take_whole(const struct row_page *p, const char *id, struct json_span text)
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

static int add_whole(void *arg, const struct db_row *row, struct err *e)
{
	const struct row_page *p = arg;

	UNUSED(e);
	if (row->bad != NULL)
		rows_quarantine(p->r, DB_SUBSCRIPTIONS, row->id, NULL, row->bad);
	else
		take_whole(p, row->id, row->json);
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
			take_whole(p, p->v[i].id, page_row(&p->v[i]));
	}
	rc = rows_look_up(p->r, &rows, add_whole, p, e);
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
