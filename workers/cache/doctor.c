/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/message/message.h"
#include "common/zone/java.h"
#include "common/zone/probe.h"
#include "common/zone/search.h"

#define OLD_INDEX    "distributed-event-search-idx"
#define FINDINGS_MAX (DOCTOR_CLUSTERS * 4 + 32) /* a state, and three of each cluster */

struct cluster {
	char *id;
	uint64_t events, live;
	int64_t last_ms;
};

struct doctor {
	struct zone_conn *z;
	doctor_done_fn *done;
	void *arg;
	bool running;
	bool candidate;
	unsigned step;
	struct probe probe;
	int64_t sent_ms; /* wall clock, of TIME */
	int64_t begun_ms;
	char cursor[24];
	unsigned steps;
	uint64_t old;
	struct cluster clusters[DOCTOR_CLUSTERS];
	size_t n_clusters;
	bool more_clusters;
	size_t n_states;
	Ipc__Examined *found; /* owned; NULL: no run is under way */
	size_t cap;
};

/* --- findings --- */

static void add(struct doctor *d, bool bad, const char *topic, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

static void add(struct doctor *d, bool bad, const char *topic, const char *fmt, ...)
{
	char text[600];
	Ipc__Finding *f;
	va_list ap;
	char *p;

	if (d->found->n_findings == FINDINGS_MAX)
		return;
	va_start(ap, fmt);
	str_vprint(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Of a server, and for a terminal. */
	for (p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
	f = message_new(&ipc__finding__descriptor);
	f->bad = bad;
	f->topic = mem_strdup(topic);
	f->text = mem_strdup(text);
	d->found->findings = mem_grow(d->found->findings, &d->cap, d->found->n_findings + 1,
				      sizeof(Ipc__Finding *));
	d->found->findings[d->found->n_findings++] = f;
}

static void forget(struct doctor *d)
{
	message_free(d->found);
	d->found = NULL;
	d->cap = 0;
	while (d->n_clusters > 0)
		mem_free(d->clusters[--d->n_clusters].id);
	d->more_clusters = false;
	d->n_states = 0;
	d->old = 0;
}

static void finish(struct doctor *d)
{
	d->running = false;
	d->done(d->arg, d->found);
	forget(d);
}

static void date_of(int64_t ms, char out[32])
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;

	str_copy(out, 32, "at an unknown time");
	if (ms > 0 && gmtime_r(&s, &tm) != NULL)
		(void)strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* --- the server --- */

static void next(struct doctor *d);

static void on_probed(void *arg, const struct probe *p)
{
	struct doctor *d = arg;

	if (p->refused[0] != '\0')
		add(d, true, "server", "%s", p->refused);
	if (p->barred[0] != '\0')
		add(d, true, "server", "%s", p->barred);
	if (p->warning[0] != '\0')
		add(d, true, "server", "%s", p->warning);
	next(d);
}

static void take_version(struct doctor *d, const struct redis_reply *r)
{
	size_t n = 0;
	const char *s = redis_str(r, &n);
	const char *valkey = s == NULL ? NULL : memmem(s, n, "valkey_version:", 15);
	const char *at = s == NULL ? NULL : memmem(s, n, "redis_version:", 14);

	if (valkey != NULL)
		add(d, false, "server", "Valkey %.*s", (int)strcspn(valkey + 15, "\r\n"),
		    valkey + 15);
	else if (at != NULL)
		add(d, false, "server", "Redis %.*s", (int)strcspn(at + 14, "\r\n"), at + 14);
}

static void take_time(struct doctor *d, const struct redis_reply *r)
{
	int64_t s = 0;
	int64_t off;

	if (!redis_i64(redis_at(r, 0), &s))
		return;
	/* Whole seconds, and the way there and back. */
	off = s * 1000 - (d->sent_ms + clock_wall_ms()) / 2;
	if (off > DOCTOR_CLOCK_MS || off < -DOCTOR_CLOCK_MS)
		add(d, true, "clock",
		    "the clock of Redis is %" PRId64
		    " s %s of this host's: Java gateways lose events when theirs differ by 30 s; "
		    "zonesync does not care",
		    (off < 0 ? -off : off) / 1000, off < 0 ? "behind" : "ahead");
}

/* --- the search module --- */

static void take_modules(struct doctor *d, const struct redis_reply *r)
{
	uint64_t v = 0;
	size_t i;

	if (redis_is_error(r))
		return; /* FT.INFO tells, where this user may not ask */
	for (i = 0; i < redis_count(r); i++) {
		const struct redis_reply *m = redis_at(r, i);

		if ((redis_is(redis_value(m, "name"), "search") ||
		     redis_is(redis_value(m, "name"), "ft")) &&
		    redis_u64(redis_value(m, "ver"), &v)) {
			add(d, false, "index", "search module %" PRIu64 ".%" PRIu64 ".%" PRIu64,
			    v / 10000, v / 100 % 100, v % 100);
			return;
		}
	}
	add(d, false, "index",
	    "no search module: zonesync nodes need none, Java gateways cannot use this Redis");
}

static bool is_unknown(const struct redis_reply *r)
{
	const char *s = redis_str(r, NULL);

	return redis_is_error(r) && s != NULL && strcasestr(s, "unknown command") != NULL;
}

static void take_index(struct doctor *d, const struct redis_reply *r)
{
	char why[160];
	uint64_t n = 0;

	if (is_unknown(r))
		return;
	if (redis_error_is(r, "NOPERM"))
		add(d, true, "index",
		    "this user may not look at it, so no Java gateway could be followed: give it "
		    "+ft.info ~" SEARCH_INDEX " and what else zonesyncd(8) has under REDIS");
	else if (redis_is_error(r))
		add(d, true, "index",
		    SEARCH_INDEX
		    " is missing: Java gateways cannot read; a primary of ours makes it "
		    "(zonesync.redis.search_index), a Java gateway at its start");
	else if (!search_serves(r, why, sizeof(why)))
		add(d, true, "index", SEARCH_INDEX " does not serve: %s", why);
	else if (redis_u64(redis_value(r, "hash_indexing_failures"), &n) && n > 0)
		add(d, true, "index", SEARCH_INDEX " could not take %" PRIu64 " hashes", n);
	else
		add(d, false, "index", SEARCH_INDEX " is there");
}

static void take_old_index(struct doctor *d, const struct redis_reply *r)
{
	if (!redis_is_error(r))
		add(d, false, "old",
		    "the index of releases up to 4.11 is there (" OLD_INDEX
		    "): a gateway of such a release reads the events of every zone by it");
}

/* --- all keys --- */

static struct cluster *cluster_of(struct doctor *d, const struct redis_reply *r)
{
	size_t n = 0;
	const char *s = redis_str(r, &n);
	size_t i;

	if (s == NULL)
		return NULL;
	for (i = 0; i < d->n_clusters; i++)
		if (redis_is(r, d->clusters[i].id))
			return &d->clusters[i];
	d->more_clusters = d->n_clusters == DOCTOR_CLUSTERS;
	if (d->more_clusters)
		return NULL;
	d->clusters[i] = (struct cluster){ .id = mem_dup(s, n) };
	d->n_clusters++;
	return &d->clusters[i];
}

static void take_state(struct doctor *d, const struct redis_reply *r)
{
	size_t n = 0;
	const char *version = redis_str(redis_at(r, 2), &n);
	bool ours = version != NULL && n >= strlen(JAVA_OURS) &&
		    memcmp(version, JAVA_OURS, strlen(JAVA_OURS)) == 0;
	int64_t to = 0;
	char when[32];

	if (!redis_is(redis_at(r, 0), zone_conn_keys(d->z)->zone) &&
	    d->n_states++ >= DOCTOR_CLUSTERS - 1)
		return; /* that of this zone is told in any case */
	(void)redis_i64(redis_at(r, 3), &to);
	date_of(to, when);
	add(d, false, "primary", "%.100s: a %s primary (node %.80s, %.80s) was last in step %s",
	    redis_str(redis_at(r, 0), NULL), ours ? "zonesync" : "Java",
	    redis_str(redis_at(r, 1), NULL), version, when);
}

static void take_survey(struct doctor *d, const struct redis_reply *r)
{
	const struct redis_reply *list = redis_at(r, 2);
	uint64_t n = 0;
	size_t i;

	if (redis_u64(redis_at(r, 1), &n))
		d->old += n;
	for (i = 0; i < redis_count(list); i++) {
		const struct redis_reply *one = redis_at(list, i);
		struct cluster *c = cluster_of(d, redis_at(one, 0));
		int64_t last = 0;

		if (c == NULL)
			continue;
		if (redis_u64(redis_at(one, 1), &n))
			c->events += n;
		if (redis_u64(redis_at(one, 2), &n))
			c->live += n;
		if (redis_i64(redis_at(one, 3), &last))
			c->last_ms = MAX(c->last_ms, last);
	}
	for (i = 0; i < redis_count(redis_at(r, 3)); i++)
		take_state(d, redis_at(redis_at(r, 3), i));
}

/* "orders-hz57" is made by a rule out of the name in Hazelcast's file (storage 1.1). */
static const char *hazelcast_rule(const char *id)
{
	const char *at = strstr(id, "-hz");

	if (at == NULL || at[3] < '0' || at[3] > '9' ||
	    strspn(at + 3, "0123456789") != strlen(at + 3))
		return "";
	return " (a Hazelcast cluster name with the version behind it: an upgrade of Hazelcast makes "
	       "another id)";
}

static void conclude_zone(struct doctor *d)
{
	const char *zone = zone_conn_keys(d->z)->zone;
	bool found = false;
	char when[32];
	size_t i;

	for (i = 0; i < d->n_clusters; i++) {
		const struct cluster *c = &d->clusters[i];
		bool own = str_equal(c->id, zone);

		if (c->events == 0)
			continue;
		found = found || own;
		date_of(c->last_ms, when);
		add(d, false, "zone",
		    "%.200s%s: %" PRIu64 " events, %" PRIu64 " of them deployed, last written %s%s",
		    c->id, own ? " (this node's)" : "", c->events, c->live, when,
		    hazelcast_rule(c->id));
		if (!own && strcasecmp(c->id, zone) == 0)
			add(d, true, "zone",
			    "%.200s differs from this zone's id in letter case only: the search index "
			    "takes them for one, and Java gateways read both",
			    c->id);
		if (strchr(c->id, ',') != NULL)
			add(d, true, "zone", "%.200s has a comma, which the search index splits",
			    c->id);
	}
	if (!found && d->n_clusters > 1)
		add(d, true, "zone",
		    "nothing here is of zone %s, but of others: write the id of yours, as above, to "
		    "zonesync.zone.id. A Java gateway's is its effective Hazelcast cluster name: the "
		    "<cluster-name>, with -cluster-manager behind it when it does not contain "
		    "\"cluster\", and -hz with Hazelcast's version; `standalone` without Hazelcast",
		    zone);
	if (d->more_clusters)
		add(d, false, "zone", "and more than %d others", DOCTOR_CLUSTERS);
	if (d->old > 0)
		add(d, false, "old",
		    "%" PRIu64
		    " keys without a cluster id, of gateway releases up to 4.11: zonesync does "
		    "not read them and never touches them",
		    d->old);
}

/* --- step by step --- */

static void ask_survey(struct doctor *d);

static void on_survey(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct doctor *d = arg;
	struct err e = { 0 };
	size_t n = 0;
	const char *cursor;

	if (lost != NULL || zone_check(d->z, r, NULL, &e) < 0) {
		add(d, true, "server", "the keys could not be walked: %s",
		    lost != NULL ? lost->text : e.text);
		finish(d);
		return;
	}
	take_survey(d, r);
	cursor = redis_str(redis_at(r, 0), &n);
	if (cursor != NULL && n > 0 && n < sizeof(d->cursor) && !redis_is(redis_at(r, 0), "0")) {
		str_copy(d->cursor, sizeof(d->cursor), cursor);
		if (++d->steps < DOCTOR_STEPS && clock_boot_ms() - d->begun_ms < DOCTOR_MS) {
			ask_survey(d);
			return;
		}
		add(d, false, "zone",
		    "there are too many keys to see all: the numbers are lower bounds");
	}
	conclude_zone(d);
	finish(d);
}

static void ask_survey(struct doctor *d)
{
	struct redis_cmd c;

	zone_call(d->z, &c, SCRIPT_SURVEY, NULL);
	redis_cmd_str(&c, d->cursor);
	redis_cmd_i64(&c, DOCTOR_KEYS);
	if (zone_send(d->z, &c, on_survey, d) < 0) {
		add(d, true, "server", "Redis cannot be asked now");
		finish(d);
	}
}

static const struct {
	const char *command[3];
	void (*take)(struct doctor *d, const struct redis_reply *r);
} steps[] = {
	{ { "INFO", "server" }, take_version },	      { { "TIME" }, take_time },
	{ { "MODULE", "LIST" }, take_modules },	      { { "FT.INFO", SEARCH_INDEX }, take_index },
	{ { "FT.INFO", OLD_INDEX }, take_old_index },
};

static void on_answer(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct doctor *d = arg;

	if (!d->running || d->step == ARRAY_LEN(steps))
		return; /* of a run that was given up for stuck, and answers after all */
	if (lost != NULL) {
		add(d, true, "server", "Redis is down: %s", lost->text);
		finish(d);
		return;
	}
	steps[d->step++].take(d, r);
	next(d);
}

static void next(struct doctor *d)
{
	if (d->step == ARRAY_LEN(steps)) {
		ask_survey(d);
		return;
	}
	d->sent_ms = clock_wall_ms();
	if (redis_sendv(zone_conn_redis(d->z), on_answer, d, steps[d->step].command[0],
			steps[d->step].command[1], NULL) < 0) {
		add(d, true, "server", "Redis cannot be asked now");
		finish(d);
	}
}

void doctor_begin(struct doctor *d, bool candidate)
{
	/* A connection that is lost under the probe answers nothing. */
	if (d->running && clock_boot_ms() - d->begun_ms < DOCTOR_STUCK_MS)
		return;
	forget(d);
	d->found = message_new(&ipc__examined__descriptor);
	d->running = true;
	d->step = 0;
	d->steps = 0;
	d->begun_ms = clock_boot_ms();
	str_copy(d->cursor, sizeof(d->cursor), "0");
	if (d->z != NULL) /* this zone has its place, however many others there are */
		d->clusters[d->n_clusters++] =
			(struct cluster){ .id = mem_strdup(zone_conn_keys(d->z)->zone) };
	if (d->z == NULL) {
		add(d, false, "zone",
		    "this node is alone and uses no Redis: there is nothing to look at");
		finish(d);
	} else if (!zone_conn_is_up(d->z)) {
		add(d, true, "server", "Redis cannot be reached: `zonesync status` says why");
		finish(d);
	} else {
		CHECK(probe_server(d->z, &d->probe, candidate, on_probed, d) == 0);
	}
}

struct doctor *doctor_create(struct zone_conn *z, doctor_done_fn *done, void *arg)
{
	struct doctor *d = mem_zalloc(sizeof(*d));

	d->z = z;
	d->done = done;
	d->arg = arg;
	return d;
}

void doctor_free(struct doctor **dp)
{
	struct doctor *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	forget(d);
	mem_free(d);
}
