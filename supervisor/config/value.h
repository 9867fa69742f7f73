/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value - one text of a file or the environment, as what its row says it is.
 *
 * Owns:    text and list; value_reset() overwrites and releases them.
 * Blocks:  never; pure.
 * Errors:  ERR_CONFIG; the text is "what is wrong; what would be right", and without the
 *          value itself when the row is a secret.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "supervisor/config/schema.h"

#define VALUE_MAX_BYTES	 4096
#define VALUE_LIST_MAX	 1000
#define VALUE_ITEM_BYTES 256
#define VALUE_MAP_MAX	 32

struct value {
	char *text;	/* owned; enums in the spelling of the table; of a list NULL */
	int64_t num;	/* TYPE_INT; TYPE_BOOL as 0 and 1 */
	char **list;	/* owned; TYPE_LIST, trimmed, without empty items; TYPE_MAP: the names */
	char **secrets; /* owned; TYPE_MAP: one for each name */
	size_t n;
};

/* `out` is an empty value before. Call it once per item for a list. */
int value_parse(struct value *out, const struct schema_row *row, const char *text,
		struct err *e) MUST_USE;

/* One more name and its secret, for TYPE_MAP. */
int value_parse_entry(struct value *out, const struct schema_row *row, const char *name,
		      const char *text, struct err *e) MUST_USE;
bool value_has_entry(const struct value *v, const char *name);
void value_reset(struct value *v);

/* Adds "write a number from 1 to 9" or the like: what the row wants. */
void value_wanted(struct buf *out, const struct schema_row *row);
