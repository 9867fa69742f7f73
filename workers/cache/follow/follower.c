/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/follow/follower.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/worker/link.h"
#include "workers/cache/follow/look.h"

#define TEND_MS		5000
#define ROUND_DOUBLINGS 4 /* of LOOK_RETRY_MS, after rounds that ended before their end */

/* --- a Java primary --- */

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
	if (replay_paid(f))
		mirror_renew(f->mirror);
	(void)look_settle(f);
	look_for_events(f, false);
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

static void on_mirrored(void *arg, const struct position *p, bool switched)
{
	struct follower *f = arg;

	f->pos = *p;
	if (switched) {
		log_note(EV("resync_done"), KV("revision", f->pos.revision),
			 KV("count", f->pos.digest.count),
			 KV("generation", store_generation(f->store)));
		replay_went_well(f);
	}
	follower_changed(f, switched);
}

static void on_round(void *arg, const struct mirror_round *r)
{
	struct follower *f = arg;
	bool was = f->proven;

	if (r->err.code < 0 && !f->java.known && f->pos.lineage[0] == '\0') {
		/* Nobody ever wrote here, and there is no index to tell otherwise. */
		follower_mode(f, MODE_WAITING);
		look_in(f, look_is_owed(f) ? 1 : 0);
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
		look_in(f, look_is_owed(f) ? 1 : (int64_t)LOOK_RETRY_MS << f->cut_rounds);
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
	follower_tell_zone(f);
	look_in(f, look_is_owed(f) ? 1 : 0);
}

/* The turn of an answer that is here: the store's thread is free. */
static void take_answer(struct follower *f)
{
	struct page page;

	if (look_take(f, &page)) {
		f->head = page.head;
		if (java_leads(f))
			begin_round(f);
		else
			replay_judge(f, &page);
	} else {
		look_later(f, LOOK_RETRY_MS);
	}
	follow_page_reset(&page);
}

/* --- the store's thread came back --- */

static void could_not(struct follower *f, const struct keeper_job *job)
{
	look_drop(f);
	(void)look_settle(f); /* not at once: what failed may fail again */
	if (job->what != KEEPER_APPLY || job->target == STORE_NEXT)
		replay_broke(f);
	if (job->rc == ERR_DAMAGED)
		replay_owe(f, "the local store is damaged");
	follower_fail(f, &job->err);
}

static void on_kept(void *arg, struct keeper_job *job)
{
	struct follower *f = arg;

	if (mirror_kept(f->mirror, job))
		return;
	if (job->rc < 0) {
		could_not(f, job);
		return;
	}
	switch (job->what) {
	case KEEPER_APPLY:
		replay_applied(f, job);
		if (look_is_answered(f))
			take_answer(f);
		break;
	case KEEPER_NEXT:
		(void)look_settle(f);
		look_now(f);
		break;
	case KEEPER_COMPARE:
		replay_compared(f, job);
		break;
	case KEEPER_SWITCH:
		replay_switched(f);
		break;
	case KEEPER_TEND:
		if (look_is_answered(f))
			take_answer(f);
		else if (look_settle(f))
			look_now(f);
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
	look_now(f);
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
	look_lost(f);
	f->proven = false;
	mirror_dropped(f->mirror);
}

static void on_listener_up(void *arg)
{
	struct follower *f = arg;

	if (redis_subscribe(f->listener, zone_conn_keys(f->z)->wake) < 0)
		redis_fail(f->listener, ERR_STATE, "cannot subscribe");
	else
		look_now(f); /* what was said while nobody listened */
}

static void on_wake(void *arg, const char *p, size_t n)
{
	if (n > 0 && p[0] >= '0' && p[0] <= '9')
		look_woken(arg);
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

static void resync(struct upstream *u, const char *why)
{
	struct follower *f = self_of(u);

	replay_at_once(f);
	replay_owe(f, why);
}

static void accept_it(struct upstream *u)
{
	replay_accept(self_of(u));
}

static void report(const struct upstream *u, Ipc__CacheReport *out)
{
	const struct follower *f = (const struct follower *)u;
	static char redis[ERR_TEXT_BYTES + 8];
	static char digest[DIGEST_TEXT_BYTES];
	bool up = f->down.code == 0;

	str_print(redis, sizeof(redis), "%s%s",
		  up ? "connected" : "down: ", up ? "" : f->down.text);
	digest_text(digest, &f->pos.digest);
	out->state = (char *)(uintptr_t)follower_mode_name(f->mode);
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
	out->held = (char *)(uintptr_t)f->head.held;
	out->redis = redis;
	out->errors = f->errors;
	replay_report(f, out);
	look_report(f, out);
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
	const struct redis_hooks lh = { f, on_listener_up, NULL, on_wake };
	const struct mirror_hooks mh = { f, on_mirrored, on_round };
	struct mirror_about about;
	struct redis_opts o;
	int rc;

	f->base.ops = &ops;
	f->w = w;
	f->store = s;
	f->turn = take_answer;
	look_open(f, c);
	f->ttl_ms = c->lease_ttl_ms;
	f->node_id = mem_strdup(c->node_id);
	replay_open(f);
	(void)err_set(&f->down, ERR_STATE, "connecting");
	CHECK(uv_timer_init(worker_loop(w), &f->tend) == 0);
	f->tend.data = f;
	CHECK(uv_timer_start(&f->tend, on_tend, TEND_MS, TEND_MS) == 0);
	f->keeper = keeper_open(worker_loop(w), s, on_kept, f);
	*out = &f->base;
	link_opts(c->redis, "zonesync-cache", &o);
	o.idle_ping_ms = MAX(MAX(c->poll_min_ms, c->poll_max_ms), 1);
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
	look_drop(f);
	mirror_close(&f->mirror);
	f->handles = 2;
	uv_close((uv_handle_t *)&f->poll, on_own_closed);
	uv_close((uv_handle_t *)&f->tend, on_own_closed);
}
