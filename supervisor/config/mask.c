/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/config/mask.h"

#include <string.h>

#define NAME_MAX_BYTES 64 /* decoded, of a parameter */
#define SEPARATORS     "?&;#, "

static bool is_encoded(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (s[i] == '%' &&
		    (i + 2 >= n || str_hex_digit(s[i + 1]) < 0 || str_hex_digit(s[i + 2]) < 0))
			return false;
	return true;
}

/* "host", "host:port", "[address]:port", several with commas. */
static bool are_hosts(const char *s, size_t n)
{
	while (n > 0) {
		const char *comma = memchr(s, ',', n);
		size_t len = comma == NULL ? n : (size_t)(comma - s);
		const char *close = s[0] == '[' ? memchr(s, ']', len) : NULL;
		const char *name_end = close == NULL ? s : close;
		const char *colon = memchr(name_end, ':', len - (size_t)(name_end - s));

		for (; colon != NULL && ++colon < s + len;)
			if (*colon < '0' || *colon > '9')
				return false;
		len += comma == NULL ? 0 : 1;
		s += len;
		n -= len;
	}
	return true;
}

/* What stands behind "://". Of JDBC's an @ behind the ? may be a user's, who has a parameter. */
static bool is_url(const char *s, size_t n, bool is_jdbc)
{
	const char *at = memchr(s, '@', n);
	const char *hosts = at == NULL ? s : at + 1;
	size_t seen = n + (is_jdbc ? strcspn(s + n, "?#") : strlen(s + n));

	return memrchr(s, '@', seen) == at && is_encoded(s, n) &&
	       are_hosts(hosts, n - (size_t)(hosts - s));
}

/* Returns how many bytes it has dealt with. */
static size_t mask_authority(struct buf *out, const char *s, bool is_jdbc)
{
	size_t n = strcspn(s, "/?#");
	const char *at;
	const char *colon;

	if (!is_url(s, n, is_jdbc)) {
		buf_adds(out, MASK);
		return strlen(s);
	}
	at = memchr(s, '@', n);
	colon = at == NULL ? NULL : memchr(s, ':', (size_t)(at - s));
	if (colon == NULL) {
		buf_add(out, s, n);
		return n;
	}
	buf_add(out, s, (size_t)(colon - s) + 1);
	buf_adds(out, MASK);
	return (size_t)(at - s);
}

/* Decoded; names that are longer than any are cut. */
static void decode_name(const char *s, size_t n, char out[NAME_MAX_BYTES])
{
	size_t len = 0;
	size_t i;

	for (i = 0; i < n && len < NAME_MAX_BYTES - 1; i++) {
		if (s[i] == '%' && is_encoded(s + i, MIN(n - i, 3))) {
			out[len++] = (char)(str_hex_digit(s[i + 1]) << 4 | str_hex_digit(s[i + 2]));
			i += 2;
		} else {
			out[len++] = s[i];
		}
	}
	out[len] = '\0';
}

/* authMechanismProperties of MongoDB hold AWS' session token among others. */
static bool is_secret_name(const char *s, size_t n)
{
	static const char *const words[] = { "password", "passwd", "pwd",
					     "secret",	 "token",  "authmechanismproperties" };
	char name[NAME_MAX_BYTES];
	unsigned i;

	decode_name(s, n, name);
	for (i = 0; i < ARRAY_LEN(words); i++)
		if (strcasestr(name, words[i]) != NULL)
			return true;
	return n >= NAME_MAX_BYTES;
}

/* Up to the next "name=": what has no = behind an & belongs to a value that is not encoded. */
static size_t value_length(const char *s)
{
	size_t n = strcspn(s, "&");

	while (s[n] == '&') {
		size_t next = n + 1 + strcspn(s + n + 1, "&=");

		if (s[next] == '=')
			break;
		n = next;
	}
	return n;
}

/* "name=value" up to the next parameter; 0: nothing to hide. */
static size_t mask_parameter(struct buf *out, const char *s)
{
	size_t n = strcspn(s, SEPARATORS "=");

	if (s[n] != '=' || !is_secret_name(s, n))
		return 0;
	buf_add(out, s, n + 1);
	buf_adds(out, MASK);
	return n + 1 + value_length(s + n + 1);
}

void mask_uri(struct buf *out, const char *text)
{
	bool is_jdbc = str_starts(text, "jdbc:");
	const char *s = text;

	while (*s != '\0') {
		size_t n = 0;

		if (s == text || strchr(SEPARATORS, s[-1]) != NULL)
			n = mask_parameter(out, s);
		if (n == 0 && str_starts(s, "://")) {
			buf_adds(out, "://");
			n = 3 + mask_authority(out, s + 3, is_jdbc);
		}
		if (n == 0)
			buf_addc(out, s[n++]);
		s += n;
	}
}
