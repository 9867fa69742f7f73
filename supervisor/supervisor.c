/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "supervisor/control.h"
#include "supervisor/supervisor_internal.h"
#include "supervisor/listen.h"
#include "supervisor/notify.h"
#include "supervisor/reload.h"

#define BEAT_SHARE 4 /* of the lease's TTL: how often the elector hears of the fetcher */
#define STOPPING   "the daemon is stopping"

/* Stop order: the fetcher drains, the elector releases, the cache last (zone-protocol 8). */
static const enum slice_worker stop_order[SLICE__COUNT] = { SLICE_FETCHER, SLICE_ELECTOR,
							    SLICE_CACHE };

/* --- directories, identity --- */

static void tell_shared(struct supervisor *s)
{
	unsigned i;

	for (i = 0; i < WORK__COUNT; i++)
		if (dir_is_shared(&s->dirs[i]))
			log_warn(EV("dir_shared"), KV("dir", s->dirs[i].path),
				 KV("cure", "chmod g-w"));
}

static int open_control(struct supervisor *s, struct err *e)
{
	char *path = mem_printf("%s/control.sock", s->o.path[OPTION_RUN_DIR]);
	struct control_opts o = { .loop = s->loop,
				  .fd = -1,
				  .path = path,
				  .group = config_str(s->config, CFG_CONTROL_GROUP),
				  .supervisor = s,
				  .answer = s->answer };
	int rc = listen_unix(path, &o.fd, e);

	if (rc == 0)
		rc = control_open(&s->control, &o, e);
	mem_free(path);
	return rc;
}

/* Keys that count when the daemon starts: listeners, and whose they are. */
static void tell_waiting(struct supervisor *s, const struct config *next, struct buf *text)
{
	char *wish = http_listen_wish(next);
	bool http = !str_equal(wish, s->http_wish);
	static const enum cfg groups[] = { CFG_CONTROL_GROUP, CFG_GATEWAY_GROUP };
	size_t i;

	if (http) {
		log_warn(EV("restart_needed"), KV("key", "services.core.http"));
		buf_adds(text,
			 "services.core.http: enabled, host and port change when the daemon is "
			 "restarted\n");
	}
	for (i = 0; i < ARRAY_LEN(groups); i++) {
		const char *key = schema_row(groups[i])->key;

		if (str_equal(config_str(next, groups[i]), config_str(s->config, groups[i])))
			continue;
		log_warn(EV("restart_needed"), KV("key", key));
		buf_printf(text, "%s: changes when the daemon is restarted\n", key);
	}
	mem_free(wish);
}

/* --- children --- */

static void on_report(void *arg, struct child *c)
{
	router_report(arg, c);
	status_notify(arg);
}

static void on_up(void *arg, struct child *c)
{
	struct supervisor *s = arg;

	log_note(EV("child_ready"), KV("child", child_name(c)), KV("pid", child_pid(c)));
	router_up(s, c);
	status_notify(s);
}

static void close_all(struct supervisor *s)
{
	unsigned i;

	for (i = 0; i < SLICE__COUNT; i++)
		child_close(&s->child[i]);
	control_close(&s->control);
	uv_close((uv_handle_t *)&s->role_timer, NULL);
	uv_close((uv_handle_t *)&s->beat, NULL);
	uv_close((uv_handle_t *)&s->watchdog, NULL);
	for (i = 0; i < ARRAY_LEN(s->signals); i++)
		uv_close((uv_handle_t *)&s->signals[i], NULL);
}

static void stop_next(struct supervisor *s)
{
	unsigned i;

	for (i = 0; i < SLICE__COUNT; i++) {
		struct child *c = s->child[stop_order[i]];

		if (child_state(c) != CHILD_DOWN) {
			child_want(c, false);
			if (child_state(c) != CHILD_DOWN)
				return;
		}
	}
	log_note(EV("daemon_stopped"));
	close_all(s);
}

