/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/follow/look.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/random.h"

#define TELL_MS 1000 /* between two words to the zone */
#define WAIT_MS 50   /* between two looks at a head that lets nothing be read */

/* --- common --- */

const char *follower_mode_name(enum mode m)
{
	static const char *const names[] = { "starting",  "waiting", "following",
					     "resyncing", "behind",  "following" };

	return names[m];
}

void follower_mode(struct follower *f, enum mode m)
{
	if (f->mode == m)
		return;
	f->mode = m;
	log_note(EV("follow_state"),
		 KV("state", m == MODE_MIRRORING ? "mirroring" : follower_mode_name(m)),
		 KV("revision", f->pos.revision));
	worker_report(f->w);
}

void follower_ignore(void *arg, const struct redis_reply *r, const struct err *lost)
{
	UNUSED(arg);
	UNUSED(r);
	UNUSED(lost);
}

void follower_tell_zone(struct follower *f)
{
	int64_t now = clock_boot_ms();
	char text[200];

	if (now - f->reported_ms < TELL_MS || !zone_conn_is_up(f->z))
		return;
	f->reported_ms = now;
	(void)snprintf(text, sizeof(text), "%s %s:%" PRIu64 " %" PRIu64 " %s %" PRId64,
		       worker_node(f->w), f->pos.lineage, f->pos.revision, f->pos.digest.count,
		       f->proven ? "proven" : "unproven", clock_wall_ms());
	if (redis_sendv(zone_conn_redis(f->z), follower_ignore, NULL, "HSET",
			zone_conn_keys(f->z)->nodes, f->node_id, text, NULL) < 0)
		f->reported_ms = 0;
}

void follower_changed(struct follower *f, bool reset)
{
	f->applied_ms = clock_wall_ms();
	if (f->base.changed != NULL)
		f->base.changed(f->base.changed_arg, reset);
}

void follower_fail(struct follower *f, const struct err *e)
{
	if (!str_equal(f->error.text, e->text))
		log_error(EV("follow_failed"), KV("err", e->text));
	f->error = *e;
	f->errors++;
	worker_report(f->w);
	look_in(f, LOOK_RETRY_MS);
}

struct position *follower_target(struct follower *f)
{
	return f->building ? &f->next : &f->pos;
}

enum store_target follower_into(const struct follower *f)
{
	return f->building ? STORE_NEXT : STORE_CURRENT;
}

/* --- when --- */

static void on_poll(uv_timer_t *t)
{
	look_now(t->data);
}

void look_in(struct follower *f, int64_t ms)
{
	const struct look *l = &f->look;

	if (ms == 0)
		ms = l->poll_min_ms + random_number() % (l->poll_max_ms - l->poll_min_ms + 1);
	CHECK(uv_timer_start(&f->poll, on_poll, (uint64_t)ms, 0) == 0);
}

/* A refill wakes with each page: none of them is missed, and not each is answered. */
void look_later(struct follower *f, int64_t late_ms)
{
	look_in(f, look_settle(f) ? WAIT_MS : late_ms);
}

void look_woken(struct follower *f)
{
	int64_t early = f->look.looked_ms + WAIT_MS - clock_boot_ms();

	if (!f->look.events && !f->look.out && early > 0)
		look_in(f, early);
	else
		look_now(f);
}

void look_owe(struct follower *f)
{
	f->look.owed = true;
}

bool look_settle(struct follower *f)
{
	bool owed = f->look.owed;

	f->look.owed = false;
	return owed;
}

void look_for_events(struct follower *f, bool events)
{
	f->look.events = events;
}

bool look_is_owed(const struct follower *f)
{
	return f->look.owed;
}

void look_open(struct follower *f, const Ipc__CacheConfig *c)
{
	f->look.poll_min_ms = MAX(c->poll_min_ms, 1);
	f->look.poll_max_ms = MAX(c->poll_max_ms, f->look.poll_min_ms);
	CHECK(uv_timer_init(worker_loop(f->w), &f->poll) == 0);
	f->poll.data = f;
}

/* --- questions --- */

/* Whose zone is it? */
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

static void on_page(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct follower *f = arg;
	struct err e = { 0 };

	f->look.out = false;
	if (lost != NULL)
		return; /* the link comes back and looks again */
	if (zone_check(f->z, r, lost, &e) < 0 || follow_parse(r, &f->look.page, &e) < 0) {
		follower_fail(f, &e);
		return;
	}
	f->look.here = true;
	if (!keeper_busy(f->keeper))
		f->turn(f);
}

void look_behind(struct follower *f, const struct position *behind)
{
	struct look *l = &f->look;
	struct follow_ask ask = { .behind = behind };

	CHECK(!l->out);
	look_drop(f);
	l->whole = l->events;
	l->into = follower_into(f);
	l->behind = *behind;
	l->looked_ms = clock_boot_ms();
	ask.served = f->pos.token;
	ask.events = l->whole ? FOLLOW_PAGE_EVENTS : 0;
	/* The answers come in this order. */
	if (java_ask(f->z, on_java, f) == 0 && follow_read(f->z, &ask, on_page, f) == 0)
		l->out = true;
	else
		look_in(f, LOOK_RETRY_MS);
}

void look_now(struct follower *f)
{
	if (f->look.out || keeper_busy(f->keeper) || mirror_busy(f->mirror))
		look_owe(f);
	else if (zone_conn_is_up(f->z))
		look_behind(f, follower_target(f));
}

/* --- answers --- */

bool look_is_answered(const struct follower *f)
{
	return f->look.here;
}

bool look_is_under_way(const struct follower *f)
{
	return f->look.out || f->look.here;
}

void look_drop(struct follower *f)
{
	follow_page_reset(&f->look.page);
	f->look.here = false;
}

void look_lost(struct follower *f)
{
	f->look.out = false;
	look_drop(f);
}

bool look_take(struct follower *f, struct page *out)
{
	struct look *l = &f->look;
	const struct position *p = follower_target(f);
	const struct position *q = &l->behind;

	*out = l->page;
	l->page = (struct page){ 0 };
	l->here = false;
	if (l->into != follower_into(f) || q->revision != p->revision ||
	    !str_equal(q->token, p->token) || !str_equal(q->lineage, p->lineage))
		return false;
	l->reads++;
	l->read_ms = clock_wall_ms();
	return true;
}

bool look_was_whole(const struct follower *f)
{
	return f->look.whole;
}

void look_report(const struct follower *f, Ipc__CacheReport *out)
{
	out->reads = f->look.reads;
	out->read_ms = f->look.read_ms;
}
