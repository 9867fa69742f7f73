/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - one line per fact: an event name and typed fields, logfmt or JSON.
 *
 *	log_warn(EV("child_exit"), KV("child", name), KV("pid", pid));
 *
 * Event names are snake_case and stable: they are an interface. error = someone
 * must act; warn = we coped; note = the state changed; debug = the rest. A line is
 * one write(2) on an O_APPEND descriptor, so several processes may share a file.
 * Values are quoted by the writer: nothing that is logged can forge a line.
 *
 * Owns:    the descriptor of the file. Before log_open() lines go to stderr.
 * Blocks:  as long as a write to the file does; a full disk loses the line.
 * Errors:  log_open() and log_reopen() return -errno. Nobody has to stop for it: lines go to
 *          the old file, or to stderr, log_trouble() says why, and log_tend() tries again.
 * Threads: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_NOTE, LOG_DEBUG, LOG__COUNT };
enum log_format { LOG_LOGFMT, LOG_JSON };

#define LOG_VALUE_MAX_BYTES 1024 /* a longer value is cut and marked with "..." */
#define LOG_LINE_MAX_BYTES  8192 /* beyond it values are cut, and fields left out: cut=true */

enum log_type { LOG_TYPE_STR, LOG_TYPE_I64, LOG_TYPE_U64, LOG_TYPE_BOOL };

struct log_kv {
	const char *key;
	enum log_type type;
	union {
		const char *s;
		int64_t i;
		uint64_t u;
		bool b;
	} v;
};

struct log_kv log_kv_str(const char *key, const char *v);
struct log_kv log_kv_i64(const char *key, int64_t v);
struct log_kv log_kv_u64(const char *key, uint64_t v);
struct log_kv log_kv_bool(const char *key, bool v);

#define EV(name) (name)
#define KV(k, v)                                                                                   \
	(_Generic((v),                                                                             \
		char *: log_kv_str,                                                                \
		const char *: log_kv_str,                                                          \
		bool: log_kv_bool,                                                                 \
		unsigned char: log_kv_u64,                                                         \
		unsigned short: log_kv_u64,                                                        \
		unsigned int: log_kv_u64,                                                          \
		unsigned long: log_kv_u64,                                                         \
		unsigned long long: log_kv_u64,                                                    \
		default: log_kv_i64)((k), (v)))

/* `path` NULL: stderr. `name` is the process's, on each line; it is borrowed for ever. */
int log_open(const char *path, const char *name, enum log_level level, enum log_format format,
	     struct err *e) MUST_USE;
int log_reopen(struct err *e) MUST_USE; /* after logrotate moved the file */
void log_tend(void); /* about once a second: opens again what is in trouble or was removed */
bool log_is_removed(int fd);   /* a file that nobody finds any more */
const char *log_trouble(void); /* why lines do not go where they should; "" */
int log_open_file(const char *path, struct err *e) MUST_USE; /* to append to; the descriptor */
void log_close(void);
void log_set(enum log_level level, enum log_format format);
bool log_level_parse(const char *s, enum log_level *out); /* error warn note debug; info = note */

/* Writes the line when `level` is on. kv[0] is a sentinel, n counts it. */
void log_emit(enum log_level level, const char *event, const struct log_kv *kv, unsigned n);

/* As log_emit(), to the file behind `fd` under the name `name`: a worker's stderr. */
void log_emit_to(int fd, const char *name, const char *event, const struct log_kv *kv, unsigned n);

#define LOG_AT(level, ev, ...)                                                                     \
	do {                                                                                       \
		const struct log_kv log_kv_[] = { { 0 }, ##__VA_ARGS__ };                          \
		log_emit((level), (ev), log_kv_, sizeof(log_kv_) / sizeof(log_kv_[0]));            \
	} while (0)

#define log_error(ev, ...) LOG_AT(LOG_ERROR, ev, ##__VA_ARGS__)
#define log_warn(ev, ...)  LOG_AT(LOG_WARN, ev, ##__VA_ARGS__)
#define log_note(ev, ...)  LOG_AT(LOG_NOTE, ev, ##__VA_ARGS__)
#define log_debug(ev, ...) LOG_AT(LOG_DEBUG, ev, ##__VA_ARGS__)
