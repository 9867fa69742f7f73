/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/files/made.h"

#include <stdint.h>

#include "common/base/mem.h"

bool made_has(const struct made *m, const char *name)
{
	return table_get(&m->names, name) != NULL;
}

/* Where it stands, or where it is put: *added. */
static size_t place_of(struct made *m, const struct event *ev, bool *added)
{
	char *name = event_name(ev->kind, ev->id, ev->ref_id);
	uintptr_t at = (uintptr_t)table_get(&m->names, name);

	*added = at == 0;
	if (*added) {
		m->v = mem_grow(m->v, &m->cap, m->n + 1, sizeof(*m->v));
		at = ++m->n;
		(void)table_set(&m->names, name, (void *)at);
	}
	mem_free(name);
	return at - 1;
}

void made_add(struct made *m, struct map_out *out)
{
	bool added;
	size_t at = place_of(m, &out->ev, &added);

	if (added) {
		m->v[at] = *out;
	} else if (m->v[at].ev.action == ACTION_UNDEPLOY && out->ev.action == ACTION_DEPLOY) {
		map_out_reset(&m->v[at]);
		m->v[at] = *out;
	} else {
		map_out_reset(out);
	}
	*out = (struct map_out){ 0 };
}

void made_reset(struct made *m)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		map_out_reset(&m->v[i]);
	mem_free(m->v);
	table_reset(&m->names);
	*m = (struct made){ 0 };
}

struct map_out made_withdrawal(enum kind k, const char *id, const char *ref)
{
	struct map_out out = { .outcome = MAP_EVENT };

	out.ev.kind = k;
	out.ev.action = ACTION_UNDEPLOY;
	out.ev.id = mem_strdup(id);
	out.ev.ref_id = mem_strdup(ref);
	out.ev.version = mem_strdup("");
	return out;
}
