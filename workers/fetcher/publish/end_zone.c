/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/base/mem.h"
#include "common/worker/link.h"
#include "common/worker/worker.h"
#include "common/zone/follow.h"
#include "common/zone/java.h"
#include "common/zone/search.h"
#include "common/zone/stamp.h"
#include "workers/fetcher/publish/zone_sink.h"

#define SUSPECTS_TEXT "1000" /* names in one answer: all there are */
#define WINDOW	      4096   /* commands on the way: more than those of a page */

struct end_zone {
	struct end base;
	struct zone_conn *z;
	struct zone_sink *sink;
	/* The state comes in three answers; those of an older question are passed over. */
	unsigned asked;
	struct head head;
	char **cursors; /* owned: field, value, field, ... */
	size_t n_cursors;
	bool whole_head;
	bool java; /* as end_state has it */
	struct search search;
	bool keep_index;
};

static struct end_zone *self_of(struct end *e)
{
	return (struct end_zone *)e;
}

/* Borrowed, as the reply is; "" of what is no text. */
static const char *text_of(const struct redis_reply *r)
{
	size_t n = 0;
	const char *s = redis_str(r, &n);

	return s == NULL || memchr(s, '\0', n) != NULL ? "" : s;
}

static void refused(struct end_zone *e, const struct err *why)
{
	e->base.hooks.refused(e->base.hooks.arg, why);
}

static void cannot_ask(struct end_zone *e)
{
	redis_fail(zone_conn_redis(e->z), ERR_BUSY, "too much is under way");
}

/* --- the index of other readers --- */

static void on_index(void *arg, enum search_verdict v, const char *why)
{
	struct end_zone *e = arg;
	char *now = mem_dup(why, strlen(why));

	if (v == SEARCH_CREATED)
		log_note(EV("index_created"), KV("index", SEARCH_INDEX));
	else if (!str_equal(now, e->base.index) && v == SEARCH_NO_MODULE)
		log_debug(EV("index_needless"), KV("why", why));
	else if (!str_equal(now, e->base.index) && v != SEARCH_THERE)
		log_warn(EV("index_unfit"), KV("index", SEARCH_INDEX), KV("why", why));
	mem_free(e->base.index);
	e->base.index = now;
}

/* --- the state --- */

static void drop_cursors(struct end_zone *e)
{
	while (e->n_cursors > 0)
		mem_free(e->cursors[--e->n_cursors]);
	mem_free(e->cursors);
	e->cursors = NULL;
}

static void on_head(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct end_zone *e = arg;
	struct page page = { 0 };
	struct err why = { 0 };

	e->whole_head = false;
	if (lost != NULL)
		return;
	if (zone_check(e->z, r, lost, &why) < 0 || follow_parse(r, &page, &why) < 0) {
		refused(e, &why);
		return;
	}
	e->head = page.head;
	e->whole_head = true;
	follow_page_reset(&page);
}

static void on_cursors(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct end_zone *e = arg;
	struct err why = { 0 };
	size_t n = redis_count(r);
	size_t i;

	drop_cursors(e);
	if (lost != NULL || zone_check(e->z, r, lost, &why) < 0)
		return; /* the next answer says so too */
	e->cursors = mem_zalloc((n + 1) * sizeof(*e->cursors));
	for (i = 0; i < n; i++)
		e->cursors[e->n_cursors++] = mem_strdup(text_of(redis_at(r, i)));
}

static void on_java(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct end_zone *e = arg;
	struct java_watch w = { 0 };

	if (lost != NULL)
		return;
	java_take(&w, r, 0); /* an error is no state */
	e->java = w.foreign;
}

static void on_mapping(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct end_zone *e = arg;
	struct end_state s = { .lineage = e->head.lineage,
			       .revision = e->head.revision,
			       .horizon = e->head.horizon,
			       .complete = e->head.complete != ZONE_FILLING,
			       .empty = e->head.complete == ZONE_EMPTY,
			       .accepted = e->head.accepted,
			       .java = e->java,
			       .sums = &e->head.digest,
			       .polls = e->head.polls,
			       .lag_ms = e->head.lag_ms };
	struct err why = { 0 };
	const char **fields;
	size_t i;

	if (e->asked > 0)
		e->asked--;
	if (lost != NULL || e->asked > 0)
		return; /* of an older question */
	if (zone_check(e->z, r, lost, &why) < 0) {
		refused(e, &why);
		return;
	}
	if (!e->whole_head)
		return;
	fields = mem_zalloc((e->n_cursors + 2) * sizeof(*fields));
	s.n_cursors = e->n_cursors / 2;
	for (i = 0; i < s.n_cursors; i++) {
		fields[i] = e->cursors[2 * i];
		fields[s.n_cursors + i] = e->cursors[2 * i + 1];
	}
	s.mapping = text_of(r);
	s.cursor_fields = fields;
	s.cursor_values = fields + s.n_cursors;
	e->base.hooks.state(e->base.hooks.arg, &s);
	mem_free(fields);
}

