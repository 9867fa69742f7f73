/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mongo_uri - a connection string as the Java driver reads it, written as ours takes it.
 *
 * The Java driver takes options without a slash before them, apart by ; too, and empty ones; it
 * ends user and password at the last @, and the database's name at the first dot. What it reads
 * and ours cannot do is an error when it decides which servers are reached or what is read of
 * them, and is named otherwise.
 *
 * Owns:    what it returns; mongo_uri_reset() overwrites it.
 * Blocks:  never; pure.
 * Errors:  ERR_CONFIG, "management.mongodb.uri: ..." with what would be right. Of the string only
 *          names that the drivers have are shown: whatever else may be a piece of a password.
 */
#pragma once

#include "common/base/err.h"
#include "workers/fetcher/map/ids.h"

struct mongo_uri {
	char *text;		/* owned; for mongoc_uri_new() */
	struct map_ids ignored; /* options that mean nothing here */
};

int mongo_uri_parse(const char *text, struct mongo_uri *out, struct err *e) MUST_USE;
void mongo_uri_reset(struct mongo_uri *u);
