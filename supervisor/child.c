/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ipc/route.h"
#include "common/log/log.h"
#include "common/message/message.h"
#include "common/message/remark.h"
#include "supervisor/environment.h"

struct output { /* stdout and stderr of one process; outlives it */
	uv_pipe_t pipe;
	struct child *c; /* NULL once the child is closed */
	struct buf line;
	char chunk[CHILD_LINE_BYTES];
};

struct child {
	uv_loop_t *loop;
	struct child_spec spec;
	struct child_hooks hooks;
	enum child_state state;
	bool want_up;
	bool given_up;
	bool exited;
	uv_process_t *proc; /* freed by its close callback */
	int pid;
	struct chan *chan; /* owned */
	struct output *out;
	unsigned generation;
	unsigned failures;
	unsigned deaths; /* in a row */
	struct backoff backoff;
	uv_timer_t timer; /* READY, stop, or backoff, by state */
	uv_timer_t ping;
	unsigned missed;
	uint64_t ping_seq;
	int64_t since_ms;
	int64_t heard_ms;
	int64_t down_ms;
	int64_t restart_ms;
	char why[48]; /* of the end that is on its way; "" died by itself */
	int64_t exit_status;
	int exit_signal;
	const Ipc__Configure *config; /* not owned */
	Ipc__Report *last;	      /* owned */
	Ipc__Checked *checked;	      /* owned */
	int log_fd;
	unsigned handles; /* still closing */
};

static void step(struct child *c, enum child_event ev);
static void maybe_gone(struct child *c);
static void on_timer(uv_timer_t *t);

const char *child_name(const struct child *c)
{
	return c->spec.name;
}

enum child_state child_state(const struct child *c)
{
	return c->state;
}

int child_pid(const struct child *c)
{
	return c->exited ? 0 : c->pid;
}

const Ipc__Report *child_report(const struct child *c)
{
	return c->last;
}

const Ipc__Checked *child_checked(const struct child *c)
{
	return c->checked;
}

static uint64_t scaled(const struct child *c, int64_t ms)
{
	return (uint64_t)MAX(ms * c->spec.time_scale / 100, 1);
}

/* What a process needs for itself is not scaled away: a slow machine is no hung worker. */
static uint64_t scaled_to(const struct child *c, int64_t ms, uint64_t floor_ms)
{
	return MAX(scaled(c, ms), floor_ms);
}

struct child_facts child_facts(const struct child *c)
{
	bool up = c->state == CHILD_UP;
	bool healthy = up && clock_boot_ms() - c->since_ms >= (int64_t)scaled(c, CHILD_HEALTHY_MS);

	return (struct child_facts){
		.generation = c->generation,
		.failures = c->failures,
		.since_ms = c->since_ms,
		.heard_ms = c->heard_ms,
		.down_since_ms = up ? INT64_MAX : c->down_ms,
		.restart_ms = c->state == CHILD_BACKOFF ? c->restart_ms : 0,
		.wanted = c->want_up,
		.given_up = c->given_up,
		/* Deaths count until the next one; health ends the ring before that. */
		.in_ring = c->deaths >= CHILD_RING_DEATHS && !healthy,
	};
}

/* --- its output --- */

static void say(struct child *c, struct buf *line)
{
	const struct log_kv kv[] = { { 0 }, KV("line", buf_cstr(line)) };

	if (line->len > 0)
		log_emit_to(c->log_fd >= 0 ? c->log_fd : STDERR_FILENO, c->spec.name, EV("stderr"),
			    kv, ARRAY_LEN(kv));
	buf_clear(line);
}

static void on_out_closed(uv_handle_t *h)
{
	struct output *o = h->data;

	buf_reset(&o->line);
	mem_free(o);
}

static void out_close(struct output *o)
{
	if (o->c != NULL) {
		say(o->c, &o->line);
		if (o->c->out == o)
			o->c->out = NULL;
		o->c = NULL;
	}
	if (!uv_is_closing((uv_handle_t *)&o->pipe))
		uv_close((uv_handle_t *)&o->pipe, on_out_closed);
}

static void on_out_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
	struct output *o = h->data;

	UNUSED(suggested);
	*b = uv_buf_init(o->chunk, sizeof(o->chunk));
}

