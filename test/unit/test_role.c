/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/base/cdefs.h"
#include "common/base/str.h"
#include "supervisor/role.h"

static struct role fresh(void)
{
	return (struct role){ .candidate = true, .kill_ms = INT64_MAX };
}

/* Elector and fetcher up, "1:a" held and handed out. */
static struct role primary(void)
{
	struct role r = fresh();

	assert_int_equal(role_elector_up(&r), ROLE_STAND);
	assert_int_equal(role_fetcher_up(&r), 0);
	assert_int_equal(role_held(&r, "1:a", 650, 700), ROLE_PROMOTE);
	assert_true(role_is_primary(&r));
	return r;
}

static void only_a_candidate_stands(void **state)
{
	struct role r = fresh();

	UNUSED(state);
	r.candidate = false;
	assert_int_equal(role_elector_up(&r), 0);
	assert_int_equal(role_lost(&r), 0);
}

static void a_lease_waits_for_the_fetcher(void **state)
{
	struct role r = fresh();

	UNUSED(state);
	(void)role_elector_up(&r);
	assert_int_equal(role_held(&r, "1:a", 650, 700), 0);
	assert_false(role_is_primary(&r));
	assert_int_equal(role_held(&r, "1:a", 750, 800), 0); /* renewed meanwhile */
	assert_int_equal(role_fetcher_up(&r), ROLE_PROMOTE);
	assert_string_equal(r.given, "1:a");
	assert_int_equal(r.deadline_ms, 750);
	assert_int_equal(r.kill_ms, 800);
}

static void a_renewal_extends(void **state)
{
	struct role r = primary();

	UNUSED(state);
	assert_int_equal(role_held(&r, "1:a", 850, 900), ROLE_EXTEND);
	assert_int_equal(r.deadline_ms, 850);
	assert_int_equal(r.kill_ms, 900);
	assert_int_equal(role_tick(&r, 899), 0);
	assert_int_equal(role_tick(&r, 900), ROLE_KILL);
	assert_int_equal(role_tick(&r, 901), 0); /* once */
}

static void a_loss_demotes_at_once_and_stands_again(void **state)
{
	struct role r = primary();

	UNUSED(state);
	assert_int_equal(role_lost(&r), ROLE_DEMOTE | ROLE_STAND);
	assert_false(role_is_primary(&r));
	assert_int_equal(role_lost(&r), ROLE_STAND); /* not asked twice */
	assert_int_equal(r.kill_ms, 700);	     /* of the last grant */
	assert_int_equal(role_demoted(&r, "0:x"), 0);
	assert_int_equal(role_demoted(&r, "1:a"), 0);
	assert_string_equal(r.given, "");
	assert_int_equal(role_tick(&r, 10000), 0);
}

static void a_fetcher_that_does_not_confirm_is_killed(void **state)
{
	struct role r = primary();

	UNUSED(state);
	(void)role_lost(&r);
	assert_int_equal(role_tick(&r, 699), 0);
	assert_int_equal(role_tick(&r, 700), ROLE_KILL);
	assert_int_equal(role_fetcher_gone(&r), ROLE_STAND);
	assert_string_equal(r.given, "");
}

static void a_new_token_replaces_the_old_without_waiting(void **state)
{
	struct role r = primary();

	UNUSED(state);
	(void)role_lost(&r);
	assert_int_equal(role_held(&r, "2:b", 1650, 1700), ROLE_PROMOTE);
	assert_true(role_is_primary(&r));
	assert_int_equal(role_demoted(&r, "1:a"), 0); /* late, and of no interest */
	assert_string_equal(r.given, "2:b");
	assert_int_equal(role_token_lost(&r, "1:a"), 0);
	assert_string_equal(r.given, "2:b");
	assert_int_equal(r.kill_ms, 1700);
}

static void a_dead_elector_leaves_the_fetcher_to_its_deadline(void **state)
{
	struct role r = primary();

	UNUSED(state);
	assert_int_equal(role_elector_gone(&r), 0);
	assert_true(role_is_primary(&r));
	assert_int_equal(role_tick(&r, 700), ROLE_KILL);

	r = primary();
	assert_int_equal(role_elector_gone(&r), 0);
	assert_int_equal(role_elector_up(&r), ROLE_STAND);
	assert_int_equal(role_held(&r, "2:b", 1650, 1700), ROLE_PROMOTE);
}

