/* SPDX-License-Identifier: Apache-2.0 */
/* What the fetcher says of a source without connecting: what it refuses, and what it warns of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/message/message.h"
#include "workers/fetcher/source/mongo/mongo_client.h"
#include "workers/fetcher/source/mongo/mongo_uri.h"
#include "workers/fetcher/source/source_hello.h"

enum level { FINE, WARNS, REFUSES };

static char *lend(const char *s)
{
	return (char *)(uintptr_t)s;
}

static Ipc__Checked *check_mongo(const char *uri)
{
	Ipc__FetcherConfig c = IPC__FETCHER_CONFIG__INIT;
	Ipc__Mongo m = IPC__MONGO__INIT;
	Ipc__Checked *out = message_new(&ipc__checked__descriptor);

	m.uri = lend(uri);
	c.source = lend("mongodb");
	c.mongo = &m;
	source_check(&c, true, out);
	return out;
}

static Ipc__Checked *check_jdbc(const char *url, const char *timezone)
{
	Ipc__FetcherConfig c = IPC__FETCHER_CONFIG__INIT;
	Ipc__Postgres m = IPC__POSTGRES__INIT;
	Ipc__Checked *out = message_new(&ipc__checked__descriptor);

	m.url = lend(url);
	m.timezone = lend(timezone);
	c.source = lend("jdbc");
	c.postgres = &m;
	source_check(&c, true, out);
	return out;
}

static Ipc__Checked *check_file(const char *path)
{
	Ipc__FetcherConfig c = IPC__FETCHER_CONFIG__INIT;
	Ipc__Checked *out = message_new(&ipc__checked__descriptor);

	c.source = lend("file");
	c.file_path = lend(path);
	source_check(&c, true, out);
	return out;
}

/* One remark, of that level, with that text, and no password of the tests in it. */
static void must_be(Ipc__Checked *c, const char *of, enum level level, const char *says)
{
	static const Ipc__Remark__Level levels[] = {
		[WARNS] = IPC__REMARK__LEVEL__WARNING, [REFUSES] = IPC__REMARK__LEVEL__ERROR
	};
	const char *text = c->n_remarks == 0 ? "" : c->remarks[0]->text;

	if (c->n_remarks != (level == FINE ? 0 : 1))
		fail_msg("%s: %zu remarks: %s", of, c->n_remarks, text);
	if (level != FINE && (c->remarks[0]->level != levels[level] || strstr(text, says) == NULL))
		fail_msg("%s: %s", of, text);
	if (strstr(text, "hunter2") != NULL)
		fail_msg("%s: the password is told: %s", of, text);
	message_free(c);
}

struct row {
	const char *url;
	enum level level;
	const char *says;
};

