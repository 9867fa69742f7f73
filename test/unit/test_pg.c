/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "workers/fetcher/source/postgres/pg_row.h"
#include "workers/fetcher/source/postgres/pg_sql.h"
#include "workers/fetcher/source/postgres/pg_url.h"

/* --- URLs --- */

static void must_parse(const char *text, struct pg_url *u)
{
	struct err e = { 0 };

	if (pg_url_parse(text, u, &e) < 0)
		fail_msg("%s: %s", text, e.text);
}

static void urls_name_hosts_and_a_database(void **state)
{
	static const struct {
		const char *text, *hosts, *database;
	} rows[] = {
		{ "jdbc:postgresql://h/d", "h 5432", "d" },
		{ "jdbc:postgresql://h:6000/d", "h 6000", "d" },
		{ "jdbc:postgresql:d", "localhost 5432", "d" },
		{ "jdbc:postgresql:///d", "localhost 5432", "d" },
		{ "jdbc:postgresql://h:1", "h 1", NULL },
		{ "jdbc:postgresql://h/", "h 5432", NULL },
		{ "jdbc:postgresql://a:1,b,c:3/d?x=y", "a 1,b 5432,c 3", "d" },
		{ "jdbc:postgresql://[::1]:7,[2001:db8::1]/d", "::1 7,2001:db8::1 5432", "d" },
		{ "jdbc:postgresql://%2Frun%2Fpg:7/my%20base", "/run/pg 7", "my base" },
		{ "jdbc:pgsql://h/d", "h 5432", "d" },
	};
	size_t i, k;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf hosts = { 0 };
		struct pg_url u;

		must_parse(rows[i].text, &u);
		for (k = 0; k < u.n_hosts; k++)
			buf_printf(&hosts, "%s%s %s", k == 0 ? "" : ",", u.hosts[k].name,
				   u.hosts[k].port);
		assert_string_equal(buf_cstr(&hosts), rows[i].hosts);
		assert_true(str_equal(u.database, rows[i].database));
		buf_reset(&hosts);
		pg_url_reset(&u);
	}
}

static void parameters_become_what_libpq_calls_them(void **state)
{
	struct pg_url u;

	UNUSED(state);
	must_parse(
		"jdbc:postgresql://h/d?user=u&password=p%26%3D&sslmode=require&ssl=true&sslrootcert=/c"
		"&ApplicationName=app&currentSchema=a,b&connectTimeout=3&socketTimeout=0"
		"&targetServerType=preferSecondary&prepareThreshold=5&channelBinding=prefer&x&pass%77ord=y",
		&u);
	assert_string_equal(u.values[PG_USER], "u");
	assert_string_equal(u.values[PG_PASSWORD], "p&=");
	assert_string_equal(u.values[PG_SSLMODE], "require");
	assert_string_equal(u.values[PG_SSLROOTCERT], "/c");
	assert_string_equal(u.values[PG_CHANNEL_BINDING], "prefer");
	assert_string_equal(u.values[PG_APPLICATION_NAME], "app");
	assert_string_equal(pg_setting_name(PG_APPLICATION_NAME), "application_name");
	assert_string_equal(u.schemas, "a,b");
	assert_int_equal(u.connect_timeout_ms, 3000);
	assert_int_equal(u.socket_timeout_ms, PG_SOCKET_TIMEOUT_MS);
	assert_int_equal(u.target, PG_PREFER_SECONDARY);
	assert_int_equal(u.ignored.n, 3); /* names are not encoded, as for the driver */
	assert_string_equal(u.ignored.v[0], "prepareThreshold");
	assert_non_null(strstr(u.ignored.v[1], "%26")); /* half of a password, it may be */
	assert_null(strstr(u.ignored.v[2], "word"));
	pg_url_reset(&u);
	must_parse(
		"jdbc:postgresql://h/a+b?password=a+b%2B&options=-c%20x=y&currentSchema=%22A%22,b",
		&u);
	assert_string_equal(u.database, "a b"); /* + is a blank, as for the driver */
	assert_string_equal(u.values[PG_PASSWORD], "a b+");
	assert_string_equal(u.values[PG_OPTIONS], "-c x=y");
	assert_string_equal(u.schemas, "\"A\",b");
	pg_url_reset(&u);
	must_parse("jdbc:postgresql://h/d?ssl=true", &u);
	assert_string_equal(u.values[PG_SSLMODE], "verify-full");
	pg_url_reset(&u);
	must_parse("jdbc:postgresql://h/d?ssl=false", &u);
	assert_null(u.values[PG_SSLMODE]);
	pg_url_reset(&u);
}

