/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/cmd_status.h"

#include <poll.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "supervisor/cli/cli.h"
#include "supervisor/cli/json.h"

#define WATCH_MS 1000

static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && (no == NULL || no[0] == '\0');
}

static void show(struct buf *out, const Control__Status *st, bool json)
{
	if (json)
		json_line(out, &st->base);
	else
		status_text(out, st, wants_colour());
}

static void redraw(struct buf *out, const Control__Reply *r, const char *error, bool json)
{
	if (json && r == NULL)
		return;
	if (!json && isatty(STDOUT_FILENO))
		buf_adds(out, "\033[H\033[J");
	if (r != NULL)
		show(out, r->status, json);
	else
		text_clean(out, error);
	if (!json)
		buf_addc(out, '\n');
}

/* Until ^C. A daemon that goes away may come back; one that refuses will not. */
static int watch(struct cli *c, bool json)
{
	struct buf out = { 0 };
	int rc;

	do {
		Control__Reply *r = NULL;
		struct err e = { 0 };

		rc = daemon_status(c->socket, &r, &e);
		if (rc == EX_NOPERM || rc == EX_USAGE)
			return cli_fail(rc, "%s", e.text);
		redraw(&out, r, e.text, json);
		cli_print(&out);
		control__reply__free_unpacked(r, NULL);
	} while (poll(NULL, 0, WATCH_MS) == 0);
	return CLI_OK;
}

int verb_status(struct cli *c)
{
	bool json = args_has(&c->args, "--json");
	struct buf out = { 0 };
	Control__Reply *r = NULL;
	struct err e = { 0 };
	int rc;

	if (args_has(&c->args, "--watch"))
		return watch(c, json);
	rc = daemon_status(c->socket, &r, &e);
	if (rc != 0)
		return cli_fail(rc, "%s", e.text);
	show(&out, r->status, json);
	cli_print(&out);
	rc = status_exit_code(r->status);
	control__reply__free_unpacked(r, NULL);
	return rc;
}

int verb_quarantine(struct cli *c)
{
	struct buf out = { 0 };
	Control__Reply *r = NULL;
	struct err e = { 0 };
	int rc = daemon_status(c->socket, &r, &e);
	bool all = args_has(&c->args, "--all");
	const Ipc__FetcherReport *f;
	size_t i;

	if (rc != 0)
		return cli_fail(rc, "%s", e.text);
	f = r->status->fetcher;
	if (!args_has(&c->args, "--json")) {
		quarantine_text(&out, r->status);
		if (all && f != NULL)
			unpublished_text(&out, f);
	} else {
		for (i = 0; f != NULL && i < f->n_quarantine; i++)
			json_line(&out, &f->quarantine[i]->base);
		for (i = 0; all && f != NULL && i < f->n_unpublished; i++)
			json_line(&out, &f->unpublished[i]->base);
	}
	cli_print(&out);
	control__reply__free_unpacked(r, NULL);
	return CLI_OK;
}

/* 0 all is well, 1 someone should act. */
static int show_findings(const Ipc__Examined *m, bool json)
{
	struct buf out = { 0 };
	int rc = CLI_OK;
	size_t i;

	if (json)
		json_line(&out, &m->base);
	for (i = 0; i < m->n_findings; i++) {
		const Ipc__Finding *f = m->findings[i];

		if (f->bad)
			rc = CLI_NO;
		if (json)
			continue;
		buf_printf(&out, "%-2s %-8s ", f->bad ? "!!" : "", f->topic);
		text_clean(&out, f->text);
		buf_addc(&out, '\n');
	}
	cli_print(&out);
	return rc;
}

int verb_doctor(struct cli *c)
{
	Control__Reply *reply = NULL;
	int rc = daemon_ask(c, &reply);

	if (rc != 0)
		return rc;
	if (reply->exit_code != 0)
		rc = cli_fail(reply->exit_code, "%s", reply->error);
	else if (reply->examined != NULL)
		rc = show_findings(reply->examined, args_has(&c->args, "--json"));
	else
		rc = cli_fail(EX_PROTOCOL, "what answers there is no zonesyncd of this version");
	control__reply__free_unpacked(reply, NULL);
	return rc;
}
