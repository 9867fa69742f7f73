/* SPDX-License-Identifier: Apache-2.0 */
#include "common/redis/sentinel.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/message/message.h"

#define CHANNEL "+switch-master"

struct sentinel_node {
	char host[SENTINEL_HOST_BYTES];
	uint16_t port;
	bool configured; /* else learned, and forgotten with the next lesson */
};

enum asking {
	ASK_NOBODY,
	ASK_MASTER, /* a question waits for the answer of nodes[0] */
	ASK_LISTEN  /* it was given; nodes[0] is listened to, or will be */
};

struct locator {
	uv_loop_t *loop;
	struct redis_opts o; /* of a connection to a Sentinel; strings owned */
	Ipc__Tls *tls;	     /* owned: they speak it where the master does */
	struct locator_hooks hooks;
	char *master; /* owned */
	struct sentinel_node nodes[SENTINEL_NODES_MAX];
	size_t n;
	size_t asked;	 /* of this round */
	bool unknown;	 /* one of this round knows no such master */
	struct err last; /* why the last one of this round did not answer */
	enum asking asking;
	struct sentinel_node found; /* where the master was last */
	struct redis *link;	    /* to nodes[0]; NULL: none */
	uv_timer_t listen;	    /* runs until the next one is listened to */
};

static void ask_next(struct locator *s);
static void listen_to_next(struct locator *s);

bool sentinel_parse(const char *text, char host[SENTINEL_HOST_BYTES], uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	const char *end = colon;
	uint64_t v = 0;

	if (colon == NULL || !str_to_u64(colon + 1, strlen(colon + 1), &v) || v == 0 || v > 65535)
		return false;
	if (text[0] == '[' && end > text && end[-1] == ']') {
		text++;
		end--;
	}
	if (end == text || (size_t)(end - text) >= SENTINEL_HOST_BYTES)
		return false;
	str_copy(host, (size_t)(end - text) + 1, text);
	*port = (uint16_t)v;
	return true;
}

/* --- the list --- */

static void to_the_back(struct locator *s)
{
	struct sentinel_node first = s->nodes[0];

	memmove(&s->nodes[0], &s->nodes[1], (s->n - 1) * sizeof(first));
	s->nodes[s->n - 1] = first;
}

static bool is_at(const struct sentinel_node *a, const struct sentinel_node *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

static void add_node(struct locator *s, const struct sentinel_node *n)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (is_at(&s->nodes[i], n))
			return;
	if (s->n < SENTINEL_NODES_MAX)
		s->nodes[s->n++] = *n;
}

/* The one that is asked stays the first. */
static void forget_learned(struct locator *s)
{
	size_t kept = 1;
	size_t i;

	for (i = 1; i < s->n; i++)
		if (s->nodes[i].configured)
			s->nodes[kept++] = s->nodes[i];
	s->n = kept;
}

/* --- questions --- */

static void hang_up(struct locator *s)
{
	(void)uv_timer_stop(&s->listen);
	redis_close(&s->link);
	s->asking = ASK_NOBODY;
}

static bool take_address(struct sentinel_node *out, const struct redis_reply *host,
			 const struct redis_reply *port)
{
	uint64_t v = 0;

	*out = (struct sentinel_node){ .port = 0 };
	if (!redis_copy(host, out->host, sizeof(out->host)) || out->host[0] == '\0' ||
	    !redis_u64(port, &v) || v == 0 || v > 65535)
		return false;
	out->port = (uint16_t)v;
	return true;
}

/* Without the others' answer it only knows fewer of them. */
static void on_fellows(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct locator *s = arg;
	size_t i;

	if (lost != NULL)
		return;
	if (!redis_is_error(r))
		forget_learned(s);
	for (i = 0; i < redis_count(r); i++) {
		const struct redis_reply *one = redis_at(r, i);
		struct sentinel_node n;

		if (take_address(&n, redis_value(one, "ip"), redis_value(one, "port")))
			add_node(s, &n);
	}
	CHECK(redis_subscribe(s->link, CHANNEL) == 0);
}

static void on_master(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct locator *s = arg;
	struct sentinel_node at;
	bool known;

	if (lost != NULL)
		return; /* on_down goes on */
	known = redis_count(r) == 2 && take_address(&at, redis_at(r, 0), redis_at(r, 1));
	if (!known && s->asking == ASK_MASTER) {
		if (redis_is_error(r))
			(void)err_set(&s->last, ERR_REMOTE, "%s:%u: %s", s->o.host, s->o.port,
				      redis_str(r, NULL));
		else
			s->unknown = true;
		to_the_back(s);
		ask_next(s);
		return;
	}
	if (!known) {
		listen_to_next(s);
		return;
	}
	if (redis_sendv(s->link, on_fellows, s, "SENTINEL", "SENTINELS", s->master, NULL) < 0)
		return;
	if (s->asking == ASK_LISTEN) {
		/* One that was listened to is back, or another is in its place: perhaps news was
		   missed. */
		if (!is_at(&at, &s->found))
			s->hooks.moved(s->hooks.arg);
		return;
	}
	s->asking = ASK_LISTEN;
	s->found = at;
	s->hooks.found(s->hooks.arg, at.host, at.port, NULL);
}

