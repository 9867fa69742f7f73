/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print - answers: columns, durations, colour; an event of the cache as one line.
 *
 * What other programs wrote (names, reasons) goes through text_clean(): no control
 * character of theirs reaches a terminal or breaks a column.
 *
 * Owns:    a table owns its cells; table_reset() releases them. `{ 0 }` is empty.
 * Blocks:  never; pure.
 * Errors:  none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "gateway.pb-c.h"

#define TABLE_COLUMNS_MAX 8
#define TEXT_COLUMNS	  80

enum text_colour { COLOUR_NONE, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED, COLOUR_BOLD };

struct columns {
	struct buf cells; /* each ends with NUL */
	size_t columns;
	size_t n; /* cells */
	size_t width[TABLE_COLUMNS_MAX];
};

void text_clean(struct buf *b, const char *s);
void text_ms(struct buf *b, int64_t ms);   /* "850 ms", "4.2 s", "3m 20s", "2h 5m", "4d 3h" */
void text_time(struct buf *b, int64_t ms); /* "2026-01-02T03:04:05Z"; "-" for 0 */
void text_paint(struct buf *b, enum text_colour c, const char *s, bool colour);

/* Breaks what is in `b` at blanks, so that lines are no longer than TEXT_COLUMNS; what follows is
   indented. A word that is longer stays whole. */
void text_wrap(struct buf *b, unsigned indent);

void table_cell(struct columns *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void table_print(struct columns *t, struct buf *out); /* and empties it; keeps the columns */
void table_reset(struct columns *t);

/* TYPE, ID, REF or "-", REVISION, "deployed" or "withdrawn" */
void lines_entity(struct buf *out, const Gateway__Event *ev);

/* REVISION, DEPLOY or UNDEPLOY, TYPE, ID, REF or "-" */
void lines_change(struct buf *out, const Gateway__Event *ev);

/* The position is left out when `lineage` is "". */
void lines_json(struct buf *out, const Gateway__Event *ev, const char *lineage);

/* "api-key" to "API_KEY": the caller's bytes. False when it does not fit n bytes. */
bool lines_kind(char *out, size_t n, const char *typed);
