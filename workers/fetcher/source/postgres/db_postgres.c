/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/postgres/db_postgres.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "common/message/message.h"
#include "workers/fetcher/source/postgres/pg_conn.h"
#include "workers/fetcher/source/postgres/watch_postgres.h"

struct db_postgres {
	struct db base;
	struct pg_options o;
	char *prefix; /* owned */
	uint64_t entity_max_bytes;
	struct pg_conn *c;     /* owned; NULL: not connected */
	struct pg_shape shape; /* of the server behind it */
	bool held;	       /* in the transaction of a pass */
	int64_t held_ms;       /* boot time: since when */
};

struct pg_asking { /* one query, under way */
	const struct db_query *q;
	db_row_fn *fn;
	void *arg;
	struct pg_row row;
	int n; /* rows so far */
};

/* --- the connection --- */

/* It is made anew when it is needed. */
static void drop(struct db_postgres *m)
{
	pg_conn_close(&m->c);
	m->held = false;
}

static int ask_text(struct db_postgres *m, const char *sql, struct pg_value *v, unsigned n,
		    struct err *e)
{
	struct pg_select q = { 0 };
	int rc;

	buf_adds(&q.text, sql);
	rc = pg_conn_ask(m->c, &q, e);
	pg_select_reset(&q);
	if (rc == 0)
		rc = pg_conn_next(m->c, v, n, e);
	return rc == 0 ? err_set(e, ERR_REMOTE, "PostgreSQL answers nothing to `%s`", sql) : rc;
}

/* What the tables look like is asked anew by each connection: releases differ, and a server
   may have been upgraded meanwhile. */
static int read_shape(struct db_postgres *m, struct err *e)
{
	static const char sql[] =
		"SELECT n.name, a.attname::text, EXISTS (SELECT FROM pg_index i WHERE i.indrelid = "
		"a.attrelid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum), "
		"a.attnotnull "
		"FROM unnest($1) n(name) JOIN pg_attribute a ON a.attrelid = "
		"to_regclass(quote_ident(n.name)) WHERE a.attnum > 0 AND NOT a.attisdropped AND "
		"has_column_privilege(a.attrelid, a.attnum, 'SELECT')";
	struct pg_shape shape = { 0 };
	struct pg_select q;
	struct pg_value v[4];
	int rc;

	pg_about_tables(&q, sql, m->prefix);
	rc = pg_conn_ask(m->c, &q, e);
	while (rc == 0 && (rc = pg_conn_next(m->c, v, 4, e)) > 0) {
		char *table = mem_printf("%.*s", (int)v[0].n, v[0].p);
		char *column = mem_printf("%.*s", (int)v[1].n, v[1].p);

		pg_shape_add(&shape, table + strlen(m->prefix), column,
			     (struct pg_found){ v[2].p[0] != 0, v[3].p[0] != 0 });
		mem_free(table);
		mem_free(column);
		rc = 0;
	}
	pg_select_reset(&q);
	m->shape = shape;
	return rc;
}

static int connect_once(struct db_postgres *m, struct err *e)
{
	int rc = 0;

	if (m->c == NULL) {
		rc = pg_conn_open(&m->c, &m->o, e);
		if (rc == 0)
			rc = read_shape(m, e);
	}
	if (rc < 0)
		drop(m);
	return rc;
}

/* --- the snapshot of a pass --- */

/* The first question in it takes the snapshot. */
static int postgres_begin(struct db *d, struct err *e)
{
	struct db_postgres *m = (struct db_postgres *)d;
	int rc = connect_once(m, e);

	if (rc == 0)
		rc = pg_conn_run(m->c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);
	if (rc < 0)
		drop(m);
	m->held = rc == 0;
	m->held_ms = clock_boot_ms();
	return rc;
}

static void postgres_end(struct db *d)
{
	struct db_postgres *m = (struct db_postgres *)d;
	struct err ignored = { 0 };

	if (m->held && pg_conn_run(m->c, "COMMIT", &ignored) < 0)
		drop(m);
	m->held = false;
}

/* The rest of the pass is of other moments then. */
static void hold_no_longer(struct db_postgres *m, enum db_table t)
{
	int64_t ms = clock_boot_ms() - m->held_ms;

	if (!m->held || ms < (int64_t)m->o.snapshot_ms)
		return;
	log_note(EV("snapshot_released"), KV("table", db_table_name(t)), KV("ms", ms));
	postgres_end(&m->base);
}

/* --- questions --- */

