/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - tells between two passes that rows of a database changed, and which.
 *
 * A thread waits for what the database tells (a watcher: one implementation a kind of
 * database). What it says is no data: it wakes a pass, and its rows are then looked at by
 * their ids, wherever their time stamps lie. One that is lost or comes twice costs time, and
 * nothing else. Whenever it begins to listen, or has to stop, a pass is woken too, for what
 * went unnoticed in between; without it there are the polls.
 *
 * Owns:    the thread, the watcher, what was told and not yet taken.
 * Blocks:  watch_close() until the watcher is back: WATCH_AWAIT_MS, or the time-outs of its
 *          connection. The others never.
 * Errors:  in the text of watch_take(); it tries again by itself.
 * Threads: watch_note(), watch_row() and watch_lost() on the watch's own; the rest on the source's.
 */
#pragma once

#include "common/base/table.h"
#include "workers/fetcher/source/db.h"

#define WATCH_AWAIT_MS	   300 /* of one wait for changes: how late a stop may be noticed */
#define WATCH_RETRY_MIN_MS 200 /* after an error, doubled with each that follows */
#define WATCH_RETRY_MAX_MS 60000
#define WATCH_IDS	   10000 /* that wait for a pass; beyond it all is compared */
#define WATCH_ID_BYTES	   1024	 /* of one of them; a longer one likewise */

struct watch;

struct watcher_ops {
	/* Changes from now on are told, or from where it was, if it can. */
	int (*open)(struct watcher *w, struct watch *to, struct err *e);
	/* Tells what changed; waits for it for WATCH_AWAIT_MS at most. */
	int (*next)(struct watcher *w, struct watch *to, struct err *e);
	void (*shut)(struct watcher *w); /* after an error; open() comes again */
	void (*close)(struct watcher *w);
};

struct watcher {
	const struct watcher_ops *ops;
	const char *name; /* "change stream", for people; not owned */
};

struct watch_changes {
	struct table ids[DB__COUNT]; /* id -> not NULL */
	size_t n;		     /* of all tables */
	bool lost;		     /* there is more, or rows are gone: only a look at all tells */
};

struct watch *watch_open(struct watcher *w) MUST_USE; /* takes it */
void watch_close(struct watch **w);
int watch_fd(const struct watch *w); /* readable: there is something to take */

/* Adds what was told to `c`, and says how it stands: `text` is the caller's. */
void watch_take(struct watch *w, struct watch_changes *c, char **text);
void watch_changes_reset(struct watch_changes *c);

/* --- for watchers --- */
void watch_note(struct watch *w, enum db_table t, const char *id); /* NULL: of no known id */
/* A row that was inserted or changed: notes it when rows of its table have cursors, or are
   read with each pass; what other tables hold decides about all rows. DB__COUNT: none of ours. */
void watch_row(struct watch *w, enum db_table t, const char *id);
void watch_lost(struct watch *w); /* what changed cannot be named */
