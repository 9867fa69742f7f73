/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/mongo/watch_mongo.h"

#include <mongoc/mongoc.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/source/mongo/mongo_client.h"

#define STUCK_MAX	  2 /* errors of the server in a row, for which a place is kept */
#define BATCH_CHANGES	  1000
#define TOKEN_MAX	  65536 /* bytes of a place in the stream that are kept */
#define SOCKET_TIMEOUT_MS 5000	/* at least: an answer may be that much later than the wait */

struct watcher_mongo {
	struct watcher base;
	struct mongo_client c;
	char *database;			  /* owned */
	char *prefix;			  /* owned */
	mongoc_client_session_t *session; /* owned: of the cursor */
	uint32_t server;		  /* that has the cursor */
	int64_t cursor;			  /* 0: none */
	char *collection;		  /* owned: what the cursor is of */
	bson_t *token;			  /* owned: where the stream is; NULL: it begins anew */
	unsigned stuck;			  /* errors of the server since the last answer */
};

static struct watcher_mongo *self_of(struct watcher *w)
{
	return (struct watcher_mongo *)w;
}

static int failed(const bson_error_t *be, struct err *e)
{
	int code = be->domain == MONGOC_ERROR_SERVER ? ERR_REMOTE : ERR_TIMEOUT;

	return err_set(e, code, "MongoDB, change stream: %s (%u.%u)", be->message, be->domain,
		       be->code);
}

/* --- what comes --- */

/* DB__COUNT: none of ours. */
static enum db_table table_of(const struct watcher_mongo *m, const char *collection)
{
	size_t n = strlen(m->prefix);
	unsigned i;

	for (i = 0; i < DB__COUNT && strncmp(collection, m->prefix, n) == 0; i++)
		if (str_equal(collection + n, db_table_name((enum db_table)i)))
			return (enum db_table)i;
	return DB__COUNT;
}

static bool find(const bson_t *doc, const char *path, bson_iter_t *at)
{
	bson_iter_t it;

	return bson_iter_init(&it, doc) && bson_iter_find_descendant(&it, path, at);
}

static const char *text_at(const bson_t *doc, const char *path, uint32_t *n)
{
	bson_iter_t at;

	*n = 0;
	return find(doc, path, &at) && BSON_ITER_HOLDS_UTF8(&at) ? bson_iter_utf8(&at, n) : NULL;
}

/* One change. A row that is gone asks for a look at all: nothing tells what hung on it. */
static void take_change(const struct watcher_mongo *m, const bson_t *doc, struct watch *to)
{
	uint32_t n;
	const char *collection = text_at(doc, "ns.coll", &n);
	const char *how = text_at(doc, "operationType", &n);
	enum db_table t = collection == NULL ? DB__COUNT : table_of(m, collection);
	bool row = str_equal(how, "insert") || str_equal(how, "update") ||
		   str_equal(how, "replace");
	const char *id = text_at(
		doc, t == DB_LICENSES ? "documentKey._id.referenceId" : "documentKey._id", &n);

	if (id != NULL && strlen(id) != n)
		id = NULL; /* no id of a row that we could read */
	if (row)
		watch_row(to, t, id);
	else
		watch_lost(to);
}

static void keep_token(struct watcher_mongo *m, const bson_iter_t *it)
{
	const uint8_t *data;
	uint32_t n = 0;

	bson_iter_document(it, &n, &data);
	if (m->token != NULL)
		bson_destroy(m->token);
	m->token = n <= TOKEN_MAX ? bson_new_from_data(data, n) : NULL;
}

static void take_changes(struct watcher_mongo *m, const bson_iter_t *batch, struct watch *to)
{
	bson_iter_t one, at;

	if (!bson_iter_recurse(batch, &one))
		return;
	while (bson_iter_next(&one)) {
		const uint8_t *data;
		uint32_t n = 0;
		bson_t doc;

		if (!BSON_ITER_HOLDS_DOCUMENT(&one))
			continue;
		bson_iter_document(&one, &n, &data);
		if (!bson_init_static(&doc, data, n))
			continue;
		take_change(m, &doc, to);
		if (bson_iter_init_find(&at, &doc, "_id") && BSON_ITER_HOLDS_DOCUMENT(&at))
			keep_token(m, &at);
	}
}

