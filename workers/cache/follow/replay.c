/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/follow/look.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"

#define RESYNC_PAUSE_MS 60000 /* after a resync that could not be proven */
#define RESYNC_AGAIN_MS 2000  /* the same, when the zone has changed since */
#define BUILD_PAUSE_MS	1000  /* after one that this node could not write, and doubled */
#define BEHIND_LEASES	3     /* an older epoch is accepted after so many TTLs of renewals */
#define COMPARE_MS	5000  /* between two comparisons of what serves with what was built */
#define NOT_COMPARED	SIZE_MAX

static const char *switch_text(enum switch_verdict v)
{
	static const char *const texts[] = {
		[SWITCH_POLLS] = "the zone may be older than what is served, which stays until its "
				 "primary has looked at all of the source",
		[SWITCH_EMPTY] = "a refill of the zone found nothing in the source: what was known "
				 "last is served",
		[SWITCH_UNREAD] =
			"the zone differs from what is served in rows that its primary "
			"cannot read: what was known last is served until they are mended, "
			"or `zonesync resync --accept-deletes` here",
		[SWITCH_HALVED] =
			"the zone was filled anew and lacks more than half of a type, or some "
			"of one whose place was missing: what was known last is served until "
			"`zonesync resync --accept-deletes`, here or on the primary",
	};

	return v < ARRAY_LEN(texts) && texts[v] != NULL ? texts[v] : "";
}

/* When they cannot be told, they are found again at the next resync. */
static void suspect(struct follower *f, const char *const *names, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		log_error(EV("suspect"), KV("key", names[i]));
	if (n > 0)
		(void)!follow_suspect(f->z, names, n, follower_ignore, NULL);
}

/* What this node owes stays an error until it is done. */
static void clear_error(struct follower *f)
{
	if (!f->replay.owed)
		f->error = (struct err){ 0 };
}

/* --- resync --- */

static void begin_resync(struct follower *f, const char *why, enum verdict v)
{
	struct keeper_job *job;

	if (keeper_busy(f->keeper)) {
		look_owe(f);
		return;
	}
	log_note(EV("resync_begin"), KV("why", why), KV("lineage", f->head.lineage),
		 KV("head", f->head.revision));
	f->building = true;
	f->replay.named = false;
	f->replay.waits = SWITCH_NOW;
	f->replay.doubtful = NOT_COMPARED;
	f->replay.compared_ms = 0;
	f->replay.other_history = v != FOLLOW_RESUME;
	f->replay.looks = (struct looks){ 0 };
	follow_look(&f->replay.looks, &f->head, clock_boot_ms());
	f->next = (struct position){ 0 };
	str_copy(f->next.lineage, sizeof(f->next.lineage), f->head.lineage);
	str_copy(f->next.token, sizeof(f->next.token), f->head.token);
	f->replay.begun_horizon = f->head.horizon;
	look_for_events(f, true);
	follower_mode(f, MODE_RESYNCING);
	job = keeper_job_new(KEEPER_NEXT);
	keeper_do(f->keeper, job);
}

void replay_abandon(struct follower *f)
{
	f->building = false;
	f->replay.waits = SWITCH_NOW;
	follower_mode(f, f->pos.lineage[0] == '\0' ? MODE_WAITING : MODE_FOLLOWING);
}

void replay_broke(struct follower *f)
{
	f->replay.build_pause_ms =
		MIN(MAX(2 * f->replay.build_pause_ms, BUILD_PAUSE_MS), RESYNC_PAUSE_MS);
	f->replay.build_after_ms = clock_boot_ms() + f->replay.build_pause_ms;
	replay_abandon(f);
}

/* A zone that was filled anew may be tried at once, one that changed soon: it may be mended. */
static bool resync_allowed(const struct follower *f)
{
	int64_t since = clock_boot_ms() - f->replay.failed_ms;
	bool same = f->replay.failed.revision == f->head.revision &&
		    digest_equal(&f->replay.failed.digest, &f->head.digest);

	if (clock_boot_ms() < f->replay.build_after_ms)
		return false;
	return f->replay.failed_ms == 0 || !str_equal(f->replay.failed.lineage, f->head.lineage) ||
	       since >= RESYNC_PAUSE_MS || (!same && since >= RESYNC_AGAIN_MS);
}

/* --- may what was built serve? --- */

static void compare(struct follower *f)
{
	struct keeper_job *job = keeper_job_new(KEEPER_COMPARE);

	job->names = mem_strdup(f->head.unread);
	keeper_do(f->keeper, job);
}

