/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/resp_kit.h"

#include <string.h>

const char *resp_put(struct buf *out, const char *p)
{
	size_t n;

	while (*p == ' ')
		p++;
	if (*p == '(') {
		struct buf inner = { 0 };
		size_t count = 0;

		for (p++; *p != ')'; count++) {
			p = resp_put(&inner, p);
			while (*p == ' ')
				p++;
		}
		buf_printf(out, "*%zu\r\n", count);
		buf_add(out, inner.data, inner.len);
		buf_reset(&inner);
		return p + 1;
	}
	n = strcspn(p, " ()");
	if (*p == '#')
		buf_printf(out, ":%.*s\r\n", (int)n - 1, p + 1);
	else if (n == 1 && *p == '-')
		buf_adds(out, "$-1\r\n");
	else if (n == 2 && memcmp(p, "''", 2) == 0)
		buf_adds(out, "$0\r\n\r\n");
	else
		buf_printf(out, "$%zu\r\n%.*s\r\n", n, (int)n, p);
	return p + n;
}
