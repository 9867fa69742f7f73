/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/follow/mirror.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/random.h"
#include "common/log/log.h"
#include "common/model/guard.h"
#include "common/zone/search.h"
#include "workers/cache/follow/absent.h"

#define TOKEN "0:java" /* below every epoch of ours */

enum kind_of_round { ROUND_BUILD, ROUND_ALL, ROUND_WINDOW };

struct mirror {
	struct zone_conn *z; /* not owned, as the next two */
	struct keeper *keeper;
	struct store *store;
	struct mirror_hooks hooks;
	uint64_t max_bytes;
	uv_timer_t turn;	    /* gives the loop its turn while the store is walked */
	struct keeper_job *waiting; /* until the keeper is free */
	bool kept_out;		    /* a job is with the keeper */
	bool dropped;		    /* its round is over */

	/* What is known of the zone. */
	struct position pos, next; /* of what serves, and of what is being built */
	bool renew;		   /* the next round builds */
	bool all_due;		   /* or reads all */
	int64_t pause_ms;	   /* between two because numbers differ */
	int64_t all_ms;		   /* when the last such round began; CLOCK_BOOTTIME */
	int64_t high_ms;	   /* greatest time read, of the writer's clock */
	uint64_t aside;		   /* rows of deployed events that are none, and no record either */
	uint64_t bad;		   /* events of this zone that are none, in the last read of all */
	struct absent absent;

	/* The round. */
	bool running;
	enum kind_of_round what;
	int64_t written_ms;
	struct find_query query;
	unsigned page_rows;
	bool began; /* the next generation */
	uint64_t before, bad_now;
	int64_t seen_ms;
	struct marks seen, wrong;
	char next_lineage[LINEAGE_BYTES];
	struct find_page page; /* on its way into the store */
	uint64_t cursor;
};

bool mirror_is_ours(const char *lineage)
{
	return str_starts(lineage, MIRROR_LINEAGE);
}

bool mirror_busy(const struct mirror *m)
{
	return m->running || m->kept_out || m->waiting != NULL;
}

void mirror_renew(struct mirror *m)
{
	m->renew = true;
}

/* --- the end of a round --- */

static void forget_round(struct mirror *m)
{
	absent_names_reset(&m->absent.names);
	find_page_reset(&m->page);
	marks_reset(&m->seen);
	marks_reset(&m->wrong);
	(void)uv_timer_stop(&m->turn);
	m->running = false;
}

static void end_round(struct mirror *m, struct mirror_round *r)
{
	if (r->err.code == 0 && m->absent.held[0] != '\0')
		(void)err_set(&r->err, ERR_STATE, "%s", m->absent.held);
	r->set_aside = m->bad;
	forget_round(m);
	m->hooks.over(m->hooks.arg, r);
}

static void fail_round(struct mirror *m, const struct err *e)
{
	struct mirror_round r = { .err = *e, .cut = true };

	r.no_index = strcasestr(e->text, "no such index") != NULL ||
		     strcasestr(e->text, "unknown index") != NULL;
	end_round(m, &r);
}

/* --- the store --- */

static void submit(struct mirror *m, struct keeper_job *job)
{
	if (keeper_busy(m->keeper)) {
		m->waiting = job;
		return;
	}
	m->kept_out = true;
	keeper_do(m->keeper, job);
}

struct mirror_baggage { /* what a job's records point at */
	struct find_page page;
	struct absent_names names;
	struct event *gone; /* owned; their strings are those of `names` */
};

static void free_baggage(void *data)
{
	struct mirror_baggage *b = data;

	absent_names_reset(&b->names);
	find_page_reset(&b->page);
	mem_free(b->gone);
	mem_free(b);
}

/* A batch into the generation of this round; `n` records at most. */
static struct keeper_job *new_job(struct mirror *m, size_t n)
{
	struct keeper_job *job = keeper_job_new(KEEPER_WRITE);
	struct position *after = &job->batch.position;

