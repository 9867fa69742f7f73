/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/config/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/str.h"

#define TEXT_MAX_BYTES 1024

/*
 * Keys and values come from a file that anyone may have written: one line stays one
 * line, and text that was cut in the middle of a character stays UTF-8.
 */
static void clean(char *s)
{
	size_t left = strlen(s);

	while (left > 0) {
		size_t n = str_utf8_len(s, left);

		if (n == 0 || !str_is_shown(s, n)) {
			n = MAX(n, 1);
			memset(s, '?', n);
		}
		s += n;
		left -= n;
	}
}

static void add_place(struct buf *b, const struct problem_place *at)
{
	if (at->env != NULL)
		buf_printf(b, "environment variable %s: ", at->env);
	else if (at->file != NULL && at->line > 0)
		buf_printf(b, "%s:%u: ", at->file, at->line);
	else if (at->file != NULL)
		buf_printf(b, "%s: ", at->file);
	if (at->key != NULL)
		buf_printf(b, "%.256s: ", at->key);
}

/* Where the next text goes; NULL: nowhere. When all room is taken, errors push warnings out. */
static struct problem *room(struct problems *p, enum problem_level level)
{
	size_t i;

	if (!problems_full(p)) {
		p->item = mem_grow(p->item, &p->cap, p->n + 1, sizeof(*p->item));
		return &p->item[p->n++];
	}
	for (i = p->n; i > 0 && level == PROBLEM_ERROR; i--) {
		if (p->item[i - 1].level == PROBLEM_ERROR)
			continue;
		mem_free(p->item[i - 1].text);
		return &p->item[i - 1];
	}
	return NULL;
}

static bool is_known(const struct problems *p, const char *text)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (str_equal(p->item[i].text, text))
			return true;
	return false;
}

static char *make_text(const struct problem_place *at, const char *fmt, va_list ap)
	PRINTF_LIKE(2, 0);

static char *make_text(const struct problem_place *at, const char *fmt, va_list ap)
{
	char text[TEXT_MAX_BYTES];
	struct buf b = { 0 };
	char *out;

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	add_place(&b, at);
	buf_adds(&b, text);
	out = buf_take(&b);
	clean(out);
	return out;
}

void problems_add(struct problems *p, enum problem_level level, const struct problem_place *at,
		  const char *fmt, ...)
{
	size_t *count[] = { [PROBLEM_WARN] = &p->warnings,
			    [PROBLEM_ERROR] = &p->errors,
			    [PROBLEM_UNCHECKED] = &p->unchecked };
	struct problem *slot;
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = make_text(at, fmt, ap);
	va_end(ap);
	slot = is_known(p, text) ? NULL : room(p, level);
	if (slot == NULL && !problems_full(p)) {
		mem_free(text);
		return;
	}
	(*count[level])++;
	if (slot == NULL)
		mem_free(text);
	else
		*slot = (struct problem){ level, at->env == NULL ? at->line : 0, text };
}

void problems_sort(struct problems *p)
{
	size_t i;

	/* A hundred at most; insertion keeps the order of equals. 0 - 1 is the last line of all. */
	for (i = 1; i < p->n; i++) {
		struct problem moved = p->item[i];
		size_t to = i;

		for (; to > 0 && p->item[to - 1].line - 1 > moved.line - 1; to--)
			p->item[to] = p->item[to - 1];
		p->item[to] = moved;
	}
}

void problems_show(const struct problems *p, struct buf *out)
{
	static const char *const words[] = { [PROBLEM_WARN] = "warning: ",
					     [PROBLEM_ERROR] = "",
					     [PROBLEM_UNCHECKED] = "not checked: " };
	size_t i;

	for (i = 0; i < p->n; i++)
		buf_printf(out, "%s%s\n", words[p->item[i].level], p->item[i].text);
}

bool problems_full(const struct problems *p)
{
	return p->n >= PROBLEMS_MAX;
}

void problems_reset(struct problems *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		mem_free(p->item[i].text);
	mem_free(p->item);
	*p = (struct problems){ 0 };
}
