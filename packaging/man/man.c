/* SPDX-License-Identifier: Apache-2.0 */
/*
 * man - makes a manual page: a template, with the tables of the programs filled in.
 *
 *	man TEMPLATE [EVENTS] > PAGE
 *
 * A template is roff. "@name argument@" in it stands for what a row of `macros` below
 * writes; one that nobody knows ends the build. A command that a template does not name
 * is added where "@commands@" stands, so a new row of a table is never missing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/model/kind.h"
#include "supervisor/cli/help.h"
#include "supervisor/command.h"
#include "supervisor/config/schema.h"
#include "supervisor/config/value.h"
#include "supervisor/environment.h"

#define MACRO_BYTES   64
#define COMMANDS_MAX  64
#define WANTED_PREFIX 6 /* "write " */

static const char *events_path;
static bool shown[COMMANDS_MAX]; /* commands that the template named */

static NORETURN void die(const char *what, const char *name)
{
	(void)fprintf(stderr, "man: %s: %s\n", what, name);
	exit(EXIT_FAILURE);
}

/* --- text of tables as roff --- */

static void add_char(struct buf *out, char c)
{
	static const char special[] = "\\-'`^~\"";
	static const char *const escape[] = { "\\e",   "\\-",	"\\(aq", "\\(ga",
					      "\\(ha", "\\(ti", "\\(dq" };
	const char *at = strchr(special, c);

	if (at == NULL || c == '\0')
		buf_addc(out, c);
	else
		buf_adds(out, escape[at - special]);
}

static void add_text(struct buf *out, const char *s, size_t n)
{
	size_t i;

	if (n > 0 && s[0] == '.')
		buf_adds(out, "\\&");
	for (i = 0; i < n; i++)
		add_char(out, s[i]);
}

static void add(struct buf *out, const char *s)
{
	add_text(out, s, strlen(s));
}

static void add_font(struct buf *out, char font, const char *s, size_t n)
{
	buf_printf(out, "\\f%c", font);
	add_text(out, s, n);
	buf_adds(out, "\\fR");
}

/* "[--ref API:ID]": what is typed as it stands is bold, what stands for something italic. */
static void add_usage(struct buf *out, const char *s)
{
	while (*s != '\0') {
		size_t n = strcspn(s, " []");

		if (n == 0)
			buf_addc(out, *s++);
		else
			add_font(out, s[0] >= 'A' && s[0] <= 'Z' ? 'I' : 'B', s, n);
		s += n;
	}
}

/* A sentence of a table has a full stop, or is to get one. */
static void add_sentence(struct buf *out, const char *s)
{
	size_t n = strlen(s);

	if (n > 0 && s[0] >= 'a' && s[0] <= 'z') {
		buf_addc(out, (char)(s[0] - 'a' + 'A'));
		s++;
		n--;
	}
	add(out, s);
	if (n > 0 && s[n - 1] != '.')
		buf_addc(out, '.');
	buf_addc(out, '\n');
}

/* --- macros --- */

static void on_version(struct buf *out, const char *arg)
{
	UNUSED(arg);
	buf_adds(out, ZONESYNC_VERSION);
}

static void on_default(struct buf *out, const char *arg)
{
	unsigned i;

	for (i = 0; i < OPTION__COUNT; i++) {
		if (!str_equal(daemon_options[i].name, arg))
			continue;
		add(out, daemon_options[i].dflt);
		return;
	}
	if (!str_equal(arg, "socket"))
		die("no such option", arg);
	add(out, cli_options[CLI_OPTION_SOCKET].dflt);
}

static void on_options(struct buf *out, const char *arg)
{
	bool cli = str_equal(arg, "cli");
	const struct option_row *rows = cli ? cli_options : daemon_options;
	size_t n = cli ? CLI_OPTION__COUNT : OPTION__COUNT;
	size_t i;

	for (i = 0; i < n; i++) {
		buf_adds(out, ".TP\n\\fB\\-\\-");
		add(out, rows[i].name);
		buf_adds(out, "\\fR");
		if (rows[i].arg != NULL) {
			buf_addc(out, ' ');
			add_font(out, 'I', rows[i].arg, strlen(rows[i].arg));
		}
		buf_addc(out, '\n');
		add_sentence(out, rows[i].help);
		if (rows[i].dflt == NULL)
			continue;
		buf_adds(out, "Default: ");
		add_font(out, 'I', rows[i].dflt, strlen(rows[i].dflt));
		buf_adds(out, ".\n");
	}
}

