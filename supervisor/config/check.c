/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/config/check.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "common/model/timing.h"

#define PAGE_MAX_BYTES (1024 * 1024) /* what comes with an entity in one answer */
#define DELAY_MAX_MS   86400000
#define SENTINELS_MAX  16

/* A problem at the place of `id`. */
#define REPORT(c, p, level, id, ...)                                                               \
	do {                                                                                       \
		struct problem_place at_;                                                          \
		config_place((c), (id), &at_);                                                     \
		problems_add((p), (level), &at_, __VA_ARGS__);                                     \
	} while (0)

static void check_mode(const struct config *c, struct problems *p)
{
	if (!config_bool(c, CFG_SYNC_DISTRIBUTED) && config_is_set(c, CFG_SYNC_TYPE))
		REPORT(c, p, PROBLEM_WARN, CFG_SYNC_DISTRIBUTED,
		       "%s, so this node reads the source for itself and no Redis is used; set it "
		       "to true for a zone",
		       config_is_set(c, CFG_SYNC_DISTRIBUTED) ? "is false"
							      : "is not set, which means false");
	if (!config_bool(c, CFG_SYNC_DISTRIBUTED) && !config_bool(c, CFG_CANDIDATE))
		REPORT(c, p, PROBLEM_ERROR, CFG_CANDIDATE,
		       "is false, and without services.sync.distributed.enabled there is nobody "
		       "else who reads the source; take one of the two out");
	if (!config_bool(c, CFG_SYNC_DISTRIBUTED))
		return;
	if (!config_is_set(c, CFG_SYNC_TYPE))
		REPORT(c, p, PROBLEM_ERROR, CFG_SYNC_TYPE,
		       "no repository is configured; set it to redis");
}

static void check_ports(const struct config *c, enum cfg id, struct problems *p)
{
	char *const *ports;
	size_t n = 0;
	size_t i;

	ports = config_list(c, id, &n);
	for (i = 0; i < n; i++) {
		uint64_t port = 0;

		if (!str_to_u64(ports[i], strlen(ports[i]), &port) || port == 0 || port > 65535)
			REPORT(c, p, PROBLEM_ERROR, id,
			       "`%.20s` is no port; write a number from 1 to 65535", ports[i]);
	}
}

static bool is_ipv6(const char *host)
{
	char address[INET6_ADDRSTRLEN] = "";
	struct in6_addr v6;
	size_t n = strcspn(host, "%"); /* a zone may follow */

	if (n >= sizeof(address))
		return false;
	memcpy(address, host, n);
	return inet_pton(AF_INET6, address, &v6) == 1;
}

/* `several`: where more than one is written; NULL: there can be only one. */
static void check_host(const struct config *c, enum cfg id, const char *host, const char *several,
		       struct problems *p)
{
	if (strchr(host, ',') != NULL)
		REPORT(c, p, PROBLEM_ERROR, id, "is more than one host; %s",
		       several == NULL ? "write one" : several);
	else if (strstr(host, "://") != NULL || strpbrk(host, "/@ ") != NULL)
		REPORT(c, p, PROBLEM_ERROR, id,
		       "is not a host name; write the host alone, and port, username and password "
		       "in their own keys");
	else if (strpbrk(host, "[]") != NULL)
		REPORT(c, p, PROBLEM_ERROR, id,
		       "`%.60s` has brackets; write an IPv6 address without them, and the port in "
		       "its own key",
		       host);
	else if (strchr(host, ':') != NULL && !is_ipv6(host))
		REPORT(c, p, PROBLEM_ERROR, id, "`%.60s` holds a port; write it as %s", host,
		       id == CFG_REDIS_HOST   ? "distributed-sync.redis.port"
		       : id == CFG_MONGO_HOST ? "management.mongodb.port"
					      : "port beside it");
}

