/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/made.h"

#include "common/base/mem.h"

void made_add(struct made *m, struct map_out *out)
{
	size_t i;

	for (i = 0; i < m->n; i++) {
		struct event *a = &m->v[i].ev;

		if (a->kind != out->ev.kind || !str_equal(a->id, out->ev.id) ||
		    !str_equal(a->ref_id, out->ev.ref_id))
			continue;
		if (a->action == ACTION_UNDEPLOY && out->ev.action == ACTION_DEPLOY) {
			map_out_reset(&m->v[i]);
			m->v[i] = *out;
		} else {
			map_out_reset(out);
		}
		*out = (struct map_out){ 0 };
		return;
	}
	m->v = mem_grow(m->v, &m->cap, m->n + 1, sizeof(*m->v));
	m->v[m->n++] = *out;
	*out = (struct map_out){ 0 };
}

void made_reset(struct made *m)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		map_out_reset(&m->v[i]);
	mem_free(m->v);
	*m = (struct made){ 0 };
}

void made_undeploy(struct made *m, enum kind k, const char *id, const char *ref)
{
	struct map_out out = { .outcome = MAP_EVENT };

	out.ev.kind = k;
	out.ev.action = ACTION_UNDEPLOY;
	out.ev.id = mem_strdup(id);
	out.ev.ref_id = mem_strdup(ref);
	out.ev.version = mem_strdup("");
	made_add(m, &out);
}
