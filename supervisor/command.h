/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command - the tables of the command lines: what `zonesync` understands (syntax, help, bounds,
 * who answers), and the options of both programs. Parser, help, man pages and the control socket
 * all read them.
 *
 * Owns:    a result's text; its error is static or lives until the next call.
 * Blocks:  as supervisor.h.
 * Errors:  exit codes in the result: 0, 1 no, 64 usage, 69 unavailable, 77, 78.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

struct supervisor;

enum command_where {
	AT_SUPERVISOR, /* the control socket answers */
	AT_CACHE,      /* the cache's socket answers */
	AT_CLI	       /* the command does it by itself */
};

enum command_wait {
	WAIT_NONE,
	WAIT_EXAMINED, /* control_examined() */
	WAIT_RELOADED  /* control_reloaded() */
};

struct command_result {
	int exit_code;
	const char *error; /* NULL: none */
	struct buf text;
	bool want_status;
	enum command_wait wait; /* for an answer that comes later */
};

struct command {
	const char *verb; /* one word, or two: "config check" */
	const char *args; /* for the help */
	const char *help;
	enum command_where where;
	size_t min_args;
	size_t max_args;
	bool changes; /* what it did to the daemon, and who asked, is logged */
};

extern const struct command commands[];
extern const size_t commands_len;

/* The row of a verb, NULL when there is none. */
const struct command *command_find(const char *verb);

/* Runs an AT_SUPERVISOR command; anything else is refused. */
typedef void command_fn(struct supervisor *s, const char *verb, const char *const *args, size_t n,
			struct command_result *out);
command_fn command_run;

/* --- options --- */

enum daemon_option {
	OPTION_CONFIG,
	OPTION_STATE_DIR,
	OPTION_RUN_DIR,
	OPTION_LOG_DIR,
	OPTION_LIBEXEC_DIR,
	OPTION__PATHS, /* those before are paths */
	OPTION_TIME_SCALE = OPTION__PATHS,
	OPTION_VERSION,
	OPTION_HELP,
	OPTION__COUNT
};

struct option_row {
	const char *name; /* without "--" */
	const char *arg;  /* what follows it; NULL: nothing */
	const char *help;
	const char *dflt; /* NULL: none */
};

extern const struct option_row daemon_options[OPTION__COUNT];

/* Those that each verb of `zonesync` knows. */
enum cli_option { CLI_OPTION_SOCKET, CLI_OPTION_VERSION, CLI_OPTION_HELP, CLI_OPTION__COUNT };
extern const struct option_row cli_options[CLI_OPTION__COUNT];
