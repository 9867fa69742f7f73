/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "workers/fetcher/source/places.h"

static struct json_span text(const char *s)
{
	return (struct json_span){ s, strlen(s) };
}

static void environment(struct places *p, struct map_ctx *ctx, const char *row)
{
	assert_int_equal(places_environment(p, ctx, text(row), NULL), 0);
}

static void organization(struct places *p, struct map_ctx *ctx, const char *row)
{
	assert_int_equal(places_organization(p, ctx, text(row), NULL), 0);
}

static void fill(struct places *p, struct map_ctx *ctx)
{
	places_begin(p);
	environment(p, ctx, "{\"id\":\"E1\",\"hrids\":[\"one\"],\"organizationId\":\"O1\"}");
	environment(p, ctx,
		    "{\"id\":\"E2\",\"hrids\":[\"two\",\"zwei\"],\"organizationId\":\"O1\"}");
	environment(p, ctx, "{\"id\":\"E3\",\"organizationId\":\"O2\"}");
	environment(p, ctx, "{\"id\":\"E4\",\"hrids\":[\"one\"]}");
	organization(p, ctx, "{\"id\":\"O1\",\"hrids\":[\"o1\"]}");
	organization(p, ctx, "{\"id\":\"O2\",\"hrids\":[\"o2\",\"o9\"]}");
	organization(p, ctx, "{\"id\":\"O3\",\"hrids\":[\"o3\"]}");
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

	for (i = 0; i < p->n_ids; i++) {
		assert_non_null(strstr(want, p->ids[i]));
		bytes += strlen(p->ids[i]) + 1;
	}
	assert_int_equal(bytes, strlen(want));
}

static void check_organizations(const struct places *p, const char *want)
{
	struct buf seen = { 0 };
	size_t i;

	for (i = 0; i < p->n_organization_ids; i++)
		buf_printf(&seen, "%s ", p->organization_ids[i]);
	assert_string_equal(buf_cstr(&seen), want);
	buf_reset(&seen);
}

static void filters_choose_environments_and_one_that_matches_nothing_is_an_error(void **state)
{
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(filters); i++) {
		const struct filter *f = &filters[i];
		struct map_ctx *ctx = map_ctx_create(NULL, 0, NULL, 0);
		char *environments[4];
		char *organizations[4];
		struct places p = { 0 };
		struct err e = { 0 };

		p.wanted =
			(struct places_wanted){ environments, list(f->environments, environments),
						organizations,
						list(f->organizations, organizations), !f->by_ids };
		fill(&p, ctx);
		assert_int_equal(places_resolve(&p, &e), f->want == NULL ? ERR_STATE : 0);
		check_ids(&p, f->want == NULL ? "" : f->want);
		check_organizations(&p, f->organizations_of);
		places_reset(&p);
		map_ctx_free(&ctx);
	}
}

static void after_an_error_the_ids_of_before_stand(void **state)
{
	char *environments[] = { (char *)(uintptr_t) "one" };
	struct map_ctx *ctx = map_ctx_create(NULL, 0, NULL, 0);
	struct places p = { .wanted = { environments, 1, NULL, 0, true } };
	struct err e = { 0 };

	UNUSED(state);
	fill(&p, ctx);
	assert_int_equal(places_resolve(&p, &e), 0);
	places_begin(&p);
	assert_int_equal(places_resolve(&p, &e), ERR_STATE);
	check_ids(&p, "E1 E4 ");
	places_reset(&p);
	map_ctx_free(&ctx);
}

static void the_digest_is_of_the_rows_whatever_their_order(void **state)
{
	struct map_ctx *ctx = map_ctx_create(NULL, 0, NULL, 0);
	struct places p = { 0 };
	char *first, *again, *swapped, *unsure;

	UNUSED(state);
	environment(&p, ctx, "{\"id\":\"A\",\"name\":\"1\"}");
	organization(&p, ctx, "{\"id\":\"B\"}");
	environment(&p, ctx, "{\"id\":\"C\"}");
	first = places_digest(&p);
	places_begin(&p);
	environment(&p, ctx, "{\"id\":\"C\"}");
	environment(&p, ctx, "{\"id\":\"A\",\"name\":\"1\"}");
	organization(&p, ctx, "{\"id\":\"B\"}");
	again = places_digest(&p);
	assert_string_equal(first, again);
	places_unreadable(&p);
	unsure = places_digest(&p);
	assert_string_not_equal(first, unsure);
	places_begin(&p);
	environment(&p, ctx, "{\"id\":\"C\"}");
	environment(&p, ctx, "{\"id\":\"B\"}");
	organization(&p, ctx, "{\"id\":\"A\",\"name\":\"1\"}");
	swapped = places_digest(&p);
	assert_string_not_equal(first, swapped);
	mem_free(first);
	mem_free(again);
	mem_free(swapped);
	mem_free(unsure);
	places_reset(&p);
	map_ctx_free(&ctx);
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
	struct map_ctx *ctx = map_ctx_create(NULL, 0, NULL, 0);
	struct places p = { 0 };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };

		assert_int_equal(places_environment(&p, ctx, text(bad[i]), &e), ERR_PARSE);
		assert_int_equal(p.environments.len, 0);
	}
	places_reset(&p);
	map_ctx_free(&ctx);
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
	struct places p = { 0 };

	UNUSED(state);
	environment(&p, ctx, "{\"id\":\"E\",\"hrids\":[\"name\",\"other\"]}");
	places_apply(&p, ctx);
	assert_true(carries_name(ctx));
	places_begin(&p);
	places_unreadable(&p);
	places_apply(&p, ctx);
	assert_true(carries_name(ctx));
	places_begin(&p);
	places_apply(&p, ctx);
	assert_false(carries_name(ctx));
	places_reset(&p);
	map_ctx_free(&ctx);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
