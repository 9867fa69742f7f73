/* SPDX-License-Identifier: Apache-2.0 */
#include "common/redis/redis.h"

#include <stdarg.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/random.h"
#include "common/message/message.h"
#include "common/redis/reply.h"
#include "common/redis/stream.h"

#define REDIS_MAGIC	 0x52454449u
#define GREETING_WAITING 4
#define MEGABYTE_MS	 1000 /* that a megabyte of a command may take */
#define STEADY_MS	 1000 /* a connection that lived this long was a good one */

enum link {
	LINK_DOWN,    /* waiting for the retry timer */
	LINK_LOCATE,  /* Sentinels being asked */
	LINK_CONNECT, /* connect on its way */
	LINK_GREET,   /* AUTH, CLIENT SETNAME, ROLE, PING on their way */
	LINK_UP
};

enum greeting { GREET_MUST, GREET_MAY, GREET_ROLE }; /* MAY: an error does not matter */

struct waiting {
	redis_reply_fn *fn; /* NULL: of the greeting, or an idle PING */
	void *arg;
	enum greeting greeting;
	int64_t sent_ms;
	int64_t extra_ms; /* that its bytes may take */
};

struct redis {
	unsigned magic;
	uv_loop_t *loop;
	struct redis_opts o; /* strings owned; of o.sentinels no more than its ops are used */
	Ipc__Tls *tls;	     /* owned; NULL: plain */
	struct redis_hooks hooks;
	struct locator *locator; /* owned; NULL: o.host and o.port are given */
	bool doubt;		 /* where it pointed to led nowhere so far */
	enum link link;
	bool closing;
	bool subscribed;
	unsigned handles;      /* of ours that libuv still holds */
	unsigned streams;      /* that are not gone yet */
	struct stream *stream; /* owned; NULL: none */
	struct reader *reader;
	struct buf out; /* not yet handed to the stream */
	uv_timer_t retry;
	uv_timer_t deadline;
	uv_prepare_t flush; /* active while `out` holds bytes */
	struct backoff backoff;
	struct waiting *queue; /* ring of o.window + GREETING_WAITING */
	size_t queue_cap;
	size_t head;
	size_t len;
	int64_t connect_ms; /* when the attempt began */
	int64_t up_ms;	    /* when it was greeted */
	int64_t moved_ms;   /* when the master was another one last; 0: never */
	int64_t heard_ms;
	struct err said; /* the last error that answers nothing of the owner's; code 0: none */
};

static void start(struct redis *r);

static struct redis *self_of(void *data)
{
	struct redis *r = data;

	CHECK(r->magic == REDIS_MAGIC);
	return r;
}

bool redis_is_up(const struct redis *r)
{
	return r != NULL && r->link == LINK_UP;
}

/* --- the end of things --- */

static void free_if_done(struct redis *r)
{
	if (!r->closing || r->handles > 0 || r->streams > 0)
		return;
	r->magic = 0;
	mem_free((void *)(uintptr_t)r->o.host);
	mem_free((void *)(uintptr_t)r->o.socket);
	mem_free((void *)(uintptr_t)r->o.username);
	mem_free_secret((char *)(uintptr_t)r->o.password);
	mem_free((void *)(uintptr_t)r->o.client_name);
	message_free(r->tls);
	reader_free(&r->reader);
	buf_reset(&r->out);
	mem_free(r->queue);
	mem_free(r);
}

static void on_own_closed(uv_handle_t *h)
{
	struct redis *r = self_of(h->data);

	r->handles--;
	free_if_done(r);
}

/* Ends every waiting command; their callbacks may close the connection for good. */
static void fail_waiting(struct redis *r, const struct err *e)
{
	size_t n = r->len;

	while (n-- > 0 && r->len > 0) {
		struct waiting w = r->queue[r->head];

		r->head = (r->head + 1) % r->queue_cap;
		r->len--;
		if (w.fn != NULL)
			w.fn(w.arg, NULL, e);
		if (r->closing)
			return;
	}
}

