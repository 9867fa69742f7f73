/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/config/schema.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cdefs.h"
#include "common/base/str.h"

/* The key is taken as a macro argument list, so that a row may come with shared fields. */
#define ROW(id, ...) [CFG_##id] = ROW_FIELDS(__VA_ARGS__),
#define ROW_FIELDS(...)                                                                            \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
static const struct schema_row rows[CFG__COUNT] = {
#include "supervisor/config/schema.def"
};
#undef ROW_FIELDS
#undef ROW

/*
 * What a gravitee.yml holds besides: parts of the gateway, of other services, and
 * names that placeholders use. Everything below them is accepted without a word.
 */
/* clang-format off */
static const char *const foreign[] = {
	"accesslog", "acl", "alerts", "analytics", "api", "apim", "applications", "audit",
	"authz", "bridge", "cache", "classloader", "cloud", "cluster.hazelcast",
	"cluster.kubernetes", "cockpit", "collections", "connectors", "consoles", "cors", "ds", "edge",
	"el", "email", "endpoint", "endpoints", "entrypoint", "entrypoints",
	"expression-language", "external", "failover", "federation", "fetcher", "flow", "gamma",
	"gateway", "gateways", "geoip", "graceful", "gracefulShutdown", "gravitee", "groovy", "grpc",
	"handlers", "hazelcast", "headers", "healthcheck", "heartbeat", "http", "http-client",
	"httpClient", "installation", "instances", "integrations", "jupiterMode", "jwt", "kafka",
	"keyvalue", "kubernetes", "license", "logging", "management-api", "message", "messages",
	"metrics", "nativekafka", "node", "notifiers", "oauth2", "observability",
	"opentelemetry", "organization", "otel-logs", "otel-traces", "plugins", "policies",
	"policy", "portal", "processor", "proxy", "ratelimit", "reactor", "reporters",
	"repositories.analytics", "repositories.gateway", "repositories.keyvalue",
	"repositories.oauth2", "repositories.otel-logs", "repositories.otel-traces",
	"repositories.ratelimit", "resources", "secrets", "secure", "security", "server",
	"servers", "services.alerts", "services.api", "services.apikeyscache", "services.bridge", "services.cloud",
	"services.core.endpoint", "services.core.ready", "services.dictionaries",
	"services.dynamic", "services.exchange", "services.federation", "services.health", "services.health-check",
	"services.healthcheck", "services.heartbeat", "services.integration", "services.local",
	"services.metrics", "services.monitoring", "services.opentelemetry",
	"services.ratelimit", "services.reporter", "services.scheduled", "services.secrets",
	"services.subscription", "services.tracing", "sharding", "shutdown", "ssl", "swagger",
	"system", "tcp", "telemetry", "tls", "tracing", "ui", "upgrader", "user", "validation",
	"vertx", "watcher", "websocket",
};
/* clang-format on */

/* Scopes of the reference's repositories that are ours (storage 6.1). */
static const char *const scopes[] = { "management", "distributed-sync" };

const struct schema_row *schema_row(enum cfg id)
{
	CHECK(id < CFG__COUNT);
	return &rows[id];
}

bool schema_is_pattern(const struct schema_row *row)
{
	return strchr(row->key, '[') != NULL || strchr(row->key, '*') != NULL;
}

/* The length of "[12]" at the start of s; 0 when it is not an index. */
static size_t index_len(const char *s)
{
	size_t n;

	if (*s != '[')
		return 0;
	n = strspn(s + 1, "0123456789");
	return n > 0 && s[n + 1] == ']' ? n + 2 : 0;
}

/* What is left of `key` behind the pattern; NULL when it does not begin with it. */
static const char *match_prefix(const char *pattern, const char *key)
{
	CHECK(key != NULL);
	while (*pattern != '\0') {
		size_t n;

		if (pattern[0] == '*')
			return *key == '\0' ? NULL : "";
		if (pattern[0] == '[' && pattern[1] == ']') {
			n = index_len(key);
			if (n == 0)
				return NULL;
			key += n;
			pattern += 2;
			continue;
		}
		if (*pattern++ != *key++)
			return NULL;
	}
	return key;
}

