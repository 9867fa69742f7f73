/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/tls/context.h"
#include "supervisor/cli/cli.h"
#include "supervisor/config/config.h"
#include "supervisor/config/slice.h"

/* Errors and warnings to stderr, as they stand: each names file, line and key. */
static void tell(const struct problems *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		(void)fprintf(stderr, "%s%s\n", p->item[i].level == PROBLEM_WARN ? "warning: " : "",
			      p->item[i].text);
	if (p->errors + p->warnings > p->n)
		(void)fprintf(stderr, "and %zu more\n", p->errors + p->warnings - p->n);
}

static int load(struct config **out, const char *path)
{
	struct problems p = { 0 };
	struct err e = { 0 };
	int rc = config_load(out, path, &p, &e);

	tell(&p);
	problems_reset(&p);
	return rc < 0 ? cli_fail(EX_CONFIG, "%s", err_text(&e)) : 0;
}

/*
 * What the fetcher, who has all connections, would read: keys and certificates. A file
 * that the user may not read is none that the daemon's user could not.
 */
static int check_tls(const struct config *config)
{
	const struct slice_input in = { .state_dir = "/", .run_dir = "/" };
	struct tls_context *context = NULL;
	struct slice slice = { 0 };
	struct err e = { 0 };
	int rc = 0;

	slice_build(&slice, config, SLICE_FETCHER, &in);
	if (slice.msg->fetcher->redis != NULL && slice.msg->fetcher->redis->tls != NULL)
		rc = tls_context_create(&context, slice.msg->fetcher->redis->tls, &e);
	tls_context_free(&context);
	slice_reset(&slice);
	if (rc == -EACCES) {
		(void)fprintf(stderr,
			      "warning: distributed-sync.redis: %s; not checked: do it as "
			      "the daemon's user\n",
			      e.text);
		return 0;
	}
	return rc < 0 ? cli_fail(EX_CONFIG, "distributed-sync.redis: %s", e.text) : 0;
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
	buf_reset(&out);
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
	buf_reset(&out);
	return CLI_OK;
}

int verb_config_sample(struct cli *c)
{
	struct buf out = { 0 };

	UNUSED(c);
	config_write_sample(&out);
	cli_print(&out);
	buf_reset(&out);
	return CLI_OK;
}
