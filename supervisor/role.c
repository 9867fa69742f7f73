/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/role.h"

#include "common/base/str.h"

static unsigned stand(const struct role *r)
{
	return r->candidate && r->elector_up ? ROLE_STAND : 0;
}

/* What the fetcher was given is used up: a token belongs to one process, once. */
static void spend(struct role *r)
{
	str_copy(r->spent, sizeof(r->spent), r->given);
	if (str_equal(r->token, r->given))
		r->token[0] = '\0';
	r->given[0] = '\0';
	r->demoting = false;
	r->kill_ms = INT64_MAX;
}

/* The running fetcher stops writing with what it was given. */
static unsigned demote(struct role *r)
{
	if (r->given[0] == '\0' || r->demoting)
		return 0;
	r->demoting = true;
	return ROLE_DEMOTE;
}

/* Hands the token to the fetcher; one that had another confirms by taking this. */
static unsigned promote(struct role *r)
{
	if (r->token[0] == '\0' || !r->fetcher_up)
		return 0;
	str_copy(r->given, sizeof(r->given), r->token);
	r->kill_ms = r->held_kill_ms;
	r->demoting = false;
	return ROLE_PROMOTE;
}

unsigned role_elector_up(struct role *r)
{
	r->elector_up = true;
	return stand(r);
}

unsigned role_elector_gone(struct role *r)
{
	r->elector_up = false;
	r->token[0] = '\0'; /* the fetcher goes on, to its deadline at most */
	return 0;
}

unsigned role_fetcher_up(struct role *r)
{
	r->fetcher_up = true;
	/* A token that no process has had yet may be handed out. */
	return r->token[0] != '\0' && r->given[0] == '\0' ? promote(r) : 0;
}

/* What it was given it lays down by itself; what comes now waits for the next process. */
void role_fetcher_stopping(struct role *r)
{
	r->fetcher_up = false;
}

unsigned role_fetcher_gone(struct role *r)
{
	bool had = r->given[0] != '\0';

	r->fetcher_up = false;
	if (!had)
		return 0;
	spend(r);
	r->token[0] = '\0'; /* a newer one was on its way to the dead process */
	return stand(r);
}

unsigned role_retry(const struct role *r)
{
	return stand(r);
}

unsigned role_held(struct role *r, const char *token, int64_t deadline_ms, int64_t kill_ms)
{
	bool renewed = str_equal(r->given, token) && !r->demoting;

	if (str_equal(r->spent, token))
		return 0; /* renewed before the elector heard of the new candidacy */
	str_copy(r->token, sizeof(r->token), token);
	r->deadline_ms = deadline_ms;
	r->held_kill_ms = kill_ms;
	if (renewed) {
		r->kill_ms = kill_ms;
		return ROLE_EXTEND;
	}
	return promote(r);
}

unsigned role_lost(struct role *r)
{
	unsigned what = demote(r);

	r->token[0] = '\0';
	return what | stand(r);
}

unsigned role_demoted(struct role *r, const char *token)
{
	bool held = str_equal(r->token, token); /* nobody took it away: it gave up by itself */

	if (r->given[0] == '\0' || !str_equal(r->given, token))
		return 0;
	spend(r);
	return held ? stand(r) : 0;
}

unsigned role_token_lost(struct role *r, const char *token)
{
	if (r->given[0] == '\0' || !str_equal(r->given, token))
		return 0;
	spend(r);
	return stand(r);
}

unsigned role_tick(struct role *r, int64_t now)
{
	if (r->given[0] == '\0' || now < r->kill_ms)
		return 0;
	r->kill_ms = INT64_MAX;
	return ROLE_KILL;
}

bool role_is_primary(const struct role *r)
{
	return r->given[0] != '\0' && !r->demoting;
}
