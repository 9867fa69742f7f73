/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/publish/outbox.h"

#include "common/base/mem.h"

static void unlink_item(struct outbox *b, struct outbox_item *i)
{
	unsigned lane = i->urgent ? 0 : 1;

	if (i->prev != NULL)
		i->prev->next = i->next;
	else
		b->first[lane] = i->next;
	if (i->next != NULL)
		i->next->prev = i->prev;
	else
		b->last[lane] = i->prev;
	i->next = NULL;
	i->prev = NULL;
	b->len--;
	b->bytes -= i->ev.payload.len;
	if (!i->urgent) {
		uintptr_t n = (uintptr_t)table_get(&b->groups, i->group);

		CHECK(n > 0);
		if (n == 1)
			(void)table_del(&b->groups, i->group);
		else
			(void)table_set(&b->groups, i->group, (void *)(n - 1));
	}
}

static void append(struct outbox *b, struct outbox_item *i)
{
	unsigned lane = i->urgent ? 0 : 1;

	i->prev = b->last[lane];
	if (i->prev != NULL)
		i->prev->next = i;
	else
		b->first[lane] = i;
	b->last[lane] = i;
	b->len++;
	b->bytes += i->ev.payload.len;
	if (!i->urgent) {
		uintptr_t n = (uintptr_t)table_get(&b->groups, i->group);

		(void)table_set(&b->groups, i->group, (void *)(n + 1));
	}
}

void outbox_item_free(struct outbox_item *i)
{
	if (i == NULL)
		return;
	event_reset(&i->ev);
	mem_free(i->name);
	mem_free(i->group);
	mem_free(i);
}

/*
 * What waits under the name already. A reference keeps the place of its deploy, ahead of its
 * children; its withdrawal is never replaced by a deploy, since it takes children along
 * that nobody names again. true: `i` is used up.
 */
static bool meet(struct outbox *b, struct outbox_item *old, struct outbox_item *i)
{
	bool parent = kind_has_children(i->ev.kind);
	bool deploys = i->ev.action == ACTION_DEPLOY;
	struct outbox_item was = *old;

	if (parent && deploys && old->ev.action == ACTION_UNDEPLOY)
		return false;
	if (deploys && old->how == OUTBOX_FORCED)
		i->how = OUTBOX_FORCED;
	if (!parent || !deploys) {
		unlink_item(b, old);
		outbox_item_free(old);
		return false;
	}
	b->bytes += i->ev.payload.len - old->ev.payload.len;
	old->ev = i->ev;
	old->hash = i->hash;
	old->how = i->how;
	i->ev = was.ev;
	outbox_item_free(i);
	return true;
}

void outbox_add(struct outbox *b, struct event *ev, const struct hash *h, enum outbox_how how)
{
	struct outbox_item *i = mem_zalloc(sizeof(*i));
	struct outbox_item *old;

	i->name = event_name(ev->kind, ev->id, ev->ref_id);
	if (ev->ref_id != NULL || kind_has_children(ev->kind))
		i->group = mem_strdup(ev->ref_id != NULL ? ev->ref_id : ev->id);
	else
		i->group = mem_strdup(i->name);
	i->ev = *ev;
	*ev = (struct event){ 0 };
	i->hash = *h;
	i->how = how;
	i->seq = ++b->seq;
	old = table_get(&b->names, i->name);
	if (old != NULL && meet(b, old, i))
		return;
	i->urgent = i->ev.action == ACTION_UNDEPLOY && table_get(&b->groups, i->group) == NULL;
	(void)table_set(&b->names, i->name, i);
	append(b, i);
}

static struct outbox_item *first_of(const struct outbox *b)
{
	return b->first[0] != NULL ? b->first[0] : b->first[1];
}

const struct outbox_item *outbox_next(const struct outbox *b)
{
	return first_of(b);
}

struct outbox_item *outbox_take(struct outbox *b)
{
	struct outbox_item *i = first_of(b);

	if (i == NULL)
		return NULL;
	unlink_item(b, i);
	if (table_get(&b->names, i->name) == i)
		(void)table_del(&b->names, i->name);
	return i;
}

/* Both lanes are in order: what is replaced at its old place keeps its number. */
uint64_t outbox_oldest(const struct outbox *b)
{
	uint64_t urgent = b->first[0] == NULL ? UINT64_MAX : b->first[0]->seq;
	uint64_t normal = b->first[1] == NULL ? UINT64_MAX : b->first[1]->seq;

	return MIN(urgent, normal);
}

bool outbox_full(const struct outbox *b)
{
	return b->len >= OUTBOX_ITEMS || b->bytes >= OUTBOX_BYTES;
}

void outbox_reset(struct outbox *b)
{
	struct outbox_item *i;

	while ((i = outbox_take(b)) != NULL)
		outbox_item_free(i);
	table_reset(&b->names);
	table_reset(&b->groups);
	*b = (struct outbox){ 0 };
}