static struct doubt doubt_of(const struct follower *f)
{
	return (struct doubt){ .serves = f->pos.lineage[0] != '\0',
			       .equal = digest_equal(&f->pos.digest, &f->next.digest),
			       .other_lineage = !str_equal(f->pos.lineage, f->next.lineage),
			       .accepted = f->next.lineage[0] != '\0' &&
					   str_equal(f->replay.accepted, f->next.lineage) };
}

/* The zone goes on being followed there, and is asked again at its next look. */
static void wait_to_switch(struct follower *f, enum switch_verdict v)
{
	if (f->replay.waits != v)
		log_warn(EV("switch_waits"), KV("why", switch_text(v)));
	f->replay.waits = v;
	f->proven = false;
	clear_error(f); /* of what came before: this is why, now */
	follower_mode(f, MODE_BEHIND);
	worker_report(f->w);
	look_in(f, 0);
}

static void try_switch(struct follower *f)
{
	struct doubt d = doubt_of(f);
	enum switch_verdict v = follow_switch(&f->head, &f->replay.looks, &d, false);

	if (v == SWITCH_NOW) {
		keeper_do(f->keeper, keeper_job_new(KEEPER_SWITCH));
	} else if (v == SWITCH_COMPARE && clock_boot_ms() - f->replay.compared_ms >= COMPARE_MS) {
		f->replay.compared_ms = clock_boot_ms();
		compare(f);
	} else if (f->replay.doubtful == NOT_COMPARED) { /* for people */
		wait_to_switch(f, v);
		compare(f);
	} else {
		wait_to_switch(f, v == SWITCH_COMPARE ? f->replay.waits : v);
	}
}

static size_t count_lacks(const struct store_difference *d)
{
	size_t n = 0;
	unsigned k;

	for (k = 0; k < KIND__COUNT; k++)
		n += d->lacks[k];
	return n;
}

/* "<kind>:*" among what the primary could not read: the place of that kind was not there. */
static bool is_missing(const struct head *h, enum kind k)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s:*", kind_name(k));
	const char *at = h->unread;

	while ((at = strstr(at, line)) != NULL) {
		bool begins = at == h->unread || at[-1] == '\n';

		at += n;
		if (begins && (*at == '\0' || *at == '\n'))
			return true;
	}
	return false;
}

/* The first such type; KIND__COUNT: there is none. */
static enum kind halved_kind(const struct head *h, const struct store_difference *d)
{
	unsigned k;

	for (k = 0; k < KIND__COUNT; k++) {
		bool many = d->lacks[k] >= FOLLOW_HALVED_LEAST && d->lacks[k] > d->live[k] / 2;

		if (k != KIND_NODE_METADATA &&
		    (many || (d->lacks[k] > 0 && is_missing(h, (enum kind)k))))
			break;
	}
	return (enum kind)k;
}

void replay_compared(struct follower *f, const struct keeper_job *job)
{
	const struct store_difference *is = &job->difference;
	enum kind halved = halved_kind(&f->head, is);
	struct doubt d = doubt_of(f);
	enum switch_verdict v;

	f->replay.doubtful = is->differs;
	d.unread = is->told;
	d.halved = halved < KIND__COUNT;
	d.lacks = count_lacks(is);
	f->replay.lacks = d.lacks;
	if (d.halved)
		(void)snprintf(f->replay.lacking, sizeof(f->replay.lacking), "%zu of %zu %s",
			       is->lacks[halved], is->live[halved], kind_name(halved));
	v = follow_switch(&f->head, &f->replay.looks, &d, true);
	if (v == SWITCH_NOW)
		keeper_do(f->keeper, keeper_job_new(KEEPER_SWITCH));
	else
		wait_to_switch(f, v);
}

/* At the head of a resync: is it the zone? */
static void conclude_resync(struct follower *f)
{
	struct err e = { 0 };

	if (digest_equal(&f->next.digest, &f->head.digest)) {
		f->replay.failures = 0;
		f->replay.failed_ms = 0;
		try_switch(f);
		return;
	}
	f->replay.failures++;
	(void)err_set(&e, ERR_DAMAGED,
		      "resync: %" PRIu64 " entities and another digest where the zone has %" PRIu64,
		      f->next.digest.count, f->head.digest.count);
	if (f->replay.failures >= 2) { /* once more at once, then the primary must mend it */
		f->replay.failed_ms = clock_boot_ms();
		f->replay.failed = f->next;
		f->replay.failed.revision = f->head.revision;
		f->replay.failed.digest = f->head.digest;
		if (!f->replay.named) /* else that is why, most likely */
			suspect(f, (const char *const[]){ "*" }, 1);
	}
	replay_abandon(f);
	follower_fail(f, &e);
}

/* --- pages --- */

