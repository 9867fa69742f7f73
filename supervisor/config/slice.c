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
};

typedef void part_fn(const struct building *b, Ipc__Configure *m);

static char *copy(const struct config *c, enum cfg id)
{
	return mem_strdup(config_str(c, id));
}

static uint32_t u32(const struct config *c, enum cfg id)
{
	int64_t v = config_int(c, id);

	CHECK(v >= 0 && v <= UINT32_MAX);
	return (uint32_t)v;
}

static uint64_t u64(const struct config *c, enum cfg id)
{
	CHECK(config_int(c, id) >= 0);
	return (uint64_t)config_int(c, id);
}

static char *node_id(const struct building *b)
{
	return b->in->node_id != NULL ? mem_strdup(b->in->node_id) : copy(b->c, CFG_NODE_NAME);
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
		out[i] = mem_printf("%s:%s", hosts[i], ports[i]);
	return out;
}

static char **make_list(const struct config *c, enum cfg id, size_t *n)
{
	char *const *from = config_list(c, id, n);
	char **list;
	size_t i;

	if (*n == 0)
		return NULL;
	list = mem_alloc(*n * sizeof(*list));
	for (i = 0; i < *n; i++)
		list[i] = mem_strdup(from[i]);
	return list;
}

static Ipc__TlsStore *make_store(const struct config *c, enum cfg type, enum cfg path,
				 enum cfg password)
{
	Ipc__TlsStore *m = mem_alloc(sizeof(*m));

	ipc__tls_store__init(m);
	m->type = copy(c, type);
	m->path = copy(c, path);
	m->password = copy(c, password);
	return m;
}

static Ipc__TlsStore *make_redis_keystore(const struct config *c)
{
	Ipc__TlsStore *m = make_store(c, CFG_REDIS_KEYSTORE_TYPE, CFG_REDIS_KEYSTORE_PATH,
				      CFG_REDIS_KEYSTORE_PASSWORD);

	m->key_password = copy(c, CFG_REDIS_KEYSTORE_KEY_PASSWORD);
	m->alias = copy(c, CFG_REDIS_KEYSTORE_ALIAS);
	m->certs = make_list(c, CFG_REDIS_KEYSTORE_CERT, &m->n_certs);
	m->keys = make_list(c, CFG_REDIS_KEYSTORE_KEY, &m->n_keys);
	return m;
}

/* What is not used must not restart anybody: what trustAll overrules is left out. */
static Ipc__Tls *make_redis_tls(const struct config *c)
{
	Ipc__Tls *m;

	if (!config_bool(c, CFG_REDIS_SSL))
		return NULL;
	m = mem_alloc(sizeof(*m));
	ipc__tls__init(m);
	m->trust_all = config_bool(c, CFG_REDIS_TRUST_ALL);
	m->any_name = strcmp(config_str(c, CFG_REDIS_VERIFY), "NONE") == 0;
	if (config_is_set(c, CFG_REDIS_SOCKET))
		m->server_name = copy(c, CFG_REDIS_HOST);
	m->protocols = make_list(c, CFG_REDIS_TLS_PROTOCOLS, &m->n_protocols);
	m->ciphers = make_list(c, CFG_REDIS_TLS_CIPHERS, &m->n_ciphers);
	if (config_str(c, CFG_REDIS_KEYSTORE_TYPE)[0] != '\0')
		m->keystore = make_redis_keystore(c);
	if (!m->trust_all && config_str(c, CFG_REDIS_TRUSTSTORE_TYPE)[0] != '\0') {
		m->truststore = make_store(c, CFG_REDIS_TRUSTSTORE_TYPE, CFG_REDIS_TRUSTSTORE_PATH,
					   CFG_REDIS_TRUSTSTORE_PASSWORD);
		m->truststore->alias = copy(c, CFG_REDIS_TRUSTSTORE_ALIAS);
	}
	return m;
}