static void a_fetcher_gone_needs_a_new_epoch(void **state)
{
	struct role r = primary();

	UNUSED(state);
	assert_int_equal(role_fetcher_gone(&r), ROLE_STAND);
	assert_int_equal(role_fetcher_up(&r), 0);
	assert_false(role_is_primary(&r));
	/* The elector renewed before it heard of the new candidacy. */
	assert_int_equal(role_held(&r, "1:a", 850, 900), 0);
	assert_false(role_is_primary(&r));
	assert_int_equal(role_held(&r, "2:b", 1650, 1700), ROLE_PROMOTE);
}

static void a_token_lost_needs_a_new_epoch(void **state)
{
	struct role r = primary();

	UNUSED(state);
	assert_int_equal(role_token_lost(&r, "1:a"), ROLE_STAND);
	assert_false(role_is_primary(&r));
	assert_int_equal(role_held(&r, "1:a", 850, 900), 0);
	assert_string_equal(r.given, "");
	assert_int_equal(role_held(&r, "2:b", 1650, 1700), ROLE_PROMOTE);
}

/* It ran into its deadline while the elector still renews. */
static void a_token_laid_down_is_not_handed_out_again(void **state)
{
	struct role r = primary();

	UNUSED(state);
	assert_int_equal(role_demoted(&r, "1:a"), ROLE_STAND);
	assert_int_equal(role_held(&r, "1:a", 850, 900), 0);
	assert_int_equal(role_fetcher_gone(&r), 0);
	assert_int_equal(role_fetcher_up(&r), 0);
	assert_int_equal(role_held(&r, "2:b", 1650, 1700), ROLE_PROMOTE);
}

static void a_lost_token_waiting_for_a_fetcher_is_forgotten(void **state)
{
	struct role r = fresh();

	UNUSED(state);
	(void)role_elector_up(&r);
	(void)role_held(&r, "1:a", 650, 700);
	assert_int_equal(role_lost(&r), ROLE_STAND);
	assert_int_equal(role_fetcher_up(&r), 0);
	(void)role_held(&r, "2:b", 650, 700);
	assert_string_equal(r.given, "2:b");
	r = fresh();
	(void)role_elector_up(&r);
	(void)role_held(&r, "1:a", 650, 700);
	assert_int_equal(role_elector_gone(&r), 0);
	assert_int_equal(role_fetcher_up(&r), 0);
}

/* A reload restarts it, and the elector wins before it is gone. */
static void a_fetcher_that_is_being_stopped_is_given_nothing(void **state)
{
	struct role r = fresh();

	UNUSED(state);
	(void)role_elector_up(&r);
	(void)role_fetcher_up(&r);
	role_fetcher_stopping(&r);
	assert_int_equal(role_held(&r, "1:a", 650, 700), 0);
	assert_int_equal(role_held(&r, "1:a", 850, 900), 0);
	assert_int_equal(role_fetcher_gone(&r), 0);
	assert_int_equal(role_fetcher_up(&r), ROLE_PROMOTE);
	assert_string_equal(r.given, "1:a");
	assert_int_equal(r.kill_ms, 900);
}

/* It writes until it has laid the token down: as long as that one lasts, and no longer. */
static void a_primary_that_is_being_stopped_keeps_to_its_own_lease(void **state)
{
	struct role r = primary();

	UNUSED(state);
	role_fetcher_stopping(&r);
	assert_int_equal(role_held(&r, "1:a", 850, 900), ROLE_EXTEND);
	assert_int_equal(role_lost(&r), ROLE_DEMOTE | ROLE_STAND);
	assert_int_equal(role_held(&r, "2:b", 1650, 1700), 0);
	assert_int_equal(r.kill_ms, 900);
	assert_int_equal(role_demoted(&r, "1:a"), 0);
	assert_int_equal(role_fetcher_gone(&r), 0);
	assert_int_equal(role_fetcher_up(&r), ROLE_PROMOTE);
	assert_string_equal(r.given, "2:b");
	assert_int_equal(r.kill_ms, 1700);
}

/* --- every fact in every state that facts can reach --- */

#define TOKENS 3

struct world {
	struct role r;
	bool alive;		/* a fetcher process is there, perhaps being stopped */
	unsigned process;	/* number of the fetcher process */
	unsigned owner[TOKENS]; /* process each token was handed to; 0 none */
	char held[3];		/* what the elector holds */
	unsigned next;		/* token */
	int64_t now;
};

static const char *const names[TOKENS] = { "1:", "2:", "3:" };

