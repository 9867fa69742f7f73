/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/backoff.h"

#include "common/base/cdefs.h"

int64_t backoff_next_ms(struct backoff *b, uint32_t random)
{
	int64_t ms = b->min_ms;
	unsigned i;

	CHECK(b->min_ms > 0 && b->max_ms >= b->min_ms);
	for (i = 0; i < b->tries && ms < b->max_ms; i++)
		ms *= 2;
	ms = MIN(ms, b->max_ms);
	b->tries++;
	return ms - (int64_t)(random % (uint32_t)(ms / 4 + 1));
}

void backoff_reset(struct backoff *b)
{
	b->tries = 0;
}
