/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/merge.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "supervisor/cli/print.h"

/* "ts=..." or {"ts":"..." at the front of a line; "" when there is none. */
static void stamp_of(char out[MERGE_STAMP_BYTES], const char *line, size_t n)
{
	static const char *const leads[] = { "ts=", "{\"ts\":\"" };
	size_t i;

	out[0] = '\0';
	for (i = 0; i < ARRAY_LEN(leads); i++) {
		size_t len = strlen(leads[i]);
		size_t at = 0;

		if (n < len || memcmp(line, leads[i], len) != 0)
			continue;
		while (len + at < n && at < MERGE_STAMP_BYTES - 1 &&
		       strchr("0123456789-:.TZ", line[len + at]) != NULL && line[len + at] != '\0')
			at++;
		memcpy(out, line + len, at);
		out[at] = '\0';
	}
}

static const char *last_stamp(const struct merge *m, size_t file)
{
	size_t i;

	for (i = m->n; i > 0; i--)
		if (m->item[i - 1].file == file)
			return m->item[i - 1].stamp;
	return "";
}

static void add_line(struct merge *m, size_t file, const char *line, size_t n)
{
	struct merge_line l = { .file = file, .seq = m->n };

	stamp_of(l.stamp, line, n);
	if (l.stamp[0] == '\0')
		str_copy(l.stamp, sizeof(l.stamp), last_stamp(m, file));
	l.text = mem_dup(line, n);
	m->item = mem_grow(m->item, &m->cap, m->n + 1, sizeof(*m->item));
	m->item[m->n++] = l;
}

void merge_add(struct merge *m, size_t file, struct buf *in)
{
	size_t at = 0;

	while (at < in->len) {
		const char *line = in->data + at;
		const char *end = memchr(line, '\n', in->len - at);

		if (end == NULL && in->len - at < MERGE_LINE_BYTES)
			break;
		if (end == NULL || end - line > MERGE_LINE_BYTES) {
			add_line(m, file, line, MERGE_LINE_BYTES);
			at += MERGE_LINE_BYTES;
			continue;
		}
		add_line(m, file, line, (size_t)(end - line));
		at += (size_t)(end - line) + 1;
	}
	if (at > 0)
		buf_drop(in, at);
}

static int by_time(const void *a, const void *b)
{
	const struct merge_line *x = a;
	const struct merge_line *y = b;
	int order = strcmp(x->stamp, y->stamp);

	if (order != 0)
		return order;
	return x->seq < y->seq ? -1 : 1;
}

void merge_take(struct merge *m, size_t lines, struct buf *out)
{
	size_t i;

	if (m->n > 1)
		qsort(m->item, m->n, sizeof(*m->item), by_time);
	for (i = m->n > lines ? m->n - lines : 0; i < m->n; i++) {
		text_clean(out, m->item[i].text);
		buf_addc(out, '\n');
	}
	for (i = 0; i < m->n; i++)
		mem_free(m->item[i].text);
	m->n = 0;
}

void merge_reset(struct merge *m)
{
	struct buf ignored = { 0 };

	merge_take(m, 0, &ignored);
	mem_free(m->item);
	*m = (struct merge){ 0 };
}
