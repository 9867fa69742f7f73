/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "supervisor/cli/cli.h"

#define GAP 2

void text_clean(struct buf *b, const char *s)
{
	size_t n = strlen(s);
	size_t i = 0;

	while (i < n) {
		size_t len = str_utf8_len(s + i, n - i);

		if (len == 0 || !str_is_shown(s + i, len))
			buf_addc(b, '?');
		else
			buf_add(b, s + i, len);
		i += len == 0 ? 1 : len;
	}
}

/* The bytes of one character, and whether it takes a column: what sets a colour takes none. */
static size_t step_over(const char *s, size_t n, bool *column)
{
	size_t len = str_utf8_len(s, n);

	*column = s[0] != '\033';
	if (!*column)
		len = (size_t)((const char *)memchr(s, 'm', n) - s) + 1;
	return MAX(len, 1);
}

/* How many bytes of a line fit; *n_all when all of it does. */
static size_t fitting(const char *s, size_t n, size_t columns)
{
	size_t used = 0;
	size_t blank = 0; /* the last one, behind a word */
	size_t i = 0;

	while (i < n) {
		bool column;
		size_t len = step_over(s + i, n - i, &column);

		if (s[i] == ' ' && i > 0 && s[i - 1] != ' ')
			blank = i;
		if (column && ++used > columns && blank > 0)
			return blank;
		i += len;
	}
	return n;
}

static void wrap_line(struct buf *out, const char *s, size_t n, unsigned indent)
{
	size_t width = TEXT_COLUMNS;
	size_t own = 0; /* blanks that the line begins with are no place to break at */

	while (own < n && s[own] == ' ')
		own++;
	buf_add(out, s, own);
	s += own;
	n -= own;
	width -= MIN(own, (size_t)TEXT_COLUMNS / 2);
	for (;;) {
		size_t len = fitting(s, n, width);

		buf_add(out, s, len);
		s += len;
		n -= len;
		while (n > 0 && *s == ' ') {
			s++;
			n--;
		}
		if (n == 0)
			return;
		buf_printf(out, "\n%*s", (int)indent, "");
		width = TEXT_COLUMNS - indent;
	}
}

void text_wrap(struct buf *b, unsigned indent)
{
	struct buf out = { 0 };
	size_t at = 0;

	while (at < b->len) {
		const char *s = b->data + at;
		const char *end = memchr(s, '\n', b->len - at);
		size_t n = end == NULL ? b->len - at : (size_t)(end - s);

		wrap_line(&out, s, n, indent);
		at += n;
		if (end != NULL) {
			buf_addc(&out, '\n');
			at++;
		}
	}
	buf_reset(b);
	*b = out;
}

void text_ms(struct buf *b, int64_t ms)
{
	int64_t s = ms / 1000;

	if (ms < 0)
		buf_adds(b, "-");
	else if (ms < 1000)
		buf_printf(b, "%" PRId64 " ms", ms);
	else if (s < 60)
		buf_printf(b, "%" PRId64 ".%" PRId64 " s", s, ms % 1000 / 100);
	else if (s < 3600)
		buf_printf(b, "%" PRId64 "m %" PRId64 "s", s / 60, s % 60);
	else if (s < 86400)
		buf_printf(b, "%" PRId64 "h %" PRId64 "m", s / 3600, s % 3600 / 60);
	else
		buf_printf(b, "%" PRId64 "d %" PRId64 "h", s / 86400, s % 86400 / 3600);
}