static Ipc__Redis *make_redis(const struct building *b, uint32_t command_timeout_ms)
{
	Ipc__Redis *m = mem_alloc(sizeof(*m));

	ipc__redis__init(m);
	m->socket = copy(b->c, CFG_REDIS_SOCKET);
	/* The socket wins: a host that is not used must not restart anybody. */
	m->sentinels = make_addresses(b->c, CFG_REDIS_SENTINEL_HOST, CFG_REDIS_SENTINEL_PORT,
				      &m->n_sentinels);
	if (m->n_sentinels > 0) {
		m->sentinel_master = copy(b->c, CFG_REDIS_SENTINEL_MASTER);
		m->sentinel_password = copy(b->c, CFG_REDIS_SENTINEL_PASSWORD);
	} else if (m->socket[0] == '\0') {
		m->host = copy(b->c, CFG_REDIS_HOST);
		m->port = u32(b->c, CFG_REDIS_PORT);
	}
	m->username = copy(b->c, CFG_REDIS_USERNAME);
	m->password = copy(b->c, CFG_REDIS_PASSWORD);
	m->connect_timeout_ms = u32(b->c, CFG_REDIS_CONNECT_TIMEOUT);
	m->command_timeout_ms = command_timeout_ms;
	m->reply_max_bytes = u64(b->c, CFG_REDIS_REPLY_MAX);
	m->tls = make_redis_tls(b->c);
	return m;
}

/* Standalone, fetcher and cache meet there; empty: in a zone. */
static char *local_socket(const struct building *b)
{
	return config_bool(b->c, CFG_SYNC_DISTRIBUTED)
		       ? mem_strdup("")
		       : mem_printf("%s/local.sock", b->in->run_dir);
}

static void build_elector(const struct building *b, Ipc__Configure *m)
{
	Ipc__ElectorConfig *part = mem_alloc(sizeof(*part));
	struct timing t;

	ipc__elector_config__init(part);
	timing_from_ttl(config_int(b->c, CFG_LEASE_TTL), &t);
	/* The election lives by the lease's clock, not by the patience of the others. */
	part->redis = make_redis(b, (uint32_t)t.command_ms);
	part->zone = copy(b->c, CFG_ZONE_ID);
	part->lease_ttl_ms = u32(b->c, CFG_LEASE_TTL);
	part->holder = copy(b->c, CFG_NODE_NAME);
	part->java_silence_ms = u32(b->c, CFG_JAVA_SILENCE);
	message_wrap(&m->base, &part->base);
}

static void make_hosts(const struct config *c, Ipc__Mongo *m)
{
	m->hosts = make_addresses(c, CFG_MONGO_SERVERS_HOST, CFG_MONGO_SERVERS_PORT, &m->n_hosts);
	if (m->n_hosts > 0)
		return;
	m->n_hosts = 1;
	m->hosts = mem_alloc(sizeof(*m->hosts));
	m->hosts[0] = mem_printf("%s:%" PRId64, config_str(c, CFG_MONGO_HOST),
				 config_int(c, CFG_MONGO_PORT));
}

/* Of a key that has an older form, the newer one when it is set. */
static enum cfg newer(const struct config *c, enum cfg new, enum cfg old)
{
	return config_is_set(c, new) ? new : old;
}

