/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/str.h"

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
	bool made;
	int fd;
	int rc;

	/* Whatever the umask is. */
	made = mkdir(d->path, d->mode) == 0;
	if ((made && chmod(d->path, d->mode) < 0) || (!made && errno != EEXIST))
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

int dir_node_id(const char *state_dir, char id[RANDOM_HEX_BYTES], struct err *e)
{
	char *path = mem_printf("%s/node-id", state_dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	char kept[RANDOM_HEX_BYTES] = "";
	const size_t len = RANDOM_HEX_BYTES - 1;
	ssize_t n = fd < 0 ? -1 : read(fd, kept, len);
	bool is_kept = n == (ssize_t)len && strspn(kept, "0123456789abcdef") == len;
	int rc = 0;

	if (fd < 0) {
		rc = err_errno(e, errno, "%s", path);
	} else if (is_kept && id[0] == '\0') {
		str_copy(id, RANDOM_HEX_BYTES, kept);
	} else if (!is_kept || !str_equal(kept, id)) {
		if (id[0] == '\0')
			random_hex(id);
		if (pwrite(fd, id, len, 0) != (ssize_t)len)
			rc = err_errno(e, errno == 0 ? ENOSPC : errno, "write %s", path);
	}
	if (fd >= 0)
		(void)close(fd);
	mem_free(path);
	return rc;
}
