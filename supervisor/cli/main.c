/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>

#include "supervisor/cli/cli.h"
#include "supervisor/cli/help.h"

static int verb_version(struct cli *c)
{
	struct buf out = { 0 };

	UNUSED(c);
	buf_adds(&out, "zonesync " ZONESYNC_VERSION "\n");
	cli_print(&out);
	return CLI_OK;
}

/* The daemon does the others. */
static const struct {
	const char *verb;
	verb_fn *fn;
} verbs[] = {
	{ "status", verb_status },
	{ "get", verb_get },
	{ "list", verb_list },
	{ "watch", verb_watch },
	{ "wait", verb_wait },
	{ "resolve key", verb_resolve_key },
	{ "resolve subscription", verb_resolve_subscription },
	{ "doctor", verb_doctor },
	{ "logs", verb_logs },
	{ "quarantine", verb_quarantine },
	{ "config check", verb_config_check },
	{ "config show", verb_config_show },
	{ "config sample", verb_config_sample },
	{ "setup postgres-notify", verb_setup_postgres },
	{ "version", verb_version },
};

static int help(const struct args *a)
{
	struct buf out = { 0 };

	help_text(&out, a->command, a->group);
	cli_print(&out);
	return CLI_OK;
}

static int run(struct cli *c)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(verbs); i++)
		if (str_equal(verbs[i].verb, c->args.command->verb))
			return verbs[i].fn(c);
	return verb_daemon(c);
}

int main(int argc, char **argv)
{
	const char *env = getenv("ZONESYNC_SOCKET");
	struct cli c = { .socket = env == NULL || env[0] == '\0'
					   ? cli_options[CLI_OPTION_SOCKET].dflt
					   : env };
	struct err e = { 0 };

	(void)signal(SIGPIPE, SIG_IGN);
	if (args_parse(&c.args, (const char *const *)argv + 1, argc < 1 ? 0 : (size_t)argc - 1,
		       &e) < 0)
		return cli_fail(EX_USAGE, "%s", e.text);
	if (c.args.socket != NULL)
		c.socket = c.args.socket;
	if (c.args.version)
		return verb_version(&c);
	if (c.args.help)
		return help(&c.args);
	if (c.args.command == NULL)
		return cli_fail(EX_USAGE, "what shall be done? see `zonesync help`");
	return run(&c);
}
