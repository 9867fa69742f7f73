/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/store/internal.h"

#define DATABASES 5
#define READERS	  64

/* --- files --- */

static char *gen_path(const struct store *s, uint64_t number)
{
	return mem_printf("%s/%" PRIu64, s->dir, number);
}

static int sync_dir(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) < 0 ? err_errno(e, errno, "sync %s", dir) : 0;

	if (fd >= 0)
		(void)close(fd);
	return rc;
}

/* CURRENT is replaced whole: a new file, synced, renamed, and the directory synced. */
static int write_current(const struct store *s, uint64_t number, struct err *e)
{
	char *tmp = mem_printf("%s/CURRENT.new", s->dir);
	char *path = mem_printf("%s/CURRENT", s->dir);
	char text[24];
	int n = snprintf(text, sizeof(text), "%" PRIu64 "\n", number);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int rc = 0;

	if (fd < 0 || write(fd, text, (size_t)n) != n || fsync(fd) < 0)
		rc = err_errno(e, errno == 0 ? EIO : errno, "write %s", tmp);
	if (fd >= 0 && close(fd) < 0 && rc == 0)
		rc = err_errno(e, errno, "close %s", tmp);
	if (rc == 0 && rename(tmp, path) < 0)
		rc = err_errno(e, errno, "rename %s", tmp);
	if (rc == 0)
		rc = sync_dir(s->dir, e);
	mem_free(tmp);
	mem_free(path);
	return rc;
}

/* The number in CURRENT, 0 when there is none or it is nonsense. */
static uint64_t read_current(const struct store *s)
{
	char *path = mem_printf("%s/CURRENT", s->dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[24];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	uint64_t v = 0;

	if (fd >= 0)
		(void)close(fd);
	mem_free(path);
	if (n < 2 || text[n - 1] != '\n' || !str_to_u64(text, (size_t)n - 1, &v))
		return 0;
	return v;
}

static void remove_gen(const struct store *s, uint64_t number)
{
	static const char *const files[] = { "/data.mdb", "/lock.mdb", "" };
	char *path = gen_path(s, number);
	unsigned i;

	for (i = 0; i < ARRAY_LEN(files); i++) {
		char *file = mem_printf("%s%s", path, files[i]);

		(void)remove(file);
		mem_free(file);
	}
	mem_free(path);
}

/* Generations CURRENT does not name are left-overs of a crash in a resync. */
static void sweep(const struct store *s, uint64_t keep)
{
	DIR *d = opendir(s->dir);
	struct dirent *ent;

	if (d == NULL)
		return;
	while ((ent = readdir(d)) != NULL) {
		uint64_t n = 0;

		if (str_to_u64(ent->d_name, strlen(ent->d_name), &n) && n != keep)
			remove_gen(s, n);
	}
	(void)closedir(d);
}

static void move_aside(const struct store *s, uint64_t number, const char *why, char aside[200])
{
	char *from = gen_path(s, number);
	char *to = mem_printf("%s/damaged-%" PRIu64 "-%" PRId64, s->dir, number, clock_wall_ms());

	if (rename(from, to) < 0)
		remove_gen(s, number);
	(void)snprintf(aside, 200, "%s: %s", to, why);
	mem_free(from);
	mem_free(to);
}

/* --- one generation --- */

static void gen_close(struct gen *g)
{
	if (g->env != NULL)
		mdb_env_close(g->env);
	*g = (struct gen){ 0 };
}

/* A truncated file would end us with SIGBUS at the first touch of what is missing. */
static int check_length(MDB_env *env, const char *path, struct err *e)
{
	char *file = mem_printf("%s/data.mdb", path);
	MDB_envinfo info;
	MDB_stat st;
	struct stat sb;
	int rc = 0;

	(void)mdb_env_info(env, &info);
	(void)mdb_env_stat(env, &st);
	if (stat(file, &sb) < 0)
		rc = err_errno(e, errno, "%s", file);
	else if ((uint64_t)sb.st_size < (uint64_t)(info.me_last_pgno + 1) * st.ms_psize)
		rc = err_set(e, ERR_DAMAGED, "the file is cut off");
	mem_free(file);
	return rc;
}

static int open_tables(struct gen *g, bool fresh, struct err *e)
{
	static const char format[] = { STORE_FORMAT + '0' };
	unsigned flags = fresh ? MDB_CREATE : 0;
	MDB_val name = { 6, (void *)(uintptr_t) "format" };
	MDB_val v = { sizeof(format), (void *)(uintptr_t)format };
	MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(g->env, NULL, fresh ? 0 : MDB_RDONLY, &txn);

	if (rc == 0)
		rc = mdb_dbi_open(txn, "meta", flags, &g->meta);
	if (rc == 0 && fresh)
		rc = mdb_put(txn, g->meta, &name, &v, 0);
	if (rc == 0 && !fresh) { /* first: another format may lack a table */
		rc = mdb_get(txn, g->meta, &name, &v);
		if (rc == 0 && (v.mv_size != 1 || memcmp(v.mv_data, format, 1) != 0))
			rc = MDB_VERSION_MISMATCH;
	}
	if (rc == 0)
		rc = mdb_dbi_open(txn, "events", flags, &g->events);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "log", flags, &g->log);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "refs", flags, &g->refs);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "lookups", flags, &g->lookups);
	if (rc == 0 && !fresh)
		rc = gen_read_meta(g, txn);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else if (txn != NULL)
		mdb_txn_abort(txn);
	return lmdb_err(e, rc, "open");
}