static void check_mongo(const struct config *c, struct problems *p)
{
	char *const *hosts;
	char *const *tags;
	size_t n = 0;
	size_t i;

	if (!config_is_set(c, CFG_MONGO_URI)) {
		hosts = config_list(c, CFG_MONGO_SERVERS_HOST, &n);
		for (i = 0; i < n; i++)
			check_host(c, CFG_MONGO_SERVERS_HOST, hosts[i],
				   "write an item of management.mongodb.servers for each", p);
		if (n == 0)
			check_host(c, CFG_MONGO_HOST, config_str(c, CFG_MONGO_HOST),
				   "write management.mongodb.servers, a list of host and port", p);
	}
	check_ports(c, CFG_MONGO_SERVERS_PORT, p);
	tags = config_list(c, CFG_MONGO_READ_TAGS, &n);
	for (i = 0; i < n; i++)
		if (strchr(tags[i], ':') == NULL)
			REPORT(c, p, PROBLEM_ERROR, CFG_MONGO_READ_TAGS,
			       "`%.60s` is no tag; write key:value", tags[i]);
}

static void check_jdbc_stores(const struct config *c, struct problems *p)
{
	static const enum cfg stores[][2] = {
		{ CFG_JDBC_KEYSTORE_PATH, CFG_JDBC_KEYSTORE_TYPE },
		{ CFG_JDBC_TRUSTSTORE_PATH, CFG_JDBC_TRUSTSTORE_TYPE },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(stores); i++) {
		enum cfg path = stores[i][0];

		if (!config_is_set(c, path) && config_is_set(c, stores[i][1]))
			REPORT(c, p, PROBLEM_ERROR, path,
			       "is not set, but its type is; write the path of the file");
	}
}

static void check_jdbc(const struct config *c, struct problems *p)
{
	check_jdbc_stores(c, p);
	if (!config_is_set(c, CFG_JDBC_URL))
		REPORT(c, p, PROBLEM_ERROR, CFG_JDBC_URL,
		       "is not set; write jdbc:postgresql://host:port/database");
}

static void check_source(const struct config *c, struct problems *p)
{
	const char *source = config_str(c, CFG_SOURCE);

	if (strcmp(source, "mongodb") == 0)
		check_mongo(c, p);
	else if (strcmp(source, "jdbc") == 0)
		check_jdbc(c, p);
	else if (strcmp(source, "file") != 0)
		REPORT(c, p, PROBLEM_ERROR, CFG_SOURCE,
		       "the source `%s` comes with a later release; set it to mongodb, to jdbc, "
		       "or to file and management.file.path to a folder of exported definitions",
		       source);
}

static void check_zone(const struct config *c, struct problems *p)
{
	bool hazelcast = strcmp(config_str(c, CFG_CLUSTER_TYPE), "hazelcast") == 0;

	if (strchr(config_str(c, CFG_ZONE_ID), '}') != NULL)
		REPORT(c, p, PROBLEM_ERROR, CFG_ZONE_ID,
		       "`}` would end the hash tag of the zone's keys; choose an id without it");
	if (config_is_set(c, CFG_ZONE_ID))
		return;
	if (hazelcast)
		REPORT(c, p, PROBLEM_ERROR, CFG_ZONE_ID,
		       "is required with cluster.type: hazelcast; set it to the effective cluster "
		       "name, which is the field clusterId of what the gateways wrote (redis-cli --scan "
		       "--pattern 'distributed_event:*', then redis-cli HGET KEY clusterId), "
		       "for instance gio-apim-gateway-cluster-hz57");
	else
		REPORT(c, p, PROBLEM_WARN, CFG_ZONE_ID,
		       "is not set, so the zone is `standalone`, which every such node of this "
		       "Redis shares; set it to a name of your own%s",
		       config_is_set(c, CFG_ZONE_LABEL) ? " (`zone` is a label and no id)" : "");
}

static void check_lease(const struct config *c, struct problems *p)
{
	int64_t ttl_ms = config_int(c, CFG_LEASE_TTL);
	struct err e = { 0 };
	struct timing t;

	timing_from_ttl(ttl_ms, &t);
	if (timing_check(&t, ttl_ms, &e) < 0)
		REPORT(c, p, PROBLEM_ERROR, CFG_LEASE_TTL, "%s; choose another TTL", e.text);
}

/* Without them it would be a server on this host. */
static void check_no_sentinels(const struct config *c, struct problems *p)
{
	static const enum cfg ids[] = { CFG_REDIS_SENTINEL_MASTER, CFG_REDIS_SENTINEL_PASSWORD };
	size_t i;

	for (i = 0; i < ARRAY_LEN(ids); i++)
		if (config_is_set(c, ids[i]))
			REPORT(c, p, PROBLEM_ERROR, ids[i],
			       "is set, and distributed-sync.redis.sentinel.nodes is not; write the "
			       "Sentinels there, a list of host and port, or take it out");
}

