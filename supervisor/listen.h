/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen - opens the listeners: control, gateways and the technical API.
 *
 * Owns:    nothing; descriptors are the caller's.
 * Blocks:  never: no name is looked up.
 * Errors:  ERR_CONFIG for a path that is too long, else -errno.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"

#define LISTEN_BACKLOG 256 /* clients queue here while the cache restarts */

/* Mode 0660. Takes the place of what a daemon before us left there. */
int listen_unix(const char *path, int *out, struct err *e) MUST_USE;

/* Gives the socket to a group; "": it stays the daemon's own. ERR_CONFIG, with the key: there is
   none of that name. *out is whose it is. */
int listen_give(const char *path, const char *key, const char *group, gid_t *out,
		struct err *e) MUST_USE;

/*
 * `host` is an address of this host, or localhost: 127.0.0.1. *url is where it listens, the
 * caller's: with port 0 the system chose one.
 */
int listen_tcp(const char *host, uint16_t port, int *out, char **url, struct err *e) MUST_USE;
