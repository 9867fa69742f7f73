/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "common/message/message.h"
#include "common/message/remark.h"
#include "supervisor/config/check.h"
#include "supervisor/supervisor_internal.h"
#include "supervisor/notify.h"

/* What the worker reported last of its part; NULL: nothing yet. */
static void *part_of(struct supervisor *s, enum slice_worker who, Ipc__Report__PartCase part)
{
	const Ipc__Report *r = child_report(s->child[who]);

	return r != NULL && r->part_case == part ? r->cache : NULL; /* whichever it is */
}

const Ipc__CacheReport *status_cache(struct supervisor *s)
{
	return part_of(s, SLICE_CACHE, IPC__REPORT__PART_CACHE);
}

const Ipc__FetcherReport *status_fetcher(struct supervisor *s)
{
	return part_of(s, SLICE_FETCHER, IPC__REPORT__PART_FETCHER);
}

static const Ipc__ElectorReport *elector_report(struct supervisor *s)
{
	return part_of(s, SLICE_ELECTOR, IPC__REPORT__PART_ELECTOR);
}

static bool is_zone(const struct supervisor *s)
{
	return config_bool(s->config, CFG_SYNC_DISTRIBUTED);
}

bool supervisor_sees_java(struct supervisor *s)
{
	const Ipc__ElectorReport *e = elector_report(s);

	return e == NULL || e->java[0] != '\0';
}

bool supervisor_publishes(const struct supervisor *s)
{
	return !is_zone(s) || role_is_primary(&s->role);
}

static const char *role_name(const struct supervisor *s)
{
	if (!is_zone(s))
		return "standalone";
	return role_is_primary(&s->role) ? "primary" : "secondary";
}

static bool is_down(const char *said)
{
	return str_starts(said, "down");
}

/* A text that stays until the next one. */
static const char *say(const char *fmt, ...) PRINTF_LIKE(1, 2);

static const char *say(const char *fmt, ...)
{
	static char text[ERR_TEXT_BYTES + 80];
	va_list ap;

	va_start(ap, fmt);
	str_vprint(text, sizeof(text), fmt, ap);
	va_end(ap);
	return text;
}

/* Why there is nothing to serve yet; "" when it is only a matter of a moment. */
static const char *why_starting(struct supervisor *s, const Ipc__CacheReport *c,
				const Ipc__FetcherReport *f)
{
	if (is_zone(s) && is_down(c->redis))
		return say("Redis is %s", c->redis);
	if (f != NULL && supervisor_publishes(s) && is_down(f->source))
		return say("the source is %s", f->source);
	if (is_zone(s) && str_equal(c->state, "waiting"))
		return "nothing complete is in this zone yet; if there should be, "
		       "`zonesync doctor` tells which zones this Redis holds";
	return "";
}

/* What is wrong with a node that works; "" for nothing. */
static const char *why_degraded(struct supervisor *s, const Ipc__CacheReport *c,
				const Ipc__FetcherReport *f)
{
	const Ipc__ElectorReport *l = elector_report(s);
	bool publishes = f != NULL && supervisor_publishes(s);

	if (c->error[0] != '\0')
		return c->error;
	if (c->waits[0] != '\0')
		return c->waits;
	if (is_zone(s) && c->serving && str_equal(c->state, "behind"))
		return "the zone is of an older primary than what is served, which stays";
	if (is_zone(s) && c->serving && str_equal(c->state, "waiting"))
		return "the zone is being filled anew: what was known last is served";
	if (s->role.candidate && s->nonce_err.code < 0)
		return say("this node cannot stand for election: %s", s->nonce_err.text);
	if (l != NULL && l->disputed)
		return l->java;
	if (f != NULL && f->guard[0] != '\0')
		return f->guard;
	if (publishes && f->error[0] != '\0')
		return f->error;
	/* Heard lately is enough to stay primary, and not to be well: who is elected again and
	   again without a source would seem well most of the time. */
	if (publishes && (!f->source_heard || (c->serving && is_down(f->source))))
		return say("the source is %s", is_down(f->source) ? f->source : "not heard");
	if (is_zone(s) && c->serving && is_down(c->redis))
		return say("Redis is %s; what was last known is served", c->redis);
	if (l != NULL && l->unfit && !is_down(c->redis))
		return say("this node cannot be primary: %s", l->error);
	if (!publishes && f != NULL && s->role.candidate && is_down(f->source))
		return say("this node could not take over: the source is %s", f->source);
	if (!publishes && c->held[0] != '\0')
		return say("the primary holds removals back: %s", c->held);
	if (c->unwritten)
		return l != NULL && l->java[0] != '\0' ? l->java : c->java;
	return "";
}

