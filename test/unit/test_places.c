/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "workers/fetcher/map/places.h"

static struct json_span text(const char *s)
{
	return (struct json_span){ s, strlen(s) };
}

static void environment(struct places *p, const char *row)
{
	assert_int_equal(places_add(p, PLACE_ENVIRONMENT, text(row), NULL), 0);
}

static void organization(struct places *p, const char *row)
{
	assert_int_equal(places_add(p, PLACE_ORGANIZATION, text(row), NULL), 0);
}

static void fill(struct places *p)
{
	places_begin(p);
	environment(p, "{\"id\":\"E1\",\"hrids\":[\"one\"],\"organizationId\":\"O1\"}");
	environment(p, "{\"id\":\"E2\",\"hrids\":[\"two\",\"zwei\"],\"organizationId\":\"O1\"}");
	environment(p, "{\"id\":\"E3\",\"organizationId\":\"O2\"}");
	environment(p, "{\"id\":\"E4\",\"hrids\":[\"one\"]}");
	organization(p, "{\"id\":\"O1\",\"hrids\":[\"o1\"]}");
	organization(p, "{\"id\":\"O2\",\"hrids\":[\"o2\",\"o9\"]}");
	organization(p, "{\"id\":\"O3\",\"hrids\":[\"o3\"]}");
}

struct filter {
	const char *environments[4];
	const char *organizations[4];
	bool by_ids;
	const char *want; /* ids that are taken, a text of all; NULL: an error; "": no filter */
	const char *organizations_of; /* those environments, in order; "": no filter */
};

static const struct filter filters[] = {
	{ { NULL }, { NULL }, false, "", "" },
	{ { "one" }, { NULL }, false, "E1 E4 ", "O1 " },
	{ { "zwei" }, { NULL }, false, "E2 ", "O1 " },
	{ { "one", "two" }, { "o1" }, false, "E1 E2 ", "O1 " },
	{ { NULL }, { "o9" }, false, "E3 ", "O2 " },
	{ { NULL }, { "o1", "o2" }, false, "E1 E2 E3 ", "O1 O2 " },
	{ { NULL }, { "o1", "o3" }, false, "E1 E2 ", "O1 O3 " },
	{ { "one" }, { "o2" }, false, NULL, "" },
	{ { "E1" }, { NULL }, false, NULL, "" },
	{ { "E1", "E9" }, { NULL }, true, "E1 ", "O1 " },
	{ { "one" }, { NULL }, true, NULL, "" },
	{ { NULL }, { "O1" }, true, "", "" },
};

static size_t list(const char *const *from, char **to)
{
	size_t n = 0;

	for (; n < 4 && from[n] != NULL; n++)
		to[n] = (char *)(uintptr_t)from[n];
	return n;
}

static void check_ids(const struct places *p, const char *want)
{
	size_t i;
	size_t bytes = 0;

	for (i = 0; i < p->ids.n; i++) {
		assert_non_null(strstr(want, p->ids.v[i]));
		bytes += strlen(p->ids.v[i]) + 1;
	}
	assert_int_equal(bytes, strlen(want));
}

static void check_organizations(const struct places *p, const char *want)
{
	struct buf seen = { 0 };
	size_t i;

	for (i = 0; i < p->organization_ids.n; i++)
		buf_printf(&seen, "%s ", p->organization_ids.v[i]);
	assert_string_equal(buf_cstr(&seen), want);
	buf_reset(&seen);
}

static void filters_choose_environments_and_one_that_matches_nothing_is_an_error(void **state)
{
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(filters); i++) {
		const struct filter *f = &filters[i];
		char *environments[4];
		char *organizations[4];
		struct places p = { 0 };
		struct err e = { 0 };

		places_want(&p, &(struct places_wanted){
					{ environments, list(f->environments, environments), 0 },
					{ organizations, list(f->organizations, organizations), 0 },
					!f->by_ids });
		fill(&p);
		assert_int_equal(places_resolve(&p, &e), f->want == NULL ? ERR_STATE : 0);
		check_ids(&p, f->want == NULL ? "" : f->want);
		check_organizations(&p, f->organizations_of);
		places_reset(&p);
	}
}

static void after_an_error_the_ids_of_before_stand(void **state)
{
	char *environments[] = { (char *)(uintptr_t) "one" };
	struct places p = { 0 };
	struct err e = { 0 };

	UNUSED(state);
	places_want(&p, &(struct places_wanted){ { environments, 1, 0 }, { 0 }, true });
	fill(&p);
	assert_int_equal(places_resolve(&p, &e), 0);
	places_begin(&p);
	assert_int_equal(places_resolve(&p, &e), ERR_STATE);
	check_ids(&p, "E1 E4 ");
	places_reset(&p);
}

static void the_digest_is_of_the_rows_whatever_their_order(void **state)
{
	struct places p = { 0 };
	char *first, *again, *swapped, *unsure;

	UNUSED(state);
	environment(&p, "{\"id\":\"A\",\"name\":\"1\"}");
	organization(&p, "{\"id\":\"B\"}");
	environment(&p, "{\"id\":\"C\"}");
	first = places_digest(&p);
	places_begin(&p);
	environment(&p, "{\"id\":\"C\"}");
	environment(&p, "{\"id\":\"A\",\"name\":\"1\"}");
	organization(&p, "{\"id\":\"B\"}");
	again = places_digest(&p);
	assert_string_equal(first, again);
	p.unreadable++;
	unsure = places_digest(&p);
	assert_string_not_equal(first, unsure);
	places_begin(&p);
	environment(&p, "{\"id\":\"C\"}");
	environment(&p, "{\"id\":\"B\"}");
	organization(&p, "{\"id\":\"A\",\"name\":\"1\"}");
	swapped = places_digest(&p);
	assert_string_not_equal(first, swapped);
	mem_free(first);
	mem_free(again);
	mem_free(swapped);
	mem_free(unsure);
	places_reset(&p);
}

