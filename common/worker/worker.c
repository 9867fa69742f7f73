/* SPDX-License-Identifier: Apache-2.0 */
#include "common/worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/message/remark.h"
#include "common/message/message.h"

struct worker {
	struct worker_spec spec;
	uv_loop_t loop;
	struct chan *chan; /* owned */
	uv_signal_t term;
	uv_prepare_t report; /* active when a report is due */
	char *node;
	unsigned state;
	bool configured;
	bool lost;
	struct err end; /* why the process ends; code 0: asked */
};

uv_loop_t *worker_loop(struct worker *w)
{
	return &w->loop;
}

const char *worker_node(const struct worker *w)
{
	return w->node == NULL ? "" : w->node;
}

static int try_send(struct worker *w, const ProtobufCMessage *body)
{
	Ipc__Envelope m = IPC__ENVELOPE__INIT;
	int rc;

	message_wrap(&m.base, body);
	rc = w->chan == NULL ? ERR_STATE : chan_send(w->chan, &m.base);
	if (rc < 0 && rc != ERR_STATE)
		log_warn(EV("supervisor_send_failed"), KV("message", route_name(&m)),
			 KV("code", rc));
	return rc;
}

void worker_send(struct worker *w, const ProtobufCMessage *body)
{
	(void)!try_send(w, body);
}

void worker_ready(struct worker *w)
{
	Ipc__Ready ready = IPC__READY__INIT;

	if (w->state != WORKER_STARTING)
		return;
	w->state = WORKER_UP;
	worker_send(w, &ready.base);
	log_note(EV("ready"));
	worker_report(w);
}

static void fill_report(struct worker *w, Ipc__Report *r)
{
	w->spec.report(w->spec.arg, r);
	r->log = (char *)(uintptr_t)log_trouble();
}

static void send_report(struct worker *w)
{
	Ipc__Report r = IPC__REPORT__INIT;

	fill_report(w, &r);
	worker_send(w, &r.base);
}

static void on_report(uv_prepare_t *p)
{
	struct worker *w = p->data;

	(void)uv_prepare_stop(p);
	if (w->configured && w->chan != NULL)
		send_report(w);
}

void worker_report(struct worker *w)
{
	if (!uv_is_closing((uv_handle_t *)&w->report))
		CHECK(uv_prepare_start(&w->report, on_report) == 0);
}

/* --- the end --- */

static void stop(struct worker *w)
{
	if (w->state == WORKER_STOPPING)
		return;
	w->state = WORKER_STOPPING;
	log_note(EV("stopping"), KV("supervisor_gone", w->lost));
	if (w->configured)
		w->spec.stop(w->spec.arg, w->lost);
	else
		worker_done(w);
}

void worker_fail(struct worker *w, const struct err *why)
{
	if (w->end.code == 0)
		w->end = *why;
	stop(w);
}

void worker_done(struct worker *w)
{
	w->state = WORKER_STOPPING;
	if (w->chan != NULL)
		chan_finish(&w->chan);
	if (!uv_is_closing((uv_handle_t *)&w->term))
		uv_close((uv_handle_t *)&w->term, NULL);
	if (!uv_is_closing((uv_handle_t *)&w->report))
		uv_close((uv_handle_t *)&w->report, NULL);
}

static int exit_code(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case ERR_CONFIG:
		return EX_CONFIG;
	case ERR_PROTO:
	case ERR_STATE:
		return EX_SOFTWARE;
	case UV_EOF:
	case UV_EPIPE:
	case UV_ECONNRESET:
		return EX_UNAVAILABLE;
	default:
		return EX_TEMPFAIL;
	}
}

/* --- what it thinks of its configuration --- */

static Ipc__Checked *check(const struct worker_spec *s, const Ipc__Configure *c, bool look)
{
	Ipc__Checked *out = message_new(&ipc__checked__descriptor);

	if (s->check != NULL)
		s->check(c, look, out);
	return out;
}