	job->data = mem_zalloc(sizeof(struct mirror_baggage));
	job->free_data = free_baggage;
	job->batch.records = mem_alloc((n + 1) * sizeof(*job->batch.records));
	job->target = STORE_CURRENT;
	*after = m->pos;
	if (m->what == ROUND_BUILD) {
		job->target = STORE_NEXT;
		job->begin_next = !m->began;
		if (!m->began)
			m->next = (struct position){ .revision = 0 };
		m->began = true;
		*after = m->next;
		str_copy(after->lineage, sizeof(after->lineage), m->next_lineage);
	}
	str_copy(after->token, sizeof(after->token), TOKEN);
	return job;
}

/* We alone write this store: each record takes the next revision. */
static void add_record(struct keeper_job *job, const struct event *ev, const struct hash *h)
{
	struct store_batch *b = &job->batch;

	b->records[b->len++] = (struct store_record){ .ev = ev,
						      .hash = *h,
						      .revision = ++b->position.revision,
						      .updated_ms = clock_wall_ms() };
}

/* As the store has it: a Java primary writes the same again and again. */
static bool is_known(struct store_view *v, const struct found *f)
{
	struct store_entry there;
	int rc = store_find(v, f->ev.kind, f->ev.id, f->ev.ref_id == NULL ? "" : f->ev.ref_id,
			    &there, NULL);

	if (f->ev.action == ACTION_UNDEPLOY)
		return rc == ERR_NOTFOUND || (rc == 0 && there.action == ACTION_UNDEPLOY);
	return rc == 0 && there.action == ACTION_DEPLOY && hash_equal(&there.hash, &f->hash);
}

static void next_page(struct mirror *m);

static void send_page(struct mirror *m)
{
	struct keeper_job *job = new_job(m, m->page.len);
	struct store_view *v = NULL;
	size_t i;

	/* Without a view all is written: that is only slower. */
	if (m->what != ROUND_BUILD && store_view_open(m->store, &v, NULL) < 0)
		v = NULL;
	for (i = 0; i < m->page.len; i++) {
		const struct found *f = &m->page.rows[i];

		if (f->wrong == NULL && (v == NULL || !is_known(v, f)))
			add_record(job, &f->ev, &f->hash);
	}
	store_view_close(&v);
	((struct mirror_baggage *)job->data)->page = m->page;
	m->page = (struct find_page){ 0 };
	if (job->batch.len == 0 && m->what != ROUND_BUILD) {
		keeper_job_free(job);
		next_page(m);
		return;
	}
	submit(m, job);
}

static void send_switch(struct mirror *m)
{
	struct keeper_job *job = new_job(m, 0);

	job->end_next = true;
	submit(m, job);
}

/* --- what is gone --- */

static void level(struct mirror *m);

static void walk_done(struct mirror *m)
{
	static const struct hash tomb = { { 'U' } };
	size_t n = m->absent.names.n;
	const struct absent_one **gone = mem_alloc((n + 1) * sizeof(*gone));
	struct keeper_job *job = new_job(m, n);
	struct mirror_baggage *b = job->data;
	size_t i;

	m->aside = m->wrong.n - MIN(m->absent.kept_wrong, m->wrong.n);
	m->all_due = absent_is_fresh(&m->absent); /* look again soon */
	n = absent_removals(&m->absent, gone);
	job->batch.horizon = m->absent.stale;
	b->gone = mem_zalloc((n + 1) * sizeof(*b->gone));
	for (i = 0; i < n; i++) {
		b->gone[i] = (struct event){ .kind = gone[i]->kind,
					     .action = ACTION_UNDEPLOY,
					     .id = gone[i]->id,
					     .ref_id = gone[i]->ref };
		add_record(job, &b->gone[i], &tomb);
	}
	mem_free(gone);
	if (n == 0 && m->absent.stale == 0) {
		keeper_job_free(job);
		level(m);
		return;
	}
	b->names = m->absent.names;
	m->absent.names = (struct absent_names){ 0 };
	submit(m, job);
}