static void urls_that_are_none_say_what_would_be_right(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "jdbc:mysql://h/d", "jdbc:postgresql://" },
		{ "postgresql://h/d", "jdbc:postgresql://" },
		{ "", "jdbc:postgresql://" },
		{ "jdbc:postgresql://h:0/d", "`h:0` is no host" },
		{ "jdbc:postgresql://h:x/d", "is no host" },
		{ "jdbc:postgresql://h:70000/d", "is no host" },
		{ "jdbc:postgresql://a,,b/d", "is no host" },
		{ "jdbc:postgresql://[::1/d", "is no host" },
		{ "jdbc:postgresql://[::1]x/d", "is no host" },
		{ "jdbc:postgresql://%zz/d", "is no host" },
		{ "jdbc:postgresql://u:secret@h/d", "user= and password= behind the ?" },
		{ "jdbc:postgresql://u@h/d", "user= and password= behind the ?" },
		{ "jdbc:postgresql://@h/d", "user= and password= behind the ?" },
		{ "jdbc:postgresql://u:secret/@h/d", "user= and password= behind the ?" },
		{ "jdbc:postgresql://h/%00", "is not encoded" },
		{ "jdbc:postgresql://h/d?user=%", "encodes nothing, in user" },
		{ "jdbc:postgresql://h/d?sslmode=maybe", "disable to verify-full" },
		{ "jdbc:postgresql://h/d?ssl=perhaps", "true or false" },
		{ "jdbc:postgresql://h/d?targetServerType=x", "preferSecondary" },
		{ "jdbc:postgresql://h/d?socketTimeout=soon", "write seconds" },
		{ "jdbc:postgresql://h/d?connectTimeout=601", "600 at most" },
		{ "jdbc:postgresql://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a/d", "more than 16" },
		{ "jdbc:postgresql://h/d?password=secret&user=%4", "encodes nothing" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = { 0 };
		struct pg_url u;

		assert_int_equal(pg_url_parse(rows[i].text, &u, &e), ERR_CONFIG);
		if (strstr(e.text, rows[i].says) == NULL || strstr(e.text, "secret") != NULL)
			fail_msg("%s: %s", rows[i].text, e.text);
	}
}

static void hosts_of_this_machine_are_told_from_others(void **state)
{
	static const char *const local[] = { "localhost", "127.0.0.1", "127.1.2.3", "::1",
					     "/var/run" };
	static const char *const other[] = { "h",   "10.0.0.1",	       "localhost.example.org",
					     "::2", "127.example.org", "127.0.0.1.example.org" };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(local); i++)
		assert_true(
			pg_host_is_local(&(struct pg_host){ (char *)(uintptr_t)local[i], NULL }));
	for (i = 0; i < ARRAY_LEN(other); i++)
		assert_false(
			pg_host_is_local(&(struct pg_host){ (char *)(uintptr_t)other[i], NULL }));
}

/* --- questions --- */

static void full_shape(struct pg_shape *s)
{
	static const char *const columns[] = { "id",
					       "type",
					       "payload",
					       "created_at",
					       "updated_at",
					       "event_id",
					       "api",
					       "plan",
					       "status",
					       "environment_id",
					       "subscription_id",
					       "key",
					       "revoked",
					       "key_id",
					       "reference_id",
					       "reference_type",
					       "organization_id",
					       "installation_id" };
	struct map_ids names = { 0 };
	size_t t;
	size_t i;

	*s = (struct pg_shape){ 0 };
	pg_table_names(&names);
	for (t = 0; t < names.n; t++)
		for (i = 0; i < ARRAY_LEN(columns); i++)
			pg_shape_add(s, names.v[t], columns[i], (struct pg_found){ true, false });
	map_ids_reset(&names);
}

