/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_postgres - a management database in PostgreSQL (wire page 4b), by libpq.
 *
 * Sessions are read-only. Rows come one by one, so a question within a question has a
 * connection of its own; it takes part in the snapshot of a pass. A snapshot, and the answer
 * to one question, are held for `snapshot_ms` at most, since the server cannot clean up
 * meanwhile: then the rest of the pass is read in pages, each of its own moment.
 *
 * A wait for the server is never longer than the timeouts of the URL, and a server whose
 * client is gone gives up by itself (client_connection_check_interval, statement_timeout,
 * idle_in_transaction_session_timeout).
 *
 * Owns, blocks, errors: as db.h says. Looking up a host's name blocks as the resolver does.
 */
#pragma once

#include "ipc.pb-c.h"
#include "workers/fetcher/source/db.h"

#define DB_POSTGRES_DEPTH 8 /* questions within questions */

/* ERR_CONFIG: the URL is none, or there are no certificates to verify the server with.
   Connects with the first query. */
int db_postgres_open(struct db **out, const Ipc__Postgres *c, struct err *e) MUST_USE;
