/* SPDX-License-Identifier: Apache-2.0 */
/*
 * narrow - the row of a key for one of its subscriptions after another. A key may have tens
 * of thousands: its row is brought down to what map_apikey() reads once, and completed for
 * each of them.
 *
 * Owns:    nothing.
 * Blocks:  never; pure.
 * Errors:  none: the row was checked.
 */
#pragma once

#include "common/base/str.h"
#include "common/json/scan.h"

void map_key_narrow(struct json_span row, struct buf *out);
void map_key_complete(const struct buf *narrow, const char *subscription, struct buf *out);
