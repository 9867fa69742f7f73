/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timing - every time of the lease, derived from its TTL L.
 *
 * The shares are those of zone-protocol 2; the inequalities that make them safe are
 * (a) to (f) of zone-protocol 2. The supervisor refuses a TTL that breaks one, and the
 * elector derives its timers from the same function, so the two cannot differ.
 *
 * Owns: nothing. Blocks: never; pure. Errors: ERR_CONFIG from timing_check().
 */
#pragma once

#include <stdint.h>

#include "common/base/err.h"

#define TIMING_TTL_MIN_MS 1000
#define TIMING_TTL_MAX_MS 300000

struct timing {
	int64_t renew_ms;      /* P: from one renewal to the next */
	int64_t command_ms;    /* Tc: limit of one command of the elector */
	int64_t retry_ms;      /* Tr: how long a failed renewal is tried again */
	int64_t deadline_ms;   /* D: own deadline, counted from the send of the last good renewal */
	int64_t kill_ms;       /* W: the supervisor kills the fetcher, counted from the same send */
	int64_t clock_step_ms; /* J: tolerated forward step of the clock of Redis' host */
};

void timing_from_ttl(int64_t ttl_ms, struct timing *t);

/* 0, or ERR_CONFIG with the inequality that does not hold, with its numbers. */
int timing_check(const struct timing *t, int64_t ttl_ms, struct err *e) MUST_USE;
