/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options - the tables of what `zonesyncd` and `zonesync` take on their command lines.
 * Parser, help and man pages read them.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

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
