/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/postgres/watch_postgres.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/json/scan.h"
#include "workers/fetcher/source/postgres/pg_conn.h"

#define CHECK_MS 30000 /* how often it looks whether the triggers are there, and the server */
#define CHANNEL	 "zonesync_notify_"

struct watcher_postgres {
	struct watcher base;
	const struct pg_options *o;
	char *prefix;	    /* owned */
	struct pg_conn *c;  /* owned; NULL: not connected */
	char *schema;	    /* owned; object id of where the tables are, as a text */
	int64_t checked_ms; /* boot time */
	bool again;	    /* there was a connection: what came since is not known */
};

struct telling {
	struct watcher_postgres *m;
	struct watch *to;
};

static struct watcher_postgres *self_of(struct watcher *w)
{
	return (struct watcher_postgres *)w;
}

/* --- what comes --- */

static enum db_table table_of(struct json_span name)
{
	unsigned i;

	for (i = 0; i < DB__COUNT; i++)
		if (json_equals(name, db_table_name((enum db_table)i)))
			return (enum db_table)i;
	return DB__COUNT;
}

static void take_ids(enum db_table t, struct json_iter *it, struct watch *to)
{
	unsigned n = 0;

	for (; json_next(it); n++) {
		struct buf id = { 0 };

		json_unescape(it->value, &id);
		watch_row(to, t,
			  id.len > 0 && strlen(buf_cstr(&id)) == id.len ? buf_cstr(&id) : NULL);
		buf_reset(&id);
	}
	if (n == 0)
		watch_lost(to);
}

static void take_notice(void *arg, const char *payload)
{
	struct telling *telling = arg;
	struct json_span doc = { 0 };
	struct err ignored = { 0 };
	enum db_table t = DB__COUNT;
	struct json_iter it;

	if (json_check(payload, strlen(payload), &doc, &ignored) == 0 &&
	    json_type(doc) == JSON_ARRAY) {
		json_iter_init(&it, doc);
		if (json_next(&it))
			t = table_of(it.value);
	}
	if (t != DB__COUNT) {
		take_ids(t, &it, telling->to);
		return;
	}
	watch_lost(telling->to);
	telling->m->checked_ms = 0; /* the triggers are being taken out, say */
}

/* --- asking --- */

static int not_installed(const struct pg_value *lacks, bool some, struct err *e)
{
	if (some)
		return err_set(e, ERR_NOTFOUND,
			       "triggers are not installed at %.*s; see zonesync setup "
			       "postgres-notify",
			       (int)lacks->n, lacks->p);
	return err_set(e, ERR_NOTFOUND,
		       "the triggers are not installed; see zonesync setup postgres-notify");
}

/* What it says of the tables: where the first of them is; whether each has its triggers. */
static int check(struct watcher_postgres *m, struct err *e)
{
	static const char sql[] =
		"SELECT min(h.oid::text), min(n.name) FILTER (WHERE t.n < 4), bool_or(t.n > 0) "
		"FROM (SELECT relnamespace AS oid FROM pg_class WHERE oid = "
		"to_regclass(quote_ident($1[1]))) h, unnest($1) n(name) "
		"JOIN pg_class c ON c.oid = to_regclass(quote_ident(n.name)), "
		"LATERAL (SELECT count(*) AS n FROM pg_trigger g WHERE g.tgrelid = c.oid AND "
		"c.relnamespace = h.oid AND g.tgenabled IN ('O', 'A') AND g.tgname IN "
		"('zonesync_notify_insert', 'zonesync_notify_update', 'zonesync_notify_delete', "
		"'zonesync_notify_truncate')) t";
	struct pg_select q;
	struct pg_value v[3] = { 0 };
	int rc;

	pg_about_tables(&q, sql, m->prefix);
	rc = pg_conn_ask(m->c, &q, e);
	if (rc == 0)
		rc = pg_conn_next(m->c, v, 3, e);
	if (rc > 0) {
		bool some = v[2].p != NULL && v[2].p[0] != 0;

		mem_free(m->schema);
		m->schema = mem_printf("%.*s", (int)v[0].n, v[0].p == NULL ? "" : v[0].p);
		rc = v[0].p == NULL || v[1].p != NULL ? not_installed(&v[1], some, e) : 0;
		if (rc == 0)
			rc = pg_conn_next(m->c, v, 3, e); /* to the end of the answer */
	}
	pg_select_reset(&q);
	m->checked_ms = clock_boot_ms();
	return rc;
}

static int listen_now(struct watcher_postgres *m, struct err *e)
{
	struct buf sql = { 0 };
	char *channel = mem_printf(CHANNEL "%s_%s", m->schema, m->prefix);
	int rc;

	if (m->o->url.values[PG_APPLICATION_NAME] == NULL)
		buf_adds(&sql, "SET application_name = 'zonesync-watch';");
	/* Nothing may come for hours. Servers before 14 do not know it. */
	buf_adds(&sql, "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = "
		       "'idle_session_timeout';LISTEN ");
	pg_add_identifier(&sql, "", channel);
	rc = pg_conn_run(m->c, buf_cstr(&sql), e);
	buf_reset(&sql);
	mem_free(channel);
	return rc;
}

/* --- the watcher --- */

/* It looks for the triggers again when it listens: they may have gone meanwhile. */
static int postgres_open(struct watcher *w, struct watch *to, struct err *e)
{
	struct watcher_postgres *m = self_of(w);
	bool again = m->again;
	int rc = pg_conn_open(&m->c, m->o, e);

	if (rc == 0) {
		m->again = true;
		rc = check(m, e);
	}
	if (rc == 0)
		rc = listen_now(m, e);
	if (rc == 0)
		rc = check(m, e);
	if (rc == 0 && again)
		watch_lost(to);
	return rc;
}

static int postgres_next(struct watcher *w, struct watch *to, struct err *e)
{
	struct watcher_postgres *m = self_of(w);
	struct telling telling = { m, to };
	int rc = pg_conn_wait(m->c, WATCH_AWAIT_MS, take_notice, &telling, e);

	if (rc == 0 && (m->checked_ms == 0 || clock_boot_ms() - m->checked_ms >= CHECK_MS))
		rc = check(m, e);
	return rc;
}

static void postgres_shut(struct watcher *w)
{
	pg_conn_close(&self_of(w)->c);
}

static void postgres_close(struct watcher *w)
{
	struct watcher_postgres *m = self_of(w);

	postgres_shut(w);
	mem_free(m->prefix);
	mem_free(m->schema);
	mem_free(m);
}

struct watcher *watcher_postgres_create(const struct pg_options *o, const char *prefix)
{
	static const struct watcher_ops ops = { postgres_open, postgres_next, postgres_shut,
						postgres_close };
	struct watcher_postgres *m = mem_zalloc(sizeof(*m));

	m->base.ops = &ops;
	m->base.name = "LISTEN/NOTIFY";
	m->o = o;
	m->prefix = mem_strdup(prefix);
	return &m->base;
}
