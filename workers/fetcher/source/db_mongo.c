/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/db_mongo.h"

#include <inttypes.h>
#include <mongoc/mongoc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/log/log.h"
#include "workers/fetcher/source/bson_json.h"
#include "workers/fetcher/map/map.h"

/* Error codes of the server. */
#define CODE_COMMAND_NOT_FOUND 59
#define CODE_NOT_A_REPLICA_SET 123
#define CODE_NO_MAJORITY_READS 148

#define BATCH_DEFINITIONS	  100	/* rows of one answer */
#define SOCKET_TIMEOUT_DEFAULT_MS 30000 /* of a URI that does not say: the driver's is 5 min */

struct db_mongo {
	struct db base;
	mongoc_uri_t *uri;	 /* owned */
	mongoc_client_t *client; /* owned; NULL: not connected */
	char *database;		 /* owned */
	char *prefix;		 /* owned */
	uint64_t entity_max_bytes;
	int32_t socket_timeout_ms;
	bool local_reads; /* the server has no majority reads */
	unsigned depth;	  /* questions under way: one may be asked while another is answered */
	bool broken;	  /* the connection is to be made anew when none is */
};

struct answer { /* the row in hand; a question within the question has its own */
	struct buf json;
	struct buf id;
	struct buf position;
};

static atomic_bool driver_used;

/* --- the connection --- */

static void ignore_log(mongoc_log_level_t level, const char *domain, const char *text, void *arg)
{
	UNUSED(level);
	UNUSED(domain);
	UNUSED(text); /* what matters comes back as an error */
	UNUSED(arg);
}

/* Not under a cursor that still belongs to it. */
static void disconnect(struct db_mongo *m)
{
	if (m->depth > 0)
		return;
	if (m->client != NULL)
		mongoc_client_destroy(m->client);
	m->client = NULL;
	m->broken = false;
}

static int connect_now(struct db_mongo *m, struct err *e)
{
	if (m->client != NULL)
		return 0;
	m->client = mongoc_client_new_from_uri(m->uri);
	if (m->client == NULL)
		return err_set(e, ERR_CONFIG, "MongoDB: the connection string is refused");
	(void)mongoc_client_set_error_api(m->client, MONGOC_ERROR_API_VERSION_2);
	(void)mongoc_client_set_appname(m->client, "zonesync");
	return 0;
}

/* After an error the connection is made anew: the driver would not look for the server for
   seconds, and a reply that came too late must not meet the next question. */
static int failed(struct db_mongo *m, const bson_error_t *be, const char *doing, struct err *e)
{
	int code = be->domain == MONGOC_ERROR_SERVER_SELECTION || be->domain == MONGOC_ERROR_STREAM
			   ? ERR_TIMEOUT
			   : ERR_REMOTE;

	m->broken = true;
	disconnect(m);
	return err_set(e, code, "MongoDB, %s: %s (%u.%u)", doing, be->message, be->domain,
		       be->code);
}

static bool lacks_majority(const bson_error_t *be)
{
	return be->domain == MONGOC_ERROR_SERVER &&
	       (be->code == CODE_NO_MAJORITY_READS || be->code == CODE_NOT_A_REPLICA_SET);
}

/* --- questions --- */

static void append_list(bson_t *filter, const char *field, const char *op, char *const *v, size_t n)
{
	bson_t in;
	bson_t list;
	size_t i;

	bson_append_document_begin(filter, field, -1, &in);
	bson_append_array_begin(&in, op, -1, &list);
	for (i = 0; i < n; i++) {
		char at[16];

		(void)snprintf(at, sizeof(at), "%zu", i);
		bson_append_utf8(&list, at, -1, v[i], -1);
	}
	bson_append_array_end(&in, &list);
	bson_append_document_end(filter, &in);
}

static void append_in(bson_t *filter, const char *field, char *const *v, size_t n)
{
	append_list(filter, field, "$in", v, n);
}

