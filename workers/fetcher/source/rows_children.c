/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "workers/fetcher/source/rows_page.h"

enum kind child_scope(const struct map_subscription *s)
{
	return s->product ? KIND_API_PRODUCT : KIND_API;
}

int64_t child_version(const struct ref *a, const struct map_subscription *s)
{
	return !s->product && a->state == REF_ON && map_plans_push(&a->plans, s->plan)
		       ? MAX(s->updated_at, a->version_ms)
		       : s->updated_at;
}

static struct event event_of(const struct row_child *c)
{
	return (struct event){ .kind = c->key == NULL ? KIND_SUBSCRIPTION : KIND_API_KEY,
			       .id = c->key == NULL ? c->sub->id : c->key->id,
			       .ref_id = c->sub->scope };
}

int child_expect(const struct row_page *p, struct row_child *c, struct err *e)
{
	const struct map_subscription *s = c->sub;
	const struct map_key *k = c->key;
	const struct event ev = event_of(c);
	bool live = s->accepted && (k == NULL || !(k->revoked || k->paused || k->federated));
	struct ref *a;
	int rc = rows_ref(p, child_scope(s), s->scope, &a, e);
	enum hang h = rc < 0 ? HANG_NOTHING : ref_hang(a, s->plan);

	if (h == HANG_NOTHING)
		return rc;
	c->ask.name = event_name(ev.kind, ev.id, ev.ref_id);
	c->ask.gone = !live || h == HANG_NO;
	if (live && h == HANG_NO)
		c->ask.version_ms = 0; /* what it hangs on may come back to it as it is */
	else
		c->ask.version_ms = k == NULL ? child_version(a, s)
					      : MAX(k->updated_at, s->updated_at);
	c->maybe = h == HANG_MAYBE;
	c->kept = live && h == HANG_KEPT;
	return 0;
}

/* The zone does not hold it as the rows say: what is to be done? */
static int decide(const struct row_page *p, struct row_child *c, struct err *e)
{
	const struct map_subscription *s = c->sub;
	const struct event ev = event_of(c);
	enum hang h = HANG_YES;
	struct ref *a;

	if (!c->ask.gone && c->maybe) {
		int rc = rows_ref_plans(p, child_scope(s), s->scope, &a, e);

		if (rc < 0)
			return rc;
		h = ref_hang(a, s->plan);
	}
	c->wanted = !c->ask.gone && h == HANG_YES;
	if (h == HANG_KEPT)
		feed_say(p->r->feed, FEED_KEPT, c->ask.name, NULL);
	else if (c->ask.gone || (h == HANG_NO && c->ask.verdict == ASK_OTHER))
		rows_withdraw(p->r, &ev, c->ask.gone ? c->ask.version_ms : 0);
	return 0;
}

int children_judge(const struct row_page *p, struct row_child *v, size_t n, struct err *e)
{
	struct feed_ask **asks = mem_alloc((n + 1) * sizeof(struct feed_ask *));
	size_t n_asks = 0;
	size_t i;
	int rc;

	for (i = 0; i < n; i++) {
		v[i].ask.verdict = ASK_NEW;
		/* A refill writes whatever it reads, so it need not ask for that. */
		if (v[i].ask.name != NULL && !v[i].kept && (p->kind != PASS_ALL || v[i].ask.gone))
			asks[n_asks++] = &v[i].ask;
	}
	rc = feed_ask(p->r->feed, asks, n_asks, e);
	mem_free(asks);
	for (i = 0; rc == 0 && i < n; i++) {
		if (v[i].kept)
			feed_say(p->r->feed, FEED_KEPT, v[i].ask.name, NULL);
		else if (v[i].ask.name != NULL && !ask_is_same(&v[i].ask))
			rc = decide(p, &v[i], e);
	}
	return rc;
}