static Ipc__Tls *make_mongo_tls(const struct config *c)
{
	enum cfg keystore = newer(c, CFG_MONGO_KEYSTORE_PATH, CFG_MONGO_KEYSTORE_OLD);
	Ipc__Tls *m;

	if (!config_bool(c, CFG_MONGO_SSL))
		return NULL;
	m = mem_alloc(sizeof(*m));
	ipc__tls__init(m);
	m->any_name = config_bool(c, CFG_MONGO_SSL_NAME);
	if (config_is_set(c, keystore)) {
		m->keystore = make_store(
			c, CFG_MONGO_KEYSTORE_TYPE, keystore,
			newer(c, CFG_MONGO_KEYSTORE_PASSWORD, CFG_MONGO_KEYSTORE_PASSWORD_OLD));
		m->keystore->key_password = copy(
			c, newer(c, CFG_MONGO_KEYSTORE_KEY_PASSWORD, CFG_MONGO_KEY_PASSWORD_OLD));
	}
	if (config_is_set(c, CFG_MONGO_TRUSTSTORE_PATH))
		m->truststore = make_store(c, CFG_MONGO_TRUSTSTORE_TYPE, CFG_MONGO_TRUSTSTORE_PATH,
					   CFG_MONGO_TRUSTSTORE_PASSWORD);
	return m;
}

static Ipc__Mongo *make_mongo(const struct building *b)
{
	const struct config *c = b->c;
	Ipc__Mongo *m = mem_alloc(sizeof(*m));

	ipc__mongo__init(m);
	m->uri = copy(c, CFG_MONGO_URI);
	/* The connection string wins: what is not used must not restart anybody. */
	if (m->uri[0] == '\0') {
		make_hosts(c, m);
		m->username = copy(c, CFG_MONGO_USERNAME);
		m->password = copy(c, CFG_MONGO_PASSWORD);
		m->auth_source = copy(c, CFG_MONGO_AUTH_SOURCE);
		m->read_preference = copy(c, CFG_MONGO_READ_PREFERENCE);
		m->read_tags = make_list(c, CFG_MONGO_READ_TAGS, &m->n_read_tags);
		m->socket_timeout_ms = u32(c, CFG_MONGO_SOCKET_TIMEOUT);
		m->local_threshold_ms = u32(c, CFG_MONGO_LOCAL_THRESHOLD);
		m->heartbeat_ms = u32(c, CFG_MONGO_HEARTBEAT);
	}
	m->database = copy(c, CFG_MONGO_DBNAME);
	m->prefix = copy(c, CFG_MONGO_PREFIX);
	m->connect_timeout_ms = u32(c, CFG_MONGO_CONNECT_TIMEOUT);
	m->server_selection_timeout_ms = u32(c, CFG_MONGO_SELECTION_TIMEOUT);
	m->entity_max_bytes = u64(c, CFG_ENTITY_MAX);
	m->tls = make_mongo_tls(c);
	return m;
}

/* Its presence alone changes what the URL leaves open: sslmode. */
static Ipc__Tls *make_postgres_tls(const struct config *c)
{
	Ipc__Tls *m;

	if (!config_is_set(c, CFG_JDBC_KEYSTORE_PATH) &&
	    !config_is_set(c, CFG_JDBC_TRUSTSTORE_PATH))
		return NULL;
	m = mem_alloc(sizeof(*m));
	ipc__tls__init(m);
	if (config_is_set(c, CFG_JDBC_KEYSTORE_PATH)) {
		m->keystore = make_store(c, CFG_JDBC_KEYSTORE_TYPE, CFG_JDBC_KEYSTORE_PATH,
					 CFG_JDBC_KEYSTORE_PASSWORD);
		m->keystore->key_password = copy(c, CFG_JDBC_KEYSTORE_KEY_PASSWORD);
		m->keystore->alias = copy(c, CFG_JDBC_KEYSTORE_ALIAS);
	}
	if (config_is_set(c, CFG_JDBC_TRUSTSTORE_PATH)) {
		m->truststore = make_store(c, CFG_JDBC_TRUSTSTORE_TYPE, CFG_JDBC_TRUSTSTORE_PATH,
					   CFG_JDBC_TRUSTSTORE_PASSWORD);
		m->truststore->alias = copy(c, CFG_JDBC_TRUSTSTORE_ALIAS);
	}
	return m;
}