void text_time(struct buf *b, int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char out[40];
	struct tm tm;

	if (ms <= 0 || gmtime_r(&s, &tm) == NULL ||
	    strftime(out, sizeof(out), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		str_copy(out, sizeof(out), "-");
	buf_adds(b, out);
}

void text_paint(struct buf *b, enum text_colour c, const char *s, bool colour)
{
	static const char *const codes[] = { "", "\033[32m", "\033[33m", "\033[31m", "\033[1m" };

	if (colour)
		buf_adds(b, codes[c]);
	text_clean(b, s);
	if (colour && c != COLOUR_NONE)
		buf_adds(b, "\033[0m");
}

int cli_fail(int code, const char *fmt, ...)
{
	struct buf clean = { 0 };
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	text_clean(&clean, text);
	(void)fflush(stdout);
	(void)fprintf(stderr, "zonesync: %s\n", buf_cstr(&clean));
	buf_reset(&clean);
	mem_free(text);
	return code;
}

void cli_print(struct buf *b)
{
	size_t at = 0;

	while (at < b->len) {
		ssize_t n = write(STDOUT_FILENO, b->data + at, b->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			_exit(errno == EPIPE ? EXIT_SUCCESS
					     : cli_fail(EX_IOERR, "stdout: %s", strerror(errno)));
		at += (size_t)n;
	}
	buf_reset(b);
}

/* Columns a terminal needs: code points, near enough. */
static size_t width_of(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		if (((unsigned char)*s & 0xc0) != 0x80)
			n++;
	return n;
}

void table_cell(struct columns *t, const char *fmt, ...)
{
	struct buf cell = { 0 };
	size_t column = t->n % t->columns;
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	text_clean(&cell, text[0] == '\0' ? "-" : text);
	t->width[column] = MAX(t->width[column], width_of(buf_cstr(&cell)));
	buf_add(&t->cells, buf_cstr(&cell), cell.len + 1);
	t->n++;
	mem_free(text);
	buf_reset(&cell);
}

void table_print(struct columns *t, struct buf *out)
{
	const char *at = t->cells.data;
	size_t i;

	for (i = 0; i < t->n; i++) {
		size_t column = i % t->columns;

		buf_adds(out, at);
		if (column + 1 == t->columns) {
			while (out->len > 0 && out->data[out->len - 1] == ' ')
				out->len--;
			buf_addc(out, '\n');
		} else
			buf_printf(out, "%*s", (int)(t->width[column] - width_of(at) + GAP), "");
		at += strlen(at) + 1;
	}
	buf_clear(&t->cells);
	t->n = 0;
	memset(t->width, 0, sizeof(t->width));
}

void table_reset(struct columns *t)
{
	buf_reset(&t->cells);
}

static void field(struct buf *out, const char *s, char end)
{
	text_clean(out, s[0] == '\0' ? "-" : s);
	buf_addc(out, end);
}

void lines_entity(struct buf *out, const Gateway__Event *ev)
{
	field(out, ev->kind, '\t');
	field(out, ev->id, '\t');
	field(out, ev->ref, '\t');
	buf_printf(out, "%" PRIu64 "\t%s\n", ev->revision, ev->deployed ? "deployed" : "withdrawn");
}

void lines_change(struct buf *out, const Gateway__Event *ev)
{
	buf_printf(out, "%" PRIu64 "\t%s\t", ev->revision, ev->deployed ? "DEPLOY" : "UNDEPLOY");
	field(out, ev->kind, '\t');
	field(out, ev->id, '\t');
	field(out, ev->ref, '\n');
}

void lines_json(struct buf *out, const Gateway__Event *ev, const char *lineage)
{
	char *position = mem_printf("%s:%" PRIu64, lineage, ev->revision);

	buf_addc(out, '{');
	json_add_u64(out, "revision", ev->revision);
	if (lineage[0] != '\0')
		json_add_shown(out, "position", position);
	json_add_shown(out, "action", ev->deployed ? "DEPLOY" : "UNDEPLOY");
	json_add_shown(out, "type", ev->kind);
	json_add_shown(out, "id", ev->id);
	if (ev->ref[0] == '\0')
		json_add_null(out, "ref");
	else
		json_add_shown(out, "ref", ev->ref);
	json_add_bool(out, "deployed", ev->deployed);
	json_add_i64(out, "updated_ms", ev->updated_ms);
	json_add_shown(out, "version", ev->version);
	json_add_u64(out, "payload_bytes", ev->payload_bytes);
	buf_addc(out, '}');
	buf_addc(out, '\n');
	mem_free(position);
}

bool lines_kind(char *out, size_t n, const char *typed)
{
	size_t i;

	if (strlen(typed) >= n)
		return false;
	for (i = 0; typed[i] != '\0'; i++) {
		out[i] = typed[i] == '-' ? '_' : typed[i];
		if (out[i] >= 'a' && out[i] <= 'z')
			out[i] = (char)(out[i] - 'a' + 'A');
	}
	out[i] = '\0';
	return true;
}