static void on_retry(uv_timer_t *t)
{
	start(self_of(t->data));
}

/* A server that lets nobody in says so, perhaps to a command that does not matter, and closes. */
static const struct err *last_words(const struct redis *r, const struct err *why)
{
	bool ended = why->code == UV_EOF || why->code == UV_ECONNRESET || why->code == UV_EPIPE;

	return ended && r->link == LINK_GREET && r->said.code < 0 ? &r->said : why;
}

/* The connection is of no use any more: tell everyone, try again later. */
static void lose(struct redis *r, const struct err *why)
{
	bool steady = r->link == LINK_UP && clock_boot_ms() - r->up_ms >= STEADY_MS;
	int64_t wait_ms = 1;

	if (r->closing || r->link == LINK_DOWN)
		return;
	why = last_words(r, why);
	stream_close(&r->stream);
	reader_free(&r->reader);
	buf_clear(&r->out);
	r->link = LINK_DOWN;
	r->subscribed = false;
	(void)uv_timer_stop(&r->deadline);
	(void)uv_prepare_stop(&r->flush);
	/* A server that greets and then is of no use (a replica, a wrong user) is not hammered. */
	if (steady)
		backoff_reset(&r->backoff);
	else
		wait_ms = backoff_next_ms(&r->backoff, random_number());
	CHECK(uv_timer_start(&r->retry, on_retry, (uint64_t)wait_ms, 0) == 0);
	fail_waiting(r, why);
	if (!r->closing && r->hooks.down != NULL)
		r->hooks.down(r->hooks.arg, why);
}

void redis_fail(struct redis *r, int code, const char *why)
{
	struct err e = { 0 };

	(void)err_set(&e, code, "%s", why);
	lose(r, &e);
}

void redis_close(struct redis **rp)
{
	struct redis *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	CHECK(r->magic == REDIS_MAGIC && !r->closing);
	r->closing = true;
	if (r->locator != NULL)
		r->o.sentinels.ops->close(&r->locator);
	stream_close(&r->stream);
	r->len = 0; /* the owner is going: nobody is called back */
	uv_close((uv_handle_t *)&r->retry, on_own_closed);
	uv_close((uv_handle_t *)&r->deadline, on_own_closed);
	uv_close((uv_handle_t *)&r->flush, on_own_closed);
}

/* --- writing --- */

static void on_flush(uv_prepare_t *p)
{
	struct redis *r = self_of(p->data);

	(void)uv_prepare_stop(p);
	if (r->stream != NULL && r->out.len > 0)
		stream_write(r->stream, &r->out);
}

/* What was sent at once is answered one after the other: while answers come the next is waited for. */
static bool is_silent(const struct redis *r, const struct waiting *w, int64_t now)
{
	return now - MAX(w->sent_ms, r->heard_ms) >= r->o.command_timeout_ms + w->extra_ms;
}

static void on_deadline(uv_timer_t *t)
{
	struct redis *r = self_of(t->data);
	int64_t now = clock_boot_ms();
	struct err e = { 0 };

	if (r->link != LINK_UP && now - r->connect_ms >= r->o.connect_timeout_ms) {
		(void)err_set(&e, ERR_TIMEOUT, "no %s within %u ms", stream_waits_for(r->stream),
			      r->o.connect_timeout_ms);
		lose(r, &e);
		return;
	}
	if (r->len > 0 && is_silent(r, &r->queue[r->head], now)) {
		(void)err_set(&e, ERR_TIMEOUT, "no answer within %u ms", r->o.command_timeout_ms);
		lose(r, &e);
		return;
	}
	if (r->link == LINK_UP && r->o.idle_ping_ms > 0 && r->len == 0 &&
	    now - r->heard_ms >= r->o.idle_ping_ms && redis_sendv(r, NULL, NULL, "PING", NULL) < 0)
		r->heard_ms = now;
}

