/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/follower.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/worker/link.h"
#include "common/zone/java.h"
#include "common/zone/probe.h"
#include "common/zone/search.h"
#include "workers/cache/keeper.h"
#include "workers/cache/mirror.h"

#define TEND_MS		5000
#define RESYNC_PAUSE_MS 60000 /* after a resync that could not be proven */
#define RETRY_MS	1000  /* after an error of the disk or the server */
#define BEHIND_LEASES	3     /* an older epoch is accepted after so many TTLs of renewals */
#define NODE_REPORT_MS	1000
#define ROUND_DOUBLINGS 4 /* of RETRY_MS, after rounds that ended before their end */

enum mode { MODE_START, MODE_WAITING, MODE_FOLLOWING, MODE_RESYNCING, MODE_BEHIND, MODE_MIRRORING };

static const char *const mode_names[] = { "starting",  "waiting", "following",
					  "resyncing", "behind",  "following" };

struct follower {
	struct upstream base;
	struct worker *w;
	struct store *store; /* not owned */
	struct zone_conn *z;
	struct redis *listener;
	struct keeper *keeper;
	struct probe probe;
	enum mode mode;
	struct position pos;   /* of the current generation */
	struct position next;  /* of the one being built */
	uint64_t next_horizon; /* when it was begun */
	struct head head;      /* as last seen */
	bool proven;
	bool reading; /* a read is out */
	bool again;   /* something came while it was */
	bool forced;  /* a person asked for a resync */
	char forced_why[64];
	int64_t failed_ms; /* when a resync could not be proven; 0: never */
	unsigned failures;
	int64_t applied_ms;
	int64_t reported_ms;
	uint32_t poll_min_ms;
	uint32_t poll_max_ms;
	int64_t ttl_ms;
	uint64_t lease_seq; /* of an older epoch's lease */
	int64_t lease_since_ms;
	char *node_id;
	/* A zone that a Java primary writes. */
	struct mirror *mirror;
	struct java_watch java;
	char java_node[sizeof(((struct java_watch *)0)->node)]; /* of the last round */
	char java_says[320];
	struct search index; /* which is made where it is missing */
	bool keep_index;
	uint64_t set_aside;
	unsigned cut_rounds; /* in a row */
	uv_timer_t poll;
	uv_timer_t tend;
	struct err down;  /* of Redis */
	struct err error; /* of the store or the data; code 0: none */
	uint64_t progress;
	uint64_t reads;	 /* pages that came */
	int64_t read_ms; /* wall clock of the last one */
	uint64_t errors;
	unsigned handles;
};

static void look(struct follower *f);
static void force_resync(struct follower *f, const char *why);

static uint32_t any_number(void)
{
	uint32_t v = 0;

	(void)!getrandom(&v, sizeof(v), GRND_NONBLOCK);
	return v;
}

static void on_poll(uv_timer_t *t)
{
	look(t->data);
}

static void arm_poll(struct follower *f, int64_t ms)
{
	uint32_t span = f->poll_max_ms - f->poll_min_ms + 1;

	if (ms == 0)
		ms = f->poll_min_ms + any_number() % span;
	CHECK(uv_timer_start(&f->poll, on_poll, (uint64_t)ms, 0) == 0);
}

static void set_mode(struct follower *f, enum mode m)
{
	if (f->mode == m)
		return;
	f->mode = m;
	log_note(EV("follow_state"), KV("state", m == MODE_MIRRORING ? "mirroring" : mode_names[m]),
		 KV("revision", f->pos.revision));
	worker_report(f->w);
}

static void to_store(const struct position *p, struct store_position *out)
{
	*out = (struct store_position){ .revision = p->revision, .digest = p->digest };
	str_copy(out->lineage, sizeof(out->lineage), p->lineage);
	str_copy(out->token, sizeof(out->token), p->token);
}

static void from_store(const struct store_position *p, struct position *out)
{
	*out = (struct position){ .revision = p->revision, .digest = p->digest };
	str_copy(out->lineage, sizeof(out->lineage), p->lineage);
	str_copy(out->token, sizeof(out->token), p->token);
}

/* --- what the zone is told --- */

static void on_ignored(void *arg, const struct redis_reply *r, const struct err *lost)
{
	UNUSED(arg);
	UNUSED(r);
	UNUSED(lost);
}

/* Names a damaged key to the primary, which repairs it; "*": the digest is out of reach. */
static void suspect(struct follower *f, const char *name)
{
	log_error(EV("suspect"), KV("key", name));
	if (redis_sendv(zone_conn_redis(f->z), on_ignored, NULL, "SADD",
			zone_conn_keys(f->z)->suspect, name, NULL) < 0)
		return; /* it is found again at the next resync */
}