static void append_types(bson_t *filter)
{
	size_t n;
	const char *const *types = map_event_types(MAP_TYPES_MAPPED, &n);

	append_in(filter, "type", (char *const *)(uintptr_t)types, n);
}

/* {$or: [a, b, ...]} as one more clause of $and. */
struct clauses {
	bson_t all; /* the array of $and */
	unsigned n;
};

static void clause_begin(struct clauses *c, bson_t *doc, bson_t *list)
{
	char at[16];

	(void)snprintf(at, sizeof(at), "%u", c->n++);
	bson_append_document_begin(&c->all, at, -1, doc);
	bson_append_array_begin(doc, "$or", -1, list);
}

static void clause_end(struct clauses *c, bson_t *doc, bson_t *list)
{
	bson_append_array_end(doc, list);
	bson_append_document_end(&c->all, doc);
}

/* An event of no environment is everybody's. */
static void add_environments(struct clauses *c, const struct db_query *q)
{
	bson_t none = BSON_INITIALIZER;
	bson_t doc, list, one;

	clause_begin(c, &doc, &list);
	bson_append_document_begin(&list, "0", -1, &one);
	bson_append_null(&one, "environments", -1);
	bson_append_document_end(&list, &one);
	bson_append_document_begin(&list, "1", -1, &one);
	bson_append_array(&one, "environments", -1, &none);
	bson_append_document_end(&list, &one);
	bson_append_document_begin(&list, "2", -1, &one);
	append_in(&one, "environments", q->environments, q->n_environments);
	bson_append_document_end(&list, &one);
	clause_end(c, &doc, &list);
	bson_destroy(&none);
}

/* Behind (since_ms, after_id). `updatedAt` alone has the bound that an index needs. */
static void add_keyset(struct clauses *c, bson_t *filter, const struct db_query *q)
{
	bson_t doc, list, one, op;

	bson_append_document_begin(filter, "updatedAt", -1, &op);
	bson_append_date_time(&op, "$gte", -1, q->since_ms);
	bson_append_document_end(filter, &op);
	if (q->after_id == NULL)
		return;
	clause_begin(c, &doc, &list);
	bson_append_document_begin(&list, "0", -1, &one);
	bson_append_document_begin(&one, "updatedAt", -1, &op);
	bson_append_date_time(&op, "$gt", -1, q->since_ms);
	bson_append_document_end(&one, &op);
	bson_append_document_end(&list, &one);
	bson_append_document_begin(&list, "1", -1, &one);
	bson_append_date_time(&one, "updatedAt", -1, q->since_ms);
	bson_append_document_begin(&one, "_id", -1, &op);
	bson_append_utf8(&op, "$gt", -1, q->after_id, -1);
	bson_append_document_end(&one, &op);
	bson_append_document_end(&list, &one);
	clause_end(c, &doc, &list);
}

/* Ids of one type have one order; those that are no text are asked for by themselves. */
static void append_id_bound(bson_t *filter, const char *after)
{
	bson_t op;

	bson_append_document_begin(filter, "_id", -1, &op);
	bson_append_utf8(&op, after == NULL ? "$gte" : "$gt", -1, after == NULL ? "" : after, -1);
	bson_append_document_end(filter, &op);
}

/* Where another index is to be followed: a bound of its own would offer a planner that of
   the ids, and with it every row. */
static void add_text_ids(struct clauses *c)
{
	bson_t doc, list, one;

	clause_begin(c, &doc, &list);
	bson_append_document_begin(&list, "0", -1, &one);
	append_id_bound(&one, NULL);
	bson_append_document_end(&list, &one);
	clause_end(c, &doc, &list);
}

