/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection string and its stores lead to, without a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "workers/fetcher/source/mongo/mongo_client.h"

static char *lend(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void a_string_that_is_none_is_told_without_its_password(void **state)
{
	static const char *const rows[] = {
		"mongodb://user:hunter2:x@h/",	  "mongodb://user:hunter2/x@h/",
		"mongodb://user:hunter2%zz@h/",	  "mongodb://user:hunter2@h:99999/",
		"mongodb://user:hunter2@@h:1:2/", "mongodb+srv://user:hunter2@h:1/",
		"mongodb://:hunter2@h/",	  "mongodb://us:er:hunter2@h/?tls=maybe",
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct mongo_client c;
		struct err e = { 0 };
		Ipc__Mongo m;

		ipc__mongo__init(&m);
		m.uri = lend(rows[i]);
		assert_int_equal(mongo_client_init(&c, &m, &e), ERR_CONFIG);
		if (strstr(e.text, "hunter2") != NULL || strstr(e.text, "mongodb") == NULL)
			fail_msg("%s: %s", rows[i], e.text);
	}
}

static size_t count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

static void an_option_is_told_by_its_name(void **state)
{
	struct mongo_client c;
	struct err e = { 0 };
	Ipc__Mongo m;

	UNUSED(state);
	ipc__mongo__init(&m);
	m.uri = lend("mongodb://h/?tls=maybe");
	assert_int_equal(mongo_client_init(&c, &m, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "management.mongodb.uri: "));
	assert_non_null(strstr(e.text, "value for \"tls\": \"maybe\""));
}

/* Its servers are looked up when it is opened: a name service that is down is passing. */
static void attempts_that_fail_leave_nothing_open(void **state)
{
	struct mongo_client c;
	struct err e = { 0 };
	Ipc__TlsStore store;
	Ipc__Mongo m;
	Ipc__Tls tls;
	size_t before;
	unsigned i;

	UNUSED(state);
	ipc__mongo__init(&m);
	ipc__tls__init(&tls);
	ipc__tls_store__init(&store);
	store.path = lend(PKI_DIR "/ca.pem");
	tls.truststore = &store;
	m.uri = lend("mongodb+srv://cluster.zonesync.invalid/");
	m.tls = &tls;
	assert_int_equal(mongo_client_init(&c, &m, &e), 0);
	before = count_fds();
	for (i = 0; i < 3; i++) {
		assert_int_equal(mongo_client_open(&c, "test", &e), ERR_TIMEOUT);
		assert_non_null(strstr(e.text, "cluster.zonesync.invalid"));
		assert_int_equal(count_fds(), before);
	}
	mongo_client_reset(&c);
}

static int make_pki(void **state)
{
	UNUSED(state);
	/* The machine that tests may have no name service. */
	if (setenv("RES_OPTIONS", "timeout:1 attempts:1", 1) < 0)
		return -1;
	return system(SOURCE_ROOT "/test/pki " PKI_DIR);
}

static int clean_up(void **state)
{
	UNUSED(state);
	mongo_client_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_string_that_is_none_is_told_without_its_password),
		cmocka_unit_test(an_option_is_told_by_its_name),
		cmocka_unit_test(attempts_that_fail_leave_nothing_open),
	};

	return cmocka_run_group_tests(tests, make_pki, clean_up);
}