static void on_turn(uv_timer_t *t)
{
	struct mirror *m = t->data;
	struct err e = { 0 };
	int rc = absent_step(&m->absent, &e);

	if (rc < 0) {
		m->renew = m->renew || rc == ERR_DAMAGED;
		fail_round(m, &e);
	} else if (rc > 0) {
		CHECK(uv_timer_start(&m->turn, on_turn, 0, 0) == 0);
	} else {
		walk_done(m);
	}
}

static void begin_walk(struct mirror *m)
{
	absent_begin(&m->absent, &m->seen, &m->wrong);
	CHECK(uv_timer_start(&m->turn, on_turn, 0, 0) == 0);
}

/* --- answers of the index --- */

/* NULL-safe: true when the answer is an error, and the round has ended with it. */
static bool refused(struct mirror *m, const struct redis_reply *r)
{
	struct err e = { 0 };

	if (zone_check(m->z, r, NULL, &e) == 0)
		return false;
	if (m->running) /* else the connection went with it */
		fail_round(m, &e);
	return true;
}

static void cut_round(struct mirror *m, int code, const char *why)
{
	struct err e = { 0 };

	(void)err_set(&e, code, "%s", why);
	fail_round(m, &e);
}

static void cannot_ask(struct mirror *m)
{
	cut_round(m, ERR_BUSY, "the index cannot be asked now");
}

/* False: there is no number, and no round any more. */
static bool take_count(struct mirror *m, const struct redis_reply *r, const struct err *lost,
		       uint64_t *out)
{
	struct err e = { 0 };

	if (lost != NULL || !m->running || refused(m, r))
		return false;
	if (find_count_parse(r, out, &e) == 0)
		return true;
	fail_round(m, &e);
	return false;
}

/* The number of all that is deployed, against ours. */
static void on_level(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct mirror *m = arg;
	struct mirror_round round = { 0 };
	uint64_t n = 0;

	if (!take_count(m, r, lost, &n))
		return;
	round.level = n == m->pos.digest.count + m->aside;
	/* A count that is cut short by a time limit differs each time: not all the time for that. */
	if (round.level)
		m->pause_ms = MIRROR_PAUSE_MS;
	else if (m->what == ROUND_ALL)
		m->pause_ms = MIN(2 * m->pause_ms, MIRROR_FULL_MS);
	if ((!round.level || m->absent.held[0] != '\0') &&
	    clock_boot_ms() - m->all_ms >= m->pause_ms)
		m->all_due = true;
	if (n == 0 && m->pos.digest.count > 0)
		(void)err_set(&round.err, ERR_STATE,
			      "the index holds nothing of this zone: what was there last is kept");
	end_round(m, &round);
}

static void level(struct mirror *m)
{
	const struct find_query all = { .live = true };

	if (find_count(m->z, &all, on_level, m) < 0)
		cannot_ask(m);
}

static void read_whole(struct mirror *m)
{
	int64_t high = m->seen_ms;

	/* A time that lies ahead of the writer's own clock, or of ours without it, is not gone by. */
	high = MIN(high, m->written_ms > 0 ? m->written_ms : clock_wall_ms());
	m->high_ms = m->what == ROUND_WINDOW ? MAX(m->high_ms, high) : high;
	if (m->what == ROUND_WINDOW) {
		level(m);
		return;
	}
	m->page_rows = MIN(2 * m->page_rows, FIND_ROWS); /* what was too large may be so again */
	m->bad = m->bad_now;
	if (m->what == ROUND_ALL) {
		begin_walk(m);
		return;
	}
	m->aside = m->wrong.n;
	marks_reset(&m->absent.doubt);
	send_switch(m);
}

static void on_after(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct mirror *m = arg;
	uint64_t after = 0;

	if (!take_count(m, r, lost, &after))
		return;
	marks_settle(&m->seen);
	marks_settle(&m->wrong);
	if (m->seen.n < MIN(m->before, after))
		cut_round(m, ERR_STATE,
			  "the index gave fewer events than it counts: it is asked again");
	else
		read_whole(m);
}

