/* SPDX-License-Identifier: Apache-2.0 */
#include <sysexits.h>

#include "supervisor/cli/cli.h"
#include "supervisor/cli/daemon.h"
#include "supervisor/cli/json.h"
#include "supervisor/cli/print.h"

static void as_text(struct buf *out, const Ipc__Examined *m)
{
	size_t i;

	for (i = 0; i < m->n_findings; i++) {
		buf_printf(out, "%-2s %-8s ", m->findings[i]->bad ? "!!" : "",
			   m->findings[i]->topic);
		text_clean(out, m->findings[i]->text);
		buf_addc(out, '\n');
	}
}

/* 0 all is well, 1 someone should act. */
static int print(struct cli *c, const Ipc__Examined *m)
{
	struct buf out = { 0 };
	int rc = CLI_OK;
	size_t i;

	if (args_has(&c->args, "--json"))
		json_line(&out, &m->base);
	else
		as_text(&out, m);
	cli_print(&out);
	buf_reset(&out);
	for (i = 0; i < m->n_findings; i++)
		if (m->findings[i]->bad)
			rc = CLI_NO;
	return rc;
}

int verb_doctor(struct cli *c)
{
	static char verb[] = "doctor";
	Control__Request req = CONTROL__REQUEST__INIT;
	Control__Reply *reply = NULL;
	struct err e = { 0 };
	int rc;

	req.verb = verb;
	rc = daemon_ask(c->socket, &req, &reply, &e);
	if (rc != 0)
		return cli_fail(rc, "%s", e.text);
	if (reply->exit_code != 0)
		rc = cli_fail(reply->exit_code, "%s", reply->error);
	else if (reply->examined != NULL)
		rc = print(c, reply->examined);
	else
		rc = cli_fail(EX_PROTOCOL, "what answers there is no zonesyncd of this version");
	control__reply__free_unpacked(reply, NULL);
	return rc;
}
