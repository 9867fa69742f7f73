/* SPDX-License-Identifier: Apache-2.0 */
#include "common/redis/stream.h"

#include <stdio.h>
#include <sys/socket.h>

#include "common/base/mem.h"
#include "common/tls/context.h"
#include "common/tls/session.h"

#define STREAM_MAGIC 0x5354524du
#define READ_BYTES   65536
#define KEEPALIVE_S  2

enum step { STEP_FILES, STEP_NAME, STEP_CONNECT, STEP_SHAKE, STEP_OPEN };

struct stream {
	unsigned magic;
	uv_loop_t *loop;
	struct stream_to to; /* strings and message not owned */
	struct stream_hooks hooks;
	enum step step;
	bool closed;	/* no hook but `gone` any more */
	bool lost;	/* the owner was told */
	bool connected; /* `u` is a handle that libuv knows */
	bool writing;	/* a uv_write is on its way */
	unsigned held;	/* by libuv: handle, requests */
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} u;
	uv_connect_t connect;
	uv_getaddrinfo_t resolve;
	struct addrinfo *found;	     /* owned: addresses of the host */
	const struct addrinfo *next; /* of them, to be tried when this one refuses; NULL: none */
	uv_work_t load;
	struct err load_err;	     /* of the pool's thread until it has ended */
	struct tls_context *context; /* owned; as above */
	struct tls_session *tls;     /* owned; NULL: plain */
	struct buf wire;	     /* for the peer, not yet handed to libuv */
	char chunk[READ_BYTES];
};

struct stream_write {
	uv_write_t req;
	struct stream *s;
	struct buf data; /* owned */
};

static struct stream *self_of(void *data)
{
	struct stream *s = data;

	CHECK(s->magic == STREAM_MAGIC);
	return s;
}

const char *stream_waits_for(const struct stream *s)
{
	static const char *const text[] = {
		[STEP_FILES] = "certificates read", [STEP_NAME] = "host name resolved",
		[STEP_CONNECT] = "connection",	    [STEP_SHAKE] = "TLS handshake",
		[STEP_OPEN] = "greeting",
	};

	return s == NULL ? "connection" : text[s->step];
}

/* --- its end --- */

static void let_go(struct stream *s)
{
	struct stream_hooks hooks = s->hooks;

	CHECK(s->held > 0);
	if (--s->held > 0)
		return;
	CHECK(s->closed);
	tls_session_free(&s->tls);
	tls_context_free(&s->context);
	uv_freeaddrinfo(s->found);
	buf_reset(&s->wire);
	s->magic = 0;
	mem_free(s);
	hooks.gone(hooks.arg);
}

static void lose(struct stream *s, const struct err *e)
{
	if (s->closed || s->lost)
		return;
	s->lost = true;
	s->hooks.lost(s->hooks.arg, e);
}

static void lose_uv(struct stream *s, int rc, const char *what)
{
	struct err e = { 0 };

	(void)err_set(&e, rc, "%s: %s", what, uv_strerror(rc));
	lose(s, &e);
}

static void on_closed(uv_handle_t *h)
{
	let_go(self_of(h->data));
}

static void on_owner_gone(uv_handle_t *h)
{
	struct stream *s = self_of(h->data);

	mem_free(h);
	let_go(s);
}

/* `gone` is never called from within stream_close(): the last hold ends on the loop. */
static void let_go_later(struct stream *s)
{
	uv_timer_t *t = mem_zalloc(sizeof(*t));

	CHECK(uv_timer_init(s->loop, t) == 0);
	t->data = s;
	uv_close((uv_handle_t *)t, on_owner_gone);
}

static void say_goodbye(struct stream *s)
{
	uv_buf_t b;

	if (s->tls == NULL || s->writing || s->lost)
		return;
	tls_session_close(s->tls, &s->wire);
	b = uv_buf_init(s->wire.data, (unsigned)s->wire.len);
	if (s->wire.len > 0)
		(void)uv_try_write(&s->u.stream, &b, 1);
}

void stream_close(struct stream **sp)
{
	struct stream *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	CHECK(s->magic == STREAM_MAGIC && !s->closed);
	if (s->step == STEP_OPEN)
		say_goodbye(s);
	s->closed = true;
	if (s->step == STEP_FILES)
		(void)uv_cancel((uv_req_t *)&s->load);
	if (s->step == STEP_NAME)
		(void)uv_cancel((uv_req_t *)&s->resolve);
	if (s->connected)
		uv_close(&s->u.handle, on_closed);
	let_go_later(s);
}

