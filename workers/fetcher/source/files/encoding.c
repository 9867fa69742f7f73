/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/files/encoding.h"

#include <stdint.h>
#include <string.h>

struct utf16 {
	const unsigned char *p;
	size_t n; /* bytes */
	bool big; /* the high byte of a unit stands first */
};

static uint32_t unit(const struct utf16 *u, size_t at)
{
	return u->big ? (uint32_t)u->p[at] << 8 | u->p[at + 1]
		      : (uint32_t)u->p[at + 1] << 8 | u->p[at];
}

static void add_character(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_addc(out, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_addc(out, (char)(0xc0 | c >> 6));
	} else if (c < 0x10000) {
		buf_addc(out, (char)(0xe0 | c >> 12));
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
	} else {
		buf_addc(out, (char)(0xf0 | c >> 18));
		buf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_addc(out, (char)(0x80 | (c & 0x3f)));
}

/* False: half a unit, or half a pair of surrogates. */
static bool convert(const struct utf16 *u, struct buf *out)
{
	size_t at;

	if (u->n % 2 != 0)
		return false;
	for (at = 0; at < u->n; at += 2) {
		uint32_t c = unit(u, at);
		uint32_t low;

		if (c < 0xd800 || c > 0xdfff) {
			add_character(out, c);
			continue;
		}
		if (c > 0xdbff || at + 4 > u->n)
			return false;
		low = unit(u, at + 2);
		if (low < 0xdc00 || low > 0xdfff)
			return false;
		add_character(out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
		at += 2;
	}
	return true;
}

int encoding_to_utf8(struct buf *text, struct err *e)
{
	const unsigned char *p = (const unsigned char *)text->data;
	struct buf out = { 0 };
	struct utf16 u;

	if (text->len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		buf_drop(text, 3);
	if (text->len < 2 || (memcmp(p, "\xfe\xff", 2) != 0 && memcmp(p, "\xff\xfe", 2) != 0))
		return 0;
	u = (struct utf16){ p + 2, text->len - 2, p[0] == 0xfe };
	if (!convert(&u, &out)) {
		buf_reset(&out);
		return err_set(e, ERR_PARSE,
			       "it begins as UTF-16, and is broken; save it as UTF-8 text");
	}
	buf_reset(text);
	*text = out;
	return 0;
}
