/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relate - a document of the file source in, items of the feed out: maps it in the light
 * of what it hangs on.
 *
 * A subscription is an event only while its API or API product is deployed with its plan; a
 * key while its subscription is (storage 3.6). What their own reference's undeploy takes
 * along is not said again: the publisher withdraws the children of a reference with it. An
 * API that a product gains or loses is mapped again.
 *
 * Owns:    the documents, the mapping context.
 * Blocks:  in feed_put_event() and feed_ask().
 * Errors:  none: what cannot be mapped becomes a quarantine item.
 */
#pragma once

#include "workers/fetcher/map/places.h"
#include "workers/fetcher/source/files/docs.h"
#include "workers/fetcher/source/feed.h"

struct relate {
	struct docs docs;
	struct map_ctx *ctx;   /* owned */
	struct places *places; /* of it; one is gone when its document is */
	struct map_unsure products;
	struct feed *feed; /* where items go, during a pass */
	uint32_t pass;	   /* number of it */
};

/* New bytes of a document: parses, relates, maps, puts items. */
void relate_doc(struct relate *r, struct doc *doc, const struct buf *text, int64_t modified_ms);

/* The document is gone: withdraws what it made and forgets it. */
void relate_gone(struct relate *r, struct doc *doc);

/* It cannot be read or mapped, for good. */
void relate_quarantine(struct relate *r, struct doc *doc, const char *why);
void relate_reset(struct relate *r);
