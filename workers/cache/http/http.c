/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/http/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/message/message.h"
#include "workers/cache/http/http_route.h"

#define BLOCK_BYTES 32768 /* asked of a body at a time */
#define SWEEP_MS    500
#define REALM	    "gravitee.io"

struct http_client {
	struct http *h;
	struct http_client *next;
	int fd;		  /* not owned */
	bool answering;	  /* a request is whole; else one is awaited */
	int64_t since_ms; /* boot time */
};

struct http {
	struct http_about about;
	char *node_id; /* owned, of `about` */
	char *zone;    /* owned, of `about` */
	struct MHD_Daemon *daemon;
	Ipc__HttpConfig *config; /* owned */
	bool open; /* a Unix socket: its mode says who may ask; else, if anonymous, anybody */
	int64_t idle_ms;
	struct http_client *clients;
	size_t n;
	unsigned max;
	size_t held;	 /* bytes of bodies */
	size_t listings; /* under way */
	uint64_t refused;
	int64_t told_ms; /* boot time; 0: never */
	uv_poll_t poll;
	uv_timer_t due;	  /* when the library wants to run */
	uv_idle_t now;	  /* it wants to run at once */
	uv_timer_t sweep; /* while there are clients */
	unsigned handles;
};

struct reply {
	unsigned status;
	struct buf body;
	struct http_listing *listing; /* instead of a body; owned */
	const char *allow;
	bool challenge;
	bool close;
	bool head;
};

/* What a response is read from. */
struct http_source {
	struct http *h;
	struct buf body;
	struct http_listing *listing;
};

/* --- who may ask --- */

/* Takes as long for every wrong secret of a length. */
static bool same_secret(const char *given, const char *want)
{
	size_t n = strlen(given);
	size_t m = strlen(want);
	volatile unsigned char differs = n != m;
	size_t i;

	for (i = 0; i < n; i++)
		differs |= (unsigned char)(given[i] ^ want[i % (m + 1)]);
	return differs == 0;
}

static bool is_user(const struct http *h, const char *name, const char *password)
{
	bool found = false;
	size_t i;

	for (i = 0; i < h->config->n_users; i++) { /* all: how long it takes tells no name */
		bool same_name = same_secret(name, h->config->users[i]->name);
		bool same_password = same_secret(password, h->config->users[i]->password);

		found |= same_name && same_password;
	}
	return found;
}

static void free_secret(char *s)
{
	if (s == NULL)
		return;
	explicit_bzero(s, strlen(s));
	MHD_free(s);
}

static bool may_ask(struct http *h, struct MHD_Connection *mc)
{
	char *password = NULL;
	char *name;
	bool ok;

	if (h->open || h->config->anonymous)
		return true;
	name = MHD_basic_auth_get_username_password(mc, &password);
	ok = name != NULL && password != NULL && is_user(h, name, password);
	free_secret(name);
	free_secret(password);
	return ok;
}

static void tell_refused(struct http *h)
{
	int64_t now = clock_boot_ms();

	h->refused++;
	if (h->told_ms != 0 && now - h->told_ms < HTTP_TELL_MS)
		return;
	log_warn(EV("http_unauthorized"), KV("requests", h->refused));
	h->told_ms = now;
	h->refused = 0;
}

/* --- answers --- */

static void refuse(struct reply *r, unsigned status, const char *message)
{
	r->status = status;
	buf_clear(&r->body);
	http_error(&r->body, status, message);
}

/* The decoded value of a query's name, "" without one. False: it is malformed. */
static bool query_value(struct MHD_Connection *mc, const char *name, struct buf *out)
{
	const char *v = MHD_lookup_connection_value(mc, MHD_GET_ARGUMENT_KIND, name);

	return v == NULL || (strlen(v) <= HTTP_TARGET_MAX && http_decode(v, strlen(v), out));
}

static void answer_health(struct http *h, struct MHD_Connection *mc, struct reply *r)
{
	struct buf names = { 0 };
	bool healthy = false;

	if (!query_value(mc, "probes", &names))
		refuse(r, MHD_HTTP_BAD_REQUEST, "probes is malformed");
	else if (!http_health(&h->about, buf_cstr(&names), &r->body, &healthy))
		refuse(r, MHD_HTTP_BAD_REQUEST, "too many probes in one question");
	else
		r->status = healthy ? MHD_HTTP_OK : MHD_HTTP_INTERNAL_SERVER_ERROR;
	buf_reset(&names);
}