static void on_gone(void *arg, struct child *c, const struct death *d)
{
	struct supervisor *s = arg;

	s->deaths[s->n_deaths++ % SUPERVISOR_DEATHS] = *d;
	router_gone(s, c);
	status_notify(s);
	if (s->stopping)
		stop_next(s);
}

static bool is_ours(struct supervisor *s, pid_t pid)
{
	unsigned i;

	for (i = 0; i < SLICE__COUNT; i++)
		if (child_pid(s->child[i]) == pid)
			return true;
	return false;
}

/*
 * What a worker left behind became our child (PR_SET_CHILD_SUBREAPER); libuv waits for
 * its own only. Our workers are left to libuv: one that ended hides the others until then.
 */
static void reap(struct supervisor *s)
{
	while (s->reload == NULL) { /* its thread waits for children of its own */
		siginfo_t who = { 0 };

		if (waitid(P_ALL, 0, &who, WEXITED | WNOHANG | WNOWAIT) < 0 || who.si_pid == 0 ||
		    is_ours(s, who.si_pid))
			return;
		log_warn(EV("stranger_reaped"), KV("pid", who.si_pid));
		if (waitpid(who.si_pid, NULL, WNOHANG) <= 0)
			return;
	}
}

static void want_workers(struct supervisor *s)
{
	bool zone = config_bool(s->config, CFG_SYNC_DISTRIBUTED);
	bool candidate = config_bool(s->config, CFG_CANDIDATE);

	/* Start order: cache, elector, fetcher. Standalone there is nothing to elect. */
	child_want(s->child[SLICE_CACHE], true);
	child_want(s->child[SLICE_ELECTOR], zone && candidate);
	child_want(s->child[SLICE_FETCHER], candidate);
}

static void build_slice(struct supervisor *s, const struct config *c, unsigned i, struct slice *out)
{
	const struct slice_input in = { s->o.path[OPTION_STATE_DIR], s->o.path[OPTION_RUN_DIR],
					s->o.path[OPTION_LOG_DIR], s->node_id, s->http_url };

	slice_build(out, c, (enum slice_worker)i, &in);
}

static void create_children(struct supervisor *s)
{
	const struct child_hooks hooks = { s,	      &router_routes, on_up, router_stopping,
					   on_report, on_gone };
	unsigned i;

	for (i = 0; i < SLICE__COUNT; i++) {
		const char *name = slice_worker_name((enum slice_worker)i);
		struct child_spec spec = { .name = name,
					   .from = 1U << i,
					   .time_scale = s->o.time_scale };

		s->paths[i] = mem_printf("%s/zonesync-%s", s->o.path[OPTION_LIBEXEC_DIR], name);
		if (s->o.path[OPTION_LOG_DIR] != NULL)
			s->log_paths[i] = mem_printf("%s/%s.log", s->o.path[OPTION_LOG_DIR], name);
		spec.path = s->paths[i];
		spec.log_path = s->log_paths[i];
		if (i == SLICE_CACHE) {
			spec.fds[spec.n_fds++] = s->cache_listener;
			if (s->http_listener >= 0)
				spec.fds[spec.n_fds++] = s->http_listener;
		}
		s->child[i] = child_create(s->loop, &spec, &hooks);
		build_slice(s, s->config, i, &s->slices[i]);
		child_configure(s->child[i], s->slices[i].msg);
	}
}

/* --- directories that are removed under us --- */

static bool is_gone(const char *path)
{
	return access(path, F_OK) < 0 && errno == ENOENT;
}

/* 1: it was to be made anew, and is. The number stays: it is handed on to each cache. */
static int listen_again(struct supervisor *s, const char *path, int old, bool all, struct err *e)
{
	int fd = -1;
	int rc;

	if (path == NULL || (!all && !is_gone(path)))
		return 0;
	rc = listen_unix(path, &fd, e);
	if (rc == 0)
		rc = http_listen_give(s, path, e);
	if (rc == 0 && dup3(fd, old, O_CLOEXEC) < 0)
		rc = err_errno(e, errno, "listen on %s", path);
	if (fd >= 0)
		(void)close(fd);
	return rc < 0 ? rc : 1;
}

