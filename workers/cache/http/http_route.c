/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/http/http_route.h"

#include <string.h>

#include "common/base/cdefs.h"

bool http_decode(const char *s, size_t n, struct buf *out)
{
	size_t start = out->len;
	size_t i;

	for (i = 0; i < n; i++) {
		char c = s[i];

		if (c == '%') {
			int high = i + 2 < n ? str_hex_digit(s[i + 1]) : -1;
			int low = i + 2 < n ? str_hex_digit(s[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (c == '\0')
			return false;
		buf_addc(out, c);
	}
	return out->len == start || str_is_utf8(out->data + start, out->len - start);
}

enum http_path http_route(const char *path, struct buf *id)
{
	static const struct {
		const char *path;
		enum http_path what;
	} routes[] = { { "/_node", HTTP_NODE },
		       { "/_node/health", HTTP_HEALTH },
		       { "/_node/sync", HTTP_SYNC },
		       { "/_node/apis", HTTP_APIS } };
	static const char apis[] = "/_node/apis/";
	size_t n = strlen(path);
	size_t i;

	if (n > 1 && path[n - 1] == '/')
		n--;
	for (i = 0; i < ARRAY_LEN(routes); i++)
		if (strlen(routes[i].path) == n && memcmp(routes[i].path, path, n) == 0)
			return routes[i].what;
	if (!str_starts(path, apis) || memchr(path + strlen(apis), '/', n - strlen(apis)) != NULL)
		return HTTP_UNKNOWN;
	return http_decode(path + strlen(apis), n - strlen(apis), id) ? HTTP_API : HTTP_BAD;
}
