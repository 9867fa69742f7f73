/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/follow/follower.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/worker/link.h"
#include "workers/cache/follow/replay.h"

#define TEND_MS		5000
#define RETRY_MS	1000 /* after an error of the disk or the server */
#define NODE_REPORT_MS	1000
#define WAIT_LOOK_MS	50 /* between two looks at a head that lets nothing be read */
#define ROUND_DOUBLINGS 4  /* of RETRY_MS, after rounds that ended before their end */

static const char *const mode_names[] = { "starting",  "waiting", "following",
					  "resyncing", "behind",  "following" };

static void force_resync(struct follower *f, const char *why);

static uint32_t any_number(void)
{
	uint32_t v = 0;

	(void)!getrandom(&v, sizeof(v), GRND_NONBLOCK);
	return v;
}

static void on_poll(uv_timer_t *t)
{
	follower_look(t->data);
}

void follower_arm(struct follower *f, int64_t ms)
{
	uint32_t span = f->poll_max_ms - f->poll_min_ms + 1;

	if (ms == 0)
		ms = f->poll_min_ms + any_number() % span;
	CHECK(uv_timer_start(&f->poll, on_poll, (uint64_t)ms, 0) == 0);
}

/* A refill wakes with each page: none of them is missed, and not each is answered. */
void follower_wait(struct follower *f)
{
	follower_arm(f, f->again ? WAIT_LOOK_MS : 0);
	f->again = false;
}

void follower_mode(struct follower *f, enum mode m)
{
	if (f->mode == m)
		return;
	f->mode = m;
	log_note(EV("follow_state"), KV("state", m == MODE_MIRRORING ? "mirroring" : mode_names[m]),
		 KV("revision", f->pos.revision));
	worker_report(f->w);
}

/* --- what the zone is told --- */

static void on_ignored(void *arg, const struct redis_reply *r, const struct err *lost)
{
	UNUSED(arg);
	UNUSED(r);
	UNUSED(lost);
}

void follower_report_node(struct follower *f)
{
	int64_t now = clock_boot_ms();
	char text[200];

	if (now - f->reported_ms < NODE_REPORT_MS || !zone_conn_is_up(f->z))
		return;
	f->reported_ms = now;
	(void)snprintf(text, sizeof(text), "%s %s:%" PRIu64 " %" PRIu64 " %s %" PRId64,
		       worker_node(f->w), f->pos.lineage, f->pos.revision, f->pos.digest.count,
		       f->proven ? "proven" : "unproven", clock_wall_ms());
	if (redis_sendv(zone_conn_redis(f->z), on_ignored, NULL, "HSET",
			zone_conn_keys(f->z)->nodes, f->node_id, text, NULL) < 0)
		f->reported_ms = 0;
}

void follower_fail(struct follower *f, const struct err *e)
{
	if (!str_equal(f->error.text, e->text))
		log_error(EV("follow_failed"), KV("err", e->text));
	f->error = *e;
	f->errors++;
	worker_report(f->w);
	follower_arm(f, RETRY_MS);
}

/* --- a Java primary --- */

static void on_java(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct follower *f = arg;
	enum java_verdict v;

	if (lost == NULL && !redis_is_error(r))
		java_take(&f->java, r, clock_boot_ms());
	v = java_judge(&f->java, clock_boot_ms());
	f->java_unwritten = v == JAVA_SILENT || v == JAVA_GONE;
	java_text(&f->java, v, f->java_says, sizeof(f->java_says));
}

/*
 * Who holds our lease leads, whatever a Java gateway does. Without one, a log that ends
 * before a Java primary wrote is history; and who follows one does not go back to it.
 */
static bool java_leads(struct follower *f)
{
	enum java_verdict v = java_judge(&f->java, clock_boot_ms());

	if (f->head.lease[0] != '\0' || f->mode == MODE_RESYNCING)
		return false;
	if (f->head.lineage[0] == '\0')
		return v != JAVA_NONE || f->pos.lineage[0] == '\0' ||
		       mirror_is_ours(f->pos.lineage);
	return v == JAVA_WRITES || v == JAVA_SILENT || mirror_is_ours(f->pos.lineage);
}

static void begin_round(struct follower *f)
{
	bool other = f->java.foreign && !str_equal(f->java.node, f->java_node) &&
		     f->java_node[0] != '\0';

	if (f->building)
		replay_abandon(f); /* the round builds the next generation, if any does */
	if (f->java.foreign)
		str_copy(f->java_node, sizeof(f->java_node), f->java.node);
	if (f->forced)
		mirror_renew(f->mirror);
	f->forced = false;
	f->again = false;
	f->resumes = false;
	mirror_begin(f->mirror, f->java.foreign ? f->java.to_ms : 0, other);
}

