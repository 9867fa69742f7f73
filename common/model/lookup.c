/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/lookup.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/mem.h"

void lookup_make(struct lookup *out, enum lookup_by by, const char *ref, const char *text)
{
	const char *const texts[] = { ref, text };

	out->b[0] = (unsigned char)by;
	hash_texts(out->b + 1, texts, ARRAY_LEN(texts));
}

static bool is_text(struct json_span v)
{
	return json_type(v) == JSON_STRING && v.n > 2;
}

bool lookup_read(struct lookup_texts *out, enum kind k, struct json_span doc)
{
	static const char *const names[] = { "api", "apiProductId", "key", "clientId" };
	struct json_span v[ARRAY_LEN(names)];

	if (k != KIND_API_KEY && k != KIND_SUBSCRIPTION)
		return false;
	json_pick(doc, names, v, ARRAY_LEN(names));
	out->by = k == KIND_API_KEY ? LOOKUP_KEY : LOOKUP_CLIENT;
	out->product = k == KIND_SUBSCRIPTION && json_is_null(v[0]);
	out->ref = out->product ? v[1] : v[0];
	out->text = k == KIND_API_KEY ? v[2] : v[3];
	return is_text(out->ref) && is_text(out->text);
}

bool lookup_holds(struct json_span doc, const char *api)
{
	struct json_iter it;

	json_iter_init(&it, json_get(doc, "apiIds"));
	while (json_next(&it))
		if (json_equals(it.value, api))
			return true;
	return false;
}

/* Appends the text and a NUL. False when a NUL is in it. */
static bool add_text(struct buf *out, struct json_span v)
{
	size_t from = out->len;
	size_t n;

	json_unescape(v, out);
	n = out->len - from;
	buf_addc(out, '\0');
	return strlen(out->data + from) == n;
}

static void append(struct lookups *out, enum lookup_by by, const char *ref, const char *text)
{
	out->v = mem_grow(out->v, &out->cap, out->n + 1, sizeof(*out->v));
	lookup_make(&out->v[out->n++], by, ref, text);
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, LOOKUP_BYTES);
}

static void add_members(struct lookups *out, struct json_span doc)
{
	struct lookups made = { 0 };
	struct json_iter it;
	struct buf b = { 0 };
	size_t i;

	json_iter_init(&it, json_get(doc, "apiIds"));
	while (json_next(&it)) {
		buf_clear(&b);
		if (is_text(it.value) && add_text(&b, it.value))
			append(&made, LOOKUP_MEMBER, b.data, "");
	}
	buf_reset(&b);
	if (made.n > 0)
		qsort(made.v, made.n, sizeof(*made.v), by_bytes);
	for (i = 0; i < made.n; i++) {
		if (i > 0 && by_bytes(&made.v[i - 1], &made.v[i]) == 0)
			continue;
		out->v = mem_grow(out->v, &out->cap, out->n + 1, sizeof(*out->v));
		out->v[out->n++] = made.v[i];
	}
	lookups_reset(&made);
}

void lookups_of(struct lookups *out, enum kind k, const char *payload, size_t n)
{
	struct lookup_texts t;
	struct json_span doc;
	struct buf b = { 0 };

	if ((k != KIND_API_PRODUCT && k != KIND_API_KEY && k != KIND_SUBSCRIPTION) ||
	    json_check(payload, n, &doc, NULL) < 0)
		return;
	if (k == KIND_API_PRODUCT)
		add_members(out, doc);
	else if (lookup_read(&t, k, doc) && add_text(&b, t.ref) && add_text(&b, t.text))
		append(out, t.by, b.data, b.data + strlen(b.data) + 1);
	buf_reset(&b);
}

void lookups_reset(struct lookups *l)
{
	mem_free(l->v);
	*l = (struct lookups){ 0 };
}