/* The log of this process, or of a worker, is not written where people look; "" else. */
static const char *log_trouble_of(struct supervisor *s)
{
	const char *why = log_trouble();
	unsigned i;

	for (i = 0; i < SLICE__COUNT && why[0] == '\0'; i++)
		if (child_report(s->child[i]) != NULL)
			why = child_report(s->child[i])->log;
	return why[0] == '\0' ? "" : say("%s; its lines go elsewhere", why);
}

static const char *status_health(struct supervisor *s, const char **reason)
{
	const Ipc__CacheReport *c = status_cache(s);
	const Ipc__FetcherReport *f = status_fetcher(s);
	unsigned i;

	*reason = s->dir_err.code < 0 ? s->dir_err.text : "";
	for (i = SLICE__COUNT; i > 0; i--) { /* the first one is told of */
		const char *name = child_name(s->child[i - 1]);
		const struct child_facts child = child_facts(s->child[i - 1]);

		const char *why = remark_first_error(child_checked(s->child[i - 1]));

		if (child.given_up && why != NULL)
			*reason = say("the %s cannot work with this configuration: %s", name, why);
		else if (child.given_up)
			*reason = say("the %s cannot work with this configuration: see `zonesync "
				      "logs %s`",
				      name, name);
		else if (child.in_ring)
			*reason = say("the %s keeps dying: see `zonesync logs %s`", name, name);
	}
	if ((*reason)[0] != '\0')
		return "degraded";
	if (c == NULL || child_state(s->child[SLICE_CACHE]) != CHILD_UP)
		return "starting";
	*reason = why_degraded(s, c, f);
	if ((*reason)[0] == '\0' && c->serving)
		*reason = log_trouble_of(s);
	if ((*reason)[0] != '\0')
		return "degraded";
	if (c->serving)
		return "ok";
	*reason = why_starting(s, c, f);
	return "starting";
}

