/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/postgres/db_postgres.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "common/message/message.h"
#include "workers/fetcher/source/postgres/pg_conn.h"
#include "workers/fetcher/source/postgres/watch_postgres.h"

struct session {
	struct pg_conn *c; /* owned; NULL: not connected */
	bool held;	   /* in the transaction of the pass */
};

struct db_postgres {
	struct db base;
	struct pg_options o;
	char *prefix; /* owned */
	uint64_t entity_max_bytes;
	/* One a level: a question may be asked while another one is answered. */
	struct session sessions[DB_POSTGRES_DEPTH];
	unsigned depth;
	struct pg_shape shape; /* of the server behind the first session */
	char *snapshot;	       /* owned; NULL: none is held */
	int64_t held_ms;       /* boot time: since when */
	bool paged; /* one was held for as long as it may be: the pass goes on in pages */
};

struct asking { /* one query, under way */
	const struct db_query *q;
	db_row_fn *fn;
	void *arg;
	struct pg_row row;
	int64_t since_ms; /* boot time */
	int n;		  /* rows so far */
	bool cut;	  /* it was held for too long */
};

/* --- sessions --- */

static void drop(struct session *s)
{
	pg_conn_close(&s->c);
	s->held = false;
}

/* This level's, and those of questions within. Each is made anew when it is needed. */
static void drop_from(struct db_postgres *m, unsigned depth)
{
	for (; depth < DB_POSTGRES_DEPTH; depth++)
		drop(&m->sessions[depth]);
}

