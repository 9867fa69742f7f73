/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch_postgres - LISTEN on what triggers of our tables tell (watch.h). The triggers are made
 * by SQL that `zonesync setup postgres-notify` prints, whose other side this is.
 *
 * A message is a JSON array: the table, without prefix, and the ids of its rows that changed;
 * one without ids says that they were many, or are gone. Anything else asks for a look at
 * everything, and so does each connection but the first. The channel is named by the schema's
 * object id and the prefix, so that installations in one database do not wake each other.
 *
 * Owns:    its connection; the options are borrowed.
 * Blocks:  as watch.h says, and up to the time-outs of the URL.
 * Errors:  those of the server; ERR_NOTFOUND: the triggers are not there. Whether they still
 *          are is asked again and again.
 * Threads: after watcher_postgres_create() the watch's alone.
 */
#pragma once

#include "workers/fetcher/source/watch.h"

struct pg_options;

/* `o` must not change and outlives it. */
struct watcher *watcher_postgres_create(const struct pg_options *o, const char *prefix) MUST_USE;
