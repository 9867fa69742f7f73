/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sysexits.h>

#include "supervisor/command.h"
#include "supervisor/supervisor.h"

/* Lives until the next call: one request is answered at a time. */
static struct err why;

/* Those that take no arguments. */
static const struct {
	const char *verb;
	supervisor_fn *fn;
} answers[] = {
	{ "stepdown", supervisor_stepdown },	   { "resync", supervisor_resync },
	{ "compare", supervisor_compare },	   { "takeover", supervisor_takeover },
	{ "doctor", supervisor_examine },	   { "reopen-logs", supervisor_reopen_logs },
	{ "config show", supervisor_show_config },
};

static int resync_with(struct supervisor *s, const char *const *args, size_t n, struct buf *text)
{
	bool accept = str_equal(args[n - 1], "--accept-deletes"); /* options come last */

	if (n > (accept ? 2 : 0))
		return err_set(&why, ERR_PARSE, "resync knows --accept-deletes [SET] only");
	return supervisor_accept_deletes(s, n == 2 ? args[0] : NULL, text, &why);
}

static int reload_with(struct supervisor *s, const char *option)
{
	static const char zone[] = "--zone=";

	if (option != NULL && !str_starts(option, zone))
		return err_set(&why, ERR_PARSE, "reload knows --zone ID only");
	return supervisor_reload(s, option == NULL ? "" : option + strlen(zone), &why);
}

static int run(struct supervisor *s, const char *verb, const char *const *args, size_t n,
	       struct command_result *out)
{
	unsigned i;

	out->want_status = str_equal(verb, "status") || str_equal(verb, "quarantine");
	out->wait = str_equal(verb, "doctor")	? WAIT_EXAMINED
		    : str_equal(verb, "reload") ? WAIT_RELOADED
						: WAIT_NONE;
	if (out->want_status)
		return 0;
	if (str_equal(verb, "restart"))
		return supervisor_restart(s, args[0], &out->text, &why);
	if (str_equal(verb, "reload"))
		return reload_with(s, n == 0 ? NULL : args[0]);
	if (str_equal(verb, "resync") && n > 0)
		return resync_with(s, args, n, &out->text);
	for (i = 0; i < ARRAY_LEN(answers); i++)
		if (str_equal(answers[i].verb, verb))
			return answers[i].fn(s, &out->text, &why);
	return err_set(&why, ERR_NOTFOUND, "this is not the daemon's to do");
}

void command_run(struct supervisor *s, const char *verb, const char *const *args, size_t n,
		 struct command_result *out)
{
	const struct command *c = command_find(verb);
	size_t words = 0;
	size_t i;
	int rc;

	why = (struct err){ 0 };
	for (i = 0; i < n; i++)
		words += !str_starts(args[i], "--"); /* options travel with them, behind */
	if (c == NULL || words < c->min_args || words > c->max_args || n > words + 1) {
		out->exit_code = EX_USAGE;
		out->error = "the daemon does not know this command; are both of one version?";
		return;
	}
	rc = run(s, verb, args, n, out);
	if (rc < 0)
		out->error = why.text;
	if (rc == ERR_CONFIG) {
		out->exit_code = EX_CONFIG; /* the text has a line for each problem */
	} else if (rc < 0) {
		buf_clear(&out->text);
		out->exit_code = rc == ERR_PARSE || rc == ERR_NOTFOUND ? EX_USAGE : 1;
	}
}
