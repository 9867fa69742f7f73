/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/mongo/db_mongo.h"

#include <inttypes.h>
#include <mongoc/mongoc.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/log/log.h"
#include "workers/fetcher/source/mongo/bson_json.h"
#include "workers/fetcher/source/mongo/mongo_client.h"
#include "workers/fetcher/source/mongo/watch_mongo.h"
#include "workers/fetcher/map/map.h"

/* Error codes of the server. */
#define CODE_COMMAND_NOT_FOUND 59
#define CODE_NOT_A_REPLICA_SET 123
#define CODE_NO_MAJORITY_READS 148

#define BATCH_DEFINITIONS 100 /* rows of one answer */

struct db_mongo {
	struct db base;
	struct mongo_client c;
	char *database; /* owned */
	char *prefix;	/* owned */
	uint64_t entity_max_bytes;
	int32_t socket_timeout_ms;
	bool local_reads; /* the server has no majority reads */
};

struct answer { /* the row in hand */
	struct buf json;
	struct buf id;
	struct buf position;
};

/* --- the connection --- */

/* After an error the connection is made anew: the driver would not look for the server for
   seconds, and a reply that came too late must not meet the next question. */
static int failed(struct db_mongo *m, const bson_error_t *be, const char *doing, struct err *e)
{
	int code = be->domain == MONGOC_ERROR_SERVER_SELECTION || be->domain == MONGOC_ERROR_STREAM
			   ? ERR_TIMEOUT
			   : ERR_REMOTE;

	mongo_client_close(&m->c);
	return err_set(e, code, "MongoDB, %s: %s (%u.%u)", doing, be->message, be->domain,
		       be->code);
}

static bool lacks_majority(const bson_error_t *be)
{
	return be->domain == MONGOC_ERROR_SERVER &&
	       (be->code == CODE_NO_MAJORITY_READS || be->code == CODE_NOT_A_REPLICA_SET);
}

/* --- questions --- */

/* What rows are named and ordered by. A license's _id is a document; within one type of
   reference, and only one is asked for, its order is that of the referenceId. */
static const char *id_path(enum db_table t)
{
	return t == DB_LICENSES ? "_id.referenceId" : "_id";
}

static void append_list(bson_t *filter, const char *field, const char *op, char *const *v, size_t n)
{
	bson_t list = BSON_INITIALIZER;
	size_t i;

	for (i = 0; i < n; i++) {
		char at[16];

		(void)snprintf(at, sizeof(at), "%zu", i);
		bson_append_utf8(&list, at, -1, v[i], -1);
	}
	BCON_APPEND(filter, field, "{", op, BCON_ARRAY(&list), "}");
	bson_destroy(&list);
}

static bson_t *make_list(const char *field, const char *op, const char *const *v, size_t n)
{
	bson_t *b = bson_new();

	append_list(b, field, op, (char *const *)(uintptr_t)v, n);
	return b;
}

static void append_in(bson_t *filter, const char *field, char *const *v, size_t n)
{
	append_list(filter, field, "$in", v, n);
}

struct clauses {
	bson_t all; /* the array of $and */
	unsigned n;
};

/* {$or: [...]} of up to three, which it takes, as one more clause of $and. */
static void add_or(struct clauses *c, bson_t *const v[3])
{
	bson_t list = BSON_INITIALIZER;
	char at[16];
	unsigned i;

	for (i = 0; i < 3 && v[i] != NULL; i++) {
		(void)snprintf(at, sizeof(at), "%u", i);
		bson_append_document(&list, at, -1, v[i]);
		bson_destroy(v[i]);
	}
	(void)snprintf(at, sizeof(at), "%u", c->n++);
	BCON_APPEND(&c->all, at, "{", "$or", BCON_ARRAY(&list), "}");
	bson_destroy(&list);
}

/* An event of no environment is everybody's. */
static void add_environments(struct clauses *c, const struct db_query *q)
{
	bson_t *ours = bson_new();

	append_in(ours, "environments", q->environments, q->n_environments);
	add_or(c, (bson_t *[3]){ BCON_NEW("environments", BCON_NULL),
				 BCON_NEW("environments", "[", "]"), ours });
}

