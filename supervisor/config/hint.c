/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/config/hint.h"

#include <stdbool.h>
#include <string.h>

#define LINES_BACK_MAX 50

/* One line of the file. */
struct line {
	const char *s; /* from the first character that is not a blank */
	size_t n;
	size_t indent;
	bool tab; /* a tab among the blanks */
	bool content;
	unsigned number;
};

static bool line_at(const struct hint_input *in, unsigned number, struct line *out)
{
	const char *end = in->text + in->n;
	const char *s = in->text;
	const char *stop;
	unsigned i;

	if (in->n == 0 || number == 0)
		return false;
	for (i = 1; i < number; i++) {
		s = memchr(s, '\n', (size_t)(end - s));
		if (s == NULL || ++s == end)
			return false;
	}
	stop = memchr(s, '\n', (size_t)(end - s));
	if (stop == NULL)
		stop = end;
	*out = (struct line){ .number = number };
	while (s < stop && (*s == ' ' || *s == '\t')) {
		out->tab = out->tab || *s == '\t';
		out->indent++;
		s++;
	}
	out->s = s;
	out->n = (size_t)(stop - s);
	out->content = s < stop && *s != '#' && *s != '\r';
	return true;
}

/*
 * The nearest line with content before `number`. Each look at a line walks the file from
 * its start, so a file of nothing but blank lines must not be walked back to the end.
 */
static bool line_before(const struct hint_input *in, unsigned number, struct line *out)
{
	unsigned tries;

	for (tries = 0; tries < LINES_BACK_MAX && number > 1; tries++)
		if (line_at(in, --number, out) && out->content)
			return true;
	return false;
}

/* The length of `key` in "key: value" or "- key: value"; 0 when the line is no such thing. */
static size_t key_of(const struct line *l, bool item, const char **key)
{
	const char *s = l->s;
	size_t n = l->n;
	size_t i;

	if (item) {
		if (n < 3 || s[0] != '-' || s[1] != ' ')
			return 0;
		s += 2;
		n -= 2;
	}
	for (i = 0; i < n && i < 64; i++) {
		if (s[i] == ':' && (i + 1 == n || s[i + 1] == ' ' || s[i + 1] == '\r')) {
			*key = s;
			return i;
		}
		if (s[i] == ' ' || s[i] == '"' || s[i] == '#')
			return 0;
	}
	return 0;
}

/*
 * The mistake of the reference's published sample:
 *
 *	certificates:
 *	  - cert: a.pem
 *	key: a.key          <- meant for the item above
 *	  - cert: b.pem     <- here the parser gives up
 */
static bool stray_key_of_item(struct buf *out, const struct hint_input *in)
{
	struct line failed;
	struct line stray;
	struct line item;
	const char *stray_key = NULL;
	const char *item_key = NULL;
	size_t stray_n;
	size_t item_n;

	if (!line_at(in, in->line, &failed) || failed.n < 2 || failed.s[0] != '-')
		return false;
	if (!line_before(in, failed.number, &stray) || stray.indent >= failed.indent)
		return false;
	stray_n = key_of(&stray, false, &stray_key);
	if (stray_n == 0 || !line_before(in, stray.number, &item) || item.indent != failed.indent)
		return false;
	item_n = key_of(&item, true, &item_key);
	if (item_n == 0)
		return false;
	buf_printf(out,
		   "`%.*s` in line %u is at the indentation of the list and not part of the list "
		   "item above; indent it by %zu spaces, as `%.*s` in line %u",
		   (int)stray_n, stray_key, stray.number, item.indent + 2, (int)item_n, item_key,
		   item.number);
	return true;
}

static bool has_tab(struct buf *out, const struct hint_input *in)
{
	struct line l;

	if (!line_at(in, in->line, &l) || !l.tab)
		return false;
	buf_adds(out, "the line is indented with a tab, and YAML allows spaces only");
	return true;
}

static bool deeper_than_value(struct buf *out, const struct hint_input *in)
{
	struct line l;
	struct line before;

	if (strstr(in->problem, "mapping values are not allowed") == NULL)
		return false;
	if (line_at(in, in->line, &l) && line_before(in, in->line, &before) &&
	    l.indent > before.indent && before.n > 0 && before.s[before.n - 1] != ':') {
		buf_printf(out,
			   "this line is indented deeper than line %u, which already has a value; "
			   "give both the same indentation, or take the value away",
			   before.number);
		return true;
	}
	buf_adds(out, "a value with a colon and a space in it must be quoted: key: \"a: b\"");
	return true;
}

static bool open_quote(struct buf *out, const struct hint_input *in)
{
	if (strstr(in->problem, "unexpected end of stream") == NULL &&
	    strstr(in->problem, "unexpected document indicator") == NULL)
		return false;
	buf_printf(out, "the quote or bracket opened in line %u is never closed", in->context_line);
	return true;
}

static bool wrong_indent(struct buf *out, const struct hint_input *in)
{
	struct line first;
	struct line l;

	if (strstr(in->problem, "did not find expected") == NULL || !line_at(in, in->line, &l) ||
	    !line_at(in, in->context_line, &first))
		return false;
	buf_printf(out,
		   "check the indentation: this line begins after %zu spaces, the block it stands "
		   "in began in line %u after %zu",
		   l.indent, first.number, first.indent);
	return true;
}

void hint_for(struct buf *out, const struct hint_input *in)
{
	if (stray_key_of_item(out, in) || has_tab(out, in) || deeper_than_value(out, in) ||
	    open_quote(out, in) || wrong_indent(out, in))
		return;
	if (strstr(in->problem, "cannot start any token") != NULL)
		buf_adds(out, "a value that begins with %, @ or ` must be quoted");
	else if (strstr(in->problem, "UTF-8") != NULL || strstr(in->problem, "control") != NULL)
		buf_adds(out, "save the file as UTF-8 text");
	else
		buf_adds(out,
			 "check the indentation and the quotes of this line and the one before");
}