/* What lies in the run directory: those sockets that are not there, or all. One that cannot be
   made keeps no other from it. */
static int remake_sockets(struct supervisor *s, bool all, struct err *e)
{
	char *control = mem_printf("%s/control.sock", s->o.path[OPTION_RUN_DIR]);
	int cache = listen_again(s, s->cache_socket, s->cache_listener, all, e);
	int web = listen_again(s, http_listen_path(s), s->http_listener, all, e);
	int rc = 0;

	if (cache > 0 || web > 0)
		child_restart(s->child[SLICE_CACHE], "its sockets were removed");
	if (all || is_gone(control) || s->control == NULL) {
		control_close(&s->control);
		rc = open_control(s, e);
	}
	mem_free(control);
	return MIN(rc, MIN(cache, web));
}

/* The cache serves what is on no path any more, and makes a store anew beside it. */
static int remake_state(struct supervisor *s, struct err *e)
{
	char *store = mem_printf("%s/store", s->o.path[OPTION_STATE_DIR]);
	struct buf told = { 0 };
	int rc = dir_node_id(s->o.path[OPTION_STATE_DIR], s->node_id, e);

	if (rc == 0 && mkdir(store, 0700) < 0 && errno != EEXIST)
		rc = err_errno(e, errno, "create %s", store);
	if (rc == 0)
		(void)supervisor_resync(s, &told, NULL); /* else the next cache does it */
	buf_reset(&told);
	mem_free(store);
	return rc;
}

static int tend_dir(struct supervisor *s, unsigned i, struct err *e)
{
	struct dir *d = &s->dirs[i];
	bool was = d->fd >= 0;
	bool all = !dir_is_there(d);
	int rc = 0;

	if (all) {
		rc = dir_take(d, e);
		if (rc == 0)
			log_warn(EV("dir_made_anew"), KV("dir", d->path));
	}
	if (rc == 0 && i == WORK_RUN)
		rc = remake_sockets(s, all, e);
	if (rc == 0 && i == WORK_STATE && all && was)
		rc = remake_state(s, e);
	return rc;
}

static void tend(struct supervisor *s)
{
	struct err before = s->dir_err;
	struct err e = { 0 };
	unsigned i;

	s->dir_err = e;
	if (s->stopping)
		return;
	for (i = 0; i < WORK__COUNT; i++) {
		if (s->dirs[i].path == NULL || tend_dir(s, i, &e) == 0 || i == WORK_LOG)
			continue; /* of the log's log_tend() says what follows */
		s->dir_err = e;
	}
	if (s->dir_err.code < 0 && !str_equal(s->dir_err.text, before.text))
		log_error(EV("dir_gone"), KV("err", s->dir_err.text));
	log_tend();
}

static void on_beat(uv_timer_t *t)
{
	struct supervisor *s = t->data;

	router_beat(s);
	reap(s);
	tend(s);
	status_notify(s);
}

/* What it says about roles: who stands, and the TTL. */
static void follow_config(struct supervisor *s)
{
	uint64_t ms = (uint64_t)config_int(s->config, CFG_LEASE_TTL) / BEAT_SHARE;

	s->role.candidate = config_bool(s->config, CFG_CANDIDATE);
	CHECK(uv_timer_start(&s->beat, on_beat, ms, ms) == 0);
}

/* --- reload --- */

/* Into the log. */
static void tell_problems(const struct problems *p)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		if (p->item[i].level == PROBLEM_ERROR)
			log_error(EV("config_error"), KV("text", p->item[i].text));
		else if (p->item[i].level == PROBLEM_WARN)
			log_warn(EV("config_warning"), KV("text", p->item[i].text));
		else
			log_note(EV("config_unchecked"), KV("text", p->item[i].text));
	}
}

