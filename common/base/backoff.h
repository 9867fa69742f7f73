/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff - how long to wait before the next try.
 *
 * Doubles from `min_ms` to `max_ms`; a jitter of up to a quarter is taken off, so
 * that many nodes do not come back at once.
 *
 * Owns: nothing. Blocks: never; pure but for the caller's random number. Errors: none.
 */
#pragma once

#include <stdint.h>

struct backoff {
	int64_t min_ms;
	int64_t max_ms;
	unsigned tries; /* 0: the next wait is min_ms */
};

/* The wait before the next try; counts it. `random` is any number. */
int64_t backoff_next_ms(struct backoff *b, uint32_t random);
void backoff_reset(struct backoff *b);