static void answer_api(struct http *h, const char *id, struct reply *r)
{
	struct err e = { 0 };
	int rc;

	if (h->config->anonymous && !h->open) {
		refuse(r, MHD_HTTP_FORBIDDEN,
		       "definitions may hold secrets and are not served on TCP without "
		       "authentication; set services.core.http.authentication.type to basic, or use "
		       "the Unix socket");
		return;
	}
	rc = http_api(&h->about, id, &r->body, &e);
	if (rc == ERR_NOTFOUND)
		refuse(r, MHD_HTTP_NOT_FOUND, "no such API is deployed here");
	else if (rc < 0)
		refuse(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "the record cannot be read");
	else if (h->held + r->body.len > HTTP_HELD_MAX)
		refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, "too many large answers; ask again later");
	else
		r->status = MHD_HTTP_OK;
}

static void answer_known(struct http *h, struct MHD_Connection *mc, enum http_path what,
			 struct reply *r)
{
	r->status = MHD_HTTP_OK;
	switch (what) {
	case HTTP_HEALTH:
		answer_health(h, mc, r);
		break;
	case HTTP_SYNC:
		if (!http_sync(&h->about, &r->body))
			r->status = MHD_HTTP_SERVICE_UNAVAILABLE;
		break;
	case HTTP_APIS:
		if (h->listings < HTTP_LISTINGS_MAX)
			r->listing = listing_new(&h->about);
		else
			refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE,
			       "too many listings; ask again later");
		break;
	default:
		http_node(&h->about, &r->body);
		break;
	}
}

static void answer(struct http *h, struct MHD_Connection *mc, const char *path, const char *method,
		   struct reply *r)
{
	bool reads = r->head || str_equal(method, MHD_HTTP_METHOD_GET);
	struct buf id = { 0 };
	enum http_path what;

	if (!may_ask(h, mc)) {
		tell_refused(h);
		refuse(r, MHD_HTTP_UNAUTHORIZED,
		       "a user of services.core.http.authentication is "
		       "needed");
		r->challenge = true;
		return;
	}
	if (strlen(path) > HTTP_TARGET_MAX) {
		refuse(r, MHD_HTTP_URI_TOO_LONG, "the path is too long");
		return;
	}
	what = http_route(path, &id);
	if (what == HTTP_BAD) {
		refuse(r, MHD_HTTP_BAD_REQUEST, "the path is malformed");
	} else if (what == HTTP_UNKNOWN) {
		refuse(r, MHD_HTTP_NOT_FOUND,
		       "there are /_node, /_node/health, /_node/sync, /_node/apis and "
		       "/_node/apis/{id}");
	} else if (!reads) {
		refuse(r, MHD_HTTP_METHOD_NOT_ALLOWED, "everything here is read only");
		r->allow = "GET, HEAD";
	} else if (r->close) {
		refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, "a request here has no body");
	} else if (what == HTTP_API) {
		answer_api(h, buf_cstr(&id), r);
	} else {
		answer_known(h, mc, what, r);
	}
	buf_reset(&id);
}

/* --- responses --- */

static ssize_t on_read(void *cls, uint64_t at, char *to, size_t max)
{
	struct http_source *s = cls;
	ssize_t n;

	if (s->listing == NULL) {
		n = (ssize_t)MIN(max, s->body.len - at);
		memcpy(to, s->body.data + at, (size_t)n);
		return n;
	}
	n = listing_read(s->listing, to, max);
	if (n < 0)
		log_error(EV("http_list_failed"), KV("code", (int)n));
	return n > 0	? n
	       : n == 0 ? MHD_CONTENT_READER_END_OF_STREAM
			: MHD_CONTENT_READER_END_WITH_ERROR;
}

static void on_read_done(void *cls)
{
	struct http_source *s = cls;

	s->h->held -= s->body.len;
	s->h->listings -= s->listing != NULL;
	buf_reset(&s->body);
	listing_free(s->listing);
	mem_free(s);
}

static void add_header(struct MHD_Response *m, const char *name, const char *value)
{
	CHECK(MHD_add_response_header(m, name, value) == MHD_YES);
}

