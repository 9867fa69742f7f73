/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/publish/zone_sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/zone/java.h"
#include "common/zone/lease.h"
#include "common/zone/stamp.h"

#define TURN_MS	 "20000" /* an attempt takes effect within this, or not at all */
#define AHEAD_MS 5000	 /* so old a look ahead is not used any more */
#define LOSSES	 2	 /* connections that one page may cost */

enum sink_look { LOOK_NONE, LOOK_OUT, LOOK_HERE };

/* What an attempt finds. */
struct sink_found {
	struct err refused; /* code 0: nothing was */
	bool fenced;
	char lineage[KNOWN_LINEAGE_BYTES];
	uint64_t batch, revision;
	uint64_t suspects;
	bool bad_suspects; /* of a wrong type, as the next two */
	bool bad_log, bad_old;
	bool has_log, has_old;
	int64_t now_ms; /* the server's clock */
};

struct zone_sink {
	struct zone_conn *z; /* not owned */
	struct end *base;    /* not owned */
	char *node;
	char token[TOKEN_BYTES];
	int64_t deadline_ms;
	uint64_t number;  /* of the last page that was taken */
	uint64_t attempt; /* of any page, under any token */
	bool over;
	bool waits;    /* it was refused: until zone_sink_up() */
	bool has;      /* a page is on its way */
	bool tried;    /* its commands were sent, once at least; */
	bool writing;  /* are, to this connection; */
	unsigned lost; /* were, to so many that ended before the answer */
	bool more;
	struct zone_page page; /* owned */
	enum sink_look look;
	int64_t looked_ms; /* when it was sent */
	struct sink_found found;
	bool sent;	   /* EXEC, or what is read back, is out */
	struct err queued; /* the first that was refused of those before EXEC */
	size_t *index;	   /* owned: of each command of the page its record, or NO_RECORD */
	size_t n_index, cap_index;
	size_t out, stale; /* answers owed on this connection; the first of an older token */
};

#define NO_RECORD SIZE_MAX

static void pump(struct zone_sink *s);

/* --- life --- */

struct zone_sink *zone_sink_create(struct zone_conn *z, struct end *base, const char *node)
{
	struct zone_sink *s = mem_zalloc(sizeof(*s));

	s->z = z;
	s->base = base;
	s->node = mem_strdup(node);
	s->over = true;
	return s;
}

static void drop_page(struct zone_sink *s)
{
	page_drop(&s->page);
	s->has = false;
	s->tried = false;
	s->writing = false;
	s->lost = 0;
	s->sent = false;
}

void zone_sink_free(struct zone_sink **sp)
{
	struct zone_sink *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	drop_page(s);
	mem_free(s->index);
	mem_free(s->node);
	mem_free(s);
}

static void end(struct zone_sink *s, int code, const char *why)
{
	struct err e = { 0 };

	(void)err_set(&e, code, "%s", why);
	s->over = true;
	drop_page(s);
	s->base->hooks.over(s->base->hooks.arg, &e);
}

/* What the server refuses is told once, with its words, and not sent again by itself. */
static void trouble(struct zone_sink *s, const struct err *why)
{
	struct err e = *why;

	s->waits = true;
	s->sent = false;
	s->base->hooks.trouble(s->base->hooks.arg, &e);
}

/* --- questions and answers --- */

/* An answer came, in the order of the questions. true: it is to one of an earlier token, or the
   connection is lost, and what became of it is looked for with the next. */
static bool is_void(struct zone_sink *s, const struct err *lost)
{
	CHECK(s->out > 0);
	s->out--;
	if (s->stale > 0) {
		s->stale--;
		return true;
	}
	return lost != NULL || s->over;
}

static void ask(struct zone_sink *s, struct redis_cmd *c, redis_reply_fn *fn)
{
	struct redis *r = zone_conn_redis(s->z);

	if (redis_send(r, c, fn, s) == 0)
		s->out++;
	else if (zone_conn_is_up(s->z))
		redis_fail(r, ERR_BUSY, "too much is under way");
}

static void begin_cmd(struct redis_cmd *c, const char *name, const char *key)
{
	*c = (struct redis_cmd){ 0 };
	redis_cmd_str(c, name);
	if (key != NULL)
		redis_cmd_str(c, key);
}