static void on_up(void *arg)
{
	struct locator *s = arg;

	CHECK(redis_sendv(s->link, on_master, s, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", s->master,
			  NULL) == 0);
}

static void on_down(void *arg, const struct err *why)
{
	struct locator *s = arg;

	if (s->asking == ASK_LISTEN) {
		listen_to_next(s);
		return;
	}
	(void)err_set(&s->last, why->code, "%s:%u: %s", s->o.host, s->o.port, why->text);
	to_the_back(s);
	ask_next(s);
}

/* "<name> <old host> <old port> <new host> <new port>" */
static void on_message(void *arg, const char *p, size_t n)
{
	struct locator *s = arg;
	size_t len = strlen(s->master);

	if (n > len && memcmp(p, s->master, len) == 0 && p[len] == ' ')
		s->hooks.moved(s->hooks.arg);
}

static void give_up(struct locator *s)
{
	struct err e = { 0 };

	hang_up(s);
	if (s->unknown)
		(void)err_set(&e, ERR_STATE,
			      "the Sentinels know no master `%.60s`; see SENTINEL MASTERS",
			      s->master);
	else
		(void)err_set(&e, ERR_TIMEOUT, "none of %zu Sentinels answers, the last: %.200s",
			      s->n, err_text(&s->last));
	s->hooks.found(s->hooks.arg, NULL, 0, &e);
}

static void call_first(struct locator *s, enum asking what)
{
	const struct redis_hooks h = {
		.arg = s, .up = on_up, .down = on_down, .message = on_message
	};

	s->o.host = s->nodes[0].host;
	s->o.port = s->nodes[0].port;
	s->asking = what;
	CHECK(redis_open(&s->link, s->loop, &s->o, &h, NULL) == 0);
}

static void ask_next(struct locator *s)
{
	hang_up(s);
	if (s->asked == s->n) {
		give_up(s);
		return;
	}
	s->asked++;
	call_first(s, ASK_MASTER);
}

static void on_listen(uv_timer_t *t)
{
	call_first(t->data, ASK_LISTEN);
}

/* The one that was listened to may never come back, and a master that was cut off from them
   all goes on answering. */
static void listen_to_next(struct locator *s)
{
	hang_up(s);
	to_the_back(s);
	s->asking = ASK_LISTEN;
	CHECK(uv_timer_start(&s->listen, on_listen, SENTINEL_LISTEN_MS, 0) == 0);
}

static void ask(struct locator *s, bool doubt)
{
	if (doubt)
		to_the_back(s);
	s->asked = 0;
	s->unknown = false;
	s->last = (struct err){ 0 };
	ask_next(s);
}

/* --- life --- */

static int open_set(struct locator **out, uv_loop_t *loop, const struct redis_opts *o,
		    const struct locator_hooks *h, struct err *e)
{
	const struct redis_sentinels *set = &o->sentinels;
	struct locator *s;
	size_t i;

	s = mem_zalloc(sizeof(*s));
	for (i = 0; i < set->n; i++) {
		struct sentinel_node n = { .configured = true };

		if (!sentinel_parse(set->nodes[i], n.host, &n.port)) {
			mem_free(s);
			return err_set(e, ERR_CONFIG, "`%.60s` is no Sentinel; write host:port",
				       set->nodes[i]);
		}
		add_node(s, &n);
	}
	CHECK(s->n > 0);
	s->loop = loop;
	s->hooks = *h;
	s->master = mem_strdup(set->master);
	s->o = (struct redis_opts){ .password = mem_strdup(set->password),
				    .password_setting = "distributed-sync.redis.sentinel.password",
				    .client_name = mem_strdup(o->client_name),
				    .window = 4,
				    .reply_max_bytes = SENTINEL_REPLY_BYTES };
	s->tls = message_copy(o->tls);
	s->o.tls = s->tls;
	s->o.connect_timeout_ms = MIN(SENTINEL_TIMEOUT_MS, o->connect_timeout_ms);
	s->o.command_timeout_ms = s->o.connect_timeout_ms;
	s->o.idle_ping_ms = s->o.connect_timeout_ms;
	CHECK(uv_timer_init(loop, &s->listen) == 0);
	s->listen.data = s;
	*out = s;
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	mem_free(h->data);
}

static void close_set(struct locator **sp)
{
	struct locator *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	redis_close(&s->link);
	mem_free_secret((char *)(uintptr_t)s->o.password);
	mem_free((void *)(uintptr_t)s->o.client_name);
	message_free(s->tls);
	mem_free(s->master);
	uv_close((uv_handle_t *)&s->listen, on_closed);
}

const struct locator_ops sentinel_locator = { open_set, ask, close_set };
