/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/fetcher.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/random.h"
#include "common/message/message.h"
#include "common/worker/link.h"
#include "workers/fetcher/source/source_db.h"
#include "workers/fetcher/source/files/source_file.h"
#include "workers/fetcher/source/source_hello.h"
#include "workers/fetcher/work.h"

#define RETRY_MS 1000 /* after a refusal of the server */
#define REFUSALS 30   /* of one page, standalone: then all is compared anew */
#define DRAIN_MS 1000 /* at the end, for what is on its way */
#define MAPPING	 3    /* grows when the mapping makes other bytes of a row */

static const char *state_name(const struct fetcher *f)
{
	static const char *const names[] = {
		[FETCH_IDLE] = "idle",	       [FETCH_HEAD] = "loading", [FETCH_NAMES] = "loading",
		[FETCH_OLD_NAMES] = "loading", [FETCH_KEYS] = "loading", [FETCH_WORKING] = "steady",
		[FETCH_STOPPING] = "draining",
	};

	if (f->state == FETCH_WORKING && f->refill != REFILL_NONE)
		return "refilling";
	if (f->state == FETCH_WORKING && !settle_is_told(f))
		return "catching up";
	return names[f->state];
}

/* Standalone: the other end is the cache of this node, and nobody else may write there. */
static bool is_local(const struct fetcher *f)
{
	return f->config->local_socket[0] != '\0';
}

/* --- what follows what --- */

/* Takes what the source says and sends it. The zone is learned anew when nothing is left to
   send; the feed waits meanwhile. */
static void advance(struct fetcher *f)
{
	pass_take(f);
	if (f->state == FETCH_WORKING && pass_relearn_is_due(f) && send_idle(f))
		learn_begin(f);
	send_pump(f);
}

static void on_feed(void *arg)
{
	advance(arg);
}

static void on_written(void *arg, struct zone_page *p, bool broken)
{
	struct fetcher *f = arg;

	f->refusals = 0;
	f->error = (struct err){ 0 };
	if (p->complete != NULL) {
		log_note(EV("refill_done"), KV("revision", p->revision));
		f->refill = REFILL_NONE;
		learn_refilled(f);
		worker_report(f->w);
	}
	if (p->caught) {
		log_note(EV("caught_up"), KV("revision", p->revision));
		settle_told(f);
		worker_report(f->w);
	}
	if (broken) { /* a key of the zone's own is of a wrong type */
		log_warn(EV("repair"), KV("key", "*"));
		learn_want(f, RELEARN_REFILL);
	}
	send_done(f, p);
	advance(f);
}

static void on_suspects(void *arg, const char *const *names, size_t n)
{
	struct fetcher *f = arg;

	pass_suspects(f, names, n);
	advance(f);
}

/* --- promotion --- */

/* Everything of the present token is dropped. */
static void drop_work(struct fetcher *f)
{
	feed_close(&f->feed);
	feed_close(&f->hello);
	pass_reset(f);
	send_reset(f);
	learn_reset(f);
	f->refill = REFILL_NONE;
	f->token[0] = '\0';
	f->state = FETCH_IDLE;
	f->error = (struct err){ 0 };
	(void)uv_timer_stop(&f->retry);
	(void)uv_timer_stop(&f->reconcile);
}

/* What a node that may be promoted says of its source (zone-protocol 2). */
static void on_hello(void *arg)
{
	struct fetcher *f = arg;
	struct feed_item *i;

	while (f->hello != NULL && (i = feed_take(f->hello)) != NULL) {
		if (i->type == FEED_END)
			pass_heard(f, i);
		feed_item_free(i);
	}
}

static void say_hello(struct fetcher *f)
{
	const struct feed_opts o = { SOURCE_HELLO_MS, PASS_DELTA, on_hello, f };

	f->hello = feed_open(worker_loop(f->w), source_hello_open(f->config), &o);
}