static void set_log(const struct config *c)
{
	enum log_level level = LOG_NOTE;

	(void)log_level_parse(config_log_level(c, CFG_LOG_SUPERVISOR), &level);
	log_set(level, str_equal(config_str(c, CFG_LOG_FORMAT), "json") ? LOG_JSON : LOG_LOGFMT);
}

/* What a change costs is said in zonesync.yml(5). */
static void take_slice(struct supervisor *s, struct child *c, struct slice *old, struct slice *next,
		       struct buf *text)
{
	bool live = slice_equal_but_log(old, next) && !child_facts(c).given_up;
	bool same = live && slice_equal(old, next);

	slice_reset(old);
	*old = *next;
	child_configure(c, old->msg);
	if (same)
		return;
	log_note(EV("config_changed"), KV("child", child_name(c)), KV("live", live));
	if (live) {
		(void)child_send(c, &old->msg->log->base);
		buf_printf(text, "%s: level and form of its log changed\n", child_name(c));
		return;
	}
	child_forgive(c);
	if (child_facts(c).wanted)
		buf_printf(text, "restarting %s: its part changed%s\n", child_name(c),
			   c != s->child[SLICE_CACHE] && role_is_primary(&s->role)
				   ? "; the primary role moves, if another node stands"
				   : "");
	if (child_state(c) != CHILD_DOWN)
		child_restart(c, "its configuration changed");
}

static void take_config(struct supervisor *s, struct config *c, struct buf *text)
{
	unsigned i;

	tell_waiting(s, c, text);
	config_free(&s->config);
	s->config = c;
	set_log(c);
	for (i = 0; i < SLICE__COUNT; i++) {
		struct slice next = { 0 };

		build_slice(s, c, i, &next);
		take_slice(s, s->child[i], &s->slices[i], &next, text);
	}
	follow_config(s);
	want_workers(s);
}

/* By a slip of the pen a node would leave its zone, and what it wrote there would stay. */
static bool may_enter(struct supervisor *s, const struct config *c, struct buf *text, struct err *e)
{
	const char *from = config_str(s->config, CFG_ZONE_ID);
	const char *to = config_str(c, CFG_ZONE_ID);
	bool zone = config_bool(c, CFG_SYNC_DISTRIBUTED) &&
		    config_bool(s->config, CFG_SYNC_DISTRIBUTED);
	struct problems p = { 0 };
	struct problem_place at;

	if (!zone || str_equal(from, to))
		return true;
	if (str_equal(to, s->reload_zone)) {
		buf_printf(
			text,
			"from the zone `%s` to `%s`; what it wrote stays in Redis, for the nodes "
			"that are still in it\n",
			from, to);
		return true;
	}
	config_place(c, CFG_ZONE_ID, &at);
	problems_add(&p, PROBLEM_ERROR, &at,
		     "would move this node from the zone `%s` to `%s`, and leave what it wrote in "
		     "Redis; if that is meant, run `zonesync reload --zone %s`",
		     from, to, to);
	tell_problems(&p);
	problems_show(&p, text);
	problems_reset(&p);
	(void)err_set(e, ERR_CONFIG, "%s names another zone", s->o.path[OPTION_CONFIG]);
	return false;
}

static void begin_reload(struct supervisor *s);