/* At the head in steady state: proof. */
static void conclude_page(struct follower *f)
{
	bool equal = digest_equal(&f->pos.digest, &f->head.digest);

	if (equal) {
		if (!f->proven)
			log_note(EV("proven"), KV("revision", f->pos.revision),
				 KV("count", f->pos.digest.count));
		f->proven = true;
		clear_error(f);
		f->replay.failures = 0;
		follower_mode(f, MODE_FOLLOWING);
		worker_report(f->w);
		follower_tell_zone(f);
		look_in(f, 0);
		return;
	}
	f->proven = false;
	if (resync_allowed(f)) {
		begin_resync(f, "the digest differs from the zone's", FOLLOW_RESYNC);
		return;
	}
	look_in(f, 0);
}

static void next_step(struct follower *f)
{
	struct position *p = follower_target(f);

	if (look_is_under_way(f))
		return; /* the page behind this one was asked for: its turn comes */
	if (look_settle(f) || p->revision < f->head.revision) {
		look_now(f);
		return;
	}
	if (f->building)
		conclude_resync(f);
	else
		conclude_page(f);
}

static void apply(struct follower *f, struct page *page)
{
	struct position *p = follower_target(f);
	struct position after;
	struct keeper_job *job;
	const char *damaged[FOLLOW_PAGE_EVENTS];
	size_t n = 0;
	size_t i;

	for (i = 0; i < page->len && n < ARRAY_LEN(damaged); i++)
		if (page->events[i].damaged)
			damaged[n++] = page->events[i].name;
	f->replay.named = f->replay.named || n > 0;
	suspect(f, damaged, n);
	job = keeper_job_new(KEEPER_APPLY);
	job->target = follower_into(f);
	job->position = *p;
	str_copy(job->position.token, sizeof(job->position.token), page->head.token);
	job->position.revision = page->len > 0 ? page->events[page->len - 1].revision
					       : page->head.revision;
	job->horizon = MIN(page->head.horizon, job->position.revision);
	if (f->building)
		job->withdraw_above = follow_withdrawals_above(&page->head, f->pos.lineage);
	job->page = *page;
	*page = (struct page){ 0 };
	after = job->position;
	keeper_do(f->keeper, job);
	/* Meanwhile Redis makes the next page. */
	if (after.revision < f->head.revision && zone_conn_is_up(f->z))
		look_behind(f, &after);
}

static bool lease_lives(struct follower *f, const struct head *h)
{
	int64_t now = clock_boot_ms();

	if (h->lease[0] == '\0' || !str_equal(h->lease, h->token)) {
		f->replay.lease_since_ms = 0;
		return false;
	}
	if (f->replay.lease_since_ms == 0 || h->lease_seq < f->replay.lease_seq) {
		f->replay.lease_since_ms = now;
		f->replay.lease_seq = h->lease_seq;
		return false;
	}
	return h->lease_seq > f->replay.lease_seq &&
	       now - f->replay.lease_since_ms >= BEHIND_LEASES * f->ttl_ms;
}

/* What is served is served on. */
static void other_format(struct follower *f, const struct head *h)
{
	struct err e = { 0 };

	(void)err_set(&e, ERR_CONFIG,
		      "the zone in Redis is of format %s, and this zonesync knows " ZONE_FORMAT
		      ": %s",
		      h->version,
		      zone_format_major(h->version) > ZONE_FORMAT_MAJOR
			      ? "upgrade zonesync on this node"
			      : "upgrade zonesync on the node that writes it");
	follower_fail(f, &e);
	look_in(f, 0);
}

/* What to do with a page, by the head that came with it. */
void replay_judge(struct follower *f, struct page *page)
{
	struct position own = *follower_target(f);
	enum verdict v;

	if (f->building)
		own.revision = MAX(own.revision, f->replay.begun_horizon);
	v = follow_judge(&page->head, &own, f->building ? "" : f->replay.ahead.token);
	look_for_events(f, v == FOLLOW_RESUME);
	if (v != FOLLOW_BEHIND)
		f->replay.lease_since_ms = 0;
	if (f->building && v != FOLLOW_RESUME) {
		replay_abandon(f);
		look_now(f); /* judge it again from where we really stand */
		return;
	}
	if (f->building)
		follow_look(&f->replay.looks, &page->head, clock_boot_ms());
	if (f->replay.owed && !f->building && (v == FOLLOW_RESUME || v == FOLLOW_RESYNC) &&
	    resync_allowed(f)) {
		begin_resync(f, f->replay.why, v);
		return;
	}
	switch (v) {
	case FOLLOW_RESUME:
		if (!look_was_whole(f)) {
			look_now(f);
			break;
		}
		/* A resync applies the first page in any case: of an empty zone it holds nothing
		   but the position, without which nobody is answered. */
		if (page->len > 0 || follower_target(f)->revision < page->head.revision ||
		    !str_equal(own.token, page->head.token) ||
		    (f->building && follower_target(f)->revision == 0))
			apply(f, page);
		else
			next_step(f);
		break;
	case FOLLOW_RESYNC:
		if (resync_allowed(f))
			begin_resync(f,
				     own.lineage[0] == '\0' ? "no data yet"
							    : "the history is another",
				     v);
		else
			look_later(f, 0);
		break;
	case FOLLOW_BEHIND:
		f->proven = false;
		follower_mode(f, MODE_BEHIND);
		if (lease_lives(f, &page->head))
			begin_resync(f, "an older epoch is alive there", v);
		else
			look_later(f, 0);
		break;
	case FOLLOW_FORMAT:
		f->proven = false;
		follower_mode(f, MODE_WAITING);
		other_format(f, &page->head);
		break;
	case FOLLOW_WAIT:
		f->proven = false;
		if (f->error.code == ERR_CONFIG) /* it was of another format */
			f->error = (struct err){ 0 };
		follower_mode(f, MODE_WAITING);
		look_later(f, 0);
		break;
	}
}

