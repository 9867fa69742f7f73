/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids - a list of texts: ids, names, paths.
 *
 * Owns:    the list and its texts. `{ 0 }` is empty.
 * Blocks:  never; pure.
 * Errors:  none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct map_ids {
	char **v; /* owned, and the strings too */
	size_t n, cap;
};
void map_ids_add(struct map_ids *l, const char *id);
void map_ids_take(struct map_ids *l, char *id); /* takes it */
void map_ids_copy(struct map_ids *to, const struct map_ids *from);
void map_ids_sort(struct map_ids *l); /* by their bytes, and each once */
bool map_ids_has(const struct map_ids *sorted, const char *id);
bool map_ids_equal(const struct map_ids *a, const struct map_ids *b);
void map_ids_reset(struct map_ids *l);
