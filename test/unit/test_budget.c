/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "workers/cache/budget.h"
#include "workers/cache/http/http.h"
#include "workers/cache/serve/serve.h"

static void all_clients_have_room_beside_what_the_daemon_needs(void **state)
{
	uint64_t enough = SERVE_CLIENTS_MAX + HTTP_CLIENTS_MAX + BUDGET_OWN_FDS;
	struct budget b = budget_of(enough, true);

	UNUSED(state);
	assert_int_equal(b.clients, SERVE_CLIENTS_MAX);
	assert_int_equal(b.http, HTTP_CLIENTS_MAX);
	assert_false(b.is_small);
	assert_true(budget_of(enough - 1, true).is_small);
	assert_false(budget_of(UINT64_MAX, true).is_small); /* RLIM_INFINITY */
	b = budget_of(enough - HTTP_CLIENTS_MAX, false);
	assert_int_equal(b.clients, SERVE_CLIENTS_MAX);
	assert_int_equal(b.http, 0);
	assert_false(b.is_small);
}

static void whatever_the_limit_what_the_daemon_needs_is_left(void **state)
{
	uint64_t limit;

	UNUSED(state);
	for (limit = BUDGET_OWN_FDS + 2; limit < 3000; limit++) {
		struct budget b = budget_of(limit, true);

		assert_true(b.clients >= 1 && b.http >= 1);
		assert_true(b.clients + b.http + BUDGET_OWN_FDS <= limit);
		assert_true(b.clients >= b.http || limit < BUDGET_OWN_FDS + 3);
	}
	assert_int_equal(budget_of(0, true).clients, 1); /* hopeless, but somebody may ask why */
	assert_int_equal(budget_of(0, true).http, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_clients_have_room_beside_what_the_daemon_needs),
		cmocka_unit_test(whatever_the_limit_what_the_daemon_needs_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
