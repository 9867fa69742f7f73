/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/source_db.h"

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/mem.h"
#include "workers/fetcher/map/places.h"
#include "workers/fetcher/map/plain.h"
#include "workers/fetcher/source/rows.h"
#include "workers/fetcher/source/watch.h"

#define CURSOR_PLACES  "places"
#define CURSOR_MEMBERS "members"

/* While a page is looked at the database rests, and the thread while it is read. A comparison
   rests besides by what one takes longer than the other, so that it has at most half of the
   thread and of what a connection gets out of the database; but no longer than this. */
#define PAGE_REST_MAX_MS 500
#define NAP_MS		 20 /* how late a stop may be noticed meanwhile */
/* Comparisons because of what is told: between two of them, and for how many times as long
   as the last one took. */
#define COMPARE_REST_MS	   10000
#define COMPARE_REST_TIMES 10

/* What a look at everything reads, in this order: a subscription that is accepted meanwhile
   is met by both, not by neither. */
static const struct scan_step {
	enum db_table table;
	enum db_status status;
} everything[] = {
	{ DB_EVENTS, DB_ANY_STATUS },	   { DB_SUBSCRIPTIONS, DB_NOT_ACCEPTED },
	{ DB_SUBSCRIPTIONS, DB_ACCEPTED }, { DB_KEYS, DB_ANY_STATUS },
	{ DB_LICENSES, DB_ANY_STATUS },	   { DB_ACCESS_POINTS, DB_ANY_STATUS },
};
static const enum db_table scanned[] = { DB_EVENTS, DB_SUBSCRIPTIONS, DB_KEYS, DB_LICENSES,
					 DB_ACCESS_POINTS };

struct cursor { /* of a table: nothing newer was seen */
	int64_t ms;
	char *id;	  /* owned; NULL: none yet, read from the beginning */
	int64_t moved_ms; /* boot time */
};

struct source_db {
	struct source base;
	struct rows rows;
	struct cursor cursors[DB__COUNT];
	struct places *places; /* of the mapping */
	enum pass_kind what;   /* the pass under way */
	bool done;	       /* the pass before came to its end */
	bool placed;	       /* environments were read */
	char *seen_places;     /* owned: the zone's digest of them; NULL: none */
	char *installation;    /* owned: the zone's; NULL: none */
	char *origin;	       /* owned: the one before it, of which some is left; NULL: none is */
	char *seen_installation;      /* owned: the database's; NULL: none */
	char *seen_members;	      /* owned: the zone's digest of the APIs in products */
	bool listed;		      /* products were read */
	bool judged;		      /* by what we know of products, but for what is owed */
	int64_t now_ms;		      /* of the database, at the start of the pass */
	struct watch *watch;	      /* owned; NULL: none */
	const char *no_watch;	      /* why; not owned */
	struct watch_changes changes; /* told, and not yet looked at */
	bool lost;		      /* told, and only a comparison finds it */
	int64_t compare_after_ms;     /* boot time: not before, because of that */
	int64_t delta_ms;	      /* boot time: end of the last look at deltas */
	int64_t paged_ms;	      /* boot time: a comparison went on to a page */
	int64_t delay_ms;	      /* between deltas, also during a comparison */
};

static struct source_db *self_of(struct source *s)
{
	return (struct source_db *)s;
}

/* --- cursors --- */

static void put_cursor(struct source_db *s, const char *field, const char *value)
{
	feed_say(s->rows.feed, FEED_CURSOR, field, value);
}

static bool is_behind(const struct cursor *c, const struct rows_edge *g)
{
	return c->id == NULL || g->seen_ms > c->ms ||
	       (g->seen_ms == c->ms && strcmp(g->seen_id, c->id) > 0);
}

/* Rows up to the edge were put. It never passes the database's own clock at the start. */
static void move_cursor(struct source_db *s, enum db_table t, const struct rows_edge *g)
{
	struct cursor *c = &s->cursors[t];
	char *text;

	if (g->seen_id == NULL || !is_behind(c, g))
		return;
	mem_free(c->id);
	c->id = mem_strdup(g->seen_id);
	c->ms = g->seen_ms;
	c->moved_ms = clock_boot_ms();
	text = mem_printf("%" PRId64 ":%s", c->ms, c->id);
	put_cursor(s, db_table_name(t), text);
	mem_free(text);
}