static void add_u64(struct redis_cmd *c, uint64_t v)
{
	redis_cmd_i64(c, (int64_t)v);
}

/* --- the look --- */

static bool note(struct zone_sink *s, const struct redis_reply *r)
{
	struct err e = { 0 };

	if (zone_check(s->z, r, NULL, &e) == 0)
		return true;
	/* The lease, meta or epochs: the next acquire makes them anew. */
	if (redis_error_is(r, "WRONGTYPE"))
		s->found.fenced = true;
	else if (s->found.refused.code == 0)
		s->found.refused = e;
	return false;
}

static void on_turn(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct zone_sink *s = arg;

	if (!is_void(s, lost))
		(void)note(s, r);
}

static void on_lease(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct zone_sink *s = arg;

	if (!is_void(s, lost) && note(s, r))
		s->found.fenced = s->found.fenced || !redis_is(r, s->token);
}

static void on_meta(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct zone_sink *s = arg;

	if (is_void(s, lost) || !note(s, r))
		return;
	s->found.fenced = s->found.fenced || !redis_is(redis_at(r, 0), s->token);
	(void)redis_copy(redis_at(r, 1), s->found.lineage, sizeof(s->found.lineage));
	(void)redis_u64(redis_at(r, 2), &s->found.batch);
	(void)redis_u64(redis_at(r, 3), &s->found.revision);
}

/* Of a key that is a sorted set, or is not there. */
static void note_type(struct zone_sink *s, const struct redis_reply *r, bool *has, bool *bad)
{
	if (!note(s, r))
		return;
	*has = redis_is(r, "zset");
	*bad = !*has && !redis_is(r, "none");
}

static void on_log_type(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct zone_sink *s = arg;

	if (!is_void(s, lost))
		note_type(s, r, &s->found.has_log, &s->found.bad_log);
}

static void on_old_type(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct zone_sink *s = arg;

	if (!is_void(s, lost))
		note_type(s, r, &s->found.has_old, &s->found.bad_old);
}

static void on_suspects(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct zone_sink *s = arg;

	if (is_void(s, lost))
		return;
	s->found.bad_suspects = redis_error_is(r, "WRONGTYPE");
	if (!s->found.bad_suspects && note(s, r))
		(void)redis_u64(r, &s->found.suspects);
}

/* The last of a look. */
static void on_time(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct zone_sink *s = arg;
	int64_t seconds = 0;
	int64_t us = 0;

	if (is_void(s, lost))
		return;
	if (note(s, r) && redis_i64(redis_at(r, 0), &seconds) && redis_i64(redis_at(r, 1), &us))
		s->found.now_ms = seconds * 1000 + us / 1000;
	if (!zone_conn_is_up(s->z))
		return; /* what it said ended the connection */
	s->look = LOOK_HERE;
	pump(s);
}

static void ask_turn(struct zone_sink *s)
{
	const struct zone_keys *k = zone_conn_keys(s->z);
	char *turn = mem_printf("%s:%" PRIu64, s->token, ++s->attempt);
	struct redis_cmd c;

	begin_cmd(&c, "SET", k->turn);
	redis_cmd_str(&c, turn);
	redis_cmd_str(&c, "PX");
	redis_cmd_str(&c, TURN_MS);
	ask(s, &c, on_turn);
	mem_free(turn);
	begin_cmd(&c, "WATCH", k->turn);
	redis_cmd_str(&c, k->meta);
	ask(s, &c, on_turn);
}

static void look(struct zone_sink *s)
{
	static const char *const fields[] = { "token", "lineage", "batch", "rev" };
	const struct zone_keys *k = zone_conn_keys(s->z);
	struct redis_cmd c;
	size_t i;

	s->look = LOOK_OUT;
	s->looked_ms = clock_boot_ms();
	s->found = (struct sink_found){ .batch = 0 };
	ask_turn(s);
	/* The lease is read, not watched: each renewal would call the page off. */
	begin_cmd(&c, "HGET", k->lease);
	redis_cmd_str(&c, "token");
	ask(s, &c, on_lease);
	begin_cmd(&c, "HMGET", k->meta);
	for (i = 0; i < ARRAY_LEN(fields); i++)
		redis_cmd_str(&c, fields[i]);
	ask(s, &c, on_meta);
	begin_cmd(&c, "LLEN", k->epochs);
	ask(s, &c, on_turn);
	begin_cmd(&c, "TYPE", k->log);
	ask(s, &c, on_log_type);
	begin_cmd(&c, "TYPE", k->old_log);
	ask(s, &c, on_old_type);
	begin_cmd(&c, "SCARD", k->suspect);
	ask(s, &c, on_suspects);
	begin_cmd(&c, "TIME", NULL);
	ask(s, &c, on_time);
}

