/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/elector/election.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/random.h"
#include "common/message/message.h"
#include "common/worker/link.h"
#include "common/zone/java.h"
#include "common/zone/probe.h"
#include "workers/elector/elector.h"

#define LOOK_MS 1000 /* how often the state of a Java primary is looked at */

struct election {
	struct worker *w;
	struct elector m;
	struct zone_conn *z;	/* owned */
	struct redis *listener; /* owned; subscribed to the wake-up channel */
	struct probe probe;
	char *holder;
	uv_timer_t timer;
	struct err down; /* why Redis is not usable; code 0: it is */
	char told_warning[PROBE_TEXT_BYTES];
	bool stopping;
	bool finished;
	uint64_t renewals;
	struct java_watch java;
	enum java_verdict verdict;
	bool linked;	 /* this connection has been looked at, and the machine told */
	bool told;	 /* a person said: take over */
	int64_t told_ms; /* when, or when the Java primary last wrote since */
	uv_timer_t look;
	char java_says[420];
	char *warnings[1]; /* for the report */
};

static void act(struct election *x, unsigned what);
static void on_timer(uv_timer_t *t);

static void arm(struct election *x)
{
	int64_t next = elector_next_ms(&x->m);
	int64_t wait;

	if (x->stopping && x->m.state == ELECTOR_IDLE)
		return;
	if (next == INT64_MAX) {
		(void)uv_timer_stop(&x->timer);
		return;
	}
	wait = next - clock_boot_ms();
	CHECK(uv_timer_start(&x->timer, on_timer, wait > 0 ? (uint64_t)wait : 0, 0) == 0);
}

static void finish(struct election *x)
{
	if (x->finished)
		return;
	x->finished = true;
	zone_conn_close(&x->z);
	redis_close(&x->listener);
	if (!uv_is_closing((uv_handle_t *)&x->timer)) {
		uv_close((uv_handle_t *)&x->timer, NULL);
		uv_close((uv_handle_t *)&x->look, NULL);
	}
	worker_done(x->w);
}

static void step(struct election *x, unsigned what)
{
	act(x, what);
	if (x->stopping && x->m.state == ELECTOR_IDLE) {
		finish(x);
		return;
	}
	arm(x);
}

static void on_timer(uv_timer_t *t)
{
	struct election *x = t->data;

	step(x, elector_tick(&x->m, clock_boot_ms()));
}

/* --- answers --- */

/* Nothing is written into a zone of a format above ours. */
static void other_format(struct election *x, const char *format)
{
	struct err e = { 0 };

	(void)err_set(&e, ERR_CONFIG,
		      "the zone in Redis is of format %s, and this zonesync knows " ZONE_FORMAT
		      ": upgrade zonesync on this node",
		      format);
	if (!str_equal(x->down.text, e.text))
		log_error(EV("redis_unfit"), KV("err", e.text));
	x->down = e;
	worker_report(x->w);
	step(x, elector_failed(&x->m, clock_boot_ms()));
}

static void on_answer(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct election *x = arg;
	struct lease_reply l;
	struct err e = { 0 };

	if (lost != NULL)
		return; /* the machine learns of it from the link */
	if (zone_check(x->z, r, lost, &e) < 0 || lease_parse(r, &l, &e) < 0) {
		log_warn(EV("lease_refused"), KV("err", e.text));
		x->down = e;
		step(x, elector_failed(&x->m, clock_boot_ms()));
		return;
	}
	if (l.answer == LEASE_NEWER) {
		other_format(x, l.holder);
		return;
	}
	x->down = (struct err){ 0 };
	step(x, elector_reply(&x->m, &l, random_number(), clock_boot_ms()));
}

static void tell_held(struct election *x)
{
	Ipc__Held held = IPC__HELD__INIT;

	held.token = x->m.token;
	held.nonce = x->m.nonce;
	held.deadline_boot_ms = x->m.good_ms + x->m.t.deadline_ms;
	held.kill_boot_ms = x->m.good_ms + x->m.t.kill_ms;
	if (x->renewals++ == 0) {
		log_note(EV("lease_held"), KV("token", x->m.token));
		worker_report(x->w);
	} else {
		log_debug(EV("lease_renewed"), KV("token", x->m.token));
	}
	worker_send(x->w, &held.base);
}