/* "<ms>:<id>"; anything else is as if there were none. */
static void read_cursor(struct cursor *c, const char *text)
{
	const char *colon = text == NULL ? NULL : strchr(text, ':');

	if (colon == NULL || !str_to_i64(text, (size_t)(colon - text), &c->ms) || c->ms <= 0)
		return;
	c->id = mem_strdup(colon + 1);
	c->moved_ms = clock_boot_ms(); /* as far as we know */
}

static void drop_cursors(struct source_db *s)
{
	unsigned i;

	for (i = 0; i < DB__COUNT; i++) {
		mem_free(s->cursors[i].id);
		s->cursors[i] = (struct cursor){ 0 };
	}
}

/* One of the zone may be of a clock that went ahead: nothing would be seen until then. */
static void clamp_cursors(struct source_db *s)
{
	unsigned i;

	for (i = 0; i < DB__COUNT; i++)
		s->cursors[i].ms = MIN(s->cursors[i].ms, s->now_ms);
}

/* What was read may be of a moment long past: the next delta is to overlap with it. */
static void touch_cursors(struct source_db *s)
{
	unsigned i;

	for (i = 0; i < DB__COUNT; i++)
		s->cursors[i].moved_ms = clock_boot_ms();
}

/* --- scans --- */

static void base_query(const struct source_db *s, enum db_table t, struct db_query *q)
{
	rows_query(&s->rows, t, q);
	q->limit = DB_PAGE_ROWS;
}

static int scan_delta(struct source_db *s, enum db_table t, struct err *e)
{
	struct cursor *c = &s->cursors[t];
	int64_t overlap = s->rows.db->overlap_ms;
	char *done = mem_strdup(c->id); /* the cursor moves while we read */
	struct rows_edge g = {
		.kind = PASS_DELTA, .until_ms = s->now_ms, .done_ms = c->ms, .done_id = done
	};
	struct db_query q;
	int rc;

	base_query(s, t, &q);
	q.order = DB_BY_TIME;
	q.brief = db_table_form(t)->brief;
	q.since_ms = 0;
	if (c->id != NULL && clock_boot_ms() - c->moved_ms < 2 * overlap) {
		q.since_ms = MAX(c->ms - overlap, 0);
	} else if (c->id != NULL) {
		q.since_ms = c->ms;
		q.after_id = done;
	}
	do {
		rc = rows_take(&s->rows, &q, &g, e);
		if (rc >= 0)
			move_cursor(s, t, &g);
	} while (rc > 0);
	rows_edge_reset(&g);
	mem_free(done);
	return rc;
}

static int odd_row(void *arg, const struct db_row *row, struct err *e)
{
	struct rows *r = ((void **)arg)[0];
	const enum db_table *t = ((void **)arg)[1];

	UNUSED(e);
	rows_quarantine(r, *t, row->id, NULL, row->bad);
	return 0;
}

/* Rows that no scan comes across. */
static int scan_odd(struct source_db *s, enum db_table t, struct err *e)
{
	void *arg[2] = { &s->rows, &t };
	struct db_query q;

	base_query(s, t, &q);
	q.order = DB_BY_ID;
	q.odd = true;
	q.brief = db_table_form(t)->brief;
	return MIN(rows_each(&s->rows, &q, odd_row, arg, e), 0);
}

/* --- what decides contents besides the rows --- */

static int first_row(void *arg, const struct db_row *row, struct err *e)
{
	char **id = arg;

	UNUSED(e);
	if (*id == NULL)
		*id = mem_strdup(row->id);
	return 0;
}

/* Until nothing of another one is left, the zone remembers that: "<id>\n<the one before>". */
static void put_installation(struct source_db *s)
{
	char *text = s->origin == NULL ? mem_strdup(s->installation)
				       : mem_printf("%s\n%s", s->installation, s->origin);

	put_cursor(s, SOURCE_INSTALLATION, text);
	mem_free(text);
}

static void read_installation(struct source_db *s, const char *text)
{
	const char *end = text == NULL ? NULL : strchr(text, '\n');

	s->installation = end == NULL ? mem_strdup(text) : mem_dup(text, (size_t)(end - text));
	s->origin = end == NULL ? NULL : mem_strdup(end + 1);
}

static void take_installation(struct source_db *s, const char *id)
{
	bool other = s->installation != NULL && s->installation[0] != '\0' &&
		     !str_equal(id, s->installation);

	if (other && s->origin == NULL)
		s->origin = mem_strdup(s->installation);
	mem_free(s->installation);
	s->installation = mem_strdup(id);
	put_installation(s);
}