static void on_out(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct output *o = s->data;
	ssize_t i;

	if (n < 0 || o->c == NULL) {
		struct child *c = o->c;

		out_close(o);
		if (c != NULL)
			maybe_gone(c);
		return;
	}
	for (i = 0; i < n; i++) {
		if (b->base[i] == '\n' || o->line.len >= CHILD_LINE_BYTES)
			say(o->c, &o->line);
		if (b->base[i] != '\n')
			buf_addc(&o->line, b->base[i]);
	}
}

void child_reopen_log(struct child *c)
{
	int fd;

	if (c->spec.log_path == NULL)
		return;
	/* The worker has the same trouble, and says so. */
	fd = log_open_file(c->spec.log_path, NULL);
	if (fd < 0)
		return;
	if (c->log_fd >= 0)
		(void)close(c->log_fd);
	c->log_fd = fd;
}

/* --- its end --- */

static void obituary(struct child *c, struct death *d)
{
	int64_t now = clock_boot_ms();

	*d = (struct death){ .at_ms = clock_wall_ms(),
			     .worker = c->spec.name,
			     .pid = c->pid,
			     .exit_code = c->exit_signal != 0 ? -1 : (int)c->exit_status,
			     .signal = c->exit_signal,
			     .uptime_ms = now - c->since_ms };
	str_copy(d->why, sizeof(d->why),
		 c->why[0] != '\0'			      ? c->why
		 : c->exit_status == 0 && c->exit_signal == 0 ? "ended"
							      : "died");
	if (c->exit_status == 0 && c->exit_signal == 0 && c->state == CHILD_STOPPING)
		log_note(EV("child_exit"), KV("child", c->spec.name), KV("pid", c->pid),
			 KV("why", d->why));
	else
		log_warn(EV("child_exit"), KV("child", c->spec.name), KV("pid", c->pid),
			 KV("status", c->exit_status), KV("signal", c->exit_signal),
			 KV("why", d->why), KV("uptime_ms", d->uptime_ms));
}

/* "Gone" needs all three facts, in any order: exited, channel and output drained. */
static void maybe_gone(struct child *c)
{
	const char *why = remark_first_error(c->checked);
	struct death d;
	bool give_up;

	if (why == NULL)
		why = "it cannot work with its configuration; see its log";
	if (!c->exited)
		return;
	if (c->chan != NULL || c->out != NULL) { /* unless someone else holds them open */
		CHECK(uv_timer_start(&c->timer, on_timer, CHILD_DRAIN_MS, 0) == 0);
		return;
	}
	(void)uv_timer_stop(&c->ping);
	obituary(c, &d);
	/* One that was told to go spoke of a configuration that may be another by now. */
	give_up = c->exit_signal == 0 && c->exit_status == EX_CONFIG && c->state != CHILD_STOPPING;
	if (d.uptime_ms >= (int64_t)scaled(c, CHILD_HEALTHY_MS)) {
		c->deaths = 0;
		backoff_reset(&c->backoff);
	}
	if (c->state == CHILD_UP || c->state == CHILD_STARTING) {
		c->deaths++;
		c->failures++;
	}
	c->down_ms = clock_boot_ms();
	c->why[0] = '\0';
	if (give_up) {
		c->given_up = true;
		log_error(EV("child_given_up"), KV("child", c->spec.name), KV("reason", why));
	}
	step(c, give_up ? ON_GIVE_UP : ON_GONE);
	c->hooks.gone(c->hooks.arg, c, &d);
}

static void on_proc_closed(uv_handle_t *h)
{
	mem_free(h);
}

/* mongo-c-driver keeps its counters in shared memory, and leaves it when it is killed. */
static void unlink_counters(int pid)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "/mongoc-%d", pid);
	(void)shm_unlink(name);
}

static void on_exit_status(uv_process_t *p, int64_t status, int sig)
{
	struct child *c = p->data;

	unlink_counters(c->pid);
	c->exited = true;
	c->exit_status = status;
	c->exit_signal = sig;
	uv_close((uv_handle_t *)p, on_proc_closed);
	c->proc = NULL;
	maybe_gone(c);
}

static void signal_it(struct child *c, int sig)
{
	if (c->proc != NULL && !c->exited)
		(void)uv_process_kill(c->proc, sig);
}

void child_kill(struct child *c, const char *why)
{
	if (c->proc == NULL)
		return;
	str_copy(c->why, sizeof(c->why), why);
	log_warn(EV("child_kill"), KV("child", c->spec.name), KV("pid", c->pid), KV("why", why));
	signal_it(c, SIGKILL);
}

