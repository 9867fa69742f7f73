/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_sql - the tables of a management database in PostgreSQL (storage 4b), and a question
 * as SQL.
 *
 * Order by time is that of (updated_at, id), exact to the microsecond, ids by their bytes.
 * A position is therefore "<microseconds within the millisecond>/<id>", and positions of
 * one millisecond compare as texts. The bound of a delta is converted, never the column, so
 * that an index on it is of use. Order by id is the database's own: its index has that.
 *
 * Where time is indexed behind the environment only, the environments that occur are found
 * by steps in that index, and the delta is read by it for each.
 *
 * Lists and maps of a row come from tables of their own, by index where there is one, else
 * by one look at all of that table.
 *
 * Owns:    a pg_select its text and parameters. Blocks: never; pure.
 * Errors:  ERR_REMOTE: a table is not there, or may not be read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "workers/fetcher/map/ids.h"
#include "workers/fetcher/source/db.h"

#define PG_COLUMNS_MAX 24 /* of a table */
#define PG_CELLS_MAX   32 /* of an answer */
#define PG_PARAMS_MAX  8
#define PG_ID	       0 /* cell of each answer: the row's id */
#define PG_UPDATED     1 /* its updated_at; NULL in tables that have none */

#define PG_OID_TEXT_ARRAY 1009			   /* object ids of types never change */
#define PG_EPOCH_US	  INT64_C(946684800000000) /* PostgreSQL's, 2000-01-01, after that of Unix */

enum pg_type {
	PG_TEXT,
	PG_BIG,	 /* text of any length: two cells, the text and how long it is; a text beyond
		    the limit is NULL */
	PG_TIME, /* timestamptz */
	PG_BOOL,
	PG_LIST, /* text[] */
	PG_MAP	 /* text[][2]: names and values */
};

struct pg_column {
	const char *member; /* in JSON */
	enum pg_type type;
};

/* What of the tables this server has and lets us read. Zero: nothing is known. */
struct pg_shape {
	uint32_t there[DB__COUNT];   /* a bit a column; 0: the table is not there */
	uint32_t indexed[DB__COUNT]; /* a bit a column: an index begins with it, or, of a list or
					map, with the column that says whose it is */
	uint32_t filled[DB__COUNT];  /* a bit a column: it is never NULL */
};

/* All tables that are looked for, without prefix; the rows' own first. */
void pg_table_names(struct map_ids *out);

struct pg_found { /* a column of one of them */
	bool indexed, filled;
};
void pg_shape_add(struct pg_shape *s, const char *table, const char *column, struct pg_found found);

struct pg_select {
	struct buf text;
	bool timed; /* rows have an updated_at: NULL is damage */
	/* As PQsendQueryParams() takes them; values are owned. */
	unsigned types[PG_PARAMS_MAX];
	char *values[PG_PARAMS_MAX];
	int lengths[PG_PARAMS_MAX];
	int formats[PG_PARAMS_MAX];
	int n_params;
	struct pg_column cells[PG_CELLS_MAX];
	unsigned n_cells;
};

struct pg_names { /* what the configuration says of all tables */
	const char *prefix;
	uint64_t entity_max_bytes;
};

int pg_select_make(struct pg_select *out, const struct db_query *q, const struct pg_shape *s,
		   const struct pg_names *names, struct err *e) MUST_USE;
/* A question whose one parameter is all tables that are looked for, with the prefix. */
void pg_about_tables(struct pg_select *q, const char *sql, const char *prefix);
void pg_select_reset(struct pg_select *s);

/* "name" with its quotes doubled. */
void pg_add_identifier(struct buf *b, const char *prefix, const char *name);
/* {"a","b"}: a text[]. */
char *pg_array(char *const *v, size_t n, const char *prefix) MUST_USE;