static char *made_from(const char *before, const char *now)
{
	return mem_printf("the zone was made from installation %s, this is %s", before, now);
}

/* Another installation is another database, whatever its rows are called. */
static int check_installation(struct source_db *s, struct err *e)
{
	struct db_query q = { .table = DB_INSTALLATION, .order = DB_BY_ID, .limit = 1 };
	char *id = NULL;
	char *text;
	int rc = MIN(s->rows.db->ops->rows(s->rows.db, &q, first_row, &id, e), 0);

	s->placed = false; /* a delta of another database is no better than a look at all of it */
	if (rc == 0 && s->what == PASS_ALL) {
		take_installation(s, id == NULL ? "" : id);
	} else if (rc == 0 && s->installation != NULL && id == NULL && s->installation[0] != '\0') {
		rc = err_set(e, ERR_STATE,
			     "the collection installation is empty, and was not: "
			     "taken for another database, or an outage");
	} else if (rc == 0 && s->installation != NULL && id != NULL &&
		   !str_equal(id, s->installation)) {
		text = made_from(s->installation, id);
		feed_say(s->rows.feed, FEED_OTHER, NULL, text);
		mem_free(text);
		rc = err_set(e, ERR_STATE, "another installation: everything is written anew");
	}
	if (rc == 0 && s->origin != NULL) {
		text = made_from(s->origin, s->installation);
		feed_doubt(s->rows.feed, ~(1U << KIND_NODE_METADATA), 1, text);
		mem_free(text);
	}
	mem_free(s->seen_installation);
	s->seen_installation = id;
	return rc;
}

/* A database without an installation has nothing to say. Organizations are said as the
   reference does (storage 3.6): when environments are configured by their ids. */
static void put_metadata(struct source_db *s)
{
	bool by_ids = !s->places->wanted.legacy_hrids;
	struct map_out out = { 0 };

	if (s->seen_installation == NULL)
		return;
	map_node_metadata(s->seen_installation, s->places->organization_ids.v,
			  by_ids ? s->places->organization_ids.n : 0, &out);
	if (by_ids && s->places->unreadable > 0) {
		rows_keep(&s->rows, out.ev.kind, out.ev.id); /* they are not all known */
	} else {
		feed_put_event(s->rows.feed, &out.ev, BY_ROW);
	}
	map_out_reset(&out);
}

static int place_row(void *arg, const struct db_row *row, struct err *e)
{
	struct source_db *s = ((void **)arg)[0];
	const enum db_table *t = ((void **)arg)[1];
	const char *why = row->bad;
	struct err bad = { 0 };

	UNUSED(e);
	if (why == NULL &&
	    places_add(s->places, *t == DB_ENVIRONMENTS ? PLACE_ENVIRONMENT : PLACE_ORGANIZATION,
		       row->json, &bad) < 0)
		why = bad.text;
	if (why != NULL) {
		rows_quarantine(&s->rows, *t, row->id, NULL, why);
		s->places->unreadable++;
	} else {
		rows_fine(&s->rows, *t, row->id);
	}
	return 0;
}

static int read_places(struct source_db *s, struct err *e)
{
	static const enum db_table tables[] = { DB_ENVIRONMENTS, DB_ORGANIZATIONS };
	char *digest;
	unsigned i;
	int rc = 0;

	places_begin(s->places);
	for (i = 0; rc >= 0 && i < ARRAY_LEN(tables); i++) {
		enum db_table t = tables[i];
		struct db_query q = { .table = t, .order = DB_BY_ID };
		void *arg[2] = { s, &t };

		rc = rows_each(&s->rows, &q, place_row, arg, e);
	}
	if (rc >= 0)
		rc = places_resolve(s->places, e);
	if (rc < 0)
		return rc;
	source_doubt_places(s->rows.feed, s->places);
	places_end(s->places);
	/* What is in an environment that cannot be read is neither read nor gone. */
	if (s->places->unreadable > 0 && s->places->ids.n > 0)
		feed_partial(s->rows.feed);
	digest = places_digest(s->places);
	/* And what carries its name keeps that: when it can be read the digest is another. */
	s->rows.remap = s->places->unreadable == 0 &&
			(s->seen_places == NULL || !str_equal(digest, s->seen_places));
	mem_free(s->seen_places);
	s->seen_places = digest;
	s->placed = true;
	put_metadata(s);
	return 0;
}

