/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "workers/elector/elector.h"

#define L	10000
#define NONCE_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NONCE_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct lease_reply held(const char *nonce)
{
	struct lease_reply r = { .answer = LEASE_HELD };

	(void)snprintf(r.token, sizeof(r.token), "1700000000001:%s", nonce);
	return r;
}

static struct lease_reply busy(uint64_t seq, int64_t left_ms)
{
	struct lease_reply r = {
		.answer = LEASE_BUSY, .seq = seq, .left_ms = left_ms, .ttl_ms = L
	};

	str_copy(r.token, sizeof(r.token), "1700000000000:other");
	return r;
}

static struct lease_reply says(enum lease_answer a)
{
	return (struct lease_reply){ .answer = a };
}

static unsigned answer(struct elector *m, struct lease_reply r, int64_t now)
{
	return elector_reply(m, &r, 0, now);
}

/* Connected, standing, the acquire sent at `now`. */
static void trying(struct elector *m, int64_t now)
{
	elector_init(m, L);
	assert_int_equal(elector_link(m, true, now), 0);
	assert_int_equal(elector_stand(m, NONCE_A, NULL, 0, now), ELECTOR_ACQUIRE);
	elector_sent(m, now);
}

static void holding(struct elector *m, int64_t now)
{
	trying(m, now);
	assert_int_equal(answer(m, held(NONCE_A), now), ELECTOR_TELL_HELD);
	assert_int_equal(m->state, ELECTOR_HELD);
}

/* Fit, renewed at `now` and granted at once. */
static void renew(struct elector *m, int64_t now)
{
	assert_int_equal(elector_fitness(m, true, now), 0);
	assert_int_equal(elector_tick(m, now), ELECTOR_RENEW);
	elector_sent(m, now);
	assert_int_equal(answer(m, held(NONCE_A), now), ELECTOR_TELL_HELD);
}

static void acquire_counts_validity_from_the_send(void **state)
{
	struct elector m;

	UNUSED(state);
	trying(&m, 1000);
	assert_int_equal(answer(&m, held(NONCE_A), 1900), ELECTOR_TELL_HELD);
	assert_int_equal(m.good_ms, 1000);
	assert_int_equal(m.next_ms, 1000 + L / 5);
	assert_string_equal(m.token, "1700000000001:" NONCE_A);
}

static void nothing_is_asked_without_a_nonce_or_a_link(void **state)
{
	struct elector m;

	UNUSED(state);
	elector_init(&m, L);
	assert_int_equal(elector_next_ms(&m), INT64_MAX);
	assert_int_equal(elector_link(&m, true, 0), 0);
	assert_int_equal(elector_tick(&m, 1000), 0);
	assert_int_equal(elector_wake(&m, 0, 1000), 0);
	assert_int_equal(elector_link(&m, false, 1000), 0);
	assert_int_equal(elector_stand(&m, NONCE_A, NULL, 0, 1000), 0);
	assert_int_equal(elector_link(&m, true, 1500), ELECTOR_ACQUIRE);
}

static void busy_is_tried_again_exactly_at_expiry(void **state)
{
	struct lease_reply r = busy(3, 4000);
	struct elector m;

	UNUSED(state);
	trying(&m, 1000);
	assert_int_equal(elector_reply(&m, &r, 20, 1010), 0);
	assert_int_equal(elector_next_ms(&m), 1010 + 4000 + 1 + 20);
	assert_int_equal(elector_tick(&m, 5030), 0);
	assert_int_equal(elector_tick(&m, 5031), ELECTOR_ACQUIRE);
	trying(&m, 1000);
	assert_int_equal(elector_reply(&m, &r, 21, 1010), 0); /* the jitter ends at 20 ms */
	assert_int_equal(elector_next_ms(&m), 1010 + 4000 + 1);
}

static void wake_up_asks_within_the_jitter(void **state)
{
	struct elector m;

	UNUSED(state);
	trying(&m, 1000);
	assert_int_equal(answer(&m, busy(3, 4000), 1010), 0);
	assert_int_equal(elector_wake(&m, 20, 2000), 0);
	assert_int_equal(elector_next_ms(&m), 2020);
	assert_int_equal(elector_tick(&m, 2020), ELECTOR_ACQUIRE);
	assert_int_equal(elector_wake(&m, 0, 2021), ELECTOR_ACQUIRE);
}

