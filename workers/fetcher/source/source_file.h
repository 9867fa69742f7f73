/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_file - management state from a directory of JSON files.
 *
 *	<path>/{environments,organizations,api-products,apis,...}/NAME.json (docs.c has all)
 *
 * One document a file. inotify wakes a pass, unless it is off or there is none; each delay
 * all is listed anyway, for what inotify does not see.
 * A file that cannot be parsed is read once more before it is judged: it may be half
 * written. A directory that vanished is an outage: the pass fails and proves nothing.
 *
 * Owns:    descriptors and documents.
 * Blocks:  on the file system; runs on the feed's thread.
 * Errors:  see source.h.
 */
#pragma once

#include "ipc.pb-c.h"
#include "workers/fetcher/source/source.h"

#define SOURCE_FILE_RETRY_MS 200 /* a doubted file is read again after this */

/* Never fails: what is wrong with the directory is told by each pass. */
struct source *source_file_open(const Ipc__FetcherConfig *c) MUST_USE;
