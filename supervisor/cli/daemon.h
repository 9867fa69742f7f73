/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon - one question to the supervisor, one answer.
 *
 * Owns:    an answer is the caller's: control__reply__free_unpacked().
 * Blocks:  DAEMON_TIMEOUT_MS at most.
 * Errors:  an exit code, with a text that names the cure: 69 nobody answers, 77 refused.
 */
#pragma once

#include "common/base/err.h"
#include "control.pb-c.h"
#include "supervisor/cli/cli.h"

#define DAEMON_TIMEOUT_MS 10000

/* Asks what the command line says; 0, or an exit code, of which all is said. A reply that refuses
   is still a reply. */
int daemon_ask(struct cli *c, Control__Reply **out) MUST_USE;

/* For the status, which is there when it is 0. */
int daemon_status(const char *socket, Control__Reply **out, struct err *e) MUST_USE;

/* Why a connection failed, for people; returns the exit code. */
int daemon_explain(const char *path, int rc, struct err *e);
