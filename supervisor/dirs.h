/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirs - a directory the daemon works in: made, checked, locked, and whether it is still there.
 *
 * Who may write to it could put a link where a file is made, or a socket where another is
 * asked: so it has to be ours or root's, and nobody else's to write. A group that may is
 * said in the log: it can be meant.
 *
 * Owns:    the descriptor; dir_release() closes it, and with it the lock.
 * Blocks:  as long as the file system does.
 * Errors:  ERR_CONFIG: of another owner, or open to others, with the cure. ERR_BUSY: another
 *          daemon has it. Else -errno.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/random.h"

struct dir {
	const char *path;   /* not owned */
	const char *option; /* that names another one, for people */
	mode_t mode;	    /* of one that is made */
	bool lock;	    /* nobody else's meanwhile */
	int fd;		    /* -1: not taken */
};

/* Takes the one at `path` now; what was taken before is let go on success. */
int dir_take(struct dir *d, struct err *e) MUST_USE;
void dir_release(struct dir *d);
bool dir_is_there(const struct dir *d);	 /* the one that was taken is the one at `path` */
bool dir_is_shared(const struct dir *d); /* its group may write */

/* An id of this installation, made once and kept in the state directory. One that is known is
   written again where it is gone. */
int dir_node_id(const char *state_dir, char id[RANDOM_HEX_BYTES], struct err *e) MUST_USE;
