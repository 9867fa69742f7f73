/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link - the Redis section of a Configure message as options of a connection, and what
 * can be said of it before there is one.
 *
 * Owns:    nothing; the strings are those of the message.
 * Blocks:  link_check*(), on the files of keys and certificates.
 * Errors:  remarks.
 */
#pragma once

#include "common/message/remark.h"
#include "common/redis/redis.h"
#include "ipc.pb-c.h"

void link_opts(const Ipc__Redis *r, const char *client_name, struct redis_opts *o);

/* NULL: nothing. `whose` is the group of keys that the stores are below. */
void link_check(const Ipc__Redis *r, Ipc__Checked *out);
void link_check_tls(const char *whose, const Ipc__Tls *m, Ipc__Checked *out);