/* Before READY, or before the end that `why` brings. */
static void tell_checked(struct worker *w, const Ipc__Configure *c, const struct err *why)
{
	Ipc__Checked *found = check(&w->spec, c, false);

	size_t i;

	if (why->code == ERR_CONFIG)
		remark_err(found, why);
	for (i = 0; i < found->n_remarks; i++)
		if (found->remarks[i]->level == IPC__REMARK__LEVEL__WARNING)
			log_warn(EV("config_warning"), KV("text", found->remarks[i]->text));
	if (found->n_remarks > 0)
		worker_send(w, &found->base);
	message_free(found);
}

/* To its end; -1: it cannot be read, or is longer. */
static ssize_t read_all(int fd, uint8_t *bytes, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, bytes + have, size - have);

		if (n == 0)
			return (ssize_t)have;
		if (n < 0 && errno != EINTR)
			return -1;
		have += n < 0 ? 0 : (size_t)n;
	}
	return -1;
}

static bool write_all(int fd, const uint8_t *bytes, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, bytes, n);

		if (put < 0 && errno != EINTR)
			return false;
		bytes += put < 0 ? 0 : put;
		n -= put < 0 ? 0 : (size_t)put;
	}
	return true;
}

/* `--check`: no loop, no log, no channel. */
static int check_stdin(const struct worker_spec *s)
{
	uint8_t *bytes = mem_alloc(FRAME_MAX_BYTES);
	ssize_t n = read_all(STDIN_FILENO, bytes, FRAME_MAX_BYTES);
	Ipc__Configure *c = n < 0 ? NULL : ipc__configure__unpack(NULL, (size_t)n, bytes);
	Ipc__Checked *found;
	uint8_t *packed;
	bool ok;

	explicit_bzero(bytes, n < 0 ? FRAME_MAX_BYTES : (size_t)n);
	mem_free(bytes);
	if (c == NULL)
		return EX_DATAERR;
	found = check(s, c, true);
	packed = mem_alloc(ipc__checked__get_packed_size(found) + 1);
	ok = write_all(STDOUT_FILENO, packed, ipc__checked__pack(found, packed));
	mem_free(packed);
	message_free(found);
	message_free(c);
	return ok ? 0 : EX_IOERR;
}

/* --- messages every worker understands --- */

static int on_configure(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct worker *w = self;
	const Ipc__Configure *c = m->configure;
	enum log_level level = LOG_NOTE;
	struct err why = { 0 };
	const char *path;
	int rc;

	if (w->configured || c == NULL || c->log == NULL)
		return err_set(e, ERR_PROTO, "a second or empty configuration");
	path = c->log->path[0] == '\0' ? NULL : c->log->path;
	if (!log_level_parse(c->log->level, &level))
		return err_set(e, ERR_CONFIG, "log level %s is unknown", c->log->level);
	/* Who cannot write its log works all the same: its stderr ends at the supervisor. */
	if (log_open(path, w->spec.name, level, c->log->json ? LOG_JSON : LOG_LOGFMT, &why) < 0)
		log_error(EV("log_open_failed"), KV("err", why.text));
	w->node = mem_strdup(c->name);
	w->configured = true;
	why = (struct err){ 0 };
	rc = w->spec.configure(w->spec.arg, w, c, &why);
	tell_checked(w, c, &why);
	if (rc < 0) {
		worker_fail(w, &why);
		return w->chan == NULL ? FRAME_STOP : 0;
	}
	return 0;
}

static int on_ping(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct worker *w = self;
	Ipc__Pong pong = IPC__PONG__INIT;
	Ipc__Report r = IPC__REPORT__INIT;

	UNUSED(e);
	log_tend();
	pong.seq = m->ping->seq;
	if (w->configured) {
		fill_report(w, &r);
		pong.report = &r;
	}
	if (try_send(w, &pong.base) == ERR_LIMIT) { /* alive all the same */
		pong.report = NULL;
		worker_send(w, &pong.base);
	}
	return 0;
}

static int on_stop(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct worker *w = self;

	UNUSED(m);
	UNUSED(e);
	stop(w);
	return w->chan == NULL ? FRAME_STOP : 0;
}

static int on_reopen(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct err why = { 0 };

	UNUSED(self);
	UNUSED(m);
	UNUSED(e);
	if (log_reopen(&why) < 0)
		log_error(EV("log_reopen_failed"), KV("err", why.text));
	else
		log_note(EV("log_reopened"));
	return 0;
}