static int gen_open(struct store *s, struct gen *g, uint64_t number, bool fresh, struct err *e)
{
	char *path = gen_path(s, number);
	unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (fresh ? MDB_NOSYNC : 0);
	int rc = 0;

	*g = (struct gen){ .number = number };
	if (fresh && mkdir(path, 0700) < 0 && errno != EEXIST)
		rc = err_errno(e, errno, "create %s", path);
	if (rc == 0)
		rc = lmdb_err(e, mdb_env_create(&g->env), "create");
	if (rc == 0) {
		(void)mdb_env_set_maxdbs(g->env, DATABASES);
		(void)mdb_env_set_maxreaders(g->env, READERS);
		(void)mdb_env_set_mapsize(g->env, (size_t)s->map_bytes);
		rc = lmdb_err(e, mdb_env_open(g->env, path, flags, 0600), path);
	}
	if (rc == 0 && !fresh)
		rc = check_length(g->env, path, e);
	if (rc == 0)
		rc = open_tables(g, fresh, e);
	if (rc < 0)
		gen_close(g);
	mem_free(path);
	return rc;
}

/* --- is it sound? --- */

#define CHECK_SECONDS 120

/* In a process of its own: LMDB crashes, or aborts, on pages it cannot make sense of. */
static void check_and_exit(struct store *s, uint64_t number, int out)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGALRM };
	const struct rlimit none = { 0, 0 };
	struct gen g;
	struct err e = { 0 };
	unsigned i;

	/* A crash is an answer here: no handler of the parent's, no core. */
	for (i = 0; i < ARRAY_LEN(crashes); i++)
		(void)signal(crashes[i], SIG_DFL);
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)alarm(CHECK_SECONDS);
	if (gen_open(s, &g, number, false, &e) == 0) {
		if (gen_verify(&g, &e) == 0)
			e.code = 0;
		gen_close(&g);
	}
	_exit(write(out, &e, sizeof(e)) == (ssize_t)sizeof(e) ? 0 : 1);
}

static int ended(pid_t pid, struct err *e)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return err_set(e, -EAGAIN, "the check was killed");
	return err_set(e, ERR_DAMAGED, "the check crashed (wait status %#x)", (unsigned)status);
}

