/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/cmd_status.h"

#include <poll.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "supervisor/cli/cli.h"

#define WATCH_MS 1000

static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && (no == NULL || no[0] == '\0');
}

static void redraw(struct buf *out, const struct snapshot *s, const char *error, bool json)
{
	bool terminal = isatty(STDOUT_FILENO);

	if (json) {
		if (error == NULL)
			status_json(out, s);
		return;
	}
	if (terminal)
		buf_adds(out, "\033[H\033[J");
	if (error == NULL)
		status_text(out, s, wants_colour());
	else
		text_clean(out, error);
	buf_addc(out, '\n');
}

/* Until ^C. A daemon that goes away may come back; one that refuses will not. */
static int watch(struct cli *c, bool json)
{
	struct buf out = { 0 };
	int rc;

	do {
		struct snapshot s;
		struct err e = { 0 };

		rc = snapshot_take(&s, c->socket, &e);
		if (rc == EX_NOPERM || rc == EX_USAGE) {
			buf_reset(&out);
			return cli_fail(rc, "%s", e.text);
		}
		redraw(&out, &s, rc == 0 ? NULL : e.text, json);
		cli_print(&out);
		snapshot_reset(&s);
	} while (poll(NULL, 0, WATCH_MS) == 0);
	buf_reset(&out);
	return CLI_OK;
}

int verb_status(struct cli *c)
{
	bool json = args_has(&c->args, "--json");
	struct buf out = { 0 };
	struct snapshot s;
	struct err e = { 0 };
	int rc;

	if (args_has(&c->args, "--watch"))
		return watch(c, json);
	rc = snapshot_take(&s, c->socket, &e);
	if (rc != 0)
		return cli_fail(rc, "%s", e.text);
	if (json)
		status_json(&out, &s);
	else
		status_text(&out, &s, wants_colour());
	cli_print(&out);
	rc = status_exit_code(&s);
	snapshot_reset(&s);
	buf_reset(&out);
	return rc;
}

int verb_quarantine(struct cli *c)
{
	struct buf out = { 0 };
	struct snapshot s;
	struct err e = { 0 };
	int rc = snapshot_take(&s, c->socket, &e);

	if (rc != 0)
		return cli_fail(rc, "%s", e.text);
	if (args_has(&c->args, "--json"))
		quarantine_json(&out, &s);
	else
		quarantine_text(&out, &s);
	cli_print(&out);
	snapshot_reset(&s);
	buf_reset(&out);
	return CLI_OK;
}