static int on_log(void *self, const Ipc__Envelope *m, struct err *e)
{
	enum log_level level = LOG_NOTE;

	UNUSED(self);
	if (!log_level_parse(m->log->level, &level))
		return err_set(e, ERR_PROTO, "log level %s is unknown", m->log->level);
	log_set(level, m->log->json ? LOG_JSON : LOG_LOGFMT);
	return 0;
}

#define ANYTIME (WORKER_STARTING | WORKER_UP | WORKER_STOPPING)

static const struct route rows[] = {
	[IPC__ENVELOPE__BODY_CONFIGURE] = { FROM_SUPERVISOR, WORKER_STARTING, on_configure },
	[IPC__ENVELOPE__BODY_PING] = { FROM_SUPERVISOR, ANYTIME, on_ping },
	[IPC__ENVELOPE__BODY_STOP] = { FROM_SUPERVISOR, ANYTIME, on_stop },
	[IPC__ENVELOPE__BODY_REOPEN_LOGS] = { FROM_SUPERVISOR, ANYTIME, on_reopen },
	[IPC__ENVELOPE__BODY_LOG] = { FROM_SUPERVISOR, ANYTIME, on_log },
};
static const struct route_table common_routes = { rows, ARRAY_LEN(rows) };

static int on_message(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	struct worker *w = arg;
	const struct route_to to[] = {
		{ &common_routes, FROM_SUPERVISOR, w->state, w },
		{ w->spec.routes, FROM_SUPERVISOR, w->state, w->spec.arg },
	};

	return route_dispatch(to, ARRAY_LEN(to), body, n, e);
}

static void on_chan_closed(void *arg, const struct err *why)
{
	struct worker *w = arg;

	chan_close(&w->chan);
	w->lost = true;
	if (w->state != WORKER_STOPPING)
		log_warn(EV("supervisor_gone"), KV("err", why->text));
	if (w->end.code == 0 && w->state != WORKER_STOPPING)
		w->end = *why;
	stop(w);
}

static void on_term(uv_signal_t *s, int sig)
{
	struct worker *w = s->data;

	UNUSED(sig);
	stop(w);
}

static int open_worker(struct worker **out, const struct worker_spec *s, struct err *e)
{
	struct worker *w = mem_zalloc(sizeof(*w));
	const struct chan_hooks hooks = { w, on_message, on_chan_closed, NULL };
	int rc;

	(void)prctl(PR_SET_DUMPABLE,
		    0); /* secrets: for no core, and no other process of the user */
	w->spec = *s;
	w->state = WORKER_STARTING;
	/* A supervisor that died before this line left us EOF on fd 3. */
	if (s->death_signal != 0)
		(void)prctl(PR_SET_PDEATHSIG, s->death_signal);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	CHECK(uv_loop_init(&w->loop) == 0);
	CHECK(uv_signal_init(&w->loop, &w->term) == 0);
	CHECK(uv_prepare_init(&w->loop, &w->report) == 0);
	w->term.data = w;
	w->report.data = w;
	rc = uv_signal_start(&w->term, on_term, SIGTERM);
	if (rc == 0)
		rc = chan_open(&w->chan, &w->loop, WORKER_FD, &hooks, e);
	*out = w;
	return rc;
}

static int run(struct worker *w, struct err *e)
{
	(void)uv_run(&w->loop, UV_RUN_DEFAULT);
	if (w->end.code < 0)
		return err_set(e, w->end.code, "%s", w->end.text);
	return 0;
}

static void close_worker(struct worker *w)
{
	worker_done(w);
	(void)uv_run(&w->loop, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&w->loop) == 0); /* a live handle is a leak */
	mem_free(w->node);
	mem_free(w);
	log_close();
}

int worker_main(const struct worker_spec *s, int argc, char **argv)
{
	struct worker *w;
	struct err e = { 0 };
	int rc;

	if (argc > 1 && str_equal(argv[1], "--check"))
		return check_stdin(s);
	rc = open_worker(&w, s, &e);
	if (rc == 0)
		rc = run(w, &e);
	if (rc < 0 && rc != UV_EOF)
		log_error(EV("worker_failed"), KV("code", rc), KV("err", e.text));
	close_worker(w);
	return exit_code(rc);
}
