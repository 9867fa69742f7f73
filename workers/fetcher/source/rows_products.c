/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "common/base/mem.h"
#include "workers/fetcher/source/rows_page.h"

/* Withdrawn ones too: their row is not gone. */
static const char *const types[] = { "DEPLOY_API_PRODUCT", "UNDEPLOY_API_PRODUCT" };

int rows_learn_product(struct rows *r, const struct map_out *out, struct err *e)
{
	struct ref *p = ref_entry(r, KIND_API_PRODUCT, out->ev.id);
	const struct json_span payload = { out->ev.payload.data, out->ev.payload.len };
	struct map_ids apis = { 0 };
	int rc = 0;

	if (out->ev.action == ACTION_DEPLOY)
		rc = map_members_read(payload, &apis, e);
	if (rc < 0)
		return rc;
	p->learned = true;
	p->listed = r->pass;
	map_ctx_set_product(r->ctx, out->ev.id, &apis, &r->owed);
	return 0;
}

void rows_forget_product(struct rows *r, const char *id)
{
	struct map_ids none = { 0 };
	struct ref *p = ref_entry(r, KIND_API_PRODUCT, id);

	p->learned = true;
	p->listed = r->pass;
	map_ctx_set_product(r->ctx, id, &none, &r->owed);
}

static int list_row(void *arg, const struct db_row *row, struct err *e)
{
	struct rows *r = arg;
	struct ref *p = ref_entry(r, KIND_API_PRODUCT, row->id);
	const char *bad = row->bad;
	struct map_out out = { 0 };
	struct err why = { 0 };
	int rc = 0;

	if (feed_stopping(r->feed))
		return err_set(e, ERR_STATE, "the source is stopping");
	r->read++;
	if (bad == NULL)
		rc = map_event(r->ctx, row->json, &out, &why);
	if (rc == 0)
		rc = rows_check_id(&out, row->id, &why);
	if (rc == 0 && out.outcome == MAP_EVENT)
		rc = rows_learn_product(r, &out, &why);
	if (rc < 0)
		bad = why.text;
	if (bad != NULL) {
		rows_quarantine(r, DB_EVENTS, row->id, NULL, bad);
		p->listed = r->pass;
		r->doubt = r->doubt || !p->learned; /* else its last good version counts */
	}
	map_out_reset(&out);
	return 0;
}

int rows_products(struct rows *r, struct err *e)
{
	const struct row_lookup l = { DB_EVENTS, false, "type", (char *const *)(uintptr_t)types,
				      ARRAY_LEN(types) };
	struct map_ids none = { 0 };
	const char *id;
	size_t at = 0;
	void *v;
	int rc;

	r->doubt = false;
	rc = rows_look_up(r, &l, list_row, r, e);
	while (rc == 0 && table_next(refs_of(r, KIND_API_PRODUCT), &at, &id, &v)) {
		struct ref *p = v;

		if (!p->learned || p->listed == r->pass ||
		    (p->state == REF_UNREADABLE && p->seen == r->pass))
			continue;
		p->learned = false;
		r->lost = true;
		map_ctx_set_product(r->ctx, id, &none, &r->owed);
	}
	return rc;
}
