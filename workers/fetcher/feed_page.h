/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed_page - a page in the words of feed.proto, for the cache of a node that is alone.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include "workers/fetcher/page.h"

/* A whole request, behind what `out` holds. */
void feed_page_pack(struct buf *out, const struct zone_page *p);
