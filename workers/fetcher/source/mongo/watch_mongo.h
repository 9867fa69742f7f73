/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch_mongo - a change stream over our collections of a MongoDB (watch.h).
 *
 * Its cursor is our own: the driver's change stream hides errors and may try again for ever
 * without coming back. It resumes where it was while the server still knows that place; when
 * it does not, what was missed is told as lost.
 *
 * Owns:    its connection. Blocks: as watch.h says. Errors: those of the server.
 * Threads: after watcher_mongo_create() the watch's alone.
 */
#pragma once

#include "workers/fetcher/source/watch.h"

struct mongo_client;

/* All of it is copied. */
struct watcher *watcher_mongo_create(const struct mongo_client *c, const char *database,
				     const char *prefix) MUST_USE;
