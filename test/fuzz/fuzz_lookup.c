/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/model/lookup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *text_of(struct json_span v)
{
	struct buf b = { 0 };

	json_unescape(v, &b);
	return buf_take(&b);
}

/* What an event is found under is what a client asks for with its own texts. */
static void check_texts(enum kind k, const char *p, size_t n, const struct lookup *found)
{
	struct lookup_texts t;
	struct json_span doc = { 0 };
	struct lookup asked;
	char *ref;
	char *text;

	CHECK(json_check(p, n, &doc, NULL) == 0 && lookup_read(&t, k, doc));
	ref = text_of(t.ref);
	text = text_of(t.text);
	/* A NUL in a text ends it for whoever asks, so such a one is not found. */
	if (strlen(ref) + strlen(text) > 0 && memchr(t.ref.p, '\\', t.ref.n) == NULL &&
	    memchr(t.text.p, '\\', t.text.n) == NULL) {
		lookup_make(&asked, t.by, ref, text);
		CHECK(memcmp(&asked, found, sizeof(asked)) == 0);
	}
	mem_free(ref);
	mem_free(text);
}

static bool contains(const struct lookups *l, const struct lookup *wanted)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (memcmp(&l->v[i], wanted, sizeof(*wanted)) == 0)
			return true;
	return false;
}

/* An API that a product says it holds is one it is found by. */
static void check_members(const char *p, size_t n, const struct lookups *found)
{
	struct json_span doc = { 0 };
	struct lookup asked;
	struct json_iter it;

	CHECK(json_check(p, n, &doc, NULL) == 0);
	json_iter_init(&it, json_get(doc, "apiIds"));
	while (json_next(&it)) {
		char *api;

		if (json_type(it.value) != JSON_STRING || it.value.n <= 2 ||
		    memchr(it.value.p, '\\', it.value.n) != NULL)
			continue;
		api = text_of(it.value);
		lookup_make(&asked, LOOKUP_MEMBER, api, "");
		CHECK(contains(found, &asked));
		CHECK(lookup_holds(doc, api));
		mem_free(api);
	}
}

static void check(enum kind k, const char *p, size_t n)
{
	struct lookups found = { 0 };

	lookups_of(&found, k, p, n);
	if (found.n > 0 && k == KIND_API_PRODUCT) {
		check_members(p, n, &found);
	} else if (found.n > 0) {
		CHECK(found.n == 1);
		check_texts(k, p, n, &found.v[0]);
	}
	lookups_reset(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned k;

	for (k = 0; k < KIND__COUNT; k++)
		check((enum kind)k, (const char *)data, size);
	return 0;
}
