/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks - which of a million keys were seen, in 8 bytes each: 64-bit hashes, sorted once.
 *
 * Two keys of one hash count as one: then one that is gone is noticed later, or never,
 * and nothing is ever removed that is there.
 *
 * Owns:    its array; `{ 0 }` is empty, marks_reset() releases it.
 * Blocks:  never; pure.
 * Errors:  none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct marks {
	uint64_t *v;
	size_t n, cap;
};

uint64_t marks_hash(const char *key);
void marks_add(struct marks *l, const char *key);
void marks_add_hash(struct marks *l, uint64_t hash);
void marks_settle(struct marks *l); /* each once, in order; before marks_have() */
bool marks_have(const struct marks *l, uint64_t hash);
void marks_reset(struct marks *l);