/* --- the store's thread came back --- */

/* What is served lost some names, and its position stands where it stood: whoever watches looks
   at all of it again. */
static void withdrew(struct follower *f, const struct keeper_job *job)
{
	store_ahead(f->store, &f->replay.ahead);
	f->pos = job->served;
	f->replay.doubtful = NOT_COMPARED;
	log_warn(EV("withdrawn_ahead"), KV("names", (uint64_t)job->withdrawn),
		 KV("revision", f->replay.ahead.revision));
	follower_changed(f, true);
}

void replay_applied(struct follower *f, const struct keeper_job *job)
{
	bool had_data = f->pos.lineage[0] != '\0';

	if (job->target == STORE_NEXT) {
		f->next = job->after;
		if (job->withdrawn > 0)
			withdrew(f, job);
	} else {
		f->pos = job->after;
		follower_changed(f, !had_data);
	}
	next_step(f);
}

void replay_switched(struct follower *f)
{
	bool reset = f->replay.other_history || !str_equal(f->pos.lineage, f->next.lineage);

	store_adopt(f->store);
	f->pos = f->next;
	f->building = false;
	f->replay.waits = SWITCH_NOW;
	f->replay.accepted[0] = '\0';
	f->replay.owed = false;
	f->replay.build_pause_ms = 0;
	store_ahead(f->store, &f->replay.ahead);
	f->proven = true;
	f->error = (struct err){ 0 };
	log_note(EV("resync_done"), KV("revision", f->pos.revision),
		 KV("count", f->pos.digest.count), KV("generation", store_generation(f->store)));
	follower_mode(f, MODE_FOLLOWING);
	follower_tell_zone(f);
	follower_changed(f, reset);
	look_now(f);
}

/* --- for follower.c --- */

void replay_open(struct follower *f)
{
	store_position(f->store, &f->pos);
	store_ahead(f->store, &f->replay.ahead);
}

void replay_owe(struct follower *f, const char *why)
{
	f->replay.owed = true;
	f->replay.failed_ms = 0;
	str_copy(f->replay.why, sizeof(f->replay.why), why);
	look_now(f);
}

bool replay_paid(struct follower *f)
{
	bool owed = f->replay.owed;

	f->replay.owed = false;
	return owed;
}

void replay_at_once(struct follower *f)
{
	f->replay.build_after_ms = 0;
}

void replay_went_well(struct follower *f)
{
	f->replay.failures = 0;
}

static bool asks_a_person(const struct follower *f)
{
	return f->building && follow_asks_a_person(f->replay.waits);
}

void replay_accept(struct follower *f)
{
	if (asks_a_person(f))
		str_copy(f->replay.accepted, sizeof(f->replay.accepted), f->next.lineage);
	look_now(f);
}

/* Why what was built does not serve yet. */
void replay_report(const struct follower *f, Ipc__CacheReport *out)
{
	const struct replay *r = &f->replay;
	static char waits[320];
	bool halved = r->waits == SWITCH_HALVED;

	str_copy(waits, sizeof(waits), r->waits == SWITCH_NOW ? "" : switch_text(r->waits));
	if (r->waits != SWITCH_NOW && r->doubtful != NOT_COMPARED)
		(void)snprintf(waits + strlen(waits), sizeof(waits) - strlen(waits),
			       " (%zu names are in doubt%s%s)", r->doubtful,
			       halved ? ", it lacks " : "", halved ? r->lacking : "");
	out->waits = waits;
	out->asks = asks_a_person(f);
	out->lacks = halved ? r->lacks : 0;
}