static void make(struct pg_select *out, const struct db_query *q, const struct pg_shape *s)
{
	const struct pg_names names = { "p\"_", 1000 };
	struct err e = { 0 };

	if (pg_select_make(out, q, s, &names, &e) < 0)
		fail_msg("%s", e.text);
}

static void must_have(struct pg_select *s, const char *part)
{
	if (strstr(buf_cstr(&s->text), part) == NULL)
		fail_msg("no `%s` in: %s", part, buf_cstr(&s->text));
}

static void a_delta_goes_on_behind_the_microsecond_and_the_id(void **state)
{
	struct db_query q = { .table = DB_EVENTS,
			      .order = DB_BY_TIME,
			      .brief = true,
			      .since_ms = 1755700000123,
			      .after_id = "456/x",
			      .limit = 10 };
	struct pg_shape shape;
	struct pg_select s;
	uint64_t wire;

	UNUSED(state);
	full_shape(&shape);
	make(&s, &q, &shape);
	must_have(&s, "FROM \"p\"\"_events_latest\" t WHERE t.type = ANY($1)");
	must_have(&s, "t.updated_at >= $2::timestamp");
	must_have(&s, "(t.updated_at > $2::timestamp OR t.id COLLATE \"C\" > $3)");
	must_have(&s, "ORDER BY t.updated_at, t.id COLLATE \"C\" LIMIT 10");
	assert_null(strstr(buf_cstr(&s.text), "payload"));
	memcpy(&wire, s.values[1], sizeof(wire));
	assert_int_equal((int64_t)be64toh(wire), 1755700000123456 - PG_EPOCH_US);
	assert_string_equal(s.values[2], "x");
	pg_select_reset(&s);
}

static void a_table_without_a_time_is_read_from_the_beginning(void **state)
{
	struct db_query q = { .table = DB_ACCESS_POINTS, .order = DB_BY_TIME, .limit = 10 };
	struct pg_shape shape = { 0 };
	struct pg_select s;

	UNUSED(state);
	pg_shape_add(&shape, "access_points", "id", (struct pg_found){ true, true });
	pg_shape_add(&shape, "access_points", "reference_id", (struct pg_found){ true, true });
	make(&s, &q, &shape);
	must_have(&s, "FROM \"p\"\"_access_points\" t ORDER BY t.id COLLATE \"C\" LIMIT 10");
	assert_null(strstr(buf_cstr(&s.text), "updated_at"));
	assert_false(s.timed);
	pg_select_reset(&s);
	q.after_id = "000/x";
	make(&s, &q, &shape);
	must_have(&s, "WHERE t.id COLLATE \"C\" > $1 ORDER BY t.id");
	assert_string_equal(s.values[0], "x");
	pg_select_reset(&s);
}

static void a_position_of_another_database_begins_with_its_millisecond(void **state)
{
	static const char *const positions[] = { "x", "", "45/x", "a56/x", "456x", "456/\xff" };
	struct pg_shape shape;
	size_t i;

	UNUSED(state);
	full_shape(&shape);
	for (i = 0; i < ARRAY_LEN(positions); i++) {
		struct db_query q = { .table = DB_KEYS,
				      .order = DB_BY_TIME,
				      .since_ms = INT64_MAX,
				      .after_id = positions[i] };
		struct pg_select s;

		make(&s, &q, &shape);
		must_have(&s, "t.updated_at >= $1::timestamp ORDER");
		pg_select_reset(&s);
	}
}

static void names_in_lists_are_no_sql(void **state)
{
	char *ids[] = { (char *)(uintptr_t) "a\"b\\c", (char *)(uintptr_t) "'; DROP" };
	struct db_query q = { .table = DB_KEYS, .field = "subscriptions", .in = ids, .n_in = 2 };
	struct pg_shape shape;
	struct pg_select s;
	char *list;

	UNUSED(state);
	full_shape(&shape);
	make(&s, &q, &shape);
	must_have(&s, "t.id IN (SELECT c.key_id FROM");
	assert_null(strstr(buf_cstr(&s.text), "DROP"));
	assert_string_equal(s.values[0], "{\"a\\\"b\\\\c\",\"'; DROP\"}");
	pg_select_reset(&s);
	list = pg_array(ids, 1, "p\"\\");
	assert_string_equal(list, "{\"p\\\"\\\\a\\\"b\\\\c\"}");
	mem_free(list);
}

