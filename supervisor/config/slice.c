/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/config/slice.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/message/message.h"
#include "common/model/timing.h"

/* What building works with. All borrowed. */
struct building {
	const struct config *c;
	const struct slice_input *in;
	unsigned who; /* FOR_ bit of the worker */
};

typedef ProtobufCMessage *part_fn(const struct building *b);

static char *copy(const struct config *c, enum cfg id)
{
	return mem_strdup(config_str(c, id));
}

/* --- what the table says --- */

static char **make_list(const struct config *c, enum cfg id, size_t *n)
{
	char *const *from = config_list(c, id, n);
	char **list = *n == 0 ? NULL : mem_alloc(*n * sizeof(*list));
	size_t i;

	for (i = 0; i < *n; i++)
		list[i] = mem_strdup(from[i]);
	return list;
}

/* A text that is empty is not written: what is there may be from an older form of the key. */
static void put_text(const struct config *c, enum cfg id, char **at)
{
	if (config_str(c, id)[0] != '\0')
		*at = copy(c, id);
}

static void put_number(int64_t v, const ProtobufCFieldDescriptor *f, void *at)
{
	CHECK(v >= 0);
	if (f->type == PROTOBUF_C_TYPE_UINT64) {
		*(uint64_t *)at = (uint64_t)v;
	} else {
		CHECK(f->type == PROTOBUF_C_TYPE_UINT32 && v <= UINT32_MAX);
		*(uint32_t *)at = (uint32_t)v;
	}
}

static bool truth(const struct config *c, enum cfg id)
{
	const char *when = strchr(schema_row(id)->part, '=');

	return when == NULL ? config_bool(c, id) : str_equal(config_str(c, id), when + 1);
}

static void put(const struct config *c, enum cfg id, ProtobufCMessage *m,
		const ProtobufCFieldDescriptor *f)
{
	void *at = (char *)m + f->offset;
	size_t *n = (size_t *)((char *)m + f->quantifier_offset);

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		*(char ***)at = make_list(c, id, n);
	else if (f->type == PROTOBUF_C_TYPE_STRING)
		put_text(c, id, at);
	else if (f->type == PROTOBUF_C_TYPE_BOOL)
		*(protobuf_c_boolean *)at = truth(c, id);
	else
		put_number(config_int(c, id), f, at);
}

/* The field at the front of `path`, "redis.host". */
static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessage *m, const char *path)
{
	const ProtobufCFieldDescriptor *f = m->descriptor->fields;
	size_t n = strcspn(path, ".=");

	while (strncmp(f->name, path, n) != 0 || f->name[n] != '\0')
		CHECK(++f < m->descriptor->fields + m->descriptor->n_fields);
	return f;
}

/* Values for messages that are not there have no place: they are not used. */
static void fill(const struct building *b, ProtobufCMessage *part)
{
	unsigned i;

	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);
		const char *path = row->part;
		ProtobufCMessage *m = part;
		const char *dot;

		if (path == NULL || (row->who & b->who) == 0 ||
		    (row->unless != 0 && config_is_set(b->c, row->unless)))
			continue;
		for (; m != NULL && (dot = strchr(path, '.')) != NULL; path = dot + 1)
			m = *(ProtobufCMessage **)message_value(m, field_of(m, path), 0);
		if (m != NULL)
			put(b->c, (enum cfg)i, m, field_of(m, path));
	}
}

/* --- what it does not: which messages there are, and what depends on more than one key --- */

static char *node_id(const struct building *b)
{
	return b->in->node_id != NULL ? mem_strdup(b->in->node_id) : copy(b->c, CFG_NODE_NAME);
}

