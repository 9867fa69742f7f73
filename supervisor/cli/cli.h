/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli - what the verbs of `zonesync` share: how they are called and what they end with.
 *
 * Exit codes are an interface for scripts. A verb writes its answer to stdout and says
 * why it failed on stderr, once.
 *
 * Owns:    nothing.
 * Blocks:  verbs block on their sockets, with timeouts.
 * Errors:  the exit codes below, and those of <sysexits.h> that the table in help.c lists.
 */
#pragma once

#include "common/base/str.h"
#include "supervisor/cli/args.h"

enum {
	CLI_OK = 0,
	CLI_NO = 1,	 /* not found, not healthy, not now */
	CLI_RESET = 3,	 /* the position is of another history */
	CLI_TIMEOUT = 4, /* `wait` waited in vain */
	CLI_REFUSED = 5, /* `resolve`: known, but not active */
};

struct cli {
	const char *socket; /* of the supervisor */
	struct args args;
};

typedef int verb_fn(struct cli *c); /* returns the exit code */

int verb_status(struct cli *c);
int verb_quarantine(struct cli *c);
int verb_doctor(struct cli *c);
int verb_daemon(struct cli *c); /* asks the daemon and prints what it says */
int verb_get(struct cli *c);
int verb_list(struct cli *c);
int verb_watch(struct cli *c);
int verb_wait(struct cli *c);
int verb_resolve_key(struct cli *c);
int verb_resolve_subscription(struct cli *c);
int verb_logs(struct cli *c);
int verb_config_check(struct cli *c);
int verb_config_show(struct cli *c);
int verb_config_sample(struct cli *c);
int verb_setup_postgres(struct cli *c);

/* "zonesync: text" on stderr; returns the code. */
int cli_fail(int code, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Writes all of it to stdout and releases it. A reader that left ends the process. */
void cli_print(struct buf *b);