/* --- what is told between passes --- */

static void take_changes(struct source_db *s)
{
	char *text;

	if (s->watch == NULL) {
		feed_notify(s->rows.feed, s->no_watch);
		return;
	}
	watch_take(s->watch, &s->changes, &text);
	if (text[0] != '\0') /* it is not known yet */
		feed_notify(s->rows.feed, text);
	mem_free(text);
}

static int look_at(struct source_db *s, enum db_table t, struct err *e)
{
	struct map_ids ids = { 0 };
	const char *id;
	size_t at = 0;
	void *v;
	int rc;

	while (table_next(&s->changes.ids[t], &at, &id, &v))
		map_ids_add(&ids, id);
	rc = rows_take_ids(&s->rows, PASS_DELTA, t, &ids, e);
	map_ids_reset(&ids);
	return rc;
}

/* What is behind the cursors, and what was told, wherever its time stamps lie. */
static int read_delta(struct source_db *s, struct err *e)
{
	unsigned i;
	int rc = 0;

	for (i = 0; rc == 0 && i < ARRAY_LEN(scanned); i++)
		rc = scan_delta(s, scanned[i], e);
	for (i = 0; rc == 0 && i < ARRAY_LEN(scanned); i++)
		rc = look_at(s, scanned[i], e);
	if (rc == 0) {
		s->lost = s->lost || s->changes.lost;
		watch_changes_reset(&s->changes);
	}
	s->delta_ms = clock_boot_ms();
	return rc;
}

/* As a pass of its own would: it may be long until the comparison ends. */
static int delta_between(struct source_db *s, struct err *e)
{
	int rc;

	take_changes(s);
	rc = s->rows.db->ops->now(s->rows.db, &s->now_ms, e);
	return rc == 0 ? read_delta(s, e) : rc;
}

/* Rests, and brings meanwhile what changes. */
static int between_pages(struct source_db *s, const struct rows_edge *g, struct err *e)
{
	struct pollfd p = { s->watch == NULL ? -1 : watch_fd(s->watch), POLLIN, 0 };
	int64_t until_ms = clock_boot_ms();
	int64_t now_ms;
	int rc = 0;

	until_ms += MIN(llabs(g->in_ms - s->paged_ms - (until_ms - g->in_ms)), PAGE_REST_MAX_MS);
	do {
		bool told;
		int64_t since_ms;

		now_ms = clock_boot_ms();
		told = poll(&p, 1, (int)MAX(MIN(until_ms - now_ms, NAP_MS), 0)) > 0;
		since_ms = clock_boot_ms() - s->delta_ms;
		if (since_ms >= s->delay_ms || (told && since_ms >= FEED_REST_MS))
			rc = delta_between(s, e);
		else if (told)
			(void)poll(NULL, 0, FEED_REST_MS);
		now_ms = clock_boot_ms();
	} while (rc == 0 && now_ms < until_ms && !feed_stopping(s->rows.feed));
	s->paged_ms = now_ms;
	return rc;
}

static int scan_by_id(struct source_db *s, const struct scan_step *step, struct err *e)
{
	struct rows_edge g = { .kind = s->what, .until_ms = s->now_ms };
	struct db_query q;
	int rested, rc;

	base_query(s, step->table, &q);
	q.order = DB_BY_ID;
	q.status = step->status;
	q.brief = db_table_form(step->table)->brief &&
		  (s->what != PASS_ALL || step->status == DB_NOT_ACCEPTED) &&
		  !(step->table == DB_EVENTS && s->rows.remap);
	do {
		rc = rows_take(&s->rows, &q, &g, e);
		if (rc > 0 && s->what == PASS_COMPARE && (rested = between_pages(s, &g, e)) < 0)
			rc = rested;
	} while (rc > 0);
	/* A comparison may have met rows that a delta has still to bring in their order. */
	if (rc == 0 && s->what == PASS_ALL)
		move_cursor(s, step->table, &g);
	rows_edge_reset(&g);
	return rc;
}

static int scan_everything(struct source_db *s, struct err *e)
{
	unsigned i;
	int rc = 0;

	/* First: what hangs on an odd API stays. */
	for (i = 0; rc == 0 && i < ARRAY_LEN(scanned); i++)
		rc = scan_odd(s, scanned[i], e);
	for (i = 0; rc == 0 && i < ARRAY_LEN(everything); i++)
		rc = scan_by_id(s, &everything[i], e);
	return rc;
}

