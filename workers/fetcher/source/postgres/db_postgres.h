/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_postgres - a management database in PostgreSQL (storage 4b), by libpq.
 *
 * The session is read-only. A snapshot is held for `snapshot_ms` at most, since the server
 * cannot clean up meanwhile: then each page of the rest of the pass is of its own moment.
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

/* ERR_CONFIG: the URL is none, or there are no certificates to verify the server with.
   Connects with the first query. */
int db_postgres_open(struct db **out, const Ipc__Postgres *c, struct err *e) MUST_USE;
