/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_conn - one connection to PostgreSQL: made, set up, asked, and never waited for longer
 * than its limits.
 *
 * Stores of keys and certificates are read with each pg_conn_open(), so that a new connection
 * uses what lies there now.
 *
 * Owns:    the connection, and the row in hand. Options are borrowed.
 * Blocks:  up to the URL's connectTimeout for each host, PG_CONNECT_ALL_MS for all; its
 *          socketTimeout for each piece of an answer.
 * Errors:  ERR_TIMEOUT: no server could be reached, or it fell silent; ERR_REMOTE: it
 *          answered with an error. After one the connection is good for pg_conn_close() only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/message/remark.h"
#include "workers/fetcher/source/postgres/pg_row.h"
#include "workers/fetcher/source/postgres/pg_sql.h"
#include "workers/fetcher/source/postgres/pg_url.h"

#define PG_CONNECT_ALL_MS 45000 /* less than the loop waits for a source to end: feed.h */

struct pg_options { /* of all connections of a database */
	struct pg_url url;
	char *username, *password; /* owned; of the configuration; "": those of the URL */
	char *schema;		   /* owned; "": that of the URL, or the user's own */
	char *timezone;		   /* owned: that of timestamps without one */
	uint32_t snapshot_ms;	   /* how long one may be held */
	Ipc__Tls *tls;		   /* owned; the stores; NULL: as the URL says */
};

/* ERR_CONFIG: a server is to be verified, and there is nothing to verify it with. */
int pg_options_check(const struct pg_options *o, struct err *e) MUST_USE;
/* What is not verified, and what of the URL means nothing; `look`: and the files named in it. */
void pg_options_look(const struct pg_options *o, bool look, Ipc__Checked *out);
void pg_options_reset(struct pg_options *o);

struct pg_conn;

int pg_conn_open(struct pg_conn **out, const struct pg_options *o, struct err *e) MUST_USE;
void pg_conn_close(struct pg_conn **c);

/* A statement, or several, whose rows do not matter. */
int pg_conn_run(struct pg_conn *c, const char *sql, struct err *e) MUST_USE;

/* Asks; then each row: 1 and its s->n_cells values, good until the next call; 0: no more. */
int pg_conn_ask(struct pg_conn *c, const struct pg_select *s, struct err *e) MUST_USE;
int pg_conn_next(struct pg_conn *c, struct pg_value *v, unsigned n, struct err *e) MUST_USE;

/* Hands over what was notified, and waits `ms` at most for something to be. */
typedef void pg_notice_fn(void *arg, const char *payload);
int pg_conn_wait(struct pg_conn *c, int ms, pg_notice_fn *fn, void *arg, struct err *e) MUST_USE;