/* The release may overtake the answer of a question that was asked before it. */
static void wake_up_while_asking_is_not_forgotten(void **state)
{
	struct elector m;

	UNUSED(state);
	trying(&m, 1000);
	assert_int_equal(elector_wake(&m, 0, 1005), 0);
	assert_int_equal(answer(&m, busy(3, 9000), 1010), 0);
	assert_true(elector_next_ms(&m) <= 1010 + ELECTOR_JITTER_MS);
	assert_int_equal(elector_tick(&m, 1030), ELECTOR_ACQUIRE);
	elector_sent(&m, 1030);
	assert_int_equal(answer(&m, busy(1, 9000), 1031), 0); /* once only */
	assert_int_equal(elector_next_ms(&m), 1031 + 9000 + 1);
}

static void renewals_come_every_fifth_of_the_ttl(void **state)
{
	struct elector m;
	int64_t now;

	UNUSED(state);
	holding(&m, 0);
	for (now = L / 5; now < 10 * L; now += L / 5) {
		assert_int_equal(elector_tick(&m, now - 1), 0);
		renew(&m, now);
		assert_int_equal(m.good_ms, now);
	}
}

static void unknown_outcome_is_asked_again(void **state)
{
	struct elector m;

	UNUSED(state);
	trying(&m, 1000);
	assert_int_equal(elector_failed(&m, 1500), 0);
	assert_int_equal(elector_tick(&m, elector_next_ms(&m)), ELECTOR_ACQUIRE);
	/* The connection was lost with the question: the next one asks with the same nonce. */
	trying(&m, 1000);
	assert_int_equal(elector_link(&m, false, 1100), 0);
	assert_int_equal(elector_link(&m, true, 1300), ELECTOR_ACQUIRE);
	elector_sent(&m, 1300);
	assert_int_equal(answer(&m, held(NONCE_A), 1310), ELECTOR_TELL_HELD);
	assert_int_equal(m.good_ms, 1300);
}

static void a_failed_renewal_is_tried_again_until_the_deadline(void **state)
{
	struct elector m;
	unsigned tries = 0;
	int64_t now = 0;

	UNUSED(state);
	holding(&m, 0);
	while (m.state == ELECTOR_HELD) {
		unsigned what;

		now = elector_next_ms(&m);
		(void)elector_fitness(&m, true, now);
		what = elector_tick(&m, now);
		if (what == ELECTOR_RENEW) {
			tries++;
			elector_sent(&m, now);
			assert_int_equal(elector_failed(&m, now), 0);
		} else {
			assert_int_equal(what, m.state == ELECTOR_HELD ? 0 : ELECTOR_TELL_LOST);
		}
	}
	assert_int_equal(now, L * 65 / 100);
	assert_true(tries >= 3);
	assert_int_equal(elector_next_ms(&m), INT64_MAX);
}

static void a_lost_lease_is_told_with_its_nonce(void **state)
{
	struct elector m;

	UNUSED(state);
	holding(&m, 0);
	assert_int_equal(elector_tick(&m, L / 5), ELECTOR_RENEW);
	elector_sent(&m, L / 5);
	assert_int_equal(answer(&m, says(LEASE_LOST), L / 5), ELECTOR_TELL_LOST);
	assert_int_equal(m.state, ELECTOR_IDLE);
	assert_string_equal(m.token, "");
	assert_string_equal(m.nonce, NONCE_A);
	assert_string_equal(m.reason, "another token holds the lease");
	assert_int_equal(elector_tick(&m, 10 * L), 0);
}

static void link_down_ends_at_the_deadline_counted_from_the_send(void **state)
{
	struct elector m;

	UNUSED(state);
	trying(&m, 1000);
	assert_int_equal(answer(&m, held(NONCE_A), 1900), ELECTOR_TELL_HELD);
	assert_int_equal(elector_link(&m, false, 2000), 0);
	assert_int_equal(elector_tick(&m, 1000 + 6499), 0);
	assert_int_equal(elector_tick(&m, 1000 + 6500), ELECTOR_TELL_LOST);
	assert_int_equal(elector_link(&m, true, 8000), 0);

	holding(&m, 0);
	assert_int_equal(elector_link(&m, false, 100), 0);
	assert_int_equal(elector_link(&m, true, 200), ELECTOR_RENEW);
}

static void an_answer_that_came_too_late_is_no_lease(void **state)
{
	struct elector m;

	UNUSED(state);
	trying(&m, 1000);
	assert_int_equal(answer(&m, held(NONCE_A), 1000 + 6500), ELECTOR_TELL_LOST);
	assert_int_equal(m.state, ELECTOR_IDLE);
	assert_string_equal(m.token, "");
}