/* --- the page --- */

static void on_queued(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct zone_sink *s = arg;
	struct err e = { 0 };

	if (is_void(s, lost) || zone_check(s->z, r, lost, &e) == 0)
		return;
	if (s->queued.code == 0)
		s->queued = e;
}

/* A command of the page; what it answers inside EXEC is of that record. */
static void put(struct zone_sink *s, struct redis_cmd *c, size_t record)
{
	s->index = mem_grow(s->index, &s->cap_index, s->n_index + 1, sizeof(*s->index));
	s->index[s->n_index++] = record;
	ask(s, c, on_queued);
}

static void add_stamp(struct redis_cmd *c, const struct page_record *r)
{
	struct stamp st = { r->hash, r->revision, r->what == RECORD_KEEP, r->ev.version,
			    strlen(r->ev.version) };
	struct buf b = { 0 };

	redis_cmd_str(c, STAMP_FIELD);
	stamp_write(&b, &st);
	redis_cmd_arg(c, b.data, b.len);
	buf_reset(&b);
}

/* A tombstone has every field but the payload: a reader finds it whole, whatever was lost. */
static void add_fields(const struct zone_sink *s, struct redis_cmd *c, const struct page_record *r)
{
	redis_cmd_str(c, "clusterId");
	redis_cmd_str(c, zone_conn_keys(s->z)->zone);
	redis_cmd_str(c, "id");
	redis_cmd_str(c, r->ev.id);
	if (r->ev.action == ACTION_DEPLOY) {
		redis_cmd_str(c, "payload");
		redis_cmd_arg(c, r->ev.payload.data, r->ev.payload.len);
	}
	redis_cmd_str(c, "type");
	redis_cmd_str(c, kind_name(r->ev.kind));
	redis_cmd_str(c, "syncAction");
	redis_cmd_str(c, action_name(r->ev.action));
	/* A reader of the reference looks at a window of this: that of when it can be seen. */
	redis_cmd_str(c, "updatedAt");
	redis_cmd_i64(c, s->found.now_ms);
}

static void put_record(struct zone_sink *s, size_t i)
{
	const struct page_record *r = &s->page.records[i];
	char *key = mem_printf("%s%s", zone_conn_keys(s->z)->event_prefix, r->name);
	struct redis_cmd c;

	if (r->what == RECORD_FORGET || r->damaged) {
		begin_cmd(&c, "DEL", key);
		put(s, &c, NO_RECORD);
	}
	if (r->what != RECORD_FORGET) {
		begin_cmd(&c, "HSET", key);
		if (r->what == RECORD_WRITE)
			add_fields(s, &c, r);
		add_stamp(&c, r);
		put(s, &c, i);
	}
	mem_free(key);
}

static void put_log(struct zone_sink *s)
{
	const struct zone_keys *k = zone_conn_keys(s->z);
	struct redis_cmd add, gone;
	size_t n_add = 0;
	size_t n_gone = 0;
	size_t i;

	begin_cmd(&add, "ZADD", k->log);
	begin_cmd(&gone, "ZREM", k->log);
	for (i = 0; i < s->page.n; i++) {
		const struct page_record *r = &s->page.records[i];

		if (r->what == RECORD_FORGET) {
			redis_cmd_str(&gone, r->name);
			n_gone++;
		} else if (r->what != RECORD_VERSION) {
			add_u64(&add, r->revision);
			redis_cmd_str(&add, r->name);
			n_add++;
		}
	}
	if (n_add > 0)
		put(s, &add, NO_RECORD);
	if (n_gone > 0)
		put(s, &gone, NO_RECORD);
	buf_reset(&add.words);
	buf_reset(&gone.words);
}