/* A line break in what a worker says would be another message to systemd: MAINPID=... */
static void one_line(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

void status_notify(struct supervisor *s)
{
	const char *reason;
	const char *health = status_health(s, &reason);
	char *text = mem_printf("%s, %s%s%s", role_name(s), health, reason[0] == '\0' ? "" : ": ",
				reason);

	one_line(text);
	if (!s->announced && child_state(s->child[SLICE_CACHE]) == CHILD_UP) {
		s->announced = true;
		log_note(EV("daemon_ready"));
		notify_send("READY=1");
	}
	if (!str_equal(text, s->notified) && !s->stopping) {
		str_copy(s->notified, sizeof(s->notified), text);
		notify_send("STATUS=%s", s->notified);
	}
	mem_free(text);
}

static Control__Worker *worker_status(struct supervisor *s, unsigned i)
{
	struct child *c = s->child[i];
	const struct child_facts f = child_facts(c);
	/* One that this mode does not need is no reason to worry. */
	bool off = !f.wanted && child_state(c) == CHILD_DOWN;
	Control__Worker *w = message_new(&control__worker__descriptor);
	const char *why = remark_first_error(child_checked(c));
	int64_t now = clock_boot_ms();

	w->name = mem_strdup(child_name(c));
	w->state = mem_strdup(f.given_up ? "given up"
			      : off	 ? "off"
					 : child_state_name(child_state(c)));
	w->pid = child_pid(c);
	w->generation = f.generation;
	w->failures = f.failures;
	w->uptime_ms = child_pid(c) != 0 ? now - f.since_ms : 0;
	w->restart_in_ms = f.restart_ms != 0 ? MAX(f.restart_ms - now, 0) : 0;
	w->error = mem_strdup(f.given_up && why != NULL ? why
			      : f.given_up		? "exit 78: see its log"
			      : f.in_ring		? "keeps dying"
							: "");
	w->log = mem_strdup(s->log_paths[i] == NULL ? "" : s->log_paths[i]);
	return w;
}

static Control__Death *death_status(const struct death *d)
{
	Control__Death *out = message_new(&control__death__descriptor);

	out->at_ms = d->at_ms;
	out->worker = mem_strdup(d->worker);
	out->pid = d->pid;
	out->exit_code = d->exit_code;
	out->signal = d->signal;
	out->uptime_ms = d->uptime_ms;
	out->why = mem_strdup(d->why);
	return out;
}

/* Of what a worker reads itself: with file and line, as if they had been checked here. */
static void add_remarks(struct supervisor *s, const struct child *c, struct problems *p)
{
	const Ipc__Checked *m = child_checked(c);
	size_t i;

	for (i = 0; m != NULL && child_facts(c).wanted && i < m->n_remarks; i++)
		if (m->remarks[i]->level == IPC__REMARK__LEVEL__WARNING)
			config_blame(s->config, PROBLEM_WARN, m->remarks[i]->text, p);
}

static void pack_warnings(struct supervisor *s, Control__Status *out)
{
	struct problems p = { 0 };
	size_t i;

	check_protection(s->config, &p);
	for (i = 0; i < SLICE__COUNT; i++)
		add_remarks(s, s->child[i], &p);
	out->warnings = mem_zalloc((p.n + 1) * sizeof(*out->warnings));
	out->n_warnings = p.n;
	for (i = 0; i < p.n; i++)
		out->warnings[i] = mem_strdup(p.item[i].text);
	problems_reset(&p);
}

Control__Status *supervisor_status(struct supervisor *s)
{
	Control__Status *out = message_new(&control__status__descriptor);
	size_t n = MIN(s->n_deaths, SUPERVISOR_DEATHS);
	const char *reason;
	unsigned i;

	out->version = mem_strdup(ZONESYNC_VERSION);
	out->node = mem_strdup(config_str(s->config, CFG_NODE_NAME));
	out->zone = mem_strdup(is_zone(s) ? config_str(s->config, CFG_ZONE_ID) : "");
	out->mode = mem_strdup(!is_zone(s)	   ? "standalone"
			       : s->role.candidate ? "zone"
						   : "follower");
	out->role = mem_strdup(role_name(s));
	out->health = mem_strdup(status_health(s, &reason));
	out->reason = mem_strdup(reason);
	out->pid = (int)getpid();
	out->uptime_ms = clock_boot_ms() - s->started_ms;
	out->config = mem_strdup(s->o.path[OPTION_CONFIG]);
	out->cache_socket = mem_strdup(s->cache_socket);
	out->workers = mem_zalloc(SLICE__COUNT * sizeof(*out->workers));
	out->n_workers = SLICE__COUNT;
	for (i = 0; i < SLICE__COUNT; i++)
		out->workers[i] = worker_status(s, i);
	out->deaths = mem_zalloc((n + 1) * sizeof(*out->deaths));
	out->n_deaths = n;
	for (i = 0; i < n; i++)
		out->deaths[i] =
			death_status(&s->deaths[(s->n_deaths - n + i) % SUPERVISOR_DEATHS]);
	out->elector = message_copy(elector_report(s));
	out->fetcher = message_copy(status_fetcher(s));
	out->cache = message_copy(status_cache(s));
	pack_warnings(s, out);
	return out;
}