static void an_answer_to_an_older_nonce_is_none(void **state)
{
	const char *previous[] = { NONCE_A };
	struct elector m;

	UNUSED(state);
	holding(&m, 0);
	assert_int_equal(elector_tick(&m, 2000), ELECTOR_RENEW);
	elector_sent(&m, 2000);
	assert_int_equal(elector_stand(&m, NONCE_B, previous, 1, 2001), ELECTOR_ACQUIRE);
	elector_sent(&m, 2001);
	assert_int_equal(answer(&m, held(NONCE_A), 2002), 0);
	assert_int_equal(m.state, ELECTOR_TRYING);
	assert_int_equal(answer(&m, held(NONCE_B), 2003), ELECTOR_TELL_HELD);
	assert_string_equal(m.token, "1700000000001:" NONCE_B);
}

static void asking_names_the_earlier_nonces(void **state)
{
	const char *previous[] = { NONCE_B, NONCE_A };
	const char *out[LEASE_PREVIOUS_MAX];
	struct lease_ask ask;
	struct elector m;

	UNUSED(state);
	elector_init(&m, L);
	(void)elector_stand(&m, NONCE_A, previous, 2, 0);
	elector_ask(&m, 0, &ask, out);
	assert_string_equal(ask.nonce, NONCE_A);
	assert_int_equal(ask.ttl_ms, L);
	assert_int_equal(ask.previous_len, 2);
	assert_string_equal(ask.previous[0], NONCE_B);
	assert_string_equal(ask.break_token, "");
}

/* What the next question would break; "" nothing. */
static const char *breaks(const struct elector *m, int64_t now)
{
	const char *previous[LEASE_PREVIOUS_MAX];
	static struct lease_ask ask;

	elector_ask(m, now, &ask, previous);
	return ask.break_token;
}

static void a_lease_that_does_not_move_is_broken_by_compare(void **state)
{
	const int64_t patience = L + L / 100 + L / 5;
	struct elector m;

	UNUSED(state);
	trying(&m, 0);
	(void)answer(&m, busy(3, L), 0);
	(void)answer(&m, busy(3, L), 5000); /* the host's clock went back: still all of it */
	assert_string_equal(breaks(&m, patience), "");
	assert_string_equal(breaks(&m, patience + 1), "1700000000000:other");
	(void)answer(&m, busy(4, L), 9000); /* it was renewed: the patience begins again */
	assert_string_equal(breaks(&m, 9000 + patience), "");
	assert_string_equal(breaks(&m, 9000 + patience + 1), "1700000000000:other");
}

static void a_lease_beyond_its_own_ttl_is_looked_at_twice_then_broken(void **state)
{
	static const int64_t left[] = { L + 1, 1000000000, -1 };
	struct elector m;
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(left); i++) {
		trying(&m, 0);
		(void)answer(&m, busy(3, left[i]), 0);
		assert_string_equal(breaks(&m, 0), "");
		assert_int_equal(elector_next_ms(&m), L / 10);
		assert_int_equal(elector_tick(&m, L / 10), ELECTOR_ACQUIRE);
		assert_string_equal(breaks(&m, L / 10), "1700000000000:other");
	}
}

static void standing_back_gives_the_lease_back(void **state)
{
	struct elector m;

	UNUSED(state);
	holding(&m, 0);
	assert_int_equal(elector_stand_back(&m, 100), ELECTOR_RELEASE);
	elector_sent(&m, 100);
	assert_int_equal(answer(&m, says(LEASE_FREE), 110), ELECTOR_TELL_LOST);
	assert_int_equal(m.state, ELECTOR_IDLE);

	holding(&m, 0); /* no answer to the release: the TTL does it */
	assert_int_equal(elector_stand_back(&m, 100), ELECTOR_RELEASE);
	assert_int_equal(elector_tick(&m, 100 + L / 10), ELECTOR_TELL_LOST);

	holding(&m, 0); /* no link: the TTL does it */
	(void)elector_link(&m, false, 50);
	assert_int_equal(elector_stand_back(&m, 100), ELECTOR_TELL_LOST);
}

