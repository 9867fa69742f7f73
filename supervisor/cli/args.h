/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args - the words after `zonesync`, understood by means of the command table.
 *
 * A verb knows the options that its row names in `args`: "[--timeout S]" takes a value,
 * "[--json]" takes none. --socket and --help are known everywhere, before the verb and
 * after it. "--" ends the options.
 *
 * Owns:    nothing: all strings are borrowed from argv.
 * Blocks:  never; pure.
 * Errors:  ERR_PARSE, with a text that says what would be right.
 */
#pragma once

#include <stdbool.h>

#include "common/base/err.h"
#include "supervisor/command.h"

#define ARGS_OPTIONS_MAX 8
#define ARGS_WORDS_MAX	 4

struct args_option {
	const char *name;
	size_t name_len; /* of "--ref=x" only the name counts */
	const char *value;
};

struct args {
	const struct command *command; /* NULL: none was given */
	const char *group; /* the first word of verbs of two, without a second one; NULL: none */
	const char *word[ARGS_WORDS_MAX];
	size_t n_words;
	struct args_option option[ARGS_OPTIONS_MAX];
	size_t n_options;
	const char *socket; /* NULL: not given */
	bool help;
	bool version;
};

/* argv without the program's name. *out is written also on error, as far as it went. */
int args_parse(struct args *out, const char *const *argv, size_t n, struct err *e) MUST_USE;

/* 1: the option takes a value; 0: it takes none; ERR_NOTFOUND: the verb does not know it. */
int args_takes(const struct command *c, const char *name, size_t len);

/* The verb that looks most like it; NULL when none is close. */
const char *args_nearest(const char *verb);

bool args_has(const struct args *a, const char *option);
const char *args_value(const struct args *a, const char *option); /* NULL: not given */

/* A position, "<lineage>:<revision>" or a bare revision; "" is none. */
bool args_is_position(const char *s);

/* Seconds, with a fraction or without, as milliseconds. At most a year. */
int args_seconds_ms(const char *s, int64_t *out, struct err *e) MUST_USE;

/* The id in "API:ID", "API_PRODUCT:ID" or "ID"; NULL when nothing is left. */
const char *args_ref_id(const char *s);