/* By a list of types, which an index can follow; "no text" would look at every row. */
static void append_odd_id(bson_t *filter)
{
	static const char *const types[] = { "double",	  "object",    "binData", "objectId",
					     "bool",	  "date",      "null",	  "int",
					     "long",	  "decimal",   "minKey",  "maxKey",
					     "timestamp", "javascript" };
	bson_t op, list;
	size_t i;

	bson_append_document_begin(filter, "_id", -1, &op);
	bson_append_array_begin(&op, "$type", -1, &list);
	for (i = 0; i < ARRAY_LEN(types); i++) {
		char at[16];

		(void)snprintf(at, sizeof(at), "%zu", i);
		bson_append_utf8(&list, at, -1, types[i], -1);
	}
	bson_append_array_end(&op, &list);
	bson_append_document_end(filter, &op);
}

/* Rows that no other query returns, though something may be wrong with them. */
static void add_odd(struct clauses *c, const struct db_query *q)
{
	size_t n = 0;
	const char *const *types = map_event_types(MAP_TYPES_ALL, &n);
	bson_t doc, list, one;

	clause_begin(c, &doc, &list);
	bson_append_document_begin(&list, "0", -1, &one);
	append_odd_id(&one);
	bson_append_document_end(&list, &one);
	if (q->table == DB_EVENTS) {
		bson_append_document_begin(&list, "1", -1, &one);
		append_list(&one, "type", "$nin", (char *const *)(uintptr_t)types, n);
		bson_append_document_end(&list, &one);
	}
	clause_end(c, &doc, &list);
}

static void append_status(bson_t *filter, enum db_status status)
{
	bson_t op;

	if (status == DB_ACCEPTED)
		bson_append_utf8(filter, "status", -1, "ACCEPTED", -1);
	if (status != DB_NOT_ACCEPTED)
		return;
	bson_append_document_begin(filter, "status", -1, &op);
	bson_append_utf8(&op, "$ne", -1, "ACCEPTED", -1);
	bson_append_document_end(filter, &op);
}

static void make_filter(const struct db_query *q, bson_t *filter)
{
	struct clauses c = { BSON_INITIALIZER, 0 };

	if (q->odd)
		add_odd(&c, q);
	else if (q->field != NULL && str_equal(q->field, "id"))
		append_in(filter, "_id", q->in, q->n_in);
	else if (q->order == DB_BY_ID)
		append_id_bound(filter, q->after_id);
	else
		add_text_ids(&c);
	if (q->field != NULL && !str_equal(q->field, "id"))
		append_in(filter, q->field, q->in, q->n_in);
	if (q->table == DB_EVENTS && !q->odd && !str_equal(q->field, "type"))
		append_types(filter);
	if (q->n_environments > 0 && q->table == DB_EVENTS)
		add_environments(&c, q);
	else if (q->n_environments > 0)
		append_in(filter, "environmentId", q->environments, q->n_environments);
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
		bson_append_int32(&sort, "_id", -1, 1);
		bson_append_document_end(opts, &sort);
	}
	if (q->limit > 0)
		bson_append_int64(opts, "limit", -1, q->limit);
	/* The limit of the socket is for a whole answer: definitions come a few at a time. */
	bson_append_int32(opts, "batchSize", -1,
			  q->table == DB_EVENTS && !q->brief ? BATCH_DEFINITIONS : DB_PAGE_ROWS);
	/* The server gives up when nobody waits any more. It counts all answers of a cursor
	   together, so a scan has the limit of the socket alone, of each answer. */
	if (m->socket_timeout_ms > 0 && q->limit <= DB_PAGE_ROWS)
		bson_append_int64(opts, "maxTimeMS", -1, m->socket_timeout_ms);
	if (q->brief)
		append_projection(opts, q->table);
}

/* --- answers --- */

/* For people: of bytes that are no text, or would not be seen, the numbers. */
static void show_id(struct buf *out, const char *s, size_t n)
{
	bool text = str_is_utf8(s, n);
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !text))
			buf_printf(out, "\\x%02x", c);
		else
			buf_addc(out, s[i]);
	}
}

