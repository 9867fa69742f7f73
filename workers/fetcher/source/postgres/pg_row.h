/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_row - the cells of an answer, in PostgreSQL's binary format, as JSON.
 *
 * What is NULL is left out, times are integer ms: as bson_json makes it of the same row.
 *
 * Owns:    a pg_row its buffers. Blocks: never; pure.
 * Errors:  ERR_PARSE, ERR_LIMIT: with what is wrong with the row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "workers/fetcher/source/postgres/pg_sql.h"

struct pg_value {
	const char *p; /* NULL: it is NULL */
	size_t n;
};

struct pg_row {
	struct buf json;
	struct buf id;	     /* for people */
	struct buf position; /* see pg_sql.h */
	bool updated;	     /* it has an updatedAt, which is a time: */
	int64_t updated_ms;
};

/* < 0: id, position and updated_ms are right nevertheless. */
int pg_row_read(struct pg_row *r, const struct pg_select *s, const struct pg_value *v,
		uint64_t max_bytes, struct err *e) MUST_USE;
void pg_row_reset(struct pg_row *r);

/* Microseconds since 1970; false: NULL, or infinite. */
bool pg_read_time(const struct pg_value *v, int64_t *us);
