/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget - how many clients the limit of open files has room for.
 *
 * What the daemon itself needs comes first: a cache that has no descriptor left can neither
 * reach Redis nor make a store anew. Then HTTP, of which a quarter of a small rest is enough.
 *
 * Owns: nothing. Blocks: never. Errors: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Redis and Sentinels, the store and a second one in the making, logs, listeners, the loop's
   own, and connections that are refused or closing (LISTENER_TURN_MAX of each). */
#define BUDGET_OWN_FDS 96

struct budget {
	unsigned clients; /* at most SERVE_CLIENTS_MAX, at least 1 */
	unsigned http;	  /* at most HTTP_CLIENTS_MAX; 0 when there is no such listener */
	bool is_small;	  /* less than these */
};

struct budget budget_of(uint64_t limit, bool has_http);

/* Of this process; says so in the log when it is small. */
struct budget budget_take(bool has_http);