static void a_table_that_is_not_there_is_named_or_empty(void **state)
{
	const struct pg_names names = { "gw_", 1000 };
	const struct db_query events = { .table = DB_EVENTS };
	const struct db_query licenses = { .table = DB_LICENSES };
	struct pg_shape shape = { 0 };
	struct pg_select s;
	struct err e = { 0 };

	UNUSED(state);
	assert_int_equal(pg_select_make(&s, &events, &shape, &names, &e), ERR_REMOTE);
	assert_non_null(strstr(e.text, "table gw_events_latest"));
	assert_int_equal(pg_select_make(&s, &licenses, &shape, &names, &e), 0);
	assert_int_equal(s.text.len, 0);
}

static void every_table_can_be_asked_for_in_every_way(void **state)
{
	char *ids[] = { (char *)(uintptr_t) "a" };
	struct pg_shape shape;
	unsigned i;

	UNUSED(state);
	full_shape(&shape);
	for (i = 0; i < DB__COUNT * 12; i++) {
		struct db_query q = { .table = (enum db_table)(i % DB__COUNT),
				      .order = (enum db_order)(i / DB__COUNT % 3),
				      .brief = i / DB__COUNT / 3 % 2 == 1,
				      .field = i / DB__COUNT / 6 == 1 ? "id" : NULL,
				      .in = ids,
				      .n_in = 1,
				      .environments = ids,
				      .n_environments = 1 };
		struct pg_select s;

		make(&s, &q, &shape);
		must_have(&s, "SELECT t.");
		assert_int_equal(s.cells[PG_UPDATED].type, PG_TIME);
		pg_select_reset(&s);
	}
}

/* --- rows --- */

struct cell {
	char data[256];
	size_t n;
};

static void put_i32(struct cell *c, int32_t v)
{
	uint32_t wire = htobe32((uint32_t)v);

	memcpy(c->data + c->n, &wire, sizeof(wire));
	c->n += sizeof(wire);
}

static void put_text(struct cell *c, const char *s)
{
	if (s == NULL) {
		put_i32(c, -1);
		return;
	}
	put_i32(c, (int32_t)strlen(s));
	memcpy(c->data + c->n, s, strlen(s));
	c->n += strlen(s);
}

static struct pg_value value(const struct cell *c)
{
	return (struct pg_value){ c->data, c->n };
}

static struct pg_value text(const char *s)
{
	return (struct pg_value){ s, s == NULL ? 0 : strlen(s) };
}

static struct cell time_cell(int64_t us)
{
	struct cell c = { .n = sizeof(uint64_t) };
	uint64_t wire = htobe64((uint64_t)us);

	memcpy(c.data, &wire, sizeof(wire));
	return c;
}