static void connection_strings_are_judged_as_the_driver_will(void **state)
{
	static const struct row rows[] = {
		{ "mongodb://h/g", FINE, NULL },
		{ "mongodb://u:p%40x@h:1,[::1]:2/g?replicaSet=rs0", FINE, NULL },
		{ "mongodb://%2Ftmp%2Fmongodb.sock/g", FINE, NULL },
		/* the driver of Java takes them */
		{ "mongodb://h/g?&replicaSet=rs0", FINE, NULL },
		{ "mongodb://h/g?w=1;replicaSet=rs0;;tls=true", FINE, NULL },
		{ "mongodb://h?replicaSet=rs0", FINE, NULL },
		{ "mongodb://h/g.collection?replicaSet=rs0", FINE, NULL },
		{ "mongodb://h/g?uuidRepresentation=standard&waitQueueTimeoutMS=5&maxPoolSize=x",
		  FINE, NULL },
		{ "mongodb://h/g?slaveOk=true", FINE, NULL },
		/* user and password */
		{ "mongodb://u:hunter2%ss@h/g", REFUSES, "encodes nothing" },
		{ "mongodb://u:hunter2@ss@h", REFUSES, "an @ or a : of their own" },
		{ "mongodb://u:hunter2:x@h", REFUSES, "an @ or a : of their own" },
		{ "mongodb://u:hunter2/ss@h/g", REFUSES, "percent-encoded" },
		{ "mongodb://u:hunter2?ss@h/g", REFUSES, "percent-encoded" },
		{ "mongodb://u:1?hunter2@h/g", REFUSES, "percent-encoded" },
		{ "mongodb://u:1?tls=true&hunter2@h/g", REFUSES, "percent-encoded" },
		{ "mongodb://u:1?hunter2=@h/g", WARNS, "no driver has" },
		{ "mongodb://u:1?readPreference=hunter2@h/g", REFUSES, "does not take" },
		/* hosts */
		{ "http://h", REFUSES, "it begins with mongodb://" },
		{ "", REFUSES, "management.mongodb" },
		{ "mongodb://h:0/g", REFUSES, "1 to 65535" },
		{ "mongodb://h:65536/g", REFUSES, "1 to 65535" },
		{ "mongodb://h:x/g", REFUSES, "1 to 65535" },
		{ "mongodb://a,,b/g", REFUSES, "no name" },
		{ "mongodb:///g", REFUSES, "no name" },
		{ "mongodb://:1/g", REFUSES, "no name" },
		{ "mongodb+srv://a.b.c:1/g", REFUSES, "management.mongodb.uri: " },
		/* options */
		{ "mongodb://h/g?readPreference=foo", REFUSES, "readPreference" },
		{ "mongodb://h/g?tls=true&ssl=false", REFUSES, "conflicts" },
		{ "mongodb://h/g?tls=maybe", REFUSES, "tls" },
		{ "mongodb://h/g?socketTimeoutMS=soon", REFUSES, "sockettimeoutms" },
		{ "mongodb://h/g?replicaSet", REFUSES, "has no value" },
		{ "mongodb://h/g?replicaSet=", REFUSES, "replicaset" },
		{ "mongodb://u@h/g?authMechanism=FOO", REFUSES, "authMechanism is none" },
		{ "mongodb://u@h/g?authMechanismProperties=hunter2&tls=maybe", REFUSES,
		  "one of its options" },
		{ "mongodb://a,b/?directConnection=true", REFUSES, "directConnection" },
		{ "mongodb://h/g?proxyHost=p", REFUSES, "knows no proxies" },
		{ "mongodb://h/g?proxyUsername=hunter2", REFUSES, "knows no proxies" },
		{ "mongodb://h/g?foo=hunter2", WARNS, "no driver has" },
		{ "mongodb://h/g?tls=true&tlsCAFile=/nowhere", REFUSES, "/nowhere: No such" },
		{ "mongodb://h/g?tls=true&tlsCertificateKeyFile=/nowhere", REFUSES, "No such" },
		/* what does not verify */
		{ "mongodb://h/?tls=true&tlsinsecure=true", WARNS, "is not verified" },
		{ "mongodb://h/?tls=true&tlsInsecure=1", WARNS, "is not verified" },
		{ "mongodb://h/?tls=true&TLSINSECURE=yes", WARNS, "is not verified" },
		{ "mongodb://h/?tls=true&tlsInsecure=%74rue", WARNS, "is not verified" },
		{ "mongodb://h/?tls=true&tlsInsecure=false&tlsInsecure=true", WARNS, "verified" },
		{ "mongodb://h/?tls=true&tlsAllowInvalidHostnames=t", WARNS, "is not verified" },
		{ "mongodb://h/?tls=true&tlsAllowInvalidCertificates=y", WARNS, "not verified" },
		{ "mongodb://h/?tls=true&sslAllowInvalidHostnames=1", WARNS, "is not verified" },
		{ "mongodb://h/?tls=true&sslAllowInvalidCertificates=YES", WARNS, "verified" },
		{ "mongodb://h/?tls=true&sslInvalidHostNameAllowed=true", WARNS, "not verified" },
		{ "mongodb://h/?tls=true&tlsInsecure=false&appName=tlsInsecure=true", FINE, NULL },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		must_be(check_mongo(rows[i].url), rows[i].url, rows[i].level, rows[i].says);
}

/* What is written for our driver means what the other one reads. */
static void connection_strings_keep_their_meaning(void **state)
{
	static const char *const rows[][2] = {
		{ "mongodb://h", "mongodb://h/" },
		{ "mongodb://h?TLS=true", "mongodb://h/?tls=true" },
		{ "mongodb://u:p+q@h/g?&tls=true;replicaSet=rs0&",
		  "mongodb://u:p+q@h/g?tls=true&replicaset=rs0" },
		{ "mongodb+srv://a.b.c/g.x.y?slaveOk=true",
		  "mongodb+srv://a.b.c/g?readpreference=secondaryPreferred" },
		{ "mongodb://h/g?readPreferenceTags=a:b&readPreferenceTags=",
		  "mongodb://h/g?readpreferencetags=a:b&readpreferencetags=" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct mongo_uri u = { 0 };
		struct err e = { 0 };

		assert_int_equal(mongo_uri_parse(rows[i][0], &u, &e), 0);
		assert_string_equal(u.text, rows[i][1]);
		mongo_uri_reset(&u);
	}
}

static void urls_of_jdbc_are_judged_as_the_fetcher_will(void **state)
{
	static const struct row rows[] = {
		{ "//localhost/d", FINE, NULL },
		{ "//localhost/d?options=-c%20search_path=a", FINE, NULL },
		{ "//u:hunter2@localhost/d", REFUSES, "write user= and password=" },
		{ "//localhost/d?targetServerType=foo", REFUSES, "targetServerType" },
		{ "//localhost:0/d", REFUSES, "is no host" },
		{ "//localhost/d?sslmode=full", REFUSES, "sslmode `full`; write one of" },
		{ "//localhost/d?socketFactory=hunter2", REFUSES, "socketFactory would lead" },
		{ "//localhost/d?service=x", REFUSES, "service would lead" },
		{ "//localhost/d?PGHOST=x", REFUSES, "PGHOST would lead" },
		{ "//localhost/d?PGPORT=1", REFUSES, "PGPORT would lead" },
		{ "//localhost/d?PGDBNAME=x", REFUSES, "PGDBNAME would lead" },
		{ "//localhost/d?prepareThreshold=5", WARNS, "has prepareThreshold, which is" },
		{ "//localhost/d?user=u&password=a&hunter2=x", WARNS, "%26" },
		{ "//localhost/d?sslrootcert=/nowhere", REFUSES, "sslrootcert /nowhere: No such" },
		{ "//localhost/d?sslcert=/nowhere", REFUSES, "sslcert /nowhere: No such" },
		/* a database that need not prove itself */
		{ "//h/d?sslmode=disable", WARNS, "has sslmode=disable" },
		{ "//h/d?sslmode=allow", WARNS, "has sslmode=allow" },
		{ "//h/d?sslmode=prefer&user=u", WARNS, "has sslmode=prefer" },
		{ "//h?user=u&sslmode=require", WARNS, "has sslmode=require" },
		{ "//h/d?sslmode=verify-full&sslmode=disable", WARNS, "has sslmode=disable" },
		{ "//localhost,127.0.0.1.example.org:1/d?sslmode=disable", WARNS, "sslmode" },
		{ "//127.0.0.1:5432,[::2]:5432/d?sslmode=disable", WARNS, "sslmode" },
		{ "//localhost/d?user=sslmode=disable", FINE, NULL },
		{ "//localhost:1/d?sslmode=disable", FINE, NULL },
		{ "//127.0.0.1,[::1]:5432/d?sslmode=disable", FINE, NULL },
		{ "//%2Frun%2Fpg/d?sslmode=disable", FINE, NULL },
		{ "///d?sslmode=disable", FINE, NULL },
		{ "d?sslmode=disable&user=://h", FINE, NULL },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		char *url = mem_printf("jdbc:postgresql:%s", rows[i].url);

		must_be(check_jdbc(url, "UTC"), rows[i].url, rows[i].level, rows[i].says);
		mem_free(url);
	}
	must_be(check_jdbc("jdbc:mysql://h/d", "UTC"), "mysql", REFUSES,
		"management.jdbc.url: is of no database that can be read");
}

static void a_time_zone_is_one_of_this_system_or_a_rule(void **state)
{
	static const char *const fine[] = { "UTC", "europe/paris", "Etc/GMT+5", "EST5EDT",
					    "<+03>-3" };
	static const char *const wrong[] = { "Europe/Berlim", "Mars", "Europe/Paris/x", "../etc" };
	size_t i;

	UNUSED(state);
	if (access("/usr/share/zoneinfo/UTC", R_OK) < 0)
		skip(); /* the database judges, then */
	for (i = 0; i < ARRAY_LEN(fine); i++)
		must_be(check_jdbc("jdbc:postgresql://localhost/d", fine[i]), fine[i], FINE, NULL);
	for (i = 0; i < ARRAY_LEN(wrong); i++)
		must_be(check_jdbc("jdbc:postgresql://localhost/d", wrong[i]), wrong[i], REFUSES,
			"management.jdbc.timezone: ");
}

static void a_directory_of_files_must_be_there(void **state)
{
	UNUSED(state);
	must_be(check_file("/tmp"), "/tmp", FINE, NULL);
	must_be(check_file("/nowhere"), "/nowhere", REFUSES,
		"management.file.path: /nowhere: No such file");
	must_be(check_file("/etc/passwd"), "/etc/passwd", REFUSES, "is no directory");
}

/* What may be there by the time it is needed is not looked at when a worker begins to work. */
static void files_are_looked_at_only_when_asked_for(void **state)
{
	Ipc__FetcherConfig c = IPC__FETCHER_CONFIG__INIT;
	Ipc__Checked *out = message_new(&ipc__checked__descriptor);

	UNUSED(state);
	c.source = lend("file");
	c.file_path = lend("/nowhere");
	source_check(&c, false, out);
	assert_int_equal(out->n_remarks, 0);
	message_free(out);
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
		cmocka_unit_test(connection_strings_are_judged_as_the_driver_will),
		cmocka_unit_test(connection_strings_keep_their_meaning),
		cmocka_unit_test(urls_of_jdbc_are_judged_as_the_fetcher_will),
		cmocka_unit_test(a_time_zone_is_one_of_this_system_or_a_rule),
		cmocka_unit_test(a_directory_of_files_must_be_there),
		cmocka_unit_test(files_are_looked_at_only_when_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, clean_up);
}