/* What a batch says: the changes, the place behind them, the cursor. */
static int take_answer(struct watcher_mongo *m, const bson_t *reply, struct watch *to,
		       struct err *e)
{
	bson_iter_t at;
	const char *of;
	uint32_t n;

	if (!find(reply, "cursor.id", &at))
		return err_set(e, ERR_REMOTE, "MongoDB, change stream: an answer without a cursor");
	m->cursor = bson_iter_as_int64(&at);
	of = text_at(reply, "cursor.ns", &n);
	if (of != NULL) {
		of = strchr(of, '.');
		mem_free(m->collection);
		m->collection = mem_strdup(of == NULL ? "$cmd.aggregate" : of + 1);
	}
	if ((find(reply, "cursor.nextBatch", &at) || find(reply, "cursor.firstBatch", &at)) &&
	    BSON_ITER_HOLDS_ARRAY(&at))
		take_changes(m, &at, to);
	if (find(reply, "cursor.postBatchResumeToken", &at) && BSON_ITER_HOLDS_DOCUMENT(&at))
		keep_token(m, &at);
	return 0;
}

/* --- commands --- */

/* All of a cursor go to one server, in one session. */
static int run(struct watcher_mongo *m, const bson_t *cmd, struct watch *to, bson_error_t *be,
	       struct err *e)
{
	bson_t opts = BSON_INITIALIZER;
	bson_t reply;
	int rc = 0;

	bson_append_int32(&opts, "serverId", -1, (int32_t)m->server);
	if (!mongoc_client_session_append(m->session, &opts, be)) {
		bson_destroy(&opts);
		return failed(be, e);
	}
	if (mongoc_client_command_with_opts(m->c.client, m->database, cmd,
					    mongoc_uri_get_read_prefs_t(m->c.uri), &opts, &reply,
					    be))
		rc = take_answer(m, &reply, to, e);
	else
		rc = failed(be, e);
	bson_destroy(&reply);
	bson_destroy(&opts);
	return rc;
}

static bson_t *make_pipeline(const struct watcher_mongo *m)
{
	bson_t names = BSON_INITIALIZER;
	bson_t stream = BSON_INITIALIZER;
	bson_t *match, *fields, *stages;
	unsigned i;

	if (m->token != NULL)
		bson_append_document(&stream, "resumeAfter", -1, m->token);
	for (i = 0; i < DB__COUNT; i++) {
		char *name = mem_printf("%s%s", m->prefix, db_table_name((enum db_table)i));
		char at[16];

		(void)snprintf(at, sizeof(at), "%u", i);
		bson_append_utf8(&names, at, -1, name, -1);
		mem_free(name);
	}
	match = BCON_NEW("ns.coll", "{", "$in", BCON_ARRAY(&names), "}");
	fields = BCON_NEW("operationType", BCON_INT32(1), "ns", BCON_INT32(1), "documentKey",
			  BCON_INT32(1));
	stages = BCON_NEW("0", "{", "$changeStream", BCON_DOCUMENT(&stream), "}", "1", "{",
			  "$match", BCON_DOCUMENT(match), "}", "2", "{", "$project",
			  BCON_DOCUMENT(fields), "}");
	bson_destroy(match);
	bson_destroy(fields);
	bson_destroy(&stream);
	bson_destroy(&names);
	return stages;
}

static int start(struct watcher_mongo *m, struct watch *to, bson_error_t *be, struct err *e)
{
	bson_t *pipeline = make_pipeline(m);
	bson_t *cmd = BCON_NEW("aggregate", BCON_INT32(1), "pipeline", BCON_ARRAY(pipeline),
			       "cursor", "{", "batchSize", BCON_INT32(BATCH_CHANGES), "}");
	int rc = run(m, cmd, to, be, e);

	bson_destroy(cmd);
	bson_destroy(pipeline);
	return rc;
}

