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
static void check(enum kind k, const char *p, size_t n)
{
	struct lookup_texts t;
	struct json_span doc = { 0 };
	struct lookup found;
	struct lookup asked;
	char *ref;
	char *text;

	if (!lookup_of(&found, k, p, n))
		return;
	CHECK(json_check(p, n, &doc, NULL) == 0 && lookup_read(&t, k, doc));
	ref = text_of(t.ref);
	text = text_of(t.text);
	/* A NUL in a text ends it for whoever asks, so such a one is not found. */
	if (strlen(ref) + strlen(text) > 0 && memchr(t.ref.p, '\\', t.ref.n) == NULL &&
	    memchr(t.text.p, '\\', t.text.n) == NULL) {
		lookup_make(&asked, t.by, ref, text);
		CHECK(memcmp(&asked, &found, sizeof(asked)) == 0);
	}
	mem_free(ref);
	mem_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned k;

	for (k = 0; k < KIND__COUNT; k++)
		check((enum kind)k, (const char *)data, size);
	return 0;
}