/* Takes the reply's body. */
static enum MHD_Result send_reply(struct http *h, struct MHD_Connection *mc, struct reply *r)
{
	struct http_source *s = mem_zalloc(sizeof(*s));
	struct MHD_Response *m;
	enum MHD_Result rc;

	s->h = h;
	s->body = r->body;
	s->listing = r->listing;
	h->held += s->body.len;
	h->listings += s->listing != NULL;
	m = MHD_create_response_from_callback(r->listing != NULL ? MHD_SIZE_UNKNOWN : s->body.len,
					      BLOCK_BYTES, on_read, s, on_read_done);
	if (m == NULL) {
		on_read_done(s);
		return MHD_NO;
	}
	add_header(m, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	if (r->allow != NULL)
		add_header(m, MHD_HTTP_HEADER_ALLOW, r->allow);
	if (r->challenge)
		add_header(m, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"" REALM "\"");
	if (r->close)
		add_header(m, MHD_HTTP_HEADER_CONNECTION, "close");
	/* Of a listing the library would send the end of the chunks even to HEAD. */
	if (r->head && r->listing != NULL)
		CHECK(MHD_set_response_options(m, MHD_RF_HTTP_VERSION_1_0_ONLY, MHD_RO_END) ==
		      MHD_YES);
	rc = MHD_queue_response(mc, r->status, m);
	MHD_destroy_response(m);
	return rc;
}

static struct http_client *client_of(struct MHD_Connection *mc)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i == NULL ? NULL : i->socket_context;
}

static bool has_body(struct MHD_Connection *mc)
{
	const char *n =
		MHD_lookup_connection_value(mc, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return (n != NULL && !str_equal(n, "0")) ||
	       MHD_lookup_connection_value(mc, MHD_HEADER_KIND,
					   MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

/*
 * Called twice for a request: with its headers, and when it is whole. An answer to the first
 * call ends the connection, so only requests with a body get it there.
 */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *mc, const char *path,
				  const char *method, const char *version, const char *data,
				  size_t *n, void **state)
{
	struct http_client *c = client_of(mc);
	struct reply r = { 0 };

	UNUSED(version);
	UNUSED(data);
	UNUSED(n);
	if (c == NULL)
		return MHD_NO;
	r.close = has_body(mc);
	r.head = str_equal(method, MHD_HTTP_METHOD_HEAD);
	if (*state == NULL && !r.close) {
		*state = c;
		return MHD_YES;
	}
	*state = c;
	c->answering = true;
	c->since_ms = clock_boot_ms();
	answer(cls, mc, path, method, &r);
	return send_reply(cls, mc, &r);
}

static void on_completed(void *cls, struct MHD_Connection *mc, void **state,
			 enum MHD_RequestTerminationCode why)
{
	struct http_client *c = client_of(mc);

	UNUSED(cls);
	UNUSED(state);
	UNUSED(why);
	if (c == NULL)
		return;
	c->answering = false;
	c->since_ms = clock_boot_ms();
}

/* --- connections --- */

static void on_sweep(uv_timer_t *t)
{
	struct http *h = t->data;
	int64_t now = clock_boot_ms();
	int64_t wait = h->n < h->max ? h->idle_ms : MIN(h->idle_ms, HTTP_CROWDED_MS);
	struct http_client *c;

	for (c = h->clients; c != NULL; c = c->next)
		if (now - c->since_ms >= (c->answering ? HTTP_ANSWER_MS : wait))
			(void)shutdown(c->fd, SHUT_RDWR); /* the library finds its end */
	if (h->n == 0)
		(void)uv_timer_stop(&h->sweep);
}

static void on_connection(void *cls, struct MHD_Connection *mc, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct http *h = cls;
	struct http_client **at = &h->clients;
	struct http_client *c = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		c = mem_zalloc(sizeof(*c));
		c->h = h;
		c->fd = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		c->since_ms = clock_boot_ms();
		c->next = h->clients;
		h->clients = c;
		*context = c;
		if (h->n++ == 0)
			CHECK(uv_timer_start(&h->sweep, on_sweep, SWEEP_MS, SWEEP_MS) == 0);
		return;
	}
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	h->n--;
	*context = NULL;
	mem_free(c);
}

/* The path and the query stay as they were sent: http_route decodes them, strictly. */
static size_t keep_escapes(void *cls, struct MHD_Connection *mc, char *s)
{
	UNUSED(cls);
	UNUSED(mc);
	return strlen(s);
}

/* --- the library in our loop --- */

static void on_due(uv_timer_t *t);
static void on_now(uv_idle_t *i);

static void run(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;
	bool full = h->n >= h->max;

	(void)MHD_run(h->daemon);
	if (full && h->n < h->max) /* only the next run listens again */
		(void)MHD_run(h->daemon);
	(void)uv_timer_stop(&h->due);
	(void)uv_idle_stop(&h->now);
	if (MHD_get_timeout(h->daemon, &ms) != MHD_YES)
		return;
	/* A timer of 0 would come back before libuv (to 1.44) looks at anybody else. */
	if (ms == 0)
		CHECK(uv_idle_start(&h->now, on_now) == 0);
	else
		CHECK(uv_timer_start(&h->due, on_due, ms, 0) == 0);
}

static void on_now(uv_idle_t *i)
{
	run(i->data);
}

static void on_due(uv_timer_t *t)
{
	run(t->data);
}

static void on_readable(uv_poll_t *p, int status, int events)
{
	UNUSED(status);
	UNUSED(events);
	run(p->data);
}

static int start(struct http *h, struct worker *w, struct err *e)
{
	const union MHD_DaemonInfo *info;
	unsigned timeout_s = (unsigned)((h->idle_ms + 999) / 1000);

	h->daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, HTTP_FD,
		MHD_OPTION_CONNECTION_LIMIT, h->max, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)HTTP_CLIENT_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, timeout_s,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, h, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, h, MHD_OPTION_END);
	info = h->daemon == NULL ? NULL : MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL)
		return err_set(e, ERR_REMOTE, "the technical API: libmicrohttpd does not start");
	CHECK(uv_poll_init(worker_loop(w), &h->poll, info->epoll_fd) == 0);
	CHECK(uv_timer_init(worker_loop(w), &h->due) == 0);
	CHECK(uv_timer_init(worker_loop(w), &h->sweep) == 0);
	CHECK(uv_idle_init(worker_loop(w), &h->now) == 0);
	h->handles = 4;
	h->poll.data = h;
	h->due.data = h;
	h->now.data = h;
	h->sweep.data = h;
	CHECK(uv_poll_start(&h->poll, UV_READABLE, on_readable) == 0);
	return 0;
}

