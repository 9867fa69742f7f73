/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/store/store_internal.h"

#define CURRENT	    "CURRENT"
#define SEALED	    "SEALED"
#define UNCHECKED   "UNCHECKED" /* names a generation, as CURRENT does */
#define IO_ERROR    "IO-ERROR"	/* its age says since when the disk fails */
#define IO_ERROR_S  60
#define NUMBER_TEXT 24	       /* digits of a uint64_t, newline, NUL */
#define ASIDE	    "damaged-" /* ... and when, in ms */
#define ASIDE_FDS   8

char *gen_path(const struct store *s, uint64_t number)
{
	return mem_printf("%s/%" PRIu64, s->dir, number);
}

static char *gen_file(const struct store *s, uint64_t number, const char *name)
{
	return mem_printf("%s/%" PRIu64 "/%s", s->dir, number, name);
}

static char *own_file(const struct store *s, const char *name)
{
	return mem_printf("%s/%s", s->dir, name);
}

/* --- small files --- */

static int sync_dir(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) < 0 ? err_errno(e, errno, "sync %s", dir) : 0;

	if (fd >= 0)
		(void)close(fd);
	return rc;
}

/* Nobody but us writes here: what is no file stands in the way, and is kept. */
static void make_way(const char *path)
{
	struct stat sb;
	char *to;

	if (lstat(path, &sb) < 0 || S_ISREG(sb.st_mode))
		return;
	to = mem_printf("%s." ASIDE "%" PRId64, path, clock_wall_ms());
	(void)rename(path, to);
	mem_free(to);
}

static int write_synced(const char *path, const char *text, struct err *e)
{
	size_t n = strlen(text);
	int rc = 0;
	int fd;

	make_way(path);
	errno = 0; /* a write that comes up short says nothing */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, n) != (ssize_t)n || fsync(fd) < 0)
		rc = err_errno(e, errno == 0 ? ENOSPC : errno, "write %s", path);
	if (fd >= 0 && close(fd) < 0 && rc == 0)
		rc = err_errno(e, errno, "close %s", path);
	return rc;
}

/*
 * The first bytes of a file. ERR_NOTFOUND: there is none, or something else stands there;
 * any other error says nothing about it.
 */
static ssize_t read_text(const char *path, char *out, size_t size, struct err *e)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat sb;
	ssize_t n;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENXIO))
		return err_set(e, ERR_NOTFOUND, "%s: there is no such file", path);
	if (fd < 0)
		return err_errno(e, errno, "open %s", path);
	if (fstat(fd, &sb) == 0 && !S_ISREG(sb.st_mode))
		n = err_set(e, ERR_NOTFOUND, "%s is no file", path);
	else if ((n = read(fd, out, size)) < 0)
		n = err_errno(e, errno, "read %s", path);
	(void)close(fd);
	return n;
}

/* --- CURRENT --- */

static int number_write(const struct store *s, const char *name, uint64_t number, struct err *e)
{
	char *tmp = mem_printf("%s/%s.new", s->dir, name);
	char *path = own_file(s, name);
	char text[NUMBER_TEXT];
	int rc;

	(void)snprintf(text, sizeof(text), "%" PRIu64 "\n", number);
	rc = write_synced(tmp, text, e);
	if (rc == 0) {
		make_way(path);
		if (rename(tmp, path) < 0)
			rc = err_errno(e, errno, "rename %s", tmp);
	}
	if (rc == 0)
		rc = sync_dir(s->dir, e);
	mem_free(tmp);
	mem_free(path);
	return rc;
}

static int number_read(const struct store *s, const char *name, uint64_t *out, struct err *e)
{
	char *path = own_file(s, name);
	char text[NUMBER_TEXT];
	ssize_t n = read_text(path, text, sizeof(text), e);

	*out = 0;
	if (n >= 0 &&
	    (n < 2 || text[n - 1] != '\n' || !str_to_u64(text, (size_t)n - 1, out) || *out == 0)) {
		*out = 0;
		n = err_set(e, ERR_NOTFOUND, "%s names no generation", path);
	}
	mem_free(path);
	return n < 0 ? (int)n : 0;
}

int current_write(const struct store *s, uint64_t number, struct err *e)
{
	return number_write(s, CURRENT, number, e);
}

int current_read(const struct store *s, uint64_t *out, struct err *e)
{
	return number_read(s, CURRENT, out, e);
}

/* --- SEALED --- */