static void rows_that_cannot_be_read_are_none(void **state)
{
	static const char *const bad[] = {
		"{",
		"[]",
		"{}",
		"{\"id\":5}",
		"{\"id\":\"\"}",
		"{\"id\":\"E\",\"hrids\":\"one\"}",
		"{\"id\":\"E\",\"hrids\":{\"a\":\"one\"}}",
		"{\"id\":\"E\",\"hrids\":[\"one\",5]}",
		"{\"id\":\"E\",\"hrids\":[null]}",
		"{\"id\":\"E\",\"organizationId\":5}",
	};
	struct places p = { 0 };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };

		assert_int_equal(places_add(&p, PLACE_ENVIRONMENT, text(bad[i]), &e), ERR_PARSE);
		assert_int_equal(p.of[PLACE_ENVIRONMENT].len, 0);
	}
	places_reset(&p);
}

/* An API of environment E, mapped: does its envelope carry the name? */
static bool carries_name(const struct map_ctx *ctx)
{
	static const char row[] =
		"{\"id\":\"a\",\"type\":\"PUBLISH_API\",\"properties\":{\"api_id\":\"a\"},"
		"\"updatedAt\":1,\"payload\":\"{\\\"environmentId\\\":\\\"E\\\",\\\"definitionVersion\\\":"
		"\\\"4.0.0\\\",\\\"type\\\":\\\"proxy\\\",\\\"lifecycleState\\\":\\\"STARTED\\\","
		"\\\"definition\\\":\\\"{\\\\\\\"id\\\\\\\":\\\\\\\"a\\\\\\\",\\\\\\\"type\\\\\\\":"
		"\\\\\\\"proxy\\\\\\\",\\\\\\\"definitionVersion\\\\\\\":\\\\\\\"4.0.0\\\\\\\","
		"\\\\\\\"plans\\\\\\\":[{\\\\\\\"id\\\\\\\":\\\\\\\"p\\\\\\\",\\\\\\\"status\\\\\\\":"
		"\\\\\\\"published\\\\\\\"}]}\\\"}\"}";
	struct map_out out = { 0 };
	struct err e = { 0 };
	bool found;

	if (map_event(ctx, text(row), &out, &e) < 0)
		fail_msg("%s", e.text);
	found = strstr(buf_cstr(&out.ev.payload), "\"environmentHrid\":\"name\"") != NULL;
	map_out_reset(&out);
	return found;
}

static void a_name_is_forgotten_with_its_row_but_not_while_one_cannot_be_read(void **state)
{
	struct map_ctx *ctx = map_ctx_create(NULL, 0, NULL, 0);
	struct places *p = map_places(ctx);

	UNUSED(state);
	environment(p, "{\"id\":\"E\",\"hrids\":[\"name\",\"other\"]}");
	places_end(p);
	assert_true(carries_name(ctx));
	places_begin(p);
	p->unreadable++;
	places_end(p);
	assert_true(carries_name(ctx));
	places_begin(p);
	places_end(p);
	assert_false(carries_name(ctx));
	map_ctx_free(&ctx);
}

/* Of files: an environment comes and goes by itself. */
static void
what_no_row_describes_is_not_known_and_what_a_row_names_by_id_is_not_lacking(void **state)
{
	char *one[] = { (char *)(uintptr_t) "one" };
	char *e9[] = { (char *)(uintptr_t) "E9" };
	struct places p = { 0 };
	struct buf lack = { 0 };

	UNUSED(state);
	places_want(&p, &(struct places_wanted){ { one, 1, 0 }, { 0 }, true });
	assert_int_equal(places_owner(&p, NULL), NOT_OURS);
	assert_int_equal(places_owner(&p, "E1"), OWNER_UNKNOWN);
	fill(&p);
	assert_int_equal(places_owner(&p, "E1"), OURS);
	assert_int_equal(places_owner(&p, "E2"), NOT_OURS);
	assert_false(places_lack(&p, &lack));
	places_gone(&p, PLACE_ENVIRONMENT, "E1");
	assert_int_equal(places_owner(&p, "E1"), OWNER_UNKNOWN);
	assert_false(places_lack(&p, &lack)); /* E4 has that name too */
	places_gone(&p, PLACE_ENVIRONMENT, "E4");
	assert_true(places_lack(&p, &lack));
	assert_string_equal(buf_cstr(&lack), "the source has no environment one");
	places_reset(&p);
	places_want(&p, &(struct places_wanted){ { e9, 1, 0 }, { 0 }, false });
	assert_true(places_lack(&p, &lack));
	assert_int_equal(places_owner(&p, "E9"), OURS);
	assert_false(places_lack(&p, &lack));
	places_unname(&p);
	assert_true(places_lack(&p, &lack));
	places_reset(&p);
	buf_reset(&lack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			filters_choose_environments_and_one_that_matches_nothing_is_an_error),
		cmocka_unit_test(after_an_error_the_ids_of_before_stand),
		cmocka_unit_test(the_digest_is_of_the_rows_whatever_their_order),
		cmocka_unit_test(rows_that_cannot_be_read_are_none),
		cmocka_unit_test(a_name_is_forgotten_with_its_row_but_not_while_one_cannot_be_read),
		cmocka_unit_test(
			what_no_row_describes_is_not_known_and_what_a_row_names_by_id_is_not_lacking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