/* --- life --- */

int http_open(struct http **out, struct worker *w, unsigned max, const Ipc__HttpConfig *c,
	      const struct http_about *about, struct err *e)
{
	struct http *h = mem_zalloc(sizeof(*h));
	struct sockaddr_storage own = { 0 };
	socklen_t n = sizeof(own);

	*out = h;
	h->max = max;
	h->config = message_copy(c);
	h->idle_ms = c->idle_timeout_ms == 0 ? HTTP_IDLE_MS : c->idle_timeout_ms;
	h->node_id = mem_strdup(about->node_id);
	h->zone = mem_strdup(about->zone);
	h->about = *about;
	h->about.node_id = h->node_id;
	h->about.zone = h->zone;
	if (getsockname(HTTP_FD, (struct sockaddr *)&own, &n) < 0)
		return err_errno(e, errno, "the technical API's listener");
	h->open = own.ss_family == AF_UNIX;
	return start(h, w, e);
}

static void release(struct http *h)
{
	message_free(h->config);
	mem_free(h->node_id);
	mem_free(h->zone);
	mem_free(h);
}

static void on_own_closed(uv_handle_t *u)
{
	struct http *h = u->data;

	if (--h->handles == 0)
		release(h);
}

void http_close(struct http **hp)
{
	struct http *h = *hp;
	bool started = h != NULL && h->handles > 0;

	*hp = NULL;
	if (h == NULL)
		return;
	if (started)
		uv_close((uv_handle_t *)&h->poll, on_own_closed); /* before its descriptor goes */
	if (h->daemon != NULL) {
		/* Not the library's to close, or to shut down: the next cache goes on with it. */
		(void)MHD_quiesce_daemon(h->daemon);
		MHD_stop_daemon(h->daemon);
	}
	(void)close(HTTP_FD);
	if (!started) {
		release(h);
		return;
	}
	uv_close((uv_handle_t *)&h->due, on_own_closed);
	uv_close((uv_handle_t *)&h->now, on_own_closed);
	uv_close((uv_handle_t *)&h->sweep, on_own_closed);
}