static void put_del(struct zone_sink *s, const char *key)
{
	struct redis_cmd c;

	begin_cmd(&c, "DEL", key);
	put(s, &c, NO_RECORD);
}

/* What is written whole is no suspect any more. */
static void put_mended(struct zone_sink *s)
{
	const struct zone_keys *k = zone_conn_keys(s->z);
	struct redis_cmd c;
	size_t n = 0;
	size_t i;

	if (s->found.bad_suspects || s->page.complete != NULL) {
		put_del(s, k->suspect); /* what is all new holds no damage */
		return;
	}
	if (s->found.suspects == 0)
		return;
	begin_cmd(&c, "SREM", k->suspect);
	for (i = 0; i < s->page.n; i++) {
		if (s->page.records[i].what == RECORD_WRITE) {
			redis_cmd_str(&c, s->page.records[i].name);
			n++;
		}
	}
	if (s->page.corrects) {
		redis_cmd_str(&c, "*");
		n++;
	}
	if (n > 0)
		put(s, &c, NO_RECORD);
	buf_reset(&c.words);
}

/* The digest is built anew from an empty log; what the old one named is kept aside until the
   end, so that a crash in the middle forgets nobody. */
static void put_refill(struct zone_sink *s)
{
	const struct zone_keys *k = zone_conn_keys(s->z);
	const struct sink_found *f = &s->found;
	struct redis_cmd c;

	if (f->bad_old)
		put_del(s, k->old_log);
	if (f->has_log && f->has_old) {
		begin_cmd(&c, "ZUNIONSTORE", k->old_log);
		redis_cmd_str(&c, "2");
		redis_cmd_str(&c, k->old_log);
		redis_cmd_str(&c, k->log);
		/* The greater score: a sum could meet another member's. */
		redis_cmd_str(&c, "AGGREGATE");
		redis_cmd_str(&c, "MAX");
		put(s, &c, NO_RECORD);
	} else if (f->has_log) {
		begin_cmd(&c, "RENAME", k->log);
		redis_cmd_str(&c, k->old_log);
		put(s, &c, NO_RECORD);
	}
	if (f->bad_log || (f->has_log && f->has_old))
		put_del(s, k->log);
	put_del(s, k->cursor);
}

static void put_cursors(struct zone_sink *s)
{
	struct redis_cmd c;
	size_t n = 0;
	size_t i;

	begin_cmd(&c, "HSET", zone_conn_keys(s->z)->cursor);
	for (i = 0; i < s->page.n_fields; i++) {
		const struct page_field *f = &s->page.fields[i];

		if (f->where != PAGE_CURSOR)
			continue;
		redis_cmd_str(&c, f->field);
		redis_cmd_str(&c, f->value);
		n++;
	}
	if (n > 0)
		put(s, &c, NO_RECORD);
	buf_reset(&c.words);
}

static void add_pair(struct redis_cmd *c, const char *field, const char *value)
{
	redis_cmd_str(c, field);
	redis_cmd_str(c, value);
}

/* What Java gateways read (storage 1.7): from -1, so that one which takes over reads all. */
static void put_sync_state(struct zone_sink *s)
{
	const struct zone_keys *k = zone_conn_keys(s->z);
	struct redis_cmd c;

	begin_cmd(&c, "HSET", k->state);
	add_pair(&c, "clusterId", k->zone);
	add_pair(&c, "nodeId", s->node);
	add_pair(&c, "nodeVersion", JAVA_OURS);
	add_pair(&c, "from", "-1");
	redis_cmd_str(&c, "to");
	redis_cmd_i64(&c, s->found.now_ms);
	put(s, &c, NO_RECORD);
}

static void add_sums(struct redis_cmd *c, const struct zone_page *p)
{
	static const char *const lanes[] = { "d0", "d1", "d2", "d3" };
	size_t i;

	redis_cmd_str(c, "count");
	add_u64(c, p->sums.count);
	for (i = 0; i < ARRAY_LEN(lanes); i++) {
		redis_cmd_str(c, lanes[i]);
		add_u64(c, p->sums.lane[i]);
	}
}