/* Behind (since_ms, after_id). `updatedAt` alone has the bound that an index needs. */
static void add_keyset(struct clauses *c, bson_t *filter, const struct db_query *q)
{
	bson_t *later, *behind;

	BCON_APPEND(filter, "updatedAt", "{", "$gte", BCON_DATE_TIME(q->since_ms), "}");
	if (q->after_id == NULL)
		return;
	later = BCON_NEW("updatedAt", "{", "$gt", BCON_DATE_TIME(q->since_ms), "}");
	behind = BCON_NEW("updatedAt", BCON_DATE_TIME(q->since_ms), id_path(q->table), "{", "$gt",
			  BCON_UTF8(q->after_id), "}");
	add_or(c, (bson_t *[3]){ later, behind });
}

/* Ids of one type have one order; those that are no text are asked for by themselves. */
static void append_id_bound(bson_t *filter, enum db_table t, const char *after)
{
	if (after == NULL)
		BCON_APPEND(filter, id_path(t), "{", "$gte", BCON_UTF8(""), "}");
	else
		BCON_APPEND(filter, id_path(t), "{", "$gt", BCON_UTF8(after), "}");
}

/* Where another index is to be followed: a bound of its own would offer a planner that of
   the ids, and with it every row. */
static void add_text_ids(struct clauses *c, enum db_table t)
{
	add_or(c, (bson_t *[3]){ BCON_NEW(id_path(t), "{", "$gte", BCON_UTF8(""), "}") });
}

/* Rows that no other query returns, though something may be wrong with them. Their ids by a
   list of types, which an index can follow; "no text" would look at every row. */
static void add_odd(struct clauses *c, const struct db_query *q)
{
	static const char *const types[] = { "double",	  "object",    "binData", "objectId",
					     "bool",	  "date",      "null",	  "int",
					     "long",	  "decimal",   "minKey",  "maxKey",
					     "timestamp", "javascript" };
	bool events = q->table == DB_EVENTS;
	size_t n = 0;
	const char *const *known = map_event_types(MAP_TYPES_ALL, &n);

	add_or(c, (bson_t *[3]){ make_list(id_path(q->table), "$type", types, ARRAY_LEN(types)),
				 events ? make_list("type", "$nin", known, n) : NULL });
}

static void append_status(bson_t *filter, enum db_status status)
{
	if (status == DB_ACCEPTED)
		BCON_APPEND(filter, "status", BCON_UTF8("ACCEPTED"));
	if (status == DB_NOT_ACCEPTED)
		BCON_APPEND(filter, "status", "{", "$ne", BCON_UTF8("ACCEPTED"), "}");
}

static void make_filter(const struct db_query *q, bson_t *filter)
{
	struct clauses c = { BSON_INITIALIZER, 0 };
	size_t n;
	const char *const *types = map_event_types(MAP_TYPES_MAPPED, &n);

	if (q->odd)
		add_odd(&c, q);
	else if (q->field != NULL && str_equal(q->field, "id"))
		append_in(filter, id_path(q->table), q->in, q->n_in);
	else if (q->order == DB_BY_ID)
		append_id_bound(filter, q->table, q->after_id);
	else
		add_text_ids(&c, q->table);
	if (q->field != NULL && !str_equal(q->field, "id"))
		append_in(filter, q->field, q->in, q->n_in);
	if (q->table == DB_EVENTS && !q->odd && !str_equal(q->field, "type"))
		append_in(filter, "type", (char *const *)(uintptr_t)types, n);
	if (q->table == DB_LICENSES)
		bson_append_utf8(filter, "_id.referenceType", -1, "ORGANIZATION", -1);
	if (q->n_environments > 0 && q->table == DB_EVENTS)
		add_environments(&c, q);
	else if (q->n_environments > 0)
		append_in(filter, q->table == DB_ACCESS_POINTS ? "referenceId" : "environmentId",
			  q->environments, q->n_environments);
	append_status(filter, q->status);
	if (q->order == DB_BY_TIME)
		add_keyset(&c, filter, q);
	if (c.n > 0)
		bson_append_array(filter, "$and", -1, &c.all);
	bson_destroy(&c.all);
}