static void tell_lost(struct election *x)
{
	Ipc__Lost lost = IPC__LOST__INIT;

	lost.nonce = x->m.nonce;
	lost.reason = (char *)(uintptr_t)(x->m.reason == NULL ? "" : x->m.reason);
	x->renewals = 0;
	log_note(EV("lease_lost"), KV("reason", lost.reason));
	worker_send(x->w, &lost.base);
	worker_report(x->w);
}

static void act(struct election *x, unsigned what)
{
	const char *previous[LEASE_PREVIOUS_MAX];
	struct lease_ask ask;
	int64_t now = clock_boot_ms();
	int rc = 0;

	if ((what & ELECTOR_TELL_HELD) != 0)
		tell_held(x);
	if ((what & ELECTOR_TELL_LOST) != 0)
		tell_lost(x);
	if ((what & ELECTOR_ACQUIRE) != 0) {
		elector_ask(&x->m, now, &ask, previous);
		ask.holder = x->holder;
		rc = lease_acquire(x->z, &ask, on_answer, x);
	}
	if ((what & ELECTOR_RENEW) != 0)
		rc = lease_renew(x->z, x->m.token, (uint32_t)x->m.ttl_ms, on_answer, x);
	if ((what & ELECTOR_RELEASE) != 0)
		rc = lease_release(x->z, x->m.token, on_answer, x);
	if ((what & (ELECTOR_ACQUIRE | ELECTOR_RENEW | ELECTOR_RELEASE)) != 0 && rc == 0)
		elector_sent(&x->m, now);
}

/* --- a Java primary --- */

static bool is_barred(const struct election *x)
{
	if (x->told)
		return false;
	if (x->m.state == ELECTOR_HELD) /* what has only just appeared may be a remnant */
		return x->verdict == JAVA_WRITES;
	return x->verdict == JAVA_WRITES || x->verdict == JAVA_UNSURE || x->verdict == JAVA_SILENT;
}

/* A person's word holds until the Java primary has been silent for long enough. */
static void forget_word(struct election *x, int64_t now)
{
	if (x->verdict == JAVA_WRITES)
		x->told_ms = now;
	if (x->told && x->verdict == JAVA_NONE && now - x->told_ms > x->java.silence_ms)
		x->told = false;
}

static void tell_java(struct election *x, enum java_verdict was)
{
	const char *what = "";

	java_text(&x->java, x->verdict, x->java_says, sizeof(x->java_says));
	if (x->verdict == JAVA_SILENT && !x->told)
		what = "; `zonesync takeover` lets this node be primary";
	else if (is_barred(x))
		what = "; this node follows, and does not stand for election";
	else if (x->verdict == JAVA_WRITES)
		what = "; so does this node, as a person said: stop one of the two";
	str_copy(x->java_says + strlen(x->java_says), sizeof(x->java_says) - strlen(x->java_says),
		 what);
	if (was == x->verdict)
		return;
	if (x->verdict == JAVA_NONE)
		log_note(EV("java_primary_over"));
	else
		log_warn(EV("java_primary"), KV("text", x->java_says));
	worker_report(x->w);
}

static void on_state(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct election *x = arg;
	enum java_verdict was = x->verdict;
	int64_t now = clock_boot_ms();
	struct err e = { 0 };
	unsigned what;

	if (lost != NULL || x->stopping)
		return;
	/* Who may not read the state cannot see a Java primary: the rights are told by the probe. */
	if (zone_check(x->z, r, lost, &e) < 0)
		log_debug(EV("java_unseen"), KV("err", e.text));
	else
		java_take(&x->java, r, now);
	x->verdict = java_judge(&x->java, now);
	forget_word(x, now);
	what = elector_bar(&x->m, is_barred(x), now);
	tell_java(x, was);
	if (!x->linked && zone_conn_is_up(x->z)) {
		x->linked = true;
		what |= elector_link(&x->m, true, now);
	}
	step(x, what);
}

static void look(struct election *x)
{
	if (zone_conn_is_up(x->z) && java_ask(x->z, on_state, x) < 0)
		redis_fail(zone_conn_redis(x->z), ERR_BUSY, "too much is under way");
}

