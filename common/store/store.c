/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/store/store_internal.h"

#define DATABASES 5
#define READERS	  64

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
	MDB_txn *txn = NULL;
	MDB_val v;
	int rc = mdb_txn_begin(g->env, NULL, fresh ? 0 : MDB_RDONLY, &txn);

	if (rc == 0)
		rc = mdb_dbi_open(txn, "meta", flags, &g->meta);
	if (rc == 0 && fresh)
		rc = meta_put(g, txn, "format", format, sizeof(format));
	if (rc == 0 && !fresh) { /* first: another format may lack a table */
		rc = meta_get(g, txn, "format", &v);
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

/* Two generations are mapped at once in a resync. */
static int no_room(const struct store *s, struct err *e)
{
	struct rlimit r = { RLIM_INFINITY, RLIM_INFINITY };

	(void)getrlimit(RLIMIT_AS, &r);
	if (r.rlim_cur == RLIM_INFINITY)
		return err_set(e, -ENOMEM,
			       "no address space for %" PRIu64
			       " bytes, twice: lower zonesync.store.map_bytes",
			       s->map_bytes);
	return err_set(e, -ENOMEM,
		       "no address space for %" PRIu64 " bytes, twice: RLIMIT_AS is %" PRIu64
		       "; raise it (ulimit -v, LimitAS=) or lower zonesync.store.map_bytes",
		       s->map_bytes, (uint64_t)r.rlim_cur);
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
		if (rc == -ENOMEM)
			rc = no_room(s, e);
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

/* In a process of its own: LMDB crashes, or aborts, on pages it cannot make sense of. */
static void check_and_exit(struct store *s, uint64_t number, unsigned seconds, int out)
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
	(void)alarm(seconds);
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
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return err_set(e, ERR_TIMEOUT, "the check ran out of time");
	return err_set(e, ERR_DAMAGED, "the check crashed (wait status %#x)", (unsigned)status);
}

/* 0, or what is wrong with a generation that is not open. ERR_TIMEOUT says nothing of it. */
static int check_apart(struct store *s, uint64_t number, struct err *e)
{
	int64_t left_ms = s->check_until_ms - clock_boot_ms();
	struct err told = { 0 };
	int fd[2];
	ssize_t n;
	pid_t pid;

	if (left_ms <= 0)
		return err_set(e, ERR_TIMEOUT, "the check ran out of time");
	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_errno(e, errno, "pipe");
	pid = fork();
	if (pid == 0)
		check_and_exit(s, number, (unsigned)(left_ms / 1000) + 1, fd[1]);
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

static int start_empty(struct store *s, uint64_t above, struct err *e)
{
	uint64_t number = 0;
	int rc = gen_unused(s, above, &number, e);

	if (rc == 0)
		rc = gen_open(s, &s->current, number, true, e);
	if (rc == 0)
		rc = lmdb_err(e, mdb_env_sync(s->current.env, 1), "sync");
	if (rc == 0)
		rc = seal_write(s, &s->current, e);
	if (rc == 0)
		rc = current_write(s, number, e);
	if (rc == 0)
		(void)mdb_env_set_flags(s->current.env, MDB_NOSYNC, 0);
	return rc;
}

/* A generation that was refused: it is set aside when another serves, not before. */
struct refused {
	uint64_t number; /* 0: none */
	struct err why;
};

/* `apart`: all of it is looked at first, in a process that may crash. */
static int try_gen(struct store *s, uint64_t number, bool apart, struct refused *r)
{
	struct err why = { 0 };
	int rc = apart ? check_apart(s, number, &why) : 0;

	s->unchecked = rc == ERR_TIMEOUT;
	if (s->unchecked && is_doubted(s) && was_unchecked(s, number)) {
		s->unchecked = false;
		rc = err_set(&why, ERR_DAMAGED, "whoever used it crashed, and again unchecked");
	}
	if (rc == 0 || s->unchecked)
		rc = gen_open(s, &s->current, number, false, &why);
	if (rc < 0 && (r->number == 0 || !is_damage(s, rc)))
		*r = (struct refused){ number, why };
	return rc;
}

/* The first that can be served. That CURRENT cannot be mended is no reason not to serve. */
static int open_sealed(struct store *s, const struct sealed_list *l, struct refused *r)
{
	int rc = ERR_NOTFOUND;
	size_t i;

	for (i = 0; i < l->n && is_damage(s, rc); i++)
		rc = try_gen(s, l->v[i].number, !l->v[i].named || is_doubted(s), r);
	if (rc == 0 && !l->v[i - 1].named) {
		s->recovered = true;
		(void)!current_write(s, s->current.number, NULL);
	}
	return rc;
}

/* Of a store from before there were seals: CURRENT is all the evidence. */
static int open_unsealed(struct store *s, uint64_t named, struct refused *r)
{
	int rc = try_gen(s, named, is_doubted(s), r);

	if (rc == 0)
		(void)!seal_write(s, &s->current, NULL);
	return rc;
}

static int open_any(struct store *s, uint64_t *named, struct refused *r, struct err *e)
{
	struct sealed_list l = { 0 };
	int rc = current_read(s, named, e);

	if (rc == 0 || is_damage(s, rc))
		rc = sealed_find(s, *named, &l, e);
	if (rc < 0)
		return rc;
	if (l.n > 0)
		rc = open_sealed(s, &l, r);
	else
		rc = *named == 0 ? ERR_NOTFOUND : open_unsealed(s, *named, r);
	mem_free(l.v);
	return rc == 0 ? 0 : err_set(e, rc, "%s", r->why.text);
}

int store_open(struct store **out, const char *dir, uint64_t map_bytes, char aside[200],
	       struct err *e)
{
	struct refused refused = { 0 };
	uint64_t named = 0;
	struct store *s;
	int rc = make_dir(dir, e);

	aside[0] = '\0';
	if (rc < 0)
		return rc;
	s = mem_zalloc(sizeof(*s));
	s->dir = mem_strdup(dir);
	s->map_bytes = map_bytes;
	s->check_until_ms = clock_boot_ms() + STORE_CHECK_MS;
	rc = open_any(s, &named, &refused, e);
	if (rc < 0 && is_damage(s, rc))
		rc = start_empty(s, named, e);
	if (rc < 0) {
		store_close(&s);
		return rc;
	}
	if (refused.number != 0)
		gen_set_aside(s, refused.number, err_text(&refused.why), aside);
	gens_sweep(s);
	asides_trim(s);
	doubts_settle(s);
	*out = s;
	return 0;
}

bool store_unchecked(const struct store *s)
{
	return s->unchecked;
}

bool store_recovered(const struct store *s)
{
	return s->recovered;
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
	mem_free(s->dir);
	mem_free(s);
}

void store_position(const struct store *s, struct position *out)
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
	uint64_t number = gen_after(s->current.number);

	store_next_drop(s);
	gen_remove(s, number);
	return gen_open(s, &s->next, number, true, e);
}

void store_next_drop(struct store *s)
{
	uint64_t number = s->next.number;

	if (s->next.env == NULL)
		return;
	gen_close(&s->next);
	gen_remove(s, number);
}

int store_switch(struct store *s, struct err *e)
{
	int rc;

	CHECK(s->next.env != NULL);
	rc = lmdb_err(e, mdb_env_sync(s->next.env, 1), "sync");
	if (rc == 0)
		rc = seal_write(s, &s->next, e);
	if (rc == 0)
		rc = current_write(s, s->next.number, e);
	if (rc == 0) {
		(void)mdb_env_set_flags(s->next.env, MDB_NOSYNC, 0);
	} else { /* CURRENT may name it all the same */
		seal_remove(s, s->next.number);
		(void)!current_write(s, s->current.number, NULL);
	}
	return rc;
}

void store_adopt(struct store *s)
{
	struct gen old = s->current;

	CHECK(!s->viewing && s->next.env != NULL);
	if (s->reader != NULL)
		mdb_txn_abort(s->reader);
	s->reader = NULL;
	s->current = s->next;
	if (s->damaged)
		s->mended = s->current.number;
	s->damaged = false;
	s->next = (struct gen){ 0 };
	gen_remove(s, old.number);
	gen_close(&old);
}

void store_tend(struct store *s)
{
	int dead = 0;

	(void)mdb_reader_check(s->current.env, &dead);
}
