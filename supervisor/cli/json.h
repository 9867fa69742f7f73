/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json - the little that is needed to write an answer as JSON.
 *
 * Commas come by themselves. Bytes that are no UTF-8 become U+FFFD, so the output is
 * JSON whatever a daemon answers.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

void json_open(struct buf *b, const char *key,
	       char bracket); /* key NULL: in a list, or outermost */
void json_close(struct buf *b, char bracket);
void json_str(struct buf *b, const char *key, const char *v);
void json_int(struct buf *b, const char *key, int64_t v);
void json_uint(struct buf *b, const char *key, uint64_t v);
void json_bool(struct buf *b, const char *key, bool v);
void json_null(struct buf *b, const char *key);
