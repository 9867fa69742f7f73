/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/tags.h"

#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"

#define FOLD_FIRST 0xc0u

/* What U+00C0 to U+017F are equal to; "" is only itself. */
/* clang-format off */
static const char fold[][3] = {
	/* U+00C0 */ "a", "a", "a", "a", "a", "a", "ae", "c",
	/* U+00C8 */ "e", "e", "e", "e", "i", "i", "i", "i",
	/* U+00D0 */ "\xc3\xb0", "n", "o", "o", "o", "o", "o", "",
	/* U+00D8 */ "", "u", "u", "u", "u", "y", "th", "ss",
	/* U+00E0 */ "a", "a", "a", "a", "a", "a", "ae", "c",
	/* U+00E8 */ "e", "e", "e", "e", "i", "i", "i", "i",
	/* U+00F0 */ "", "n", "o", "o", "o", "o", "o", "",
	/* U+00F8 */ "", "u", "u", "u", "u", "y", "th", "y",
	/* U+0100 */ "a", "a", "a", "a", "a", "a", "c", "c",
	/* U+0108 */ "c", "c", "c", "c", "c", "c", "d", "d",
	/* U+0110 */ "", "", "e", "e", "e", "e", "e", "e",
	/* U+0118 */ "e", "e", "e", "e", "g", "g", "g", "g",
	/* U+0120 */ "g", "g", "g", "g", "h", "h", "", "",
	/* U+0128 */ "i", "i", "i", "i", "i", "i", "i", "i",
	/* U+0130 */ "i", "", "", "", "j", "j", "k", "k",
	/* U+0138 */ "", "l", "l", "l", "l", "l", "l", "",
	/* U+0140 */ "", "", "", "n", "n", "n", "n", "n",
	/* U+0148 */ "n", "", "", "", "o", "o", "o", "o",
	/* U+0150 */ "o", "o", "oe", "oe", "r", "r", "r", "r",
	/* U+0158 */ "r", "r", "s", "s", "s", "s", "s", "s",
	/* U+0160 */ "s", "s", "t", "t", "t", "t", "", "",
	/* U+0168 */ "u", "u", "u", "u", "u", "u", "u", "u",
	/* U+0170 */ "u", "u", "u", "u", "w", "w", "y", "y",
	/* U+0178 */ "y", "z", "z", "z", "z", "z", "z", "",
};
/* clang-format on */

/* Characters that the collator passes over. */
static const struct {
	uint32_t from;
	uint32_t to;
} ignored[] = {
	{ 0x00, 0x20 },	    { '-', '-' },	{ 0x7f, 0xa0 },	    { 0xad, 0xad },
	{ 0x300, 0x345 },   { 0x360, 0x361 },	{ 0x483, 0x486 },   { 0x2000, 0x2015 },
	{ 0x20d0, 0x20e1 }, { 0x2212, 0x2212 }, { 0x3000, 0x3000 }, { 0xfeff, 0xfeff },
};

static uint32_t decode(const char *s, size_t len)
{
	static const unsigned char mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t cp;
	size_t i;

	CHECK(len > 0 && len < ARRAY_LEN(mask));
	cp = (unsigned char)s[0] & mask[len];
	for (i = 1; i < len; i++)
		cp = cp << 6 | ((unsigned char)s[i] & 0x3f);
	return cp;
}

static bool is_ignored(uint32_t cp)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(ignored); i++)
		if (cp >= ignored[i].from && cp <= ignored[i].to)
			return true;
	return false;
}

void tag_fold(struct buf *out, const char *s, size_t n)
{
	size_t i = 0;

	while (i < n) {
		size_t len = str_utf8_len(s + i, n - i);
		uint32_t cp = len == 0 ? (unsigned char)s[i] : decode(s + i, len);

		if (len == 0)
			len = 1;
		if (cp >= 'A' && cp <= 'Z')
			buf_addc(out, (char)(cp + 32));
		else if (cp >= FOLD_FIRST && cp - FOLD_FIRST < ARRAY_LEN(fold) &&
			 fold[cp - FOLD_FIRST][0] != '\0')
			buf_adds(out, fold[cp - FOLD_FIRST]);
		else if (!is_ignored(cp))
			buf_add(out, s + i, len);
		i += len;
	}
}

static void append(struct map_ids *l, const char *tag)
{
	struct buf b = { 0 };

	tag_fold(&b, tag, strlen(tag));
	map_ids_take(l, buf_take(&b));
}

void tag_rules_add(struct tag_rules *r, const char *tag)
{
	if (tag[0] == '!' && tag[1] != '\0')
		append(&r->exclude, tag + 1);
	else if (tag[0] != '\0' && tag[0] != '!')
		append(&r->include, tag);
}

void tag_rules_reset(struct tag_rules *r)
{
	map_ids_reset(&r->include);
	map_ids_reset(&r->exclude);
}

static bool among(const struct map_ids *l, const struct buf *tag)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strlen(l->v[i]) == tag->len && memcmp(l->v[i], tag->data, tag->len) == 0)
			return true;
	return false;
}

void tag_vote_add(const struct tag_rules *r, struct tag_vote *v, struct json_span tag)
{
	struct buf text = { 0 };
	struct buf folded = { 0 };

	if (json_type(tag) != JSON_STRING)
		return;
	json_unescape(tag, &text);
	tag_fold(&folded, text.data, text.len);
	(void)buf_cstr(&folded); /* an empty tag has bytes to compare, too */
	v->included = v->included || among(&r->include, &folded);
	v->excluded = v->excluded || among(&r->exclude, &folded);
	buf_reset(&text);
	buf_reset(&folded);
}

bool tag_vote_decide(const struct tag_rules *r, const struct tag_vote *v)
{
	return (r->include.n == 0 || v->included) && !v->excluded;
}

bool tags_match(const struct tag_rules *r, struct json_span tags)
{
	struct tag_vote v = { 0 };
	struct json_iter it;

	if (json_type(tags) == JSON_ARRAY) {
		json_iter_init(&it, tags);
		while (json_next(&it))
			tag_vote_add(r, &v, it.value);
	}
	return tag_vote_decide(r, &v);
}