/* What holds after every step, whatever happened before. */
static void check(struct world *w, unsigned what)
{
	unsigned i;

	assert_false((what & ROLE_PROMOTE) != 0 && (what & ROLE_DEMOTE) != 0);
	if ((what & ROLE_PROMOTE) != 0)
		assert_true(w->r.fetcher_up);
	if ((what & (ROLE_EXTEND | ROLE_DEMOTE)) != 0)
		assert_true(w->alive);
	if ((what & ROLE_STAND) != 0)
		assert_true(w->r.candidate && w->r.elector_up);
	if (w->r.given[0] == '\0')
		assert_false(role_is_primary(&w->r));
	if ((what & ROLE_PROMOTE) == 0)
		return;
	for (i = 0; i < TOKENS; i++) {
		if (strcmp(names[i], w->r.given) != 0)
			continue;
		assert_int_equal(w->owner[i], 0); /* never handed out before */
		w->owner[i] = w->process;
		return;
	}
	fail_msg("an unknown token was handed out: %s", w->r.given);
}

static unsigned happen(struct world *w, unsigned fact)
{
	switch (fact) {
	case 0:
		return w->r.elector_up ? 0 : role_elector_up(&w->r);
	case 1:
		w->held[0] = '\0';
		return w->r.elector_up ? role_elector_gone(&w->r) : 0;
	case 2:
		if (w->alive)
			return 0;
		w->alive = true;
		w->process++;
		return role_fetcher_up(&w->r);
	case 3:
		if (!w->alive)
			return 0;
		w->alive = false;
		return role_fetcher_gone(&w->r);
	case 4: /* a new epoch */
		if (!w->r.elector_up || w->next == TOKENS)
			return 0;
		str_copy(w->held, sizeof(w->held), names[w->next++]);
		return role_held(&w->r, w->held, w->now + 65, w->now + 70);
	case 5: /* renewed */
		if (w->held[0] == '\0')
			return 0;
		return role_held(&w->r, w->held, w->now + 65, w->now + 70);
	case 6:
		w->held[0] = '\0';
		return w->r.elector_up ? role_lost(&w->r) : 0;
	case 7:
		return w->alive ? role_demoted(&w->r, w->r.given) : 0;
	case 8:
		return w->alive ? role_token_lost(&w->r, w->r.given) : 0;
	case 9:
		role_fetcher_stopping(&w->r);
		return 0;
	default:
		w->now += 100;
		return role_tick(&w->r, w->now);
	}
}

#define FACTS 11
#define DEPTH 7

static void explore(const struct world *from, unsigned depth)
{
	unsigned fact;

	for (fact = 0; fact < FACTS; fact++) {
		struct world w = *from;
		unsigned what = happen(&w, fact);

		check(&w, what);
		if (depth > 1 && (what != 0 || memcmp(&w.r, &from->r, sizeof(w.r)) != 0))
			explore(&w, depth - 1);
	}
}

static void a_token_belongs_to_one_fetcher_process_whatever_happens(void **state)
{
	struct world w = { .r = fresh() };

	UNUSED(state);
	explore(&w, DEPTH);
	(void)happen(&w, 0);
	(void)happen(&w, 2);
	(void)happen(&w, 4);
	w.owner[0] = 1; /* as check() would note */
	explore(&w, DEPTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_candidate_stands),
		cmocka_unit_test(a_lease_waits_for_the_fetcher),
		cmocka_unit_test(a_renewal_extends),
		cmocka_unit_test(a_loss_demotes_at_once_and_stands_again),
		cmocka_unit_test(a_fetcher_that_does_not_confirm_is_killed),
		cmocka_unit_test(a_new_token_replaces_the_old_without_waiting),
		cmocka_unit_test(a_dead_elector_leaves_the_fetcher_to_its_deadline),
		cmocka_unit_test(a_fetcher_gone_needs_a_new_epoch),
		cmocka_unit_test(a_token_lost_needs_a_new_epoch),
		cmocka_unit_test(a_token_laid_down_is_not_handed_out_again),
		cmocka_unit_test(a_lost_token_waiting_for_a_fetcher_is_forgotten),
		cmocka_unit_test(a_fetcher_that_is_being_stopped_is_given_nothing),
		cmocka_unit_test(a_primary_that_is_being_stopped_keeps_to_its_own_lease),
		cmocka_unit_test(a_token_belongs_to_one_fetcher_process_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