/* --- its channel --- */

static void forget_report(struct child *c)
{
	message_free(c->last);
	c->last = NULL;
}

static void keep_report(struct child *c, const Ipc__Report *r)
{
	if (r == NULL)
		return;
	forget_report(c);
	c->last = message_copy(r);
	c->hooks.report(c->hooks.arg, c);
}

static int on_ready(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct child *c = self;

	UNUSED(m);
	UNUSED(e);
	step(c, ON_READY);
	return 0;
}

static int on_pong(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct child *c = self;

	UNUSED(e);
	c->missed = 0;
	keep_report(c, m->pong->report);
	return 0;
}

static int on_report(void *self, const Ipc__Envelope *m, struct err *e)
{
	UNUSED(e);
	keep_report(self, m->report);
	return 0;
}

static int on_checked(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct child *c = self;

	UNUSED(e);
	message_free(c->checked);
	c->checked = message_copy(m->checked);
	return 0;
}

enum { FROM_CHILD = 1 };

static const struct route rows[] = {
	[IPC__ENVELOPE__BODY_READY] = { FROM_CHILD, 1U << CHILD_STARTING | 1U << CHILD_STOPPING,
					on_ready },
	[IPC__ENVELOPE__BODY_PONG] = { FROM_CHILD, ~0U, on_pong },
	[IPC__ENVELOPE__BODY_REPORT] = { FROM_CHILD, ~0U, on_report },
	[IPC__ENVELOPE__BODY_CHECKED] = { FROM_CHILD, ~0U, on_checked },
};
static const struct route_table child_routes = { rows, ARRAY_LEN(rows) };

static int on_message(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	struct child *c = arg;
	const struct route_to to[] = {
		{ &child_routes, FROM_CHILD, 1U << c->state, c },
		{ c->hooks.routes, c->spec.from, 1U << c->state, c->hooks.arg },
	};

	c->heard_ms = clock_boot_ms();
	return route_dispatch(to, ARRAY_LEN(to), body, n, e);
}

static void on_chan_closed(void *arg, const struct err *why)
{
	struct child *c = arg;

	if (why->code == ERR_PROTO || why->code == ERR_STATE || why->code == ERR_LIMIT) {
		/* Before the channel closes: its end would be a chance to act on. */
		log_error(EV("child_protocol"), KV("child", c->spec.name), KV("err", why->text));
		child_kill(c, "broke the protocol");
	} else if (!c->exited && c->state != CHILD_STOPPING) {
		/* Its end is on the way, or it closed fd 3 and goes on: not for long. */
		CHECK(uv_timer_start(&c->timer, on_timer,
				     scaled_to(c, CHILD_STOP_MS, CHILD_STOP_FLOOR_MS), 0) == 0);
	}
	chan_close(&c->chan);
	maybe_gone(c);
}

int child_send(struct child *c, const ProtobufCMessage *body)
{
	Ipc__Envelope m = IPC__ENVELOPE__INIT;
	int rc;

	if (c->chan == NULL)
		return ERR_STATE;
	message_wrap(&m.base, body);
	rc = chan_send(c->chan, &m.base);
	if (rc == ERR_BUSY)
		child_kill(c, "does not read its channel");
	return rc;
}

static void on_ping(uv_timer_t *t)
{
	struct child *c = t->data;
	Ipc__Ping ping = IPC__PING__INIT;

	if (c->log_fd < 0 || log_is_removed(c->log_fd))
		child_reopen_log(c);
	if (c->state == CHILD_UP && ++c->missed > CHILD_PING_MISSES) {
		child_kill(c, "stalled: no heartbeat");
		return;
	}
	ping.seq = ++c->ping_seq;
	(void)child_send(c, &ping.base);
}

/* --- its start --- */

static void on_timer(uv_timer_t *t)
{
	struct child *c = t->data;

	if (c->exited && (c->chan != NULL || c->out != NULL)) {
		chan_close(&c->chan);
		if (c->out != NULL)
			out_close(c->out);
		maybe_gone(c);
		return;
	}
	step(c, ON_TIMEOUT);
}

static void spawn_failed(struct child *c, int rc)
{
	log_error(EV("spawn_failed"), KV("child", c->spec.name), KV("path", c->spec.path),
		  KV("err", uv_strerror(rc)));
	c->pid = 0;
	c->exited = true;
	c->exit_status = EX_OSERR;
	c->exit_signal = 0;
	str_copy(c->why, sizeof(c->why), "could not be started");
}

