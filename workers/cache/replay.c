/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/replay.h"

#include <inttypes.h>

#include "common/base/clock.h"

#define RESYNC_PAUSE_MS 60000 /* after a resync that could not be proven */
#define BEHIND_LEASES	3     /* an older epoch is accepted after so many TTLs of renewals */

static void to_store(const struct position *p, struct store_position *out)
{
	*out = (struct store_position){ .revision = p->revision, .digest = p->digest };
	str_copy(out->lineage, sizeof(out->lineage), p->lineage);
	str_copy(out->token, sizeof(out->token), p->token);
}

void replay_position(const struct store_position *p, struct position *out)
{
	*out = (struct position){ .revision = p->revision, .digest = p->digest };
	str_copy(out->lineage, sizeof(out->lineage), p->lineage);
	str_copy(out->token, sizeof(out->token), p->token);
}

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

/* --- resync --- */

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
	f->resumes = true;
	follower_mode(f, MODE_RESYNCING);
	job = keeper_job_new(KEEPER_NEXT);
	keeper_do(f->keeper, job);
}

void replay_abandon(struct follower *f)
{
	follower_mode(f, f->pos.lineage[0] == '\0' ? MODE_WAITING : MODE_FOLLOWING);
}

/* A zone that was filled anew may be tried at once. */
static bool resync_allowed(const struct follower *f)
{
	return f->failed_ms == 0 || !str_equal(f->failed_lineage, f->head.lineage) ||
	       clock_boot_ms() - f->failed_ms >= RESYNC_PAUSE_MS;
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
		str_copy(f->failed_lineage, sizeof(f->failed_lineage), f->head.lineage);
		suspect(f, "*");
	}
	replay_abandon(f);
	follower_fail(f, &e);
}

/* --- pages --- */

struct position *replay_target(struct follower *f)
{
	return f->mode == MODE_RESYNCING ? &f->next : &f->pos;
}

enum store_target replay_into(const struct follower *f)
{
	return f->mode == MODE_RESYNCING ? STORE_NEXT : STORE_CURRENT;
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
		follower_mode(f, MODE_FOLLOWING);
		worker_report(f->w);
		follower_report_node(f);
		follower_arm(f, 0);
		return;
	}
	f->proven = false;
	if (resync_allowed(f)) {
		begin_resync(f, "the digest differs from the zone's");
		return;
	}
	follower_arm(f, 0);
}

static void next_step(struct follower *f)
{
	struct position *p = replay_target(f);

	if (f->asked.out || f->asked.here)
		return; /* the page behind this one was asked for: its turn comes */
	if (p->revision < f->head.revision || f->again) {
		f->again = false;
		follower_look(f);
		return;
	}
	if (f->mode == MODE_RESYNCING)
		conclude_resync(f);
	else
		conclude_page(f);
}

static void apply(struct follower *f, struct page *page)
{
	struct position *p = replay_target(f);
	struct position after;
	struct keeper_job *job;
	size_t i;

	for (i = 0; i < page->len; i++)
		if (page->events[i].damaged)
			suspect(f, page->events[i].name);
	job = keeper_job_new(KEEPER_APPLY);
	job->target = replay_into(f);
	to_store(p, &job->position);
	str_copy(job->position.token, sizeof(job->position.token), page->head.token);
	job->position.revision = page->len > 0 ? page->events[page->len - 1].revision
					       : page->head.revision;
	job->horizon = MIN(page->head.horizon, job->position.revision);
	job->page = *page;
	*page = (struct page){ 0 };
	replay_position(&job->position, &after);
	keeper_do(f->keeper, job);
	/* Meanwhile Redis makes the next page. */
	if (after.revision < f->head.revision && zone_conn_is_up(f->z))
		follower_ask(f, &after);
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
void replay_judge(struct follower *f, struct page *page)
{
	struct position own = *replay_target(f);
	enum verdict v;

	if (f->mode == MODE_RESYNCING)
		own.revision = MAX(own.revision, f->next_horizon);
	v = follow_judge(&page->head, &own);
	f->resumes = v == FOLLOW_RESUME;
	if (v != FOLLOW_BEHIND)
		f->lease_since_ms = 0;
	if (f->mode == MODE_RESYNCING && v != FOLLOW_RESUME) {
		replay_abandon(f);
		follower_look(f); /* judge it again from where we really stand */
		return;
	}
	if (f->forced && f->mode != MODE_RESYNCING && (v == FOLLOW_RESUME || v == FOLLOW_RESYNC)) {
		begin_resync(f, f->forced_why);
		return;
	}
	switch (v) {
	case FOLLOW_RESUME:
		if (!f->asked.whole) {
			follower_look(f);
			break;
		}
		/* A resync applies the first page in any case: of an empty zone it holds nothing
		   but the position, without which nobody is answered. */
		if (page->len > 0 || replay_target(f)->revision < page->head.revision ||
		    !str_equal(own.token, page->head.token) ||
		    (f->mode == MODE_RESYNCING && replay_target(f)->revision == 0))
			apply(f, page);
		else
			next_step(f);
		break;
	case FOLLOW_RESYNC:
		if (resync_allowed(f))
			begin_resync(f, own.lineage[0] == '\0' ? "no data yet"
							       : "the history is another");
		else
			follower_wait(f);
		break;
	case FOLLOW_BEHIND:
		f->proven = false;
		follower_mode(f, MODE_BEHIND);
		if (lease_lives(f, &page->head))
			begin_resync(f, "an older epoch is alive there");
		else
			follower_wait(f);
		break;
	default: /* WAIT, HOLD */
		f->proven = false;
		follower_mode(f, MODE_WAITING);
		follower_wait(f);
		break;
	}
}

/* --- the store's thread came back --- */

void replay_applied(struct follower *f, const struct keeper_job *job)
{
	struct position p;
	bool had_data = f->pos.lineage[0] != '\0';

	replay_position(&job->after, &p);
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

void replay_switched(struct follower *f)
{
	bool reset = !str_equal(f->pos.lineage, f->next.lineage);

	store_adopt(f->store);
	f->pos = f->next;
	f->proven = true;
	f->error = (struct err){ 0 };
	f->applied_ms = clock_wall_ms();
	log_note(EV("resync_done"), KV("revision", f->pos.revision),
		 KV("count", f->pos.digest.count), KV("generation", store_generation(f->store)));
	follower_mode(f, MODE_FOLLOWING);
	follower_report_node(f);
	if (f->base.changed != NULL)
		f->base.changed(f->base.changed_arg, reset);
	follower_look(f);
}