static void open_feed(struct fetcher *f)
{
	bool refill = f->refill != REFILL_NONE;
	const struct feed_opts o = { f->config->sync_delay_ms, refill ? PASS_ALL : PASS_COMPARE,
				     on_feed, f };
	const struct table *cursors = &f->known.cursors;
	struct table whose = { 0 };
	char *installation = table_get(cursors, SOURCE_INSTALLATION);
	struct source *s = NULL;
	struct db *db = NULL;
	struct err why = { 0 };

	/* A refill begins anew, but for whose rows the zone was made of. */
	if (installation != NULL)
		(void)table_set(&whose, SOURCE_INSTALLATION, installation);
	if (str_equal(f->config->source, "file"))
		s = source_file_open(f->config);
	else if (source_db_connect(&db, f->config, &why) == 0)
		s = source_db_open(db, f->config, refill ? &whose : cursors);
	else
		pass_cannot(f, &why);
	table_reset(&whose);
	if (s != NULL)
		f->feed = feed_open(worker_loop(f->w), s, &o);
}

static void begin_refill(struct fetcher *f)
{
	char lineage[RANDOM_HEX_BYTES];

	random_hex(lineage);
	settle_reset(f);
	removals_zone(f, lineage, NULL);
	send_refill(f, lineage);
}

/* The zone is known: begin, or go on after a look at all of it. */
static void zone_known(struct fetcher *f)
{
	log_note(EV("zone_known"), KV("names", (uint64_t)f->known.names.len),
		 KV("refill", (bool)(f->refill != REFILL_NONE)));
	f->state = FETCH_WORKING;
	if (f->refill != REFILL_NONE)
		begin_refill(f);
	else if (learn_finds_wrong_sums(f))
		send_correction(f);
	pass_open(f);
	if (f->feed == NULL)
		open_feed(f);
	else
		feed_want(f->feed, f->refill == REFILL_NONE ? PASS_COMPARE : PASS_ALL);
	worker_report(f->w);
	advance(f);
}

static void on_state(void *arg, const struct end_state *s)
{
	struct fetcher *f = arg;

	if (!learn_state(f, s))
		return;
	removals_learned(f, s->empty);
	removals_zone(f, s->lineage,
		      s->accepted != NULL ? s->accepted : table_get(&f->known.cursors, "accepted"));
}

static void on_names(void *arg, const struct end_name *v, size_t n, bool last)
{
	struct fetcher *f = arg;

	if (learn_names(f, v, n, last))
		zone_known(f);
}

static void on_found(void *arg, const struct end_found *v, size_t n, const char *cursor)
{
	struct fetcher *f = arg;

	if (learn_found(f, v, n, cursor))
		zone_known(f);
}

static void on_reconcile(uv_timer_t *t)
{
	struct fetcher *f = t->data;

	if (f->state != FETCH_WORKING)
		return;
	log_note(EV("reconcile"));
	learn_want(f, RELEARN_COMPARE);
	advance(f);
}

static void begin(struct fetcher *f, const char *token, int64_t deadline_ms)
{
	drop_work(f);
	str_copy(f->token, sizeof(f->token), token);
	f->promoted_ms = clock_boot_ms();
	log_note(EV("promoted"), KV("token", f->token));
	f->end->ops->begin(f->end, f->token);
	f->end->ops->extend(f->end, deadline_ms);
	CHECK(uv_timer_start(&f->reconcile, on_reconcile, f->config->reconcile_interval_ms,
			     f->config->reconcile_interval_ms) == 0);
	learn_begin(f);
}

static int on_promote(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct fetcher *f = *(struct fetcher **)self;
	const Ipc__Promote *p = m->promote;

	if (p->token[0] == '\0' || strlen(p->token) >= sizeof(f->token))
		return err_set(e, ERR_PROTO, "a token of %zu bytes", strlen(p->token));
	begin(f, p->token, p->deadline_boot_ms);
	removals_promoted(f, p->own_count);
	return 0;
}

