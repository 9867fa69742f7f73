/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/tls/context.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/setup_sql.h"
#include "supervisor/config/config.h"
#include "supervisor/config/slice.h"

/* Errors and warnings to stderr, as they stand: each names file, line and key. */
static int load(struct config **out, const char *path)
{
	struct problems p = { 0 };
	struct buf told = { 0 };
	struct err e = { 0 };
	int rc = config_load(out, path, &p, &e);

	problems_show(&p, &told);
	if (p.errors + p.warnings > p.n)
		buf_printf(&told, "and %zu more\n", p.errors + p.warnings - p.n);
	(void)fputs(buf_cstr(&told), stderr);
	buf_reset(&told);
	problems_reset(&p);
	return rc < 0 ? cli_fail(EX_CONFIG, "%s", err_text(&e)) : 0;
}

static int check_stores(const char *whose, const Ipc__Tls *m)
{
	struct tls_context *context = NULL;
	struct err e = { 0 };
	int rc = m == NULL ? 0 : tls_context_create(&context, m, &e);

	tls_context_free(&context);
	if (rc == -EACCES) {
		(void)fprintf(stderr, "warning: %s: %s; not checked: do it as the daemon's user\n",
			      whose, e.text);
		return 0;
	}
	return rc < 0 ? cli_fail(EX_CONFIG, "%s: %s", whose, e.text) : 0;
}

/* What the fetcher, who has all connections, would read: keys and certificates. */
static int check_tls(const struct config *config)
{
	const struct slice_input in = { .state_dir = "/", .run_dir = "/" };
	const Ipc__FetcherConfig *f;
	struct slice slice = { 0 };
	int rc = 0;

	slice_build(&slice, config, SLICE_FETCHER, &in);
	f = slice.msg->fetcher;
	if (f->redis != NULL)
		rc = check_stores("distributed-sync.redis", f->redis->tls);
	if (rc == 0 && f->mongo != NULL)
		rc = check_stores("management.mongodb", f->mongo->tls);
	if (rc == 0 && f->postgres != NULL)
		rc = check_stores("management.jdbc", f->postgres->tls);
	slice_reset(&slice);
	return rc;
}

int verb_config_check(struct cli *c)
{
	struct config *config = NULL;
	struct buf out = { 0 };
	int rc = load(&config, c->args.word[0]);

	if (rc == 0)
		rc = check_tls(config);
	config_free(&config);
	if (rc != 0)
		return rc;
	buf_printf(&out, "%s: good\n", c->args.word[0]);
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
	const char *path = c->args.n_words > 0 ? c->args.word[0]
					       : daemon_options[OPTION_CONFIG].dflt;
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
