/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quarantine - what of the source cannot be read, and what stays because of it: the last
 * good version, or nothing of a type is removed while it is not known which one that is.
 *
 * Owns: f->quarantine. Blocks: never. Errors: none.
 */
#pragma once

#include "ipc.pb-c.h"

struct fetcher;
struct feed_item;

void quarantine_add(struct fetcher *f, struct feed_item *i);
void quarantine_clear(struct fetcher *f, const char *where); /* it is fine again, or gone */
/* A name whose row cannot be read counts as seen: its last good version stays. */
void quarantine_keep(struct fetcher *f, const char *name);
/* Valid until the next one. */
void quarantine_report(const struct fetcher *f, Ipc__FetcherReport *r);
void quarantine_reset(struct fetcher *f);