static void add_command(struct buf *out, size_t i)
{
	const struct command *c = &commands[i];

	shown[i] = true;
	buf_adds(out, ".TP\n");
	add_font(out, 'B', c->verb, strlen(c->verb));
	if (c->args[0] != '\0') {
		buf_addc(out, ' ');
		add_usage(out, c->args);
	}
	buf_addc(out, '\n');
	add_sentence(out, c->help);
}

static void on_command(struct buf *out, const char *arg)
{
	const struct command *c = command_find(arg);

	if (c == NULL)
		die("no such command", arg);
	add_command(out, (size_t)(c - commands));
}

static void on_commands(struct buf *out, const char *arg)
{
	size_t i;

	UNUSED(arg);
	for (i = 0; i < commands_len; i++)
		if (!shown[i])
			add_command(out, i);
}

static void on_exits(struct buf *out, const char *arg)
{
	size_t i;

	UNUSED(arg);
	for (i = 0; i < cli_exits_len; i++) {
		buf_printf(out, ".TP\n.B %d\n", cli_exits[i].code);
		add_sentence(out, cli_exits[i].what);
	}
}

static void on_kinds(struct buf *out, const char *arg)
{
	unsigned i;

	UNUSED(arg);
	for (i = 0; i < KIND__COUNT; i++) {
		buf_adds(out, i == 0 ? "" : ",\n");
		add_font(out, 'B', kind_name((enum kind)i), strlen(kind_name((enum kind)i)));
	}
}

static void on_environment(struct buf *out, const char *arg)
{
	size_t i;

	UNUSED(arg);
	for (i = 0; environment_names[i] != NULL; i++) {
		buf_adds(out, i == 0 ? "" : ",\n");
		add_font(out, 'B', environment_names[i], strlen(environment_names[i]));
	}
}

/* --- keys --- */

static const struct {
	const char *name;
	enum schema_status status;
} statuses[] = {
	{ "used", STATUS_USED },
	{ "later", STATUS_LATER },
	{ "refused", STATUS_REFUSED },
	{ "no-effect", STATUS_NO_EFFECT },
};

static void add_type(struct buf *out, const struct schema_row *row)
{
	struct buf want = { 0 };

	if (row->type == TYPE_SECRET) {
		buf_adds(out, "secret text");
	} else if (row->type == TYPE_INT && row->min >= row->max) {
		buf_adds(out, "whole number");
	} else {
		value_wanted(&want, row);
		add(out, buf_cstr(&want) + WANTED_PREFIX);
		buf_reset(&want);
	}
}

static void add_readers(struct buf *out, unsigned who)
{
	static const char *const names[] = { "supervisor", "elector", "fetcher", "cache" };
	const char *lead = "; read by ";
	unsigned i;

	if (who == FOR_ALL) {
		buf_adds(out, "; read by all processes");
		return;
	}
	for (i = 0; i < ARRAY_LEN(names); i++) {
		if ((who & 1U << i) == 0)
			continue;
		buf_printf(out, "%s%s", lead, names[i]);
		lead = ", ";
	}
}

/* What a reload does about it. */
static const char *cost_of(const struct schema_row *row)
{
	if (row->when == CHANGE_AT_START)
		return "waits for a restart of the daemon";
	if (row->when == CHANGE_LIVE || (row->who & FOR_WORKERS) == 0)
		return "takes effect with a reload, and restarts nothing";
	if ((row->who & (FOR_ELECTOR | FOR_FETCHER)) == 0)
		return "restarts the cache";
	return (row->who & FOR_CACHE) != 0
		       ? "restarts its readers, and may move the primary role"
		       : "restarts its readers where they run, and may move the primary role";
}

