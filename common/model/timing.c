/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/timing.h"

#include <inttypes.h>
#include <stdbool.h>

/* A reply was sent, arrived and was read in time only if this much is left. */
#define SLACK_MS 50

void timing_from_ttl(int64_t ttl_ms, struct timing *t)
{
	t->renew_ms = ttl_ms / 5;
	t->command_ms = ttl_ms / 10;
	t->retry_ms = ttl_ms / 5;
	t->deadline_ms = ttl_ms * 65 / 100;
	t->kill_ms = ttl_ms * 70 / 100;
	t->clock_step_ms = ttl_ms / 10;
}

/*
 * The right side of (a): what is left of the TTL when the host's clock stepped by J
 * and two clocks drift apart by 1 % each, hence 99 / 101.
 */
static int64_t latest_safe_ms(const struct timing *t, int64_t ttl_ms)
{
	return (ttl_ms - t->clock_step_ms) * 99 / 101 - SLACK_MS - t->command_ms;
}

int timing_check(const struct timing *t, int64_t ttl_ms, struct err *e)
{
	int64_t safe_ms = latest_safe_ms(t, ttl_ms);
	const struct {
		bool holds;
		const char *rule;
	} rules[] = {
		{ ttl_ms >= TIMING_TTL_MIN_MS && ttl_ms <= TIMING_TTL_MAX_MS, "the TTL's range" },
		{ t->renew_ms > 0 && t->command_ms > 0 && t->retry_ms > 0, "all times positive" },
		{ t->deadline_ms <= safe_ms, "(a) D <= (L-J)(1-rho)/(1+rho) - eps - Tc" },
		{ 10 * (t->deadline_ms - t->command_ms) > 12 * t->renew_ms, "(b) D > 1.2 P + Tc" },
		{ t->renew_ms + 2 * t->retry_ms <= ttl_ms, "(c) P + 2 Tr <= L" },
		{ 2 * ttl_ms >= 3 * t->deadline_ms, "(d) L / D >= 1.5" },
		{ t->kill_ms > t->deadline_ms && t->kill_ms <= safe_ms,
		  "(e) D < W <= bound of (a)" },
		{ 3 * t->command_ms < t->deadline_ms, "(f) Tc < D / 3" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(rules); i++) {
		if (rules[i].holds)
			continue;
		return err_set(e, ERR_CONFIG,
			       "%s does not hold with L %" PRId64 ", P %" PRId64 ", Tc %" PRId64
			       ", Tr %" PRId64 ", D %" PRId64 ", W %" PRId64 ", J %" PRId64 " ms",
			       rules[i].rule, ttl_ms, t->renew_ms, t->command_ms, t->retry_ms,
			       t->deadline_ms, t->kill_ms, t->clock_step_ms);
	}
	return 0;
}