static void on_index(void *arg, enum search_verdict v, const char *why)
{
	UNUSED(arg);
	if (v == SEARCH_CREATED)
		log_note(EV("index_created"), KV("index", SEARCH_INDEX));
	else if (v != SEARCH_THERE)
		log_warn(EV("index_unfit"), KV("index", SEARCH_INDEX), KV("why", why));
}

static void on_mirrored(void *arg, const struct store_position *p, bool switched)
{
	struct follower *f = arg;

	replay_position(p, &f->pos);
	f->applied_ms = clock_wall_ms();
	f->progress++;
	if (switched) {
		log_note(EV("resync_done"), KV("revision", f->pos.revision),
			 KV("count", f->pos.digest.count),
			 KV("generation", store_generation(f->store)));
		f->failures = 0;
	}
	if (f->base.changed != NULL)
		f->base.changed(f->base.changed_arg, switched);
}

static void on_round(void *arg, const struct mirror_round *r)
{
	struct follower *f = arg;
	bool was = f->proven;

	if (r->err.code < 0 && !f->java.known && f->pos.lineage[0] == '\0') {
		/* Nobody ever wrote here, and there is no index to tell otherwise. */
		follower_mode(f, MODE_WAITING);
		follower_arm(f, f->again ? 1 : 0);
		return;
	}
	f->set_aside = r->set_aside;
	f->proven = r->level && r->err.code == 0;
	if (r->no_index && f->keep_index && search_keep(&f->index) < 0)
		redis_fail(zone_conn_redis(f->z), ERR_BUSY, "too much is under way");
	if (r->err.code < 0) {
		follower_fail(f, &r->err);
		follower_mode(f, f->pos.lineage[0] == '\0' ? MODE_WAITING : MODE_MIRRORING);
		/* All is read once more, which is dear: not each second for good. */
		f->cut_rounds = r->cut ? MIN(f->cut_rounds + 1, ROUND_DOUBLINGS) : 0;
		follower_arm(f, f->again ? 1 : (int64_t)RETRY_MS << f->cut_rounds);
		return;
	}
	f->error = (struct err){ 0 };
	f->cut_rounds = 0;
	follower_mode(f, f->pos.lineage[0] == '\0' ? MODE_WAITING : MODE_MIRRORING);
	if (f->proven && !was)
		log_note(EV("proven"), KV("revision", f->pos.revision),
			 KV("count", f->pos.digest.count));
	if (f->proven != was)
		worker_report(f->w);
	follower_report_node(f);
	follower_arm(f, f->again ? 1 : 0);
}

static void drop_answer(struct follower *f)
{
	follow_page_reset(&f->asked.page);
	f->asked.here = false;
}

static bool is_where_we_stand(struct follower *f)
{
	const struct position *p = replay_target(f);
	const struct position *q = &f->asked.behind;

	return f->asked.into == replay_into(f) && q->revision == p->revision &&
	       str_equal(q->token, p->token) && str_equal(q->lineage, p->lineage);
}

/* The turn of an answer that is here: the store's thread is free. */
static void take_answer(struct follower *f)
{
	struct page page = f->asked.page;

	f->asked.page = (struct page){ 0 };
	f->asked.here = false;
	if (is_where_we_stand(f)) {
		f->head = page.head;
		f->progress++;
		f->reads++;
		f->read_ms = clock_wall_ms();
		if (java_leads(f))
			begin_round(f);
		else
			replay_judge(f, &page);
	} else {
		follower_arm(f, f->again ? WAIT_LOOK_MS : RETRY_MS);
		f->again = false;
	}
	follow_page_reset(&page);
}

static void on_page(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct follower *f = arg;
	struct err e = { 0 };

	f->asked.out = false;
	if (lost != NULL)
		return; /* the link comes back and looks again */
	if (zone_check(f->z, r, lost, &e) < 0 || follow_parse(r, &f->asked.page, &e) < 0) {
		follower_fail(f, &e);
		return;
	}
	f->asked.here = true;
	if (!keeper_busy(f->keeper))
		take_answer(f);
}

/* Events behind there, or the head that allows to read them. */
void follower_ask(struct follower *f, const struct position *behind)
{
	struct question *q = &f->asked;
	struct follow_ask ask = { .behind = behind };

	CHECK(!q->out);
	drop_answer(f);
	q->whole = f->resumes;
	q->into = replay_into(f);
	q->behind = *behind;
	ask.served = f->pos.token;
	ask.events = q->whole ? FOLLOW_PAGE_EVENTS : 0;
	f->looked_ms = clock_boot_ms();
	/* Whose zone is it: the answers come in this order. */
	if (java_ask(f->z, on_java, f) == 0 && follow_read(f->z, &ask, on_page, f) == 0)
		q->out = true;
	else
		follower_arm(f, RETRY_MS);
}