static void enqueue(struct redis *r, const struct redis_cmd *c, redis_reply_fn *fn, void *arg)
{
	size_t at = (r->head + r->len) % r->queue_cap;

	CHECK(r->len < r->queue_cap);
	r->queue[at] = (struct waiting){ fn, arg, GREET_MUST, clock_boot_ms(),
					 (int64_t)(c->words.len >> 20) * MEGABYTE_MS };
	r->len++;
	buf_addc(&r->out, '*');
	buf_addi(&r->out, (int64_t)c->n);
	buf_adds(&r->out, "\r\n");
	buf_add(&r->out, c->words.data, c->words.len);
	CHECK(uv_prepare_start(&r->flush, on_flush) == 0);
}

int redis_send(struct redis *r, struct redis_cmd *c, redis_reply_fn *fn, void *arg)
{
	int rc = 0;

	if (r == NULL || r->closing || r->link != LINK_UP)
		rc = ERR_STATE;
	else if (r->len >= r->o.window)
		rc = ERR_BUSY;
	else
		enqueue(r, c, fn, arg);
	buf_reset(&c->words);
	c->n = 0;
	return rc;
}

int redis_sendv(struct redis *r, redis_reply_fn *fn, void *arg, ...)
{
	struct redis_cmd c = { 0 };
	const char *s;
	va_list ap;

	va_start(ap, arg);
	while ((s = va_arg(ap, const char *)) != NULL)
		redis_cmd_str(&c, s);
	va_end(ap);
	return redis_send(r, &c, fn, arg);
}

static void on_subscribed(void *arg, const struct redis_reply *reply, const struct err *e)
{
	struct redis *r = arg;

	UNUSED(e);
	if (redis_is_error(reply))
		redis_fail(r, ERR_REMOTE, redis_str(reply, NULL));
}

int redis_subscribe(struct redis *r, const char *channel)
{
	int rc = redis_sendv(r, on_subscribed, r, "SUBSCRIBE", channel, NULL);

	if (rc == 0)
		r->subscribed = true;
	return rc;
}

/* --- reading --- */

/* An error of the greeting, and the setting that it is about. */
static int refused(const struct redis *r, const struct redis_reply *reply, struct err *e)
{
	const char *text = redis_str(reply, NULL);
	const char *own = r->o.password_setting;

	if (redis_error_is(reply, "NOAUTH"))
		return err_set(e, ERR_REMOTE, "%s (%s is not set)", text,
			       own == NULL ? "distributed-sync.redis.password" : own);
	if (redis_error_is(reply, "WRONGPASS"))
		return err_set(e, ERR_REMOTE, "%s (see %s)", text,
			       own == NULL ? "distributed-sync.redis.username and password" : own);
	return err_set(e, ERR_REMOTE, "%s", text);
}

/* What is wrong with an answer of the greeting; false: nothing. */
static bool unwelcome(const struct redis *r, const struct redis_reply *reply, enum greeting what,
		      struct err *e)
{
	const char *role = redis_str(redis_at(reply, 0), NULL);

	if (what == GREET_MAY)
		return false;
	if (redis_is_error(reply))
		return refused(r, reply, e) < 0;
	if (what == GREET_ROLE && (role == NULL || strcmp(role, "master") != 0))
		return err_set(e, ERR_REMOTE,
			       "the Sentinels named a server that is no master yet: %s",
			       role == NULL ? "it does not say" : role) < 0;
	return false;
}

static void greeted(struct redis *r, const struct redis_reply *reply, enum greeting what)
{
	struct err e = { 0 };

	if (unwelcome(r, reply, what, &e)) {
		lose(r, &e);
		return;
	}
	if (r->len > 0)
		return;
	r->link = LINK_UP;
	r->said = (struct err){ 0 };
	r->doubt = false;
	r->up_ms = clock_boot_ms();
	r->hooks.up(r->hooks.arg);
}