static void on_reload(void *arg, struct config *c, const struct problems *p, const struct err *e)
{
	struct supervisor *s = arg;
	struct buf text = { 0 };
	struct err why = *e;

	s->reload = NULL;
	if (s->reload_again && !s->stopping) {
		config_free(&c);
		begin_reload(s);
		return;
	}
	if (s->stopping) {
		config_free(&c);
		(void)err_set(&why, ERR_STATE, STOPPING);
	} else {
		tell_problems(p);
		problems_show(p, &text);
	}
	if (c != NULL && !may_enter(s, c, &text, &why))
		config_free(&c);
	if (c == NULL) {
		log_error(EV("reload_refused"), KV("err", err_text(&why)));
		buf_adds(&text, "the configuration was not changed\n");
	} else {
		take_config(s, c, &text);
		log_note(EV("reloaded"));
		buf_adds(&text, "reloaded\n");
	}
	control_reloaded(s->control, buf_cstr(&text), &why);
	buf_reset(&text);
	notify_send("READY=1");
}

static void begin_reload(struct supervisor *s)
{
	const struct reload_opts o = { s->loop, s->o.path[OPTION_CONFIG],
				       s->o.path[OPTION_LIBEXEC_DIR], on_reload, s };

	s->reload_again = false;
	s->reload = reload_begin(&o);
}

int supervisor_reload(struct supervisor *s, const char *zone, struct err *e)
{
	if (s->stopping)
		return err_set(e, ERR_STATE, STOPPING);
	str_copy(s->reload_zone, sizeof(s->reload_zone), zone);
	if (s->reload != NULL) {
		s->reload_again = true;
		return 0;
	}
	notify_reloading();
	begin_reload(s);
	return 0;
}

/* --- what may be asked for --- */

int supervisor_reopen_logs(struct supervisor *s, struct buf *text, struct err *e)
{
	Ipc__ReopenLogs r = IPC__REOPEN_LOGS__INIT;
	unsigned i;

	UNUSED(text);
	if (log_reopen(e) < 0)
		log_error(EV("log_reopen_failed"), KV("err", e->text));
	for (i = 0; i < SLICE__COUNT; i++) {
		child_reopen_log(s->child[i]);
		(void)child_send(s->child[i], &r.base);
	}
	log_note(EV("logs_reopened"));
	return 0;
}

static struct child *find(struct supervisor *s, const char *worker)
{
	unsigned i;

	for (i = 0; i < SLICE__COUNT; i++)
		if (str_equal(worker, slice_worker_name((enum slice_worker)i)))
			return s->child[i];
	return NULL;
}

int supervisor_restart(struct supervisor *s, const char *worker, struct buf *text, struct err *e)
{
	struct child *c = find(s, worker);

	if (s->stopping)
		return err_set(e, ERR_STATE, STOPPING);
	if (c == NULL)
		return err_set(e, ERR_NOTFOUND,
			       "there is no worker %s; there are elector, fetcher and cache",
			       worker);
	if (c != s->child[SLICE_CACHE] && !s->role.candidate)
		return err_set(e, ERR_STATE, "this node is a follower: it runs no %s", worker);
	if (c == s->child[SLICE_ELECTOR] && !config_bool(s->config, CFG_SYNC_DISTRIBUTED))
		return err_set(e, ERR_STATE, "this node is alone: it runs no elector");
	child_forgive(c);
	child_restart(c, "asked to restart");
	buf_printf(text, "restarting %s\n", worker);
	return 0;
}

int supervisor_stepdown(struct supervisor *s, struct buf *text, struct err *e)
{
	static char reason[] = "asked by a person";
	Ipc__StandBack b = IPC__STAND_BACK__INIT;

	if (!config_bool(s->config, CFG_SYNC_DISTRIBUTED))
		return err_set(e, ERR_STATE,
			       "this node is alone: there is nobody to step down for");
	if (s->role.token[0] == '\0')
		return err_set(e, ERR_STATE, "this node is not the primary");
	buf_adds(text,
		 "stepping down: another node that stands takes the role; where there is none, "
		 "this node comes back\n");
	b.reason = reason;
	return child_send(s->child[SLICE_ELECTOR], &b.base) < 0
		       ? err_set(e, ERR_STATE, "the elector is down")
		       : 0;
}