static void a_row_is_json_with_what_is_not_null(void **state)
{
	struct pg_select s = { .n_cells = 8,
			       .cells = { { "id", PG_TEXT },
					  { "updatedAt", PG_TIME },
					  { "api", PG_TEXT },
					  { "revoked", PG_BOOL },
					  { "list", PG_LIST },
					  { "map", PG_MAP },
					  { "payload", PG_BIG } } };
	struct cell at = time_cell(1755700000123456 - PG_EPOCH_US);
	struct cell list = { 0 }, map = { 0 }, size = { 0 };
	struct pg_row r = { 0 };
	struct err e = { 0 };
	static const int32_t list_head[] = { 1, 1, 25, 2, 1 };
	static const int32_t map_head[] = { 2, 1, 25, 2, 1, 2, 1 };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(list_head); i++)
		put_i32(&list, list_head[i]);
	put_text(&list, "a");
	put_text(&list, "b\"");
	for (i = 0; i < ARRAY_LEN(map_head); i++)
		put_i32(&map, map_head[i]);
	put_text(&map, "k");
	put_text(&map, "v");
	put_text(&map, "none");
	put_text(&map, NULL);
	put_i32(&size, 2);
	{
		struct pg_value v[] = { text("i\n"),  value(&at),  text(NULL), { "\1", 1 },
					value(&list), value(&map), text("{}"), value(&size) };

		assert_int_equal(pg_row_read(&r, &s, v, 1000, &e), 0);
		assert_string_equal(
			buf_cstr(&r.json),
			"{\"id\":\"i\\n\",\"updatedAt\":1755700000123,\"revoked\":true,"
			"\"list\":[\"a\",\"b\\\"\"],\"map\":{\"k\":\"v\"},\"payload\":\"{}\"}");
		assert_string_equal(buf_cstr(&r.id), "i\\x0a");
		assert_string_equal(buf_cstr(&r.position), "456/i\n");
		assert_true(r.updated);
		assert_int_equal(r.updated_ms, 1755700000123);
		assert_int_equal(pg_row_read(&r, &s, v, 5, &e), ERR_LIMIT);
		v[6] = text(NULL); /* the server kept it back */
		assert_int_equal(pg_row_read(&r, &s, v, 1, &e), ERR_LIMIT);
		v[7] = text(NULL);
		v[0] = text("\xff");
		assert_int_equal(pg_row_read(&r, &s, v, 1000, &e), ERR_PARSE);
		v[0] = text("x");
		list.n -= 1;
		v[4] = value(&list);
		assert_int_equal(pg_row_read(&r, &s, v, 1000, &e), ERR_PARSE);
		v[4] = text("short");
		assert_int_equal(pg_row_read(&r, &s, v, 1000, &e), ERR_PARSE);
	}
	pg_row_reset(&r);
}

static void times_are_whole_milliseconds_and_never_infinite(void **state)
{
	static const struct {
		int64_t us, ms;
		const char *position;
	} rows[] = { { -PG_EPOCH_US, 0, "000/x" },
		     { -PG_EPOCH_US - 1, -1, "999/x" },
		     { -PG_EPOCH_US + 1999, 1, "999/x" } };
	struct pg_select s = { .n_cells = 2,
			       .cells = { { "id", PG_TEXT }, { "updatedAt", PG_TIME } } };
	struct pg_row r = { 0 };
	struct err e = { 0 };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct cell at = time_cell(rows[i].us);
		struct pg_value v[] = { text("x"), value(&at) };

		assert_int_equal(pg_row_read(&r, &s, v, 1000, &e), 0);
		assert_int_equal(r.updated_ms, rows[i].ms);
		assert_string_equal(buf_cstr(&r.position), rows[i].position);
	}
	for (i = 0; i < 2; i++) {
		struct cell at = time_cell(i == 0 ? INT64_MAX : INT64_MIN);
		struct pg_value v[] = { text("x"), value(&at) };

		assert_int_equal(pg_row_read(&r, &s, v, 1000, &e), ERR_PARSE);
		assert_false(r.updated);
		assert_string_equal(buf_cstr(&r.position), "000/x");
	}
	pg_row_reset(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_name_hosts_and_a_database),
		cmocka_unit_test(parameters_become_what_libpq_calls_them),
		cmocka_unit_test(urls_that_are_none_say_what_would_be_right),
		cmocka_unit_test(hosts_of_this_machine_are_told_from_others),
		cmocka_unit_test(a_delta_goes_on_behind_the_microsecond_and_the_id),
		cmocka_unit_test(a_table_without_a_time_is_read_from_the_beginning),
		cmocka_unit_test(a_position_of_another_database_begins_with_its_millisecond),
		cmocka_unit_test(names_in_lists_are_no_sql),
		cmocka_unit_test(a_table_that_is_not_there_is_named_or_empty),
		cmocka_unit_test(every_table_can_be_asked_for_in_every_way),
		cmocka_unit_test(a_row_is_json_with_what_is_not_null),
		cmocka_unit_test(times_are_whole_milliseconds_and_never_infinite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
