/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/model/timing.h"
#include "supervisor/config/config.h"
#include "supervisor/config/mask.h"
#include "supervisor/config/read.h"
#include "supervisor/config/origin.h"
#include "supervisor/config/slice.h"
#include "supervisor/config/value.h"

/* Three lines that make a valid file; what a test adds begins in line 4. */
#define BASE                                                                                       \
	"services.sync.distributed.enabled: true\n"                                                \
	"distributed-sync.type: redis\n"                                                           \
	"zonesync.zone.id: z\n"

#define ENV(...) ((char *[]){ __VA_ARGS__, NULL })
#define VAR(s)	 ((char *)(uintptr_t)(s)) /* environ is not const */

static char *const no_env[] = { NULL };

static int load(struct config **c, const char *yaml, char *const *env, struct problems *p)
{
	const struct config_source src = {
		.name = "f.yml",
		.bytes = yaml,
		.n = strlen(yaml),
		.env = env == NULL ? no_env : env,
		.hostname = "host-1",
	};
	struct err e = { 0 };
	int rc = config_load_from(c, &src, p, &e);

	assert_true(rc == 0 || (rc == ERR_CONFIG && e.text[0] != '\0' && *c == NULL));
	assert_int_equal(rc == 0, p->errors == 0);
	return rc;
}

static bool has(const struct problems *p, enum problem_level level, const char *text)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->item[i].level == level && strstr(p->item[i].text, text) != NULL)
			return true;
	return false;
}

static void print_all(const struct problems *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		print_message("  %s\n", p->item[i].text);
}

static struct config *must_load(const char *yaml, char *const *env)
{
	struct problems p = { 0 };
	struct config *c = NULL;

	if (load(&c, yaml, env, &p) < 0) {
		print_all(&p);
		fail_msg("refused: %s", yaml);
	}
	problems_reset(&p);
	return c;
}

/* `added` behind the base, with one variable, must say `text`. */
static void must_say(enum problem_level level, const char *added, char *env, const char *text)
{
	char *vars[] = { env, NULL };
	char *yaml = mem_printf("%s%s", BASE, added);
	struct problems p = { 0 };
	struct config *c = NULL;

	(void)load(&c, yaml, vars, &p);
	if (!has(&p, level, text)) {
		print_all(&p);
		fail_msg("not said: %s", text);
	}
	if (level == PROBLEM_WARN)
		assert_non_null(c);
	config_free(&c);
	problems_reset(&p);
	mem_free(yaml);
}

static char *slurp(const char *path)
{
	char *full = mem_printf("%s/%s", SOURCE_ROOT, path);
	FILE *f = fopen(full, "re");
	char *s = mem_zalloc(65536);
	size_t n;

	assert_non_null(f);
	n = fread(s, 1, 65535, f);
	assert_true(n < 65535);
	assert_int_equal(fclose(f), 0);
	mem_free(full);
	return s;
}

static void timing_holds_for_every_ttl(void **state)
{
	struct err e = { 0 };
	struct timing t;
	int64_t ttl;

	UNUSED(state);
	for (ttl = TIMING_TTL_MIN_MS; ttl <= TIMING_TTL_MAX_MS; ttl++) {
		timing_from_ttl(ttl, &t);
		if (timing_check(&t, ttl, &e) < 0)
			fail_msg("%s", e.text);
	}
	timing_from_ttl(10000, &t);
	assert_int_equal(t.renew_ms, 2000);
	assert_int_equal(t.command_ms, 1000);
	assert_int_equal(t.retry_ms, 2000);
	assert_int_equal(t.deadline_ms, 6500);
	assert_int_equal(t.kill_ms, 7000);
	assert_int_equal(t.clock_step_ms, 1000);
}

static void timing_refuses_each_broken_inequality(void **state)
{
	static const struct {
		int64_t offset; /* of the field in struct timing */
		int64_t value;
		const char *rule;
	} rows[] = {
		{ offsetof(struct timing, deadline_ms), 9000, "(a)" },
		{ offsetof(struct timing, deadline_ms), 3400, "(b)" },
		{ offsetof(struct timing, retry_ms), 4001, "(c)" },
		{ offsetof(struct timing, deadline_ms), 6700, "(d)" },
		{ offsetof(struct timing, kill_ms), 8000, "(e)" },
		{ offsetof(struct timing, kill_ms), 6500, "(e)" },
		{ offsetof(struct timing, command_ms), 0, "positive" },
	};
	struct err e = { 0 };
	struct timing t;
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		timing_from_ttl(10000, &t);
		memcpy((char *)&t + rows[i].offset, &rows[i].value, sizeof(int64_t));
		assert_int_equal(timing_check(&t, 10000, &e), ERR_CONFIG);
		if (strstr(e.text, rows[i].rule) == NULL)
			fail_msg("%s, not %s", e.text, rows[i].rule);
	}
	t = (struct timing){ .renew_ms = 100,
			     .command_ms = 1500,
			     .retry_ms = 2000,
			     .deadline_ms = 4500,
			     .kill_ms = 5000,
			     .clock_step_ms = 1000 };
	assert_int_equal(timing_check(&t, 10000, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "(f)"));
	timing_from_ttl(999, &t);
	assert_int_equal(timing_check(&t, 999, &e), ERR_CONFIG);
}

static void an_empty_file_is_a_node_by_itself(void **state)
{
	struct problems p = { 0 };
	struct config *c = NULL;

	UNUSED(state);
	assert_int_equal(load(&c, "", NULL, &p), 0);
	assert_int_equal(p.n, 0);
	config_free(&c);
	/* Half of a zone's configuration is most likely a mistake. */
	assert_int_equal(load(&c, "distributed-sync.type: redis\n", NULL, &p), 0);
	assert_true(has(&p, PROBLEM_WARN,
			"f.yml: services.sync.distributed.enabled: is not set, which means false"));
	config_free(&c);
	problems_reset(&p);
	assert_int_equal(load(&c, "zonesync.candidate: false\n", NULL, &p), ERR_CONFIG);
	assert_true(has(&p, PROBLEM_ERROR, "there is nobody else who reads the source"));
	problems_reset(&p);
}

static void defaults_are_those_of_the_table(void **state)
{
	struct config *c = must_load(BASE, NULL);
	size_t n = 1;

	UNUSED(state);
	assert_string_equal(config_str(c, CFG_REDIS_HOST), "localhost");
	assert_int_equal(config_int(c, CFG_REDIS_PORT), 6379);
	assert_string_equal(config_str(c, CFG_REDIS_PASSWORD), "");
	assert_true(config_bool(c, CFG_CANDIDATE));
	assert_true(config_bool(c, CFG_LEGACY_HRIDS));
	assert_true(config_int(c, CFG_STORE_MAP) == INT64_C(64) << 30);
	assert_int_equal(config_sync_delay_ms(c), 5000);
	assert_string_equal(config_str(c, CFG_NODE_NAME), "host-1");
	assert_string_equal(config_str(c, CFG_SOURCE), "file");
	assert_string_equal(config_log_level(c, CFG_LOG_CACHE), "note");
	assert_null(config_list(c, CFG_TAGS, &n));
	assert_int_equal(n, 0);
	assert_false(config_is_set(c, CFG_REDIS_HOST));
	assert_true(config_is_set(c, CFG_ZONE_ID));
	config_free(&c);
}