static int make_pipe_pair(int out[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out) < 0 ? -errno : 0;
}

static void listen_to(struct child *c, int fd)
{
	struct output *o = mem_zalloc(sizeof(*o));

	CHECK(uv_pipe_init(c->loop, &o->pipe, 0) == 0);
	o->pipe.data = o;
	o->c = c;
	c->out = o;
	if (uv_pipe_open(&o->pipe, fd) < 0 ||
	    uv_read_start((uv_stream_t *)&o->pipe, on_out_alloc, on_out) < 0)
		out_close(o);
}

static int launch(struct child *c, int chan_fd, int out_fd)
{
	uv_stdio_container_t io[4 + CHILD_FDS_MAX] = { { .flags = UV_IGNORE } };
	uv_process_options_t o = { 0 };
	char *args[] = { c->spec.path, NULL };
	size_t i;
	int rc;

	for (i = 1; i < 3; i++)
		io[i] = (uv_stdio_container_t){ UV_INHERIT_FD, { .fd = out_fd } };
	io[3] = (uv_stdio_container_t){ UV_INHERIT_FD, { .fd = chan_fd } };
	for (i = 0; i < c->spec.n_fds; i++)
		io[4 + i] = (uv_stdio_container_t){ UV_INHERIT_FD, { .fd = c->spec.fds[i] } };
	o.file = c->spec.path;
	o.args = args;
	o.env = environment_of_worker(environ);
	o.stdio = io;
	o.stdio_count = (int)(4 + c->spec.n_fds);
	o.exit_cb = on_exit_status;
	c->proc = mem_zalloc(sizeof(*c->proc));
	c->proc->data = c;
	rc = uv_spawn(c->loop, c->proc, &o);
	mem_free(o.env);
	if (rc < 0) {
		uv_close((uv_handle_t *)c->proc, on_proc_closed);
		c->proc = NULL;
	}
	return rc;
}

static void spawn(struct child *c)
{
	const struct chan_hooks hooks = { c, on_message, on_chan_closed, NULL };
	int chan[2] = { -1, -1 };
	int out[2] = { -1, -1 };
	struct err e = { 0 };
	int rc = make_pipe_pair(chan);

	if (rc == 0)
		rc = make_pipe_pair(out);
	forget_report(c); /* of the process before */
	message_free(c->checked);
	c->checked = NULL;
	c->generation++;
	c->exited = false;
	c->missed = 0;
	c->since_ms = clock_boot_ms();
	c->heard_ms = c->since_ms;
	c->state = CHILD_STARTING;
	if (rc == 0)
		rc = launch(c, chan[1], out[1]);
	(void)close(chan[1]);
	(void)close(out[1]);
	if (rc < 0) {
		(void)close(chan[0]);
		(void)close(out[0]);
		spawn_failed(c, rc);
		maybe_gone(c);
		return;
	}
	c->pid = c->proc->pid;
	listen_to(c, out[0]);
	log_note(EV("child_start"), KV("child", c->spec.name), KV("pid", c->pid),
		 KV("gen", c->generation));
	CHECK(uv_timer_start(&c->timer, on_timer,
			     scaled_to(c, CHILD_READY_MS, CHILD_READY_FLOOR_MS), 0) == 0);
	CHECK(uv_timer_start(&c->ping, on_ping, scaled_to(c, CHILD_PING_MS, CHILD_PING_FLOOR_MS),
			     scaled_to(c, CHILD_PING_MS, CHILD_PING_FLOOR_MS)) == 0);
	rc = chan_open(&c->chan, c->loop, chan[0], &hooks, &e);
	if (rc < 0)
		child_kill(c, e.text);
	else
		(void)child_send(c, &c->config->base);
}

/* --- the steps --- */

static void terminate(struct child *c)
{
	Ipc__Stop stop = IPC__STOP__INIT;

	stop.grace_ms = (uint32_t)scaled_to(c, CHILD_STOP_MS, CHILD_STOP_FLOOR_MS);
	c->state = CHILD_STOPPING;
	c->hooks.stopping(c->hooks.arg, c);
	/* A stopped process does not act on SIGTERM. First: a leak checker stops the process that
	   ends, and SIGCONT would take its SIGSTOP away. */
	signal_it(c, SIGCONT);
	(void)child_send(c, &stop.base);
	signal_it(c, SIGTERM);
	CHECK(uv_timer_start(&c->timer, on_timer, scaled_to(c, CHILD_STOP_MS, CHILD_STOP_FLOOR_MS),
			     0) == 0);
}