static int connect_now(struct watcher_mongo *m, bson_error_t *be, struct err *e)
{
	mongoc_server_description_t *server;
	int rc = mongo_client_open(&m->c, "zonesync-watch", e);

	if (rc < 0)
		return rc;
	server = mongoc_client_select_server(m->c.client, false,
					     mongoc_uri_get_read_prefs_t(m->c.uri), be);
	if (server == NULL)
		return failed(be, e);
	m->server = mongoc_server_description_id(server);
	mongoc_server_description_destroy(server);
	m->session = mongoc_client_start_session(m->c.client, NULL, be);
	return m->session == NULL ? failed(be, e) : 0;
}

/* --- the watcher --- */

static void begin_anew(struct watcher_mongo *m, struct watch *to)
{
	if (m->token != NULL)
		bson_destroy(m->token);
	m->token = NULL;
	m->stuck = 0;
	watch_lost(to);
}

static int mongo_open(struct watcher *w, struct watch *to, struct err *e)
{
	struct watcher_mongo *m = self_of(w);
	bson_error_t be = { 0 };
	int rc = connect_now(m, &be, e);

	if (rc == 0)
		rc = start(m, to, &be, e);
	if (rc < 0 && m->token != NULL && be.domain == MONGOC_ERROR_SERVER) {
		/* It does not go on from there, whatever its reason: history lost (286), a
		   token it does not understand, a collection that was dropped. */
		begin_anew(m, to);
		be = (bson_error_t){ 0 };
		rc = start(m, to, &be, e);
	}
	return rc;
}

static int mongo_next(struct watcher *w, struct watch *to, struct err *e)
{
	struct watcher_mongo *m = self_of(w);
	bson_error_t be = { 0 };
	bson_t *cmd;
	int rc;

	if (m->cursor == 0) { /* what it is about was dropped: there is nothing to resume */
		begin_anew(m, to);
		return err_set(e, ERR_REMOTE, "MongoDB, change stream: it has ended");
	}
	cmd = BCON_NEW("getMore", BCON_INT64(m->cursor), "collection", BCON_UTF8(m->collection),
		       "batchSize", BCON_INT32(BATCH_CHANGES), "maxTimeMS",
		       BCON_INT64(WATCH_AWAIT_MS));
	rc = run(m, cmd, to, &be, e);
	bson_destroy(cmd);
	if (rc == 0)
		m->stuck = 0;
	else if (be.domain == MONGOC_ERROR_SERVER && ++m->stuck >= STUCK_MAX)
		begin_anew(m, to); /* a change that is too large to be told of, say */
	return rc;
}

/* The server finds out by itself that nobody asks the cursor any more. */
static void mongo_shut(struct watcher *w)
{
	struct watcher_mongo *m = self_of(w);

	if (m->session != NULL)
		mongoc_client_session_destroy(m->session);
	m->session = NULL;
	mongo_client_close(&m->c);
	m->cursor = 0;
}

static void mongo_close(struct watcher *w)
{
	struct watcher_mongo *m = self_of(w);

	mongo_shut(w);
	if (m->token != NULL)
		bson_destroy(m->token);
	mongo_client_reset(&m->c);
	mem_free(m->database);
	mem_free(m->prefix);
	mem_free(m->collection);
	mem_free(m);
}

struct watcher *watcher_mongo_create(const struct mongo_client *c, const char *database,
				     const char *prefix)
{
	static const struct watcher_ops ops = { mongo_open, mongo_next, mongo_shut, mongo_close };
	struct watcher_mongo *m = mem_zalloc(sizeof(*m));
	int32_t ms;

	m->base.ops = &ops;
	m->base.name = "change stream";
	mongo_client_copy(&m->c, c);
	ms = mongoc_uri_get_option_as_int32(m->c.uri, MONGOC_URI_SOCKETTIMEOUTMS, 0);
	if (ms < SOCKET_TIMEOUT_MS)
		(void)mongoc_uri_set_option_as_int32(m->c.uri, MONGOC_URI_SOCKETTIMEOUTMS,
						     SOCKET_TIMEOUT_MS);
	m->database = mem_strdup(database);
	m->prefix = mem_strdup(prefix);
	return &m->base;
}