/* false: the id is no text. */
static bool read_id(const bson_t *doc, struct answer *a)
{
	bson_iter_t it;
	uint32_t n = 0;
	const char *s;
	char *json;
	bson_t one = BSON_INITIALIZER;

	buf_clear(&a->id);
	buf_clear(&a->position);
	if (!bson_iter_init_find(&it, doc, "_id")) {
		buf_adds(&a->id, "(none)");
		return false;
	}
	if (BSON_ITER_HOLDS_UTF8(&it)) {
		s = bson_iter_utf8(&it, &n);
		show_id(&a->id, s, n);
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
	return found || (t != DB_EVENTS && t != DB_SUBSCRIPTIONS && t != DB_KEYS);
}

static int give(const struct db_mongo *m, struct answer *a, const bson_t *doc,
		const struct db_query *q, db_row_fn *fn, void *arg, struct err *e)
{
	struct db_row row = { 0 };
	struct err why = { 0 };
	bool id = read_id(doc, a);
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
	else if (bson_json(&a->json, bson_get_data(doc), doc->len, &why) == 0)
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

	c = mongoc_client_get_collection(m->client, m->database, name);
	if (mongoc_uri_get_option_as_utf8(m->uri, MONGOC_URI_READCONCERNLEVEL, NULL) == NULL) {
		concern = mongoc_read_concern_new();
		(void)mongoc_read_concern_set_level(concern, m->local_reads ? "local" : "majority");
		mongoc_collection_set_read_concern(c, concern);
	}
	make_filter(q, &filter);
	make_opts(m, q, &opts);
	cursor = mongoc_collection_find_with_opts(c, &filter, &opts, NULL);
	m->depth++;
	while (rc >= 0 && mongoc_cursor_next(cursor, &doc)) {
		rc = give(m, &a, doc, q, fn, arg, e);
		n++;
	}
	m->depth--;
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
	int rc = connect_now(m, e);

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
	if (m->broken)
		disconnect(m); /* a question within this one failed */
	return rc;
}

static bool ask_hello(struct db_mongo *m, const char *command, int64_t *ms, bson_error_t *be)
{
	bson_t *cmd = BCON_NEW(command, BCON_INT32(1));
	bson_t reply;
	bson_iter_t it;
	bool ok = mongoc_client_command_simple(m->client, "admin", cmd, NULL, &reply, be);

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
	int rc = connect_now(m, e);
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

static void mongo_close(struct db *d)
{
	struct db_mongo *m = (struct db_mongo *)d;

	disconnect(m);
	mongoc_uri_destroy(m->uri);
	mem_free(m->database);
	mem_free(m->prefix);
	mem_free(m);
}

/* --- what is configured --- */

static void set_ms(mongoc_uri_t *uri, const char *option, uint32_t ms)
{
	/* What the connection string says itself stands. */
	if (mongoc_uri_get_option_as_int32(uri, option, -1) == -1 && ms <= INT32_MAX)
		(void)mongoc_uri_set_option_as_int32(uri, option, (int32_t)ms);
}

static void set_read_preference(mongoc_uri_t *uri, const Ipc__Mongo *c)
{
	static const struct {
		const char *name;
		mongoc_read_mode_t mode;
	} modes[] = { { "primary", MONGOC_READ_PRIMARY },
		      { "primaryPreferred", MONGOC_READ_PRIMARY_PREFERRED },
		      { "secondary", MONGOC_READ_SECONDARY },
		      { "secondaryPreferred", MONGOC_READ_SECONDARY_PREFERRED },
		      { "nearest", MONGOC_READ_NEAREST } };
	mongoc_read_prefs_t *prefs = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
	bson_t tags = BSON_INITIALIZER;
	size_t i;

	for (i = 0; i < ARRAY_LEN(modes); i++)
		if (str_equal(c->read_preference, modes[i].name))
			mongoc_read_prefs_set_mode(prefs, modes[i].mode);
	for (i = 0; i < c->n_read_tags; i++) {
		const char *colon = strchr(c->read_tags[i], ':');

		if (colon != NULL)
			bson_append_utf8(&tags, c->read_tags[i], (int)(colon - c->read_tags[i]),
					 colon + 1, -1);
	}
	if (c->n_read_tags > 0 && mongoc_read_prefs_get_mode(prefs) != MONGOC_READ_PRIMARY)
		mongoc_read_prefs_add_tag(prefs, &tags);
	if (mongoc_read_prefs_is_valid(prefs))
		mongoc_uri_set_read_prefs_t(uri, prefs);
	bson_destroy(&tags);
	mongoc_read_prefs_destroy(prefs);
}

static mongoc_uri_t *uri_of_parts(const Ipc__Mongo *c, bson_error_t *be)
{
	struct buf text = { 0 };
	mongoc_uri_t *uri;
	size_t i;

	buf_adds(&text, "mongodb://");
	for (i = 0; i < c->n_hosts; i++)
		buf_printf(&text, "%s%s", i == 0 ? "" : ",", c->hosts[i]);
	uri = mongoc_uri_new_with_error(buf_cstr(&text), be);
	buf_reset(&text);
	if (uri == NULL)
		return NULL;
	(void)mongoc_uri_set_database(uri, c->database);
	if (c->username[0] != '\0') {
		(void)mongoc_uri_set_username(uri, c->username);
		(void)mongoc_uri_set_password(uri, c->password);
		(void)mongoc_uri_set_auth_source(uri, c->auth_source);
	}
	if (c->read_preference[0] != '\0')
		set_read_preference(uri, c);
	set_ms(uri, MONGOC_URI_SOCKETTIMEOUTMS, c->socket_timeout_ms);
	set_ms(uri, MONGOC_URI_LOCALTHRESHOLDMS, c->local_threshold_ms);
	set_ms(uri, MONGOC_URI_HEARTBEATFREQUENCYMS, c->heartbeat_ms);
	return uri;
}

int db_mongo_open(struct db **out, const Ipc__Mongo *c, struct err *e)
{
	static const struct db_ops ops = { mongo_rows, mongo_now, mongo_close };
	struct db_mongo *m;
	bson_error_t be = { 0 };
	const char *database;
	mongoc_uri_t *uri;

	if (!atomic_exchange(&driver_used, true)) {
		mongoc_log_set_handler(ignore_log, NULL);
		mongoc_init();
	}
	uri = c->uri[0] != '\0' ? mongoc_uri_new_with_error(c->uri, &be) : uri_of_parts(c, &be);
	if (uri == NULL)
		return err_set(e, ERR_CONFIG, "management.mongodb: %s", be.message);
	set_ms(uri, MONGOC_URI_CONNECTTIMEOUTMS, c->connect_timeout_ms);
	set_ms(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, c->server_selection_timeout_ms);
	set_ms(uri, MONGOC_URI_SOCKETTIMEOUTMS, SOCKET_TIMEOUT_DEFAULT_MS);
	database = mongoc_uri_get_database(uri);
	m = mem_zalloc(sizeof(*m));
	m->base.ops = &ops;
	m->base.overlap_ms = mongoc_read_prefs_get_mode(mongoc_uri_get_read_prefs_t(uri)) ==
					     MONGOC_READ_PRIMARY
				     ? DB_OVERLAP_MS
				     : DB_OVERLAP_WIDE_MS;
	m->uri = uri;
	m->database = mem_strdup(database != NULL && database[0] != '\0' ? database : c->database);
	m->prefix = mem_strdup(c->prefix);
	m->entity_max_bytes = c->entity_max_bytes;
	m->socket_timeout_ms = mongoc_uri_get_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, 0);
	*out = &m->base;
	return 0;
}

void db_mongo_cleanup(void)
{
	if (atomic_load(&driver_used))
		mongoc_cleanup();
}
