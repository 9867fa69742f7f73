/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/gather.h"

#include <inttypes.h>

#include "common/base/mem.h"

static bool is_open(const struct gather *g)
{
	return g->n > 0 && g->item[g->n - 1].payload.len < g->item[g->n - 1].whole;
}

static int start(struct gather *g, const Gateway__Event *ev, struct err *e)
{
	if (g->n == GATHER_ITEMS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d entities", GATHER_ITEMS_MAX);
	g->item = mem_grow(g->item, &g->cap, g->n + 1, sizeof(*g->item));
	g->item[g->n++] = (struct entity){ .kind = mem_strdup(ev->kind),
					   .id = mem_strdup(ev->id),
					   .ref = mem_strdup(ev->ref),
					   .whole = MAX(ev->payload_bytes, ev->payload.len) };
	return 0;
}

int gather_add(struct gather *g, const Gateway__Event *ev, struct err *e)
{
	struct entity *last;
	int rc = 0;

	if (g->bytes + ev->payload.len > GATHER_BYTES_MAX)
		return err_set(e, ERR_LIMIT, "more than %llu bytes", GATHER_BYTES_MAX);
	if (!is_open(g))
		rc = start(g, ev, e);
	if (rc < 0)
		return rc;
	last = &g->item[g->n - 1];
	if (!str_equal(last->kind, ev->kind) || !str_equal(last->id, ev->id) ||
	    !str_equal(last->ref, ev->ref))
		return err_set(e, ERR_PROTO, "an entity was cut off by another");
	if (last->whole > 0 && ev->payload.len == 0)
		return err_set(e, ERR_PROTO, "an entity comes in empty chunks");
	if (ev->payload.len > last->whole - last->payload.len)
		return err_set(e, ERR_PROTO, "an entity is longer than it said");
	if (ev->payload.len > 0)
		buf_add(&last->payload, ev->payload.data, ev->payload.len);
	g->bytes += ev->payload.len;
	return 0;
}

int gather_end(const struct gather *g, struct err *e)
{
	const struct entity *last = g->n == 0 ? NULL : &g->item[g->n - 1];

	if (!is_open(g))
		return 0;
	return err_set(e, ERR_PROTO, "%zu of %" PRIu64 " bytes came", last->payload.len,
		       last->whole);
}

void gather_reset(struct gather *g)
{
	size_t i;

	for (i = 0; i < g->n; i++) {
		mem_free(g->item[i].kind);
		mem_free(g->item[i].id);
		mem_free(g->item[i].ref);
		buf_reset(&g->item[i].payload);
	}
	mem_free(g->item);
	*g = (struct gather){ 0 };
}
