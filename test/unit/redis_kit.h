/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_kit - a Redis server of a test's own, on a Unix socket in a directory of its own.
 *
 * The loop is the test's; kit_until() turns it until a fact holds. The server dies with
 * the test process.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "common/redis/redis.h"

struct kit {
	uv_loop_t loop;
	char *dir;
	char *socket;
	pid_t pid; /* 0: no server */
	struct redis *admin;
};

void kit_open(struct kit *k);				/* loop and directory only */
void kit_start(struct kit *k, const char *const *more); /* options, ended by NULL; may be NULL */
void kit_kill(struct kit *k);				/* the server, with SIGKILL */
void kit_close(struct kit *k);

void kit_opts(const struct kit *k, struct redis_opts *o);

/* Turns the loop until *fact is true; fails the test after half a minute. */
void kit_until(struct kit *k, const bool *fact);

/*
 * One command on the admin connection, ended by NULL; the answer as text: "(a b)" for
 * arrays, "-" for nil. Valid until the next call.
 */
const char *kit_ask(struct kit *k, ...) __attribute__((sentinel));
