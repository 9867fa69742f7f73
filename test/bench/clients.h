/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients - plain clients, one connection each: the gateway's side of a node, and what it is
 * measured against.
 *
 *	bench gateway SOCKET KEYS APIS ASKS	ResolveKey and Get of keys `run` made
 *	bench redis-fill SOCKET KEYS		strings k0 ... of 1,000 bytes
 *	bench redis-get SOCKET KEYS ASKS	GET of those
 *	bench redis-delete SOCKET KEYS		hashes of 1 KB, made, then pipelined DEL
 *	bench mongo URI COLLECTION...		every row of them, by _id
 *	bench postgres CONNINFO TABLE...	every row of them, by the first column
 *
 * Prints "<name>_serial <p50 us> <p99 us>" and "<name>_pipelined <seconds> <asks a second>".
 *
 * Owns: nothing. Blocks: yes. Errors: ends the process.
 */
#pragma once

#include <stdbool.h>

bool client_run(int argc, char **argv); /* false: these are none of its arguments */