static void report_node(struct follower *f)
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

/* --- resync --- */

static void fail(struct follower *f, const struct err *e)
{
	if (!str_equal(f->error.text, e->text))
		log_error(EV("follow_failed"), KV("err", e->text));
	f->error = *e;
	f->errors++;
	worker_report(f->w);
	arm_poll(f, RETRY_MS);
}

static void begin_resync(struct follower *f, const char *why)
{
	struct keeper_job *job;

	if (keeper_busy(f->keeper)) {
		f->again = true;
		return;
	}
	log_note(EV("resync_begin"), KV("why", why), KV("lineage", f->head.lineage),
		 KV("head", f->head.revision));
	f->forced = false;
	f->next = (struct position){ 0 };
	str_copy(f->next.lineage, sizeof(f->next.lineage), f->head.lineage);
	str_copy(f->next.token, sizeof(f->next.token), f->head.token);
	f->next_horizon = f->head.horizon;
	set_mode(f, MODE_RESYNCING);
	job = keeper_job_new(KEEPER_NEXT);
	keeper_do(f->keeper, job);
}

static void abandon_resync(struct follower *f)
{
	set_mode(f, f->pos.lineage[0] == '\0' ? MODE_WAITING : MODE_FOLLOWING);
}

static bool resync_allowed(const struct follower *f)
{
	return f->failed_ms == 0 || clock_boot_ms() - f->failed_ms >= RESYNC_PAUSE_MS;
}

/* At the head of a resync: is it the zone? */
static void conclude_resync(struct follower *f)
{
	struct err e = { 0 };

	if (digest_equal(&f->next.digest, &f->head.digest)) {
		f->failures = 0;
		f->failed_ms = 0;
		keeper_do(f->keeper, keeper_job_new(KEEPER_SWITCH));
		return;
	}
	f->failures++;
	(void)err_set(&e, ERR_DAMAGED,
		      "resync: %" PRIu64 " entities and another digest where the zone has %" PRIu64,
		      f->next.digest.count, f->head.digest.count);
	if (f->failures >= 2) { /* once more at once, then the primary must mend it */
		f->failed_ms = clock_boot_ms();
		suspect(f, "*");
	}
	abandon_resync(f);
	fail(f, &e);
}

/* --- pages --- */

static struct position *target_position(struct follower *f)
{
	return f->mode == MODE_RESYNCING ? &f->next : &f->pos;
}

/* At the head in steady state: proof. */
static void conclude_page(struct follower *f)
{
	bool equal = digest_equal(&f->pos.digest, &f->head.digest);

	if (equal) {
		if (!f->proven)
			log_note(EV("proven"), KV("revision", f->pos.revision),
				 KV("count", f->pos.digest.count));
		f->proven = true;
		f->error = (struct err){ 0 };
		f->failures = 0;
		set_mode(f, MODE_FOLLOWING);
		worker_report(f->w);
		report_node(f);
		arm_poll(f, 0);
		return;
	}
	f->proven = false;
	if (resync_allowed(f)) {
		begin_resync(f, "the digest differs from the zone's");
		return;
	}
	arm_poll(f, 0);
}

static void next_step(struct follower *f)
{
	struct position *p = target_position(f);

	if (p->revision < f->head.revision || f->again) {
		f->again = false;
		look(f);
		return;
	}
	if (f->mode == MODE_RESYNCING)
		conclude_resync(f);
	else
		conclude_page(f);
}

static void apply(struct follower *f, struct page *page)
{
	struct position *p = target_position(f);
	struct keeper_job *job;
	size_t i;

	for (i = 0; i < page->len; i++)
		if (page->events[i].damaged)
			suspect(f, page->events[i].name);
	job = keeper_job_new(KEEPER_APPLY);
	job->target = f->mode == MODE_RESYNCING ? STORE_NEXT : STORE_CURRENT;
	to_store(p, &job->position);
	str_copy(job->position.token, sizeof(job->position.token), page->head.token);
	job->position.revision = page->len > 0 ? page->events[page->len - 1].revision
					       : page->head.revision;
	job->horizon = MIN(page->head.horizon, job->position.revision);
	job->page = *page;
	*page = (struct page){ 0 };
	keeper_do(f->keeper, job);
}

static bool lease_lives(struct follower *f, const struct head *h)
{
	int64_t now = clock_boot_ms();

	if (h->lease[0] == '\0' || !str_equal(h->lease, h->token)) {
		f->lease_since_ms = 0;
		return false;
	}
	if (f->lease_since_ms == 0 || h->lease_seq < f->lease_seq) {
		f->lease_since_ms = now;
		f->lease_seq = h->lease_seq;
		return false;
	}
	return h->lease_seq > f->lease_seq && now - f->lease_since_ms >= BEHIND_LEASES * f->ttl_ms;
}

