/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/log/log.h"
#include "supervisor/supervisor.h"

static const char usage[] =
	"usage: zonesyncd [--config FILE] [--state-dir DIR] [--run-dir DIR] [--log-dir DIR]\n"
	"                 [--libexec-dir DIR] [--version] [--help]\n"
	"\n"
	"Runs in the foreground; see zonesync(1) for how to steer it.\n"
	"  --config FILE       configuration (" ZONESYNC_CONFIG ")\n"
	"  --state-dir DIR     what must survive a restart (" ZONESYNC_STATE_DIR ")\n"
	"  --run-dir DIR       sockets (" ZONESYNC_RUN_DIR ")\n"
	"  --log-dir DIR       one log file per process (" ZONESYNC_LOG_DIR "); - for stderr\n"
	"  --libexec-dir DIR   where the workers are (" ZONESYNC_LIBEXEC_DIR ")\n"
	"  --time-scale PCT    scales the supervisor's own waits; for tests\n";

/* SIGHUP and SIGUSR1 may come at once; libuv takes them over later. */
static void early_signals(void)
{
	struct sigaction ign = { .sa_handler = SIG_IGN };

	(void)sigaction(SIGPIPE, &ign, NULL);
	(void)sigaction(SIGHUP, &ign, NULL);
	(void)sigaction(SIGUSR1, &ign, NULL);
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

struct paths {
	char *config, *state, *run, *log, *libexec;
	unsigned time_scale;
};

static void set(char **slot, const char *path)
{
	mem_free(*slot);
	*slot = absolute(path);
}

static void paths_free(struct paths *p)
{
	mem_free(p->config);
	mem_free(p->state);
	mem_free(p->run);
	mem_free(p->log);
	mem_free(p->libexec);
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, struct paths *p)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "state-dir", required_argument, NULL, 's' },
		{ "run-dir", required_argument, NULL, 'r' },
		{ "log-dir", required_argument, NULL, 'l' },
		{ "libexec-dir", required_argument, NULL, 'x' },
		{ "time-scale", required_argument, NULL, 't' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t scale = 0;
	int o;

	while ((o = getopt_long(argc, argv, "h", longs, NULL)) >= 0) {
		switch (o) {
		case 'c':
			set(&p->config, optarg);
			break;
		case 's':
			set(&p->state, optarg);
			break;
		case 'r':
			set(&p->run, optarg);
			break;
		case 'l':
			set(&p->log, optarg);
			if (strcmp(optarg, "-") == 0) {
				mem_free(p->log);
				p->log = NULL;
			}
			break;
		case 'x':
			set(&p->libexec, optarg);
			break;
		case 't':
			if (!str_to_u64(optarg, strlen(optarg), &scale) || scale == 0 ||
			    scale > 1000) {
				(void)fputs("zonesyncd: --time-scale is 1 to 1000 percent\n",
					    stderr);
				return EX_USAGE;
			}
			p->time_scale = (unsigned)scale;
			break;
		case 'v':
			(void)puts("zonesyncd " ZONESYNC_VERSION);
			return 0;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		default:
			(void)fputs(usage, stderr);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "zonesyncd: %s: no such argument\n%s", argv[optind], usage);
		return EX_USAGE;
	}
	return -1;
}

static int run(const struct paths *p)
{
	const struct options o = { p->config, p->state, p->run, p->log, p->libexec, p->time_scale };
	struct supervisor *s = NULL;
	struct err e = { 0 };
	uv_loop_t loop;
	int rc;

	CHECK(uv_loop_init(&loop) == 0);
	rc = supervisor_open(&s, &loop, &o, &e);
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
	struct paths p = { mem_strdup(ZONESYNC_CONFIG),	     mem_strdup(ZONESYNC_STATE_DIR),
			   mem_strdup(ZONESYNC_RUN_DIR),     mem_strdup(ZONESYNC_LOG_DIR),
			   mem_strdup(ZONESYNC_LIBEXEC_DIR), 100 };
	int rc;

	early_signals();
	(void)umask(0027);
	rc = parse(argc, argv, &p);
	if (rc < 0)
		rc = run(&p);
	paths_free(&p);
	return rc;
}
