/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_file - management state from a directory of JSON files.
 *
 *	<path>/{environments,organizations,api-products,apis,...}/NAME.json (docs.c has all)
 *
 * One document a file. inotify wakes a pass, unless it is off or there is none; each delay
 * all is listed anyway, for what inotify does not see.
 * A file that cannot be parsed is read once more before it is judged: it may be half
 * written. One that is not there is gone when a second later it still is not, and no file
 * came into its directory or left it in between: it may be the middle of a checkout. A root
 * that is not there is an outage; of a directory that is not there, or empty, the feed is told.
 *
 * Owns:    descriptors and documents.
 * Blocks:  on the file system; runs on the feed's thread.
 * Errors:  see source.h.
 */
#pragma once

#include "ipc.pb-c.h"
#include "workers/fetcher/source/source.h"

#define SOURCE_FILE_RETRY_MS 200  /* a doubted file is read again after this */
#define SOURCE_FILE_LOOK_MS  1000 /* a missing one is gone after this, when all is quiet */
#define SOURCE_FILE_HELD     3	  /* an empty directory that held so many is doubted */

/* Never fails: what is wrong with the directory is told by each pass. */
struct source *source_file_open(const Ipc__FetcherConfig *c) MUST_USE;