int seal_write(const struct store *s, const struct gen *g, struct err *e)
{
	char *dir = gen_path(s, g->number);
	char *path = gen_file(s, g->number, SEALED);
	char *text = mem_printf("%" PRIu64 " %s\n", g->number, g->position.lineage);
	int rc = write_synced(path, text, e);

	if (rc == 0)
		rc = sync_dir(dir, e);
	mem_free(text);
	mem_free(path);
	mem_free(dir);
	return rc;
}

void seal_remove(const struct store *s, uint64_t number)
{
	char *dir = gen_path(s, number);
	char *path = gen_file(s, number, SEALED);

	if (remove(path) == 0)
		(void)!sync_dir(dir, NULL);
	mem_free(path);
	mem_free(dir);
}

static int seal_read(const struct store *s, uint64_t number, struct sealed *out, struct err *e)
{
	char *path = gen_file(s, number, SEALED);
	char text[NUMBER_TEXT + LINEAGE_BYTES];
	ssize_t n = read_text(path, text, sizeof(text), e);
	const char *space = n < 2 ? NULL : memchr(text, ' ', (size_t)n);
	uint64_t said = 0;

	mem_free(path);
	if (n < 0)
		return (int)n;
	if (space == NULL || text[n - 1] != '\n' ||
	    !str_to_u64(text, (size_t)(space - text), &said) || said != number)
		return err_set(e, ERR_NOTFOUND, "%" PRIu64 " is not sealed", number);
	*out = (struct sealed){ .number = number, .has_data = n - (space - text) > 2 };
	return 0;
}

/* --- all generations --- */

/* Calls `fn` with each number until it returns an error. */
static int each_gen(const struct store *s, int (*fn)(void *arg, uint64_t number, struct err *e),
		    void *arg, struct err *e)
{
	DIR *d = opendir(s->dir);
	struct dirent *ent;
	int rc = 0;

	if (d == NULL)
		return err_errno(e, errno, "open %s", s->dir);
	while (rc == 0 && (errno = 0, ent = readdir(d)) != NULL) {
		uint64_t n = 0;

		if (str_to_u64(ent->d_name, strlen(ent->d_name), &n) && n != 0)
			rc = fn(arg, n, e);
	}
	if (rc == 0 && errno != 0)
		rc = err_errno(e, errno, "read %s", s->dir);
	(void)closedir(d);
	return rc;
}

struct dir_listing {
	const struct store *s;
	uint64_t named;
	struct sealed_list *out;
};

static int add_sealed(void *arg, uint64_t number, struct err *e)
{
	struct dir_listing *l = arg;
	struct sealed_list *out = l->out;
	struct sealed found;
	int rc = seal_read(l->s, number, &found, e);

	if (rc < 0)
		return is_damage(l->s, rc) ? 0 : rc;
	found.named = number == l->named;
	out->v = mem_grow(out->v, &out->cap, out->n + 1, sizeof(*out->v));
	out->v[out->n++] = found;
	return 0;
}

static int best_first(const void *a, const void *b)
{
	const struct sealed *x = a;
	const struct sealed *y = b;

	if (x->has_data != y->has_data)
		return x->has_data ? -1 : 1;
	if (x->named != y->named)
		return x->named ? -1 : 1;
	return x->number == y->number ? 0 : x->number > y->number ? -1 : 1;
}

int sealed_find(const struct store *s, uint64_t named, struct sealed_list *out, struct err *e)
{
	struct dir_listing l = { s, named, out };
	int rc = each_gen(s, add_sealed, &l, e);

	if (rc < 0) {
		mem_free(out->v);
		*out = (struct sealed_list){ 0 };
	}
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), best_first);
	return rc;
}

uint64_t gen_after(uint64_t number)
{
	return number == UINT64_MAX ? 1 : number + 1;
}

static int take_highest(void *arg, uint64_t number, struct err *e)
{
	uint64_t *top = arg;

	UNUSED(e);
	*top = MAX(*top, number);
	return 0;
}

int gen_unused(const struct store *s, uint64_t above, uint64_t *out, struct err *e)
{
	uint64_t number = above;
	int rc = each_gen(s, take_highest, &number, e);
	struct stat sb;
	char *path;
	bool taken;

	do {
		number = gen_after(number);
		path = gen_path(s, number);
		taken = lstat(path, &sb) == 0;
		mem_free(path);
	} while (taken);
	*out = number;
	return rc;
}

