/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "supervisor/ask.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/setup_sql.h"
#include "supervisor/config/config.h"

/* To stderr, as they stand: each names file, line and key. */
static void show(const struct problems *p)
{
	size_t all = p->errors + p->warnings + p->unchecked;
	struct buf told = { 0 };

	problems_show(p, &told);
	if (all > p->n)
		buf_printf(&told, "and %zu more\n", all - p->n);
	(void)fputs(buf_cstr(&told), stderr);
	buf_reset(&told);
}

/* The file named, or the daemon's own. */
static const char *path_of(const struct cli *c)
{
	return c->args.n_words > 0 ? c->args.word[0] : daemon_options[OPTION_CONFIG].dflt;
}

static int load(struct config **out, const char *path)
{
	struct problems p = { 0 };
	struct err e = { 0 };
	int rc = config_load(out, path, &p, &e);

	show(&p);
	problems_reset(&p);
	return rc < 0 ? cli_fail(EX_CONFIG, "%s", err_text(&e)) : 0;
}

/* Where the workers are; other than where they are installed in tests. */
static const char *libexec_dir(void)
{
	const char *env = getenv("ZONESYNC_LIBEXEC_DIR");

	return env != NULL && env[0] == '/' ? env : daemon_options[OPTION_LIBEXEC_DIR].dflt;
}

int verb_config_check(struct cli *c)
{
	const struct ask ask = { .libexec_dir = libexec_dir() };
	struct config *config = NULL;
	struct problems p = { 0 };
	struct buf out = { 0 };
	struct err e = { 0 };
	int rc = config_load(&config, path_of(c), &p, &e);
	size_t bad;

	if (rc == 0)
		ask_workers(config, &ask, &p);
	config_free(&config);
	show(&p);
	bad = p.errors + (args_has(&c->args, "--strict") ? p.warnings : 0);
	problems_reset(&p);
	if (rc < 0)
		return cli_fail(EX_CONFIG, "%s", err_text(&e));
	if (bad > 0)
		return cli_fail(EX_CONFIG, "%s: %zu problem%s; mend the file and try again",
				path_of(c), bad, bad == 1 ? "" : "s");
	buf_printf(&out, "%s: good\n", path_of(c));
	cli_print(&out);
	return CLI_OK;
}

int verb_config_show(struct cli *c)
{
	struct config *config = NULL;
	struct buf out = { 0 };
	int rc;

	if (c->args.n_words == 0)
		return verb_daemon(c);
	rc = load(&config, c->args.word[0]);
	if (rc != 0)
		return rc;
	config_show(config, &out);
	config_free(&config);
	cli_print(&out);
	return CLI_OK;
}

int verb_config_sample(struct cli *c)
{
	struct buf out = { 0 };

	UNUSED(c);
	config_write_sample(&out);
	cli_print(&out);
	return CLI_OK;
}

int verb_setup_postgres(struct cli *c)
{
	const char *path = path_of(c);
	struct config *config = NULL;
	struct buf out = { 0 };
	int rc = load(&config, path);

	if (rc != 0)
		return rc;
	if (strcmp(config_str(config, CFG_SOURCE), "jdbc") == 0) {
		const struct setup_names names = { config_str(config, CFG_JDBC_SCHEMA),
						   config_str(config, CFG_JDBC_URL),
						   config_str(config, CFG_JDBC_PREFIX) };

		setup_sql(&out, &names, args_has(&c->args, "--remove"));
	} else {
		rc = cli_fail(EX_CONFIG, "%s: management.type is %s; this is for jdbc", path,
			      config_str(config, CFG_SOURCE));
	}
	config_free(&config);
	cli_print(&out);
	return rc;
}