static void back_off(struct child *c)
{
	uint32_t random = 0;
	int64_t ms = 0;

	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
	if (c->deaths > 1) /* the first restart is immediate */
		ms = (int64_t)scaled(c, backoff_next_ms(&c->backoff, random));
	c->state = CHILD_BACKOFF;
	c->restart_ms = clock_boot_ms() + ms;
	CHECK(uv_timer_start(&c->timer, on_timer, (uint64_t)ms, 0) == 0);
}

static void go_down(struct child *c)
{
	(void)uv_timer_stop(&c->timer);
	c->state = CHILD_DOWN;
	forget_report(c);
}

static void step(struct child *c, enum child_event ev)
{
	switch (child_step(c->state, ev)) {
	case ACT_NONE:
		break;
	case ACT_SPAWN:
		spawn(c);
		break;
	case ACT_TERM:
		terminate(c);
		break;
	case ACT_UP:
		(void)uv_timer_stop(&c->timer);
		c->state = CHILD_UP;
		c->missed = 0;
		c->hooks.up(c->hooks.arg, c);
		break;
	case ACT_BACKOFF:
		back_off(c);
		break;
	case ACT_SETTLE:
		go_down(c);
		if (c->want_up)
			spawn(c);
		break;
	case ACT_DOWN:
		go_down(c);
		break;
	case ACT_KILL:
		child_kill(c, c->state == CHILD_STARTING ? "was not ready in time"
			      : c->state == CHILD_UP	 ? "closed its channel"
							 : "did not stop in time");
		CHECK(uv_timer_start(&c->timer, on_timer,
				     scaled_to(c, CHILD_STOP_MS, CHILD_STOP_FLOOR_MS), 0) == 0);
		break;
	case ACT_BUG:
		check_failed("a child event that cannot happen", __FILE__, __LINE__);
	}
}

void child_want(struct child *c, bool up)
{
	c->want_up = up;
	if (up && c->given_up)
		return;
	step(c, up ? ON_WANT_UP : ON_WANT_DOWN);
}

void child_restart(struct child *c, const char *why)
{
	c->want_up = true;
	if (c->state == CHILD_UP || c->state == CHILD_STARTING) {
		str_copy(c->why, sizeof(c->why), why);
		step(c, ON_WANT_DOWN); /* settles into a start */
	} else if (c->state == CHILD_BACKOFF) {
		(void)uv_timer_stop(&c->timer);
		step(c, ON_TIMEOUT);
	} else if (c->state == CHILD_DOWN) {
		step(c, ON_WANT_UP);
	}
}

void child_forgive(struct child *c)
{
	c->given_up = false;
	c->deaths = 0;
	backoff_reset(&c->backoff);
}

void child_configure(struct child *c, const Ipc__Configure *m)
{
	c->config = m;
}

struct child *child_create(uv_loop_t *loop, const struct child_spec *s, const struct child_hooks *h)
{
	struct child *c = mem_zalloc(sizeof(*c));

	c->loop = loop;
	c->spec = *s;
	c->hooks = *h;
	c->log_fd = -1;
	c->exited = true;
	c->down_ms = clock_boot_ms();
	c->backoff = (struct backoff){ .min_ms = CHILD_BACKOFF_MS, .max_ms = CHILD_BACKOFF_MAX_MS };
	CHECK(uv_timer_init(loop, &c->timer) == 0);
	CHECK(uv_timer_init(loop, &c->ping) == 0);
	c->timer.data = c;
	c->ping.data = c;
	child_reopen_log(c);
	return c;
}

static void on_own_closed(uv_handle_t *h)
{
	struct child *c = h->data;

	if (--c->handles == 0)
		mem_free(c);
}

void child_close(struct child **cp)
{
	struct child *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	CHECK(c->proc == NULL && c->chan == NULL);
	if (c->out != NULL)
		out_close(c->out);
	forget_report(c);
	message_free(c->checked);
	if (c->log_fd >= 0)
		(void)close(c->log_fd);
	c->handles = 2;
	uv_close((uv_handle_t *)&c->timer, on_own_closed);
	uv_close((uv_handle_t *)&c->ping, on_own_closed);
}