static void zone_ask_state(struct end *base)
{
	struct end_zone *e = self_of(base);
	struct redis *redis = zone_conn_redis(e->z);
	const struct zone_keys *k = zone_conn_keys(e->z);
	const struct position nowhere = { 0 };
	const struct follow_ask ask = { &nowhere, "", 0 };

	if (!zone_conn_is_up(e->z))
		return;
	if (follow_read(e->z, &ask, on_head, e) < 0 || java_ask(e->z, on_java, e) < 0 ||
	    redis_sendv(redis, on_cursors, e, "HGETALL", k->cursor, NULL) < 0 ||
	    redis_sendv(redis, on_mapping, e, "HGET", k->meta, "mapping", NULL) < 0)
		cannot_ask(e);
	else
		e->asked++;
	/* Every load: at a promotion, which a flush leads to, and at each comparison. */
	if (e->keep_index && search_keep(&e->search) < 0)
		cannot_ask(e);
}

/* --- names --- */

static bool stamp_of(const struct redis_reply *r, struct stamp *out)
{
	size_t n = 0;
	const char *p = redis_str(r, &n);

	return stamp_read(out, p, n);
}

/* A stamp of another revision than the log's is as good as none. Its version is at its end, which
   a NUL follows. */
static void name_of(const struct redis_reply *one, struct end_name *out)
{
	struct stamp st;
	uint64_t revision = 0;
	bool whole = redis_u64(redis_at(one, 1), &revision) && stamp_of(redis_at(one, 2), &st) &&
		     st.revision == revision;

	*out = (struct end_name){ .name = text_of(redis_at(one, 0)),
				  .revision = revision,
				  .version = whole ? st.version : "",
				  .kind = text_of(redis_at(one, 3)),
				  .id = text_of(redis_at(one, 4)) };
	if (whole)
		out->hash = st.hash;
	(void)redis_i64(redis_at(one, 5), &out->updated_ms);
}

static void on_manifest(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct end_zone *e = arg;
	size_t n = redis_count(r);
	struct end_name *v;
	struct err why = { 0 };
	size_t i;

	if (lost != NULL)
		return;
	if (zone_check(e->z, r, lost, &why) < 0) {
		refused(e, &why);
		return;
	}
	v = mem_zalloc((n + 1) * sizeof(*v));
	for (i = 0; i < n; i++)
		name_of(redis_at(r, i), &v[i]);
	e->base.hooks.names(e->base.hooks.arg, v, n, n < END_NAMES);
	mem_free(v);
}

static void zone_ask_names(struct end *base, bool old, uint64_t after)
{
	struct end_zone *e = self_of(base);
	const struct zone_keys *k = zone_conn_keys(e->z);
	struct redis_cmd c;

	if (!zone_conn_is_up(e->z))
		return;
	zone_call(e->z, &c, SCRIPT_MANIFEST, old ? k->old_log : k->log, NULL);
	redis_cmd_i64(&c, (int64_t)after);
	redis_cmd_i64(&c, END_NAMES);
	redis_cmd_str(&c, k->event_prefix);
	if (zone_send(e->z, &c, on_manifest, e) < 0)
		cannot_ask(e);
}

/* --- what a Java primary left --- */

static void on_found(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct end_zone *e = arg;
	const struct redis_reply *list = redis_at(r, 1);
	size_t n = redis_count(list);
	struct end_found *v;
	struct err why = { 0 };
	size_t i;

	if (lost != NULL)
		return;
	if (zone_check(e->z, r, lost, &why) < 0) {
		refused(e, &why);
		return;
	}
	v = mem_zalloc((n + 1) * sizeof(*v));
	for (i = 0; i < n; i++) {
		const struct redis_reply *one = redis_at(list, i);
		struct stamp st;

		v[i] = (struct end_found){ .name = text_of(redis_at(one, 0)),
					   .id = text_of(redis_at(one, 1)),
					   .kind = text_of(redis_at(one, 2)),
					   .action = text_of(redis_at(one, 3)) };
		if (stamp_of(redis_at(one, 4), &st))
			v[i].hash = st.hash;
		v[i].payload = redis_str(redis_at(one, 5), &v[i].payload_len);
	}
	e->base.hooks.found(e->base.hooks.arg, v, n, text_of(redis_at(r, 0)));
	mem_free(v);
}

