/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/command.h"

/* clang-format off */
const struct command commands[] = {
	{ "status", "[--json] [--watch]", "what runs, who is primary, how far this node is", AT_SUPERVISOR, 0, 0 },
	{ "get", "TYPE ID [--ref API:ID]", "print the payload of an entity, as this node serves it", AT_CACHE, 2, 2 },
	{ "list", "[TYPE] [--ref API:ID] [--json]", "names and revisions, of one type or of an API's children", AT_CACHE, 0, 1 },
	{ "watch", "[--from POSITION] [--json]", "print each change as it is applied", AT_CACHE, 0, 0 },
	{ "wait", "--revision POSITION [--timeout S]", "wait until this node has applied a revision", AT_CACHE, 0, 0 },
	{ "resolve key", "API KEY|- [--json]", "may a call with this API key pass, also by an API product; - reads the key from stdin", AT_CACHE, 2, 2 },
	{ "resolve subscription", "API CLIENT-ID [--plan PLAN] [--json]", "may a call of this client pass, also by an API product", AT_CACHE, 2, 2 },
	{ "stepdown", "", "hand the primary role to another node", AT_SUPERVISOR, 0, 0, true },
	{ "doctor", "[--json]", "look at the zone's Redis: which zone ids, who writes, what is wrong", AT_SUPERVISOR, 0, 0 },
	{ "takeover", "", "stand for election although a Java gateway writes, or wrote, this zone", AT_SUPERVISOR, 0, 0, true },
	{ "compare", "", "on the primary: compare the whole source with the zone now, not only at the next reconcile", AT_SUPERVISOR, 0, 0, true },
	{ "resync", "[--accept-deletes] [SET]", "build the local store anew; or, on the primary, remove what is held back: what status shows, and only if that is still SET", AT_SUPERVISOR, 0, 1, true },
	{ "restart", "WORKER", "restart elector, fetcher or cache", AT_SUPERVISOR, 1, 1, true },
	{ "reload", "[--zone ID]", "read the configuration again; the old one stays when it is wrong, and says what is restarted for it, and what waits for a restart; --zone: it may move the node to that zone", AT_SUPERVISOR, 0, 0, true },
	{ "reopen-logs", "", "open the log files again, after logrotate", AT_SUPERVISOR, 0, 0, true },
	{ "logs", "[-f] [-n LINES] [WORKER]", "print the logs, of all processes or of one", AT_CLI, 0, 1 },
	{ "quarantine", "[--all] [--json]", "what could not be read at the source, and why; --all: and what can be read and is not published, though nobody withdrew it", AT_SUPERVISOR, 0, 0 },
	{ "config check", "[--strict] [FILE]", "check a configuration as the daemon and its workers read it, without connecting: FILE, or the daemon's, or - for stdin; --strict: a warning is an error", AT_CLI, 0, 1 },
	{ "config show", "[FILE]", "effective values and where they come from; secrets masked", AT_CLI, 0, 1 },
	{ "config sample", "", "print a configuration with every key explained", AT_CLI, 0, 0 },
	{ "setup postgres-notify", "[FILE] [--remove]", "print the SQL by which a PostgreSQL tells of changes, or that takes it out again: pipe it to psql -v ON_ERROR_STOP=1 URL", AT_CLI, 0, 1 },
	{ "version", "", "print the version", AT_CLI, 0, 0 },
};
/* clang-format on */
const size_t commands_len = ARRAY_LEN(commands);

const struct command *command_find(const char *verb)
{
	size_t i;

	for (i = 0; i < commands_len; i++)
		if (str_equal(commands[i].verb, verb))
			return &commands[i];
	return NULL;
}

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