/* --- writing --- */

static void flush(struct stream *s);

/* A peer that is gone may have said why: what it sent is read first, and its end reported. */
static bool reading_tells(int status)
{
	return status == UV_EPIPE || status == UV_ECONNRESET;
}

static void on_written(uv_write_t *req, int status)
{
	struct stream_write *w = req->data;
	struct stream *s = self_of(w->s);

	buf_reset(&w->data);
	mem_free(w);
	s->writing = false;
	if (s->closed)
		return;
	if (status == 0)
		flush(s);
	else if (!reading_tells(status))
		lose_uv(s, status, "write");
	else
		s->writing = true; /* nothing more is written */
}

static void flush(struct stream *s)
{
	struct stream_write *w;
	uv_buf_t b;
	int rc;

	if (s->writing || s->wire.len == 0)
		return;
	w = mem_zalloc(sizeof(*w));
	w->s = s;
	w->data = s->wire;
	w->req.data = w;
	s->wire = (struct buf){ 0 };
	b = uv_buf_init(w->data.data, (unsigned)w->data.len);
	rc = uv_write(&w->req, &s->u.stream, &b, 1, on_written);
	if (rc < 0) {
		buf_reset(&w->data);
		mem_free(w);
		lose_uv(s, rc, "write");
		return;
	}
	s->writing = true;
}

void stream_write(struct stream *s, struct buf *b)
{
	struct err e = { 0 };
	int rc = 0;

	CHECK(s->step == STEP_OPEN && !s->closed);
	if (s->tls != NULL) {
		rc = tls_session_write(s->tls, b->data, b->len, &s->wire, &e);
		buf_clear(b);
	} else if (s->wire.len == 0) {
		buf_reset(&s->wire);
		s->wire = *b;
		*b = (struct buf){ 0 };
	} else {
		buf_add(&s->wire, b->data, b->len);
		buf_clear(b);
	}
	flush(s);
	if (rc < 0)
		lose(s, &e);
}

/* --- reading --- */

static void opened(struct stream *s)
{
	s->step = STEP_OPEN;
	s->hooks.open(s->hooks.arg);
}

/* Handshake, then plain bytes, as far as what came from the peer goes. */
static void step_tls(struct stream *s)
{
	struct err e = { 0 };
	int rc = 1;

	if (s->step == STEP_SHAKE) {
		rc = tls_session_shake(s->tls, &s->wire, &e);
		flush(s);
		if (rc > 0 && !s->closed && !s->lost)
			opened(s);
	}
	while (rc > 0 && !s->closed && !s->lost) {
		rc = tls_session_read(s->tls, s->chunk, sizeof(s->chunk), &s->wire, &e);
		flush(s);
		if (rc > 0 && !s->closed && !s->lost)
			s->hooks.data(s->hooks.arg, s->chunk, (size_t)rc);
	}
	if (rc < 0)
		lose(s, &e);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
	struct stream *s = self_of(h->data);

	UNUSED(suggested);
	*b = uv_buf_init(s->chunk, sizeof(s->chunk));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct stream *s = self_of(stream->data);

	if (s->closed || s->lost || n == 0)
		return;
	if (n < 0) {
		lose_uv(s, (int)n,
			s->step == STEP_SHAKE ? "connection lost in the TLS handshake"
					      : "connection lost");
	} else if (s->tls != NULL) {
		tls_session_feed(s->tls, b->base, (size_t)n);
		step_tls(s);
	} else {
		s->hooks.data(s->hooks.arg, b->base, (size_t)n);
	}
}

/* --- connecting --- */

static void connect_tcp(struct stream *s);

static void on_refused(uv_handle_t *h)
{
	struct stream *s = self_of(h->data);
	bool closed = s->closed;

	let_go(s);
	if (!closed)
		connect_tcp(s);
}

