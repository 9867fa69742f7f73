/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/options.h"

#include <stddef.h>

/* clang-format off */
const struct option_row daemon_options[OPTION__COUNT] = {
	[OPTION_CONFIG] = { "config", "FILE", "configuration", ZONESYNC_CONFIG },
	[OPTION_STATE_DIR] = { "state-dir", "DIR", "what must survive a restart", ZONESYNC_STATE_DIR },
	[OPTION_RUN_DIR] = { "run-dir", "DIR", "sockets", ZONESYNC_RUN_DIR },
	[OPTION_LOG_DIR] = { "log-dir", "DIR", "one log file per process; - for stderr", ZONESYNC_LOG_DIR },
	[OPTION_LIBEXEC_DIR] = { "libexec-dir", "DIR", "where the workers are", ZONESYNC_LIBEXEC_DIR },
	[OPTION_TIME_SCALE] = { "time-scale", "PCT", "scales the supervisor's own waits; for tests", "100" },
	[OPTION_VERSION] = { "version", NULL, "print the version", NULL },
	[OPTION_HELP] = { "help", NULL, "print this", NULL },
};

const struct option_row cli_options[CLI_OPTION__COUNT] = {
	[CLI_OPTION_SOCKET] = { "socket", "PATH", "the daemon's socket; else $ZONESYNC_SOCKET", ZONESYNC_RUN_DIR "/control.sock" },
	[CLI_OPTION_VERSION] = { "version", NULL, "print the version", NULL },
	[CLI_OPTION_HELP] = { "help", NULL, "say how a command is used", NULL },
};
/* clang-format on */
