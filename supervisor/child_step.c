/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/child_step.h"

#include "common/base/cdefs.h"

/* clang-format off */
static const enum child_act steps[CHILD__COUNT][ON__COUNT] = {
	/*                   WANT_UP    WANT_DOWN   READY     GONE         TIMEOUT    GIVE_UP */
	[CHILD_DOWN]     = { ACT_SPAWN, ACT_NONE,   ACT_BUG,  ACT_BUG,     ACT_BUG,   ACT_BUG  },
	[CHILD_STARTING] = { ACT_NONE,  ACT_TERM,   ACT_UP,   ACT_BACKOFF, ACT_KILL,  ACT_DOWN },
	[CHILD_UP]       = { ACT_NONE,  ACT_TERM,   ACT_NONE, ACT_BACKOFF, ACT_KILL,  ACT_DOWN },
	[CHILD_STOPPING] = { ACT_NONE,  ACT_NONE,   ACT_NONE, ACT_SETTLE,  ACT_KILL,  ACT_DOWN },
	[CHILD_BACKOFF]  = { ACT_NONE,  ACT_DOWN,   ACT_BUG,  ACT_BUG,     ACT_SPAWN, ACT_BUG  },
};
/* clang-format on */

const char *child_state_name(enum child_state s)
{
	static const char *const names[CHILD__COUNT] = { "down", "starting", "up", "stopping",
							 "backoff" };

	CHECK(s < CHILD__COUNT);
	return names[s];
}

enum child_act child_step(enum child_state s, enum child_event ev)
{
	CHECK(s < CHILD__COUNT && ev < ON__COUNT);
	return steps[s][ev];
}
