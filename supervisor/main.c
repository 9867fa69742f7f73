/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/log/log.h"
#include "supervisor/command.h"
#include "supervisor/supervisor.h"

#define USAGE_WIDTH  80
#define USAGE_INDENT 17 /* behind "usage: zonesyncd" */
#define HELP_COLUMN  22

/* SIGHUP and SIGUSR1 may come at once; libuv takes them over later. */
static void early_signals(void)
{
	struct sigaction ign = { .sa_handler = SIG_IGN };

	(void)sigaction(SIGPIPE, &ign, NULL);
	(void)sigaction(SIGHUP, &ign, NULL);
	(void)sigaction(SIGUSR1, &ign, NULL);
}

/* Each client of the cache is a descriptor, and workers inherit the limit. */
static void raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

static char *absolute(const char *path)
{
	char *cwd;
	char *out;

	if (path[0] == '/')
		return mem_strdup(path);
	cwd = getcwd(NULL, 0);
	out = mem_printf("%s/%s", cwd == NULL ? "" : cwd, path);
	free(cwd);
	return out;
}

static void set(struct options *out, int o, const char *path)
{
	mem_free(out->path[o]);
	out->path[o] = o == OPTION_LOG_DIR && strcmp(path, "-") == 0 ? NULL : absolute(path);
}

/* "--state-dir DIR" */
static int name_of(char *out, size_t size, const struct option_row *o)
{
	return snprintf(out, size, "--%s%s%s", o->name, o->arg == NULL ? "" : " ",
			o->arg == NULL ? "" : o->arg);
}

static void usage(FILE *f)
{
	int at = USAGE_INDENT;
	char name[64];
	unsigned i;

	(void)fputs("usage: zonesyncd", f);
	for (i = 0; i < OPTION__COUNT; i++) {
		int n = name_of(name, sizeof(name), &daemon_options[i]) + 3;

		if (at + n > USAGE_WIDTH) {
			(void)fprintf(f, "\n%*s", USAGE_INDENT - 1, "");
			at = USAGE_INDENT;
		}
		(void)fprintf(f, " [%s]", name);
		at += n;
	}
	(void)fputs("\n\nRuns in the foreground; see zonesync(1) for how to steer it.\n", f);
	for (i = 0; i < OPTION__COUNT; i++) {
		const struct option_row *o = &daemon_options[i];

		(void)name_of(name, sizeof(name), o);
		(void)fprintf(f, "  %-*s%s%s%s%s\n", HELP_COLUMN - 2, name, o->help,
			      o->dflt == NULL ? "" : " (", o->dflt == NULL ? "" : o->dflt,
			      o->dflt == NULL ? "" : ")");
	}
}

static int set_time_scale(struct options *out, const char *text)
{
	uint64_t scale = 0;

	if (!str_to_u64(text, strlen(text), &scale) || scale == 0 || scale > 1000) {
		(void)fputs("zonesyncd: --time-scale is 1 to 1000 percent\n", stderr);
		return EX_USAGE;
	}
	out->time_scale = (unsigned)scale;
	return -1;
}

/* -1: go on; else the exit code. */
static int take(struct options *out, int o)
{
	if (o >= 0 && o < OPTION__PATHS) {
		set(out, o, optarg);
		return -1;
	}
	switch (o) {
	case OPTION_TIME_SCALE:
		return set_time_scale(out, optarg);
	case OPTION_VERSION:
		(void)puts("zonesyncd " ZONESYNC_VERSION);
		return 0;
	case OPTION_HELP:
	case 'h':
		usage(stdout);
		return 0;
	default:
		usage(stderr);
		return EX_USAGE;
	}
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, struct options *out)
{
	struct option longs[OPTION__COUNT + 1] = { 0 };
	int rc = -1;
	int o;

	for (o = 0; o < OPTION__COUNT; o++)
		longs[o] = (struct option){ daemon_options[o].name,
					    daemon_options[o].arg == NULL ? no_argument
									  : required_argument,
					    NULL, o };
	while (rc < 0 && (o = getopt_long(argc, argv, "h", longs, NULL)) >= 0)
		rc = take(out, o);
	if (rc < 0 && optind < argc) {
		(void)fprintf(stderr, "zonesyncd: %s: no such argument\n", argv[optind]);
		usage(stderr);
		return EX_USAGE;
	}
	return rc;
}

static int run(const struct options *o)
{
	struct supervisor *s = NULL;
	struct err e = { 0 };
	uv_loop_t loop;
	int rc;

	CHECK(uv_loop_init(&loop) == 0);
	rc = supervisor_open(&s, &loop, o, command_run, &e);
	if (rc < 0) {
		(void)fprintf(stderr, "zonesyncd: %s\n", err_text(&e));
	}
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&loop) == 0);
	supervisor_free(&s);
	log_close();
	if (rc == ERR_CONFIG)
		return EX_CONFIG;
	return rc == 0 ? 0 : rc == ERR_BUSY ? EX_TEMPFAIL : EX_OSERR;
}

int main(int argc, char **argv)
{
	struct options o = { .time_scale = 100 };
	unsigned i;
	int rc;

	early_signals();
	raise_limit();
	(void)prctl(PR_SET_DUMPABLE,
		    0); /* secrets: for no core, and no other process of the user */
	(void)umask(0027);
	for (i = 0; i < OPTION__PATHS; i++)
		o.path[i] = mem_strdup(daemon_options[i].dflt);
	rc = parse(argc, argv, &o);
	if (rc < 0)
		rc = run(&o);
	for (i = 0; i < OPTION__PATHS; i++)
		mem_free(o.path[i]);
	return rc;
}