void follower_look(struct follower *f)
{
	if (f->asked.out || keeper_busy(f->keeper) || mirror_busy(f->mirror)) {
		f->again = true;
		return;
	}
	if (zone_conn_is_up(f->z))
		follower_ask(f, replay_target(f));
}

/* --- the store's thread came back --- */

static void on_kept(void *arg, struct keeper_job *job)
{
	struct follower *f = arg;

	if (mirror_kept(f->mirror, job))
		return;
	if (job->rc < 0) {
		drop_answer(f);
		f->again = false; /* not at once: what failed may fail again */
		if (job->what != KEEPER_APPLY || job->target == STORE_NEXT)
			replay_broke(f);
		if (job->rc == ERR_DAMAGED)
			force_resync(f, "the local store is damaged");
		follower_fail(f, &job->err);
		return;
	}
	switch (job->what) {
	case KEEPER_APPLY:
		replay_applied(f, job);
		if (f->asked.here)
			take_answer(f);
		break;
	case KEEPER_NEXT:
		f->again = false;
		follower_look(f);
		break;
	case KEEPER_COMPARE:
		replay_compared(f, job);
		break;
	case KEEPER_SWITCH:
		replay_switched(f);
		break;
	case KEEPER_TEND:
		if (f->asked.here) {
			take_answer(f);
		} else if (f->again) {
			f->again = false;
			follower_look(f);
		}
		break;
	case KEEPER_WRITE:
		break; /* the mirror's */
	}
}

static void on_tend(uv_timer_t *t)
{
	struct follower *f = t->data;
	struct keeper_job *job;

	if (keeper_busy(f->keeper))
		return;
	job = keeper_job_new(KEEPER_TEND);
	job->drop_next = !f->building && !mirror_busy(f->mirror);
	keeper_do(f->keeper, job);
}

/* --- links --- */

static void on_probed(void *arg, const struct probe *p)
{
	struct follower *f = arg;

	if (p->refused[0] != '\0') {
		log_error(EV("redis_unfit"), KV("err", p->refused));
		redis_fail(zone_conn_redis(f->z), ERR_CONFIG, p->refused);
		return;
	}
	f->down = (struct err){ 0 };
	worker_report(f->w);
	follower_look(f);
}

static void on_up(void *arg)
{
	struct follower *f = arg;

	log_note(EV("redis_up"));
	CHECK(probe_server(f->z, &f->probe, false, on_probed, f) == 0);
}

static void on_down(void *arg, const struct err *why)
{
	struct follower *f = arg;

	if (!str_equal(f->down.text, why->text)) {
		log_warn(EV("redis_down"), KV("err", why->text));
		worker_report(f->w);
	}
	f->down = *why;
	f->errors++;
	f->asked.out = false;
	drop_answer(f);
	f->proven = false;
	mirror_dropped(f->mirror);
}

static void on_listener_up(void *arg)
{
	struct follower *f = arg;

	if (redis_subscribe(f->listener, zone_conn_keys(f->z)->wake) < 0)
		redis_fail(f->listener, ERR_STATE, "cannot subscribe");
	else
		follower_look(f); /* what was said while nobody listened */
}

static void on_listener_down(void *arg, const struct err *why)
{
	UNUSED(arg);
	UNUSED(why);
}

static void on_wake(void *arg, const char *p, size_t n)
{
	struct follower *f = arg;
	int64_t early = f->looked_ms + WAIT_LOOK_MS - clock_boot_ms();

	if (n == 0 || p[0] < '0' || p[0] > '9')
		return;
	if (!f->resumes && !f->asked.out && early > 0)
		follower_arm(f, early);
	else
		follower_look(f);
}

/* --- life --- */

static struct follower *self_of(struct upstream *u)
{
	return (struct follower *)u;
}

static bool proven(const struct upstream *u)
{
	return ((const struct follower *)u)->proven;
}

static void force_resync(struct follower *f, const char *why)
{
	f->forced = true;
	f->failed_ms = 0;
	str_copy(f->forced_why, sizeof(f->forced_why), why);
	follower_look(f);
}

static void resync(struct upstream *u, const char *why)
{
	struct follower *f = self_of(u);

	f->build_after_ms = 0;
	force_resync(f, why);
}

static void accept_it(struct upstream *u)
{
	struct follower *f = self_of(u);

	if (f->building && follow_asks_a_person(f->waits))
		str_copy(f->accepted, sizeof(f->accepted), f->next.lineage);
	follower_look(f);
}