enum cfg schema_match(const char *key)
{
	unsigned i;

	for (i = 0; i < CFG__COUNT; i++) {
		const char *rest = match_prefix(rows[i].key, key);
		size_t n;

		if (rest == NULL)
			continue;
		if (*rest == '\0')
			return (enum cfg)i;
		n = index_len(rest);
		if (rows[i].type == TYPE_LIST && n > 0 && rest[n] == '\0')
			return (enum cfg)i;
	}
	return CFG__COUNT;
}

bool schema_is_group(const char *key)
{
	size_t n = strlen(key);
	unsigned i;

	for (i = 0; i < CFG__COUNT; i++) {
		const char *k = rows[i].key;

		if (strncmp(k, key, n) == 0 && (k[n] == '.' || k[n] == '['))
			return true;
	}
	return str_equal(key, "repositories");
}

bool schema_is_below_row(const char *key, enum cfg *row)
{
	unsigned i;

	for (i = 0; i < CFG__COUNT; i++) {
		const char *rest = match_prefix(rows[i].key, key);

		if (rest == NULL || (*rest != '.' && *rest != '['))
			continue;
		*row = (enum cfg)i;
		return true;
	}
	return false;
}

bool schema_is_foreign(const char *key)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(foreign); i++) {
		size_t n = strlen(foreign[i]);

		if (strncmp(key, foreign[i], n) == 0 && strchr(".[", key[n]) != NULL)
			return true; /* strchr finds the NUL too */
	}
	return false;
}

#define FAR UINT_MAX

/* Part by part, each of which may differ by half of it: whole paths are alike by what is the same
   in them. FAR: too much, or another number of parts. */
static unsigned path_distance(const char *key, const char *row)
{
	unsigned sum = 0;

	for (;;) {
		char part[64];
		char other[64];
		size_t n = strcspn(key, ".");
		size_t k = strcspn(row, ".");
		unsigned d;

		if (n >= sizeof(part) || k >= sizeof(other))
			return FAR;
		str_copy(part, n + 1, key);
		str_copy(other, k + 1, row);
		d = str_distance(part, other);
		if (d > n / 2)
			return FAR;
		sum += d;
		if ((key[n] == '.') != (row[k] == '.'))
			return FAR;
		if (key[n] != '.')
			return sum;
		key += n + 1;
		row += k + 1;
	}
}

/* A level was left out, or is one too many: "distributed-sync.host". */
static bool is_elsewhere(const char *key, const char *row)
{
	const char *last = strrchr(key, '.');
	const char *other = strrchr(row, '.');

	return last != NULL && other != NULL && strcmp(last, other) == 0 &&
	       str_distance(key, row) <= MIN(strlen(key) / 3, 6U);
}

const char *schema_nearest(const char *key)
{
	const char *best = NULL;
	unsigned least = FAR;
	unsigned i;

	for (i = 0; i < CFG__COUNT; i++) {
		unsigned d;

		if (schema_is_pattern(&rows[i]))
			continue;
		d = path_distance(key, rows[i].key);
		if (best == NULL && d == FAR && is_elsewhere(key, rows[i].key))
			best = rows[i].key;
		if (d >= least)
			continue;
		least = d;
		best = rows[i].key;
	}
	return best;
}

bool schema_has_scope(const char *key)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(scopes); i++) {
		size_t n = strlen(scopes[i]);

		if (strncmp(key, scopes[i], n) == 0 && (key[n] == '.' || key[n] == '\0'))
			return true;
	}
	return false;
}

const char *schema_strip_scope(const char *key)
{
	static const char prefix[] = "repositories.";

	if (str_starts(key, prefix) && schema_has_scope(key + sizeof(prefix) - 1))
		return key + sizeof(prefix) - 1;
	return key;
}
