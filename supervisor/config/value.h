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

struct value {
	char *text;  /* owned; enums in the spelling of the table; of a list NULL */
	int64_t num; /* TYPE_INT; TYPE_BOOL as 0 and 1 */
	char **list; /* owned; TYPE_LIST, trimmed, without empty items */
	size_t n;
};

/* `out` is an empty value before. Call it once per item for a list. */
int value_parse(struct value *out, const struct schema_row *row, const char *text,
		struct err *e) MUST_USE;
void value_reset(struct value *v);

/* Adds "write a number from 1 to 9" or the like: what the row wants. */
void value_wanted(struct buf *out, const struct schema_row *row);

/* Adds `text` with the passwords of URIs in it masked. */
void value_mask_uri(struct buf *out, const char *text);