static int on_extend(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct fetcher *f = *(struct fetcher **)self;

	UNUSED(e);
	if (!str_equal(m->extend->token, f->token))
		return 0; /* of an older one; its end is on the way */
	f->end->ops->extend(f->end, m->extend->deadline_boot_ms);
	return 0;
}

static void tell_demoted(struct fetcher *f, char *token)
{
	Ipc__Demoted d = IPC__DEMOTED__INIT;

	d.token = token;
	worker_send(f->w, &d.base);
	worker_report(f->w);
}

static int on_demote(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct fetcher *f = *(struct fetcher **)self;
	char token[TOKEN_BYTES];

	UNUSED(e);
	str_copy(token, sizeof(token), f->token);
	log_note(EV("demoted"), KV("reason", m->demote->reason));
	f->end->ops->extend(f->end, 0);
	drop_work(f);
	tell_demoted(f, token);
	say_hello(f);
	return 0;
}

static int on_resync(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct fetcher *f = *(struct fetcher **)self;

	struct err why = { 0 };

	UNUSED(e);
	if (m->resync->set[0] != '\0' && removals_accept(f, m->resync->set, &why) < 0)
		log_warn(EV("not_accepted"), KV("err", why.text));
	removals_went(f, m->resync->lacks);
	send_try_all(f);
	log_note(EV("compare"), KV("accept_deletes", m->resync->accept_deletes));
	if (f->feed != NULL)
		feed_want(f->feed, PASS_COMPARE);
	return 0;
}

static const struct route rows[] = {
	[IPC__ENVELOPE__BODY_PROMOTE] = { FROM_SUPERVISOR, WORKER_UP, on_promote },
	[IPC__ENVELOPE__BODY_EXTEND] = { FROM_SUPERVISOR, WORKER_UP | WORKER_STOPPING, on_extend },
	[IPC__ENVELOPE__BODY_DEMOTE] = { FROM_SUPERVISOR, WORKER_UP | WORKER_STOPPING, on_demote },
	[IPC__ENVELOPE__BODY_RESYNC] = { FROM_SUPERVISOR, WORKER_UP, on_resync },
};
const struct route_table fetcher_routes = { rows, ARRAY_LEN(rows) };

/* --- pages and the link --- */

static void on_refused(void *arg, const struct err *why)
{
	struct fetcher *f = arg;

	f->error = *why;
	log_error(EV("load_failed"), KV("err", why->text));
	worker_report(f->w);
	f->end->ops->fail(f->end, why);
}

static void on_over(void *arg, const struct err *why)
{
	struct fetcher *f = arg;
	char token[TOKEN_BYTES];
	struct err lost = { 0 };
	Ipc__TokenLost t = IPC__TOKEN_LOST__INIT;

	str_copy(token, sizeof(token), f->token);
	log_warn(EV("token_lost"), KV("token", token), KV("err", why->text));
	if (why->code == ERR_LIMIT)
		send_shrink(f);
	drop_work(f);
	if (is_local(f)) { /* the next connection is a new token */
		(void)err_set(&lost, why->code, "%s", why->text);
		f->end->ops->fail(f->end, &lost);
		return;
	}
	t.token = token;
	t.reason = (char *)(uintptr_t)why->text;
	worker_send(f->w, &t.base);
	worker_report(f->w);
	say_hello(f);
}

/* The same bytes may never find room, while the source has long removed what takes it. */
static bool is_hopeless(struct fetcher *f)
{
	if (!is_local(f) || ++f->refusals < REFUSALS)
		return false;
	f->refusals = 0;
	return true;
}

static void on_retry(uv_timer_t *t)
{
	struct fetcher *f = t->data;

	if (f->end->ops->is_up(f->end))
		f->end->ops->retry(f->end);
}