static void on_look(uv_timer_t *t)
{
	struct election *x = t->data;

	if (x->linked)
		look(x);
}

/* --- the links --- */

static void on_probed(void *arg, const struct probe *p)
{
	struct election *x = arg;
	bool fine = p->refused[0] == '\0' && p->barred[0] == '\0';

	if (p->warning[0] != '\0' && !str_equal(p->warning, x->told_warning))
		log_warn(EV("redis_warning"), KV("text", p->warning));
	str_copy(x->told_warning, sizeof(x->told_warning), p->warning);
	if (!fine) {
		bool told = x->down.code == ERR_CONFIG; /* it is tried again and again */
		struct err before = x->down;

		(void)err_set(&x->down, ERR_CONFIG, "%s",
			      p->refused[0] != '\0' ? p->refused : p->barred);
		if (!told || !str_equal(before.text, x->down.text))
			log_error(EV("redis_unfit"), KV("err", x->down.text));
		worker_report(x->w);
		redis_fail(zone_conn_redis(x->z), ERR_CONFIG, x->down.text);
		return;
	}
	log_note(EV("redis_up"));
	x->down = (struct err){ 0 };
	worker_report(x->w);
	look(x); /* nobody stands before he has looked for a Java primary */
}

static void on_up(void *arg)
{
	struct election *x = arg;

	CHECK(probe_server(x->z, &x->probe, true, on_probed, x) == 0);
}

static void on_down(void *arg, const struct err *why)
{
	struct election *x = arg;
	bool was_up = x->m.up;

	if (was_up || !str_equal(x->down.text, why->text))
		log_warn(EV("redis_down"), KV("err", why->text));
	x->down = *why;
	if (was_up)
		worker_report(x->w);
	x->linked = false;
	step(x, elector_link(&x->m, false, clock_boot_ms()));
}

static void on_listener_up(void *arg)
{
	struct election *x = arg;

	if (redis_subscribe(x->listener, zone_conn_keys(x->z)->wake) < 0)
		redis_fail(x->listener, ERR_STATE, "cannot subscribe");
}

static void on_wake(void *arg, const char *p, size_t n)
{
	struct election *x = arg;

	if (n == 4 && memcmp(p, "free", 4) == 0)
		step(x, elector_wake(&x->m, random_number(), clock_boot_ms()));
}

/* --- messages --- */

static int on_stand(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct election *x = *(struct election **)self;
	const Ipc__Stand *s = m->stand;
	size_t i;

	if (strlen(s->nonce) != LEASE_NONCE_BYTES - 1)
		return err_set(e, ERR_PROTO, "a nonce of %zu bytes", strlen(s->nonce));
	for (i = 0; i < s->n_previous; i++)
		if (strlen(s->previous[i]) != LEASE_NONCE_BYTES - 1)
			return err_set(e, ERR_PROTO, "a nonce of %zu bytes",
				       strlen(s->previous[i]));
	if (x->stopping)
		return 0;
	x->renewals = 0;
	step(x, elector_stand(&x->m, s->nonce, (const char *const *)s->previous, s->n_previous,
			      clock_boot_ms()));
	return 0;
}

static int on_stand_back(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct election *x = *(struct election **)self;

	UNUSED(m);
	UNUSED(e);
	step(x, elector_stand_back(&x->m, clock_boot_ms()));
	return 0;
}

static int on_fitness(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct election *x = *(struct election **)self;

	UNUSED(e);
	step(x, elector_fitness(&x->m, m->fitness->fit, clock_boot_ms()));
	step(x, elector_ready(&x->m, m->fitness->ready, clock_boot_ms()));
	return 0;
}

static int on_takeover(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct election *x = *(struct election **)self;
	int64_t now = clock_boot_ms();

	UNUSED(m);
	UNUSED(e);
	log_warn(EV("takeover"), KV("text", x->java_says));
	x->told = true;
	x->told_ms = now;
	step(x, elector_bar(&x->m, false, now));
	tell_java(x, x->verdict);
	return 0;
}

