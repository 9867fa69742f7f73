/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/help.h"

#include <string.h>
#include <sysexits.h>

#include "common/model/kind.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/print.h"

const struct cli_exit cli_exits[] = {
	{ CLI_OK, "done; `status`: all is well" },
	{ CLI_NO,
	  "not found, or not possible now; `status`: degraded or starting; `doctor`: something to act on" },
	{ CLI_RESET, "`watch`, `wait`: the position is of another history; start over" },
	{ CLI_TIMEOUT, "`wait`: not reached in time" },
	{ CLI_REFUSED, "`resolve`: found, but a call may not pass" },
	{ EX_USAGE, "wrong usage" },
	{ EX_NOINPUT, "`logs`: there is no such file" },
	{ EX_UNAVAILABLE, "the daemon is not there, is stopping or full, or has no data yet" },
	{ EX_SOFTWARE, "the answer is too large" },
	{ EX_IOERR, "stdin or stdout failed" },
	{ EX_PROTOCOL, "the daemon is of another version" },
	{ EX_NOPERM, "access refused" },
	{ EX_CONFIG, "the configuration has errors" },
};
const size_t cli_exits_len = ARRAY_LEN(cli_exits);

#define HELP_INDENT 6

static void help_of(struct buf *out, const struct command *c)
{
	buf_printf(out, "  %s%s%s\n%*s%s\n", c->verb, c->args[0] == '\0' ? "" : " ", c->args,
		   HELP_INDENT, "", c->help);
}

static void help_of_option(struct buf *out, const struct option_row *o)
{
	buf_printf(out, "  --%s%s%s\n%*s%s%s%s\n", o->name, o->arg == NULL ? "" : " ",
		   o->arg == NULL ? "" : o->arg, HELP_INDENT, "", o->help,
		   o->dflt == NULL ? "" : ", else ", o->dflt == NULL ? "" : o->dflt);
}

static void help_of_types(struct buf *out)
{
	unsigned k;

	buf_adds(out, "\nTYPE is one of");
	for (k = 0; k < KIND__COUNT; k++)
		buf_printf(out, "%s %s", k == 0 ? "" : ",", kind_name((enum kind)k));
	buf_addc(out, '\n');
}

static void help_of_one(struct buf *out, const struct command *c)
{
	buf_printf(out, "usage: zonesync [--socket PATH] %s%s%s\n\n%s\n", c->verb,
		   c->args[0] == '\0' ? "" : " ", c->args, c->help);
	if (strstr(c->args, "TYPE") != NULL)
		help_of_types(out);
	buf_adds(out, "\nmore in zonesync(1)\n");
}

static bool is_in(const struct command *c, const char *group)
{
	size_t n = group == NULL ? 0 : strlen(group);

	return group == NULL || (strncmp(c->verb, group, n) == 0 && c->verb[n] == ' ');
}

static void help_of_all(struct buf *out, const char *group)
{
	size_t i;

	buf_printf(out, "usage: zonesync [--socket PATH] %s%sCOMMAND\n\n",
		   group == NULL ? "" : group, group == NULL ? "" : " ");
	for (i = 0; i < commands_len; i++)
		if (is_in(&commands[i], group))
			help_of(out, &commands[i]);
	if (group != NULL) {
		buf_adds(out, "\nmore in zonesync(1)\n");
		return;
	}
	help_of(out, &(struct command){ "help", "[COMMAND]", "this, or about one command", AT_CLI,
					0, 0, false });
	buf_addc(out, '\n');
	for (i = 0; i < CLI_OPTION__COUNT; i++)
		help_of_option(out, &cli_options[i]);
	buf_adds(out, "\nmore in zonesync(1)\n\nexit codes\n");
	for (i = 0; i < cli_exits_len; i++)
		buf_printf(out, "  %3d  %s\n", cli_exits[i].code, cli_exits[i].what);
}

void help_text(struct buf *out, const struct command *one, const char *group)
{
	if (one != NULL)
		help_of_one(out, one);
	else
		help_of_all(out, group);
	text_wrap(out, one != NULL ? 0 : HELP_INDENT);
}
