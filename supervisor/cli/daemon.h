/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon - one question to the supervisor, one answer.
 *
 * Owns:    an answer is the caller's: control__reply__free_unpacked(), snapshot_reset().
 * Blocks:  DAEMON_TIMEOUT_MS at most.
 * Errors:  an exit code, with a text that names the cure: 69 nobody answers, 77 refused.
 */
#pragma once

#include "common/base/err.h"
#include "control.pb-c.h"
#include "ipc.pb-c.h"

#define DAEMON_TIMEOUT_MS 10000

/* 0, or an exit code. A reply that refuses is still a reply. */
int daemon_ask(const char *socket, const Control__Request *r, Control__Reply **out,
	       struct err *e) MUST_USE;

/* A status with the workers' reports unpacked; those are NULL when there are none. */
struct snapshot {
	Control__Reply *reply;	       /* owned */
	const Control__Status *status; /* in `reply` */
	Ipc__ElectorReport *elector;   /* owned */
	Ipc__FetcherReport *fetcher;   /* owned */
	Ipc__CacheReport *cache;       /* owned */
};

int snapshot_take(struct snapshot *s, const char *socket, struct err *e) MUST_USE;
void snapshot_reset(struct snapshot *s);

/* Why a connection failed, for people; returns the exit code. */
int daemon_explain(const char *path, int rc, struct err *e);