/* --- passes --- */

/* Before any API is judged. What the zone holds was judged by the products whose digest it
   has: when that is another and nobody here knows what it stands for, all are judged anew. */
static int read_products(struct source_db *s, struct err *e)
{
	struct rows *r = &s->rows;
	char *digest;
	int rc = rows_products(r, e);

	if (rc < 0)
		return rc;
	s->listed = true;
	digest = map_ctx_members_digest(r->ctx);
	if (!s->judged && !r->products.doubt && str_equal(digest, s->seen_members)) {
		s->judged = true;
		map_ids_reset(&r->owed);
	}
	mem_free(digest);
	if (s->judged && s->what != PASS_ALL)
		return 0;
	map_ids_reset(&r->owed); /* that and more is read */
	if (s->what == PASS_COMPARE && !r->products.doubt) {
		r->remap = true;
		r->products.lost = true; /* how they came to change is not known */
	} else if (s->what == PASS_DELTA) {
		r->products.doubt = true; /* the comparison behind it does */
	}
	return 0;
}

/* Behind the rows that it covers. */
static void put_members(struct source_db *s)
{
	bool whole = s->what != PASS_DELTA; /* a refill forgot the cursors */
	char *digest = map_ctx_members_digest(s->rows.ctx);

	if (whole)
		s->judged = !s->rows.products.doubt;
	if (s->judged && !s->rows.products.holds &&
	    (whole || !str_equal(digest, s->seen_members))) {
		put_cursor(s, CURSOR_MEMBERS, digest);
		mem_free(s->seen_members);
		s->seen_members = digest;
		digest = NULL;
	}
	mem_free(digest);
}

static int ask_for_absent(struct source_db *s, struct err *e)
{
	struct feed_unmet unmet = { 0 };
	int rc = feed_unmet(s->rows.feed, &unmet, e);
	bool left;
	size_t i;

	if (rc == 0)
		rc = rows_ask(&s->rows, s->what, &unmet, e);
	left = s->rows.quarantine.len > 0; /* may be any name */
	for (i = 0; i < unmet.n; i++)
		left = left || unmet.v[i].kind != KIND_NODE_METADATA; /* that one goes */
	if (rc == 0 && !left && s->origin != NULL) {
		mem_free(s->origin);
		s->origin = NULL;
		put_installation(s);
	}
	feed_unmet_reset(&unmet);
	return rc;
}

static int read_rows(struct source_db *s, struct err *e)
{
	struct unpublished account = { 0 };
	int64_t begin_ms = clock_boot_ms();
	int rc = rows_rejudge(&s->rows, s->what, e);

	if (rc == 0 && s->what == PASS_DELTA) {
		rc = read_delta(s, e);
	} else if (rc == 0) {
		/* All that is told until now it comes across, unless it fails. */
		watch_changes_reset(&s->changes);
		s->lost = false;
		s->paged_ms = begin_ms;
		s->rows.unpublished = &account;
		rc = scan_everything(s, e);
		s->rows.unpublished = NULL;
		if (rc == 0)
			feed_unpublished(s->rows.feed, &account);
		unpublished_reset(&account);
	}
	if (rc == 0)
		rc = rows_rejudge(&s->rows, s->what, e); /* what children's look-ups brought up */
	if (rc == 0 && s->what != PASS_DELTA)
		rc = ask_for_absent(s, e);
	if (s->what == PASS_DELTA)
		return rc;
	if (rc < 0) {
		s->lost = true;
	} else {
		int64_t now_ms = clock_boot_ms();

		s->compare_after_ms =
			now_ms + MAX((now_ms - begin_ms) * COMPARE_REST_TIMES, COMPARE_REST_MS);
	}
	return rc;
}

