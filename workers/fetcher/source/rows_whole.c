/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of few and small rows are read whole each time: there is nothing to ask, the loop
   lets go what the zone holds in the same version and content. */
#include "common/base/mem.h"
#include "workers/fetcher/map/plain.h"
#include "workers/fetcher/source/rows_page.h"

static void take_row(struct row_page *p, const struct row *row)
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

int rows_whole_page(struct row_page *p, struct err *e)
{
	size_t i;

	UNUSED(e);
	for (i = 0; i < p->n; i++)
		take_row(p, &p->v[i]);
	return 0;
}