static int on_reply(void *arg, const struct redis_reply *reply)
{
	struct redis *r = arg;
	const struct stream *s = r->stream;
	struct waiting w;

	if (r->subscribed && redis_count(reply) == 3 && redis_is(redis_at(reply, 0), "message")) {
		size_t n = 0;
		const char *p = redis_str(redis_at(reply, 2), &n);

		if (p != NULL && r->hooks.message != NULL)
			r->hooks.message(r->hooks.arg, p, n);
		return r->closing || r->stream != s ? READER_STOP : 0;
	}
	if (redis_is_error(reply) && (r->len == 0 || r->link == LINK_GREET))
		(void)err_set(&r->said, ERR_REMOTE, "%s", redis_str(reply, NULL));
	if (r->len == 0)
		return ERR_PROTO;
	w = r->queue[r->head];
	r->head = (r->head + 1) % r->queue_cap;
	r->len--;
	if (r->link == LINK_GREET)
		greeted(r, reply, w.greeting);
	else if (w.fn != NULL)
		w.fn(w.arg, reply, NULL);
	return r->closing || r->stream != s ? READER_STOP : 0;
}

static void on_data(void *arg, const char *p, size_t n)
{
	struct redis *r = arg;
	const struct stream *s = r->stream;
	struct reader *reader;
	struct err e = { 0 };
	int rc;

	r->heard_ms = clock_boot_ms();
	/* A callback may lose this connection; its reader must live until feed returns. */
	reader = r->reader;
	r->reader = NULL;
	rc = reader_feed(reader, p, n, on_reply, r, &e);
	if (r->closing || r->stream != s) {
		reader_free(&reader);
		return;
	}
	r->reader = reader;
	if (rc < 0) {
		if (e.text[0] == '\0' && r->said.code < 0) /* of a server that hangs up */
			e = r->said;
		else if (e.text[0] == '\0')
			(void)err_set(&e, ERR_PROTO, "an answer to no command");
		lose(r, &e);
	}
}

/* --- connecting --- */

static void greet_with(struct redis *r, enum greeting what, const char *const *words, size_t n)
{
	struct redis_cmd c = { 0 };
	size_t i;

	for (i = 0; i < n; i++)
		redis_cmd_str(&c, words[i]);
	enqueue(r, &c, NULL, NULL);
	r->queue[(r->head + r->len - 1) % r->queue_cap].greeting = what;
	explicit_bzero(c.words.data, c.words.len);
	buf_reset(&c.words);
}

static void greet(struct redis *r)
{
	const char *const user[] = { "AUTH", r->o.username, r->o.password };
	const char *const secret[] = { "AUTH", r->o.password };
	const char *const name[] = { "CLIENT", "SETNAME", r->o.client_name };
	const char *const role[] = { "ROLE" };
	const char *const ping[] = { "PING" };

	if (r->o.password[0] != '\0' && r->o.username[0] != '\0')
		greet_with(r, GREET_MUST, user, ARRAY_LEN(user));
	else if (r->o.password[0] != '\0')
		greet_with(r, GREET_MUST, secret, ARRAY_LEN(secret));
	greet_with(r, GREET_MAY, name, ARRAY_LEN(name)); /* an ACL may forbid it */
	if (r->locator != NULL)
		greet_with(r, GREET_ROLE, role, ARRAY_LEN(role));
	greet_with(r, GREET_MUST, ping, ARRAY_LEN(ping));
}

static void on_open(void *arg)
{
	struct redis *r = arg;

	r->link = LINK_GREET;
	r->reader = reader_create((size_t)r->o.reply_max_bytes);
	r->heard_ms = clock_boot_ms();
	r->said = (struct err){ 0 };
	greet(r);
}

static void on_lost(void *arg, const struct err *e)
{
	lose(arg, e);
}

static void on_gone(void *arg)
{
	struct redis *r = self_of(arg);

	r->streams--;
	free_if_done(r);
}

static void connect_now(struct redis *r)
{
	const struct stream_hooks h = { r, on_open, on_data, on_lost, on_gone };
	const struct stream_to to = { r->o.host, r->o.port, r->o.socket, r->tls };

	r->link = LINK_CONNECT;
	r->streams++;
	stream_open(&r->stream, r->loop, &to, &h);
}

