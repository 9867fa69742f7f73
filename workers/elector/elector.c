/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/elector/elector.h"

#include <string.h>

#include "common/base/str.h"

#define FREE_TTLS 2 /* of a lease that nobody took, although it is free */

const char *elector_state_name(enum elector_state s)
{
	static const char *const names[ELECTOR__COUNT] = { "idle", "trying", "held", "leaving" };

	return names[s];
}

void elector_init(struct elector *m, int64_t ttl_ms)
{
	*m = (struct elector){ .ttl_ms = ttl_ms, .next_ms = INT64_MAX, .fit = true };
	timing_from_ttl(ttl_ms, &m->t);
}

static int64_t deadline_ms(const struct elector *m)
{
	return m->good_ms + m->t.deadline_ms;
}

static unsigned lose(struct elector *m, const char *why)
{
	m->state = ELECTOR_IDLE;
	m->token[0] = '\0';
	m->asking = false;
	m->next_ms = INT64_MAX;
	m->reason = why;
	return ELECTOR_TELL_LOST;
}

/* Gives the lease back, if the server can be reached; the TTL does it otherwise. */
static unsigned leave(struct elector *m, const char *why, int64_t now)
{
	if (!m->up)
		return lose(m, why);
	m->state = ELECTOR_LEAVING;
	m->reason = why;
	m->next_ms = now + m->t.command_ms;
	return ELECTOR_RELEASE;
}

static unsigned try_now(struct elector *m)
{
	return m->up && !m->asking && !m->barred ? ELECTOR_ACQUIRE : 0;
}

unsigned elector_stand(struct elector *m, const char *nonce, const char *const *previous, size_t n,
		       int64_t now)
{
	size_t i;

	m->previous_len = MIN(n, LEASE_PREVIOUS_MAX);
	for (i = 0; i < m->previous_len; i++)
		str_copy(m->previous[i], LEASE_NONCE_BYTES, previous[i]);
	str_copy(m->nonce, sizeof(m->nonce), nonce);
	m->token[0] = '\0';
	m->state = ELECTOR_TRYING;
	m->free_ms = 0;
	m->asking = false; /* an answer to an older nonce is told apart by its token */
	m->fit = true;
	m->fit_ms = now;
	/* One look after a TTL: a lease that nobody took by then is nobody's wish but ours. */
	m->next_ms = MAX(now, MIN(m->back_until_ms, m->back_look_ms));
	return m->next_ms <= now ? try_now(m) : 0;
}

unsigned elector_stand_back(struct elector *m, int64_t now)
{
	m->back_until_ms = now + m->ttl_ms;
	m->back_look_ms = m->back_until_ms;
	if (m->state == ELECTOR_HELD)
		return leave(m, "asked to stand back", now);
	if (m->state != ELECTOR_TRYING)
		return 0;
	if (!m->asking)
		return lose(m, "asked to stand back");
	/* What the question on its way wins has to be given back. */
	m->state = ELECTOR_LEAVING;
	m->reason = "asked to stand back";
	m->next_ms = now + m->t.command_ms;
	return 0;
}

/* The fetcher does not work: let someone else, and stand back longer each time. */
static unsigned unfit(struct elector *m, int64_t now)
{
	m->back_ms = m->back_ms == 0 ? m->ttl_ms : MIN(2 * m->back_ms, ELECTOR_STAND_BACK_MAX_MS);
	m->back_until_ms = now + m->back_ms;
	m->back_look_ms = now + m->ttl_ms;
	return leave(m, "the fetcher does not work", now);
}

unsigned elector_fitness(struct elector *m, bool fit, int64_t now)
{
	m->fit = fit;
	m->fit_ms = now;
	if (!fit && m->state == ELECTOR_HELD)
		return unfit(m, now);
	return 0;
}

unsigned elector_ready(struct elector *m, bool ready, int64_t now)
{
	bool was = !m->unready;

	m->unready = !ready;
	if (!ready || was || m->state != ELECTOR_TRYING || now < m->back_until_ms)
		return 0;
	m->next_ms = now;
	return elector_tick(m, now);
}

