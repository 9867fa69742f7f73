/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/guard.h"

#include "common/base/cdefs.h"

enum guard_verdict guard_judge(size_t live, size_t gone, unsigned passes, bool accepted)
{
	if (gone == 0 || accepted)
		return GUARD_GO;
	if (gone >= live && live > GUARD_FREE)
		return GUARD_PERSON;
	if (gone > MAX((size_t)GUARD_FREE, live * GUARD_PERCENT / 100) && passes < 2)
		return GUARD_AGAIN;
	return GUARD_GO;
}

bool guard_agrees(int64_t ended_ms, int64_t began_ms)
{
	return began_ms - ended_ms >= GUARD_AGREE_MS;
}