static int give(const struct db_postgres *m, struct pg_asking *a, const struct pg_select *s,
		const struct pg_value *v, struct err *e)
{
	enum db_table t = a->q->table;
	bool followed = t != DB_ENVIRONMENTS && t != DB_ORGANIZATIONS && t != DB_INSTALLATION;
	struct db_row row = { 0 };
	struct err why = { 0 };
	int rc = pg_row_read(&a->row, s, v, m->entity_max_bytes, &why);

	row.id = buf_cstr(&a->row.id);
	row.position = buf_cstr(&a->row.position);
	row.updated_ms = a->row.updated_ms;
	if (a->q->odd)
		(void)err_set(&why, ERR_PARSE, "its type is none that is known");
	else if (followed && s->timed && !a->row.updated)
		(void)err_set(&why, ERR_PARSE, "its updatedAt is no date");
	else if (rc == 0)
		row.json = (struct json_span){ a->row.json.data, a->row.json.len };
	row.bad = why.code < 0 ? why.text : NULL;
	a->n++;
	return a->fn(a->arg, &row, e);
}

static int postgres_rows(struct db *d, const struct db_query *q, db_row_fn *fn, void *arg,
			 struct err *e)
{
	struct db_postgres *m = (struct db_postgres *)d;
	const struct pg_names names = { m->prefix, m->entity_max_bytes };
	struct pg_asking a = { .q = q, .fn = fn, .arg = arg };
	struct pg_select sql = { 0 };
	struct pg_value v[PG_CELLS_MAX];
	int rc;

	hold_no_longer(m, q->table);
	rc = connect_once(m, e);
	if (rc == 0)
		rc = pg_select_make(&sql, q, &m->shape, &names, e);
	if (rc == 0 && sql.text.len > 0) {
		rc = pg_conn_ask(m->c, &sql, e);
		while (rc == 0 && (rc = pg_conn_next(m->c, v, sql.n_cells, e)) > 0)
			rc = MIN(give(m, &a, &sql, v, e), 0);
	}
	if (rc < 0)
		drop(m); /* what is still on its way must not meet the next question */
	pg_select_reset(&sql);
	pg_row_reset(&a.row);
	return rc < 0 ? rc : a.n;
}

static int postgres_now(struct db *d, int64_t *ms, struct err *e)
{
	struct db_postgres *m = (struct db_postgres *)d;
	struct pg_value v[2] = { 0 };
	int64_t us = 0;
	int rc = connect_once(m, e);

	if (rc == 0)
		rc = ask_text(m, "SELECT clock_timestamp(), pg_is_in_recovery()", v, 2, e);
	if (rc > 0 && !pg_read_time(&v[0], &us))
		rc = err_set(e, ERR_REMOTE, "PostgreSQL tells no time");
	if (rc > 0) {
		*ms = us / 1000;
		/* A standby may be behind. */
		m->base.overlap_ms = v[1].p != NULL && v[1].p[0] != 0 ? DB_OVERLAP_WIDE_MS
								      : DB_OVERLAP_MS;
		rc = pg_conn_next(m->c, v, 2, e); /* to the end of the answer */
	}
	if (rc < 0)
		drop(m);
	return rc;
}

/* --- life --- */

static struct watcher *postgres_watcher(struct db *d)
{
	const struct db_postgres *m = (const struct db_postgres *)d;

	return watcher_postgres_create(&m->o, m->prefix);
}

static void postgres_close(struct db *d)
{
	struct db_postgres *m = (struct db_postgres *)d;

	drop(m);
	pg_options_reset(&m->o);
	mem_free(m->prefix);
	mem_free(m);
}

static void postgres_check(const struct db *d, bool look, Ipc__Checked *out)
{
	pg_options_look(&((const struct db_postgres *)d)->o, look, out);
}

int db_postgres_open(struct db **out, const Ipc__Postgres *c, struct err *e)
{
	static const struct db_ops ops = { .rows = postgres_rows,
					   .now = postgres_now,
					   .watcher = postgres_watcher,
					   .close = postgres_close,
					   .check = postgres_check,
					   .begin = postgres_begin,
					   .end = postgres_end };
	struct db_postgres *m = mem_zalloc(sizeof(*m));
	int rc = pg_url_parse(c->url, &m->o.url, e);

	m->base.ops = &ops;
	m->base.overlap_ms = DB_OVERLAP_MS;
	m->o.username = mem_strdup(c->username);
	m->o.password = mem_strdup(c->password);
	m->o.schema = mem_strdup(c->schema);
	m->o.timezone = mem_strdup(c->timezone);
	m->o.snapshot_ms = c->snapshot_ms;
	m->o.tls = message_copy(c->tls);
	m->prefix = mem_strdup(c->prefix);
	m->entity_max_bytes = c->entity_max_bytes;
	if (rc == 0)
		rc = pg_options_check(&m->o, e);
	if (rc < 0)
		postgres_close(&m->base);
	else
		*out = &m->base;
	return rc;
}
