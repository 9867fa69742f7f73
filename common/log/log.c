/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/str.h"

#define UTF8_BYTES	4  /* of the longest character */
#define FIELD_MIN_BYTES 40 /* a field with less room behind its name is left out */

/* One process has one log. */
static struct {
	atomic_int fd;
	atomic_int level;
	atomic_int format;
	const char *name;   /* not owned */
	char *path;	    /* owned; NULL: stderr */
	struct err trouble; /* why the file at `path` is not the one written to; code 0: it is */
} sink = { STDERR_FILENO, LOG_NOTE, LOG_LOGFMT, "zonesync", NULL };

static const char *const level_names[LOG__COUNT] = { "error", "warn", "note", "debug" };

struct log_kv log_kv_str(const char *key, const char *v)
{
	return (struct log_kv){ key, LOG_TYPE_STR, { .s = v == NULL ? "" : v } };
}

struct log_kv log_kv_i64(const char *key, int64_t v)
{
	return (struct log_kv){ key, LOG_TYPE_I64, { .i = v } };
}

struct log_kv log_kv_u64(const char *key, uint64_t v)
{
	return (struct log_kv){ key, LOG_TYPE_U64, { .u = v } };
}

struct log_kv log_kv_bool(const char *key, bool v)
{
	return (struct log_kv){ key, LOG_TYPE_BOOL, { .b = v } };
}

int log_open_file(const char *path, struct err *e)
{
	int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0640);

	if (fd < 0)
		return err_errno(e, errno, "log file %s", path);
	return fd;
}

int log_open(const char *path, const char *name, enum log_level level, enum log_format format,
	     struct err *e)
{
	struct err why = { 0 };
	int fd = path == NULL ? STDERR_FILENO : log_open_file(path, &why);

	log_close();
	atomic_store(&sink.fd, fd < 0 ? STDERR_FILENO : fd);
	atomic_store(&sink.level, (int)level);
	sink.path = mem_strdup(path);
	sink.name = name;
	atomic_store(&sink.format, (int)format);
	sink.trouble = why;
	if (e != NULL)
		*e = why;
	return why.code;
}

/* The number of a file stays: another thread may be writing right now. */
static int replace_file(int fd, struct err *e)
{
	int old = atomic_load(&sink.fd);
	int rc = 0;

	if (old == STDERR_FILENO) {
		atomic_store(&sink.fd, fd);
		return 0;
	}
	if (dup3(fd, old, O_CLOEXEC) < 0)
		rc = err_errno(e, errno, "log file %s", sink.path);
	(void)close(fd);
	return rc;
}

int log_reopen(struct err *e)
{
	struct err why = { 0 };
	int fd;

	if (sink.path == NULL)
		return 0;
	fd = log_open_file(sink.path, &why);
	if (fd >= 0)
		(void)!replace_file(fd, &why);
	sink.trouble = why;
	if (e != NULL)
		*e = why;
	return why.code;
}

/* Renamed is logrotate's; removed is nobody's any more. */
bool log_is_removed(int fd)
{
	struct stat sb;

	return fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) && sb.st_nlink == 0;
}

void log_tend(void)
{
	struct err before = sink.trouble;

	if (before.code == 0 && (sink.path == NULL || !log_is_removed(atomic_load(&sink.fd))))
		return;
	if (log_reopen(NULL) == 0)
		log_note(EV("log_reopened"));
	else if (!str_equal(before.text, sink.trouble.text))
		log_error(EV("log_open_failed"), KV("err", sink.trouble.text));
}

const char *log_trouble(void)
{
	return sink.trouble.text;
}

void log_close(void)
{
	int fd = atomic_exchange(&sink.fd, STDERR_FILENO);

	if (fd != STDERR_FILENO)
		(void)close(fd);
	mem_free(sink.path);
	sink.path = NULL;
	sink.trouble = (struct err){ 0 };
}

void log_set(enum log_level level, enum log_format format)
{
	atomic_store(&sink.level, (int)level);
	atomic_store(&sink.format, (int)format);
}

bool log_level_parse(const char *s, enum log_level *out)
{
	unsigned i;

	if (str_equal(s, "info"))
		s = "note";
	for (i = 0; i < LOG__COUNT; i++) {
		if (str_equal(s, level_names[i])) {
			*out = (enum log_level)i;
			return true;
		}
	}
	return false;
}

