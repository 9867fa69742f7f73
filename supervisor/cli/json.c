/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/json.h"

#include <inttypes.h>
#include <string.h>

static void add_quoted(struct buf *b, const char *s)
{
	size_t n = strlen(s);
	size_t i = 0;

	buf_addc(b, '"');
	while (i < n)
		i += str_quote(b, s + i, n - i);
	buf_addc(b, '"');
}

static void begin(struct buf *b, const char *key)
{
	char last = b->len == 0 ? '\n' : b->data[b->len - 1];

	if (last != '{' && last != '[' && last != '\n')
		buf_addc(b, ',');
	if (key != NULL) {
		add_quoted(b, key);
		buf_addc(b, ':');
	}
}

void json_open(struct buf *b, const char *key, char bracket)
{
	begin(b, key);
	buf_addc(b, bracket);
}

void json_close(struct buf *b, char bracket)
{
	buf_addc(b, bracket);
}

void json_str(struct buf *b, const char *key, const char *v)
{
	begin(b, key);
	add_quoted(b, v == NULL ? "" : v);
}

void json_int(struct buf *b, const char *key, int64_t v)
{
	begin(b, key);
	buf_addi(b, v);
}

void json_uint(struct buf *b, const char *key, uint64_t v)
{
	begin(b, key);
	buf_printf(b, "%" PRIu64, v);
}

void json_bool(struct buf *b, const char *key, bool v)
{
	begin(b, key);
	buf_adds(b, v ? "true" : "false");
}

void json_null(struct buf *b, const char *key)
{
	begin(b, key);
	buf_adds(b, "null");
}