static void on_trouble(void *arg, const struct err *why)
{
	struct fetcher *f = arg;

	if (!str_equal(f->error.text, why->text)) {
		log_error(EV("write_refused"), KV("err", why->text));
		f->error = *why;
		worker_report(f->w);
	}
	if (is_hopeless(f))
		on_over(f, why);
	else
		CHECK(uv_timer_start(&f->retry, on_retry, RETRY_MS, 0) == 0);
}

static void on_up(void *arg, const char *token)
{
	struct fetcher *f = arg;

	if (token == NULL)
		log_note(EV("redis_up"));
	else
		log_note(EV("cache_up"));
	f->error = (struct err){ 0 };
	pass_end_lost(f);
	if (token != NULL && f->state != FETCH_STOPPING) {
		begin(f, token, INT64_MAX);
		return;
	}
	if (f->state > FETCH_IDLE && f->state < FETCH_WORKING)
		learn_begin(f);
	worker_report(f->w);
}

static void on_down(void *arg, const struct err *why)
{
	struct fetcher *f = arg;

	if (is_local(f) && f->token[0] != '\0' && f->state != FETCH_STOPPING)
		drop_work(f); /* a connection to the cache is a token of its own */
	if (!str_equal(f->error.text, why->text)) {
		if (is_local(f))
			log_warn(EV("cache_down"), KV("err", why->text));
		else
			log_warn(EV("redis_down"), KV("err", why->text));
		f->error = *why;
		worker_report(f->w);
	}
}

/* --- report --- */

void fetcher_report(struct fetcher *f, Ipc__Report *out)
{
	static Ipc__FetcherReport r;
	static char set[GUARD_SET_BYTES];

	if (f->config == NULL)
		return; /* nothing is known of it yet */
	ipc__fetcher_report__init(&r);
	r.state = (char *)(uintptr_t)state_name(f);
	r.token = f->token;
	r.guard = (char *)(uintptr_t)removals_text(f);
	removals_set(f, set);
	r.guard_set = set;
	r.error = f->token[0] == '\0' && !is_local(f) ? (char *)(uintptr_t) "" : f->error.text;
	if (f->end != NULL && f->end->index != NULL)
		r.index = f->end->index;
	pass_report(f, &r);
	send_report(f, &r);
	quarantine_report(f, &r);
	out->progress = r.published + r.rows;
	message_wrap(&out->base, &r.base);
}

/* --- life --- */

static void add_list(struct buf *b, const char *name, char *const *v, size_t n)
{
	size_t i;

	buf_printf(b, "\n%s", name);
	for (i = 0; i < n; i++)
		buf_printf(b, "\x1f%s", v[i]);
}

/* A hash of what decides contents: two nodes that differ in it must not follow each other
   silently (zone-protocol 4.2). */
static void fingerprint(struct fetcher *f)
{
	const Ipc__FetcherConfig *c = f->config;
	struct buf b = { 0 };

	buf_printf(&b, "%d\n%s\n%d", MAPPING, c->source, c->legacy_hrids);
	add_list(&b, "tags", c->tags, c->n_tags);
	add_list(&b, "environments", c->environments, c->n_environments);
	add_list(&b, "organizations", c->organizations, c->n_organizations);
	if (c->authz)
		buf_adds(&b, "\nauthz");
	buf_addc(&b, '\n');
	buf_add(&b, c->encryption_secret.data, c->encryption_secret.len);
	(void)snprintf(f->mapping, sizeof(f->mapping), "%016" PRIx64, hash_u64(b.data, b.len, 0));
	explicit_bzero(b.data, b.len);
	buf_reset(&b);
}

/* A connection string that is none is the operator's to mend, and no outage. */
static int check_source(const Ipc__FetcherConfig *c, struct err *e)
{
	struct db *db = NULL;
	int rc = source_db_connect(&db, c, e);

	if (rc == 0 && (db == NULL) != str_equal(c->source, "file"))
		rc = err_set(e, ERR_CONFIG, "management.type %s is not known here", c->source);
	if (db != NULL)
		db->ops->close(db);
	return rc;
}