static void check_redis(const struct config *c, struct problems *p)
{
	size_t n = 0;
	char *const *nodes = config_list(c, CFG_REDIS_SENTINEL_HOST, &n);
	size_t i;

	if (n == 0) {
		check_host(c, CFG_REDIS_HOST, config_str(c, CFG_REDIS_HOST),
			   "write one, or the Sentinels as distributed-sync.redis.sentinel.nodes",
			   p);
		check_no_sentinels(c, p);
		return;
	}
	for (i = 0; i < n; i++)
		check_host(c, CFG_REDIS_SENTINEL_HOST, nodes[i],
			   "write an item of distributed-sync.redis.sentinel.nodes for each", p);
	check_ports(c, CFG_REDIS_SENTINEL_PORT, p);
	if (n > SENTINELS_MAX)
		REPORT(c, p, PROBLEM_ERROR, CFG_REDIS_SENTINEL_HOST,
		       "there are %zu of them; write at most %d, they know the others", n,
		       SENTINELS_MAX);
	if (!config_is_set(c, CFG_REDIS_SENTINEL_MASTER))
		REPORT(c, p, PROBLEM_ERROR, CFG_REDIS_SENTINEL_MASTER,
		       "is mandatory with sentinel.nodes; write the name that SENTINEL MASTERS shows");
	if (config_is_set(c, CFG_REDIS_SOCKET))
		REPORT(c, p, PROBLEM_ERROR, CFG_REDIS_SOCKET,
		       "is one server, and distributed-sync.redis.sentinel.nodes says to ask who the "
		       "master is; take one of the two out");
}

/* --- TLS --- */

struct store_keys {
	const char *what;
	enum cfg type;
	enum cfg path;
	enum cfg certs; /* CFG__COUNT: it has none */
	enum cfg keys;
};

/* The reference's words for what is missing, so that people find them again. */
static void check_store(const struct config *c, const struct store_keys *k, struct problems *p)
{
	const char *type = config_str(c, k->type);
	bool has_path = config_is_set(c, k->path);
	size_t certs = 0;
	size_t keys = 0;

	if (k->certs != CFG__COUNT) {
		(void)config_list(c, k->certs, &certs);
		(void)config_list(c, k->keys, &keys);
	}
	if (type[0] == '\0' && (has_path || certs > 0))
		REPORT(c, p, PROBLEM_ERROR, k->type,
		       "is not set, so the %s would not be read; write pem, pkcs12 or jks",
		       k->what);
	else if (type[0] == '\0')
		return;
	else if (strcmp(type, "pem") != 0 && !has_path)
		REPORT(c, p, PROBLEM_ERROR, k->path,
		       "Missing %s %s value; write the path of the file",
		       strcmp(type, "jks") == 0 ? "JKS" : "PKCS12", k->what);
	else if (!has_path && certs == 0)
		REPORT(c, p, PROBLEM_ERROR, k->certs != CFG__COUNT ? k->certs : k->path,
		       "Missing PEM %s value; write %s", k->what,
		       k->certs != CFG__COUNT ? "certificates, a list of cert and key"
					      : "the path of the file");
	else if (certs != keys)
		REPORT(c, p, PROBLEM_ERROR, k->keys,
		       "there are %zu certificates and %zu keys; write both of each", certs, keys);
}

static void check_protocols(const struct config *c, enum cfg id, struct problems *p)
{
	size_t n = 0;
	char *const *list = config_list(c, id, &n);
	size_t i;

	for (i = 0; i < n; i++)
		if (strcasecmp(list[i], "TLSv1.2") != 0 && strcasecmp(list[i], "TLSv1.3") != 0)
			REPORT(c, p, PROBLEM_ERROR, id,
			       "`%.30s` is not spoken; write TLSv1.2, TLSv1.3 or both", list[i]);
}

static bool by_tls(const struct config *c)
{
	return config_bool(c, CFG_SYNC_DISTRIBUTED) && config_bool(c, CFG_REDIS_SSL);
}