static void standing_back_does_not_try_again_before_the_next_stand(void **state)
{
	struct elector m;

	UNUSED(state);
	trying(&m, 0);
	(void)answer(&m, busy(3, 5000), 0);
	assert_int_equal(elector_stand_back(&m, 100), ELECTOR_TELL_LOST);
	assert_int_equal(m.state, ELECTOR_IDLE);
	assert_int_equal(elector_wake(&m, 0, 200), 0);
	assert_int_equal(elector_tick(&m, 10 * L), 0);
	assert_int_equal(elector_next_ms(&m), INT64_MAX);
}

/* The question is on its way: what it wins must not lie around for a whole TTL. */
static void standing_back_releases_what_a_question_on_its_way_wins(void **state)
{
	struct elector m;

	UNUSED(state);
	trying(&m, 0);
	assert_int_equal(elector_stand_back(&m, 10), 0);
	assert_int_equal(m.state, ELECTOR_LEAVING);
	assert_int_equal(answer(&m, held(NONCE_A), 20), ELECTOR_RELEASE);
	assert_string_equal(m.token, "1700000000001:" NONCE_A);
	elector_sent(&m, 20);
	assert_int_equal(answer(&m, says(LEASE_FREE), 30), ELECTOR_TELL_LOST);

	trying(&m, 0);
	assert_int_equal(elector_stand_back(&m, 10), 0);
	assert_int_equal(answer(&m, busy(1, 5000), 20), ELECTOR_TELL_LOST);

	trying(&m, 0);
	assert_int_equal(elector_stand_back(&m, 10), 0);
	assert_int_equal(elector_tick(&m, 10 + L / 10), ELECTOR_TELL_LOST);
}

static void an_unfit_fetcher_stands_back_twice_as_long_each_time(void **state)
{
	struct elector m;
	int64_t now = 0;
	int64_t want = L;
	unsigned i;

	UNUSED(state);
	holding(&m, now);
	for (i = 0; i < 9; i++) {
		assert_int_equal(elector_fitness(&m, false, now), ELECTOR_RELEASE);
		assert_int_equal(answer(&m, says(LEASE_FREE), now), ELECTOR_TELL_LOST);
		assert_int_equal(elector_stand(&m, NONCE_A, NULL, 0, now), 0);
		assert_int_equal(elector_next_ms(&m), now + L);
		if (want > L) { /* the look after a TTL finds that somebody took it */
			assert_int_equal(elector_tick(&m, now + L), ELECTOR_ACQUIRE);
			elector_sent(&m, now + L);
			assert_int_equal(answer(&m, busy(1, L / 2), now + L), 0);
			assert_int_equal(elector_next_ms(&m), now + want);
		}
		assert_int_equal(elector_wake(&m, 0, now + want - 1), 0);
		assert_int_equal(elector_tick(&m, now + want - 1), 0);
		now += want;
		assert_int_equal(elector_tick(&m, now), ELECTOR_ACQUIRE);
		elector_sent(&m, now);
		assert_int_equal(answer(&m, held(NONCE_A), now), ELECTOR_TELL_HELD);
		want = MIN(2 * want, ELECTOR_STAND_BACK_MAX_MS);
	}
}

static void a_lease_that_nobody_took_is_taken_again_after_a_ttl(void **state)
{
	struct elector m;
	int64_t now = 0;
	unsigned i;

	UNUSED(state);
	holding(&m, now);
	for (i = 0; i < 5; i++) {
		assert_int_equal(elector_fitness(&m, false, now), ELECTOR_RELEASE);
		assert_int_equal(answer(&m, says(LEASE_FREE), now), ELECTOR_TELL_LOST);
		(void)elector_stand(&m, NONCE_A, NULL, 0, now);
		now += L;
		assert_int_equal(elector_tick(&m, now), ELECTOR_ACQUIRE);
		elector_sent(&m, now);
		assert_int_equal(answer(&m, held(NONCE_A), now), ELECTOR_TELL_HELD);
	}
}

static unsigned look(struct elector *m, enum lease_answer a, int64_t now)
{
	const char *previous[LEASE_PREVIOUS_MAX];
	struct lease_ask ask;

	assert_int_equal(elector_tick(m, now), ELECTOR_ACQUIRE);
	elector_ask(m, now, &ask, previous);
	assert_int_equal(ask.ttl_ms, 0);
	elector_sent(m, now);
	return answer(m, a == LEASE_FREE ? says(LEASE_FREE) : busy(1, L / 2), now);
}