static void put_meta(struct zone_sink *s)
{
	const struct zone_page *p = &s->page;
	struct redis_cmd c;
	size_t i;

	begin_cmd(&c, "HSET", zone_conn_keys(s->z)->meta);
	redis_cmd_str(&c, "batch");
	add_u64(&c, p->number);
	redis_cmd_str(&c, "rev");
	add_u64(&c, p->revision);
	redis_cmd_str(&c, "horizon");
	add_u64(&c, p->horizon);
	add_sums(&c, p);
	if (p->begins) {
		add_pair(&c, "lineage", p->lineage);
		add_pair(&c, "complete", "0");
		add_pair(&c, "caught", "");
		add_pair(&c, "version", ZONE_FORMAT);
	}
	for (i = 0; i < p->n_fields; i++)
		if (p->fields[i].where == PAGE_META)
			add_pair(&c, p->fields[i].field, p->fields[i].value);
	if (p->complete != NULL)
		add_pair(&c, "complete", p->complete);
	put(s, &c, NO_RECORD);
}

static void on_ignored(void *arg, const struct redis_reply *r, const struct err *lost)
{
	UNUSED(r);
	(void)is_void(arg, lost);
}

static void on_exec(void *arg, const struct redis_reply *r, const struct err *lost);

static void send_page(struct zone_sink *s)
{
	const struct zone_keys *k = zone_conn_keys(s->z);
	struct redis_cmd c;
	size_t i;

	s->look = LOOK_NONE;
	s->sent = true;
	s->tried = true;
	s->writing = true;
	s->queued = (struct err){ 0 };
	s->n_index = 0;
	begin_cmd(&c, "MULTI", NULL);
	ask(s, &c, on_queued);
	if (s->page.begins)
		put_refill(s);
	for (i = 0; i < s->page.n; i++)
		put_record(s, i);
	put_log(s);
	put_mended(s);
	if (s->page.complete != NULL)
		put_del(s, k->old_log);
	put_cursors(s);
	if (s->page.sync_state)
		put_sync_state(s);
	put_meta(s);
	begin_cmd(&c, "EXEC", NULL);
	ask(s, &c, on_exec);
	/* Outside: a user without the channel must not lose the page. */
	begin_cmd(&c, "PUBLISH", k->wake);
	add_u64(&c, s->page.revision);
	ask(s, &c, on_ignored);
	if (s->more && zone_conn_is_up(s->z))
		look(s); /* of the next page: it rides behind this one */
}

/* --- what became of it --- */

static void taken(struct zone_sink *s, bool broken)
{
	struct zone_page p = s->page;

	s->number = p.number;
	s->page = (struct zone_page){ 0 };
	drop_page(s);
	s->base->hooks.written(s->base->hooks.arg, &p, broken);
	page_drop(&p);
}

/* One that ran into a key of a wrong type failed alone. true: of anything but a record's. */
static bool find_failed(struct zone_sink *s, const struct redis_reply *r)
{
	bool broken = false;
	size_t i;

	for (i = 0; i < s->page.n; i++)
		s->page.records[i].damaged = false;
	for (i = 0; i < redis_count(r) && i < s->n_index; i++) {
		const struct redis_reply *one = redis_at(r, i);
		struct page_record *of = s->index[i] == NO_RECORD ? NULL
								  : &s->page.records[s->index[i]];
		int64_t added = 0;

		if (of == NULL)
			broken = broken || redis_is_error(one);
		else if (redis_is_error(one))
			of->damaged = true;
		/* A field that was not there: no more of it may be. */
		else if (of->what != RECORD_WRITE && redis_i64(one, &added))
			of->damaged = added > 0 && !of->bare;
	}
	return broken;
}

static void on_exec(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct zone_sink *s = arg;
	struct err e = { 0 };
	bool broken;

	if (is_void(s, lost))
		return;
	s->sent = false;
	s->writing = false;
	if (zone_check(s->z, r, lost, &e) < 0) {
		if (zone_conn_is_up(s->z))
			trouble(s, s->queued.code != 0 ? &s->queued : &e);
		return;
	}
	if (redis_count(r) == 0) { /* called off: by whom the next look says */
		pump(s);
		return;
	}
	broken = find_failed(s, r);
	taken(s, broken);
}

