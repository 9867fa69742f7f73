/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_kit - reading the vectors, and the rules by which an API is compared.
 *
 * Owns: what the functions say. Blocks: on file reads. Errors: they fail the test.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "workers/fetcher/map/places.h"

#define DEFAULT_SECRET "vvLJ4Q8Khvv9tm2tIPdkGEdmgKUruAL6"

struct map_ctx *kit_context(const char *tags); /* "eu,!us", as in the reference's configuration */

/* Calls `fn` with each line; returns their number. */
typedef void line_fn(struct json_span line, void *owner);
size_t kit_lines(const char *file, line_fn *fn, void *owner);
char *kit_read(const char *file, size_t *n); /* below test/data; the caller frees */

struct json_span kit_parse(struct json_span text); /* checked, or the test fails */
struct json_span kit_text(const char *s);
char *kit_string(struct json_span v); /* NULL for what is no string; the caller frees */

/* `v` is a string that holds JSON; `room` keeps the text. */
struct json_span kit_inner(struct json_span v, struct buf *room);

void kit_place(struct map_ctx *ctx, enum place_type t, const char *row);

/* A key's row with its subscription's, as a source maps it. */
int kit_apikey(struct json_span row, struct json_span subscription_row, unsigned flags,
	       struct map_out *out, struct err *e);

/* The definition we wrote against the input's and the one that was recorded. */
void kit_compare_definition(struct json_span ours, struct json_span input,
			    struct json_span recorded);

/* An event against a line's only recorded one. `definition` is the input's, for an API. */
void kit_compare_event(const struct event *ev, struct json_span recorded,
		       struct json_span definition);
