/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis client by TLS, against real servers with certificates of test/pki. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "test/unit/redis_kit.h"

#define PASSWORD "storepass"
#define BIG	 (100 * 1024)
#define MANY	 200

/* A server by TLS, and a client of it. */
struct rig {
	struct kit kit;
	uint16_t port;
	char *port_text;
	struct redis *client;
	struct redis_opts o;
	Ipc__Tls tls;
	Ipc__TlsStore keystore;
	Ipc__TlsStore truststore;
	char *paths[4];
	size_t n_paths;
	bool up;
	bool down;
	bool either;
	char why[ERR_TEXT_BYTES];
};

static void on_up(void *arg)
{
	struct rig *g = arg;

	g->up = true;
	g->either = true;
}

static void on_down(void *arg, const struct err *e)
{
	struct rig *g = arg;

	g->down = true;
	g->either = true;
	str_copy(g->why, sizeof(g->why), e->text);
}

static uint16_t free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	(void)close(fd);
	return ntohs(a.sin_port);
}

/* `name`: whose certificate the server has; `mutual`: it wants one of the client. */
static void rig_open(struct rig *g, const char *name, bool mutual)
{
	char *cert = mem_printf("%s/%s.pem", PKI_DIR, name);
	char *key = mem_printf("%s/%s.key", PKI_DIR, name);
	const char *args[] = { "--tls-port",
			       NULL,
			       "--tls-cert-file",
			       cert,
			       "--tls-key-file",
			       key,
			       "--tls-ca-cert-file",
			       PKI_DIR "/ca.pem",
			       "--tls-auth-clients",
			       mutual ? "yes" : "no",
			       NULL };

	*g = (struct rig){ 0 };
	kit_open(&g->kit);
	g->port = free_port();
	g->port_text = mem_printf("%u", g->port);
	args[1] = g->port_text;
	kit_start(&g->kit, args);
	ipc__tls__init(&g->tls);
	ipc__tls_store__init(&g->keystore);
	ipc__tls_store__init(&g->truststore);
	g->o = (struct redis_opts){ .host = "localhost",
				    .port = g->port,
				    .connect_timeout_ms = 10000,
				    .command_timeout_ms = 10000,
				    .tls = &g->tls };
	mem_free(cert);
	mem_free(key);
}

static void rig_connect(struct rig *g)
{
	const struct redis_hooks h = { .arg = g, .up = on_up, .down = on_down };

	redis_close(&g->client);
	g->up = false;
	g->down = false;
	g->either = false;
	assert_int_equal(redis_open(&g->client, &g->kit.loop, &g->o, &h, NULL), 0);
	kit_until(&g->kit, &g->either);
}

static void rig_close(struct rig *g)
{
	redis_close(&g->client);
	kit_close(&g->kit);
	mem_free(g->port_text);
	while (g->n_paths > 0)
		mem_free(g->paths[--g->n_paths]);
}

static char *path(struct rig *g, const char *name)
{
	assert_true(g->n_paths < ARRAY_LEN(g->paths));
	g->paths[g->n_paths] = mem_printf("%s/%s", PKI_DIR, name);
	return g->paths[g->n_paths++];
}

static char *lend(const char *s)
{
	return (char *)(uintptr_t)s;
}

static const char *const types[] = { "pem", "pkcs12", "jks" };

static void trust(struct rig *g, unsigned type, const char *password, bool other)
{
	static const char *const good[] = { "ca.pem", "trust.p12", "trust.jks" };
	static const char *const bad[] = { "other.pem", "other.p12", "other.jks" };

	g->truststore.type = lend(types[type]);
	g->truststore.path = path(g, other ? bad[type] : good[type]);
	g->truststore.password = lend(type == 0 ? "" : password);
	/* The stores of keytool hold both authorities. */
	g->truststore.alias = lend(type == 0 || other ? "" : "the-ca");
	g->tls.truststore = &g->truststore;
}

static void identify(struct rig *g, unsigned type, const char *password)
{
	static const char *const file[] = { "client-both.pem", "two.p12", "two.jks" };

	g->keystore.type = lend(types[type]);
	g->keystore.path = path(g, file[type]);
	g->keystore.password = lend(type == 0 ? "" : password);
	g->keystore.alias = lend(type == 0 ? "" : "client");
	g->tls.keystore = &g->keystore;
}

static void must_fail(struct rig *g, const char *words)
{
	rig_connect(g);
	if (g->up || strstr(g->why, words) == NULL)
		fail_msg("%s: `%s`, without `%s`", g->up ? "up" : "down", g->why, words);
	assert_null(strstr(g->why, PASSWORD));
}

enum flaw { GOOD, EXPIRED, WRONG_NAME, UNKNOWN_CA, WRONG_PASSWORD, FLAWS };

