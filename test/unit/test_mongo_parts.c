/* SPDX-License-Identifier: Apache-2.0 */
/* A database that is configured in parts, without a connection string: what the driver is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <mongoc/mongoc.h>
#include <string.h>

#include "workers/fetcher/source/mongo/mongo_client.h"

static char *lend(const char *s)
{
	return (char *)(uintptr_t)s;
}

static struct mongo_client client;
static char *one_host[] = { (char[]){ "h:1" } };

/* Of one host. */
static void one(Ipc__Mongo *m)
{
	ipc__mongo__init(m);
	m->hosts = one_host;
	m->n_hosts = 1;
}

static const mongoc_uri_t *uri_of(const Ipc__Mongo *m)
{
	struct err e = { 0 };

	if (mongo_client_init(&client, m, &e) < 0)
		fail_msg("refused: %s", e.text);
	return client.uri;
}

static void all_hosts_are_told_in_their_order(void **state)
{
	char *hosts[] = { lend("a.test:27017"), lend("b.test:27018"), lend("[::1]:27019") };
	const mongoc_host_list_t *h;
	Ipc__Mongo m;

	UNUSED(state);
	ipc__mongo__init(&m);
	m.hosts = hosts;
	m.n_hosts = 3;
	m.database = lend("gravitee");
	h = mongoc_uri_get_hosts(uri_of(&m));
	assert_string_equal(h->host, "a.test");
	assert_int_equal(h->port, 27017);
	h = h->next;
	assert_string_equal(h->host, "b.test");
	assert_int_equal(h->port, 27018);
	h = h->next;
	assert_string_equal(h->host, "::1");
	assert_int_equal(h->port, 27019);
	assert_null(h->next);
	assert_string_equal(mongoc_uri_get_database(client.uri), "gravitee");
	assert_null(mongoc_uri_get_username(client.uri));
	mongo_client_reset(&client);
}

/* What would end a part of a connection string is a character of a password like any other. */
static void a_password_may_have_any_character(void **state)
{
	static const char *const passwords[] = { "p@ss:w/rd?a=b&c#d%41", "\xc3\xbc", "" };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(passwords); i++) {
		Ipc__Mongo m;

		one(&m);
		m.username = lend("us:er@x");
		m.password = lend(passwords[i]);
		m.auth_source = lend("admin");
		m.database = lend("gravitee");
		(void)uri_of(&m);
		assert_string_equal(mongoc_uri_get_username(client.uri), "us:er@x");
		assert_string_equal(mongoc_uri_get_password(client.uri), passwords[i]);
		assert_string_equal(mongoc_uri_get_auth_source(client.uri), "admin");
		assert_string_equal(mongoc_uri_get_hosts(client.uri)->host, "h");
		mongo_client_reset(&client);
	}
}

static void each_read_preference_is_the_drivers(void **state)
{
	static const struct {
		const char *name;
		mongoc_read_mode_t mode;
	} rows[] = {
		{ "", MONGOC_READ_PRIMARY },
		{ "primary", MONGOC_READ_PRIMARY },
		{ "primaryPreferred", MONGOC_READ_PRIMARY_PREFERRED },
		{ "secondary", MONGOC_READ_SECONDARY },
		{ "secondaryPreferred", MONGOC_READ_SECONDARY_PREFERRED },
		{ "nearest", MONGOC_READ_NEAREST },
		{ "nonsense", MONGOC_READ_PRIMARY },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		Ipc__Mongo m;

		one(&m);
		m.read_preference = lend(rows[i].name);
		assert_int_equal(
			mongoc_read_prefs_get_mode(mongoc_uri_get_read_prefs_t(uri_of(&m))),
			rows[i].mode);
		mongo_client_reset(&client);
	}
}

static void tags_narrow_whom_to_read_from(void **state)
{
	char *tags[] = { lend("dc:ny"), lend("rack:a:b"), lend("no tag") };
	const bson_t *set;
	bson_iter_t at;
	bson_iter_t tag;
	Ipc__Mongo m;

	UNUSED(state);
	one(&m);
	m.read_preference = lend("nearest");
	m.read_tags = tags;
	m.n_read_tags = 3;
	set = mongoc_read_prefs_get_tags(mongoc_uri_get_read_prefs_t(uri_of(&m)));
	assert_int_equal(bson_count_keys(set), 1);
	assert_true(bson_iter_init_find(&at, set, "0"));
	assert_true(bson_iter_recurse(&at, &tag));
	assert_true(bson_iter_next(&tag));
	assert_string_equal(bson_iter_key(&tag), "dc");
	assert_string_equal(bson_iter_utf8(&tag, NULL), "ny");
	assert_true(bson_iter_next(&tag));
	assert_string_equal(bson_iter_key(&tag), "rack");
	assert_string_equal(bson_iter_utf8(&tag, NULL), "a:b"); /* the first colon cuts */
	assert_false(bson_iter_next(&tag));
	mongo_client_reset(&client);
}

