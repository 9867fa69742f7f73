/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/redis/sentinel.h"

static void an_address_has_a_host_and_a_port(void **state)
{
	static const struct {
		const char *text;
		const char *host;
		uint16_t port;
	} rows[] = {
		{ "a:1", "a", 1 },
		{ "[::1]:26379", "::1", 26379 },
		{ "::1:65535", "::1", 65535 },
		{ "a.example.org:26379", "a.example.org", 26379 },
	};
	char host[SENTINEL_HOST_BYTES];
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		uint16_t port = 0;

		assert_true(sentinel_parse(rows[i].text, host, &port));
		assert_string_equal(host, rows[i].host);
		assert_int_equal(port, rows[i].port);
	}
}

static void anything_else_is_none(void **state)
{
	static const char *const rows[] = {
		"",	   "a",	   ":1",  "a:",	  "a:0",
		"a:65536", "[]:1", "a:b", "a:-1", "a:18446744073709551617"
	};
	char host[SENTINEL_HOST_BYTES];
	char *longest = mem_alloc(SENTINEL_HOST_BYTES + 8);
	uint16_t port = 0;
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		assert_false(sentinel_parse(rows[i], host, &port));
	memset(longest, 'a', SENTINEL_HOST_BYTES);
	memcpy(longest + SENTINEL_HOST_BYTES, ":1", 3);
	assert_false(sentinel_parse(longest, host, &port));
	assert_true(sentinel_parse(longest + 1, host, &port));
	mem_free(longest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_has_a_host_and_a_port),
		cmocka_unit_test(anything_else_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