static char *make_address(const char *host, const char *port)
{
	bool ipv6 = strchr(host, ':') != NULL;

	return mem_printf("%s%s%s:%s", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
}

/* "host:port" of each; NULL when there is none. */
static char **make_addresses(const struct config *c, enum cfg host, enum cfg port, size_t *n)
{
	size_t n_ports = 0;
	char *const *hosts = config_list(c, host, n);
	char *const *ports = config_list(c, port, &n_ports);
	char **out = *n == 0 ? NULL : mem_alloc(*n * sizeof(*out));
	size_t i;

	CHECK(n_ports >= *n);
	for (i = 0; i < *n; i++)
		out[i] = make_address(hosts[i], ports[i]);
	return out;
}

static Ipc__Tls *make_tls(bool keystore, bool truststore)
{
	Ipc__Tls *m = message_new(&ipc__tls__descriptor);

	if (keystore)
		m->keystore = message_new(&ipc__tls_store__descriptor);
	if (truststore)
		m->truststore = message_new(&ipc__tls_store__descriptor);
	return m;
}

/* What is not used must not restart anybody: what trustAll overrules is left out. */
static Ipc__Tls *make_redis_tls(const struct config *c)
{
	Ipc__Tls *m = make_tls(config_is_set(c, CFG_REDIS_KEYSTORE_TYPE),
			       config_is_set(c, CFG_REDIS_TRUSTSTORE_TYPE) &&
				       !config_bool(c, CFG_REDIS_TRUST_ALL));

	if (config_is_set(c, CFG_REDIS_SOCKET))
		m->server_name = copy(c, CFG_REDIS_HOST);
	return m;
}

static Ipc__Redis *make_redis(const struct config *c)
{
	Ipc__Redis *m = message_new(&ipc__redis__descriptor);

	/* The socket wins: a host that is not used must not restart anybody. */
	m->sentinels = make_addresses(c, CFG_REDIS_SENTINEL_HOST, CFG_REDIS_SENTINEL_PORT,
				      &m->n_sentinels);
	if (m->n_sentinels > 0) {
		m->sentinel_master = copy(c, CFG_REDIS_SENTINEL_MASTER);
		m->sentinel_password = copy(c, CFG_REDIS_SENTINEL_PASSWORD);
	} else if (!config_is_set(c, CFG_REDIS_SOCKET)) {
		m->host = copy(c, CFG_REDIS_HOST);
		m->port = (uint32_t)config_int(c, CFG_REDIS_PORT);
	}
	if (config_bool(c, CFG_REDIS_SSL))
		m->tls = make_redis_tls(c);
	return m;
}

/* Standalone, fetcher and cache meet there; empty: in a zone. */
static char *local_socket(const struct building *b)
{
	return config_bool(b->c, CFG_SYNC_DISTRIBUTED)
		       ? mem_strdup("")
		       : mem_printf("%s/local.sock", b->in->run_dir);
}

static ProtobufCMessage *build_elector(const struct building *b)
{
	Ipc__ElectorConfig *part = message_new(&ipc__elector_config__descriptor);
	struct timing t;

	timing_from_ttl(config_int(b->c, CFG_LEASE_TTL), &t);
	part->redis = make_redis(b->c);
	/* The election lives by the lease's clock, not by the patience of the others. */
	part->redis->command_timeout_ms = (uint32_t)t.command_ms;
	part->holder = copy(b->c, CFG_NODE_NAME);
	return &part->base;
}

static Ipc__Mongo *make_mongo(const struct config *c)
{
	Ipc__Mongo *m = message_new(&ipc__mongo__descriptor);
	char *port;

	/* The connection string wins: what is not used must not restart anybody. */
	if (!config_is_set(c, CFG_MONGO_URI))
		m->hosts = make_addresses(c, CFG_MONGO_SERVERS_HOST, CFG_MONGO_SERVERS_PORT,
					  &m->n_hosts);
	if (!config_is_set(c, CFG_MONGO_URI) && m->n_hosts == 0) {
		m->n_hosts = 1;
		m->hosts = mem_alloc(sizeof(*m->hosts));
		port = mem_printf("%" PRId64, config_int(c, CFG_MONGO_PORT));
		m->hosts[0] = make_address(config_str(c, CFG_MONGO_HOST), port);
		mem_free(port);
	}
	m->entity_max_bytes = (uint64_t)config_int(c, CFG_ENTITY_MAX);
	if (config_bool(c, CFG_MONGO_SSL))
		m->tls = make_tls(config_is_set(c, CFG_MONGO_KEYSTORE_PATH) ||
					  config_is_set(c, CFG_MONGO_KEYSTORE_OLD),
				  config_is_set(c, CFG_MONGO_TRUSTSTORE_PATH));
	return m;
}

static Ipc__Postgres *make_postgres(const struct config *c)
{
	Ipc__Postgres *m = message_new(&ipc__postgres__descriptor);
	bool keystore = config_is_set(c, CFG_JDBC_KEYSTORE_PATH);
	bool truststore = config_is_set(c, CFG_JDBC_TRUSTSTORE_PATH);

	m->entity_max_bytes = (uint64_t)config_int(c, CFG_ENTITY_MAX);
	/* Its presence alone changes what the URL leaves open: sslmode. */
	if (keystore || truststore)
		m->tls = make_tls(keystore, truststore);
	return m;
}

static ProtobufCMessage *build_fetcher(const struct building *b)
{
	const char *secret = config_str(b->c, CFG_ENCRYPTION_SECRET);
	Ipc__FetcherConfig *part = message_new(&ipc__fetcher_config__descriptor);

	if (config_bool(b->c, CFG_SYNC_DISTRIBUTED))
		part->redis = make_redis(b->c);
	part->local_socket = local_socket(b);
	part->node_id = node_id(b);
	part->sync_delay_ms = (uint32_t)config_sync_delay_ms(b->c);
	part->guard = message_new(&ipc__guard__descriptor);
	part->encryption_secret.len = strlen(secret);
	part->encryption_secret.data = mem_dup(secret, strlen(secret));
	if (str_equal(config_str(b->c, CFG_SOURCE), "mongodb"))
		part->mongo = make_mongo(b->c);
	if (str_equal(config_str(b->c, CFG_SOURCE), "jdbc"))
		part->postgres = make_postgres(b->c);
	return &part->base;
}

static Ipc__HttpConfig *make_http(const struct building *b)
{
	Ipc__HttpConfig *m = message_new(&ipc__http_config__descriptor);
	char *const *names;
	char *const *secrets;
	size_t i;

	m->address = mem_strdup(b->in->http);
	m->n_users = config_map(b->c, CFG_HTTP_USERS, &names, &secrets);
	if (m->n_users > 0)
		m->users = mem_alloc(m->n_users * sizeof(*m->users));
	for (i = 0; i < m->n_users; i++) {
		m->users[i] = message_new(&ipc__http_user__descriptor);
		m->users[i]->name = mem_strdup(names[i]);
		m->users[i]->password = mem_strdup(secrets[i]);
	}
	return m;
}

static ProtobufCMessage *build_cache(const struct building *b)
{
	Ipc__CacheConfig *part = message_new(&ipc__cache_config__descriptor);

	if (config_bool(b->c, CFG_SYNC_DISTRIBUTED))
		part->redis = make_redis(b->c);
	part->local_socket = local_socket(b);
	part->node_id = node_id(b);
	part->store_dir = mem_printf("%s/store", b->in->state_dir);
	if (b->in->http != NULL)
		part->http = make_http(b);
	return &part->base;
}

static const struct {
	const char *name;
	unsigned who;
	enum cfg level;
	part_fn *build;
} workers[SLICE__COUNT] = {
	[SLICE_ELECTOR] = { "elector", FOR_ELECTOR, CFG_LOG_ELECTOR, build_elector },
	[SLICE_FETCHER] = { "fetcher", FOR_FETCHER, CFG_LOG_FETCHER, build_fetcher },
	[SLICE_CACHE] = { "cache", FOR_CACHE, CFG_LOG_CACHE, build_cache },
};

static Ipc__Log *make_log(const struct building *b, enum slice_worker worker)
{
	Ipc__Log *m = message_new(&ipc__log__descriptor);

	if (b->in->log_dir != NULL)
		m->path = mem_printf("%s/%s.log", b->in->log_dir, workers[worker].name);
	m->level = mem_strdup(config_log_level(b->c, workers[worker].level));
	m->json = str_equal(config_str(b->c, CFG_LOG_FORMAT), "json");
	return m;
}

static void pack(struct slice *s)
{
	s->n = ipc__configure__get_packed_size(s->msg);
	s->bytes = mem_alloc(s->n);
	CHECK(ipc__configure__pack(s->msg, s->bytes) == s->n);
}

void slice_build(struct slice *out, const struct config *c, enum slice_worker worker,
		 const struct slice_input *in)
{
	const struct building b = { .c = c, .in = in, .who = workers[worker].who };
	Ipc__Configure *m = message_new(&ipc__configure__descriptor);
	ProtobufCMessage *part = workers[worker].build(&b);

	CHECK(out->msg == NULL);
	m->log = make_log(&b, worker);
	m->name = copy(c, CFG_NODE_NAME);
	fill(&b, part);
	message_wrap(&m->base, part);
	out->msg = m;
	pack(out);
}

bool slice_equal(const struct slice *a, const struct slice *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->bytes, b->bytes, a->n) == 0);
}

bool slice_equal_but_log(const struct slice *a, const struct slice *b)
{
	struct slice same = { .msg = message_copy(b->msg) };
	bool equal;

	message_free(same.msg->log);
	same.msg->log = message_copy(a->msg->log);
	pack(&same);
	equal = slice_equal(a, &same);
	slice_reset(&same);
	return equal;
}

void slice_reset(struct slice *s)
{
	if (s->msg != NULL) {
		message_free(s->msg);
		explicit_bzero(s->bytes, s->n);
		mem_free(s->bytes);
	}
	*s = (struct slice){ 0 };
}

const char *slice_worker_name(enum slice_worker worker)
{
	CHECK(worker < SLICE__COUNT);
	return workers[worker].name;
}