static void zone_ask_found(struct end *base, const char *cursor)
{
	struct end_zone *e = self_of(base);
	const struct zone_keys *k = zone_conn_keys(e->z);
	struct buf pattern = { 0 };
	struct redis_cmd c;

	if (!zone_conn_is_up(e->z))
		return;
	zone_keys_pattern(&pattern, k->event_prefix);
	zone_call(e->z, &c, SCRIPT_ADOPT, NULL);
	redis_cmd_str(&c, cursor);
	redis_cmd_str(&c, buf_cstr(&pattern));
	redis_cmd_str(&c, k->event_prefix);
	redis_cmd_str(&c, k->zone);
	redis_cmd_i64(&c, END_FOUND_BYTES);
	buf_reset(&pattern);
	if (zone_send(e->z, &c, on_found, e) < 0)
		cannot_ask(e);
}

/* --- suspects --- */

static void on_suspects(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct end_zone *e = arg;
	size_t n = lost != NULL ? 0 : redis_count(r);
	const char **names = mem_zalloc((n + 1) * sizeof(*names));
	size_t i;

	for (i = 0; i < n; i++)
		names[i] = text_of(redis_at(r, i));
	e->base.hooks.suspects(e->base.hooks.arg, names, n);
	mem_free(names);
}

static bool zone_ask_suspects(struct end *base)
{
	struct end_zone *e = self_of(base);

	return zone_conn_is_up(e->z) &&
	       redis_sendv(zone_conn_redis(e->z), on_suspects, e, "SRANDMEMBER",
			   zone_conn_keys(e->z)->suspect, SUSPECTS_TEXT, NULL) == 0;
}

static void on_ignored(void *arg, const struct redis_reply *r, const struct err *lost)
{
	UNUSED(arg);
	UNUSED(r);
	UNUSED(lost);
}

static void zone_settle_suspect(struct end *base, const char *name)
{
	struct end_zone *e = self_of(base);

	(void)!redis_sendv(zone_conn_redis(e->z), on_ignored, NULL, "SREM",
			   zone_conn_keys(e->z)->suspect, name, NULL);
}

/* --- life --- */

static bool zone_is_up(const struct end *base)
{
	return zone_conn_is_up(((const struct end_zone *)base)->z);
}

static void zone_fail(struct end *base, const struct err *why)
{
	struct end_zone *e = self_of(base);

	if (zone_conn_is_up(e->z))
		redis_fail(zone_conn_redis(e->z), why->code, why->text);
}

static void on_up(void *arg)
{
	struct end_zone *e = arg;

	zone_sink_up(e->sink);
	e->base.hooks.up(e->base.hooks.arg, NULL);
}

static void on_down(void *arg, const struct err *why)
{
	struct end_zone *e = arg;

	zone_sink_down(e->sink);
	e->base.hooks.down(e->base.hooks.arg, why);
}

static void zone_begin(struct end *base, const char *token)
{
	zone_sink_begin(self_of(base)->sink, token);
}

static void zone_extend(struct end *base, int64_t deadline_boot_ms)
{
	zone_sink_extend(self_of(base)->sink, deadline_boot_ms);
}

static bool zone_is_free(const struct end *base)
{
	return zone_sink_is_free(((const struct end_zone *)base)->sink);
}

static void zone_write(struct end *base, struct zone_page *p, bool more)
{
	zone_sink_write(self_of(base)->sink, p, more);
}

static void zone_retry(struct end *base)
{
	zone_sink_up(self_of(base)->sink);
}

static void zone_close(struct end *base)
{
	struct end_zone *e = self_of(base);

	zone_conn_close(&e->z);
	zone_sink_free(&e->sink);
	drop_cursors(e);
	mem_free(e->base.index);
	mem_free(e);
}

int end_zone_open(struct end **out, struct worker *w, const Ipc__FetcherConfig *c,
		  const struct end_hooks *h, struct err *e)
{
	static const struct end_ops ops = { zone_is_up,	    zone_ask_state,    zone_ask_names,
					    zone_ask_found, zone_ask_suspects, zone_settle_suspect,
					    zone_fail,	    zone_begin,	       zone_extend,
					    zone_is_free,   zone_write,	       zone_retry,
					    zone_close };
	struct end_zone *z = mem_zalloc(sizeof(*z));
	const struct zone_hooks zh = { z, on_up, on_down };
	struct redis_opts o;
	int rc;

	z->base.ops = &ops;
	z->base.followed = true;
	z->base.hooks = *h;
	*out = &z->base;
	link_opts(c->redis, "zonesync-fetcher", &o);
	o.idle_ping_ms = c->lease_ttl_ms / 5;
	o.window = WINDOW;
	rc = zone_conn_open(&z->z, worker_loop(w), &o, c->zone, &zh, e);
	if (rc < 0)
		return rc;
	z->search = (struct search){ zone_conn_redis(z->z), on_index, z };
	z->keep_index = c->search_index;
	z->sink = zone_sink_create(z->z, &z->base, c->node_id);
	return 0;
}