static void append_projection(bson_t *opts, enum db_table table)
{
	static const char *const brief[DB__COUNT][12] = {
		[DB_EVENTS] = { "type", "updatedAt", "createdAt", "properties" },
		[DB_SUBSCRIPTIONS] = { "api", "plan", "status", "referenceId", "referenceType",
				       "environmentId", "updatedAt", "createdAt" },
		[DB_KEYS] = { "subscriptions", "subscription", "revoked", "paused", "federated",
			      "environmentId", "updatedAt", "createdAt" },
	};
	bson_t doc;
	unsigned i;

	if (brief[table][0] == NULL)
		return;
	bson_append_document_begin(opts, "projection", -1, &doc);
	for (i = 0; brief[table][i] != NULL; i++)
		bson_append_int32(&doc, brief[table][i], -1, 1);
	bson_append_document_end(opts, &doc);
}

static void make_opts(const struct db_mongo *m, const struct db_query *q, bson_t *opts)
{
	bson_t sort;

	if (q->order != DB_UNORDERED) {
		bson_append_document_begin(opts, "sort", -1, &sort);
		if (q->order == DB_BY_TIME)
			bson_append_int32(&sort, "updatedAt", -1, 1);
		bson_append_int32(&sort, id_path(q->table), -1, 1);
		bson_append_document_end(opts, &sort);
	}
	if (q->limit > 0)
		bson_append_int64(opts, "limit", -1, q->limit);
	/* The limit of the socket is for a whole answer: definitions come a few at a time. */
	bson_append_int32(opts, "batchSize", -1,
			  q->table == DB_EVENTS && !q->brief ? BATCH_DEFINITIONS : DB_PAGE_ROWS);
	/* The server gives up when nobody waits any more. */
	if (m->socket_timeout_ms > 0)
		bson_append_int64(opts, "maxTimeMS", -1, m->socket_timeout_ms);
	if (q->brief)
		append_projection(opts, q->table);
}

/* --- answers --- */

static bool find_id(const bson_t *doc, enum db_table t, bson_iter_t *it)
{
	bson_iter_t top;

	return bson_iter_init(&top, doc) && bson_iter_find_descendant(&top, id_path(t), it);
}

/* false: the id is no text. */
static bool read_id(const bson_t *doc, enum db_table t, struct answer *a)
{
	bson_iter_t it;
	uint32_t n = 0;
	const char *s;
	char *json;
	bson_t one = BSON_INITIALIZER;

	buf_clear(&a->id);
	buf_clear(&a->position);
	if (!find_id(doc, t, &it)) {
		buf_adds(&a->id, "(none)");
		return false;
	}
	if (BSON_ITER_HOLDS_UTF8(&it)) {
		s = bson_iter_utf8(&it, &n);
		db_show_id(&a->id, s, n);
		buf_adds(&a->position, s);
		if (strlen(s) < n)
			buf_addc(&a->position, 1); /* behind all that begin alike */
		return true;
	}
	bson_append_iter(&one, "id", -1, &it);
	json = bson_as_canonical_extended_json(&one, NULL);
	buf_adds(&a->id, json == NULL ? "(damaged)" : json);
	bson_free(json);
	bson_destroy(&one);
	return false;
}

/* Of a table that is followed by it: false when the row has none. */
static bool read_updated(const bson_t *doc, enum db_table t, int64_t *ms)
{
	bson_iter_t it;
	bool found = bson_iter_init_find(&it, doc, "updatedAt") && BSON_ITER_HOLDS_DATE_TIME(&it);

	*ms = found ? bson_iter_date_time(&it) : 0;
	return found || t == DB_ENVIRONMENTS || t == DB_ORGANIZATIONS || t == DB_INSTALLATION;
}

static int add_json(struct buf *out, const bson_t *doc, enum db_table t, const char *id,
		    struct err *e)
{
	bson_t flat = BSON_INITIALIZER;
	int rc;