static void add_key(struct buf *out, const struct schema_row *row)
{
	buf_adds(out, ".TP\n");
	add_font(out, 'B', row->key, strlen(row->key));
	buf_addc(out, '\n');
	add_sentence(out, row->doc);
	if (row->status == STATUS_REFUSED) {
		if (row->refused == NULL) {
			buf_adds(out, "Refused: ");
		} else {
			buf_adds(out, "Refused when ");
			add_font(out, 'B', row->refused, strlen(row->refused));
			buf_adds(out, ": ");
		}
		add(out, row->why);
		buf_adds(out, ".\n");
	}
	buf_adds(out, ".br\nValue: ");
	add_type(out, row);
	if (row->dflt[0] != '\0') {
		buf_adds(out, "; default ");
		add_font(out, 'I', row->dflt, strlen(row->dflt));
	}
	if (row->sample != NULL) {
		buf_adds(out, "; required: ");
		add_font(out, 'B', row->sample, strlen(row->sample));
	}
	if (row->status == STATUS_USED) {
		add_readers(out, row->who);
		buf_printf(out, "; a change %s", cost_of(row));
	}
	buf_addc(out, '\n');
}

/* The keys of one status, under the name of the group that they begin with. */
static void on_keys(struct buf *out, const char *arg)
{
	const char *before = "";
	size_t i;
	unsigned id;

	for (i = 0; i < ARRAY_LEN(statuses) && !str_equal(statuses[i].name, arg); i++)
		;
	if (i == ARRAY_LEN(statuses))
		die("no such status", arg);
	for (id = 0; id < CFG__COUNT; id++) {
		const struct schema_row *row = schema_row((enum cfg)id);
		size_t n = strcspn(row->key, ".");
		const char *group = row->key[n] == '.' ? row->key : "Other keys";

		if (row->status != statuses[i].status)
			continue;
		n = group == row->key ? n : strlen(group);
		if (strncmp(before, group, n) != 0 && statuses[i].status == STATUS_USED) {
			buf_adds(out, ".SS ");
			add_text(out, group, n);
			buf_addc(out, '\n');
		}
		before = group;
		add_key(out, row);
	}
}

static void on_events(struct buf *out, const char *arg)
{
	FILE *f = events_path == NULL ? NULL : fopen(events_path, "r");
	char line[4096];

	UNUSED(arg);
	if (f == NULL)
		die("cannot read the events", events_path == NULL ? "none given" : events_path);
	while (fgets(line, sizeof(line), f) != NULL)
		buf_adds(out, line);
	(void)fclose(f);
}

static const struct {
	const char *name;
	void (*fn)(struct buf *out, const char *arg);
} macros[] = {
	{ "version", on_version },   { "default", on_default },
	{ "options", on_options },   { "command", on_command },
	{ "commands", on_commands }, { "exits", on_exits },
	{ "kinds", on_kinds },	     { "keys", on_keys },
	{ "events", on_events },     { "environment", on_environment },
};

static void expand(struct buf *out, char *macro)
{
	char *arg = strchr(macro, ' ');
	size_t i;

	if (arg != NULL)
		*arg++ = '\0';
	for (i = 0; i < ARRAY_LEN(macros); i++) {
		if (!str_equal(macros[i].name, macro))
			continue;
		macros[i].fn(out, arg == NULL ? "" : arg);
		return;
	}
	die("no such macro", macro);
}

/* A macro that is alone on its line ends its own last line, or has the line's end. */
static void fill_line(struct buf *out, const char *line)
{
	const char *open;

	while ((open = strchr(line, '@')) != NULL) {
		const char *end = strchr(open + 1, '@');
		char macro[MACRO_BYTES];

		if (end == NULL || (size_t)(end - open) > sizeof(macro))
			die("a macro without an end", line);
		buf_add(out, line, (size_t)(open - line));
		str_copy(macro, MIN(sizeof(macro), (size_t)(end - open)), open + 1);
		expand(out, macro);
		line = end + 1;
	}
	if (line[0] != '\n' || out->len == 0 || out->data[out->len - 1] != '\n')
		buf_adds(out, line);
}

int main(int argc, char **argv)
{
	struct buf out = { 0 };
	char line[4096];
	FILE *f;

	if (argc < 2 || argc > 3)
		die("usage", "man TEMPLATE [EVENTS]");
	CHECK(commands_len <= COMMANDS_MAX);
	events_path = argv[2];
	f = fopen(argv[1], "r");
	if (f == NULL)
		die("cannot read", argv[1]);
	while (fgets(line, sizeof(line), f) != NULL)
		fill_line(&out, line);
	(void)fclose(f);
	if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0)
		die("cannot write", "stdout");
	buf_reset(&out);
	return EXIT_SUCCESS;
}