static void one_cell(unsigned type, bool mutual, enum flaw flaw)
{
	static const char *const server[] = { "server", "expired", "elsewhere", "server",
					      "server" };
	static const char *const words[] = { NULL, "certificate has expired", "not for `localhost`",
					     "not accepted: ", "wrong password" };
	const char *password = flaw == WRONG_PASSWORD ? "wrong" : PASSWORD;
	struct rig g;

	if (flaw == WRONG_PASSWORD && type == 0) /* PEM: test_tls.c */
		return;
	rig_open(&g, server[flaw], mutual);
	trust(&g, type, password, flaw == UNKNOWN_CA);
	if (mutual)
		identify(&g, type, password);
	if (flaw == GOOD) {
		rig_connect(&g);
		if (!g.up)
			fail_msg("%s: %s", types[type], g.why);
	} else {
		must_fail(&g, words[flaw]);
	}
	rig_close(&g);
}

static void every_store_and_every_flaw(void **state)
{
	unsigned i;

	UNUSED(state);
	for (i = 0; i < 3 * 2 * FLAWS; i++)
		one_cell(i % 3, i / 3 % 2 == 1, (enum flaw)(i / 6));
}

static void servers_refuse_clients_they_do_not_know(void **state)
{
	struct rig g;

	UNUSED(state);
	rig_open(&g, "server", true);
	trust(&g, 0, "", false);
	must_fail(&g, "TLS: ");
	g.keystore.type = lend("pem");
	g.keystore.certs = (char *[]){ path(&g, "alien.pem") };
	g.keystore.keys = (char *[]){ path(&g, "alien.key") };
	g.keystore.n_certs = 1;
	g.keystore.n_keys = 1;
	g.tls.keystore = &g.keystore;
	must_fail(&g, "TLS: ");
	rig_close(&g);
}

/* Redis names no authorities: the first is taken, and an alias chooses. */
static void of_several_keys_the_first_is_taken(void **state)
{
	struct rig g;

	UNUSED(state);
	rig_open(&g, "server", true);
	g.tls.trust_all = true;
	g.keystore.type = lend("pem");
	g.keystore.certs = (char *[]){ path(&g, "second.pem"), path(&g, "alien.pem") };
	g.keystore.keys = (char *[]){ path(&g, "second.key"), path(&g, "alien.key") };
	g.keystore.n_certs = 2;
	g.keystore.n_keys = 2;
	g.tls.keystore = &g.keystore;
	rig_connect(&g);
	assert_true(g.up);
	rig_close(&g);
}

static void what_is_verified_can_be_chosen(void **state)
{
	struct rig g;

	UNUSED(state);
	rig_open(&g, "elsewhere", false);
	must_fail(&g, "the reference accepts any"); /* no truststore: the system's */
	trust(&g, 0, "", false);
	must_fail(&g, "hostnameVerificationAlgorithm: NONE");
	g.tls.server_name = lend("elsewhere.test");
	rig_connect(&g);
	assert_true(g.up);
	g.tls.server_name = lend(".test"); /* OpenSSL would take any name below it */
	must_fail(&g, "no name");
	g.tls.server_name = lend("");
	g.tls.any_name = true;
	rig_connect(&g);
	assert_true(g.up);
	g.tls.truststore = NULL;
	must_fail(&g, "not accepted");
	g.tls.trust_all = true;
	rig_connect(&g);
	assert_true(g.up);
	rig_close(&g);
}

static void addresses_are_names_too(void **state)
{
	struct rig g;

	UNUSED(state);
	rig_open(&g, "server", false);
	trust(&g, 0, "", false);
	g.o.host = "127.0.0.1";
	rig_connect(&g);
	assert_true(g.up);
	g.tls.server_name = lend("127.0.0.2");
	must_fail(&g, "not for `127.0.0.2`");
	rig_close(&g);
}

static void versions_and_ciphers_are_obeyed(void **state)
{
	static const char *const versions[] = { "TLSv1.2", "TLSv1.3" };
	struct rig g;
	unsigned i;

	UNUSED(state);
	rig_open(&g, "server", false);
	trust(&g, 0, "", false);
	for (i = 0; i < 2; i++) {
		g.tls.protocols = (char *[]){ lend(versions[i]) };
		g.tls.n_protocols = 1;
		rig_connect(&g);
		assert_true(g.up);
	}
	g.tls.n_protocols = 0;
	g.tls.ciphers = (char *[]){ lend("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384") };
	g.tls.n_ciphers = 1;
	rig_connect(&g);
	assert_true(g.up);
	g.tls.ciphers[0] = lend("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"); /* the server is RSA */
	must_fail(&g, "TLS: ");
	rig_close(&g);
}

static void a_server_without_tls_is_told(void **state)
{
	struct rig g;
	char *port;

	UNUSED(state);
	rig_open(&g, "server", false);
	trust(&g, 0, "", false);
	g.o.port = free_port();
	port = mem_printf("%u", g.o.port);
	assert_string_equal(kit_ask(&g.kit, "CONFIG", "SET", "port", port, NULL), "OK");
	mem_free(port);
	g.o.connect_timeout_ms = 1500;
	must_fail(&g, "TLS");
	rig_close(&g);
}

static size_t answers;
static bool all_came;