unsigned elector_link(struct elector *m, bool up, int64_t now)
{
	m->up = up;
	m->asking = false;
	if (!up)
		return elector_tick(m, now);
	if (m->state == ELECTOR_TRYING && now >= m->back_until_ms)
		return try_now(m);
	if (m->state == ELECTOR_HELD)
		return ELECTOR_RENEW;
	if (m->state == ELECTOR_LEAVING)
		return ELECTOR_RELEASE;
	return 0;
}

unsigned elector_bar(struct elector *m, bool barred, int64_t now)
{
	bool was = m->barred;

	m->barred = barred;
	if (barred && m->state == ELECTOR_HELD)
		return leave(m, "a Java primary writes this zone", now);
	if (!barred && was && m->state == ELECTOR_TRYING && now >= m->back_until_ms) {
		m->next_ms = now;
		return elector_tick(m, now);
	}
	return 0;
}

unsigned elector_wake(struct elector *m, uint32_t random, int64_t now)
{
	if (m->state != ELECTOR_TRYING || now < m->back_until_ms)
		return 0;
	m->woken = m->asking; /* the answer on its way may be older than the release */
	m->next_ms = now + random % (ELECTOR_JITTER_MS + 1);
	return m->next_ms <= now ? try_now(m) : 0;
}

static unsigned tick_held(struct elector *m, int64_t now)
{
	if (now >= deadline_ms(m))
		return lose(m, "not renewed in time");
	if (!m->fit || now - m->fit_ms > m->ttl_ms)
		return unfit(m, now);
	if (now < m->next_ms)
		return 0;
	m->next_ms = now + m->t.command_ms / 2;
	return m->up && !m->asking ? ELECTOR_RENEW : 0;
}

unsigned elector_tick(struct elector *m, int64_t now)
{
	switch (m->state) {
	case ELECTOR_HELD:
		return tick_held(m, now);
	case ELECTOR_LEAVING:
		return now >= m->next_ms || !m->up ? lose(m, m->reason) : 0;
	case ELECTOR_TRYING:
		if (now < m->next_ms)
			return 0;
		m->next_ms = now + m->t.renew_ms;
		return try_now(m);
	default:
		return 0;
	}
}

void elector_sent(struct elector *m, int64_t now)
{
	m->asking = true;
	m->woken = false;
	m->sent_ms = now;
}

static unsigned granted(struct elector *m, const struct lease_reply *r, int64_t now)
{
	const char *nonce = strchr(r->token, ':');

	if (nonce == NULL || !str_equal(nonce + 1, m->nonce))
		return 0; /* the answer to an older candidacy */
	if (m->state == ELECTOR_LEAVING && m->token[0] == '\0') {
		str_copy(m->token, sizeof(m->token), r->token);
		return leave(m, m->reason, now);
	}
	if (m->state != ELECTOR_HELD && m->state != ELECTOR_TRYING)
		return 0;
	if (m->barred) { /* asked for before the Java primary was seen */
		str_copy(m->token, sizeof(m->token), r->token);
		return leave(m, "a Java primary writes this zone", now);
	}
	/* It has worked for as long as it last stood back: that is forgotten. */
	if (m->state == ELECTOR_HELD && m->fit && now - m->back_until_ms >= m->back_ms)
		m->back_ms = 0;
	str_copy(m->token, sizeof(m->token), r->token);
	m->state = ELECTOR_HELD;
	m->good_ms = m->sent_ms; /* validity counts from the send */
	m->next_ms = m->sent_ms + m->t.renew_ms;
	m->seen = *r;
	if (now >= deadline_ms(m))
		return lose(m, "the answer came too late");
	return ELECTOR_TELL_HELD;
}

