/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup_sql - the SQL by which a PostgreSQL tells of changes (workers/fetcher/source/
 * watch_postgres.h), and the SQL that takes all of it out again.
 *
 * Text of the configuration stands in it as literals and quoted identifiers only, before
 * the rest, which is always the same. It may be run any number of times.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include <stdbool.h>

#include "common/base/str.h"

struct setup_names {
	const char *schema; /* "": that of the URL */
	const char *url;    /* of JDBC: its currentSchema, when there is one, is the search path */
	const char *prefix; /* of the tables */
};

void setup_sql(struct buf *out, const struct setup_names *n, bool remove);