/* Each read of all tells of what is there; one in a window is found by the next of them. */
static void set_aside(struct mirror *m, const struct found *f)
{
	if (f->live)
		marks_add(&m->wrong, f->key);
	if (f->other || m->what == ROUND_WINDOW)
		return;
	if (m->bad_now++ < MIRROR_TOLD)
		log_warn(EV("event_set_aside"), KV("key", f->key), KV("why", f->wrong));
}

static void take_rows(struct mirror *m)
{
	size_t i;

	for (i = 0; i < m->page.len; i++) {
		const struct found *f = &m->page.rows[i];

		marks_add(&m->seen, f->key);
		if (f->wrong != NULL)
			set_aside(m, f);
		else
			m->seen_ms = MAX(m->seen_ms, f->updated_ms);
	}
}

static void on_page(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct mirror *m = arg;
	struct err e = { 0 };

	if (lost != NULL || !m->running || refused(m, r))
		return;
	if (find_page_parse(r, zone_conn_keys(m->z), m->max_bytes, &m->page, &e) < 0) {
		fail_round(m, &e);
		return;
	}
	m->cursor = m->page.cursor;
	take_rows(m);
	send_page(m);
}

static void next_page(struct mirror *m)
{
	int rc;

	if (m->cursor != 0)
		rc = find_more(m->z, m->cursor, m->page_rows, on_page, m);
	else
		rc = find_count(m->z, &m->query, on_after, m);
	if (rc < 0)
		cannot_ask(m);
}

/* What was served from a log is not given up for an index that was flushed since. */
static bool is_too_little(const struct mirror *m, struct err *e)
{
	uint64_t had = m->pos.digest.count;

	if (m->what != ROUND_BUILD || m->renew || m->before >= had ||
	    guard_is_few(had, had - m->before, GUARD_FREE, GUARD_PERCENT))
		return false;
	(void)err_set(e, ERR_STATE,
		      "the index holds %" PRIu64 " events where %" PRIu64 " are served, which are "
		      "kept; `zonesync resync` takes the index as it is",
		      m->before, had);
	return true;
}

static void on_before(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct mirror *m = arg;
	struct mirror_round round = { 0 };

	if (!take_count(m, r, lost, &m->before))
		return;
	if (m->before == 0 && m->what != ROUND_WINDOW) {
		round.level = m->what == ROUND_ALL && m->pos.digest.count == 0;
		if (m->what == ROUND_ALL && m->pos.digest.count > 0)
			(void)err_set(
				&round.err, ERR_STATE,
				"the index holds nothing of this zone: what was there last is kept");
		end_round(m, &round);
		return;
	}
	if (is_too_little(m, &round.err))
		fail_round(m, &round.err);
	else if (find_rows(m->z, &m->query, m->page_rows, on_page, m) < 0)
		cannot_ask(m);
}

static void count_before(struct mirror *m)
{
	if (find_count(m->z, &m->query, on_before, m) < 0)
		cannot_ask(m);
}

/* An index that is still being built counts, and gives, what it has so far. */
static void on_info(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct mirror *m = arg;
	uint64_t indexing = 0;

	if (lost != NULL || !m->running || refused(m, r))
		return;
	if (!redis_u64(redis_value(r, "indexing"), &indexing) || indexing != 0)
		cut_round(m, ERR_STATE, "the index is still being built: it is asked again");
	else
		count_before(m);
}

/* --- rounds --- */

static void choose(struct mirror *m, bool other)
{
	int64_t now = clock_boot_ms();

	store_position(m->store, &m->pos);
	/* Its clock went back: what it writes now lies before what was read. */
	other = other || (m->written_ms > 0 && m->written_ms < m->high_ms - MIRROR_OVERLAP_MS);
	if (m->renew || !mirror_is_ours(m->pos.lineage))
		m->what = ROUND_BUILD;
	else if (m->all_ms == 0 || other || m->all_due || m->high_ms <= MIRROR_OVERLAP_MS ||
		 now - m->all_ms >= MIRROR_FULL_MS)
		m->what = ROUND_ALL;
	else
		m->what = ROUND_WINDOW;
	if (m->what != ROUND_WINDOW)
		m->all_ms = now;
	/* Tombstones are evidence, of which a new store needs none. */
	m->query = (struct find_query){ .live = m->what == ROUND_BUILD };
	if (m->what == ROUND_WINDOW)
		m->query.from_ms = m->high_ms - MIRROR_OVERLAP_MS;
}