	if (t != DB_LICENSES)
		return bson_json(out, bson_get_data(doc), doc->len, e);
	bson_append_utf8(&flat, "_id", -1, id, -1);
	bson_append_utf8(&flat, "referenceId", -1, id, -1);
	bson_append_utf8(&flat, "referenceType", -1, "ORGANIZATION", -1);
	bson_copy_to_excluding_noinit(doc, &flat, "_id", "referenceId", "referenceType", NULL);
	rc = bson_json(out, bson_get_data(&flat), flat.len, e);
	bson_destroy(&flat);
	return rc;
}

static int give(const struct db_mongo *m, struct answer *a, const bson_t *doc,
		const struct db_query *q, db_row_fn *fn, void *arg, struct err *e)
{
	struct db_row row = { 0 };
	struct err why = { 0 };
	bool id = read_id(doc, q->table, a);
	bool updated = read_updated(doc, q->table, &row.updated_ms);

	row.id = buf_cstr(&a->id);
	row.position = buf_cstr(&a->position);
	buf_clear(&a->json);
	if (!id)
		(void)err_set(&why, ERR_PARSE, "its _id is no text");
	else if (q->odd)
		(void)err_set(&why, ERR_PARSE, "its type is none that is known");
	else if (!updated)
		(void)err_set(&why, ERR_PARSE, "its updatedAt is no date");
	else if (doc->len > m->entity_max_bytes)
		(void)err_set(&why, ERR_LIMIT,
			      "%u bytes are more than zonesync.limits.entity_max_bytes allows "
			      "(%" PRIu64 ")",
			      doc->len, m->entity_max_bytes);
	else if (add_json(&a->json, doc, q->table, row.position, &why) == 0)
		row.json = (struct json_span){ a->json.data, a->json.len };
	row.bad = why.code < 0 ? why.text : NULL;
	return fn(arg, &row, e);
}

static int run(struct db_mongo *m, const struct db_query *q, db_row_fn *fn, void *arg,
	       bson_error_t *be, struct err *e)
{
	mongoc_collection_t *c;
	mongoc_read_concern_t *concern = NULL;
	mongoc_cursor_t *cursor;
	bson_t filter = BSON_INITIALIZER;
	bson_t opts = BSON_INITIALIZER;
	struct answer a = { 0 };
	const bson_t *doc;
	char *name = mem_printf("%s%s", m->prefix, db_table_name(q->table));
	int n = 0;
	int rc = 0;

	c = mongoc_client_get_collection(m->c.client, m->database, name);
	if (mongoc_uri_get_option_as_utf8(m->c.uri, MONGOC_URI_READCONCERNLEVEL, NULL) == NULL) {
		concern = mongoc_read_concern_new();
		(void)mongoc_read_concern_set_level(concern, m->local_reads ? "local" : "majority");
		mongoc_collection_set_read_concern(c, concern);
	}
	make_filter(q, &filter);
	make_opts(m, q, &opts);
	cursor = mongoc_collection_find_with_opts(c, &filter, &opts, NULL);
	while (rc >= 0 && mongoc_cursor_next(cursor, &doc)) {
		rc = give(m, &a, doc, q, fn, arg, e);
		n++;
	}
	if (rc >= 0 && mongoc_cursor_error(cursor, be))
		rc = ERR_REMOTE;
	mongoc_cursor_destroy(cursor);
	bson_destroy(&opts);
	bson_destroy(&filter);
	if (concern != NULL)
		mongoc_read_concern_destroy(concern);
	mongoc_collection_destroy(c);
	mem_free(name);
	buf_reset(&a.json);
	buf_reset(&a.id);
	buf_reset(&a.position);
	return rc < 0 ? rc : n;
}

static int mongo_rows(struct db *d, const struct db_query *q, db_row_fn *fn, void *arg,
		      struct err *e)
{
	struct db_mongo *m = (struct db_mongo *)d;
	bson_error_t be = { 0 };
	int rc = mongo_client_open(&m->c, "zonesync", e);