static bool is_plain(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f || *s == '"' ||
		    *s == '=' || *s == '\\')
			return false;
	return true;
}

/* JSON string rules serve logfmt too. Takes `room` bytes at most. */
static void add_quoted(struct buf *b, const char *s, size_t room)
{
	size_t n = strnlen(s, LOG_VALUE_MAX_BYTES + UTF8_BYTES);
	size_t end = b->len + room - strlen("...\"");
	size_t i = 0;

	buf_addc(b, '"');
	while (i < n && i < LOG_VALUE_MAX_BYTES) {
		size_t before = b->len;
		size_t len = str_quote(b, s + i, n - i);

		if (b->len > end) {
			b->len = before;
			break;
		}
		i += len;
	}
	buf_adds(b, s[i] != '\0' ? "...\"" : "\"");
}

static void add_value(struct buf *b, const struct log_kv *kv, bool json, size_t room)
{
	switch (kv->type) {
	case LOG_TYPE_I64:
		buf_printf(b, "%" PRId64, kv->v.i);
		break;
	case LOG_TYPE_U64:
		buf_printf(b, "%" PRIu64, kv->v.u);
		break;
	case LOG_TYPE_BOOL:
		buf_adds(b, kv->v.b ? "true" : "false");
		break;
	case LOG_TYPE_STR:
		if (!json && is_plain(kv->v.s) && strlen(kv->v.s) <= MIN(LOG_VALUE_MAX_BYTES, room))
			buf_adds(b, kv->v.s);
		else
			add_quoted(b, kv->v.s, room);
		break;
	}
}

static void add_time(struct buf *b)
{
	int64_t ms = clock_wall_ms();
	time_t s = (time_t)(ms / 1000);
	char text[32];
	struct tm tm;

	(void)gmtime_r(&s, &tm);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(b, "%s.%03dZ", text, (int)(ms % 1000));
}

static void write_line(int fd, struct buf *b)
{
	buf_addc(b, '\n');
	/* A log that cannot be written must not stop the daemon. */
	if (write(fd, b->data, b->len) < 0)
		return;
}

/* A line that gets too long has shorter values, or fewer: it stays one that can be read. */
static void add_fields(struct buf *b, const struct log_kv *kv, unsigned n, bool json)
{
	const char *cut = json ? ",\"cut\":true" : " cut=true";
	size_t last = LOG_LINE_MAX_BYTES - strlen(cut) - strlen("}");
	unsigned i;

	for (i = 1; i < n; i++) {
		size_t left = last - MIN(last, b->len);
		size_t need = strlen(kv[i].key) + FIELD_MIN_BYTES;

		if (left < need) {
			buf_adds(b, cut);
			return;
		}
		buf_printf(b, json ? ",\"%s\":" : " %s=", kv[i].key);
		add_value(b, &kv[i], json, last - MIN(last, b->len));
	}
}

static void emit(int fd, const char *name, const char *level, const char *event,
		 const struct log_kv *kv, unsigned n)
{
	bool json = atomic_load(&sink.format) == LOG_JSON;
	struct buf b = { 0 };

	buf_adds(&b, json ? "{\"ts\":\"" : "ts=");
	add_time(&b);
	buf_printf(&b,
		   json ? "\",\"level\":\"%s\",\"proc\":\"%s\",\"pid\":%d,\"event\":\"%s\""
			: " level=%s proc=%s pid=%d event=%s",
		   level, name, (int)getpid(), event);
	add_fields(&b, kv, n, json);
	if (json)
		buf_addc(&b, '}');
	write_line(fd, &b);
	buf_reset(&b);
}

void log_emit(enum log_level level, const char *event, const struct log_kv *kv, unsigned n)
{
	if ((int)level > atomic_load(&sink.level))
		return;
	emit(atomic_load(&sink.fd), sink.name, level_names[level], event, kv, n);
}

void log_emit_to(int fd, const char *name, const char *event, const struct log_kv *kv, unsigned n)
{
	emit(fd, name, level_names[LOG_WARN], event, kv, n);
}
