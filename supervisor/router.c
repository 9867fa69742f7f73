/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ipc/route.h"
#include "common/log/log.h"
#include "supervisor/control.h"
#include "supervisor/supervisor_internal.h"

#define FITNESS_SILENCE_MS 3000 /* a fetcher that is silent for so long (or a TTL) is unfit */

static void act(struct supervisor *s, unsigned what);

static struct child *elector(struct supervisor *s)
{
	return s->child[SLICE_ELECTOR];
}

static struct child *fetcher(struct supervisor *s)
{
	return s->child[SLICE_FETCHER];
}

/* --- words to the workers --- */

static void send_stand(struct supervisor *s)
{
	char *previous[NONCE_KEEP];
	Ipc__Stand stand = IPC__STAND__INIT;
	struct err e = { 0 };
	size_t i;

	/* Tried again with each word about fitness, which says why until it works. */
	if (nonces_next(&s->nonces, &e) < 0) {
		if (!str_equal(e.text, s->nonce_err.text))
			log_error(EV("nonce_not_kept"), KV("err", e.text));
		s->nonce_err = e;
		return;
	}
	if (s->nonce_err.code < 0)
		log_note(EV("nonce_kept"));
	s->nonce_err = (struct err){ 0 };
	stand.nonce = s->nonces.last[0];
	for (i = 1; i < s->nonces.len; i++)
		previous[i - 1] = s->nonces.last[i];
	stand.previous = previous;
	stand.n_previous = s->nonces.len - 1;
	(void)child_send(elector(s), &stand.base);
}

static void send_promote(struct supervisor *s)
{
	const Ipc__CacheReport *c = status_cache(s);
	Ipc__Promote p = IPC__PROMOTE__INIT;

	p.token = s->role.given;
	p.deadline_boot_ms = s->role.deadline_ms;
	p.own_count = c == NULL ? 0 : c->count;
	log_note(EV("promote"), KV("token", p.token));
	(void)child_send(fetcher(s), &p.base);
}

static void send_extend(struct supervisor *s)
{
	Ipc__Extend x = IPC__EXTEND__INIT;

	x.token = s->role.given;
	x.deadline_boot_ms = s->role.deadline_ms;
	(void)child_send(fetcher(s), &x.base);
}

static void send_demote(struct supervisor *s)
{
	static char reason[] = "the lease is lost";
	Ipc__Demote d = IPC__DEMOTE__INIT;

	d.reason = reason;
	log_note(EV("demote"), KV("token", s->role.given));
	(void)child_send(fetcher(s), &d.base);
}

/* --- fitness --- */

/* Not down for longer than a TTL, not in a death ring, its source heard of. */
static bool is_fit(struct supervisor *s, const char **why)
{
	int64_t ttl = config_int(s->config, CFG_LEASE_TTL);
	int64_t now = clock_boot_ms();
	const Ipc__FetcherReport *r = status_fetcher(s);
	const struct child_facts f = child_facts(fetcher(s));
	bool up = child_state(fetcher(s)) == CHILD_UP;

	*why = "";
	if (f.in_ring || f.given_up)
		*why = "it keeps dying";
	else if (!up && now - f.down_since_ms > ttl)
		*why = "it is down";
	else if (up && now - f.heard_ms > MAX(ttl, FITNESS_SILENCE_MS))
		*why = "it is silent";
	else if (s->nonce_err.code < 0) /* what is held cannot be given to a new fetcher */
		*why = "its state directory cannot be written";
	else if (r != NULL && role_is_primary(&s->role) && !r->source_heard)
		*why = "its source is not heard";
	return (*why)[0] == '\0';
}

/* Up, and its source reached: it can work as soon as it is promoted. */
static bool is_ready(struct supervisor *s)
{
	const Ipc__FetcherReport *r = status_fetcher(s);

	return child_state(fetcher(s)) == CHILD_UP && r != NULL && r->source_reached;
}

static void tell_fitness(struct supervisor *s)
{
	const char *why;
	Ipc__Fitness f = IPC__FITNESS__INIT;

	f.fit = is_fit(s, &why);
	f.reason = (char *)(uintptr_t)why;
	f.ready = is_ready(s);
	s->told_ready = f.ready;
	if (child_state(elector(s)) == CHILD_UP)
		(void)child_send(elector(s), &f.base);
}

void router_report(struct supervisor *s, struct child *c)
{
	if (c == fetcher(s) && is_ready(s) != s->told_ready)
		tell_fitness(s);
}

/* --- the role machine's hands --- */

static void on_role_timer(uv_timer_t *t)
{
	struct supervisor *s = t->data;

	act(s, role_tick(&s->role, clock_boot_ms()));
}

