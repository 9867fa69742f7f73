/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json/write.h"

#include <inttypes.h>
#include <string.h>

/* The letter that stands for a character behind a backslash; 0: it has none. */
static const char letters[256] = {
	['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\t'] = 't',
	['\n'] = 'n', ['\f'] = 'f',  ['\r'] = 'r',
};

void json_write_string(struct buf *b, const char *p, size_t n)
{
	size_t from = 0;
	size_t i;

	buf_reserve(b, n + 2);
	buf_addc(b, '"');
	for (i = str_plain_run(p, n); i < n; i++, i += str_plain_run(p + i, n - i)) {
		unsigned char c = (unsigned char)p[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(b, p + from, i - from);
		from = i + 1;
		if (letters[c] != 0)
			buf_add(b, (const char[]){ '\\', letters[c] }, 2);
		else
			buf_printf(b, "\\u%04X", c);
	}
	if (n > from)
		buf_add(b, p + from, n - from);
	buf_addc(b, '"');
}

void json_write_shown(struct buf *b, const char *s)
{
	size_t n = strlen(s);

	buf_addc(b, '"');
	while (n > 0) {
		size_t len = str_quote(b, s, n);

		s += len;
		n -= len;
	}
	buf_addc(b, '"');
}

void json_write_comma(struct buf *b)
{
	char last;

	CHECK(b->len > 0); /* an element stands inside something */
	last = b->data[b->len - 1];
	if (last != '{' && last != '[' && last != ':')
		buf_addc(b, ',');
}

void json_write_name(struct buf *b, const char *name)
{
	json_write_comma(b);
	if (name == NULL)
		return;
	json_write_string(b, name, strlen(name));
	buf_addc(b, ':');
}

void json_open(struct buf *b, const char *name, char bracket)
{
	json_write_name(b, name);
	buf_addc(b, bracket);
}

void json_add_str(struct buf *b, const char *name, const char *v)
{
	if (v == NULL)
		return;
	json_write_name(b, name);
	json_write_string(b, v, strlen(v));
}

void json_add_shown(struct buf *b, const char *name, const char *v)
{
	json_write_name(b, name);
	json_write_shown(b, v);
}

void json_add_i64(struct buf *b, const char *name, int64_t v)
{
	json_write_name(b, name);
	buf_addi(b, v);
}

void json_add_u64(struct buf *b, const char *name, uint64_t v)
{
	json_write_name(b, name);
	buf_printf(b, "%" PRIu64, v);
}

void json_add_bool(struct buf *b, const char *name, bool v)
{
	json_write_name(b, name);
	buf_adds(b, v ? "true" : "false");
}

void json_add_null(struct buf *b, const char *name)
{
	json_write_name(b, name);
	buf_adds(b, "null");
}

void json_add_span(struct buf *b, const char *name, struct json_span v)
{
	if (json_is_null(v))
		return;
	json_write_name(b, name);
	json_compact(v, b);
}

void json_write_respelled(struct buf *b, struct json_span v)
{
	struct buf text = { 0 };

	if (json_type(v) != JSON_STRING) {
		json_compact(v, b);
		return;
	}
	json_unescape(v, &text);
	json_write_string(b, text.data, text.len);
	buf_reset(&text);
}
