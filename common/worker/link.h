/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link - the Redis section of a Configure message as options of a connection.
 *
 * Owns: nothing; the strings are those of the message. Blocks: never. Errors: none.
 */
#pragma once

#include "common/redis/redis.h"
#include "ipc.pb-c.h"

void link_opts(const Ipc__Redis *r, const char *client_name, struct redis_opts *o);
