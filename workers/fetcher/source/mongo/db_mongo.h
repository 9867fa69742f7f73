/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_mongo - a management database in MongoDB (storage 4a), by mongo-c-driver.
 *
 * Reads are majority reads; a server that cannot (no replica set) is read as it can, and
 * the overlap grows, as it does when the read preference allows secondaries.
 *
 * Owns, blocks, errors: as db.h says.
 */
#pragma once

#include "ipc.pb-c.h"
#include "workers/fetcher/source/db.h"

/* ERR_CONFIG: the connection string is none. Connects with the first query. */
int db_mongo_open(struct db **out, const Ipc__Mongo *c, struct err *e) MUST_USE;