static Ipc__Postgres *make_postgres(const struct building *b)
{
	const struct config *c = b->c;
	Ipc__Postgres *m = mem_alloc(sizeof(*m));

	ipc__postgres__init(m);
	m->url = copy(c, CFG_JDBC_URL);
	m->username = copy(c, CFG_JDBC_USERNAME);
	m->password = copy(c, CFG_JDBC_PASSWORD);
	m->schema = copy(c, CFG_JDBC_SCHEMA);
	m->prefix = copy(c, CFG_JDBC_PREFIX);
	m->timezone = copy(c, CFG_JDBC_TIMEZONE);
	m->snapshot_ms = u32(c, CFG_JDBC_SNAPSHOT);
	m->tls = make_postgres_tls(c);
	m->entity_max_bytes = u64(c, CFG_ENTITY_MAX);
	return m;
}

static Ipc__Guard *make_guard(const struct config *c)
{
	Ipc__Guard *m = mem_alloc(sizeof(*m));

	ipc__guard__init(m);
	m->off = strcmp(config_str(c, CFG_GUARD_MODE), "off") == 0;
	m->free = u32(c, CFG_GUARD_FREE);
	m->percent = u32(c, CFG_GUARD_PERCENT);
	m->hold_free = u32(c, CFG_GUARD_HOLD_FREE);
	m->hold_percent = u32(c, CFG_GUARD_HOLD_PERCENT);
	m->agree_ms = u32(c, CFG_GUARD_AGREE);
	m->window_ms = u64(c, CFG_GUARD_WINDOW);
	return m;
}

static void build_fetcher(const struct building *b, Ipc__Configure *m)
{
	const char *secret = config_str(b->c, CFG_ENCRYPTION_SECRET);
	Ipc__FetcherConfig *part = mem_alloc(sizeof(*part));

	ipc__fetcher_config__init(part);
	if (config_bool(b->c, CFG_SYNC_DISTRIBUTED))
		part->redis = make_redis(b, u32(b->c, CFG_REDIS_COMMAND_TIMEOUT));
	part->local_socket = local_socket(b);
	part->zone = copy(b->c, CFG_ZONE_ID);
	part->source = copy(b->c, CFG_SOURCE);
	part->file_path = copy(b->c, CFG_FILE_PATH);
	part->sync_delay_ms = (uint32_t)config_sync_delay_ms(b->c);
	part->reconcile_interval_ms = u32(b->c, CFG_RECONCILE_INTERVAL);
	part->notify = strcmp(config_str(b->c, CFG_SOURCE_NOTIFY), "auto") == 0;
	part->guard = make_guard(b->c);
	part->tombstone_retention_ms = u64(b->c, CFG_TOMBSTONE_RETENTION);
	part->tags = make_list(b->c, CFG_TAGS, &part->n_tags);
	part->environments = make_list(b->c, CFG_ENVIRONMENTS, &part->n_environments);
	part->organizations = make_list(b->c, CFG_ORGANIZATIONS, &part->n_organizations);
	part->legacy_hrids = config_bool(b->c, CFG_LEGACY_HRIDS);
	part->authz = config_bool(b->c, CFG_GAMMA);
	part->encryption_secret.len = strlen(secret);
	part->encryption_secret.data = mem_dup(secret, strlen(secret));
	part->entity_max_bytes = u64(b->c, CFG_ENTITY_MAX);
	part->node_id = node_id(b);
	part->lease_ttl_ms = u32(b->c, CFG_LEASE_TTL);
	part->search_index = strcmp(config_str(b->c, CFG_REDIS_SEARCH_INDEX), "auto") == 0;
	if (strcmp(part->source, "mongodb") == 0)
		part->mongo = make_mongo(b);
	if (strcmp(part->source, "jdbc") == 0)
		part->postgres = make_postgres(b);
	message_wrap(&m->base, &part->base);
}

