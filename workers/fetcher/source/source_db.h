/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_db - a management database as the source: what is read when, and the cursors.
 *
 * A delta reads what was updated since the cursors, in order of (updatedAt, id); for a
 * while after the last row it goes back by the overlap, since a row may become visible
 * later than its updatedAt says. A look at everything goes by id, so that a row which is
 * updated meanwhile does not slip past it. Environments and organizations are read with
 * each of those, and once at the start (zone-protocol 3 and 4, storage 3.7), and so are
 * products.
 *
 * What the database tells of changes (watch.h) wakes a delta, which looks at those rows by
 * their ids too; what only a comparison finds makes one, now and then. A comparison rests
 * between its pages, and makes deltas of its own meanwhile.
 *
 * Cursors of the zone: one a table, "<ms>:<id>"; "places", a digest of environments and
 * organizations; "members", one of the APIs in products; "installation", its id, and behind a
 * newline that of the one before, of which some is left: another one means that all is written
 * anew, and a person is asked for what it lacks.
 *
 * Owns:    the database, the watch, the mapping context.
 * Blocks:  as the database does.
 * Errors:  of the database; ERR_STATE: filters that let nothing through.
 */
#pragma once

#include "ipc.pb-c.h"
#include "workers/fetcher/source/db.h"
#include "workers/fetcher/source/source.h"

#define SOURCE_INSTALLATION "installation" /* of the cursors */

struct table;

/* Takes `db`. `cursors` (field -> text) are the zone's; they are copied. */
struct source *source_db_open(struct db *db, const Ipc__FetcherConfig *c,
			      const struct table *cursors) MUST_USE;