static void arm(struct supervisor *s)
{
	int64_t wait = s->role.kill_ms - clock_boot_ms();

	if (s->stopping || s->role.given[0] == '\0' || s->role.kill_ms == INT64_MAX)
		(void)uv_timer_stop(&s->role_timer);
	else
		CHECK(uv_timer_start(&s->role_timer, on_role_timer, wait > 0 ? (uint64_t)wait : 0,
				     0) == 0);
}

static void act(struct supervisor *s, unsigned what)
{
	if (s->stopping)
		what &= ~(unsigned)ROLE_STAND;
	if ((what & ROLE_DEMOTE) != 0)
		send_demote(s);
	if ((what & ROLE_PROMOTE) != 0)
		send_promote(s);
	if ((what & ROLE_EXTEND) != 0)
		send_extend(s);
	if ((what & ROLE_STAND) != 0) {
		tell_fitness(s); /* it says how to stand */
		send_stand(s);
	}
	if ((what & ROLE_KILL) != 0)
		child_kill(fetcher(s), "overran its lease");
	arm(s);
	if (what != 0)
		status_notify(s);
}

void router_beat(struct supervisor *s)
{
	if (s->nonce_err.code < 0)
		act(s, role_retry(&s->role));
	tell_fitness(s);
}

void router_up(struct supervisor *s, struct child *c)
{
	if (c == elector(s))
		act(s, role_elector_up(&s->role));
	if (c == fetcher(s))
		act(s, role_fetcher_up(&s->role));
}

void router_stopping(void *arg, struct child *c)
{
	struct supervisor *s = arg;

	if (c == fetcher(s))
		role_fetcher_stopping(&s->role);
}

void router_gone(struct supervisor *s, struct child *c)
{
	if (c == elector(s))
		act(s, role_elector_gone(&s->role));
	if (c == fetcher(s))
		act(s, role_fetcher_gone(&s->role));
	if (c == s->child[SLICE_CACHE])
		control_examined(s->control, NULL);
}

/* --- messages --- */

static int on_held(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct supervisor *s = self;
	const Ipc__Held *h = m->held;

	if (h->token[0] == '\0' || strlen(h->token) >= ROLE_TOKEN_BYTES)
		return err_set(e, ERR_PROTO, "a token of %zu bytes", strlen(h->token));
	if (!str_equal(h->nonce, s->nonces.last[0]))
		return 0; /* of an older candidacy; a newer one is on its way */
	act(s, role_held(&s->role, h->token, h->deadline_boot_ms, h->kill_boot_ms));
	return 0;
}

static int on_lost(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct supervisor *s = self;

	UNUSED(e);
	if (!str_equal(m->lost->nonce, s->nonces.last[0]))
		return 0; /* as above: what was given on it is spent already */
	act(s, role_lost(&s->role));
	return 0;
}

static int on_demoted(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct supervisor *s = self;

	UNUSED(e);
	act(s, role_demoted(&s->role, m->demoted->token));
	return 0;
}

static int on_token_lost(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct supervisor *s = self;

	UNUSED(e);
	log_warn(EV("token_lost"), KV("token", m->token_lost->token),
		 KV("reason", m->token_lost->reason));
	act(s, role_token_lost(&s->role, m->token_lost->token));
	return 0;
}

static int on_examined(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct supervisor *s = self;

	UNUSED(e);
	control_examined(s->control, m->examined);
	return 0;
}

enum {
	FROM_ELECTOR = 1 << SLICE_ELECTOR,
	FROM_FETCHER = 1 << SLICE_FETCHER,
	FROM_CACHE = 1 << SLICE_CACHE
};
enum { WHEN_UP = 1 << CHILD_UP, WHEN_UP_OR_STOPPING = 1 << CHILD_UP | 1 << CHILD_STOPPING };

static const struct route rows[] = {
	/* message                         who may send   when                 handler */
	[IPC__ENVELOPE__BODY_HELD] = { FROM_ELECTOR, WHEN_UP_OR_STOPPING, on_held },
	[IPC__ENVELOPE__BODY_LOST] = { FROM_ELECTOR, WHEN_UP_OR_STOPPING, on_lost },
	[IPC__ENVELOPE__BODY_EXAMINED] = { FROM_CACHE, WHEN_UP_OR_STOPPING, on_examined },
	[IPC__ENVELOPE__BODY_DEMOTED] = { FROM_FETCHER, WHEN_UP_OR_STOPPING, on_demoted },
	[IPC__ENVELOPE__BODY_TOKEN_LOST] = { FROM_FETCHER, WHEN_UP_OR_STOPPING, on_token_lost },
};
const struct route_table router_routes = { rows, ARRAY_LEN(rows) };
