/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarantine - what of the source cannot be read, and what stays because of it: the last
 * good version, or nothing of a type is removed while it is not known which one that is.
 *
 * Owns: f->quarantine, and the unread marks of f->known. Blocks: never. Errors: none.
 */
#pragma once

#include "common/base/table.h"
#include "common/model/kind.h"
#include "ipc.pb-c.h"

#define QUARANTINE_TOLD 200 /* entries in a report */

struct fetcher;
struct feed_item;

struct quarantine {
	struct table rows;	    /* where -> struct quarantined, owned */
	size_t blocks[KIND__COUNT]; /* so many of them may be of that kind */
};

void quarantine_add(struct fetcher *f, struct feed_item *i);
void quarantine_clear(struct fetcher *f, const char *where); /* it is fine again, or gone */
/* A name whose row cannot be read counts as seen: its last good version stays. */
void quarantine_keep(struct fetcher *f, const char *name);
bool quarantine_has(const struct fetcher *f, const char *where);
size_t quarantine_count(const struct fetcher *f);
/* So many may be any name of that kind: nothing of it counts as absent. */
size_t quarantine_blocks(const struct fetcher *f, enum kind k);
/* Valid until the next one. */
void quarantine_report(const struct fetcher *f, Ipc__FetcherReport *r);
void quarantine_reset(struct fetcher *f);
