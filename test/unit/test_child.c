/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/base/cdefs.h"
#include "supervisor/child_step.h"

struct cell {
	enum child_state s;
	enum child_event ev;
	enum child_act act;
};

/* Written down once more, cell by cell, with the reason: the table must agree. */
static const struct cell cells[] = {
	{ CHILD_DOWN, ON_WANT_UP, ACT_SPAWN },
	{ CHILD_DOWN, ON_WANT_DOWN, ACT_NONE },
	/* Nothing runs and no timer does: whoever says so is wrong. */
	{ CHILD_DOWN, ON_READY, ACT_BUG },
	{ CHILD_DOWN, ON_GONE, ACT_BUG },
	{ CHILD_DOWN, ON_TIMEOUT, ACT_BUG },
	{ CHILD_DOWN, ON_GIVE_UP, ACT_BUG },
	{ CHILD_STARTING, ON_WANT_UP, ACT_NONE },
	{ CHILD_STARTING, ON_WANT_DOWN, ACT_TERM },
	{ CHILD_STARTING, ON_READY, ACT_UP },
	{ CHILD_STARTING, ON_GONE, ACT_BACKOFF },
	{ CHILD_STARTING, ON_TIMEOUT, ACT_KILL }, /* READY within 30 s */
	{ CHILD_STARTING, ON_GIVE_UP, ACT_DOWN },
	{ CHILD_UP, ON_WANT_UP, ACT_NONE },
	{ CHILD_UP, ON_WANT_DOWN, ACT_TERM },
	{ CHILD_UP, ON_READY, ACT_NONE }, /* said twice: harmless */
	{ CHILD_UP, ON_GONE, ACT_BACKOFF },
	{ CHILD_UP, ON_TIMEOUT, ACT_KILL }, /* missed its pings, or closed its channel */
	{ CHILD_UP, ON_GIVE_UP, ACT_DOWN },
	{ CHILD_STOPPING, ON_WANT_UP, ACT_NONE }, /* the wish is kept: settle honours it */
	{ CHILD_STOPPING, ON_WANT_DOWN, ACT_NONE },
	{ CHILD_STOPPING, ON_READY, ACT_NONE }, /* was on its way */
	{ CHILD_STOPPING, ON_GONE, ACT_SETTLE },
	{ CHILD_STOPPING, ON_TIMEOUT, ACT_KILL },
	{ CHILD_STOPPING, ON_GIVE_UP, ACT_DOWN },
	{ CHILD_BACKOFF, ON_WANT_UP, ACT_NONE }, /* the timer starts it */
	{ CHILD_BACKOFF, ON_WANT_DOWN, ACT_DOWN },
	{ CHILD_BACKOFF, ON_READY, ACT_BUG },
	{ CHILD_BACKOFF, ON_GONE, ACT_BUG },
	{ CHILD_BACKOFF, ON_TIMEOUT, ACT_SPAWN },
	{ CHILD_BACKOFF, ON_GIVE_UP, ACT_BUG },
};

static void every_cell_of_the_table_is_as_written_here(void **state)
{
	size_t i;

	UNUSED(state);
	assert_int_equal(ARRAY_LEN(cells), CHILD__COUNT * ON__COUNT);
	for (i = 0; i < ARRAY_LEN(cells); i++) {
		assert_int_equal(cells[i].s, i / ON__COUNT); /* each one, once */
		assert_int_equal(cells[i].ev, i % ON__COUNT);
		if (child_step(cells[i].s, cells[i].ev) != cells[i].act)
			fail_msg("cell %s, event %u", child_state_name(cells[i].s), cells[i].ev);
	}
}

static void every_state_has_its_own_name(void **state)
{
	unsigned i;
	unsigned j;

	UNUSED(state);
	for (i = 0; i < CHILD__COUNT; i++)
		for (j = 0; j < i; j++)
			assert_string_not_equal(child_state_name((enum child_state)i),
						child_state_name((enum child_state)j));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_of_the_table_is_as_written_here),
		cmocka_unit_test(every_state_has_its_own_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