void fetcher_check(const Ipc__Configure *m, bool look, Ipc__Checked *out)
{
	const Ipc__FetcherConfig *c = m->part_case == IPC__CONFIGURE__PART_FETCHER ? m->fetcher
										   : NULL;

	if (c == NULL)
		return;
	source_check(c, look, out);
	if (!look)
		return;
	link_check(c->redis, out);
	if (c->mongo != NULL)
		link_check_tls("management.mongodb", c->mongo->tls, out);
	if (c->postgres != NULL)
		link_check_tls("management.jdbc", c->postgres->tls, out);
}

int fetcher_open(struct fetcher **out, struct worker *w, const Ipc__Configure *c, struct err *e)
{
	struct fetcher *f = mem_zalloc(sizeof(*f));
	const struct end_hooks eh = { f,	  on_up,    on_down,	 on_state,
				      on_names,	  on_found, on_suspects, on_refused,
				      on_written, on_over,  on_trouble };
	int rc;

	f->w = w;
	CHECK(uv_timer_init(worker_loop(w), &f->retry) == 0);
	CHECK(uv_timer_init(worker_loop(w), &f->reconcile) == 0);
	CHECK(uv_timer_init(worker_loop(w), &f->drain) == 0);
	CHECK(uv_timer_init(worker_loop(w), &f->agree) == 0);
	f->retry.data = f;
	f->reconcile.data = f;
	f->drain.data = f;
	f->agree.data = f;
	removals_init(f, &f->agree);
	*out = f;
	if (c->part_case != IPC__CONFIGURE__PART_FETCHER)
		return err_set(e, ERR_CONFIG, "this is no configuration of a fetcher");
	f->config = message_copy(c->fetcher);
	rc = check_source(f->config, e);
	if (rc < 0)
		return rc;
	removals_configure(f);
	fingerprint(f);
	if (!is_local(f) && f->config->redis == NULL)
		return err_set(e, ERR_CONFIG, "neither Redis nor a cache to write to");
	rc = is_local(f) ? end_local_open(&f->end, w, f->config, &eh, e)
			 : end_zone_open(&f->end, w, f->config, &eh, e);
	if (rc < 0)
		return rc;
	if (!is_local(f))
		say_hello(f);
	worker_ready(w);
	return 0;
}

static void finish(struct fetcher *f)
{
	char token[TOKEN_BYTES];

	if (uv_is_closing((uv_handle_t *)&f->drain))
		return;
	str_copy(token, sizeof(token), f->token);
	drop_work(f);
	feed_ending();
	f->state = FETCH_STOPPING;
	if (token[0] != '\0')
		tell_demoted(f, token);
	if (f->end != NULL)
		f->end->ops->close(f->end);
	f->end = NULL;
	uv_close((uv_handle_t *)&f->retry, NULL);
	uv_close((uv_handle_t *)&f->reconcile, NULL);
	uv_close((uv_handle_t *)&f->drain, NULL);
	uv_close((uv_handle_t *)&f->agree, NULL);
	worker_done(f->w);
}

/* Looks now and then whether everything is out; ends when it is, or when time is up. */
static void on_drain(uv_timer_t *t)
{
	struct fetcher *f = t->data;

	send_pump(f);
	if (send_idle(f) || clock_boot_ms() >= f->drain_until_ms)
		finish(f);
}

void fetcher_stop(struct fetcher *f)
{
	if (f->state != FETCH_WORKING || send_idle(f)) {
		finish(f);
		return;
	}
	f->state = FETCH_STOPPING;
	f->drain_until_ms = clock_boot_ms() + DRAIN_MS;
	CHECK(uv_timer_start(&f->drain, on_drain, 10, 10) == 0);
}

void fetcher_free(struct fetcher **fp)
{
	struct fetcher *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	send_free(f);
	message_free(f->config);
	mem_free(f);
}