/* Not through a link: it may lead to the one that serves. */
void gen_remove(const struct store *s, uint64_t number)
{
	static const char *const files[] = { SEALED, "data.mdb", "lock.mdb" };
	char *dir = gen_path(s, number);
	struct stat sb;
	unsigned i;

	for (i = 0; i < ARRAY_LEN(files) && lstat(dir, &sb) == 0 && S_ISDIR(sb.st_mode); i++) {
		char *file = gen_file(s, number, files[i]);

		(void)remove(file);
		mem_free(file);
	}
	(void)remove(dir);
	mem_free(dir);
}

static int sweep_one(void *arg, uint64_t number, struct err *e)
{
	const struct store *s = arg;

	UNUSED(e);
	if (number != s->current.number)
		gen_remove(s, number);
	return 0;
}

void gens_sweep(const struct store *s)
{
	(void)!each_gen(s, sweep_one, (void *)(uintptr_t)s, NULL);
}

void gen_set_aside(const struct store *s, uint64_t number, const char *why, char aside[200])
{
	char *from = gen_path(s, number);
	char *to = mem_printf("%s/" ASIDE "%" PRIu64 "-%" PRId64, s->dir, number, clock_wall_ms());

	(void)snprintf(aside, 200, "%s: %s", to, why);
	if (rename(from, to) < 0) {
		(void)snprintf(aside, 200, "nowhere, %s is removed: %s", from, why);
		gen_remove(s, number);
	}
	mem_free(from);
	mem_free(to);
}

static int remove_one(const char *path, const struct stat *sb, int type, struct FTW *at)
{
	UNUSED(sb);
	UNUSED(type);
	UNUSED(at);
	(void)remove(path);
	return 0;
}

static int by_time(const struct dirent **a, const struct dirent **b)
{
	const char *x = strrchr((*a)->d_name, '-');
	const char *y = strrchr((*b)->d_name, '-');
	int64_t when = strtoll(x + 1, NULL, 10);
	int64_t other = strtoll(y + 1, NULL, 10);

	return when == other ? strcmp((*a)->d_name, (*b)->d_name) : when < other ? -1 : 1;
}

static int is_aside(const struct dirent *d)
{
	return strstr(d->d_name, ASIDE) != NULL;
}

void asides_trim(const struct store *s)
{
	struct dirent **v = NULL;
	int n = scandir(s->dir, &v, is_aside, by_time);
	int i;

	for (i = 0; i < n; i++) {
		char *path = own_file(s, v[i]->d_name);

		if (n - i > STORE_ASIDES)
			(void)nftw(path, remove_one, ASIDE_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
		mem_free(path);
		free(v[i]);
	}
	free(v);
}

/* --- what the directory remembers from one open to the next --- */

bool is_doubted(const struct store *s)
{
	char *path = own_file(s, STORE_DOUBT);
	bool doubted = access(path, F_OK) == 0;

	mem_free(path);
	return doubted;
}

/* For how long, over restarts: a disk that fails for a moment is no damage. */
static bool fails_for_long(const struct store *s)
{
	char *path = own_file(s, IO_ERROR);
	struct stat sb;
	bool seen = lstat(path, &sb) == 0;
	int fd = seen ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)close(fd);
	mem_free(path);
	return seen && time(NULL) - sb.st_mtime >= IO_ERROR_S;
}

/* What is not listed here says nothing about the data: rights, memory, descriptors. */
bool is_damage(const struct store *s, int rc)
{
	if (rc == -EIO)
		return fails_for_long(s);
	return rc == ERR_DAMAGED || rc == ERR_NOTFOUND || rc == -ENOENT || rc == -ENOTDIR ||
	       rc == -EISDIR || rc == -ELOOP;
}

/* It was served though no check of it had ended in time: the file names it. */
bool was_unchecked(const struct store *s, uint64_t number)
{
	uint64_t named = 0;

	return number_read(s, UNCHECKED, &named, NULL) == 0 && named == number;
}

void doubts_settle(const struct store *s)
{
	char *doubt = own_file(s, STORE_DOUBT);
	char *failed = own_file(s, IO_ERROR);
	char *unchecked = own_file(s, UNCHECKED);

	if (s->unchecked)
		(void)!number_write(s, UNCHECKED, s->current.number, NULL);
	else
		(void)unlink(unchecked);
	(void)unlink(doubt);
	(void)unlink(failed);
	mem_free(doubt);
	mem_free(failed);
	mem_free(unchecked);
}
