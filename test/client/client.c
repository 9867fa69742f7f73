/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client - a gateway in C: nothing but libc, protobuf-c and what it makes of gateway.proto.
 *
 *	client check SOCKET API KEY CLIENT	asks everything once, and compares
 *	client follow SOCKET POSITION COUNT	prints COUNT changes, and where to go on from
 *
 * Exits with 0, or with 1 and what was not as gateway.proto says.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway.pb-c.h"

#define REPLY_MAX (1U << 20)
#define SECONDS	  40
#define PIPELINED 2000

#define WANT(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			(void)fprintf(stderr, "line %d: not so: %s\n", __LINE__, #cond);           \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static int fd = -1;
static uint64_t last_id;

static void dial(const char *path)
{
	const struct timeval limit = { .tv_sec = SECONDS };
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	WANT(fd >= 0 && strlen(path) < sizeof(a.sun_path));
	(void)strcpy(a.sun_path, path);
	WANT(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
	WANT(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
}

static void send_request(Gateway__Request *r)
{
	uint8_t frame[4096];
	size_t n = gateway__request__get_packed_size(r);

	WANT(n + 4 + 16 <= sizeof(frame));
	r->id = ++last_id;
	n = gateway__request__pack(r, frame + 4);
	frame[0] = frame[1] = 0;
	frame[2] = (uint8_t)(n >> 8);
	frame[3] = (uint8_t)n;
	WANT(send(fd, frame, n + 4, MSG_NOSIGNAL) == (ssize_t)n + 4);
}

static Gateway__Reply *receive(void)
{
	static uint8_t body[REPLY_MAX];
	uint8_t head[4];
	Gateway__Reply *r;
	size_t n;

	WANT(recv(fd, head, 4, MSG_WAITALL) == 4);
	n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	WANT(n <= sizeof(body));
	WANT(n == 0 || recv(fd, body, n, MSG_WAITALL) == (ssize_t)n);
	r = gateway__reply__unpack(NULL, n, body);
	WANT(r != NULL);
	return r;
}

static Gateway__Reply *ask(Gateway__Request *r)
{
	Gateway__Reply *reply;

	send_request(r);
	reply = receive();
	WANT(reply->id == r->id);
	return reply;
}

#define REQUEST(BODY, member, type, var)                                                           \
	Gateway__Request r;                                                                        \
	Gateway__##type var;                                                                       \
	gateway__request__init(&r);                                                                \
	r.body_case = GATEWAY__REQUEST__BODY_##BODY;                                               \
	r.member = &var

/* --- check --- */

static void check_head(char *lineage, size_t n, uint64_t *revision)
{
	REQUEST(HEAD, head, Head, h);
	Gateway__Reply *a;

	gateway__head__init(&h);
	a = ask(&r);
	WANT(a->code == GATEWAY__CODE__OK && a->position != NULL && a->position->proven);
	WANT(a->position->revision > 0 && strlen(a->position->digest) == 32);
	(void)snprintf(lineage, n, "%s", a->position->lineage);
	*revision = a->position->revision;
	gateway__reply__free_unpacked(a, NULL);
}

static void check_get(const char *api)
{
	REQUEST(GET, get, Get, g);
	Gateway__Reply *a;

	gateway__get__init(&g);
	g.kind = (char *)(uintptr_t) "API";
	g.entity_id = (char *)(uintptr_t)api;
	a = ask(&r);
	WANT(a->code == GATEWAY__CODE__OK && a->n_events == 1 && !a->more);
	WANT(strcmp(a->events[0]->id, api) == 0 && a->events[0]->deployed);
	WANT(a->events[0]->payload.len == a->events[0]->payload_bytes);
	WANT(memmem(a->events[0]->payload.data, a->events[0]->payload.len, api, strlen(api)) !=
	     NULL);
	gateway__reply__free_unpacked(a, NULL);
	g.entity_id = (char *)(uintptr_t) "nobody";
	a = ask(&r);
	WANT(a->code == GATEWAY__CODE__NOT_FOUND && a->n_events == 0);
	gateway__reply__free_unpacked(a, NULL);
}

static void check_list(const char *api)
{
	REQUEST(LIST, list, List, l);
	char after[2048] = "";
	unsigned n = 0;
	unsigned pages = 0;

	gateway__list__init(&l);
	l.ref = (char *)(uintptr_t)api;
	l.limit = 1;
	l.after = after;
	do {
		Gateway__Reply *a = ask(&r);

		WANT(a->code == GATEWAY__CODE__OK && a->n_events <= 1);
		WANT(strlen(a->next) < sizeof(after) && pages++ < 100);
		n += (unsigned)a->n_events;
		(void)strcpy(after, a->next);
		gateway__reply__free_unpacked(a, NULL);
	} while (after[0] != '\0');
	WANT(n == 2); /* its subscription and its key */
}

static void check_match(const Gateway__Reply *a, const char *key_id)
{
	const Gateway__Match *m;

	WANT(a->code == GATEWAY__CODE__OK && a->position != NULL && a->resolution != NULL);
	WANT(a->resolution->found && a->resolution->deployed && a->resolution->n_matches == 1);
	m = a->resolution->matches[0];
	WANT(m->active && m->why == GATEWAY__MATCH__WHY__NONE);
	WANT(m->subscription[0] != '\0' && m->plan[0] != '\0' && m->application[0] != '\0');
	WANT((m->key_id[0] != '\0') == (key_id != NULL));
}

static void check_resolve(const char *api, const char *key, const char *client)
{
	REQUEST(RESOLVE_KEY, resolve_key, ResolveKey, k);
	Gateway__ResolveSubscription s;
	Gateway__Reply *a;
	unsigned i;

	gateway__resolve_key__init(&k);
	k.ref = (char *)(uintptr_t)api;
	k.key = (char *)(uintptr_t)key;
	a = ask(&r);
	check_match(a, key);
	gateway__reply__free_unpacked(a, NULL);
	k.key = (char *)(uintptr_t) "no such key";
	a = ask(&r);
	WANT(a->code == GATEWAY__CODE__NOT_FOUND && !a->resolution->found);
	gateway__reply__free_unpacked(a, NULL);
	/* All of them under way at once, answered in their order. */
	for (i = 0; i < PIPELINED; i++) {
		k.key = (char *)(uintptr_t)(i % 2 == 0 ? key : "no such key");
		send_request(&r);
	}
	for (i = 0; i < PIPELINED; i++) {
		a = receive();
		WANT(a->id == last_id - PIPELINED + 1 + i);
		WANT(a->resolution->found == (i % 2 == 0));
		gateway__reply__free_unpacked(a, NULL);
	}
	gateway__resolve_subscription__init(&s);
	s.ref = (char *)(uintptr_t)api;
	s.client_id = (char *)(uintptr_t)client;
	r.body_case = GATEWAY__REQUEST__BODY_RESOLVE_SUBSCRIPTION;
	r.resolve_subscription = &s;
	a = ask(&r);
	check_match(a, NULL);
	gateway__reply__free_unpacked(a, NULL);
}

static void check_wait(const char *lineage, uint64_t revision)
{
	REQUEST(WAIT, wait, Wait, w);
	Gateway__Reply *a;
	char position[100];

	gateway__wait__init(&w);
	w.position = position;
	(void)snprintf(position, sizeof(position), "%s:%" PRIu64, lineage, revision);
	a = ask(&r);
	WANT(a->code == GATEWAY__CODE__OK);
	gateway__reply__free_unpacked(a, NULL);
	(void)snprintf(position, sizeof(position), "another:%" PRIu64, revision);
	a = ask(&r);
	WANT(a->code == GATEWAY__CODE__RESET);
	gateway__reply__free_unpacked(a, NULL);
}

static void check(char **argv)
{
	char lineage[64];
	uint64_t revision = 0;

	dial(argv[0]);
	check_head(lineage, sizeof(lineage), &revision);
	check_get(argv[1]);
	check_list(argv[1]);
	check_resolve(argv[1], argv[2], argv[3]);
	check_wait(lineage, revision);
	(void)printf("ok\n");
}

/* --- follow --- */

static void follow(char **argv)
{
	REQUEST(WATCH, watch, Watch, w);
	unsigned long left = strtoul(argv[2], NULL, 10);

	dial(argv[0]);
	gateway__watch__init(&w);
	w.from = argv[1];
	send_request(&r);
	while (left > 0) {
		Gateway__Reply *a = receive();
		size_t i;

		WANT(a->id == r.id && a->code == GATEWAY__CODE__OK && a->more);
		for (i = 0; i < a->n_events; i++)
			(void)printf("%s %s %s\n", a->events[i]->deployed ? "+" : "-",
				     a->events[i]->kind, a->events[i]->id);
		left -= a->n_events < left ? a->n_events : left;
		(void)printf("%s:%" PRIu64 "\n", a->position->lineage, a->position->revision);
		(void)fflush(stdout);
		gateway__reply__free_unpacked(a, NULL);
	}
}

int main(int argc, char **argv)
{
	bool known = true;

	if (argc == 6 && strcmp(argv[1], "check") == 0)
		check(argv + 2);
	else if (argc == 5 && strcmp(argv[1], "follow") == 0)
		follow(argv + 2);
	else
		known = false;
	WANT(known); /* see the usage above */
	(void)close(fd);
	return 0;
}
