/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "workers/cache/http/http_route.h"

static void paths_lead_to_their_answers(void **state)
{
	static const struct {
		const char *path;
		enum http_path what;
		const char *id;
	} rows[] = {
		{ "/_node", HTTP_NODE, "" },
		{ "/_node/", HTTP_NODE, "" },
		{ "/_node/health", HTTP_HEALTH, "" },
		{ "/_node/health/", HTTP_HEALTH, "" },
		{ "/_node/sync", HTTP_SYNC, "" },
		{ "/_node/apis", HTTP_APIS, "" },
		{ "/_node/apis/", HTTP_APIS, "" },
		{ "/_node/apis/a", HTTP_API, "a" },
		{ "/_node/apis/a/", HTTP_API, "a" },
		{ "/_node/apis/%61%2F%2f%25", HTTP_API, "a//%" },
		{ "/_node/apis/%C3%BC", HTTP_API, "\xc3\xbc" },
		{ "/_node/apis//", HTTP_API, "" },
		{ "/_node/apis/a/b", HTTP_UNKNOWN, "" },
		{ "/_node/apis/a//", HTTP_UNKNOWN, "" },
		{ "", HTTP_UNKNOWN, "" },
		{ "/", HTTP_UNKNOWN, "" },
		{ "//", HTTP_UNKNOWN, "" },
		{ "/_nodes", HTTP_UNKNOWN, "" },
		{ "/_node/healthy", HTTP_UNKNOWN, "" },
		{ "/_NODE/health", HTTP_UNKNOWN, "" },
		{ "/_node/%68ealth", HTTP_UNKNOWN, "" },
		{ "/_node/apis/%", HTTP_BAD, NULL },
		{ "/_node/apis/%4", HTTP_BAD, NULL },
		{ "/_node/apis/a%4g", HTTP_BAD, NULL },
		{ "/_node/apis/a%00b", HTTP_BAD, NULL },
		{ "/_node/apis/%ff", HTTP_BAD, NULL },
		{ "/_node/apis/%C3", HTTP_BAD, NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf id = { 0 };

		if (http_route(rows[i].path, &id) != rows[i].what)
			fail_msg("%s", rows[i].path);
		if (rows[i].id != NULL)
			assert_string_equal(buf_cstr(&id), rows[i].id);
		buf_reset(&id);
	}
}

static void decoding_reads_no_further_than_told(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_true(http_decode("a%41b", 4, &b));
	assert_string_equal(buf_cstr(&b), "aA");
	assert_false(http_decode("%41", 2, &b));
	assert_false(http_decode("a\0b", 3, &b));
	buf_reset(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_lead_to_their_answers),
		cmocka_unit_test(decoding_reads_no_further_than_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
