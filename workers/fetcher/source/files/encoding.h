/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoding - a document in what editors of Windows write, as UTF-8: with a byte order mark, or
 * in UTF-16 of either order behind one. RFC 8259 8.1 lets a reader ignore the mark.
 *
 * Owns:    nothing. Blocks: never; pure.
 * Errors:  ERR_PARSE: UTF-16 that is broken; the text stays as it is.
 */
#pragma once

#include "common/base/err.h"
#include "common/base/str.h"

/* What has no mark stays as it is, whatever it is. */
int encoding_to_utf8(struct buf *text, struct err *e) MUST_USE;