int supervisor_examine(struct supervisor *s, struct buf *text, struct err *e)
{
	Ipc__Examine x = IPC__EXAMINE__INIT;

	UNUSED(text);
	x.candidate = s->role.candidate;
	if (child_state(s->child[SLICE_CACHE]) != CHILD_UP ||
	    child_send(s->child[SLICE_CACHE], &x.base) < 0)
		return err_set(e, ERR_STATE, "the cache, which would look, is down");
	return 0;
}

int supervisor_takeover(struct supervisor *s, struct buf *text, struct err *e)
{
	Ipc__Takeover t = IPC__TAKEOVER__INIT;

	if (!config_bool(s->config, CFG_SYNC_DISTRIBUTED))
		return err_set(e, ERR_STATE, "this node is alone: there is no zone to take over");
	if (!s->role.candidate)
		return err_set(e, ERR_STATE,
			       "this node never stands for election (zonesync.candidate: false)");
	if (!supervisor_sees_java(s))
		return err_set(
			e, ERR_STATE,
			"no Java gateway writes this zone, or wrote it last: this node stands "
			"for election as it is, and is %s",
			role_is_primary(&s->role) ? "the primary" : "not the primary");
	buf_adds(text, "standing for election, whatever Java gateways do; "
		       "see `zonesync status`\n");
	return child_send(s->child[SLICE_ELECTOR], &t.base) < 0
		       ? err_set(e, ERR_STATE, "the elector is down")
		       : 0;
}

int supervisor_show_config(struct supervisor *s, struct buf *text, struct err *e)
{
	UNUSED(e);
	config_show(s->config, text);
	return 0;
}

/* --- life --- */

static void on_signal(uv_signal_t *h, int sig)
{
	struct supervisor *s = h->data;
	struct buf text = { 0 };
	struct err e = { 0 };

	log_note(EV("signal"), KV("signal", sig));
	switch (sig) {
	case SIGHUP:
		(void)!supervisor_reload(s, "", &e);
		break;
	case SIGUSR1:
		(void)supervisor_reopen_logs(s, &text, &e);
		break;
	default:
		supervisor_stop(s);
		break;
	}
	buf_reset(&text);
}

static void on_watchdog(uv_timer_t *t)
{
	UNUSED(t);
	notify_send("WATCHDOG=1");
}

static void start_handles(struct supervisor *s)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT };
	uint64_t ms = notify_watchdog_ms();
	unsigned i;

	CHECK(uv_timer_init(s->loop, &s->role_timer) == 0);
	CHECK(uv_timer_init(s->loop, &s->beat) == 0);
	CHECK(uv_timer_init(s->loop, &s->watchdog) == 0);
	s->role_timer.data = s;
	s->beat.data = s;
	s->watchdog.data = s;
	if (ms > 0)
		CHECK(uv_timer_start(&s->watchdog, on_watchdog, ms, ms) == 0);
	for (i = 0; i < ARRAY_LEN(signals); i++) {
		CHECK(uv_signal_init(s->loop, &s->signals[i]) == 0);
		s->signals[i].data = s;
		CHECK(uv_signal_start(&s->signals[i], on_signal, signals[i]) == 0);
	}
}