static void check_redis_tls(const struct config *c, struct problems *p)
{
	static const struct store_keys keystore = { "keystore", CFG_REDIS_KEYSTORE_TYPE,
						    CFG_REDIS_KEYSTORE_PATH,
						    CFG_REDIS_KEYSTORE_CERT,
						    CFG_REDIS_KEYSTORE_KEY };
	static const struct store_keys truststore = { "truststore", CFG_REDIS_TRUSTSTORE_TYPE,
						      CFG_REDIS_TRUSTSTORE_PATH, CFG__COUNT,
						      CFG__COUNT };
	bool trust_all = config_bool(c, CFG_REDIS_TRUST_ALL);

	if (config_bool(c, CFG_SYNC_DISTRIBUTED) && !config_bool(c, CFG_REDIS_SSL) &&
	    (config_is_set(c, CFG_REDIS_KEYSTORE_TYPE) ||
	     config_is_set(c, CFG_REDIS_TRUSTSTORE_TYPE)))
		REPORT(c, p, PROBLEM_WARN, CFG_REDIS_SSL,
		       "is false, so nothing is encrypted, and keystore and truststore beside it have "
		       "no effect; set it to true, or take them out");
	if (!by_tls(c))
		return;
	check_protocols(c, CFG_REDIS_TLS_PROTOCOLS, p);
	check_store(c, &keystore, p);
	if (!trust_all)
		check_store(c, &truststore, p);
	if (!trust_all && strcmp(config_str(c, CFG_REDIS_VERIFY), "NONE") != 0 &&
	    config_is_set(c, CFG_REDIS_SOCKET) && !config_is_set(c, CFG_REDIS_HOST))
		REPORT(c, p, PROBLEM_ERROR, CFG_REDIS_HOST,
		       "with zonesync.redis.socket and TLS, write the name that the server's "
		       "certificate has");
}

static void check_mongo_protection(const struct config *c, struct problems *p)
{
	if (config_bool(c, CFG_MONGO_SSL) && !config_is_set(c, CFG_MONGO_TRUSTSTORE_PATH) &&
	    (config_is_set(c, CFG_MONGO_TRUSTSTORE_TYPE) ||
	     config_is_set(c, CFG_MONGO_TRUSTSTORE_PASSWORD)))
		REPORT(c, p, PROBLEM_WARN, CFG_MONGO_TRUSTSTORE_PATH,
		       "is not set, so the system's authorities vouch for the server, and type and "
		       "password beside it have no effect; write the path of the file");
	if (config_bool(c, CFG_MONGO_SSL) && config_bool(c, CFG_MONGO_SSL_NAME))
		REPORT(c, p, PROBLEM_WARN, CFG_MONGO_SSL_NAME,
		       "is true: any server with a certificate of a trusted authority is taken for "
		       "the database; set it to false, and connect by a name in the certificate");
}

void check_protection(const struct config *c, struct problems *p)
{
	if (strcmp(config_str(c, CFG_GUARD_MODE), "off") == 0)
		REPORT(c, p, PROBLEM_WARN, CFG_GUARD_MODE,
		       "is off: what is absent at the source is removed at once, however much it "
		       "is; take it out unless this is a zone for tests");
	if (strcmp(config_str(c, CFG_SOURCE), "mongodb") == 0)
		check_mongo_protection(c, p);
	if (!by_tls(c))
		return;
	if (config_bool(c, CFG_REDIS_TRUST_ALL))
		REPORT(c, p, PROBLEM_WARN, CFG_REDIS_TRUST_ALL,
		       "is true: whoever answers is taken for Redis, and gets the password; set "
		       "it to false, and truststore to who may vouch for the server");
	else if (strcmp(config_str(c, CFG_REDIS_VERIFY), "NONE") == 0)
		REPORT(c, p, PROBLEM_WARN, CFG_REDIS_VERIFY,
		       "is NONE: any server with a certificate of a trusted authority is taken for "
		       "Redis; take it out, and connect by a name in the certificate");
}

