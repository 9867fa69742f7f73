/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of few and small rows are read whole each time: there is nothing to ask, the loop
   lets go what the zone holds in the same version and content. */
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/map/plain.h"
#include "workers/fetcher/source/rows_page.h"

/* A license of another organization than this gateway's is not there. */
static bool is_ours(const struct rows *r, const char *organization)
{
	const struct map_ids *o = r->organizations;

	return o->n == 0 || bsearch(&organization, o->v, o->n, sizeof(char *), str_order);
}

static void take_row(struct row_page *p, const struct row *row)
{
	bool license = p->table == DB_LICENSES;
	enum kind k = license ? KIND_LICENSE : KIND_ACCESS_POINT;
	struct map_out out = { 0 };
	struct err why = { 0 };
	int rc;

	if (license && !is_ours(p->r, row->id))
		return;
	rc = license ? map_license(page_row(row), &out, &why)
		     : map_access_point(page_row(row), &out, &why);
	if (rc < 0) {
		char *name = rows_name(k, row->id, NULL);

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