static int prepare(struct supervisor *s, struct err *e)
{
	struct problems p = { 0 };
	struct buf told = { 0 };
	struct err why = { 0 };
	char *log_path = NULL;
	int rc;

	/* There is no log yet: what is wrong goes to the terminal, once. */
	rc = config_load(&s->config, s->o.path[OPTION_CONFIG], &p, e) < 0 ? ERR_CONFIG : 0;
	problems_show(&p, &told);
	(void)fputs(buf_cstr(&told), stderr);
	buf_reset(&told);
	if (rc == 0)
		rc = dir_take(&s->dirs[WORK_STATE], e);
	if (rc == 0)
		rc = dir_take(&s->dirs[WORK_RUN], e);
	if (rc == 0 && s->o.path[OPTION_LOG_DIR] != NULL) {
		rc = dir_take(&s->dirs[WORK_LOG], e);
		if (rc != ERR_CONFIG)
			rc = 0; /* log_open() says what follows */
	}
	if (rc == 0)
		rc = dir_node_id(s->o.path[OPTION_STATE_DIR], s->node_id, e);
	if (rc == 0) {
		if (s->o.path[OPTION_LOG_DIR] != NULL)
			log_path = mem_printf("%s/supervisor.log", s->o.path[OPTION_LOG_DIR]);
		(void)!log_open(log_path, "supervisor", LOG_NOTE, LOG_LOGFMT, &why);
		set_log(s->config);
		if (why.code < 0)
			log_error(EV("log_open_failed"), KV("err", why.text));
		mem_free(log_path);
		tell_shared(s);
		tell_problems(&p);
	}
	problems_reset(&p);
	if (rc == 0) {
		s->cache_socket = mem_printf("%s/cache.sock", s->o.path[OPTION_RUN_DIR]);
		rc = listen_unix(s->cache_socket, &s->cache_listener, e);
	}
	if (rc == 0)
		rc = http_listen_give(s, s->cache_socket, e);
	if (rc == 0)
		rc = http_listen_open(s, e);
	return rc;
}

int supervisor_open(struct supervisor **out, uv_loop_t *loop, const struct options *o,
		    command_fn *answer, struct err *e)
{
	struct supervisor *s = mem_zalloc(sizeof(*s));
	int rc;

	s->loop = loop;
	s->o = *o;
	s->answer = answer;
	s->dirs[WORK_STATE] =
		(struct dir){ o->path[OPTION_STATE_DIR], "--state-dir", 0700, true, -1 };
	s->dirs[WORK_RUN] = (struct dir){ o->path[OPTION_RUN_DIR], "--run-dir", 0751, true, -1 };
	s->dirs[WORK_LOG] = (struct dir){ o->path[OPTION_LOG_DIR], "--log-dir", 0750, false, -1 };
	s->cache_listener = -1;
	s->http_listener = -1;
	s->started_ms = clock_boot_ms();
	rc = prepare(s, e);
	if (rc == 0)
		rc = open_control(s, e);
	if (rc < 0) {
		supervisor_free(&s);
		return rc;
	}
	/* Grandchildren of ours, should there ever be one, come back to us. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	nonces_init(&s->nonces, s->o.path[OPTION_STATE_DIR]);
	start_handles(s);
	log_note(EV("daemon_start"), KV("version", ZONESYNC_VERSION),
		 KV("zone", config_str(s->config, CFG_ZONE_ID)),
		 KV("config", s->o.path[OPTION_CONFIG]));
	create_children(s);
	s->role.kill_ms = INT64_MAX;
	follow_config(s);
	want_workers(s);
	*out = s;
	return 0;
}

void supervisor_stop(struct supervisor *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	notify_send("STOPPING=1");
	log_note(EV("daemon_stopping"));
	(void)uv_timer_stop(&s->role_timer);
	if (s->reload != NULL)
		reload_hurry(s->reload);
	stop_next(s);
}

void supervisor_free(struct supervisor **sp)
{
	struct supervisor *s = *sp;
	unsigned i;

	*sp = NULL;
	if (s == NULL)
		return;
	for (i = 0; i < SLICE__COUNT; i++) {
		slice_reset(&s->slices[i]);
		mem_free(s->paths[i]);
		mem_free(s->log_paths[i]);
	}
	if (s->cache_listener >= 0) {
		(void)close(s->cache_listener);
		(void)unlink(s->cache_socket);
	}
	http_listen_close(s);
	for (i = 0; i < WORK__COUNT; i++)
		dir_release(&s->dirs[i]);
	nonces_reset(&s->nonces);
	config_free(&s->config);
	mem_free(s->cache_socket);
	mem_free(s);
}
