/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_page - a page in the words of local.proto, for the cache of a node that is alone.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include "workers/fetcher/publish/page.h"

/* A whole request, behind what `out` holds. */
void local_page_pack(struct buf *out, const struct zone_page *p);