static void check_limits(const struct config *c, struct problems *p)
{
	int64_t entity = config_int(c, CFG_ENTITY_MAX);

	if (config_int(c, CFG_POLL_MIN) > config_int(c, CFG_POLL_MAX))
		REPORT(c, p, PROBLEM_ERROR, CFG_POLL_MIN,
		       "is greater than zonesync.follow.poll_max (%" PRId64 "); exchange the two",
		       config_int(c, CFG_POLL_MAX));
	if (config_int(c, CFG_REDIS_REPLY_MAX) < entity + PAGE_MAX_BYTES)
		REPORT(c, p, PROBLEM_ERROR, CFG_REDIS_REPLY_MAX,
		       "does not hold the largest entity; write at least %" PRId64
		       ", or lower zonesync.limits.entity_max_bytes",
		       entity + PAGE_MAX_BYTES);
	if (config_int(c, CFG_STORE_MAP) < 4 * entity)
		REPORT(c, p, PROBLEM_ERROR, CFG_STORE_MAP,
		       "has no room for a few of the largest entities; write at least %" PRId64,
		       4 * entity);
	if (config_sync_delay_ms(c) > DELAY_MAX_MS)
		REPORT(c, p, PROBLEM_ERROR, CFG_SYNC_DELAY,
		       "with services.sync.unit: %s is longer than a day; write a shorter delay",
		       config_str(c, CFG_SYNC_UNIT));
}

static bool is_loopback(const char *host)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (strcmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == IN_LOOPBACKNET;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static void check_http(const struct config *c, struct problems *p)
{
	if (!config_bool(c, CFG_HTTP_ENABLED) || !config_http_is_tcp(c))
		return;
	if (!is_loopback(config_str(c, CFG_HTTP_HOST)))
		REPORT(c, p, PROBLEM_ERROR, CFG_HTTP_HOST,
		       "`%.60s` may be reached from other hosts, which needs TLS, and that comes with "
		       "a later release; write localhost, 127.0.0.1 or ::1",
		       config_str(c, CFG_HTTP_HOST));
	if (strcmp(config_str(c, CFG_HTTP_AUTH), "basic") == 0 && !config_is_set(c, CFG_HTTP_USERS))
		REPORT(c, p, PROBLEM_ERROR, CFG_HTTP_USERS,
		       "nobody could ask: there is no user, and zonesync ships none; write "
		       "services.core.http.authentication.users.admin: and a password of your own, or "
		       "take services.core.http.host and port out and use the Unix socket");
}

/* What is set beside what wins over it. */
static void check_overridden(const struct config *c, struct problems *p)
{
	static const enum cfg pairs[][2] = {
		{ CFG_MONGO_URI, CFG_MONGO_HOST },
		{ CFG_MONGO_URI, CFG_MONGO_PORT },
		{ CFG_MONGO_URI, CFG_MONGO_SERVERS_HOST },
		{ CFG_MONGO_URI, CFG_MONGO_USERNAME },
		{ CFG_MONGO_URI, CFG_MONGO_PASSWORD },
		{ CFG_MONGO_SERVERS_HOST, CFG_MONGO_HOST },
		{ CFG_MONGO_SERVERS_HOST, CFG_MONGO_PORT },
		{ CFG_REDIS_SOCKET, CFG_REDIS_PORT },
		{ CFG_REDIS_SENTINEL_HOST, CFG_REDIS_HOST },
		{ CFG_REDIS_SENTINEL_HOST, CFG_REDIS_PORT },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(pairs); i++)
		if (config_is_set(c, pairs[i][0]) && config_is_set(c, pairs[i][1]))
			REPORT(c, p, PROBLEM_WARN, pairs[i][1],
			       "has no effect: %s is set, and wins; take one of the two out",
			       schema_row(pairs[i][0])->key);
}

static void check_secret(const struct config *c, struct problems *p)
{
	size_t n = strlen(config_str(c, CFG_ENCRYPTION_SECRET));

	if (n != 16 && n != 24 && n != 32)
		REPORT(c, p, PROBLEM_ERROR, CFG_ENCRYPTION_SECRET,
		       "has %zu bytes; write the Management API's, which has 16, 24 or 32", n);
}

void check_config(const struct config *c, struct problems *p)
{
	check_mode(c, p);
	check_source(c, p);
	if (config_bool(c, CFG_SYNC_DISTRIBUTED)) {
		check_zone(c, p);
		check_lease(c, p);
		check_redis(c, p);
	}
	check_redis_tls(c, p);
	check_protection(c, p);
	check_limits(c, p);
	check_http(c, p);
	check_secret(c, p);
	check_overridden(c, p);
}