/* 0, or what is wrong with a generation that is not open. */
static int check_apart(struct store *s, uint64_t number, struct err *e)
{
	struct err told = { 0 };
	int fd[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_errno(e, errno, "pipe");
	pid = fork();
	if (pid == 0)
		check_and_exit(s, number, fd[1]);
	(void)close(fd[1]);
	if (pid < 0) {
		(void)close(fd[0]);
		return err_errno(e, errno, "fork");
	}
	do
		n = read(fd[0], &told, sizeof(told));
	while (n < 0 && errno == EINTR);
	(void)close(fd[0]);
	if (n != (ssize_t)sizeof(told))
		return ended(pid, e);
	(void)ended(pid, NULL);
	return told.code < 0 ? err_set(e, told.code, "%s", told.text) : 0;
}

/* What says nothing about the data: it must not be thrown away for it. */
static bool is_passing(int rc)
{
	return rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE || rc == -EAGAIN || rc == -EROFS ||
	       rc == ERR_FULL;
}

static bool is_doubted(const struct store *s)
{
	char *path = mem_printf("%s/" STORE_DOUBT, s->dir);
	bool doubted = access(path, F_OK) == 0;

	mem_free(path);
	return doubted;
}

static void remove_doubt(const struct store *s)
{
	char *path = mem_printf("%s/" STORE_DOUBT, s->dir);

	(void)unlink(path);
	mem_free(path);
}

/* --- the store --- */

static int make_dir(const char *dir, struct err *e)
{
	struct stat sb;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_errno(e, errno, "create %s", dir);
	if (stat(dir, &sb) < 0)
		return err_errno(e, errno, "%s", dir);
	if (!S_ISDIR(sb.st_mode) || access(dir, R_OK | W_OK | X_OK) < 0)
		return err_set(e, -EACCES, "%s is no directory we can write", dir);
	return 0;
}

static int start_empty(struct store *s, uint64_t number, struct err *e)
{
	int rc;

	remove_gen(s, number);
	rc = gen_open(s, &s->current, number, true, e);
	if (rc == 0)
		rc = lmdb_err(e, mdb_env_sync(s->current.env, 1), "sync");
	if (rc == 0)
		rc = write_current(s, number, e);
	if (rc == 0)
		(void)mdb_env_set_flags(s->current.env, MDB_NOSYNC, 0);
	return rc;
}

int store_open(struct store **out, const char *dir, uint64_t map_bytes, char aside[200],
	       struct err *e)
{
	struct store *s;
	uint64_t number;
	int rc = make_dir(dir, e);

	aside[0] = '\0';
	if (rc < 0)
		return rc;
	s = mem_zalloc(sizeof(*s));
	s->dir = mem_strdup(dir);
	s->map_bytes = map_bytes;
	number = read_current(s);
	rc = number == 0 ? ERR_NOTFOUND : 0;
	if (rc == 0 && is_doubted(s))
		rc = check_apart(s, number, e);
	if (rc == 0)
		rc = gen_open(s, &s->current, number, false, e);
	if (rc < 0 && !is_passing(rc)) {
		const struct err why = e == NULL ? (struct err){ 0 } : *e;

		rc = start_empty(s, number + 1, e);
		if (rc == 0 && number != 0)
			move_aside(s, number, err_text(&why), aside);
	}
	if (rc < 0) {
		store_close(&s);
		return rc;
	}
	sweep(s, s->current.number);
	remove_doubt(s);
	*out = s;
	return 0;
}

void store_close(struct store **sp)
{
	struct store *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	if (s->reader != NULL)
		mdb_txn_abort(s->reader);
	gen_close(&s->current);
	gen_close(&s->next);
	gen_close(&s->retired);
	mem_free(s->dir);
	mem_free(s);
}

void store_position(const struct store *s, struct store_position *out)
{
	*out = s->current.position;
}

void store_ahead(const struct store *s, struct store_ahead *out)
{
	*out = s->current.ahead;
}

uint64_t store_generation(const struct store *s)
{
	return s->current.number;
}

int store_next_begin(struct store *s, struct err *e)
{
	uint64_t number = MAX(s->current.number, s->retired.number) + 1;

	store_next_drop(s);
	remove_gen(s, number);
	return gen_open(s, &s->next, number, true, e);
}

void store_next_drop(struct store *s)
{
	uint64_t number = s->next.number;

	if (s->next.env == NULL)
		return;
	gen_close(&s->next);
	remove_gen(s, number);
}

int store_switch(struct store *s, struct err *e)
{
	int rc;

	CHECK(s->next.env != NULL && s->retired.env == NULL);
	rc = lmdb_err(e, mdb_env_sync(s->next.env, 1), "sync");
	if (rc == 0) {
		char *path = gen_path(s, s->next.number);

		rc = sync_dir(path, e);
		mem_free(path);
	}
	if (rc == 0)
		rc = write_current(s, s->next.number, e);
	if (rc == 0)
		(void)mdb_env_set_flags(s->next.env, MDB_NOSYNC, 0);
	else /* it may have got its new name all the same */
		(void)write_current(s, s->current.number, NULL);
	return rc;
}

void store_adopt(struct store *s)
{
	CHECK(!s->viewing && s->next.env != NULL);
	if (s->reader != NULL)
		mdb_txn_abort(s->reader);
	s->reader = NULL;
	s->retired = s->current;
	s->current = s->next;
	s->next = (struct gen){ 0 };
	{
		uint64_t old = s->retired.number;

		gen_close(&s->retired);
		remove_gen(s, old);
	}
}

void store_tend(struct store *s)
{
	int dead = 0;

	(void)mdb_reader_check(s->current.env, &dead);
}

uint64_t store_file_bytes(const struct store *s)
{
	MDB_envinfo info;
	MDB_stat st;

	(void)mdb_env_info(s->current.env, &info);
	(void)mdb_env_stat(s->current.env, &st);
	return (uint64_t)(info.me_last_pgno + 1) * st.ms_psize;
}