static void report(const struct upstream *u, Ipc__CacheReport *out)
{
	const struct follower *f = (const struct follower *)u;
	static char redis[ERR_TEXT_BYTES + 8];
	static char digest[36];
	static char waits[320];
	bool up = f->down.code == 0;

	str_copy(redis, sizeof(redis), up ? "connected" : "down: ");
	if (!up)
		str_copy(redis + 6, sizeof(redis) - 6, f->down.text);
	(void)snprintf(digest, sizeof(digest), "%08x%08x%08x%08x", f->pos.digest.lane[0],
		       f->pos.digest.lane[1], f->pos.digest.lane[2], f->pos.digest.lane[3]);
	out->state = (char *)(uintptr_t)mode_names[f->mode];
	out->lineage = (char *)(uintptr_t)f->pos.lineage;
	out->revision = f->pos.revision;
	out->count = f->pos.digest.count;
	out->digest = digest;
	out->head_revision = f->head.revision;
	out->proven = f->proven;
	out->serving = f->pos.lineage[0] != '\0';
	out->error = (char *)(uintptr_t)f->error.text;
	out->generation = store_generation(f->store);
	out->applied_ms = f->applied_ms;
	replay_waits(f, waits, sizeof(waits));
	out->waits = waits;
	out->asks = f->building && follow_asks_a_person(f->waits);
	out->lacks = f->waits == SWITCH_HALVED ? f->lacks : 0;
	out->held = (char *)(uintptr_t)f->head.held;
	out->redis = redis;
	out->reads = f->reads;
	out->read_ms = f->read_ms;
	out->errors = f->errors;
	if (mirror_is_ours(f->pos.lineage) || f->mode == MODE_MIRRORING) {
		out->unwritten = up && f->java_unwritten;
		out->java = (char *)(uintptr_t)(f->java_says[0] == '\0'
							? "a Java primary wrote this zone"
							: f->java_says);
		out->set_aside = f->set_aside;
		out->head_revision = f->pos.revision;
	}
}

static struct zone_conn *zone_of(struct upstream *u)
{
	return self_of(u)->z;
}

static void close_it(struct upstream *u);

int follower_open(struct upstream **out, struct worker *w, const Ipc__CacheConfig *c,
		  struct store *s, struct err *e)
{
	static const struct upstream_ops ops = { report,    proven,  resync,
						 accept_it, zone_of, close_it };
	struct follower *f = mem_zalloc(sizeof(*f));
	const struct zone_hooks zh = { f, on_up, on_down };
	const struct redis_hooks lh = { f, on_listener_up, on_listener_down, on_wake };
	const struct mirror_hooks mh = { f, on_mirrored, on_round };
	struct mirror_about about;
	struct store_position p;
	struct redis_opts o;
	int rc;

	f->base.ops = &ops;
	f->w = w;
	f->store = s;
	f->poll_min_ms = MAX(c->poll_min_ms, 1);
	f->poll_max_ms = MAX(c->poll_max_ms, f->poll_min_ms);
	f->ttl_ms = c->lease_ttl_ms;
	f->node_id = mem_strdup(c->node_id);
	store_position(s, &p);
	replay_position(&p, &f->pos);
	store_ahead(s, &f->ahead);
	(void)err_set(&f->down, ERR_STATE, "connecting");
	CHECK(uv_timer_init(worker_loop(w), &f->poll) == 0);
	CHECK(uv_timer_init(worker_loop(w), &f->tend) == 0);
	f->poll.data = f;
	f->tend.data = f;
	CHECK(uv_timer_start(&f->tend, on_tend, TEND_MS, TEND_MS) == 0);
	f->keeper = keeper_open(worker_loop(w), s, on_kept, f);
	*out = &f->base;
	link_opts(c->redis, "zonesync-cache", &o);
	o.idle_ping_ms = f->poll_max_ms;
	rc = zone_conn_open(&f->z, worker_loop(w), &o, c->zone, &zh, e);
	if (rc == 0)
		rc = redis_open(&f->listener, worker_loop(w), &o, &lh, e);
	if (rc < 0)
		return rc;
	f->java.silence_ms = c->java_silence_ms;
	f->keep_index = c->search_index;
	f->index = (struct search){ zone_conn_redis(f->z), on_index, f };
	about = (struct mirror_about){ f->z, f->keeper, s, c->entity_max_bytes };
	f->mirror = mirror_create(worker_loop(w), &about, &mh);
	return 0;
}

static void on_own_closed(uv_handle_t *h)
{
	struct follower *f = h->data;

	if (--f->handles > 0)
		return;
	mem_free(f->node_id);
	mem_free(f);
}

static void close_it(struct upstream *u)
{
	struct follower *f = self_of(u);

	zone_conn_close(&f->z);
	redis_close(&f->listener);
	keeper_close(&f->keeper);
	drop_answer(f);
	mirror_close(&f->mirror);
	f->handles = 2;
	uv_close((uv_handle_t *)&f->poll, on_own_closed);
	uv_close((uv_handle_t *)&f->tend, on_own_closed);
}
