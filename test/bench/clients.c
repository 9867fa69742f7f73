/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bench/clients.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <mongoc/mongoc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "gateway.pb-c.h"

#define PIPELINE    64	       /* asks in one write */
#define ROOM	    (1U << 20) /* for answers */
#define VALUE_BYTES 1000
#define BATCH_ROWS  1000 /* of one batch of the driver */

struct client {
	int fd;
	uint8_t *in; /* answers as they come */
	size_t at, len;
	struct buf out;
	uint64_t keys, apis;
	uint64_t asked;
	bool whole; /* ask for the entity, not for what the key is good for */
};

typedef void ask_fn(struct client *c, uint64_t i); /* adds to `out` */
typedef void take_fn(struct client *c);		   /* the next answer, which must be a good one */

/* --- bytes --- */

static void dial(struct client *c, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	*c = (struct client){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	CHECK(c->fd >= 0 && strlen(path) < sizeof(a.sun_path));
	str_copy(a.sun_path, sizeof(a.sun_path), path);
	CHECK(connect(c->fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	c->in = mem_alloc(ROOM);
}

static void flush(struct client *c)
{
	size_t done = 0;

	while (done < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + done, c->out.len - done, MSG_NOSIGNAL);

		CHECK(n > 0);
		done += (size_t)n;
	}
	buf_clear(&c->out);
}

static const uint8_t *need(struct client *c, size_t n)
{
	if (c->len - c->at < n) {
		memmove(c->in, c->in + c->at, c->len - c->at);
		c->len -= c->at;
		c->at = 0;
	}
	while (c->len - c->at < n) {
		ssize_t got = recv(c->fd, c->in + c->len, ROOM - c->len, 0);

		CHECK(got > 0);
		c->len += (size_t)got;
	}
	return c->in + c->at;
}

/* --- measuring --- */

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The same keys in the same order for everybody. */
static uint64_t pick(struct client *c)
{
	c->asked++;
	return c->asked * 2654435761U % c->keys;
}

static int64_t now_ns(void)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void measure(struct client *c, const char *name, uint64_t asks, ask_fn *ask, take_fn *take)
{
	int64_t *took = mem_alloc(asks * sizeof(*took));
	int64_t begin;
	double s;
	uint64_t i, k;

	for (i = 0; i < asks; i++) {
		begin = now_ns();
		ask(c, pick(c));
		flush(c);
		take(c);
		took[i] = now_ns() - begin;
	}
	qsort(took, asks, sizeof(*took), by_time);
	(void)printf("%s_serial %.1f %.1f\n", name, (double)took[asks / 2] / 1e3,
		     (double)took[asks * 99 / 100] / 1e3);
	mem_free(took);
	begin = now_ns();
	for (i = 0; i < asks; i += PIPELINE) {
		for (k = 0; k < PIPELINE; k++)
			ask(c, pick(c));
		flush(c);
		for (k = 0; k < PIPELINE; k++)
			take(c);
	}
	s = (double)(now_ns() - begin) / 1e9;
	(void)printf("%s_pipelined %.3f %.0f\n", name, s, (double)i / s);
}

/* --- a gateway --- */

static void ask_gateway(struct client *c, uint64_t i)
{
	Gateway__Request r;
	Gateway__ResolveKey k;
	Gateway__Get g;
	char ref[32], key[40], id[32];
	uint8_t frame[256];
	size_t n;

	gateway__request__init(&r);
	gateway__resolve_key__init(&k);
	gateway__get__init(&g);
	(void)snprintf(ref, sizeof(ref), "a%" PRIu64, i % c->apis);
	(void)snprintf(key, sizeof(key), "key-of-k%" PRIu64, i);
	(void)snprintf(id, sizeof(id), "k%" PRIu64, i);
	r.id = c->asked;
	if (c->whole) {
		g.kind = (char *)(uintptr_t) "API_KEY";
		g.entity_id = id;
		r.body_case = GATEWAY__REQUEST__BODY_GET;
		r.get = &g;
	} else {
		k.ref = ref;
		k.key = key;
		r.body_case = GATEWAY__REQUEST__BODY_RESOLVE_KEY;
		r.resolve_key = &k;
	}
	n = gateway__request__get_packed_size(&r);
	CHECK(n + 4 <= sizeof(frame) && n < 256);
	memset(frame, 0, 3);
	frame[3] = (uint8_t)n;
	(void)gateway__request__pack(&r, frame + 4);
	buf_add(&c->out, frame, n + 4);
}

static void take_gateway(struct client *c)
{
	const uint8_t *p = need(c, 4);
	size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	Gateway__Reply *r = gateway__reply__unpack(NULL, n, need(c, n + 4) + 4);

	CHECK(r != NULL && r->code == GATEWAY__CODE__OK);
	CHECK(c->whole ? r->n_events == 1
		       : r->resolution->n_matches > 0 && r->resolution->matches[0]->active);
	gateway__reply__free_unpacked(r, NULL);
	c->at += n + 4;
}

static void gateway(const char *path, uint64_t keys, uint64_t apis, uint64_t asks)
{
	struct client c;

	dial(&c, path);
	c.keys = keys;
	c.apis = apis;
	measure(&c, "resolve", asks, ask_gateway, take_gateway);
	c.whole = true;
	measure(&c, "get", asks, ask_gateway, take_gateway);
}

/* --- Redis --- */

static void add_arg(struct buf *b, const char *p, size_t n)
{
	buf_printf(b, "$%zu\r\n", n);
	buf_add(b, p, n);
	buf_adds(b, "\r\n");
}

static void command(struct client *c, unsigned argc, const char *name, uint64_t i)
{
	char key[32];

	(void)snprintf(key, sizeof(key), "k%" PRIu64, i);
	buf_printf(&c->out, "*%u\r\n", argc);
	add_arg(&c->out, name, strlen(name));
	add_arg(&c->out, key, strlen(key));
}

static void ask_get(struct client *c, uint64_t i)
{
	command(c, 2, "GET", i);
}

static void add_value(struct client *c)
{
	char value[VALUE_BYTES];

	memset(value, 'v', sizeof(value));
	add_arg(&c->out, value, sizeof(value));
}

static void ask_set(struct client *c, uint64_t i)
{
	command(c, 3, "SET", i);
	add_value(c);
}

static void ask_hash(struct client *c, uint64_t i)
{
	command(c, 4, "HSET", i);
	add_arg(&c->out, "payload", 7);
	add_value(c);
}

static void ask_delete(struct client *c, uint64_t i)
{
	command(c, 2, "DEL", i);
}

static void take_redis(struct client *c)
{
	const uint8_t *p = need(c, 4);
	const uint8_t *end;
	size_t n, head;

	while ((end = memchr(p, '\n', c->len - c->at)) == NULL)
		p = need(c, c->len - c->at + 1);
	CHECK(p[0] == '+' || p[0] == ':' || (p[0] == '$' && p[1] != '-'));
	head = (size_t)(end - p) + 1;
	n = p[0] == '$' ? strtoul((const char *)p + 1, NULL, 10) + 2 : 0;
	(void)need(c, head + n);
	c->at += head + n;
}

/* Every key once, pipelined. */
static void each(struct client *c, const char *name, ask_fn *ask)
{
	int64_t begin = now_ns();
	uint64_t sent = 0;
	uint64_t taken = 0;
	double s;

	while (taken < c->keys) {
		for (; sent < c->keys && sent - taken < PIPELINE; sent++)
			ask(c, sent);
		flush(c);
		for (; taken < sent; taken++)
			take_redis(c);
	}
	s = (double)(now_ns() - begin) / 1e9;
	(void)printf("%s %.6f %.0f\n", name, s, (double)c->keys / s);
}

static void redis_delete(const char *path, uint64_t keys)
{
	struct client c;

	dial(&c, path);
	c.keys = keys;
	each(&c, "make", ask_hash);
	each(&c, "delete", ask_delete);
}

static void redis_fill(const char *path, uint64_t keys)
{
	struct client c;

	dial(&c, path);
	c.keys = keys;
	each(&c, "fill", ask_set);
}

static void redis_get(const char *path, uint64_t keys, uint64_t asks)
{
	struct client c;

	dial(&c, path);
	c.keys = keys;
	measure(&c, "redis", asks, ask_get, take_redis);
}

/* --- MongoDB --- */

static uint64_t drain(mongoc_client_t *client, const char *collection)
{
	mongoc_collection_t *c = mongoc_client_get_collection(client, "gravitee", collection);
	bson_t *opts = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}", "batchSize",
				BCON_INT32(BATCH_ROWS));
	bson_t all = BSON_INITIALIZER;
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(c, &all, opts, NULL);
	const bson_t *doc;
	bson_error_t e;
	uint64_t n = 0;

	while (mongoc_cursor_next(cursor, &doc))
		n++;
	CHECK(!mongoc_cursor_error(cursor, &e));
	mongoc_cursor_destroy(cursor);
	bson_destroy(opts);
	mongoc_collection_destroy(c);
	return n;
}