static void on_found(void *arg, const char *host, uint16_t port, const struct err *e)
{
	struct redis *r = self_of(arg);

	if (r->link != LINK_LOCATE) /* the attempt ran out of time meanwhile */
		return;
	if (e != NULL) {
		lose(r, e);
		return;
	}
	mem_free((void *)(uintptr_t)r->o.host);
	r->o.host = mem_strdup(host);
	r->o.port = port;
	r->doubt = true;
	connect_now(r);
}

/* An old master that was cut off would go on answering; a new one need not be waited for,
   unless one Sentinel says so again and again. */
static void on_moved(void *arg)
{
	struct redis *r = self_of(arg);
	int64_t before_ms = r->moved_ms;

	r->moved_ms = clock_boot_ms();
	r->doubt = false;
	redis_fail(r, ERR_STATE, "the Sentinels have made another server the master");
	if (r->closing || (before_ms != 0 && r->moved_ms - before_ms < STEADY_MS))
		return;
	backoff_reset(&r->backoff);
	CHECK(uv_timer_start(&r->retry, on_retry, 0, 0) == 0);
}

static void start(struct redis *r)
{
	if (r->streams > 0) { /* the pool still works for an attempt that was given up */
		CHECK(uv_timer_start(&r->retry, on_retry, REDIS_RETRY_MIN_MS, 0) == 0);
		return;
	}
	r->connect_ms = clock_boot_ms();
	r->len = 0;
	CHECK(uv_timer_start(&r->deadline, on_deadline, 0,
			     MAX(MIN(r->o.command_timeout_ms, r->o.connect_timeout_ms) / 8, 5)) ==
	      0);
	if (r->locator == NULL) {
		connect_now(r);
		return;
	}
	r->link = LINK_LOCATE;
	r->o.sentinels.ops->ask(r->locator, r->doubt);
}

static char *copy_or_empty(const char *s)
{
	return mem_strdup(s == NULL ? "" : s);
}

int redis_open(struct redis **out, uv_loop_t *loop, const struct redis_opts *o,
	       const struct redis_hooks *h, struct err *e)
{
	struct redis *r;

	if (o->connect_timeout_ms == 0 || o->command_timeout_ms == 0)
		return err_set(e, ERR_CONFIG, "a Redis time-out of 0 ms would wait for ever");
	r = mem_zalloc(sizeof(*r));
	if (o->sentinels.n > 0) {
		const struct locator_hooks lh = { r, on_found, on_moved };
		int rc = o->sentinels.ops->open(&r->locator, loop, o, &lh, e);

		if (rc < 0) {
			mem_free(r);
			return rc;
		}
	}
	r->magic = REDIS_MAGIC;
	r->loop = loop;
	r->o = *o;
	r->o.host = copy_or_empty(o->host);
	r->o.socket = copy_or_empty(o->socket);
	r->o.username = copy_or_empty(o->username);
	r->o.password = copy_or_empty(o->password);
	r->o.client_name = mem_strdup(o->client_name == NULL ? "zonesync" : o->client_name);
	r->tls = message_copy(o->tls);
	r->o.tls = NULL;
	r->o.window = o->window == 0 ? REDIS_WINDOW : o->window;
	r->o.reply_max_bytes = o->reply_max_bytes == 0 ? REDIS_REPLY_MAX_BYTES : o->reply_max_bytes;
	r->hooks = *h;
	r->backoff = (struct backoff){ .min_ms = REDIS_RETRY_MIN_MS, .max_ms = REDIS_RETRY_MAX_MS };
	r->queue_cap = r->o.window + GREETING_WAITING;
	r->queue = mem_zalloc(r->queue_cap * sizeof(*r->queue));
	CHECK(uv_timer_init(loop, &r->retry) == 0);
	CHECK(uv_timer_init(loop, &r->deadline) == 0);
	CHECK(uv_prepare_init(loop, &r->flush) == 0);
	r->retry.data = r;
	r->deadline.data = r;
	r->flush.data = r;
	r->handles = 3;
	r->link = LINK_DOWN;
	CHECK(uv_timer_start(&r->retry, on_retry, 0, 0) == 0);
	*out = r;
	return 0;
}