static void wrong_values_name_file_line_key_and_remedy(void **state)
{
	static const struct {
		const char *added;
		const char *text;
	} rows[] = {
		{ "zonesync.candidate: maybe\n",
		  "f.yml:4: zonesync.candidate: `maybe` is neither true "
		  "nor false; write true or false" },
		{ "\n\nzonesync.lease.ttl: 999\n",
		  "f.yml:6: zonesync.lease.ttl: `999` is out of range; write a whole number of ms from "
		  "1000 to 300000" },
		{ "zonesync.lease.ttl: 10s\n", "`10s` is not a whole number; write 10000" },
		{ "zonesync.lease.ttl: 1e4\n",
		  "`1e4` is not a whole number; write a whole number" },
		{ "zonesync.lease.ttl: 99999999999999999999\n", "is not a whole number" },
		{ "distributed-sync.redis.port: 70000\n", "from 1 to 65535" },
		{ "distributed-sync.redis.port: -1\n", "from 1 to 65535" },
		{ "zonesync.log.format: logfmtt\n", "is not known; write one of logfmt, json" },
		{ "zonesync.log.level: loud\n", "write one of error, warn, note, debug" },
		{ "zonesync.redis.socket: run/redis.sock\n", "is not an absolute path" },
		{ "zonesync.control.group: \"a\\nb\"\n", "holds a control character" },
		{ "distributed-sync.redis.host: redis://u:p@h\n", "is not a host name" },
		{ "distributed-sync.redis.host: h:6379\n", "holds a port; write it as" },
		{ "distributed-sync:\n  redis:\n    host: [a, b]\n",
		  "f.yml:6: distributed-sync.redis.host[0]: `distributed-sync.redis.host` cannot have" },
		{ "services.core.http.host: [a]\n", "cannot have keys or a list below it" },
		{ "zonesync.candidate.x: true\n", "cannot have keys or a list below it" },
		{ "zonesync.lease: 5\n",
		  "zonesync.lease: is a group of keys and cannot have a value" },
		{ "zonesync.follow.poll_min: 6000\n", "exchange the two" },
		{ "zonesync.limits.entity_max_bytes: 134217728\n", "write at least 135266304" },
		{ "zonesync.limits.entity_max_bytes: 33554432\nzonesync.store.map_bytes: 16777216\n",
		  "has no room" },
		{ "services.sync.delay: 2000\nservices.sync.unit: MINUTES\n", "longer than a day" },
		{ "services.sync.unit: WEEKS\n", "MILLISECONDS, SECONDS, MINUTES" },
		{ "api.properties.encryption.secret: short\n", "has 5 bytes" },
		{ "zonesync.candidate: true\nzonesync.candidate: true\n",
		  "f.yml:5: zonesync.candidate: is already in line 4" },
		{ "zonesync: {candidate: true}\nzonesync.candidate: true\n",
		  "is already in line 4" },
		{ "zonesync: {candidate: true}\nzonesync: {lease: }\n",
		  "f.yml:5: zonesync: is already in line 4" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		must_say(PROBLEM_ERROR, rows[i].added, NULL, rows[i].text);
}

#define SSL "distributed-sync.redis.ssl: true\n"

static void what_tls_lacks_is_said(void **state)
{
	static const struct {
		const char *added;
		const char *text;
	} rows[] = {
		{ SSL "distributed-sync.redis.keystore.path: /k\n",
		  "redis.keystore.type: is not set, so the keystore would not be read" },
		{ SSL "distributed-sync.redis.keystore: {type: jks}\n",
		  "redis.keystore.path: Missing JKS keystore value" },
		{ SSL "distributed-sync.redis.keystore: {type: PKCS12}\n",
		  "Missing PKCS12 keystore value" },
		{ SSL "distributed-sync.redis.keystore: {type: pem}\n",
		  "keystore.certificates[0].cert: Missing PEM keystore value" },
		{ SSL "distributed-sync.redis.keystore: {type: pem, certificates: [{cert: /c}]}\n",
		  "there are 1 certificates and 0 keys" },
		{ SSL "distributed-sync.redis.truststore: {type: pem}\n",
		  "truststore.path: Missing PEM truststore value" },
		{ SSL "distributed-sync.redis.truststore: {type: bks, path: /t}\n",
		  "`bks` is not known; write one of pem, pkcs12, jks" },
		{ SSL "distributed-sync.redis.tlsProtocols: 'TLSv1.2, TLSv1'\n",
		  "`TLSv1` is not spoken; write TLSv1.2, TLSv1.3 or both" },
		{ SSL "zonesync.redis.socket: /s\n",
		  "redis.host: with zonesync.redis.socket and TLS, write the name" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		must_say(PROBLEM_ERROR, rows[i].added, NULL, rows[i].text);
}

static void connections_that_are_not_verified_are_warned_of(void **state)
{
	/* The driver takes all of them for true. */
	UNUSED(state);
	must_say(PROBLEM_WARN, SSL "distributed-sync.redis.trustAll: true\n", NULL,
		 "f.yml:5: distributed-sync.redis.trustAll: is true: whoever answers");
	must_say(PROBLEM_WARN,
		 "management: {type: mongodb, mongodb: {sslEnabled: true, "
		 "sslInvalidHostNameAllowed: true}}\n",
		 NULL, "sslInvalidHostNameAllowed: is true: any server");
	must_say(
		PROBLEM_WARN,
		"management: {type: mongodb, mongodb: {sslEnabled: true, truststore: {type: jks}}}\n",
		NULL, "mongodb.truststore.path: is not set, so the system's authorities");
	must_say(PROBLEM_WARN, SSL "distributed-sync.redis.hostnameVerificationAlgorithm: none\n",
		 NULL, "hostnameVerificationAlgorithm: is NONE: any server");
	must_say(PROBLEM_WARN, "distributed-sync.redis.truststore: {type: pem, path: /t}\n", NULL,
		 "distributed-sync.redis.ssl: is false, so nothing is encrypted");
}

static void must_not_say(const char *added, const char *text)
{
	char *yaml = mem_printf("%s%s", BASE, added);
	struct problems p = { 0 };
	struct config *c = NULL;

	assert_int_equal(load(&c, yaml, NULL, &p), 0);
	assert_false(has(&p, PROBLEM_WARN, text));
	problems_reset(&p);
	config_free(&c);
	mem_free(yaml);
}

static void keys_that_change_server_or_safety_are_refused(void **state)
{
	static const struct {
		const char *added;
		const char *text;
	} rows[] = {
		{ "distributed-sync:\n  redis:\n    sentinel:\n      nodes:\n        - host: s1\n",
		  "distributed-sync.redis.sentinel.master: is mandatory with sentinel.nodes" },
		{ "distributed-sync.redis.sentinel: {master: m, nodes: [{host: a}, {host: 'b:1'}]}\n",
		  "`b:1` holds a port; write it as port beside it" },
		{ "distributed-sync.redis.sentinel: {master: m, nodes: [{host: a, port: 70000}]}\n",
		  "`70000` is no port" },
		{ "distributed-sync.redis.sentinel: {master: m, nodes: [{host: a}]}\n"
		  "zonesync.redis.socket: /s\n",
		  "zonesync.redis.socket: is one server" },
		{ "distributed-sync.redis.cluster.nodes: [{host: a, port: 1}]\n",
		  "no hash tag, so lease and events lie in different slots" },
		{ "management.type: http\n", "the source `http` comes with a later release" },
		{ "management.type: jdbc\n", "write jdbc:postgresql://host:port/database" },
		{ "management: {type: mongodb, mongodb: {servers: [{host: a, port: 0}]}}\n",
		  "`0` is no port" },
		{ "management: {type: mongodb, mongodb: {readPreferenceTags: 'a:b,c'}}\n",
		  "`c` is no tag; write key:value" },
		{ "management: {type: jdbc, jdbc: {url: 'jdbc:postgresql:d', keystore: {type: pem}}}\n",
		  "management.jdbc.keystore.path: is not set, but its type is" },
		{ "management.type: nosql\n", "write one of file, mongodb, jdbc, http" },
		{ "services.sync.enabled: false\n", "zonesync does nothing but sync" },
		{ "services.sync.repository.enabled: false\n",
		  "zonesync.candidate: false for a node" },
		{ "cluster.type: hazelcast\nzonesync.zone.id: ''\n", "is already in line 3" },
		{ "distributed-sync.redis.password: secret://kubernetes/redis:password\n",
		  "secret providers (secret://, kubernetes://) are not read" },
		{ "distributed-sync.redis.username: kubernetes://ns/secrets/redis\n",
		  "secret providers" },
	};
	struct problems p = { 0 };
	struct config *c = NULL;
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		must_say(PROBLEM_ERROR, rows[i].added, NULL, rows[i].text);
	must_say(PROBLEM_ERROR, "", VAR("gravitee_distributedsync_redis_sentinel_nodes_0_host=s"),
		 "distributed-sync.redis.sentinel.master: is mandatory");
	assert_int_equal(load(&c, "services.sync.distributed.enabled: true\n", NULL, &p),
			 ERR_CONFIG);
	assert_true(has(&p, PROBLEM_ERROR, "distributed-sync.type: no repository is configured"));
	problems_reset(&p);
}

#define HTTP_USER "services.core.http.authentication.users.a: x\n"

static void http_is_refused_where_it_would_be_open(void **state)
{
	static const struct {
		const char *added;
		const char *text;
	} rows[] = {
		{ "services.core.http.host: localhost\n", "nobody could ask: there is no user" },
		{ "services.core.http.port: 18083\n",
		  "write services.core.http.authentication.users.admin:" },
		{ "services.core.http.port: 18083\nservices.core.http.authentication.users.a: ''\n",
		  "nobody could ask" },
		{ "services.core.http.host: 0.0.0.0\n" HTTP_USER,
		  "f.yml:4: services.core.http.host: `0.0.0.0` may be reached from other hosts" },
		{ "services.core.http.host: '::'\n" HTTP_USER, "`::` may be reached" },
		{ "services.core.http.host: example.org\n" HTTP_USER, "`example.org` may be" },
		{ "services.core.http.host: 127.0.0.1.example.org\n" HTTP_USER, "may be reached" },
		{ "services.core.http.host: ''\nservices.core.http.port: 65536\n" HTTP_USER,
		  "from 0 to 65535" },
		{ "services.core.http.secured: true\n", "passwords would travel in the clear" },
		{ "services.core.http.authentication.type: digest\n", "write one of basic, none" },
		{ "services.core.http.authentication.users: {'a:b': x}\n", "`a:b` is no name" },
		{ "services.core.http.authentication.users: {a: 'secret://vault/x'}\n",
		  "users.a: secret providers" },
	};
	struct buf b = { 0 };
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		must_say(PROBLEM_ERROR, rows[i].added, NULL, rows[i].text);
	buf_adds(&b, "services.core.http.authentication.users:\n");
	for (i = 0; i <= VALUE_MAP_MAX; i++)
		buf_printf(&b, "  u%zu: x\n", i);
	must_say(PROBLEM_ERROR, buf_cstr(&b), NULL, "`u32` is one name too many; at most 32");
	buf_reset(&b);
}

static void http_users_come_from_the_file_and_the_environment(void **state)
{
	static char *const env[] = {
		VAR("gravitee_services_core_http_authentication_users_own=1"),
		VAR("GRAVITEE_SERVICES_CORE_HTTP_AUTHENTICATION_USERS_ADMIN=2"),
		VAR("gravitee.services.core.http.authentication.users.b.c=${P}"),
		VAR("P=3"),
		NULL,
	};
	static const char *const want[][2] = {
		{ "admin", "2" }, { "x y", "4" }, { "own", "1" }, { "b.c", "3" }
	};
	static const char *const loopback[] = { "127.0.0.1", "127.8.9.1", "'::1'", "localhost" };
	struct config *c;
	char *const *names;
	char *const *secrets;
	size_t i;
	size_t k;
	size_t n;

	UNUSED(state);
	c = must_load(BASE "services.core.http:\n  port: 1\n  authentication.users:\n"
			   "    admin: of-the-file\n    x y: 4\n    nobody: ''\n",
		      (char **)(uintptr_t)env);
	n = config_map(c, CFG_HTTP_USERS, &names, &secrets);
	assert_int_equal(n, ARRAY_LEN(want));
	for (i = 0; i < ARRAY_LEN(want); i++) {
		for (k = 0; k < n && strcmp(names[k], want[i][0]) != 0; k++)
			;
		assert_true(k < n);
		assert_string_equal(secrets[k], want[i][1]);
	}
	config_free(&c);
	c = must_load(BASE, NULL);
	assert_false(config_http_is_tcp(c));
	assert_true(config_bool(c, CFG_HTTP_ENABLED));
	config_free(&c);
	c = must_load(BASE "services.core.http: {port: 1, host: h, enabled: false}\n", NULL);
	config_free(&c);
	c = must_load(BASE "services.core.http: {port: 1, authentication.type: none}\n", NULL);
	config_free(&c);
	for (i = 0; i < ARRAY_LEN(loopback); i++) {
		char *yaml =
			mem_printf(BASE HTTP_USER "services.core.http.host: %s\n", loopback[i]);

		c = must_load(yaml, NULL);
		assert_true(config_http_is_tcp(c));
		config_free(&c);
		mem_free(yaml);
	}
}

static void zone_id_follows_the_protocol(void **state)
{
	static const char start[] = "services.sync.distributed.enabled: true\n"
				    "distributed-sync.type: redis\n";
	struct problems p = { 0 };
	struct config *c = NULL;
	char *yaml;

	UNUSED(state);
	assert_int_equal(load(&c, start, NULL, &p), 0);
	assert_int_equal(p.warnings, 1);
	assert_string_equal(config_str(c, CFG_ZONE_ID), "standalone");
	config_free(&c);
	problems_reset(&p);

	yaml = mem_printf("%scluster.type: hazelcast\nzone: eu\n", start);
	assert_int_equal(load(&c, yaml, NULL, &p), ERR_CONFIG);
	assert_true(has(&p, PROBLEM_ERROR, "is required with cluster.type: hazelcast"));
	problems_reset(&p);
	c = must_load(yaml, ENV(VAR("gravitee_zonesync_zone_id=a:b-hz57")));
	assert_string_equal(config_str(c, CFG_ZONE_ID), "a:b-hz57");
	config_free(&c);
	mem_free(yaml);

	yaml = mem_printf("%szonesync.zone.id: 'a}b'\n", start);
	assert_int_equal(load(&c, yaml, NULL, &p), ERR_CONFIG);
	assert_true(has(&p, PROBLEM_ERROR, "would end the hash tag"));
	problems_reset(&p);
	mem_free(yaml);

	yaml = mem_printf("%szonesync.zone.id: \"a\\tb\"\n", start);
	assert_int_equal(load(&c, yaml, NULL, &p), ERR_CONFIG);
	assert_true(has(&p, PROBLEM_ERROR, "`a?b` holds a control character"));
	problems_reset(&p);
	mem_free(yaml);

	yaml = mem_printf("%szonesync.zone.id: %0201d\n", start, 0);
	assert_int_equal(load(&c, yaml, NULL, &p), ERR_CONFIG);
	assert_true(has(&p, PROBLEM_ERROR, "has 201 bytes; at most 200"));
	problems_reset(&p);
	mem_free(yaml);
}

static void unknown_keys_are_warned_about_with_the_nearest(void **state)
{
	static const struct {
		const char *added;
		const char *text;
	} rows[] = {
		{ "distributed-sync.redis: {host: b, hots: a}\n",
		  "f.yml:4: distributed-sync.redis.hots: unknown key, ignored; did you mean "
		  "`distributed-sync.redis.host`?" },
		{ "distributed-snyc:\n  redis:\n    host: a\n",
		  "did you mean `distributed-sync.redis.host`?" },
		{ "zonesync.lease.tll: 5\n", "did you mean `zonesync.lease.ttl`?" },
		{ "services.sync.cron: 5\n", "services.sync.cron: unknown key, ignored; neither" },
		{ "services.sync.dealy: 5\n", "did you mean `services.sync.delay`?" },
		{ "distributed-sync.password: x\n",
		  "did you mean `distributed-sync.redis.password`?" },
		{ "zonesnyc.lease.tll: 5\n", "did you mean `zonesync.lease.ttl`?" },
		{ "zonesync.something.else: 5\n",
		  "zonesync.something.else: unknown key, ignored; neither" },
		{ "xyzzy: {a: 1, b: 2}\n", "xyzzy: unknown key" },
		{ "services.core.http.prot: 18083\n",
		  "f.yml:4: services.core.http.prot: unknown key, ignored; did you mean" },
		{ "management.mongodb.encryption.enabled: true\n",
		  "f.yml:4: management.mongodb.encryption: its part" },
		{ "services.sync.kubernetes.namespaces: ${nowhere}\n", "is not defined" },
		{ "services.sync.local.enabled: true\n",
		  "services.sync.local: its part comes with a later release; all keys below it are ignored" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		must_say(PROBLEM_WARN, rows[i].added, NULL, rows[i].text);
}

static void must_be_quiet(const char *added)
{
	char *yaml = mem_printf("%s%s", BASE, added);
	struct problems p = { 0 };
	struct config *c = NULL;

	assert_int_equal(load(&c, yaml, NULL, &p), 0);
	print_all(&p);
	assert_int_equal(p.n, 0);
	config_free(&c);
	mem_free(yaml);
}

static void quiet_files_say_nothing(void **state)
{
	static const char *const rows[] = {
		"jwt:\n  secret: secret://vault/x\nratelimit: {type: mongodb, mongodb: {uri: '${no}'}}\n",
		"mine: {db: h}\ndistributed-sync.redis.host: ${mine.db}\n",
		"tags:\norganizations: []\nzonesync: {lease: , follow: {}}\n",
		("distributed-sync.redis.ssl: false\ndistributed-sync.redis.trustAll: false\n"
		 "distributed-sync.redis.keystore: {type: nonsense, path: '${nowhere}'}\n"),
		(SSL
		 "distributed-sync.redis: {alpn: true, openssl: true, tlsProtocols: 'TLSv1.2,TLSv1.3',\n"
		 "  trustAll: false, hostnameVerificationAlgorithm: LDAPS}\n"),
		"distributed-sync.redis.sentinel: {master: '', nodes: [{host: '', port: 1}]}\n",
		"services.sync: {fetcher: many, retry: x}\nservices.heartbeat.enabled: true\n",
		"repositories: {management: {type: file}, ratelimit: {type: redis}}\n",
		"repositories: {management: , distributed-sync: {redis: }}\n",
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		must_be_quiet(rows[i]);
}

/* Names that the reference's files of 4.5 to 4.13 and its official chart have, commented ones too. */
static void keys_of_the_gateway_are_passed_over(void **state)
{
	static const char *const rows[] = {
		"alerts.a.b",
		"api.a.b",
		"cache.a.b",
		"classloader.a.b",
		"cluster.hazelcast.a",
		"ds.mongodb.host",
		"edge.a.b",
		"el.a.b",
		"gamma.enabled",
		"geoip.a.b",
		"gracefulShutdown.a",
		"groovy.a.b",
		"handlers.a.b",
		"http.port",
		"kafka.a.b",
		"node.logging.mdc",
		"plugins.path",
		"policy.api-key.header",
		"ratelimit.type",
		"reporters.a.b",
		"secrets.kubernetes.enabled",
		"services.bridge.a",
		"services.apikeyscache.delay",
		"services.health.threshold.cpu",
		"services.healthcheck.jitterInMs",
		"services.heartbeat.delay",
		"services.metrics.prometheus.enabled",
		"services.monitoring.delay",
		"services.opentelemetry.enabled",
		"system.a.b",
		"tcp.a.b",
		"vertx.a.b",
		"repositories.ratelimit.mongodb.uri",
		"repositories.management.mongodb.socketKeepAlive",
		"management.mongodb.connectionsPerHost",
		"management.mongodb.writeConcern",
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		char *added = mem_printf("%s: true\n", rows[i]);

		must_be_quiet(added);
		mem_free(added);
	}
}

static void no_limit_of_the_reference_is_the_longest(void **state)
{
	struct config *c = must_load(BASE
				     "distributed-sync.redis.tcp.connectTimeout: 0\n"
				     "management.mongodb: {connectTimeout: 0, socketTimeout: 0, "
				     "serverSelectionTimeout: 0}\n",
				     NULL);

	UNUSED(state);
	assert_int_equal(config_int(c, CFG_REDIS_CONNECT_TIMEOUT), 300000);
	assert_int_equal(config_int(c, CFG_MONGO_CONNECT_TIMEOUT), 600000);
	assert_int_equal(config_int(c, CFG_MONGO_SOCKET_TIMEOUT), 600000);
	assert_int_equal(config_int(c, CFG_MONGO_SELECTION_TIMEOUT), 600000);
	config_free(&c);
}

static void environment_wins_in_every_spelling(void **state)
{
	static const struct {
		const char *var;
		enum cfg id;
	} rows[] = {
		{ "gravitee_distributed-sync.redis.host=h", CFG_REDIS_HOST },
		{ "gravitee.distributed-sync.redis.host=h", CFG_REDIS_HOST },
		{ "gravitee_distributed-sync_redis_host=h", CFG_REDIS_HOST },
		{ "gravitee_distributedsync_redis_host=h", CFG_REDIS_HOST },
		{ "gravitee_distributedsync.redis.host=h", CFG_REDIS_HOST },
		{ "GRAVITEE_DISTRIBUTEDSYNC_REDIS_HOST=h", CFG_REDIS_HOST },
		{ "GRAVITEE.DISTRIBUTED-SYNC.REDIS.HOST=h", CFG_REDIS_HOST },
		{ "gravitee_DISTRIBUTEDSYNC_REDIS_HOST=h", CFG_REDIS_HOST },
		{ "gravitee_zonesync_node_name=h", CFG_NODE_NAME },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct problem_place at;
		struct config *c = must_load(BASE "distributed-sync.redis.host: file\n",
					     ENV(VAR(rows[i].var)));

		assert_string_equal(config_str(c, rows[i].id), "h");
		config_place(c, rows[i].id, &at);
		assert_non_null(at.env);
		config_free(&c);
	}
	must_say(PROBLEM_ERROR, "", VAR("gravitee_DistributedSync_redis_host=h"),
		 "names are case-sensitive; write gravitee_distributedsync_redis_host");
	must_say(PROBLEM_ERROR, "", VAR("gravitee_distributedsync_redis_hots=h"),
		 "did you mean gravitee_distributedsync_redis_host?");
	must_say(
		PROBLEM_ERROR, "", VAR("gravitee_zonesync_lease_ttl=1"),
		"environment variable gravitee_zonesync_lease_ttl: zonesync.lease.ttl: `1` is out");
	must_say(PROBLEM_ERROR, "", VAR("gravitee_zonesync_node_name=\xff"), "is not UTF-8");
}

static void variables_that_are_nearly_right_are_named(void **state)
{
	static const struct {
		const char *var, *text;
		enum problem_level level;
	} rows[] = {
		{ "gravitee_distributed_sync_redis_host=h",
		  "write gravitee_distributedsync_redis_host", PROBLEM_ERROR },
		{ "gravitee_distributed_sync_redis_password=h",
		  "write gravitee_distributedsync_redis_password", PROBLEM_ERROR },
		{ "gravitee_distributedSync_redis_port=1",
		  "write gravitee_distributedsync_redis_port", PROBLEM_ERROR },
		{ "gravitee_managment_type=mongodb", "did you mean gravitee_management_type?",
		  PROBLEM_WARN },
		{ "gravitee_services_sync_dealy=5", "did you mean gravitee_services_sync_delay?",
		  PROBLEM_WARN },
		{ "gravitee_zone_sync_lease_ttl=5", "write gravitee_zonesync_lease_ttl",
		  PROBLEM_WARN },
		{ "gravitee_zonesync_xyzzy=5", "it names no key; remove it", PROBLEM_WARN },
		{ "gravitee_repositories_distributed_sync_redis_host=h",
		  "write gravitee_distributedsync_redis_host", PROBLEM_ERROR },
		/* lists */
		{ "gravitee_tags_1=a", "there is no gravitee_tags_0; the items", PROBLEM_ERROR },
		{ "gravitee_Environments_0=a", "write gravitee_environments_0", PROBLEM_WARN },
		{ "gravitee_distributedsync_redis_sentinel_nodes_1_host=h",
		  "there is no gravitee_distributedsync_redis_sentinel_nodes_0_host",
		  PROBLEM_ERROR },
		{ "gravitee_distributed_sync_redis_sentinel_nodes_0_host=h",
		  "write gravitee_distributedsync_redis_sentinel_nodes_0_host", PROBLEM_ERROR },
		{ "gravitee_distributedsync_redis_sentinel_node_0_host=h",
		  "did you mean gravitee_distributedsync_redis_sentinel_nodes_0_host?",
		  PROBLEM_ERROR },
	};
	struct problems p = { 0 };
	struct config *c = NULL;
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		must_say(rows[i].level, "", VAR(rows[i].var), rows[i].text);
	/* one that loses */
	assert_int_equal(
		load(&c, BASE,
		     ENV(VAR("gravitee_zonesync_node_name=a"), VAR("GRAVITEE_ZONESYNC_NODE_NAME=b"),
			 VAR("gravitee_tags=x,y"), VAR("gravitee_tags_0=z")),
		     &p),
		0);
	assert_true(
		has(&p, PROBLEM_WARN,
		    "variable GRAVITEE_ZONESYNC_NODE_NAME: ignored: gravitee_zonesync_node_name "
		    "names the same key, and wins"));
	assert_true(has(&p, PROBLEM_WARN,
			"variable gravitee_tags_0: ignored: gravitee_tags names the whole list"));
	assert_int_equal(p.n, 2);
	problems_reset(&p);
	config_free(&c);
	/* the gateway's own */
	assert_int_equal(
		load(&c, BASE,
		     ENV(VAR("gravitee_ratelimit_mongodb_uri=a"), VAR("gravitee_ds_x=a"),
			 VAR("gravitee_policy_apikey_header=a"), VAR("gravitee_http_port=1"),
			 VAR("GRAVITEE_HOME=/x"), VAR("gravitee_jwt_secret=a"),
			 VAR("gravitee_services_metrics_enabled=true"),
			 VAR("gravitee_reporters_file_enabled=false")),
		     &p),
		0);
	print_all(&p);
	assert_int_equal(p.n, 0);
	config_free(&c);
}

/* No shape of a key that says where a server is may be passed over. */
static void settings_that_would_mean_another_server_are_refused(void **state)
{
	static const char *const rows[][2] = {
		{ "distributed-sync.redis.sentinel: {master: m, nodes: ['h:26379']}\n",
		  "distributed-sync.redis.sentinel.nodes[0]: unknown key" },
		{ "distributed-sync.redis.sentinel: {master: m, nodes: 'h:26379'}\n",
		  "is a group of keys and cannot have a value" },
		{ "distributed-sync.redis.sentinel: {master: m, node: [{host: h}]}\n",
		  "unknown key" },
		{ "distributed-sync.redis.sentinel: {master: m, nodes: [{address: h}]}\n",
		  "unknown key" },
		{ "distributed-sync.redis.sentinel.master: m\n",
		  "sentinel.master: is set, and distributed-sync.redis.sentinel.nodes is not" },
		{ "distributed-sync.redis.sentinel.password: x\n", "sentinel.nodes is not" },
		{ "distributed-sync.redis.sentinel: {master: m, nodes: [{host: h}, {port: 1}]}\n",
		  "nodes[1].port: its item has no host" },
		{ "distributed-sync.redis.sentinel: {master: m, nodes: [{port: 1}, {host: h}]}\n",
		  "nodes[0].port: its item has no host" },
		{ "distributed-sync.redis.sentinel: {master: m, nodes: [{host: 'a,b'}]}\n",
		  "is more than one; write an item" },
		{ "distributed-sync.redis.host: 'a:6379,b:6379'\n", "is more than one host" },
		{ "distributed-sync.redis.host: a,b\n", "is more than one host" },
		{ "distributed-sync.redis.host: '[::1]'\n", "without them, and the port" },
		{ "distributed-sync.redis.host: '[::1]:6379'\n", "without them, and the port" },
		{ "distributed-sync.redis.host: '1:2:3'\n", "holds a port" },
		{ "distributed-sync.redis.host: redis://h\n", "is not a host name" },
		{ "distributed-sync.redis.hots: a\n", "write `distributed-sync.redis.host`" },
		{ "distributed-sync.redis.url: redis://a\n", "unknown key, and without it" },
		{ "distributed-sync.redis.nodes: [{host: a}]\n", "unknown key, and without it" },
		{ "distributed-sync.redis: redis://a\n", "is a group of keys" },
		{ "management: {type: mongodb, mongodb: {host: 'm1,m2'}}\n",
		  "is more than one host; write management.mongodb.servers" },
		{ "management: {type: mongodb, mongodb: {host: 'mongodb://m1'}}\n",
		  "is not a host name" },
		{ "management: {type: mongodb, mongodb: {host: 'm1:27017'}}\n",
		  "write it as management.mongodb.port" },
		{ "management: {type: mongodb, mongodb: {servers: ['m1:27017']}}\n",
		  "unknown key" },
		{ "management: {type: mongodb, mongodb: {servers: 'm1:27017'}}\n", "is a group" },
		{ "management: {type: mongodb, mongodb: {servers: [{host: 'm1:27017'}]}}\n",
		  "holds a port" },
		{ "management: {type: mongodb, mongodb: {servers: [{port: 1}, {host: m1}]}}\n",
		  "its item has no host" },
		{ "management: {type: mongodb, mongodb: {url: 'mongodb://m1'}}\n",
		  "unknown key, and without it" },
		{ "management: {type: mongodb, mongodb: {uri: ['mongodb://m1']}}\n",
		  "cannot have keys or a list below it" },
		{ "management: {type: file, file: {dir: /x}}\n", "unknown key, and without it" },
	};
	static const char *const fine[] = {
		"distributed-sync.redis.host: '::1'\n",
		"distributed-sync.redis.host: 'fe80::1%eth0'\n",
		"management: {type: mongodb, mongodb: {host: '::1'}}\n",
		"management: {type: mongodb, mongodb: {uri: 'mongodb://a', url: x}}\n",
		"management: {type: file, file: {path: /x}, mongodb: {url: x}}\n",
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		must_say(PROBLEM_ERROR, rows[i][0], NULL, rows[i][1]);
	for (i = 0; i < ARRAY_LEN(fine); i++)
		must_not_say(fine[i], "another server");
}

static void what_wins_over_what_is_told(void **state)
{
	UNUSED(state);
	must_say(PROBLEM_WARN,
		 "management: {type: mongodb, mongodb: {uri: 'mongodb://a', host: b}}\n", NULL,
		 "management.mongodb.host: has no effect: management.mongodb.uri is set, and wins");
	must_say(
		PROBLEM_WARN, "management: {type: mongodb, mongodb: {uri: 'mongodb://a'}}\n",
		VAR("gravitee_management_mongodb_host=b"),
		"variable gravitee_management_mongodb_host: management.mongodb.host: has no effect");
	must_say(PROBLEM_WARN,
		 "distributed-sync.redis: {host: h, sentinel: {master: m, nodes: [{host: a}]}}\n",
		 NULL, "distributed-sync.redis.host: has no effect: ");
}

static void lists_take_all_forms(void **state)
{
	static const struct {
		const char *yaml;
		const char *var;
	} rows[] = {
		{ BASE "tags: 'a, !b ,,c'\n", "X=1" },
		{ BASE "tags: [a, ' !b', c]\n", "X=1" },
		{ BASE "tags:\n  - a\n  - '!b'\n  - c\n", "X=1" },
		{ BASE "tags[0]: a\ntags[1]: '!b'\ntags[2]: c\n", "X=1" },
		{ BASE "tags: [x]\n", "gravitee_tags=a,!b,c" },
		{ BASE "my: {t: 'a,!b'}\ntags: '${my.t},c'\n", "X=1" },
	};
	struct config *c;
	size_t i;
	size_t n;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		char *const *list;

		c = must_load(rows[i].yaml, ENV(VAR(rows[i].var)));
		list = config_list(c, CFG_TAGS, &n);
		assert_int_equal(n, 3);
		assert_string_equal(list[0], "a");
		assert_string_equal(list[1], "!b");
		assert_string_equal(list[2], "c");
		config_free(&c);
	}
	c = must_load(BASE,
		      ENV(VAR("gravitee_environments_0=a"), VAR("gravitee_environments[1]=b")));
	assert_string_equal(config_list(c, CFG_ENVIRONMENTS, &n)[1], "b");
	assert_int_equal(n, 2);
	config_free(&c);
}

static void placeholders_are_replaced(void **state)
{
	static const struct {
		const char *value;
		const char *expect;
	} rows[] = {
		{ "${a.b}", "value" },
		{ "x${a.b}y${a.b}z", "xvalueyvaluez" },
		{ "${none:fallback}", "fallback" },
		{ "${none:}x", "x" },
		{ "${none:${a.b}}", "value" },
		{ "${none:${none2:a:b}}", "a:b" },
		{ "${a.${which}}", "value" },
		{ "${PLAIN}", "from-env" },
		{ "${a.over}", "from-env" },
		{ "${ds.mongo.host}", "upper" },
		{ "${gravitee.home}/x", RESOLVE_HOME "/x" },
		{ "${open", "${open" },
		{ "$a{b}", "$a{b}" },
		{ "${indirect}", "value" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		char *yaml = mem_printf("%sa: {b: value, over: file}\nwhich: b\nindirect: ${a.b}\n"
					"zonesync.node.name: '%s'\n",
					BASE, rows[i].value);
		struct config *c =
			must_load(yaml, ENV(VAR("PLAIN=from-env"), VAR("gravitee_a_over=from-env"),
					    VAR("DS_MONGO_HOST=upper")));

		assert_string_equal(config_str(c, CFG_NODE_NAME), rows[i].expect);
		config_free(&c);
		mem_free(yaml);
	}
	must_say(
		PROBLEM_ERROR, "zonesync.node.name: ${nope.x}\n", NULL,
		"f.yml:4: zonesync.node.name: `${nope.x}` is not defined; define it in this file or "
		"in the environment, or give a default: ${nope.x:default}");
	must_say(PROBLEM_ERROR, "p: ${q}\nq: ${p}\nzonesync.node.name: ${p}\n", NULL,
		 "leads in a circle");
	must_say(PROBLEM_ERROR, "zonesync.node.name: ${zonesync.node.name}\n", NULL,
		 "leads in a circle");
	must_say(PROBLEM_ERROR,
		 "l1: ${l2}${l2}${l2}${l2}\nl2: ${l3}${l3}${l3}${l3}\nl3: ${l4}${l4}${l4}${l4}\n"
		 "l4: ${l5}${l5}${l5}${l5}\nl5: ''\nzonesync.node.name: ${l1}\n",
		 NULL, "too far");
}

static void gravitee_home_comes_from_the_environment(void **state)
{
	struct config *c = must_load(BASE "management.file.path: ${gravitee.home}/data\n",
				     ENV(VAR("GRAVITEE_HOME=/srv/g")));

	UNUSED(state);
	assert_string_equal(config_str(c, CFG_FILE_PATH), "/srv/g/data");
	config_free(&c);
}

/* A mapping's own keys win, then those of the merge that stands first, whole. */
static void merge_keys_bring_what_is_not_there(void **state)
{
	struct config *c =
		must_load("base: &base {host: a, port: 1, sentinel: {master: m}}\n"
			  "more: &more {port: 2, password: p, tcp: {connectTimeout: 700}}\n"
			  "zonesync: {zone: {id: z}}\nservices.sync.distributed.enabled: true\n"
			  "distributed-sync:\n  type: redis\n  redis:\n    host: own\n"
			  "    <<: [*base, *more]\n    sentinel: {}\n",
			  NULL);

	UNUSED(state);
	assert_string_equal(config_str(c, CFG_REDIS_HOST), "own");
	assert_int_equal(config_int(c, CFG_REDIS_PORT), 1);
	assert_string_equal(config_str(c, CFG_REDIS_PASSWORD), "p");
	assert_int_equal(config_int(c, CFG_REDIS_CONNECT_TIMEOUT), 700);
	assert_false(config_is_set(c, CFG_REDIS_SENTINEL_MASTER));
	config_free(&c);
	c = must_load("x: &x\n  zonesync: {zone: {id: merged}}\n<<: *x\n", NULL);
	assert_string_equal(config_str(c, CFG_ZONE_ID), "merged");
	config_free(&c);
}

/* Types of YAML's own, and quotes, leave a text as it is. */
static void what_begins_like_yaml_is_a_text_in_quotes(void **state)
{
	static const char *const rows[][2] = {
		{ "'!abc'", "!abc" },	       { "\"&abc\"", "&abc" }, { "'*abc'", "*abc" },
		{ "!!str 0123", "0123" },      { "! abc", "abc" },     { "'abc #def'", "abc #def" },
		{ "&a abc\nx: *a", "abc" },    { "'\\${a}'", "${a}" }, { "a\\${b", "a${b" },
		{ "'\\${a}${b:c}'", "${a}c" }, { "$${b:c}", "$c" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		char *yaml = mem_printf(
			"zonesync.zone.id: z\ndistributed-sync.redis.password: %s\n", rows[i][0]);
		struct config *c = must_load(yaml, NULL);

		assert_string_equal(config_str(c, CFG_REDIS_PASSWORD), rows[i][1]);
		config_free(&c);
		mem_free(yaml);
	}
}

static void a_comment_close_to_a_secret_is_doubted(void **state)
{
	static const char *const glued[] = {
		"distributed-sync.redis.password: abc #def\n",
		"distributed-sync:\n  redis:\n    password: ä€ #def\n",
		"distributed-sync.redis: {password: abc #def\n  }\n",
		"management: {type: mongodb, mongodb: {uri: mongodb://u:p #x@h/\n  }}\n",
	};
	static const char *const fine[] = {
		"distributed-sync.redis.password: abc # def\n",
		"distributed-sync.redis.password: abc#def\n",
		"distributed-sync.redis.password: 'abc' #def\n",
		"distributed-sync.redis.host: abc #def\n",
		"distributed-sync.redis.password: abc ####\n",
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(glued); i++)
		must_say(PROBLEM_WARN, glued[i], NULL, "a # behind a blank begins a comment");
	for (i = 0; i < ARRAY_LEN(fine); i++)
		must_not_say(fine[i], "begins a comment");
}

static void a_default_of_a_shell_is_doubted(void **state)
{
	UNUSED(state);
	must_say(
		PROBLEM_WARN, "distributed-sync.redis.host: ${REDIS:-localhost}\n", NULL,
		"distributed-sync.redis.host: the default in ${REDIS:-...} begins with the hyphen");
	must_not_say("distributed-sync.redis.host: ${REDIS:local-host}\n", "hyphen");
}

/* ${file:...}: credentials of systemd, secrets of Kubernetes. */
static void a_value_may_stand_in_a_file(void **state)
{
	static const struct {
		const char *content, *value; /* NULL: it is refused */
	} rows[] = {
		{ "geheim\n", "geheim" },
		{ "geheim\r\n", "geheim" },
		{ "geheim", "geheim" },
		{ "a b\n\n", "a b\n" },
		{ "${x}\n", "${x}" },
		{ "\\${x}", "\\${x}" },
		{ " #x: &y !z\n", " #x: &y !z" },
	};
	char path[] = "/tmp/zs-config-XXXXXX";
	int fd = mkstemp(path);
	char *yaml = mem_printf("zonesync.zone.id: z\nhome: /tmp\n"
				"distributed-sync.redis.password: ${file:${home}/%s}\n",
				path + 5);
	size_t i;

	UNUSED(state);
	assert_true(fd >= 0);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct config *c;
		size_t n = strlen(rows[i].content);

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, rows[i].content, n, 0), n);
		c = must_load(yaml, NULL);
		assert_string_equal(config_str(c, CFG_REDIS_PASSWORD), rows[i].value);
		config_free(&c);
	}
	assert_int_equal(pwrite(fd, "a\0b", 3, 0), 3);
	must_say(PROBLEM_ERROR, yaml + strlen("zonesync.zone.id: z\n"), NULL, "NUL character");
	assert_int_equal(ftruncate(fd, RESOLVE_VALUE_MAX_BYTES + 1), 0);
	must_say(PROBLEM_ERROR, yaml + strlen("zonesync.zone.id: z\n"), NULL, "holds a NUL");
	assert_int_equal(unlink(path), 0);
	must_say(PROBLEM_ERROR, yaml + strlen("zonesync.zone.id: z\n"), NULL,
		 "distributed-sync.redis.password: `${file:/tmp/zs-config-");
	must_say(PROBLEM_ERROR, "distributed-sync.redis.password: ${file:relative}\n", NULL,
		 "write a path that begins with /");
	must_say(PROBLEM_ERROR, "distributed-sync.redis.password: ${file:/tmp}\n", NULL,
		 "`${file:/tmp}`: ");
	(void)close(fd);
	mem_free(yaml);
}

static void repositories_prefix_comes_last(void **state)
{
	struct config *c =
		must_load("services.sync.distributed.enabled: true\nzonesync.zone.id: z\n"
			  "repositories:\n  distributed-sync:\n    type: redis\n    redis:\n"
			  "      host: new\n      port: 1\ndistributed-sync.redis.host: old\n",
			  ENV(VAR("gravitee_repositories_distributedsync_redis_port=2")));

	UNUSED(state);
	assert_string_equal(config_str(c, CFG_REDIS_HOST), "old");
	assert_int_equal(config_int(c, CFG_REDIS_PORT), 2);
	config_free(&c);
}

static void yaml_errors_explain_themselves(void **state)
{
	static const struct {
		const char *yaml;
		const char *text;
	} rows[] = {
		{ "a:\n\tb: 1\n",
		  "f.yml:2: column 1: not valid YAML (found character that cannot start "
		  "any token); the line is indented with a tab" },
		{ "a: b: c\n",
		  "f.yml:1: column 5: not valid YAML (mapping values are not allowed in "
		  "this context); a value with a colon and a space" },
		{ "a: 1\n  b: 2\n", "this line is indented deeper than line 1" },
		{ "a: 'x\nb: y\n", "the quote or bracket opened in line 1 is never closed" },
		{ "a:\n    b: 1\n  c: 2\n", "f.yml:3: column 3: not valid YAML" },
		{ "a: [1, 2\nb: 3\n", "f.yml:2:" },
		{ "a: @b\n", "must be quoted" },
		{ "a: \xff\n", "save the file as UTF-8 text" },
		{ "x: 1\ny: \x01\n", "f.yml:2: column 1" },
		{ "just text\n", "the file is one text; write `key: value` lines" },
		{ "- a\n", "the file is a list" },
		{ "a: 1\n---\nb: 2\n", "a second document begins" },
		{ "a: *x\n", "a value that begins with * stands for" },
		{ "a: &x\n  b: *x\n", "there is none that is finished" },
		{ "<<: *x\n", "there is none that is finished" },
		{ "a: &x {b: 1}\nc: {<<: 1, d: *x}\n", "`<<` takes *name, or a list of them" },
		{ "a: &x {b: 1}\nc: {<<: [*x, {}]}\n", "`<<` takes *name, or a list of them" },
		/* what would lose its meaning */
		{ "a: !hunter2\n", "f.yml:1: a value that begins with ! has a type" },
		{ "a: !hunter2 b\n", "begins with !" },
		{ "a: !<x:hunter2> b\n", "begins with !" },
		{ "a: !!binary aGk=\n", "begins with !" },
		{ "a: !hunter2 {b: c}\n", "begins with !" },
		{ "a: !hunter2 [b]\n", "begins with !" },
		{ "a: &hunter2\n",
		  "f.yml:1: a value that begins with & gives it a name, which nothing" },
		{ "a: &hunter2 b\n", "begins with &" },
		{ "a: &x {b: 1}\nb: &hunter2 [*x]\n", "f.yml:2: a value that begins with &" },
		{ "a: *hunter2\n", "begins with *" },
		{ "*x : a\n", "where a key should be" },
		{ "? [a]\n: b\n", "a key that is a list or a group" },
		{ "'': b\n", "an empty key" },
		{ "a: \"x\\0y\"\n", "NUL character" },
		{ "%YAML 9.9\n---\na: b\n", "f.yml:1:" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct problems p = { 0 };
		struct config *c = NULL;

		assert_int_equal(load(&c, rows[i].yaml, NULL, &p), ERR_CONFIG);
		if (!has(&p, PROBLEM_ERROR, rows[i].text) || has(&p, PROBLEM_ERROR, "hunter2")) {
			print_all(&p);
			fail_msg("not said: %s", rows[i].text);
		}
		problems_reset(&p);
	}
}

static void yaml_is_bounded(void **state)
{
	struct problems p = { 0 };
	struct config *c = NULL;
	struct buf b = { 0 };
	int i;

	UNUSED(state);
	buf_adds(&b, "a: ");
	for (i = 0; i < 100; i++)
		buf_addc(&b, '[');
	assert_int_equal(load(&c, buf_cstr(&b), NULL, &p), ERR_CONFIG);
	assert_true(has(&p, PROBLEM_ERROR, "nested deeper than 32"));
	problems_reset(&p);

	/* The billion laughs. */
	buf_clear(&b);
	buf_adds(&b, "x0: &x0 [a, a, a, a, a, a, a, a]\n");
	for (i = 1; i < 10; i++)
		buf_printf(&b, "x%d: &x%d [*x%d, *x%d, *x%d, *x%d, *x%d, *x%d, *x%d]\n", i, i,
			   i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	assert_int_equal(load(&c, buf_cstr(&b), NULL, &p), ERR_CONFIG);
	assert_true(has(&p, PROBLEM_ERROR, "more than 10000 values"));
	problems_reset(&p);

	buf_clear(&b);
	for (i = 0; i < TREE_FILE_MAX_BYTES / 8 + 1; i++)
		buf_adds(&b, "# xxxxx\n");
	assert_int_equal(load(&c, buf_cstr(&b), NULL, &p), ERR_CONFIG);
	assert_true(has(&p, PROBLEM_ERROR, "more than 1048576 bytes"));
	problems_reset(&p);

	/* The hint does not walk back over half a million blank lines, each time from the top. */
	buf_clear(&b);
	for (i = 0; i < 500000; i++)
		buf_addc(&b, '\n');
	buf_adds(&b, "a: b: c\n");
	assert_int_equal(load(&c, buf_cstr(&b), NULL, &p), ERR_CONFIG);
	assert_true(has(&p, PROBLEM_ERROR, "f.yml:500001: column 5"));
	problems_reset(&p);

	buf_clear(&b);
	for (i = 0; i < 500; i++)
		buf_printf(&b, "zonesync.unknown%d: 1\n", i);
	buf_adds(&b, "management.type: http\n");
	assert_int_equal(load(&c, buf_cstr(&b), NULL, &p), ERR_CONFIG);
	assert_int_equal(p.n, PROBLEMS_MAX);
	assert_int_equal(p.warnings, 500);
	assert_true(has(&p, PROBLEM_ERROR, "management.type"));
	problems_reset(&p);
	buf_reset(&b);
}

static void aliases_are_followed(void **state)
{
	struct config *c = must_load("shared: &r {host: h, port: 7}\ntype: &t redis\n"
				     "distributed-sync: {type: *t, redis: *r}\n"
				     "services.sync.distributed.enabled: true\n",
				     NULL);

	UNUSED(state);
	assert_string_equal(config_str(c, CFG_REDIS_HOST), "h");
	assert_int_equal(config_int(c, CFG_REDIS_PORT), 7);
	config_free(&c);
}

static void published_samples_are_explained(void **state)
{
	char *broken = slurp("test/data/config/published-sample-broken.yml");
	char *sample = slurp("test/data/config/published-sample.yml");
	struct problems p = { 0 };
	struct config *c = NULL;

	UNUSED(state);
	assert_int_equal(load(&c, broken, NULL, &p), ERR_CONFIG);
	assert_int_equal(p.n, 1);
	assert_true(has(&p, PROBLEM_ERROR, "f.yml:33: "));
	assert_true(
		has(&p, PROBLEM_ERROR,
		    "`key` in line 32 is at the indentation of the list and not part of the list "
		    "item above; indent it by 9 spaces, as `cert` in line 31"));
	problems_reset(&p);

	assert_int_equal(load(&c, sample, NULL, &p), 0);
	assert_true(has(&p, PROBLEM_WARN, "services.sync.distributed.enabled"));
	config_free(&c);
	problems_reset(&p);
	mem_free(broken);
	mem_free(sample);
}

static void a_gateways_own_file_is_accepted(void **state)
{
	char *rich = slurp("test/data/config/gateway.yml");
	struct problems p = { 0 };
	struct config *c = NULL;
	int rc;

	UNUSED(state);
	rc = load(&c, rich, NULL, &p);
	print_all(&p);
	assert_int_equal(rc, 0);
	assert_int_equal(p.warnings, 0);
	assert_true(config_http_is_tcp(c));
	config_free(&c);
	problems_reset(&p);
	mem_free(rich);
}

static void sample_file_is_the_table(void **state)
{
	char *committed = slurp("conf/zonesync.yml");
	struct problems p = { 0 };
	struct config *c = NULL;
	struct buf b = { 0 };

	UNUSED(state);
	config_write_sample(&b);
	assert_string_equal(committed, buf_cstr(&b));
	assert_int_equal(load(&c, committed, NULL, &p), 0);
	print_all(&p);
	assert_int_equal(p.n, 1); /* the zone is standalone */
	config_free(&c);
	problems_reset(&p);

	/* Without the comment sign each key stands where it belongs, with a valid default. */
	{
		char *s;

		for (s = committed; (s = strstr(s, "#")) != NULL; s++)
			if (s[1] != ' ' && s[1] != '\n')
				memmove(s, s + 1, strlen(s));
	}
	/* But for a password: there is no default. */
	assert_int_equal(load(&c, committed,
			      ENV(VAR("gravitee_services_core_http_authentication_users_a=x")), &p),
			 0);
	print_all(&p);
	assert_int_equal(p.n, 0);
	assert_true(config_is_set(c, CFG_LEASE_TTL));
	config_free(&c);
	buf_reset(&b);
	mem_free(committed);
}

static void show_masks_secrets_and_names_origins(void **state)
{
	struct config *c = must_load(
		BASE "distributed-sync.redis.password: hunter2\n"
		     "management.mongodb.uri: mongodb://u:hunter2@h/db\n"
		     "management.jdbc.url: jdbc:x://h/d?user=a&password=hunter2\n"
		     "management.mongodb.password: hunter2\n"
		     "management.mongodb.keystore.password: hunter2\n"
		     "services.sync.local.enabled: true\n"
		     "services.core.http.authentication.users: {a: hunter2, b: hunter2}\n",
		ENV(VAR("gravitee_distributedsync_redis_port=7")));
	struct buf b = { 0 };

	UNUSED(state);
	config_show(c, &b);
	assert_null(strstr(buf_cstr(&b), "hunter2"));
	assert_null(strstr(buf_cstr(&b), "vvLJ4Q8"));
	assert_non_null(strstr(buf_cstr(&b), "distributed-sync.redis.password: ********"));
	assert_non_null(strstr(buf_cstr(&b), "users.*: a=********,b=********"));
	assert_non_null(strstr(buf_cstr(&b), "mongodb://u:********@h/db"));
	assert_non_null(strstr(buf_cstr(&b), "?user=a&password=********"));
	assert_non_null(strstr(buf_cstr(&b), "# f.yml:4\n"));
	assert_non_null(strstr(buf_cstr(&b), "# env gravitee_distributedsync_redis_port\n"));
	assert_non_null(strstr(buf_cstr(&b), "# default\n"));
	assert_non_null(strstr(buf_cstr(&b), "ignored: later release"));
	buf_reset(&b);
	config_free(&c);
}

static void problems_come_in_the_order_of_the_file(void **state)
{
	struct problems p = { 0 };
	struct config *c = NULL;
	size_t i;

	UNUSED(state);
	assert_int_equal(load(&c,
			      "management.type: http\nzonesync.lease.ttl: 1\nzonsync.x: 1\n"
			      "zonesync.candidate: x\nservices.sync.distributed.enabled: true\n",
			      NULL, &p),
			 ERR_CONFIG);
	assert_int_equal(p.n, 6);
	for (i = 0; i < 4; i++)
		assert_int_equal(p.item[i].line, i + 1);
	assert_int_equal(p.item[4].line, 0);
	problems_reset(&p);
}

static void secrets_stay_out_of_problems(void **state)
{
	char *yaml = mem_printf("%sdistributed-sync.redis.password: %05000d\n"
				"api.properties.encryption.secret: hunter2\n"
				"services.core.http.authentication.users: {'a:b': hunter2}\n"
				"management.mongodb.uri: \"mongodb://u:hunter2@h/\\t\"\n"
				"management.jdbc.url: \"jdbc:postgresql:d?password=hunter2\\t\"\n",
				BASE, 7);
	struct problems p = { 0 };
	struct config *c = NULL;

	UNUSED(state);
	assert_int_equal(load(&c, yaml, NULL, &p), ERR_CONFIG);
	assert_int_equal(p.errors, 5);
	assert_false(has(&p, PROBLEM_ERROR, "0000000"));
	assert_false(has(&p, PROBLEM_ERROR, "hunter2"));
	problems_reset(&p);
	mem_free(yaml);
}

static void uris_are_masked(void **state)
{
	static const char *const rows[][2] = {
		{ "redis://u:p@h:1", "redis://u:********@h:1" },
		{ "mongodb://u:p@h:1,[::1]:2,i/db?w=1",
		  "mongodb://u:********@h:1,[::1]:2,i/db?w=1" },
		{ "http://h:80/x", "http://h:80/x" },
		{ "file:///x", "file:///x" },
		/* no URLs: where the password ends cannot be told */
		{ "redis://:p@ss@h", "redis://********" },
		{ "redis://u:p/q@h", "redis://********" },
		{ "mongodb://svc@corp:ab/SECRET@h/db", "mongodb://********" },
		{ "mongodb://u:SEC?RET@h/db", "mongodb://********" },
		{ "mongodb://u:1?RET@h/db", "mongodb://********" },
		{ "mongodb://u:SEC/RET", "mongodb://********" },
		{ "mongodb://u:p%zz@h", "mongodb://********" },
		{ "mongodb://u:p@h:SECRET", "mongodb://********" },
		{ "redis://u@h", "redis://u@h" },
		{ "a,b://c:d@e,f://g:h@i", "a,b://********" },
		{ "?PASSWORD=x;y&z=1", "?PASSWORD=********&z=1" }, /* PostgreSQL's may hold a ; */
		{ "?tlsCertificateKeyFilePassword=x&y=z",
		  "?tlsCertificateKeyFilePassword=********&y=z" },
		{ "jdbc:postgresql://h:1/d?user=a@b&pass%77ord=x&c=d",
		  "jdbc:postgresql://h:1/d?user=a@b&pass%77ord=********&c=d" },
		{ "?%70%61%73%73%77%6F%72%64=x", "?%70%61%73%73%77%6F%72%64=********" },
		{ "mongodb://a:b@h/?authMechanismProperties=AWS_SESSION_TOKEN:x/y&z=1",
		  "mongodb://a:********@h/?authMechanismProperties=********&z=1" },
		{ "?session_token=x&secretKey=y", "?session_token=********&secretKey=********" },
		{ "?password=SEC&RET&a=b&c", "?password=********&a=b&c" },
	};
	size_t i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = { 0 };

		mask_uri(&b, rows[i][0]);
		assert_string_equal(buf_cstr(&b), rows[i][1]);
		buf_reset(&b);
	}
}

static void build_all(struct slice out[SLICE__COUNT], const struct config *c)
{
	const struct slice_input in = {
		.state_dir = "/s", .log_dir = "/l", .node_id = "id-1", .http = "unix:/r/http.sock"
	};
	unsigned i;

	for (i = 0; i < SLICE__COUNT; i++)
		slice_build(&out[i], c, (enum slice_worker)i, &in);
}

static void reset_all(struct slice s[SLICE__COUNT])
{
	unsigned i;

	for (i = 0; i < SLICE__COUNT; i++)
		slice_reset(&s[i]);
}

static void slices_hold_what_the_worker_needs(void **state)
{
	struct config *c = must_load(BASE "tags: a,b\nservices.sync: {delay: 3, unit: seconds}\n"
					  "distributed-sync.redis.password: pw\n"
					  "zonesync.log.levels.cache: debug\n"
					  "zonesync.log.format: json\n"
					  "services.core.http.authentication.users.ops: 'pw: 1'\n",
				     NULL);
	struct slice s[SLICE__COUNT] = { 0 };
	Ipc__Configure *m;

	UNUSED(state);
	build_all(s, c);
	m = s[SLICE_ELECTOR].msg;
	assert_int_equal(m->part_case, IPC__CONFIGURE__PART_ELECTOR);
	assert_string_equal(m->log->path, "/l/elector.log");
	assert_string_equal(m->log->level, "note");
	assert_true(m->log->json);
	assert_int_equal(m->elector->redis->command_timeout_ms, 1000);
	assert_int_equal(m->elector->redis->connect_timeout_ms, 5000);
	assert_string_equal(m->elector->redis->password, "pw");
	assert_string_equal(m->elector->holder, "host-1");
	m = s[SLICE_FETCHER].msg;
	assert_int_equal(m->fetcher->sync_delay_ms, 3000);
	assert_int_equal(m->fetcher->n_tags, 2);
	assert_string_equal(m->fetcher->tags[1], "b");
	assert_int_equal(m->fetcher->encryption_secret.len, 32);
	assert_string_equal(m->fetcher->node_id, "id-1");
	assert_int_equal(m->fetcher->redis->command_timeout_ms, 5000);
	m = s[SLICE_CACHE].msg;
	assert_string_equal(m->cache->store_dir, "/s/store");
	assert_string_equal(m->log->level, "debug");
	assert_non_null(m->cache->redis);
	assert_string_equal(m->cache->local_socket, "");
	assert_string_equal(m->cache->http->address, "unix:/r/http.sock");
	assert_false(m->cache->http->anonymous);
	assert_int_equal(m->cache->http->n_users, 1);
	assert_string_equal(m->cache->http->users[0]->name, "ops");
	assert_string_equal(m->cache->http->users[0]->password, "pw: 1");
	reset_all(s);
	config_free(&c);
}

/* The other value of a row, for seeing whom it concerns. */
static const char *other_value(const struct schema_row *row)
{
	static char text[32];

	switch (row->type) {
	case TYPE_BOOL:
		return strcmp(row->dflt, "true") == 0 ? "false" : "true";
	case TYPE_INT:
		(void)snprintf(text, sizeof(text), "%lld", (long long)atoll(row->dflt) + 1);
		return text;
	case TYPE_ENUM:
		return strstr(row->options, "debug") != NULL ? "debug" : NULL;
	case TYPE_PATH:
		return "/other";
	case TYPE_SECRET:
		return "0123456789abcdef";
	default:
		return "other";
	}
}

static void sentinels_are_told_to_those_who_connect(void **state)
{
	struct slice s[SLICE__COUNT] = { 0 };
	struct config *c = must_load(
		BASE "distributed-sync.redis:\n  host: not-used\n  sentinel:\n    master: m\n"
		     "    password: sp\n    nodes: [{host: '', port: 8}, {host: ''}, {host: a}, "
		     "{host: '${no:}', port: 9}, {host: '::1', port: 7}]\n",
		NULL);
	const Ipc__Redis *r;

	UNUSED(state);
	build_all(s, c);
	r = s[SLICE_ELECTOR].msg->elector->redis;
	assert_string_equal(r->host, "");
	assert_string_equal(r->sentinel_master, "m");
	assert_string_equal(r->sentinel_password, "sp");
	assert_int_equal(r->n_sentinels, 2);
	assert_string_equal(r->sentinels[0], "a:26379");
	assert_string_equal(r->sentinels[1], "[::1]:7");
	assert_int_equal(s[SLICE_CACHE].msg->cache->redis->n_sentinels, 2);
	reset_all(s);
	config_free(&c);
}

static void slices_change_for_the_workers_of_the_table(void **state)
{
	struct slice before[SLICE__COUNT] = { 0 };
	struct config *c = must_load(BASE, NULL);
	unsigned i;
	unsigned w;

	UNUSED(state);
	build_all(before, c);
	config_free(&c);
	for (i = 0; i < CFG__COUNT; i++) {
		static const unsigned bit[] = { FOR_ELECTOR, FOR_FETCHER, FOR_CACHE };
		const struct schema_row *row = schema_row((enum cfg)i);
		const char *value = other_value(row);
		struct slice after[SLICE__COUNT] = { 0 };
		char var[128];

		/* Those have one valid value in this release, or one that needs another key. */
		if (row->status != STATUS_USED || value == NULL || row->who == FOR_SUPERVISOR ||
		    row->needs != 0 || i == CFG_REDIS_SSL || i == CFG_SYNC_DISTRIBUTED ||
		    strstr(row->key, ".mongodb.") != NULL ||
		    strstr(row->key, ".sentinel.") != NULL || strstr(row->key, ".jdbc.") != NULL)
			continue;
		(void)snprintf(var, sizeof(var), "gravitee_%s=%s", row->key, value);
		c = must_load(BASE, ENV(var));
		build_all(after, c);
		for (w = 0; w < SLICE__COUNT; w++)
			if (slice_equal(&before[w], &after[w]) == ((row->who & bit[w]) != 0))
				fail_msg("%s: %s", row->key,
					 slice_worker_name((enum slice_worker)w));
		reset_all(after);
		config_free(&c);
	}
	reset_all(before);
}

static void tls_reaches_the_workers_only_where_it_is_used(void **state)
{
	static const char keys[] =
		"distributed-sync.redis:\n"
		"  host: r\n"
		"  tlsCiphers: a,b\n"
		"  keystore: {type: pem, keyPassword: kp,\n"
		"    certificates: [{cert: /c1, key: /k1}, {cert: /c2, key: /k2}]}\n"
		"  truststore: {type: JKS, path: /t, password: tp, alias: ca}\n";
	static const char ssl[] = SSL;
	struct slice s[SLICE__COUNT] = { 0 };
	char *text = mem_printf("%s%s", BASE, keys);
	struct config *c = must_load(text, NULL);
	Ipc__Tls *m;

	UNUSED(state);
	build_all(s, c);
	assert_null(s[SLICE_CACHE].msg->cache->redis->tls);
	reset_all(s);
	config_free(&c);
	mem_free(text);
	text = mem_printf("%s%s%s", BASE, keys, ssl);
	c = must_load(text, NULL);
	build_all(s, c);
	assert_non_null(s[SLICE_ELECTOR].msg->elector->redis->tls);
	assert_non_null(s[SLICE_FETCHER].msg->fetcher->redis->tls);
	m = s[SLICE_CACHE].msg->cache->redis->tls;
	assert_false(m->trust_all || m->any_name);
	assert_string_equal(m->server_name, ""); /* the host's */
	assert_int_equal(m->n_ciphers, 2);
	assert_int_equal(m->keystore->n_keys, 2);
	assert_string_equal(m->keystore->certs[1], "/c2");
	assert_string_equal(m->keystore->key_password, "kp");
	assert_string_equal(m->truststore->type, "jks");
	assert_string_equal(m->truststore->password, "tp");
	assert_string_equal(m->truststore->alias, "ca");
	reset_all(s);
	config_free(&c);
	mem_free(text);
}

static const char MONGO[] = "management:\n  type: mongodb\n  mongodb:\n";

static Ipc__Mongo *mongo_of(struct slice *s, const char *keys)
{
	const struct slice_input in = { .state_dir = "/s" };
	char *text = mem_printf("%s%s%s", BASE, MONGO, keys);
	struct config *c = must_load(text, NULL);

	slice_build(s, c, SLICE_FETCHER, &in);
	config_free(&c);
	mem_free(text);
	return s->msg->fetcher->mongo;
}

static void a_database_is_described_by_its_string_or_by_its_parts(void **state)
{
	struct slice s = { 0 };
	Ipc__Mongo *m;

	UNUSED(state);
	m = mongo_of(&s,
		     "    prefix: p_\n    socketTimeout: 2000\n    username: u\n    password: x\n");
	assert_string_equal(m->hosts[0], "localhost:27017");
	assert_string_equal(m->database, "gravitee");
	assert_string_equal(m->auth_source, "gravitee");
	assert_string_equal(m->prefix, "p_");
	assert_string_equal(m->password, "x");
	assert_int_equal(m->socket_timeout_ms, 2000);
	slice_reset(&s);
	m = mongo_of(&s, "    servers:\n      - host: a\n      - host: b\n        port: 27018\n");
	assert_int_equal(m->n_hosts, 2);
	assert_string_equal(m->hosts[0], "a:27017");
	assert_string_equal(m->hosts[1], "b:27018");
	slice_reset(&s);
	/* What the string stands for does not count beside it. */
	m = mongo_of(&s, "    uri: mongodb://h/db\n    username: u\n    host: other\n");
	assert_string_equal(m->uri, "mongodb://h/db");
	assert_int_equal(m->n_hosts, 0);
	assert_string_equal(m->username, "");
	slice_reset(&s);
}

static void a_sql_database_is_described_by_its_url_and_what_stands_beside_it(void **state)
{
	static const char text[] =
		"management:\n  type: jdbc\n  jdbc:\n    url: jdbc:postgresql:d\n"
		"    username: u\n    password: x\n    prefix: p_\n";
	const struct slice_input in = { .state_dir = "/s" };
	char *all = mem_printf("%s%s", BASE, text);
	struct config *c = must_load(all, NULL);
	struct slice s = { 0 };
	const Ipc__Postgres *m;

	UNUSED(state);
	slice_build(&s, c, SLICE_FETCHER, &in);
	m = s.msg->fetcher->postgres;
	assert_null(s.msg->fetcher->mongo);
	assert_string_equal(m->url, "jdbc:postgresql:d");
	assert_string_equal(m->username, "u");
	assert_string_equal(m->password, "x");
	assert_string_equal(m->prefix, "p_");
	assert_string_equal(m->schema, "");
	assert_string_equal(m->timezone, "UTC");
	assert_null(m->tls);
	slice_reset(&s);
	config_free(&c);
	mem_free(all);
}

static void a_sql_database_has_the_stores_of_the_others(void **state)
{
	static const char text[] =
		"management:\n  type: jdbc\n  jdbc:\n    url: jdbc:postgresql:d\n"
		"    keystore: {path: /k.jks, type: JKS, password: x, keyPassword: y, alias: me}\n"
		"    truststore: {path: /t.p12, password: z, alias: them}\n";
	const struct slice_input in = { .state_dir = "/s" };
	char *all = mem_printf("%s%s", BASE, text);
	struct config *c = must_load(all, NULL);
	struct slice s = { 0 };
	const Ipc__Tls *m;

	UNUSED(state);
	slice_build(&s, c, SLICE_FETCHER, &in);
	m = s.msg->fetcher->postgres->tls;
	assert_string_equal(m->keystore->type, "jks");
	assert_string_equal(m->keystore->path, "/k.jks");
	assert_string_equal(m->keystore->password, "x");
	assert_string_equal(m->keystore->key_password, "y");
	assert_string_equal(m->keystore->alias, "me");
	assert_string_equal(m->truststore->type, "");
	assert_string_equal(m->truststore->path, "/t.p12");
	assert_string_equal(m->truststore->password, "z");
	assert_string_equal(m->truststore->alias, "them");
	assert_false(m->any_name);
	slice_reset(&s);
	config_free(&c);
	mem_free(all);
}

static void file_that_cannot_be_read_is_an_errno(void **state)
{
	struct problems p = { 0 };
	struct config *c = NULL;
	struct err e = { 0 };

	UNUSED(state);
	assert_int_equal(config_load(&c, "/nonexistent/x.yml", &p, &e), -ENOENT);
	assert_true(
		has(&p, PROBLEM_ERROR, "/nonexistent/x.yml: No such file or directory; name a"));
	problems_reset(&p);
	assert_int_equal(config_load(&c, "/", &p, &e), -EISDIR);
	problems_reset(&p);
	assert_int_equal(config_load(&c, SOURCE_ROOT "/conf/zonesync.yml", &p, &e), 0);
	assert_true(config_str(c, CFG_NODE_NAME)[0] != '\0');
	problems_reset(&p);
	config_free(&c);
}

static void rows_of_the_table_are_sound(void **state)
{
	unsigned i;

	UNUSED(state);
	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);
		char key[160];

		assert_true(row->doc[0] != '\0');
		assert_true((row->status == STATUS_USED) == (row->who != 0));
		assert_true(row->status != STATUS_REFUSED || row->why != NULL);
		assert_true(row->type != TYPE_ENUM || row->options != NULL);
		if (schema_is_pattern(row) || row->status != STATUS_USED)
			continue;
		assert_int_equal(schema_match(row->key), i);
		if (row->type == TYPE_INT)
			assert_true(row->min < row->max);
		(void)snprintf(key, sizeof(key), "%s[0]", row->key);
		assert_int_equal(schema_match(key), row->type == TYPE_LIST ? i : CFG__COUNT);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timing_holds_for_every_ttl),
		cmocka_unit_test(timing_refuses_each_broken_inequality),
		cmocka_unit_test(rows_of_the_table_are_sound),
		cmocka_unit_test(an_empty_file_is_a_node_by_itself),
		cmocka_unit_test(defaults_are_those_of_the_table),
		cmocka_unit_test(wrong_values_name_file_line_key_and_remedy),
		cmocka_unit_test(what_tls_lacks_is_said),
		cmocka_unit_test(connections_that_are_not_verified_are_warned_of),
		cmocka_unit_test(keys_that_change_server_or_safety_are_refused),
		cmocka_unit_test(http_is_refused_where_it_would_be_open),
		cmocka_unit_test(http_users_come_from_the_file_and_the_environment),
		cmocka_unit_test(zone_id_follows_the_protocol),
		cmocka_unit_test(unknown_keys_are_warned_about_with_the_nearest),
		cmocka_unit_test(quiet_files_say_nothing),
		cmocka_unit_test(keys_of_the_gateway_are_passed_over),
		cmocka_unit_test(no_limit_of_the_reference_is_the_longest),
		cmocka_unit_test(environment_wins_in_every_spelling),
		cmocka_unit_test(variables_that_are_nearly_right_are_named),
		cmocka_unit_test(settings_that_would_mean_another_server_are_refused),
		cmocka_unit_test(what_wins_over_what_is_told),
		cmocka_unit_test(lists_take_all_forms),
		cmocka_unit_test(placeholders_are_replaced),
		cmocka_unit_test(gravitee_home_comes_from_the_environment),
		cmocka_unit_test(merge_keys_bring_what_is_not_there),
		cmocka_unit_test(what_begins_like_yaml_is_a_text_in_quotes),
		cmocka_unit_test(a_comment_close_to_a_secret_is_doubted),
		cmocka_unit_test(a_default_of_a_shell_is_doubted),
		cmocka_unit_test(a_value_may_stand_in_a_file),
		cmocka_unit_test(repositories_prefix_comes_last),
		cmocka_unit_test(yaml_errors_explain_themselves),
		cmocka_unit_test(yaml_is_bounded),
		cmocka_unit_test(aliases_are_followed),
		cmocka_unit_test(published_samples_are_explained),
		cmocka_unit_test(a_gateways_own_file_is_accepted),
		cmocka_unit_test(sample_file_is_the_table),
		cmocka_unit_test(show_masks_secrets_and_names_origins),
		cmocka_unit_test(problems_come_in_the_order_of_the_file),
		cmocka_unit_test(secrets_stay_out_of_problems),
		cmocka_unit_test(uris_are_masked),
		cmocka_unit_test(slices_hold_what_the_worker_needs),
		cmocka_unit_test(sentinels_are_told_to_those_who_connect),
		cmocka_unit_test(tls_reaches_the_workers_only_where_it_is_used),
		cmocka_unit_test(slices_change_for_the_workers_of_the_table),
		cmocka_unit_test(a_database_is_described_by_its_string_or_by_its_parts),
		cmocka_unit_test(a_sql_database_is_described_by_its_url_and_what_stands_beside_it),
		cmocka_unit_test(a_sql_database_has_the_stores_of_the_others),
		cmocka_unit_test(file_that_cannot_be_read_is_an_errno),
	};
	struct buf b = { 0 };

	/* `test-config sample >conf/zonesync.yml` after a change of the table. */
	if (argc == 2 && strcmp(argv[1], "sample") == 0) {
		config_write_sample(&b);
		(void)fwrite(b.data, 1, b.len, stdout);
		buf_reset(&b);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
