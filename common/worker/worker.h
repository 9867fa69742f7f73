/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker - what every worker process is: a loop, a channel to the supervisor on fd 3,
 * and the same life: Configure -> READY -> run -> Stop, or the supervisor is gone.
 *
 * The worker opens its log from Configure, answers Ping with its report, reopens its
 * log when told. EOF on fd 3 means that the supervisor died: the worker stops by
 * itself. SIGINT and SIGHUP are the supervisor's business; SIGTERM is Stop.
 *
 * Owns:    loop and channel. At the end it CHECKs that no handle was forgotten.
 * Blocks:  worker_main() until the worker stops.
 * Errors:  exit codes (sysexits): 0 asked, 69 supervisor gone, 70 protocol, 75 try
 *          again, 78 the configuration cannot work, and Checked said why.
 */
#pragma once

#include <uv.h>

#include "common/ipc/chan.h"
#include "common/ipc/route.h"
#include "common/log/log.h"

#define WORKER_FD	3 /* the channel */
#define WORKER_FIRST_FD 4 /* listeners, when the worker has some */

enum { WORKER_STARTING = 1, WORKER_UP = 2, WORKER_STOPPING = 4 }; /* for route.when */
enum { FROM_SUPERVISOR = 1 };

struct worker;

struct worker_spec {
	const char *name;
	const struct route_table *routes; /* of the worker's own messages; self = `arg` */
	/* Configure came. 0 and worker_ready() now or later, or an error that ends us. */
	int (*configure)(void *arg, struct worker *w, const Ipc__Configure *c, struct err *e);
	/* Fills the report that goes with each heartbeat; strings must live until the return
	   of the next call. */
	void (*report)(void *arg, Ipc__Report *out);
	/* Wind down, then call worker_done(). `lost`: nobody is there to talk to. */
	void (*stop)(void *arg, bool lost);
	void *arg;
	int death_signal; /* sent to us when the supervisor dies; 0: none (zone-protocol 8) */
	/* What can be said of a configuration without connecting. `look`: at files too, which may
	   block, and be there later. NULL: nothing. */
	void (*check)(const Ipc__Configure *c, bool look, Ipc__Checked *out);
};

/*
 * Its whole life; the exit code. With --check it lives shorter: Configure is read from stdin to
 * its end, never from the command line, and Checked is written to stdout.
 */
int worker_main(const struct worker_spec *s, int argc, char **argv);

uv_loop_t *worker_loop(struct worker *w);
void worker_ready(struct worker *w);
void worker_done(struct worker *w); /* the loop may end: all handles of ours are closing */
void worker_fail(struct worker *w, const struct err *why); /* ends the process with its code */
void worker_send(struct worker *w, const ProtobufCMessage *body); /* of an Envelope */
void worker_report(struct worker *w); /* unasked, something changed; at most once a turn */
const char *worker_node(const struct worker *w);