/* `localhost` is ::1 first, and the server may know only the other address. */
static void refused(struct stream *s, int status)
{
	if (s->next == NULL) {
		struct err e = { 0 };

		if (s->to.socket[0] != '\0')
			(void)err_set(&e, status, "connect to %s: %s", s->to.socket,
				      uv_strerror(status));
		else
			(void)err_set(&e, status, "connect to %s port %u: %s", s->to.host,
				      s->to.port, uv_strerror(status));
		lose(s, &e);
		return;
	}
	s->connected = false;
	uv_close(&s->u.handle, on_refused);
}

static void on_connected(uv_connect_t *req, int status)
{
	struct stream *s = self_of(req->data);
	struct err e = { 0 };
	int rc = 0;

	if (s->closed)
		return;
	if (status < 0) {
		refused(s, status);
		return;
	}
	status = uv_read_start(&s->u.stream, on_alloc, on_read);
	if (status < 0) {
		lose_uv(s, status, "read");
		return;
	}
	if (s->context == NULL) {
		opened(s);
		return;
	}
	s->step = STEP_SHAKE;
	rc = tls_session_open(&s->tls, s->context, s->to.host, &e);
	if (rc < 0)
		lose(s, &e);
	else
		step_tls(s);
}

static void begin_handle(struct stream *s)
{
	s->u.handle.data = s;
	s->connect.data = s;
	s->connected = true;
	s->held++;
	s->step = STEP_CONNECT;
}

/* To the next address. */
static void connect_tcp(struct stream *s)
{
	const struct sockaddr *addr = s->next->ai_addr;
	int rc;

	s->next = s->next->ai_next;
	CHECK(uv_tcp_init(s->loop, &s->u.tcp) == 0);
	begin_handle(s);
	(void)uv_tcp_nodelay(&s->u.tcp, 1);
	rc = uv_tcp_connect(&s->connect, &s->u.tcp, addr, on_connected);
	(void)uv_tcp_keepalive(&s->u.tcp, 1, KEEPALIVE_S);
	if (rc < 0)
		refused(s, rc);
}

static void connect_pipe(struct stream *s)
{
	CHECK(uv_pipe_init(s->loop, &s->u.pipe, 0) == 0);
	begin_handle(s);
	uv_pipe_connect(&s->connect, &s->u.pipe, s->to.socket, on_connected);
}

static void lose_name(struct stream *s, int status)
{
	struct err e = { 0 };

	(void)err_set(&e, status, "host %s: %s", s->to.host, uv_strerror(status));
	lose(s, &e);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *res)
{
	struct stream *s = self_of(req->data);

	s->found = res;
	s->next = res;
	if (!s->closed && status < 0)
		lose_name(s, status);
	else if (!s->closed)
		connect_tcp(s);
	let_go(s);
}

static void begin_connect(struct stream *s)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC };
	char port[8];
	int rc;

	if (s->to.socket[0] != '\0') {
		connect_pipe(s);
		return;
	}
	s->step = STEP_NAME;
	s->resolve.data = s;
	(void)snprintf(port, sizeof(port), "%u", s->to.port);
	rc = uv_getaddrinfo(s->loop, &s->resolve, on_resolved, s->to.host, port, &hints);
	if (rc < 0)
		lose_name(s, rc);
	else
		s->held++;
}

/* On the pool: passwords cost time, and files may lie on a slow disk. */
static void on_load(uv_work_t *w)
{
	struct stream *s = self_of(w->data);

	(void)!tls_context_create(&s->context, s->to.tls, &s->load_err);
}

static void on_loaded(uv_work_t *w, int status)
{
	struct stream *s = self_of(w->data);

	if (!s->closed && status < 0)
		lose_uv(s, status, "certificates");
	else if (!s->closed && s->context == NULL)
		lose(s, &s->load_err);
	else if (!s->closed)
		begin_connect(s);
	let_go(s);
}

void stream_open(struct stream **out, uv_loop_t *loop, const struct stream_to *to,
		 const struct stream_hooks *h)
{
	struct stream *s = mem_zalloc(sizeof(*s));

	s->magic = STREAM_MAGIC;
	s->loop = loop;
	s->to = *to;
	s->hooks = *h;
	s->held = 1; /* the owner's */
	*out = s;
	if (to->tls == NULL) {
		begin_connect(s);
		return;
	}
	s->step = STEP_FILES;
	s->load.data = s;
	CHECK(uv_queue_work(loop, &s->load, on_load, on_loaded) == 0);
	s->held++;
}