static unsigned busy(struct elector *m, const struct lease_reply *r, uint32_t random, int64_t now)
{
	if (m->state == ELECTOR_HELD)
		return lose(m, "another node took the lease");
	if (m->state == ELECTOR_LEAVING && m->token[0] == '\0')
		return lose(m, m->reason);
	if (m->state != ELECTOR_TRYING)
		return 0;
	m->free_ms = 0;
	if (!str_equal(m->seen.token, r->token) || m->seen.seq != r->seq)
		m->seen_ms = now;
	m->seen = *r;
	if (now < m->back_until_ms) { /* somebody took it: stand back to the end */
		m->next_ms = m->back_until_ms;
		return 0;
	}
	if (r->left_ms < 0 || (r->ttl_ms > 0 && r->left_ms > r->ttl_ms)) {
		/* No expiry, or beyond its own TTL: Redis' clock went back. Look again, then break. */
		m->next_ms = now + m->t.command_ms;
		return 0;
	}
	if (m->woken) {
		m->woken = false;
		m->next_ms = now + random % (ELECTOR_JITTER_MS + 1);
		return 0;
	}
	m->next_ms = now + r->left_ms + 1 + random % (ELECTOR_JITTER_MS + 1);
	return 0;
}

/* A look found nobody. It ends early when we are ready meanwhile. */
static unsigned seen_free(struct elector *m, int64_t now)
{
	if (m->free_ms == 0)
		m->free_ms = now;
	m->next_ms = m->unready ? MIN(now + m->t.renew_ms, m->free_ms + FREE_TTLS * m->ttl_ms)
				: now;
	return m->next_ms <= now ? try_now(m) : 0;
}

unsigned elector_reply(struct elector *m, const struct lease_reply *r, uint32_t random, int64_t now)
{
	m->asking = false;
	switch (r->answer) {
	case LEASE_HELD:
		return granted(m, r, now);
	case LEASE_BUSY:
		return busy(m, r, random, now);
	case LEASE_LOST:
		if (m->state == ELECTOR_HELD)
			return lose(m, "another token holds the lease");
		return m->state == ELECTOR_LEAVING ? lose(m, m->reason) : 0;
	case LEASE_FREE:
		if (m->state == ELECTOR_TRYING)
			return seen_free(m, now);
		return m->state == ELECTOR_LEAVING ? lose(m, m->reason) : 0;
	case LEASE_NEWER: /* as if it had failed */
		return elector_failed(m, now);
	}
	return 0;
}

unsigned elector_failed(struct elector *m, int64_t now)
{
	m->asking = false;
	if (m->state == ELECTOR_TRYING)
		m->next_ms = MAX(m->next_ms, now + m->t.command_ms / 2);
	return 0;
}

int64_t elector_next_ms(const struct elector *m)
{
	switch (m->state) {
	case ELECTOR_HELD:
		return MIN(MIN(m->next_ms, deadline_ms(m)), m->fit_ms + m->ttl_ms + 1);
	case ELECTOR_IDLE:
		return INT64_MAX;
	default:
		return m->next_ms;
	}
}

/* Nobody renews what does not move for longer than its TTL. */
static bool is_stuck(const struct elector *m, int64_t now)
{
	const struct lease_reply *s = &m->seen;
	int64_t ttl = s->ttl_ms > 0 ? s->ttl_ms : m->ttl_ms;

	if (s->answer != LEASE_BUSY || s->token[0] == '\0')
		return false;
	if (s->left_ms < 0 || s->left_ms > ttl)
		return now - m->seen_ms >= m->t.command_ms;
	return now - m->seen_ms > ttl + ttl / 100 + m->t.renew_ms;
}

/* Others go first, and may not have looked yet. */
static bool only_looks(const struct elector *m, int64_t now)
{
	return m->unready && (m->free_ms == 0 || now - m->free_ms < FREE_TTLS * m->ttl_ms);
}

void elector_ask(const struct elector *m, int64_t now, struct lease_ask *out,
		 const char *previous[LEASE_PREVIOUS_MAX])
{
	bool stuck = is_stuck(m, now);
	size_t i;

	for (i = 0; i < m->previous_len; i++)
		previous[i] = m->previous[i];
	*out = (struct lease_ask){ .nonce = m->nonce,
				   .ttl_ms = only_looks(m, now) ? 0 : (uint32_t)m->ttl_ms,
				   .holder = "",
				   .break_token = stuck ? m->seen.token : "",
				   .break_seq = stuck ? m->seen.seq : 0,
				   .previous = previous,
				   .previous_len = m->previous_len };
}
