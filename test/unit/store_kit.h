/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_kit - a directory of a test's own for a store.
 *
 * Owns: the text is the caller's until store_kit_remove(). Blocks: on the disk. Errors: none: the
 * test fails.
 */
#pragma once

#include "common/store/reader.h"

char *store_kit_make(void); /* not there yet: store_open() makes it */
/* Changes each place where `text` stands in a generation; the store may be open. */
void store_kit_damage(const char *dir, const char *text);
struct position store_kit_told(struct store *s); /* what clients are told */
void store_kit_remove(char **dir); /* with all that is in it; the store is closed before */