/* What to do with a page, by the head that came with it. */
static void judge(struct follower *f, struct page *page)
{
	struct position own = *target_position(f);
	enum verdict v;

	if (f->mode == MODE_RESYNCING)
		own.revision = MAX(own.revision, f->next_horizon);
	v = follow_judge(&page->head, &own);
	if (v != FOLLOW_BEHIND)
		f->lease_since_ms = 0;
	if (f->mode == MODE_RESYNCING && v != FOLLOW_RESUME) {
		abandon_resync(f);
		look(f); /* judge it again from where we really stand */
		return;
	}
	if (f->forced && f->mode != MODE_RESYNCING && (v == FOLLOW_RESUME || v == FOLLOW_RESYNC)) {
		begin_resync(f, f->forced_why);
		return;
	}
	switch (v) {
	case FOLLOW_RESUME:
		/* A resync applies the first page in any case: of an empty zone it holds nothing
		   but the position, without which nobody is answered. */
		if (page->len > 0 || target_position(f)->revision < page->head.revision ||
		    !str_equal(own.token, page->head.token) ||
		    (f->mode == MODE_RESYNCING && target_position(f)->revision == 0))
			apply(f, page);
		else
			next_step(f);
		break;
	case FOLLOW_RESYNC:
		if (resync_allowed(f))
			begin_resync(f, own.lineage[0] == '\0' ? "no data yet"
							       : "the history is another");
		else
			arm_poll(f, 0);
		break;
	case FOLLOW_BEHIND:
		f->proven = false;
		set_mode(f, MODE_BEHIND);
		if (lease_lives(f, &page->head))
			begin_resync(f, "an older epoch is alive there");
		else
			arm_poll(f, 0);
		break;
	default: /* WAIT, HOLD */
		f->proven = false;
		set_mode(f, MODE_WAITING);
		arm_poll(f, 0);
		break;
	}
}

/* --- a Java primary --- */

static void on_java(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct follower *f = arg;

	if (lost == NULL && !redis_is_error(r))
		java_take(&f->java, r, clock_boot_ms());
	java_text(&f->java, java_judge(&f->java, clock_boot_ms()), f->java_says,
		  sizeof(f->java_says));
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

	if (f->java.foreign)
		str_copy(f->java_node, sizeof(f->java_node), f->java.node);
	if (f->forced)
		mirror_renew(f->mirror);
	f->forced = false;
	f->again = false;
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

	from_store(p, &f->pos);
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
		set_mode(f, MODE_WAITING);
		arm_poll(f, f->again ? 1 : 0);
		return;
	}
	f->set_aside = r->set_aside;
	f->proven = r->level && r->err.code == 0;
	if (r->no_index && f->keep_index && search_keep(&f->index) < 0)
		redis_fail(zone_conn_redis(f->z), ERR_BUSY, "too much is under way");
	if (r->err.code < 0) {
		fail(f, &r->err);
		set_mode(f, f->pos.lineage[0] == '\0' ? MODE_WAITING : MODE_MIRRORING);
		/* All is read once more, which is dear: not each second for good. */
		f->cut_rounds = r->cut ? MIN(f->cut_rounds + 1, ROUND_DOUBLINGS) : 0;
		arm_poll(f, f->again ? 1 : (int64_t)RETRY_MS << f->cut_rounds);
		return;
	}
	f->error = (struct err){ 0 };
	f->cut_rounds = 0;
	set_mode(f, f->pos.lineage[0] == '\0' ? MODE_WAITING : MODE_MIRRORING);
	if (f->proven && !was)
		log_note(EV("proven"), KV("revision", f->pos.revision),
			 KV("count", f->pos.digest.count));
	if (f->proven != was)
		worker_report(f->w);
	report_node(f);
	arm_poll(f, f->again ? 1 : 0);
}

static void on_page(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct follower *f = arg;
	struct page page = { 0 };
	struct err e = { 0 };

	f->reading = false;
	if (lost != NULL)
		return; /* the link comes back and looks again */
	if (zone_check(f->z, r, lost, &e) < 0 || follow_parse(r, &page, &e) < 0) {
		fail(f, &e);
		return;
	}
	f->head = page.head;
	f->progress++;
	f->reads++;
	f->read_ms = clock_wall_ms();
	if (keeper_busy(f->keeper)) /* a job of an older page: look again when it is done */
		f->again = true;
	else if (java_leads(f))
		begin_round(f);
	else
		judge(f, &page);
	follow_page_reset(&page);
}

