/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone_end - the fenced script of a zone in Redis as the end of a writer (zone-protocol 3).
 *
 * Owns:    the open batch. The connection is the caller's; it must outlive this.
 * Blocks:  never.
 * Errors:  as conn.h says: they become answers to the writer.
 */
#pragma once

#include "common/zone/conn.h"
#include "common/zone/writer.h"

struct zone_end;

/* *w is the writer that is answered: it may be made later, with the end this gives. */
struct zone_end *zone_end_create(struct zone_conn *z, struct writer **w) MUST_USE;
void zone_end_free(struct zone_end **e);
struct writer_end zone_end_of(struct zone_end *e);
