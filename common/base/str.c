/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/str.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

void buf_reset(struct buf *b)
{
	mem_free(b->data);
	*b = (struct buf){ 0 };
}

void buf_clear(struct buf *b)
{
	b->len = 0;
}

void buf_reserve(struct buf *b, size_t more)
{
	CHECK(more < SIZE_MAX / 4 - b->len);
	b->data = mem_grow(b->data, &b->cap, b->len + more, 1);
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	buf_reserve(b, n);
	memcpy(b->data + b->len, p, n);
	b->len += n;
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_addi(struct buf *b, int64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%" PRId64, v);

	buf_add(b, text, (size_t)n);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	CHECK(n >= 0);
	buf_reserve(b, (size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void buf_drop(struct buf *b, size_t n)
{
	CHECK(n <= b->len);
	if (n == 0)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

const char *buf_cstr(struct buf *b)
{
	buf_reserve(b, 1);
	b->data[b->len] = '\0';
	return b->data;
}

char *buf_take(struct buf *b)
{
	char *s;

	(void)buf_cstr(b);
	s = b->data;
	*b = (struct buf){ 0 };
	return s;
}

bool str_equal(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

int str_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool str_lists(const char *words, const char *s, size_t n)
{
	for (; *words != '\0'; words += strspn(words, " ")) {
		size_t len = strcspn(words, " ");

		if (len == n && memcmp(words, s, n) == 0)
			return true;
		words += len;
	}
	return false;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s);
	size_t m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/* Bytes of s, n or a few less, that do not end inside a character. */
static size_t whole(const char *s, size_t n)
{
	size_t back;

	for (back = 1; back < 4 && back <= n; back++) {
		unsigned char c = (unsigned char)s[n - back];

		if (c >= 0xc0)
			return back < (c >= 0xf0 ? 4U : c >= 0xe0 ? 3U : 2U) ? n - back : n;
		if (c < 0x80)
			break;
	}
	return n;
}

void str_copy(char *dst, size_t n, const char *src)
{
	size_t len = strlen(src);

	CHECK(n > 0);
	if (len >= n)
		len = whole(src, n - 1);
	memcpy(dst, src, len);
	dst[len] = '\0';
}

void str_mend(char *dst, size_t n, const char *src)
{
	size_t left = strlen(src);
	size_t at = 0;

	CHECK(n > 0);
	while (left > 0) {
		size_t len = str_utf8_len(src, left);
		size_t room = len == 0 ? 4 : len;

		if (at + room >= n)
			break;
		if (len == 0)
			(void)snprintf(dst + at, n - at, "\\x%02x", (unsigned char)*src);
		else
			memcpy(dst + at, src, len);
		at += room;
		src += MAX(len, 1);
		left -= MAX(len, 1);
	}
	dst[at] = '\0';
}

void str_vprint(char *dst, size_t n, const char *fmt, va_list ap)
{
	char raw[STR_PRINT_BYTES];
	int len = vsnprintf(raw, sizeof(raw), fmt, ap);

	CHECK(len >= 0);
	if ((size_t)len >= sizeof(raw))
		raw[whole(raw, sizeof(raw) - 1)] = '\0';
	str_mend(dst, n, raw);
}

void str_print(char *dst, size_t n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_vprint(dst, n, fmt, ap);
	va_end(ap);
}

bool str_to_u64(const char *s, size_t n, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	if (n == 0 || n > 20)
		return false;
	for (i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, 10U, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s[i] - '0'), &v))
			return false;
	}
	*out = v;
	return true;
}

bool str_to_i64(const char *s, size_t n, int64_t *out)
{
	bool minus = n > 0 && s[0] == '-';
	uint64_t v;

	if (!str_to_u64(s + (minus ? 1 : 0), n - (minus ? 1 : 0), &v) || v > INT64_MAX)
		return false;
	*out = minus ? -(int64_t)v : (int64_t)v;
	return true;
}

void str_hex(char *out, const void *p, size_t n)
{
	static const char digit[] = "0123456789abcdef";
	const unsigned char *b = p;
	size_t i;

	for (i = 0; i < n; i++) {
		out[2 * i] = digit[b[i] >> 4];
		out[2 * i + 1] = digit[b[i] & 15];
	}
	out[2 * n] = '\0';
}

int str_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t str_utf8_len(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t len;
	size_t i;

	if (n == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (len > n)
		return 0;
	/* Overlong forms, surrogates and what lies above U+10FFFF (RFC 3629 section 4). */
	if (p[0] == 0xe0)
		low = 0xa0;
	if (p[0] == 0xf0)
		low = 0x90;
	if (p[0] == 0xed)
		high = 0x9f;
	if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

#define EACH(byte) ((uint64_t)(byte)*0x0101010101010101U)

/* One of eight bytes is below 0x20, above 0x7f, a quote or a backslash: a subtraction that
   borrows sets the high bit of its byte, and of bytes behind that one. */
static bool has_special(uint64_t w)
{
	return ((w | (w - EACH(0x20)) | ((w ^ EACH('"')) - EACH(1)) |
		 ((w ^ EACH('\\')) - EACH(1))) &
		EACH(0x80)) != 0;
}

size_t str_plain_run(const char *s, size_t n)
{
	size_t i = 0;
	uint64_t w;

	for (; n - i >= sizeof(w); i += sizeof(w)) {
		memcpy(&w, s + i, sizeof(w));
		if (has_special(w))
			break;
	}
	while (i < n && s[i] >= 0x20 && (unsigned char)s[i] < 0x80 && s[i] != '"' && s[i] != '\\')
		i++;
	return i;
}

bool str_is_utf8(const char *s, size_t n)
{
	size_t i = str_plain_run(s, n);

	while (i < n) {
		size_t len = str_utf8_len(s + i, n - i);

		if (len == 0)
			return false;
		i += len;
		i += str_plain_run(s + i, n - i);
	}
	return true;
}

static uint32_t code_point(const char *s, size_t len)
{
	static const unsigned char lead[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = (unsigned char)s[0] & lead[len];
	size_t i;

	for (i = 1; i < len; i++)
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	return c;
}

bool str_is_shown(const char *s, size_t len)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{ 0, 0x1f },	    { 0x7f, 0x9f },	{ 0xad, 0xad },	      { 0x61c, 0x61c },
		{ 0x180e, 0x180e }, { 0x200b, 0x200f }, { 0x2028, 0x202e },   { 0x2060, 0x206f },
		{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
	};
	uint32_t c = code_point(s, len);
	unsigned i;

	for (i = 0; i < ARRAY_LEN(hidden); i++)
		if (c >= hidden[i].first && c <= hidden[i].last)
			return false;
	return true;
}

static void add_escape(struct buf *b, uint32_t c)
{
	if (c == '\n' || c == '\t')
		buf_adds(b, c == '\n' ? "\\n" : "\\t");
	else if (c < 0x10000)
		buf_printf(b, "\\u%04x", c);
	else
		buf_printf(b, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
}

size_t str_quote(struct buf *b, const char *s, size_t n)
{
	size_t len = str_utf8_len(s, n);

	if (len == 0)
		buf_adds(b, "\\ufffd");
	else if (*s == '"' || *s == '\\')
		buf_printf(b, "\\%c", *s);
	else if (!str_is_shown(s, len))
		add_escape(b, code_point(s, len));
	else
		buf_add(b, s, len);
	return MAX(len, 1);
}

unsigned str_distance(const char *a, const char *b)
{
	unsigned row[64];
	size_t n = strlen(a);
	size_t m = strlen(b);
	size_t i;
	size_t j;

	if (n >= ARRAY_LEN(row) || m >= ARRAY_LEN(row))
		return UINT32_MAX;
	for (j = 0; j <= m; j++)
		row[j] = (unsigned)j;
	for (i = 1; i <= n; i++) {
		unsigned diag = row[0];

		row[0] = (unsigned)i;
		for (j = 1; j <= m; j++) {
			unsigned sub = diag + (a[i - 1] == b[j - 1] ? 0 : 1);

			diag = row[j];
			row[j] = MIN(sub, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[m];
}