/* Who cannot reach the source lets others go first. */
static void without_a_source_it_stands_when_the_lease_was_free_for_two_ttls(void **state)
{
	const char *previous[LEASE_PREVIOUS_MAX];
	struct lease_ask ask;
	struct elector m;
	int64_t now = 0;

	UNUSED(state);
	elector_init(&m, L);
	assert_int_equal(elector_ready(&m, false, now), 0);
	(void)elector_link(&m, true, now);
	(void)elector_stand(&m, NONCE_A, NULL, 0, now);
	assert_int_equal(look(&m, LEASE_FREE, 1), 0);
	assert_int_equal(look(&m, LEASE_BUSY, L), 0); /* somebody took it: from the beginning */
	now = elector_next_ms(&m);
	assert_true(now > L + L / 2);
	assert_int_equal(look(&m, LEASE_FREE, now), 0);
	while (elector_next_ms(&m) < now + 2 * L)
		assert_int_equal(look(&m, LEASE_FREE, elector_next_ms(&m)), 0);
	assert_int_equal(elector_next_ms(&m), now + 2 * L);
	assert_int_equal(elector_tick(&m, now + 2 * L), ELECTOR_ACQUIRE);
	elector_ask(&m, now + 2 * L, &ask, previous);
	assert_int_equal(ask.ttl_ms, L);
}

static void a_source_that_is_reached_ends_the_wait(void **state)
{
	const char *previous[LEASE_PREVIOUS_MAX];
	struct lease_ask ask;
	struct elector m;

	UNUSED(state);
	elector_init(&m, L);
	assert_int_equal(elector_ready(&m, false, 0), 0);
	(void)elector_link(&m, true, 0);
	(void)elector_stand(&m, NONCE_A, NULL, 0, 0);
	assert_int_equal(look(&m, LEASE_FREE, 1), 0);
	assert_int_equal(elector_ready(&m, true, 2), ELECTOR_ACQUIRE);
	elector_ask(&m, 2, &ask, previous);
	assert_int_equal(ask.ttl_ms, L);
	elector_sent(&m, 2);
	assert_int_equal(answer(&m, held(NONCE_A), 2), ELECTOR_TELL_HELD);
	assert_int_equal(elector_ready(&m, false, 3), 0); /* that is for its fitness */
	assert_int_equal(m.state, ELECTOR_HELD);
}

static void a_healthy_time_forgets_the_standing_back(void **state)
{
	struct elector m;
	int64_t now = L;

	UNUSED(state);
	holding(&m, 0);
	assert_int_equal(elector_fitness(&m, false, 0), ELECTOR_RELEASE);
	assert_int_equal(answer(&m, says(LEASE_FREE), 0), ELECTOR_TELL_LOST);
	(void)elector_stand(&m, NONCE_A, NULL, 0, 0);
	assert_int_equal(elector_tick(&m, now), ELECTOR_ACQUIRE);
	elector_sent(&m, now);
	assert_int_equal(answer(&m, held(NONCE_A), now), ELECTOR_TELL_HELD);
	while (now < 3 * L) {
		now += L / 5;
		renew(&m, now);
	}
	assert_int_equal(elector_fitness(&m, false, now), ELECTOR_RELEASE);
	assert_int_equal(m.back_until_ms, now + L);
}

static void a_supervisor_that_says_nothing_is_no_confirmation(void **state)
{
	struct elector m;
	int64_t now;

	UNUSED(state);
	holding(&m, 0);
	for (now = L / 5; now <= L; now += L / 5) {
		assert_int_equal(elector_tick(&m, now), ELECTOR_RENEW);
		elector_sent(&m, now);
		assert_int_equal(answer(&m, held(NONCE_A), now), ELECTOR_TELL_HELD);
	}
	assert_int_equal(elector_next_ms(&m), L + 1);
	assert_int_equal(elector_tick(&m, L + 1), ELECTOR_RELEASE);
	assert_int_equal(m.state, ELECTOR_LEAVING);
}

static void a_java_primary_bars_from_standing(void **state)
{
	struct elector m;

	(void)state;
	elector_init(&m, L);
	assert_int_equal(elector_bar(&m, true, 0), 0);
	assert_int_equal(elector_link(&m, true, 0), 0);
	assert_int_equal(elector_stand(&m, NONCE_A, NULL, 0, 0), 0);
	assert_int_equal(elector_wake(&m, 0, 5), 0);
	assert_int_equal(elector_tick(&m, elector_next_ms(&m)), 0);
	assert_true(elector_next_ms(&m) > 0 && elector_next_ms(&m) < INT64_MAX);
	assert_int_equal(elector_link(&m, true, 50), 0);
	assert_int_equal(elector_bar(&m, false, 100), ELECTOR_ACQUIRE);
}