static int pass(struct source_db *s, enum pass_kind what, struct err *e)
{
	bool places = what != PASS_DELTA || !s->placed;
	char *had = NULL;
	int rc;

	s->what = what;
	s->rows.remap = false;
	s->rows.unsure = !s->done;
	s->done = false;
	take_changes(s);
	if (what == PASS_ALL)
		drop_cursors(s); /* perhaps they are of another database */
	rc = s->rows.db->ops->now(s->rows.db, &s->now_ms, e);
	if (rc == 0) {
		feed_lag(s->rows.feed, s->rows.db->overlap_ms - DB_OVERLAP_MS);
		clamp_cursors(s);
	}
	if (rc == 0 && places) {
		bool placed = s->placed;

		had = mem_strdup(s->seen_places);
		rc = check_installation(s, e);
		if (rc == 0) {
			s->placed = placed; /* with the places of before, if these cannot be read */
			rc = read_places(s, e);
		}
	}
	if (rc == 0 && what == PASS_DELTA && s->rows.remap) {
		/* A delta does not bring what they change: the comparison behind it does. */
		mem_free(s->seen_places);
		s->seen_places = mem_strdup(had);
	}
	if (rc == 0 && (places || !s->listed))
		rc = read_products(s, e);
	if (rc == 0)
		rc = read_rows(s, e);
	if (rc == 0 && what == PASS_ALL)
		touch_cursors(s);
	if (rc == 0)
		put_members(s);
	if (rc == 0 && what != PASS_DELTA) {
		rows_settle(&s->rows);
		put_cursor(s, CURSOR_PLACES, s->seen_places);
	} else if (rc < 0 && places) {
		mem_free(s->seen_places);
		s->seen_places = mem_strdup(had);
	}
	mem_free(had);
	s->done = rc == 0;
	return rc;
}

static int db_pass(struct source *base, enum pass_kind what, struct feed *f, struct err *e)
{
	struct source_db *s = self_of(base);
	struct db *db = s->rows.db;
	bool held = what == PASS_ALL && db->ops->begin != NULL; /* a look at all of one moment */
	int rc;

	rows_begin(&s->rows, f, what);
	rc = held ? db->ops->begin(db, e) : 0;
	if (rc == 0)
		rc = pass(s, what, e);
	if (held)
		db->ops->end(db);
	feed_lag(f, db->overlap_ms - DB_OVERLAP_MS); /* it may show as late as that */
	return rc < 0 ? rc : (int)MIN(s->rows.read, (uint64_t)INT_MAX);
}

static void db_wait(struct source *base, int wake_fd, int timeout_ms)
{
	struct source_db *s = self_of(base);
	struct pollfd p[2] = { { wake_fd, POLLIN, 0 },
			       { s->watch == NULL ? -1 : watch_fd(s->watch), POLLIN, 0 } };
	int64_t now_ms = clock_boot_ms();
	int64_t end_ms = now_ms + timeout_ms;

	if (s->lost)
		end_ms = MIN(end_ms, s->compare_after_ms);
	if (end_ms > now_ms)
		(void)poll(p, 2, (int)(end_ms - now_ms));
	if (s->lost && clock_boot_ms() >= s->compare_after_ms)
		feed_want(s->rows.feed, PASS_COMPARE);
}

/* --- life --- */

static void db_close(struct source *base)
{
	struct source_db *s = self_of(base);

	watch_close(&s->watch);
	watch_changes_reset(&s->changes);
	s->rows.db->ops->close(s->rows.db);
	rows_reset(&s->rows);
	map_ctx_free(&s->rows.ctx);
	drop_cursors(s);
	mem_free(s->seen_places);
	mem_free(s->installation);
	mem_free(s->origin);
	mem_free(s->seen_installation);
	mem_free(s->seen_members);
	mem_free(s);
}

struct source *source_db_open(struct db *db, const Ipc__FetcherConfig *c,
			      const struct table *cursors)
{
	static const struct source_ops ops = { db_pass, db_wait, db_close };
	struct source_db *s = mem_zalloc(sizeof(*s));
	unsigned i;

	s->base.ops = &ops;
	s->base.resumes = true;
	s->rows.db = db;
	s->delay_ms = c->sync_delay_ms;
	if (!c->notify)
		s->no_watch = "off";
	else if (db->ops->watcher == NULL)
		s->no_watch = "polling: this database tells nothing";
	else
		s->watch = watch_open(db->ops->watcher(db));
	s->rows.ctx = source_context(c);
	for (i = 0; i < ARRAY_LEN(scanned); i++)
		read_cursor(&s->cursors[scanned[i]], table_get(cursors, db_table_name(scanned[i])));
	s->seen_places = mem_strdup(table_get(cursors, CURSOR_PLACES));
	read_installation(s, table_get(cursors, SOURCE_INSTALLATION));
	s->seen_members = mem_strdup(table_get(cursors, CURSOR_MEMBERS));
	s->places = map_places(s->rows.ctx);
	s->rows.environments = &s->places->ids;
	s->rows.organizations = &s->places->organization_ids;
	return &s->base;
}
