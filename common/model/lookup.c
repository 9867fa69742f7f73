/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/lookup.h"

#include <string.h>

#include "common/base/digest.h"

#define SPELLED_MAX (6 * LOOKUP_TEXT_MAX + 2) /* each byte as \u00XX, and the quotes */

void lookup_make(struct lookup *out, enum lookup_by by, const char *ref, const char *text)
{
	const char *const texts[] = { ref, text };

	out->b[0] = (unsigned char)by;
	hash_texts(out->b + 1, texts, ARRAY_LEN(texts));
}

static bool is_text(struct json_span v)
{
	return json_type(v) == JSON_STRING && v.n > 2 && v.n <= SPELLED_MAX;
}

bool lookup_read(struct lookup_texts *out, enum kind k, struct json_span doc)
{
	static const char *const names[] = { "api", "apiProductId", "key", "clientId" };
	struct json_span v[ARRAY_LEN(names)];

	if (k != KIND_API_KEY && k != KIND_SUBSCRIPTION)
		return false;
	json_pick(doc, names, v, ARRAY_LEN(names));
	out->by = k == KIND_API_KEY ? LOOKUP_KEY : LOOKUP_CLIENT;
	out->ref = k == KIND_SUBSCRIPTION && json_is_null(v[0]) ? v[1] : v[0];
	out->text = k == KIND_API_KEY ? v[2] : v[3];
	return is_text(out->ref) && is_text(out->text);
}

/* Appends the text and a NUL. False when it is too long, or a NUL is in it. */
static bool add_text(struct buf *out, struct json_span v)
{
	size_t from = out->len;
	size_t n;

	json_unescape(v, out);
	n = out->len - from;
	buf_addc(out, '\0');
	return n <= LOOKUP_TEXT_MAX && strlen(out->data + from) == n;
}

bool lookup_of(struct lookup *out, enum kind k, const char *payload, size_t n)
{
	struct lookup_texts t;
	struct json_span doc;
	struct buf b = { 0 };
	bool found;

	if ((k != KIND_API_KEY && k != KIND_SUBSCRIPTION) || n > LOOKUP_PAYLOAD_MAX ||
	    json_check(payload, n, &doc, NULL) < 0 || !lookup_read(&t, k, doc))
		return false;
	found = add_text(&b, t.ref) && add_text(&b, t.text);
	if (found)
		lookup_make(out, t.by, b.data, b.data + strlen(b.data) + 1);
	buf_reset(&b);
	return found;
}
