/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cdefs.h"
#include "common/base/digest.h"

bool guard_is_few(size_t live, size_t gone, size_t free, unsigned percent)
{
	return gone <= MAX(free, live * percent / 100);
}

enum guard_verdict guard_judge(const struct guard_rules *r, const struct guard_case *c)
{
	size_t lately = c->gone + c->went;

	if (c->gone == 0 || r->off)
		return GUARD_GO;
	if (c->doubted)
		return GUARD_PERSON;
	if (lately >= r->hold_free && lately * 100 > (c->live + c->went) * r->hold_percent)
		return GUARD_PERSON;
	if (!guard_is_few(c->live, c->fresh, r->free, r->percent))
		return GUARD_AGAIN;
	return GUARD_GO;
}

bool guard_agrees(const struct guard_rules *r, int64_t ended_ms, int64_t began_ms)
{
	return began_ms - ended_ms >= (int64_t)r->agree_ms;
}

void guard_set_add(struct guard_set *s, const char *name)
{
	s->count++;
	s->digest += hash_u64(name, strlen(name), 0);
}

bool guard_set_equal(const struct guard_set *a, const struct guard_set *b)
{
	return a->count == b->count && a->digest == b->digest;
}

void guard_set_text(const struct guard_set *s, char out[GUARD_SET_BYTES])
{
	(void)snprintf(out, GUARD_SET_BYTES, "%" PRIu64 "-%016" PRIx64, s->count, s->digest);
}