/* An error inside EXEC whose answer was lost would stay for ever: each record is read back. */
static void on_read_back(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct zone_sink *s = arg;
	struct err e = { 0 };
	size_t i;
	size_t k = 0;

	if (is_void(s, lost))
		return;
	s->sent = false;
	if (zone_check(s->z, r, lost, &e) < 0) {
		if (zone_conn_is_up(s->z))
			trouble(s, &e);
		return;
	}
	for (i = 0; i < s->page.n; i++) {
		struct page_record *of = &s->page.records[i];
		const struct redis_reply *one = redis_at(r, k);
		struct stamp st;
		size_t n = 0;
		const char *p = redis_str(redis_at(one, 2), &n);
		uint64_t revision = 0;
		bool logged;

		if (of->what == RECORD_FORGET || of->what == RECORD_VERSION)
			continue;
		/* One that was written again in this page stands further on. */
		logged = redis_is(redis_at(one, 0), of->name) &&
			 redis_u64(redis_at(one, 1), &revision) && revision == of->revision;
		k += logged;
		of->damaged = !logged || !stamp_read(&st, p, n) || st.revision != of->revision ||
			      !hash_equal(&st.hash, &of->hash);
	}
	taken(s, false);
}

static void read_back(struct zone_sink *s)
{
	const struct zone_keys *k = zone_conn_keys(s->z);
	struct redis_cmd c;

	s->sent = true;
	zone_call(s->z, &c, SCRIPT_MANIFEST, k->log, NULL);
	add_u64(&c, s->page.base);
	add_u64(&c, s->page.n + 1);
	redis_cmd_str(&c, k->event_prefix);
	ask(s, &c, on_read_back);
}

/* --- what next --- */

static void judge(struct zone_sink *s)
{
	const struct sink_found *f = &s->found;
	const struct zone_page *p = &s->page;

	if (f->refused.code != 0)
		trouble(s, &f->refused);
	else if (f->fenced)
		end(s, ERR_FENCED, "another token holds the lease");
	else if (s->tried && f->batch == p->number && f->revision == p->revision)
		read_back(s);
	else if (f->batch != p->number - 1 || f->revision != p->base ||
		 !str_equal(f->lineage, p->was))
		end(s, ERR_LOST, "Redis forgot acknowledged pages");
	else if (s->lost >= LOSSES)
		end(s, ERR_LIMIT, "connections are lost with this page on its way");
	else
		send_page(s);
}

static void pump(struct zone_sink *s)
{
	if (s->over || s->waits || !s->has || s->sent || !zone_conn_is_up(s->z))
		return;
	/* No write is sent after the deadline. */
	if (clock_boot_ms() >= s->deadline_ms || s->look == LOOK_OUT)
		return;
	if (s->look == LOOK_HERE && clock_boot_ms() - s->looked_ms < AHEAD_MS) {
		s->look = LOOK_NONE;
		judge(s);
	} else {
		look(s);
	}
}

bool zone_sink_is_free(const struct zone_sink *s)
{
	return !s->over && !s->has;
}

void zone_sink_write(struct zone_sink *s, struct zone_page *p, bool more)
{
	CHECK(zone_sink_is_free(s));
	s->page = *p;
	*p = (struct zone_page){ 0 };
	s->page.number = s->number + 1;
	s->has = true;
	s->more = more;
	pump(s);
}

void zone_sink_begin(struct zone_sink *s, const char *token)
{
	drop_page(s);
	str_copy(s->token, sizeof(s->token), token);
	s->number = 0;
	s->deadline_ms = 0;
	s->over = false;
	s->waits = false;
	s->look = LOOK_NONE;
	s->stale = s->out;
}

void zone_sink_extend(struct zone_sink *s, int64_t deadline_boot_ms)
{
	s->deadline_ms = deadline_boot_ms;
	pump(s);
}

void zone_sink_up(struct zone_sink *s)
{
	s->waits = false;
	if (s->look == LOOK_HERE)
		s->look = LOOK_NONE;
	pump(s);
}

void zone_sink_down(struct zone_sink *s)
{
	if (s->writing)
		s->lost++;
	s->writing = false;
	s->sent = false;
	s->look = LOOK_NONE;
}