static void mongo(int argc, char **argv)
{
	mongoc_client_t *client;
	int64_t begin;
	uint64_t n = 0;
	double s;
	int i;

	mongoc_init();
	client = mongoc_client_new(argv[2]);
	CHECK(client != NULL);
	begin = now_ns();
	for (i = 3; i < argc; i++)
		n += drain(client, argv[i]);
	s = (double)(now_ns() - begin) / 1e9;
	(void)printf("mongo %.3f %.0f\n", s, (double)n / s);
	mongoc_client_destroy(client);
}

/* --- PostgreSQL --- */

static uint64_t drain_table(PGconn *c, const char *table)
{
	char *sql = mem_printf("SELECT * FROM \"%s\" ORDER BY 1", table);
	uint64_t n = 0;
	PGresult *r;

	CHECK(PQsendQueryParams(c, sql, 0, NULL, NULL, NULL, NULL, 1) == 1);
	CHECK(PQsetSingleRowMode(c) == 1);
	while ((r = PQgetResult(c)) != NULL) {
		n += (uint64_t)PQntuples(r);
		CHECK(PQresultStatus(r) != PGRES_FATAL_ERROR);
		PQclear(r);
	}
	mem_free(sql);
	return n;
}

static void postgres(int argc, char **argv)
{
	PGconn *c = PQconnectdb(argv[2]);
	int64_t begin;
	uint64_t n = 0;
	double s;
	int i;

	CHECK(PQstatus(c) == CONNECTION_OK);
	begin = now_ns();
	for (i = 3; i < argc; i++)
		n += drain_table(c, argv[i]);
	s = (double)(now_ns() - begin) / 1e9;
	(void)printf("postgres %.3f %.0f\n", s, (double)n / s);
	PQfinish(c);
}

bool client_run(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	uint64_t v[3] = { 0 };
	int i;

	if (argc > 3 && str_equal(mode, "mongo")) {
		mongo(argc, argv);
		return true;
	}
	if (argc > 3 && str_equal(mode, "postgres")) {
		postgres(argc, argv);
		return true;
	}
	for (i = 3; i < argc && i < 6; i++)
		if (!str_to_u64(argv[i], strlen(argv[i]), &v[i - 3]) || v[i - 3] == 0)
			return false;
	if (argc == 6 && str_equal(mode, "gateway"))
		gateway(argv[2], v[0], v[1], v[2]);
	else if (argc == 4 && str_equal(mode, "redis-fill"))
		redis_fill(argv[2], v[0]);
	else if (argc == 5 && str_equal(mode, "redis-get"))
		redis_get(argv[2], v[0], v[1]);
	else if (argc == 4 && str_equal(mode, "redis-delete"))
		redis_delete(argv[2], v[0]);
	else
		return false;
	return true;
}