static int begin_transaction(struct db_postgres *m, struct session *s, struct err *e)
{
	struct buf b = { 0 };
	int rc;

	buf_adds(&b, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;");
	if (m->snapshot != NULL) /* made of what the server itself answered, and checked there */
		buf_printf(&b, "SET TRANSACTION SNAPSHOT '%s';", m->snapshot);
	rc = pg_conn_run(s->c, buf_cstr(&b), e);
	buf_reset(&b);
	s->held = rc == 0;
	return rc;
}

static int ask_text(struct session *s, const char *sql, struct pg_value *v, unsigned n,
		    struct err *e)
{
	struct pg_select q = { 0 };
	int rc;

	buf_adds(&q.text, sql);
	rc = pg_conn_ask(s->c, &q, e);
	pg_select_reset(&q);
	if (rc == 0)
		rc = pg_conn_next(s->c, v, n, e);
	return rc == 0 ? err_set(e, ERR_REMOTE, "PostgreSQL answers nothing to `%s`", sql) : rc;
}

/* What the tables look like is asked anew by each connection: releases differ, and a server
   may have been upgraded meanwhile. */
static int read_shape(struct db_postgres *m, struct session *s, struct err *e)
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
	rc = pg_conn_ask(s->c, &q, e);
	while (rc == 0 && (rc = pg_conn_next(s->c, v, 4, e)) > 0) {
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

/* The session of this level, in the transaction of the pass when there is one. */
static int get_session(struct db_postgres *m, struct session **out, struct err *e)
{
	struct session *s = &m->sessions[m->depth];
	int rc = 0;

	if (s->c == NULL) {
		rc = pg_conn_open(&s->c, &m->o, e);
		if (rc == 0 && m->depth == 0)
			rc = read_shape(m, s, e);
	}
	if (rc == 0 && m->snapshot != NULL && !s->held)
		rc = begin_transaction(m, s, e);
	if (rc < 0)
		drop_from(m, m->depth);
	*out = s;
	return rc;
}

/* --- the snapshot of a pass --- */

static void let_go(struct db_postgres *m)
{
	struct err ignored = { 0 };
	unsigned i;

	mem_free(m->snapshot);
	m->snapshot = NULL;
	for (i = m->depth; i < DB_POSTGRES_DEPTH; i++) {
		struct session *s = &m->sessions[i];

		if (s->held && pg_conn_run(s->c, "COMMIT", &ignored) < 0)
			drop(s);
		s->held = false;
	}
}

static int postgres_begin(struct db *d, struct err *e)
{
	struct db_postgres *m = (struct db_postgres *)d;
	struct session *s;
	struct pg_value v;
	int rc;

	CHECK(m->depth == 0 && m->snapshot == NULL);
	m->paged = false;
	rc = get_session(m, &s, e);
	if (rc == 0)
		rc = begin_transaction(m, s, e);
	if (rc == 0)
		rc = ask_text(s, "SELECT pg_export_snapshot()", &v, 1, e);
	if (rc > 0) {
		m->snapshot = mem_printf("%.*s", (int)v.n, v.p);
		m->held_ms = clock_boot_ms();
		rc = pg_conn_next(s->c, &v, 1, e); /* to the end of the answer */
	}
	if (rc < 0)
		drop_from(m, 0);
	return MIN(rc, 0);
}

static void postgres_end(struct db *d)
{
	struct db_postgres *m = (struct db_postgres *)d;

	let_go(m);
	m->paged = false;
}

/* --- questions --- */

static int give(const struct db_postgres *m, struct asking *a, const struct pg_select *s,
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

/* Only what can go on from where it was. */
static bool is_too_long(const struct db_postgres *m, const struct asking *a)
{
	int64_t since = m->snapshot != NULL ? m->held_ms : a->since_ms;

	return m->depth == 1 && a->q->order == DB_BY_ID && a->q->limit > DB_PAGE_ROWS &&
	       clock_boot_ms() - since >= (int64_t)m->o.snapshot_ms;
}

static int read_rows(struct db_postgres *m, struct session *s, struct asking *a,
		     const struct pg_select *sql, struct err *e)
{
	struct pg_value v[PG_CELLS_MAX];
	int rc = pg_conn_ask(s->c, sql, e);

	m->depth++;
	while (rc == 0 && (rc = pg_conn_next(s->c, v, sql->n_cells, e)) > 0) {
		rc = MIN(give(m, a, sql, v, e), 0);
		if (rc == 0 && is_too_long(m, a)) {
			a->cut = true;
			break;
		}
	}
	m->depth--;
	return rc;
}

static int run(struct db_postgres *m, struct asking *a, struct err *e)
{
	const struct pg_names names = { m->prefix, m->entity_max_bytes };
	struct pg_select sql = { 0 };
	struct session *s;
	int rc;

	if (m->depth == DB_POSTGRES_DEPTH)
		return err_set(e, ERR_LIMIT, "questions within questions, %d deep",
			       DB_POSTGRES_DEPTH);
	rc = get_session(m, &s, e);
	if (rc == 0)
		rc = pg_select_make(&sql, a->q, &m->shape, &names, e);
	a->since_ms = clock_boot_ms();
	a->cut = false;
	if (rc == 0 && sql.text.len > 0)
		rc = read_rows(m, s, a, &sql, e);
	/* What is still on its way must not meet the next question. */
	if (rc < 0 || a->cut)
		drop_from(m, m->depth);
	pg_select_reset(&sql);
	return rc;
}

/* From the last row on, in pages; whatever was held is let go. */
static int go_on(struct db_postgres *m, struct asking *a, struct err *e)
{
	const struct db_query *whole = a->q;
	unsigned left = whole->limit - (unsigned)a->n;
	int rc = 0;

	if (a->cut) {
		log_note(EV("snapshot_released"), KV("table", db_table_name(whole->table)),
			 KV("ms", clock_boot_ms() - a->since_ms));
		m->paged = m->snapshot != NULL; /* a comparison has none, and no end() */
		let_go(m);
	}
	while (rc == 0 && left > 0) {
		char *after = a->row.position.len > 0 ? mem_strdup(buf_cstr(&a->row.position))
						      : NULL;
		struct db_query page = *whole;
		int before = a->n;

		if (a->n > 0)
			page.after_id = after;
		page.limit = MIN(left, (unsigned)DB_PAGE_ROWS);
		a->q = &page;
		rc = run(m, a, e);
		a->q = whole;
		mem_free(after);
		left -= (unsigned)(a->n - before);
		if ((unsigned)(a->n - before) < page.limit)
			break;
	}
	return rc;
}

static int postgres_rows(struct db *d, const struct db_query *q, db_row_fn *fn, void *arg,
			 struct err *e)
{
	struct db_postgres *m = (struct db_postgres *)d;
	struct asking a = { .q = q, .fn = fn, .arg = arg };
	bool scan = m->depth == 0 && q->order == DB_BY_ID && q->limit > DB_PAGE_ROWS;
	int rc = scan && m->paged ? 0 : run(m, &a, e);

	if (rc == 0 && (a.cut || (scan && m->paged)))
		rc = go_on(m, &a, e);
	pg_row_reset(&a.row);
	return rc < 0 ? rc : a.n;
}

static int postgres_now(struct db *d, int64_t *ms, struct err *e)
{
	struct db_postgres *m = (struct db_postgres *)d;
	struct session *s;
	struct pg_value v[2];
	int64_t us = 0;
	int rc = get_session(m, &s, e);

	if (rc == 0)
		rc = ask_text(s, "SELECT clock_timestamp(), pg_is_in_recovery()", v, 2, e);
	if (rc > 0 && !pg_read_time(&v[0], &us))
		rc = err_set(e, ERR_REMOTE, "PostgreSQL tells no time");
	if (rc > 0) {
		*ms = us / 1000;
		/* A standby may be behind. */
		m->base.overlap_ms = v[1].p != NULL && v[1].p[0] != 0 ? DB_OVERLAP_WIDE_MS
								      : DB_OVERLAP_MS;
		rc = pg_conn_next(s->c, v, 2, e);
	}
	if (rc < 0)
		drop_from(m, m->depth);
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

	drop_from(m, 0);
	mem_free(m->snapshot);
	pg_options_reset(&m->o);
	mem_free(m->prefix);
	mem_free(m);
}

int db_postgres_open(struct db **out, const Ipc__Postgres *c, struct err *e)
{
	static const struct db_ops ops = { .rows = postgres_rows,
					   .now = postgres_now,
					   .watcher = postgres_watcher,
					   .close = postgres_close,
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
