/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child - one worker process: spawned, watched, restarted.
 *
 * First restart at once, then 1 s doubling to 30 s, forgotten after 60 s of health
 * (zone-protocol 8). READY within 30 s. A heartbeat each second; ten of them missed in
 * a row end in SIGKILL. Exit code 78 (bad configuration) is not restarted.
 *
 * Owns:    process, channel, output pipe, timers.
 * Blocks:  never.
 * Errors:  a failed spawn counts as a death.
 */
#pragma once

#include <uv.h>

#include "common/ipc/chan.h"
#include "common/ipc/route.h"
#include "supervisor/child_step.h"

#define CHILD_READY_MS	     30000
#define CHILD_STOP_MS	     5000
#define CHILD_READY_FLOOR_MS 2000 /* however short a test scales the times */
#define CHILD_STOP_FLOOR_MS  1000
#define CHILD_PING_FLOOR_MS  200
#define CHILD_PING_MS	     1000
#define CHILD_PING_MISSES    10
#define CHILD_BACKOFF_MS     1000
#define CHILD_BACKOFF_MAX_MS 30000
#define CHILD_HEALTHY_MS     60000
#define CHILD_RING_DEATHS    5	  /* so many in a row without health: a death ring */
#define CHILD_DRAIN_MS	     1000 /* its channel and output may be held open by others */
#define CHILD_LINE_BYTES     4096
#define CHILD_FDS_MAX	     4

struct child;

struct death {
	int64_t at_ms; /* wall clock */
	const char *worker;
	int pid;
	int exit_code; /* -1: by a signal */
	int signal;
	int64_t uptime_ms;
	char why[48];
};

struct child_facts { /* times are boot times */
	unsigned generation;
	unsigned failures;     /* ends that nobody asked for */
	int64_t since_ms;      /* the last spawn */
	int64_t heard_ms;      /* the last sign of life */
	int64_t down_since_ms; /* INT64_MAX while up */
	int64_t restart_ms;    /* the next start; 0 none */
	bool wanted;
	bool given_up; /* exit 78 */
	bool in_ring;  /* it keeps dying */
};

struct child_hooks {
	void *arg;
	const struct route_table
		*routes; /* of messages not of the child's own life; self = `arg` */
	void (*up)(void *arg, struct child *c);
	void (*stopping)(void *arg, struct child *c); /* it is told to stop next */
	void (*report)(void *arg, struct child *c);   /* a new report came */
	void (*gone)(void *arg, struct child *c, const struct death *d);
};

struct child_spec {
	const char *name;
	char *path;		/* of the executable; not owned */
	char *log_path;		/* where its stderr goes; NULL: ours. Not owned */
	int fds[CHILD_FDS_MAX]; /* handed on from descriptor 4 up; not owned */
	size_t n_fds;
	uint32_t from;	     /* who it is in `routes` */
	unsigned time_scale; /* percent of all times here; 100 but in tests */
};

struct child *child_create(uv_loop_t *loop, const struct child_spec *s,
			   const struct child_hooks *h) MUST_USE;
void child_close(struct child **c); /* the process must be gone */

/* What it is told at each start; not owned, it has to stay until the next call. */
void child_configure(struct child *c, const Ipc__Configure *m);
void child_want(struct child *c, bool up);
void child_restart(struct child *c, const char *why);
void child_kill(struct child *c, const char *why); /* SIGKILL; it is restarted */
void child_reopen_log(struct child *c);
int child_send(struct child *c, const ProtobufCMessage *body); /* of an Envelope */
void child_forgive(struct child *c); /* a new configuration: exit 78 is forgotten */

const char *child_name(const struct child *c);
enum child_state child_state(const struct child *c);
int child_pid(const struct child *c);
struct child_facts child_facts(const struct child *c);
const Ipc__Report *child_report(const struct child *c);	  /* the last one, or NULL */
const Ipc__Checked *child_checked(const struct child *c); /* what it thinks of its configuration,
							     or NULL; stays when it ends */