/* Asks for what lies behind our position. One question at a time. */
static void look(struct follower *f)
{
	const struct position *p = target_position(f);

	if (f->reading || keeper_busy(f->keeper) || mirror_busy(f->mirror)) {
		f->again = true;
		return;
	}
	if (!zone_conn_is_up(f->z))
		return;
	/* Whose zone is it: the answers come in this order. */
	if (java_ask(f->z, on_java, f) == 0 &&
	    follow_read(f->z, p, FOLLOW_PAGE_EVENTS, on_page, f) == 0)
		f->reading = true;
	else
		arm_poll(f, RETRY_MS);
}

/* --- the store's thread came back --- */

static void applied(struct follower *f, const struct keeper_job *job)
{
	struct position p;
	bool had_data = f->pos.lineage[0] != '\0';

	from_store(&job->after, &p);
	if (job->target == STORE_NEXT) {
		f->next = p;
	} else {
		f->pos = p;
		f->applied_ms = clock_wall_ms();
		if (f->base.changed != NULL)
			f->base.changed(f->base.changed_arg, !had_data);
	}
	f->progress++;
	next_step(f);
}

static void switched(struct follower *f)
{
	bool reset = !str_equal(f->pos.lineage, f->next.lineage);

	store_adopt(f->store);
	f->pos = f->next;
	f->proven = true;
	f->error = (struct err){ 0 };
	f->applied_ms = clock_wall_ms();
	log_note(EV("resync_done"), KV("revision", f->pos.revision),
		 KV("count", f->pos.digest.count), KV("generation", store_generation(f->store)));
	set_mode(f, MODE_FOLLOWING);
	report_node(f);
	if (f->base.changed != NULL)
		f->base.changed(f->base.changed_arg, reset);
	look(f);
}

static void on_kept(void *arg, struct keeper_job *job)
{
	struct follower *f = arg;

	if (mirror_kept(f->mirror, job))
		return;
	if (job->rc < 0) {
		if (job->what != KEEPER_APPLY || job->target == STORE_NEXT)
			abandon_resync(f);
		if (job->rc == ERR_DAMAGED)
			force_resync(f, "the local store is damaged");
		fail(f, &job->err);
		return;
	}
	switch (job->what) {
	case KEEPER_APPLY:
		applied(f, job);
		break;
	case KEEPER_NEXT:
		f->again = false;
		look(f);
		break;
	case KEEPER_SWITCH:
		switched(f);
		break;
	case KEEPER_TEND:
		if (f->again) {
			f->again = false;
			look(f);
		}
		break;
	case KEEPER_PUBLISH:
		break; /* the mirror's */
	}
}

static void on_tend(uv_timer_t *t)
{
	struct follower *f = t->data;

	if (!keeper_busy(f->keeper))
		keeper_do(f->keeper, keeper_job_new(KEEPER_TEND));
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
	look(f);
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
	f->reading = false;
	f->proven = false;
	mirror_dropped(f->mirror);
	if (f->mode == MODE_RESYNCING && !keeper_busy(f->keeper))
		abandon_resync(f);
}

static void on_listener_up(void *arg)
{
	struct follower *f = arg;

	if (redis_subscribe(f->listener, zone_conn_keys(f->z)->wake) < 0)
		redis_fail(f->listener, ERR_STATE, "cannot subscribe");
	else
		look(f); /* what was said while nobody listened */
}

static void on_listener_down(void *arg, const struct err *why)
{
	UNUSED(arg);
	UNUSED(why);
}

static void on_wake(void *arg, const char *p, size_t n)
{
	struct follower *f = arg;

	if (n > 0 && p[0] >= '0' && p[0] <= '9')
		look(f);
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
	look(f);
}

static void resync(struct upstream *u, const char *why)
{
	force_resync(self_of(u), why);
}

static void report(const struct upstream *u, Ipc__CacheReport *out)
{
	const struct follower *f = (const struct follower *)u;
	static char redis[ERR_TEXT_BYTES + 8];
	static char digest[36];
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
	out->redis = redis;
	out->reads = f->reads;
	out->read_ms = f->read_ms;
	out->errors = f->errors;
	if (mirror_is_ours(f->pos.lineage) || f->mode == MODE_MIRRORING) {
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
	static const struct upstream_ops ops = { report, proven, resync, zone_of, close_it };
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
	from_store(&p, &f->pos);
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
	mirror_close(&f->mirror);
	f->handles = 2;
	uv_close((uv_handle_t *)&f->poll, on_own_closed);
	uv_close((uv_handle_t *)&f->tend, on_own_closed);
}