/* The primary is one server: with tags it would be none, and the driver refuses the two. */
static void the_primary_is_read_whatever_the_tags(void **state)
{
	char *tags[] = { lend("dc:ny") };
	const mongoc_read_prefs_t *prefs;
	Ipc__Mongo m;

	UNUSED(state);
	one(&m);
	m.read_preference = lend("primary");
	m.read_tags = tags;
	m.n_read_tags = 1;
	prefs = mongoc_uri_get_read_prefs_t(uri_of(&m));
	assert_int_equal(mongoc_read_prefs_get_mode(prefs), MONGOC_READ_PRIMARY);
	assert_true(mongoc_read_prefs_is_valid(prefs));
	assert_int_equal(bson_count_keys(mongoc_read_prefs_get_tags(prefs)), 0);
	mongo_client_reset(&client);
}

static void times_are_told_where_there_are_any(void **state)
{
	Ipc__Mongo m;

	UNUSED(state);
	one(&m);
	m.socket_timeout_ms = 1001;
	m.local_threshold_ms = 1002;
	m.heartbeat_ms = 1003;
	m.connect_timeout_ms = 1004;
	m.server_selection_timeout_ms = 1005;
	(void)uri_of(&m);
	assert_int_equal(mongoc_uri_get_option_as_int32(client.uri, "socketTimeoutMS", 0), 1001);
	assert_int_equal(mongoc_uri_get_option_as_int32(client.uri, "localThresholdMS", 0), 1002);
	assert_int_equal(mongoc_uri_get_option_as_int32(client.uri, "heartbeatFrequencyMS", 0),
			 1003);
	assert_int_equal(mongoc_uri_get_option_as_int32(client.uri, "connectTimeoutMS", 0), 1004);
	assert_int_equal(mongoc_uri_get_option_as_int32(client.uri, "serverSelectionTimeoutMS", 0),
			 1005);
	mongo_client_reset(&client);
}

/* Whoever writes a connection string means it. */
static void what_a_connection_string_says_stands(void **state)
{
	Ipc__Mongo m;

	UNUSED(state);
	ipc__mongo__init(&m);
	m.uri = lend("mongodb://h/db?connectTimeoutMS=7&serverSelectionTimeoutMS=8&"
		     "socketTimeoutMS=9&readPreference=nearest");
	m.connect_timeout_ms = 1004;
	m.server_selection_timeout_ms = 1005;
	(void)uri_of(&m);
	assert_int_equal(mongoc_uri_get_option_as_int32(client.uri, "connectTimeoutMS", 0), 7);
	assert_int_equal(mongoc_uri_get_option_as_int32(client.uri, "serverSelectionTimeoutMS", 0),
			 8);
	assert_int_equal(mongoc_uri_get_option_as_int32(client.uri, "socketTimeoutMS", 0), 9);
	assert_int_equal(mongoc_read_prefs_get_mode(mongoc_uri_get_read_prefs_t(client.uri)),
			 MONGOC_READ_NEAREST);
	mongo_client_reset(&client);
}

static void a_host_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = { "h:0x", "h:99999", "h h:1@", "" };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		char *hosts[] = { lend(bad[i]) };
		struct err e = { 0 };
		Ipc__Mongo m;

		one(&m);
		m.hosts = hosts;
		if (mongo_client_init(&client, &m, &e) != ERR_CONFIG)
			fail_msg("`%s` is a host", bad[i]);
		assert_memory_equal(e.text, "management.mongodb: ", 20);
	}
}

/* One for the pages, one for the changes: neither shares what the other closes. */
static void a_copy_is_told_the_same_and_lives_by_itself(void **state)
{
	struct mongo_client copy;
	Ipc__Mongo m;

	UNUSED(state);
	one(&m);
	m.database = lend("gravitee");
	(void)uri_of(&m);
	mongo_client_copy(&copy, &client);
	mongo_client_reset(&client);
	assert_string_equal(mongoc_uri_get_database(copy.uri), "gravitee");
	assert_string_equal(mongoc_uri_get_hosts(copy.uri)->host_and_port, "h:1");
	mongo_client_reset(&copy);
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
		cmocka_unit_test(all_hosts_are_told_in_their_order),
		cmocka_unit_test(a_password_may_have_any_character),
		cmocka_unit_test(each_read_preference_is_the_drivers),
		cmocka_unit_test(tags_narrow_whom_to_read_from),
		cmocka_unit_test(the_primary_is_read_whatever_the_tags),
		cmocka_unit_test(times_are_told_where_there_are_any),
		cmocka_unit_test(what_a_connection_string_says_stands),
		cmocka_unit_test(a_host_that_is_none_is_refused),
		cmocka_unit_test(a_copy_is_told_the_same_and_lives_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, clean_up);
}
