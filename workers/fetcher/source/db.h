/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db - rows of a management database as JSON texts, whatever the database is (storage
 * 4). One implementation a kind of database; each is the only user of its client library.
 *
 * Rows come one by one and are not kept: a page of large ones needs the room of one. They
 * have the members of storage 4a, `_id` named `id` and dates as integer ms. A license's
 * `_id` is flat: referenceId and referenceType are members, and its id is the first of them;
 * only those of an ORGANIZATION are rows.
 *
 * Owns:    the connection. Connects by itself, and again after an error.
 * Blocks:  yes, up to the timeouts of the configuration: runs on the feed's thread.
 * Errors:  a query that failed or was cut short is an error, and nothing may be concluded
 *          from the rows that came before. A row that cannot be read is none: `bad` says
 *          what is wrong with it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/json/scan.h"
#include "common/message/remark.h"
#include "common/model/event.h"

#define DB_PAGE_ROWS 1000 /* of one query of a scan, and ids that one look-up names */

#define DB_OVERLAP_MS	   30000  /* storage 3.8 */
#define DB_LAG_MS	   120000 /* that a secondary may be behind */
#define DB_OVERLAP_WIDE_MS (DB_OVERLAP_MS + DB_LAG_MS)

enum db_table {
	DB_EVENTS, /* events_latest */
	DB_SUBSCRIPTIONS,
	DB_KEYS,
	DB_ENVIRONMENTS,
	DB_ORGANIZATIONS,
	DB_INSTALLATION,
	DB_LICENSES,
	DB_ACCESS_POINTS,
	DB__COUNT
};

struct db_table_form {
	const char *name; /* in the database, without the configured prefix */
	enum kind kind;	  /* of what its rows are of; KIND__COUNT: their types say */
	bool brief;	  /* the others are small: their rows are read whole */
};
const struct db_table_form *db_table_form(enum db_table t);
const char *db_table_name(enum db_table t);

/* An id for people: of bytes that are no text, or would not be seen, the numbers. */
void db_show_id(struct buf *out, const char *s, size_t n);

enum db_order {
	DB_UNORDERED,
	DB_BY_ID,  /* of a scan of everything: a row never moves in it */
	DB_BY_TIME /* by (updatedAt, id): of a delta */
};
enum db_status { DB_ANY_STATUS, DB_ACCEPTED, DB_NOT_ACCEPTED }; /* of subscriptions */

struct db_query {
	enum db_table table;
	enum db_order order;
	enum db_status status;
	bool brief;	      /* what versions and relations need; no payloads */
	bool odd;	      /* only rows that no other query returns: their id is no text, or
				 their type none that is known */
	int64_t since_ms;     /* BY_TIME: of then or later ... */
	const char *after_id; /* ... or, of since_ms itself, behind this position; BY_ID: behind
				 it; NULL: from the beginning */
	const char *field;    /* only rows whose `field` is, or has as an element, one of `in`:
				 "id"; "type" of events; "referenceId" and "api" of
				 subscriptions; "subscriptions" of keys */
	char *const *in;
	size_t n_in;
	char *const *environments; /* only rows of these, or of none; n 0: all. An access
				      point is of its referenceId's */
	size_t n_environments;
	unsigned limit; /* 0: all of them */
};

struct db_row {
	const char *id;	      /* text of it, for people when it is no clean text; never NULL */
	const char *position; /* what `after_id` takes: in the order of rows of one updatedAt */
	int64_t updated_ms;   /* 0: the row has none, or one of another type */
	struct json_span json;
	const char *bad; /* NULL: the row is in `json` */
};

/* Less than 0 ends the query with that error. It asks nothing: one query runs at a time. */
typedef int db_row_fn(void *arg, const struct db_row *row, struct err *e);

struct db;
struct watcher;

struct db_ops {
	int (*rows)(struct db *d, const struct db_query *q, db_row_fn *fn, void *arg,
		    struct err *e);
	int (*now)(struct db *d, int64_t *ms, struct err *e); /* the server's clock */
	/* What tells of changes, on a connection of its own (watch.h); the caller's, who
	   closes it before the database. */
	struct watcher *(*watcher)(struct db *d);
	void (*close)(struct db *d);
	/* What can be said without connecting; `look`: at the files that are named, too. */
	void (*check)(const struct db *d, bool look, Ipc__Checked *out);
	/* What is read between them is of one moment, as long as the database can hold it; both
	   NULL: it cannot. end() comes after a begin() that failed, too. */
	int (*begin)(struct db *d, struct err *e);
	void (*end)(struct db *d);
};

struct db {
	const struct db_ops *ops;
	int64_t overlap_ms; /* how late a row may become visible: storage 3.8 */
};
