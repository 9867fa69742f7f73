/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_hello - is the source there? Each pass connects, authenticates and asks a database for
 * its time, and reads nothing; of files it looks whether there is a directory. For a fetcher that
 * may be promoted, and would better not without a source (zone-protocol 2).
 *
 * Owns:    nothing between passes. Blocks: yes: runs on the feed's thread.
 * Errors:  those of the source.
 */
#pragma once

#include "ipc.pb-c.h"
#include "workers/fetcher/source/db.h"
#include "workers/fetcher/source/source.h"

#define SOURCE_HELLO_MS 600000 /* from one to the next; after one that failed it is sooner */

/* *out NULL: the source is no database. */
int source_db_connect(struct db **out, const Ipc__FetcherConfig *c, struct err *e) MUST_USE;

/* What can be said of the source without connecting; `look`: at files and directories, too. */
void source_check(const Ipc__FetcherConfig *c, bool look, Ipc__Checked *out);

struct source *source_hello_open(const Ipc__FetcherConfig *c) MUST_USE;
