/* SPDX-License-Identifier: Apache-2.0 */
#include <sysexits.h>

#include "supervisor/command.h"
#include "supervisor/supervisor.h"

/* Lives until the next call: one request is answered at a time. */
static struct err why;

typedef int answer_fn(struct supervisor *s, const char *const *args, size_t n,
		      struct command_result *out);

static int on_status(struct supervisor *s, const char *const *args, size_t n,
		     struct command_result *out)
{
	UNUSED(s);
	UNUSED(args);
	UNUSED(n);
	out->want_status = true;
	return 0;
}

static int on_stepdown(struct supervisor *s, const char *const *args, size_t n,
		       struct command_result *out)
{
	UNUSED(args);
	UNUSED(n);
	buf_adds(&out->text, "stepping down\n");
	return supervisor_stepdown(s, &why);
}

static int on_doctor(struct supervisor *s, const char *const *args, size_t n,
		     struct command_result *out)
{
	UNUSED(args);
	UNUSED(n);
	out->pending = true;
	return supervisor_examine(s, &why);
}

static int on_takeover(struct supervisor *s, const char *const *args, size_t n,
		       struct command_result *out)
{
	UNUSED(args);
	UNUSED(n);
	buf_adds(&out->text, "standing for election, whatever Java gateways do; "
			     "see `zonesync status`\n");
	return supervisor_takeover(s, &why);
}

static int on_resync(struct supervisor *s, const char *const *args, size_t n,
		     struct command_result *out)
{
	bool accept = n > 0 && str_equal(args[n - 1], "--accept-deletes"); /* options come last */

	if (n > (accept ? 2 : 0))
		return err_set(&why, ERR_PARSE, "resync knows --accept-deletes [SET] only");
	if (accept)
		return supervisor_accept_deletes(s, n == 2 ? args[0] : NULL, &out->text, &why);
	buf_adds(&out->text, "building the local store anew; the old one serves until then\n");
	return supervisor_resync(s, RESYNC_STORE, &why);
}

static int on_compare(struct supervisor *s, const char *const *args, size_t n,
		      struct command_result *out)
{
	UNUSED(args);
	UNUSED(n);
	buf_adds(&out->text, "comparing the whole source with the zone\n");
	return supervisor_resync(s, RESYNC_COMPARE, &why);
}

static int on_restart(struct supervisor *s, const char *const *args, size_t n,
		      struct command_result *out)
{
	UNUSED(n);
	buf_printf(&out->text, "restarting %s\n", args[0]);
	return supervisor_restart(s, args[0], &why);
}

static int on_reload(struct supervisor *s, const char *const *args, size_t n,
		     struct command_result *out)
{
	int rc;

	UNUSED(args);
	UNUSED(n);
	rc = supervisor_reload(s, &out->text, &why);
	if (rc == ERR_STATE)
		return rc;
	if (rc == 0) {
		buf_adds(&out->text, "reloaded\n");
		return 0;
	}
	out->exit_code = EX_CONFIG; /* the text has a line for each problem */
	out->error = why.text;
	return 0;
}

static int on_reopen(struct supervisor *s, const char *const *args, size_t n,
		     struct command_result *out)
{
	UNUSED(args);
	UNUSED(n);
	UNUSED(out);
	supervisor_reopen_logs(s);
	return 0;
}

static int on_show(struct supervisor *s, const char *const *args, size_t n,
		   struct command_result *out)
{
	UNUSED(args);
	UNUSED(n);
	supervisor_show_config(s, &out->text);
	return 0;
}

static const struct {
	const char *verb;
	answer_fn *fn;
} answers[] = {
	{ "status", on_status },      { "quarantine", on_status }, { "stepdown", on_stepdown },
	{ "resync", on_resync },      { "compare", on_compare },   { "restart", on_restart },
	{ "takeover", on_takeover },  { "doctor", on_doctor },	   { "reload", on_reload },
	{ "reopen-logs", on_reopen }, { "config show", on_show },
};

void command_run(struct supervisor *s, const char *verb, const char *const *args, size_t n,
		 struct command_result *out)
{
	const struct command *c = command_find(verb);
	unsigned i;
	int rc = ERR_NOTFOUND;

	why = (struct err){ 0 };
	if (c == NULL || n < c->min_args || n > c->max_args) {
		out->exit_code = EX_USAGE;
		out->error = "the daemon does not know this command; are both of one version?";
		return;
	}
	for (i = 0; i < ARRAY_LEN(answers); i++)
		if (str_equal(answers[i].verb, verb))
			rc = answers[i].fn(s, args, n, out);
	if (rc < 0) {
		buf_clear(&out->text);
		out->exit_code = rc == ERR_PARSE || rc == ERR_NOTFOUND ? EX_USAGE : 1;
		out->error = why.text[0] != '\0' ? why.text : "this is not the daemon's to do";
	}
}