static void on_echo(void *arg, const struct redis_reply *r, const struct err *e)
{
	const char *want = arg;
	size_t n = 0;
	const char *p = redis_str(r, &n);

	assert_null(e);
	assert_int_equal(n, BIG);
	assert_memory_equal(p, want, BIG);
	answers++;
	all_came = answers == MANY;
}

/* More than the socket takes at once, in pieces from many turns of the loop. */
static void nothing_is_lost_while_a_write_is_on_its_way(void **state)
{
	char *data = mem_alloc(MANY + BIG);
	struct rig g;
	size_t i;

	UNUSED(state);
	rig_open(&g, "server", false);
	trust(&g, 0, "", false);
	rig_connect(&g);
	for (i = 0; i < MANY + BIG; i++)
		data[i] = (char)(i * 2654435761U >> 13);
	answers = 0;
	all_came = false;
	assert_int_equal(kill(g.kit.pid, SIGSTOP), 0);
	for (i = 0; i < MANY; i++) {
		struct redis_cmd c = { 0 };

		redis_cmd_str(&c, "ECHO");
		redis_cmd_arg(&c, data + i, BIG);
		assert_int_equal(redis_send(g.client, &c, on_echo, data + i), 0);
		if (i % 3 == 0)
			(void)uv_run(&g.kit.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(kill(g.kit.pid, SIGCONT), 0);
	kit_until(&g.kit, &all_came);
	mem_free(data);
	rig_close(&g);
}

/* The files are read for each connection, and one that stands goes on. */
static void new_connections_use_new_files(void **state)
{
	struct rig g;
	char *store;
	char *command;

	UNUSED(state);
	rig_open(&g, "server", false);
	store = mem_printf("%s/trust.pem", g.kit.dir);
	command = mem_printf("cp %s/other.pem %s", PKI_DIR, store);
	assert_int_equal(system(command), 0);
	mem_free(command);
	g.truststore.type = lend("pem");
	g.truststore.path = store;
	g.tls.truststore = &g.truststore;
	must_fail(&g, "not accepted");
	command = mem_printf("cp %s/ca.pem %s", PKI_DIR, store);
	assert_int_equal(system(command), 0);
	mem_free(command);
	kit_until(&g.kit, &g.up); /* by itself */
	g.down = false;
	(void)unlink(store);
	assert_string_equal(
		kit_ask(&g.kit, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL), "1");
	g.up = false;
	kit_until(&g.kit, &g.down);
	rig_close(&g);
	mem_free(store);
}

static void a_user_of_the_documented_rights_gets_in(void **state)
{
	struct rig g;

	UNUSED(state);
	rig_open(&g, "server", true);
	(void)kit_ask(&g.kit, "ACL", "SETUSER", "zonesync", "on", ">pass word",
		      "~distributed_event:*", "~distributed_sync_state:*", "~zonesync:*",
		      "&zonesync:*", "+@read", "+@write", "+@scripting", "+@pubsub", "+@connection",
		      "+info", "+time", NULL);
	(void)kit_ask(&g.kit, "ACL", "SETUSER", "default", "resetkeys", "-@all", "+ping", NULL);
	trust(&g, 1, PASSWORD, false);
	identify(&g, 2, PASSWORD);
	g.o.username = "zonesync";
	g.o.password = "pass word";
	rig_connect(&g);
	assert_true(g.up);
	g.o.password = "other";
	must_fail(&g, "WRONGPASS");
	rig_close(&g);
}

/* Closing at any moment: what the pool still reads is let go by itself. */
static void a_client_may_be_closed_at_any_step(void **state)
{
	const struct redis_hooks h = { .up = on_up, .down = on_down };
	struct rig g;
	unsigned i;

	UNUSED(state);
	rig_open(&g, "server", false);
	trust(&g, 1, PASSWORD, false);
	for (i = 0; i < 12; i++) {
		struct redis *r = NULL;
		struct redis_hooks mine = h;
		unsigned turns;

		mine.arg = &g;
		assert_int_equal(redis_open(&r, &g.kit.loop, &g.o, &mine, NULL), 0);
		g.up = false;
		for (turns = 0; turns < i && !g.up; turns++)
			(void)uv_run(&g.kit.loop, UV_RUN_ONCE);
		redis_close(&r);
	}
	rig_close(&g);
}

static int make_pki(void **state)
{
	UNUSED(state);
	return system(SOURCE_ROOT "/test/pki " PKI_DIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_store_and_every_flaw),
		cmocka_unit_test(servers_refuse_clients_they_do_not_know),
		cmocka_unit_test(of_several_keys_the_first_is_taken),
		cmocka_unit_test(what_is_verified_can_be_chosen),
		cmocka_unit_test(addresses_are_names_too),
		cmocka_unit_test(versions_and_ciphers_are_obeyed),
		cmocka_unit_test(a_server_without_tls_is_told),
		cmocka_unit_test(nothing_is_lost_while_a_write_is_on_its_way),
		cmocka_unit_test(new_connections_use_new_files),
		cmocka_unit_test(a_user_of_the_documented_rights_gets_in),
		cmocka_unit_test(a_client_may_be_closed_at_any_step),
	};

	return cmocka_run_group_tests(tests, make_pki, NULL);
}