static void a_java_primary_takes_the_lease_from_nobody_but_is_given_way(void **state)
{
	struct elector m;

	(void)state;
	holding(&m, 0);
	assert_int_equal(elector_bar(&m, true, 100), ELECTOR_RELEASE);
	elector_sent(&m, 100);
	assert_int_equal(answer(&m, says(LEASE_FREE), 110), ELECTOR_TELL_LOST);
	/* One that was asked for before it was seen is given back. */
	trying(&m, 200);
	assert_int_equal(elector_bar(&m, true, 205), 0);
	assert_int_equal(answer(&m, held(NONCE_A), 210), ELECTOR_RELEASE);
}

static void every_ttl_keeps_its_rules(void **state)
{
	struct err e = { 0 };
	int64_t ttl;

	UNUSED(state);
	for (ttl = TIMING_TTL_MIN_MS; ttl <= TIMING_TTL_MAX_MS; ttl += ttl < 20000 ? 1 : 37) {
		struct elector m;

		elector_init(&m, ttl);
		if (timing_check(&m.t, ttl, &e) < 0)
			fail_msg("L %d: %s", (int)ttl, e.text);
		(void)elector_link(&m, true, 0);
		(void)elector_stand(&m, NONCE_A, NULL, 0, 0);
		elector_sent(&m, 0);
		assert_int_equal(answer(&m, held(NONCE_A), m.t.command_ms), ELECTOR_TELL_HELD);
		assert_int_equal(elector_next_ms(&m), m.t.renew_ms);
		assert_int_equal(elector_tick(&m, m.t.renew_ms), ELECTOR_RENEW);
		elector_sent(&m, m.t.renew_ms);
		while (m.state == ELECTOR_HELD) { /* no answer, ever */
			int64_t next = elector_next_ms(&m);

			assert_true(next <= m.t.deadline_ms);
			(void)elector_tick(&m, next);
		}
		assert_true(m.t.kill_ms > m.t.deadline_ms && m.t.kill_ms < ttl);
	}
}

static void every_state_has_a_name(void **state)
{
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ELECTOR__COUNT; i++)
		assert_true(strlen(elector_state_name((enum elector_state)i)) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acquire_counts_validity_from_the_send),
		cmocka_unit_test(nothing_is_asked_without_a_nonce_or_a_link),
		cmocka_unit_test(busy_is_tried_again_exactly_at_expiry),
		cmocka_unit_test(wake_up_asks_within_the_jitter),
		cmocka_unit_test(wake_up_while_asking_is_not_forgotten),
		cmocka_unit_test(renewals_come_every_fifth_of_the_ttl),
		cmocka_unit_test(unknown_outcome_is_asked_again),
		cmocka_unit_test(a_failed_renewal_is_tried_again_until_the_deadline),
		cmocka_unit_test(a_lost_lease_is_told_with_its_nonce),
		cmocka_unit_test(link_down_ends_at_the_deadline_counted_from_the_send),
		cmocka_unit_test(an_answer_that_came_too_late_is_no_lease),
		cmocka_unit_test(an_answer_to_an_older_nonce_is_none),
		cmocka_unit_test(asking_names_the_earlier_nonces),
		cmocka_unit_test(a_lease_that_does_not_move_is_broken_by_compare),
		cmocka_unit_test(a_lease_beyond_its_own_ttl_is_looked_at_twice_then_broken),
		cmocka_unit_test(standing_back_gives_the_lease_back),
		cmocka_unit_test(standing_back_does_not_try_again_before_the_next_stand),
		cmocka_unit_test(standing_back_releases_what_a_question_on_its_way_wins),
		cmocka_unit_test(an_unfit_fetcher_stands_back_twice_as_long_each_time),
		cmocka_unit_test(a_lease_that_nobody_took_is_taken_again_after_a_ttl),
		cmocka_unit_test(without_a_source_it_stands_when_the_lease_was_free_for_two_ttls),
		cmocka_unit_test(a_source_that_is_reached_ends_the_wait),
		cmocka_unit_test(a_healthy_time_forgets_the_standing_back),
		cmocka_unit_test(a_supervisor_that_says_nothing_is_no_confirmation),
		cmocka_unit_test(a_java_primary_bars_from_standing),
		cmocka_unit_test(a_java_primary_takes_the_lease_from_nobody_but_is_given_way),
		cmocka_unit_test(every_ttl_keeps_its_rules),
		cmocka_unit_test(every_state_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
