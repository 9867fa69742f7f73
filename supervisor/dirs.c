/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int check(const struct dir *d, int fd, struct err *e)
{
	struct stat sb;

	if (fstat(fd, &sb) < 0)
		return err_errno(e, errno, "%s", d->path);
	if (sb.st_uid != geteuid() && sb.st_uid != 0)
		return err_set(e, ERR_CONFIG,
			       "%s belongs to user %u, who could change what is in it: chown it to "
			       "user %u, or give another %s",
			       d->path, (unsigned)sb.st_uid, (unsigned)geteuid(), d->option);
	if ((sb.st_mode & S_IWOTH) != 0)
		return err_set(e, ERR_CONFIG,
			       "anybody may write to %s: chmod o-w %s, or give another %s", d->path,
			       d->path, d->option);
	if (faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0)
		return err_errno(e, errno, "%s is not ours to write", d->path);
	return 0;
}

/* The directory itself is locked, so nothing is left behind. */
static int lock(const struct dir *d, int fd, struct err *e)
{
	if (!d->lock || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_errno(e, errno, "lock %s", d->path);
	return err_set(e, ERR_BUSY,
		       "another zonesyncd runs on %s; stop it, or give this one a %s of its own",
		       d->path, d->option);
}

int dir_take(struct dir *d, struct err *e)
{
	int fd;
	int rc;

	if (mkdir(d->path, d->mode) < 0 && errno != EEXIST)
		return err_errno(e, errno, "create %s", d->path);
	fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open %s", d->path);
	rc = check(d, fd, e);
	if (rc == 0)
		rc = lock(d, fd, e);
	if (rc < 0) {
		(void)close(fd);
		return rc;
	}
	dir_release(d);
	d->fd = fd;
	return 0;
}

void dir_release(struct dir *d)
{
	if (d->fd >= 0)
		(void)close(d->fd);
	d->fd = -1;
}

bool dir_is_there(const struct dir *d)
{
	struct stat ours;
	struct stat there;

	return d->fd >= 0 && fstat(d->fd, &ours) == 0 && stat(d->path, &there) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

bool dir_is_shared(const struct dir *d)
{
	struct stat sb;

	return d->fd >= 0 && fstat(d->fd, &sb) == 0 && (sb.st_mode & S_IWGRP) != 0;
}
