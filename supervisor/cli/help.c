/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/help.h"

#include <string.h>
#include <sysexits.h>

#include "common/model/kind.h"
#include "supervisor/cli/cli.h"

#define HELP_COLUMN 48

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

static void help_of(struct buf *out, const struct command *c)
{
	size_t from = out->len;

	buf_printf(out, "  %s%s%s", c->verb, c->args[0] == '\0' ? "" : " ", c->args);
	if (out->len - from + 2 > HELP_COLUMN) {
		buf_addc(out, '\n');
		from = out->len;
	}
	buf_printf(out, "%*s%s\n", (int)(HELP_COLUMN - (out->len - from)), "", c->help);
}

static void help_of_option(struct buf *out, const struct option_row *o)
{
	size_t from = out->len;

	buf_printf(out, "  --%s%s%s", o->name, o->arg == NULL ? "" : " ",
		   o->arg == NULL ? "" : o->arg);
	buf_printf(out, "%*s%s%s%s\n", (int)(HELP_COLUMN - (out->len - from)), "", o->help,
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

void help_text(struct buf *out, const struct command *one)
{
	size_t i;

	if (one != NULL) {
		buf_printf(out, "usage: zonesync [--socket PATH] %s%s%s\n\n%s\n", one->verb,
			   one->args[0] == '\0' ? "" : " ", one->args, one->help);
		if (strstr(one->args, "TYPE") != NULL)
			help_of_types(out);
		buf_adds(out, "\nmore in zonesync(1)\n");
		return;
	}
	buf_adds(out, "usage: zonesync [--socket PATH] COMMAND\n\n");
	for (i = 0; i < commands_len; i++)
		help_of(out, &commands[i]);
	help_of(out, &(struct command){ "help", "[COMMAND]", "this, or about one command", AT_CLI,
					0, 0 });
	buf_addc(out, '\n');
	for (i = 0; i < CLI_OPTION__COUNT; i++)
		help_of_option(out, &cli_options[i]);
	buf_adds(out, "\nmore in zonesync(1)\n\nexit codes\n");
	for (i = 0; i < cli_exits_len; i++)
		buf_printf(out, "  %3d  %s\n", cli_exits[i].code, cli_exits[i].what);
}
