/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle - what followers wait for before they trust a zone that was restored (zone-protocol 3
 * and 5): that a poll ended whole, and that one settled everything there is.
 *
 * Owns: nothing. Blocks: never. Errors: none.
 */
#pragma once

struct fetcher;
struct feed_item;

/* At the end of a pass that went well, behind all that it found. One that may have read what was
   true before this token proves nothing of what came since. */
void settle_pass(struct fetcher *f, const struct feed_item *end);