void mirror_begin(struct mirror *m, int64_t written_ms, bool other)
{
	char hex[RANDOM_HEX_BYTES];

	CHECK(!mirror_busy(m));
	m->written_ms = written_ms;
	choose(m, other);
	m->running = true;
	m->dropped = false;
	m->began = false;
	m->bad_now = 0;
	m->seen_ms = 0;
	m->before = 0;
	m->cursor = 0;
	if (m->what == ROUND_BUILD) {
		random_hex(hex);
		(void)snprintf(m->next_lineage, sizeof(m->next_lineage), MIRROR_LINEAGE "%s", hex);
	}
	if (m->what == ROUND_WINDOW)
		count_before(m);
	else if (redis_sendv(zone_conn_redis(m->z), on_info, m, "FT.INFO", SEARCH_INDEX, NULL) < 0)
		cannot_ask(m);
}

void mirror_dropped(struct mirror *m)
{
	if (!m->running)
		return;
	/* A page that is too large for the connection closes it. */
	if (m->cursor != 0 || m->before > 0)
		m->page_rows = MAX(m->page_rows / 4, 1U);
	m->dropped = m->kept_out;
	keeper_job_free(m->waiting);
	m->waiting = NULL;
	forget_round(m);
}

static void kept(struct mirror *m, struct keeper_job *job)
{
	if (job->rc < 0) {
		m->renew = m->renew || job->rc == ERR_DAMAGED;
		if (!m->dropped)
			fail_round(m, &job->err);
		return;
	}
	if (job->target == STORE_NEXT)
		m->next = job->after;
	if (job->target == STORE_CURRENT || job->end_next) {
		m->pos = job->after;
		if (job->end_next) {
			m->renew = false;
			store_adopt(m->store);
		}
		m->hooks.applied(m->hooks.arg, &m->pos, job->end_next);
	}
	if (m->dropped || !m->running)
		return;
	if (job->end_next || ((struct mirror_baggage *)job->data)->page.rows == NULL)
		level(m); /* the switch, or the removals */
	else
		next_page(m);
}

bool mirror_kept(struct mirror *m, struct keeper_job *job)
{
	struct keeper_job *waiting = m->waiting;

	if (job->what != KEEPER_WRITE) {
		if (waiting != NULL && !keeper_busy(m->keeper)) {
			m->waiting = NULL;
			submit(m, waiting);
		}
		return false;
	}
	m->kept_out = false;
	kept(m, job);
	return true;
}

/* --- life --- */

struct mirror *mirror_create(uv_loop_t *loop, const struct mirror_about *a,
			     const struct mirror_hooks *h)
{
	struct mirror *m = mem_zalloc(sizeof(*m));

	m->z = a->z;
	m->keeper = a->keeper;
	m->store = a->store;
	m->absent.store = a->store;
	m->absent.prefix = zone_conn_keys(a->z)->event_prefix;
	m->max_bytes = a->entity_max_bytes;
	m->hooks = *h;
	m->page_rows = FIND_ROWS;
	m->pause_ms = MIRROR_PAUSE_MS;
	CHECK(uv_timer_init(loop, &m->turn) == 0);
	m->turn.data = m;
	return m;
}

static void on_closed(uv_handle_t *h)
{
	mem_free(h->data);
}

void mirror_close(struct mirror **mp)
{
	struct mirror *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	keeper_job_free(m->waiting);
	m->waiting = NULL;
	forget_round(m);
	absent_reset(&m->absent);
	uv_close((uv_handle_t *)&m->turn, on_closed);
}
