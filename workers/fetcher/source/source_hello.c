/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/source_hello.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/message/message.h"
#include "workers/fetcher/source/mongo/db_mongo.h"
#include "workers/fetcher/source/postgres/db_postgres.h"

struct hello {
	struct source base;
	Ipc__FetcherConfig *c; /* owned copy: the thread may outlast who opened it */
};

int source_db_connect(struct db **out, const Ipc__FetcherConfig *c, struct err *e)
{
	*out = NULL;
	if (c->mongo != NULL)
		return db_mongo_open(out, c->mongo, e);
	if (c->postgres != NULL)
		return db_postgres_open(out, c->postgres, e);
	return 0;
}

static int look_at_directory(const char *path, struct err *e)
{
	struct stat sb;

	if (stat(path, &sb) < 0 || (S_ISDIR(sb.st_mode) && access(path, R_OK | X_OK) < 0))
		return err_errno(e, errno, "%s", path);
	return S_ISDIR(sb.st_mode) ? 0 : err_set(e, ERR_STATE, "%s is no directory", path);
}

void source_check(const Ipc__FetcherConfig *c, bool look, Ipc__Checked *out)
{
	struct err e = { 0 };
	struct db *db = NULL;
	int rc = source_db_connect(&db, c, &e);

	if (db != NULL)
		db->ops->check(db, look, out);
	else if (rc == 0 && look)
		rc = look_at_directory(c->file_path, &e);
	if (rc < 0 && db == NULL && c->mongo == NULL && c->postgres == NULL)
		(void)err_wrap(&e, "management.file.path");
	if (rc < 0)
		remark_err(out, &e);
	if (db != NULL)
		db->ops->close(db);
}

static int hello_pass(struct source *base, enum pass_kind what, struct feed *f, struct err *e)
{
	struct hello *h = (struct hello *)base;
	struct db *db = NULL;
	int64_t ms;
	int rc;

	UNUSED(what);
	UNUSED(f);
	rc = source_db_connect(&db, h->c, e);
	if (db == NULL)
		return rc < 0 ? rc : look_at_directory(h->c->file_path, e);
	rc = db->ops->now(db, &ms, e);
	db->ops->close(db);
	return MIN(rc, 0);
}

static void hello_wait(struct source *base, int wake_fd, int timeout_ms)
{
	struct pollfd p = { wake_fd, POLLIN, 0 };

	UNUSED(base);
	(void)poll(&p, 1, timeout_ms);
}

static void hello_close(struct source *base)
{
	struct hello *h = (struct hello *)base;

	message_free(h->c);
	mem_free(h);
}

struct source *source_hello_open(const Ipc__FetcherConfig *c)
{
	static const struct source_ops ops = { hello_pass, hello_wait, hello_close };
	struct hello *h = mem_zalloc(sizeof(*h));

	h->base.ops = &ops;
	h->c = message_copy(c);
	return &h->base;
}
