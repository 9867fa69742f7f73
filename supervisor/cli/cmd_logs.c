/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/daemon.h"
#include "supervisor/cli/merge.h"

#define FILES_MAX      4
#define LINES_DEFAULT  200
#define LINES_MAX      100000
#define TAIL_MAX_BYTES (64 << 20) /* looked at, at the end of a file */
#define CHUNK_BYTES    65536
#define TURN_BYTES     (1 << 20) /* of one file, before the next one has its turn */
#define FOLLOW_MS      200

struct log_source {
	char *path;	 /* owned */
	int fd;		 /* -1: not there (yet) */
	struct buf rest; /* behind the last newline */
};

struct logs {
	struct log_source source[FILES_MAX];
	size_t n;
	struct merge merge;
};

/* --- which files --- */

/* The daemon says where they are; when it is down, that is when one wants to read them. */
static char *find_dir(const Control__Reply *r)
{
	size_t i;

	if (r == NULL)
		return mem_strdup(ZONESYNC_LOG_DIR);
	for (i = 0; i < r->status->n_workers; i++) {
		const char *path = r->status->workers[i]->log;
		const char *slash = strrchr(path, '/');

		if (slash != NULL)
			return mem_printf("%.*s", (int)(slash - path), path);
	}
	return NULL;
}

static int find_sources(struct logs *l, struct cli *c)
{
	static const char *const names[FILES_MAX] = { "supervisor", "elector", "fetcher", "cache" };
	const char *only = c->args.n_words == 0 ? NULL : c->args.word[0];
	Control__Reply *r = NULL;
	struct err e = { 0 };
	char *dir;
	size_t i;
	int rc = daemon_status(c->socket, &r, &e);

	if (rc != 0 && rc != EX_UNAVAILABLE)
		return cli_fail(rc, "%s", e.text);
	dir = find_dir(r);
	control__reply__free_unpacked(r, NULL);
	if (dir == NULL)
		return cli_fail(CLI_NO,
				"the daemon logs to its stderr; see `journalctl -u zonesyncd`");
	for (i = 0; i < ARRAY_LEN(names); i++)
		if (only == NULL || str_equal(only, names[i]))
			l->source[l->n++] =
				(struct log_source){ .path = mem_printf("%s/%s.log", dir, names[i]),
						     .fd = -1 };
	mem_free(dir);
	if (l->n == 0)
		return cli_fail(EX_USAGE,
				"%s has no log; there are supervisor, elector, fetcher and cache",
				only);
	return 0;
}

/* --- reading --- */

/* Puts the file position where its last `lines` lines begin. */
static void seek_tail(int fd, size_t lines)
{
	off_t end = lseek(fd, 0, SEEK_END);
	off_t at = end;
	char chunk[CHUNK_BYTES];
	size_t seen = 0;

	while (lines > 0 && at > 0 && end - at < TAIL_MAX_BYTES) {
		size_t want = (size_t)MIN(at, (off_t)sizeof(chunk));
		ssize_t n = pread(fd, chunk, want, at - (off_t)want);

		if (n != (ssize_t)want)
			break;
		for (; n > 0; n--) {
			/* The newline at the very end closes the last line. */
			if (chunk[n - 1] != '\n' || at - (off_t)want + n == end)
				continue;
			if (++seen == lines) {
				(void)lseek(fd, at - (off_t)want + n, SEEK_SET);
				return;
			}
		}
		at -= (off_t)want;
	}
	(void)lseek(fd, at, SEEK_SET);
}

/* 0, or -errno; a file that is not there is no error. */
static int open_source(struct log_source *s)
{
	s->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return s->fd >= 0 || errno == ENOENT ? 0 : -errno;
}

/* To the end of the file, or of its turn: true. */
static bool read_more(struct logs *l, size_t i)
{
	struct log_source *s = &l->source[i];
	char chunk[CHUNK_BYTES];
	size_t got = 0;

	while (s->fd >= 0 && got < TURN_BYTES) {
		ssize_t n = read(s->fd, chunk, sizeof(chunk));

		if (n <= 0)
			return false;
		buf_add(&s->rest, chunk, (size_t)n);
		merge_add(&l->merge, i, &s->rest);
		got += (size_t)n;
	}
	return s->fd >= 0;
}

static void print_lines(struct logs *l, size_t lines)
{
	struct buf out = { 0 };

	merge_take(&l->merge, lines, &out);
	cli_print(&out);
}

static int open_all(struct logs *l, size_t lines)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		struct log_source *s = &l->source[i];
		int rc = open_source(s);

		if (rc < 0)
			return cli_fail(rc == -EACCES ? EX_NOPERM : EX_NOINPUT, "%s: %s", s->path,
					strerror(-rc));
		if (s->fd < 0)
			continue;
		seek_tail(s->fd, lines);
		while (read_more(l, i))
			;
	}
	print_lines(l, lines);
	return 0;
}

/* --- following --- */

/* The path names another file now (logrotate), or the file was cut (copytruncate). */
static void look_again(struct logs *l, size_t i)
{
	struct log_source *s = &l->source[i];
	struct stat here;
	struct stat there;

	if (s->fd < 0) {
		(void)open_source(s);
		return;
	}
	if (fstat(s->fd, &here) == 0 && here.st_size < lseek(s->fd, 0, SEEK_CUR))
		(void)lseek(s->fd, 0, SEEK_SET);
	if (stat(s->path, &there) < 0 || fstat(s->fd, &here) < 0 ||
	    (there.st_ino == here.st_ino && there.st_dev == here.st_dev))
		return;
	(void)read_more(l, i); /* what was written between the last look and the rename */
	(void)close(s->fd);
	(void)open_source(s);
}

/* Until ^C. */
static int follow(struct logs *l)
{
	while (poll(NULL, 0, FOLLOW_MS) == 0) {
		size_t i;

		for (i = 0; i < l->n; i++) {
			(void)read_more(l, i);
			look_again(l, i);
			(void)read_more(l, i);
		}
		print_lines(l, SIZE_MAX);
	}
	return CLI_OK;
}

int verb_logs(struct cli *c)
{
	const char *given = args_value(&c->args, "-n");
	uint64_t lines = LINES_DEFAULT;
	struct logs l = { 0 };
	size_t i;
	int rc;

	if (given != NULL && (!str_to_u64(given, strlen(given), &lines) || lines > LINES_MAX))
		return cli_fail(EX_USAGE, "-n wants a number up to %d", LINES_MAX);
	rc = find_sources(&l, c);
	if (rc == 0)
		rc = open_all(&l, (size_t)lines);
	if (rc == 0 && args_has(&c->args, "-f"))
		rc = follow(&l);
	for (i = 0; i < l.n; i++) {
		mem_free(l.source[i].path);
		buf_reset(&l.source[i].rest);
		if (l.source[i].fd >= 0)
			(void)close(l.source[i].fd);
	}
	merge_reset(&l.merge);
	return rc;
}
