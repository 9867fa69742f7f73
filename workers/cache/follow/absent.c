/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/follow/absent.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "common/model/guard.h"

void absent_names_reset(struct absent_names *n)
{
	while (n->n > 0) {
		mem_free(n->v[--n->n].id);
		mem_free(n->v[n->n].ref);
	}
	mem_free(n->v);
	*n = (struct absent_names){ 0 };
}

void absent_reset(struct absent *a)
{
	absent_names_reset(&a->names);
	marks_reset(&a->doubt);
}

/* --- the walk --- */

void absent_begin(struct absent *a, const struct marks *seen, const struct marks *wrong)
{
	absent_names_reset(&a->names);
	a->seen = seen;
	a->wrong = wrong;
	a->walked = 0;
	a->kept_wrong = 0;
	a->stale = 0;
	memset(a->live, 0, sizeof(a->live));
}

static int walk_one(void *arg, const struct store_entry *entry)
{
	struct absent *a = arg;
	struct absent_names *n = &a->names;
	struct absent_one one = { .kind = entry->kind };
	char *name;
	char *key;

	a->walked = entry->revision;
	if (a->told++ >= ABSENT_WALK)
		return 1;
	if (entry->action != ACTION_DEPLOY) {
		if (entry->updated_ms < clock_wall_ms() - ABSENT_FORGET_MS)
			a->stale = entry->revision;
		return 0;
	}
	a->live[entry->kind]++;
	one.id = mem_dup(entry->id, entry->id_len);
	one.ref = entry->ref_len == 0 ? NULL : mem_dup(entry->ref, entry->ref_len);
	name = event_name(entry->kind, one.id, one.ref);
	key = mem_printf("%s%s", a->prefix, name);
	one.mark = marks_hash(key);
	mem_free(key);
	mem_free(name);
	a->kept_wrong += marks_have(a->wrong, one.mark);
	if (marks_have(a->seen, one.mark)) {
		mem_free(one.id);
		mem_free(one.ref);
		return 0;
	}
	n->v = mem_grow(n->v, &n->cap, n->n + 1, sizeof(*n->v));
	n->v[n->n++] = one;
	return 0;
}

int absent_step(struct absent *a, struct err *e)
{
	struct store_view *v = NULL;
	int rc = store_view_open(a->store, &v, e);

	if (rc < 0)
		return rc;
	a->told = 0;
	rc = store_since(v, a->walked, walk_one, a);
	if (rc > 0) /* the one it stopped at comes again */
		a->walked--;
	store_view_close(&v);
	return rc < 0 ? err_set(e, ERR_DAMAGED,
				"a record of the local store cannot be read; it is built anew")
		      : rc;
}

bool absent_is_fresh(const struct absent *a)
{
	size_t i;

	for (i = 0; i < a->names.n; i++)
		if (!marks_have(&a->doubt, a->names.v[i].mark))
			return true;
	return false;
}

/* --- what goes --- */

/* What two reads of all did not find may go, as far as the guard lets it. */
static bool may_go(struct absent *a, const struct absent_one *g)
{
	size_t agreed = 0;
	size_t i;

	for (i = 0; i < a->names.n; i++)
		if (a->names.v[i].kind == g->kind && marks_have(&a->doubt, a->names.v[i].mark))
			agreed++;
	if (!marks_have(&a->doubt, g->mark))
		return false;
	/* A Java primary never deletes a key: many that are missing were flushed. */
	if (guard_is_few(a->live[g->kind], agreed, GUARD_FREE, GUARD_PERCENT))
		return true;
	str_print(a->held, sizeof(a->held),
		  "%zu of %zu %s are missing in the index: kept until they are back; `zonesync "
		  "resync` takes the index as it is",
		  agreed, a->live[g->kind], kind_name(g->kind));
	return false;
}

size_t absent_removals(struct absent *a, const struct absent_one **gone)
{
	bool decided[KIND__COUNT] = { false };
	bool goes[KIND__COUNT] = { false };
	size_t n = 0;
	size_t i;

	a->held[0] = '\0';
	for (i = 0; i < a->names.n; i++) {
		const struct absent_one *g = &a->names.v[i];

		if (!marks_have(&a->doubt, g->mark))
			continue;
		if (!decided[g->kind])
			goes[g->kind] = may_go(a, g);
		decided[g->kind] = true;
		if (!goes[g->kind])
			continue;
		log_note(EV("removed"), KV("kind", kind_name(g->kind)), KV("id", g->id));
		gone[n++] = g;
	}
	marks_reset(&a->doubt);
	for (i = 0; i < a->names.n; i++)
		marks_add_hash(&a->doubt, a->names.v[i].mark);
	marks_settle(&a->doubt);
	return n;
}