	if (rc < 0)
		return rc;
	rc = run(m, q, fn, arg, &be, e);
	if (rc < 0 && be.code != 0 && !m->local_reads && lacks_majority(&be)) {
		log_warn(EV("no_majority_reads"), KV("err", be.message));
		m->local_reads = true;
		m->base.overlap_ms = DB_OVERLAP_WIDE_MS;
		be = (bson_error_t){ 0 };
		rc = run(m, q, fn, arg, &be, e);
	}
	if (rc < 0 && (be.code != 0 || be.message[0] != '\0'))
		return failed(m, &be, db_table_name(q->table), e);
	return rc;
}

static bool ask_hello(struct db_mongo *m, const char *command, int64_t *ms, bson_error_t *be)
{
	bson_t *cmd = BCON_NEW(command, BCON_INT32(1));
	bson_t reply;
	bson_iter_t it;
	bool ok = mongoc_client_command_simple(m->c.client, "admin", cmd, NULL, &reply, be);

	if (ok && bson_iter_init_find(&it, &reply, "localTime") && BSON_ITER_HOLDS_DATE_TIME(&it))
		*ms = bson_iter_date_time(&it);
	else if (ok)
		*ms = 0;
	bson_destroy(&reply);
	bson_destroy(cmd);
	return ok;
}

static int mongo_now(struct db *d, int64_t *ms, struct err *e)
{
	struct db_mongo *m = (struct db_mongo *)d;
	bson_error_t be = { 0 };
	int64_t now = 0;
	int rc = mongo_client_open(&m->c, "zonesync", e);
	bool ok;

	if (rc < 0)
		return rc;
	ok = ask_hello(m, "hello", &now, &be);
	if (!ok && be.code == CODE_COMMAND_NOT_FOUND)
		ok = ask_hello(m, "isMaster", &now, &be); /* before 4.4.2 */
	if (!ok)
		return failed(m, &be, "hello", e);
	if (now <= 0)
		return err_set(e, ERR_REMOTE, "MongoDB tells no time (localTime)");
	*ms = now;
	return 0;
}

static struct watcher *mongo_watcher(struct db *d)
{
	struct db_mongo *m = (struct db_mongo *)d;

	return watcher_mongo_create(&m->c, m->database, m->prefix);
}

static void mongo_close(struct db *d)
{
	struct db_mongo *m = (struct db_mongo *)d;

	mongo_client_reset(&m->c);
	mem_free(m->database);
	mem_free(m->prefix);
	mem_free(m);
}

/* --- life --- */

static void mongo_check(const struct db *d, bool look, Ipc__Checked *out)
{
	mongo_client_check(&((const struct db_mongo *)d)->c, look, out);
}

int db_mongo_open(struct db **out, const Ipc__Mongo *c, struct err *e)
{
	static const struct db_ops ops = { .rows = mongo_rows,
					   .now = mongo_now,
					   .watcher = mongo_watcher,
					   .close = mongo_close,
					   .check = mongo_check };
	struct mongo_client client = { 0 };
	struct db_mongo *m;
	const char *database;
	int rc = mongo_client_init(&client, c, e);

	if (rc < 0)
		return rc;
	database = mongoc_uri_get_database(client.uri);
	m = mem_zalloc(sizeof(*m));
	m->c = client;
	m->base.ops = &ops;
	m->base.overlap_ms = mongoc_read_prefs_get_mode(mongoc_uri_get_read_prefs_t(client.uri)) ==
					     MONGOC_READ_PRIMARY
				     ? DB_OVERLAP_MS
				     : DB_OVERLAP_WIDE_MS;
	m->database = mem_strdup(database != NULL && database[0] != '\0' ? database : c->database);
	m->prefix = mem_strdup(c->prefix);
	m->entity_max_bytes = c->entity_max_bytes;
	m->socket_timeout_ms =
		mongoc_uri_get_option_as_int32(client.uri, MONGOC_URI_SOCKETTIMEOUTMS, 0);
	*out = &m->base;
	return 0;
}