static const struct route rows[] = {
	[IPC__ENVELOPE__BODY_STAND] = { FROM_SUPERVISOR, WORKER_UP, on_stand },
	[IPC__ENVELOPE__BODY_STAND_BACK] = { FROM_SUPERVISOR, WORKER_UP, on_stand_back },
	[IPC__ENVELOPE__BODY_FITNESS] = { FROM_SUPERVISOR, WORKER_UP | WORKER_STOPPING,
					  on_fitness },
	[IPC__ENVELOPE__BODY_TAKEOVER] = { FROM_SUPERVISOR, WORKER_UP, on_takeover },
};
const struct route_table election_routes = { rows, ARRAY_LEN(rows) };

/* --- life --- */

int election_open(struct election **out, struct worker *w, const Ipc__Configure *c, struct err *e)
{
	struct election *x = mem_zalloc(sizeof(*x));
	const struct zone_hooks z = { x, on_up, on_down };
	/* That it is lost the other connection tells too. */
	const struct redis_hooks l = { x, on_listener_up, NULL, on_wake };
	const Ipc__ElectorConfig *ec = c->elector;
	struct redis_opts o;
	int rc;

	x->w = w;
	CHECK(uv_timer_init(worker_loop(w), &x->timer) == 0);
	CHECK(uv_timer_init(worker_loop(w), &x->look) == 0);
	x->timer.data = x;
	x->look.data = x;
	*out = x;
	if (c->part_case != IPC__CONFIGURE__PART_ELECTOR || ec->redis == NULL)
		return err_set(e, ERR_CONFIG, "this is no configuration of an elector");
	x->holder = mem_strdup(ec->holder);
	x->java.silence_ms = ec->java_silence_ms;
	CHECK(uv_timer_start(&x->look, on_look, LOOK_MS, LOOK_MS) == 0);
	elector_init(&x->m, ec->lease_ttl_ms);
	x->m.unready = true; /* until the supervisor says so */
	(void)err_set(&x->down, ERR_STATE, "connecting");
	link_opts(ec->redis, "zonesync-elector", &o);
	o.idle_ping_ms = (uint32_t)x->m.t.renew_ms;
	rc = timing_check(&x->m.t, x->m.ttl_ms, e);
	if (rc == 0)
		rc = zone_conn_open(&x->z, worker_loop(w), &o, ec->zone, &z, e);
	if (rc == 0)
		rc = redis_open(&x->listener, worker_loop(w), &o, &l, e);
	if (rc == 0)
		worker_ready(w);
	return rc;
}

void election_report(struct election *x, Ipc__Report *out)
{
	static Ipc__ElectorReport r;
	static char redis[ERR_TEXT_BYTES + 8];
	bool up = x->down.code == 0;

	ipc__elector_report__init(&r);
	r.state = (char *)(uintptr_t)(x->m.barred && x->m.state == ELECTOR_TRYING
					      ? "barred"
					      : elector_state_name(x->m.state));
	r.java = x->java_says;
	r.disputed = x->m.state == ELECTOR_HELD && x->verdict == JAVA_WRITES;
	r.token = x->m.token;
	r.holder = x->m.state == ELECTOR_HELD ? x->holder : x->m.seen.holder;
	r.ttl_ms = x->m.seen.left_ms;
	str_print(redis, sizeof(redis), "%s%s",
		  up ? "connected" : "down: ", up ? "" : x->down.text);
	r.redis = redis;
	r.error = up ? (char *)(uintptr_t) "" : x->down.text;
	r.unfit = x->down.code == ERR_CONFIG;
	if (x->told_warning[0] != '\0') {
		x->warnings[0] = x->told_warning;
		r.warnings = x->warnings;
		r.n_warnings = 1;
	}
	out->progress = x->renewals;
	message_wrap(&out->base, &r.base);
}

void election_stop(struct election *x)
{
	x->stopping = true;
	if (x->m.state == ELECTOR_HELD || x->m.state == ELECTOR_TRYING) {
		step(x, elector_stand_back(&x->m, clock_boot_ms()));
		return;
	}
	if (x->m.state != ELECTOR_LEAVING)
		x->m.state = ELECTOR_IDLE;
	step(x, 0);
}

void election_free(struct election **xp)
{
	struct election *x = *xp;

	*xp = NULL;
	if (x == NULL)
		return;
	mem_free(x->holder);
	mem_free(x);
}