static Ipc__HttpConfig *make_http(const struct building *b)
{
	Ipc__HttpConfig *m = mem_alloc(sizeof(*m));
	char *const *names;
	char *const *secrets;
	size_t i;

	ipc__http_config__init(m);
	m->address = mem_strdup(b->in->http);
	m->anonymous = strcmp(config_str(b->c, CFG_HTTP_AUTH), "none") == 0;
	m->idle_timeout_ms = u32(b->c, CFG_HTTP_IDLE);
	m->n_users = config_map(b->c, CFG_HTTP_USERS, &names, &secrets);
	if (m->n_users > 0)
		m->users = mem_alloc(m->n_users * sizeof(*m->users));
	for (i = 0; i < m->n_users; i++) {
		m->users[i] = mem_alloc(sizeof(**m->users));
		ipc__http_user__init(m->users[i]);
		m->users[i]->name = mem_strdup(names[i]);
		m->users[i]->password = mem_strdup(secrets[i]);
	}
	return m;
}

static void build_cache(const struct building *b, Ipc__Configure *m)
{
	Ipc__CacheConfig *part = mem_alloc(sizeof(*part));

	ipc__cache_config__init(part);
	if (config_bool(b->c, CFG_SYNC_DISTRIBUTED))
		part->redis = make_redis(b, u32(b->c, CFG_REDIS_COMMAND_TIMEOUT));
	part->local_socket = local_socket(b);
	part->zone = copy(b->c, CFG_ZONE_ID);
	part->store_dir = mem_printf("%s/store", b->in->state_dir);
	part->store_map_bytes = u64(b->c, CFG_STORE_MAP);
	part->poll_min_ms = u32(b->c, CFG_POLL_MIN);
	part->poll_max_ms = u32(b->c, CFG_POLL_MAX);
	part->node_id = node_id(b);
	part->lease_ttl_ms = u32(b->c, CFG_LEASE_TTL);
	part->entity_max_bytes = u64(b->c, CFG_ENTITY_MAX);
	part->java_silence_ms = u32(b->c, CFG_JAVA_SILENCE);
	part->search_index = strcmp(config_str(b->c, CFG_REDIS_SEARCH_INDEX), "auto") == 0;
	if (b->in->http != NULL)
		part->http = make_http(b);
	message_wrap(&m->base, &part->base);
}

static const struct {
	const char *name;
	enum cfg level;
	part_fn *build;
} workers[SLICE__COUNT] = {
	[SLICE_ELECTOR] = { "elector", CFG_LOG_ELECTOR, build_elector },
	[SLICE_FETCHER] = { "fetcher", CFG_LOG_FETCHER, build_fetcher },
	[SLICE_CACHE] = { "cache", CFG_LOG_CACHE, build_cache },
};

static Ipc__Log *make_log(const struct building *b, enum slice_worker worker)
{
	Ipc__Log *m = mem_alloc(sizeof(*m));

	ipc__log__init(m);
	if (b->in->log_dir != NULL)
		m->path = mem_printf("%s/%s.log", b->in->log_dir, workers[worker].name);
	m->level = mem_strdup(config_log_level(b->c, workers[worker].level));
	m->json = strcmp(config_str(b->c, CFG_LOG_FORMAT), "json") == 0;
	return m;
}

void slice_build(struct slice *out, const struct config *c, enum slice_worker worker,
		 const struct slice_input *in)
{
	const struct building b = { .c = c, .in = in };
	Ipc__Configure *m = mem_alloc(sizeof(*m));

	CHECK(worker < SLICE__COUNT && out->msg == NULL);
	ipc__configure__init(m);
	m->log = make_log(&b, worker);
	m->name = copy(c, CFG_NODE_NAME);
	workers[worker].build(&b, m);
	out->msg = m;
	out->n = ipc__configure__get_packed_size(m);
	out->bytes = mem_alloc(out->n);
	CHECK(ipc__configure__pack(m, out->bytes) == out->n);
}

bool slice_equal(const struct slice *a, const struct slice *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->bytes, b->bytes, a->n) == 0);
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
