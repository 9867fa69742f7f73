/* SPDX-License-Identifier: Apache-2.0 */
/*
 * members - checked reading of a row's members, and copying them into a payload.
 *
 * Owns:    nothing; what is taken belongs to the caller, on success only.
 * Blocks:  never; pure.
 * Errors:  ERR_PARSE with the member's name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/json/scan.h"
#include "common/model/event.h"
#include "workers/fetcher/map/ids.h"

/* Checks the text and that it is an object. */
int member_check_object(struct json_span text, const char *what, struct json_span *out,
			struct err *e) MUST_USE;

/*
 * Whether readers with our own limits can read what was written: an envelope adds
 * levels to what was just within the limit. Nothing to check when there is no payload.
 */
int member_check_payload(const struct buf *payload, struct err *e) MUST_USE;

/* A string that holds JSON: its characters go to `room`, which must outlive *out. */
int member_open_text(struct json_span v, const char *what, struct buf *room, struct json_span *out,
		     struct err *e) MUST_USE;

/* A string fit to be an id: 1 to MAP_ID_MAX_BYTES bytes without control characters. */
int member_take_id(struct json_span v, const char *what, char **out, struct err *e) MUST_USE;

/* A list of them, each called `each`; absent or null is none. What was taken stays. */
int member_take_ids(struct json_span list, const char *what, const char *each, struct map_ids *out,
		    struct err *e) MUST_USE;

/* Integer ms; absent or null is `otherwise`. */
int member_take_ms(struct json_span v, const char *what, int64_t otherwise, int64_t *out,
		   struct err *e) MUST_USE;

/* The row's version (zone-protocol 1): its updatedAt, else its createdAt, else 0. */
int member_take_updated(struct json_span updated, struct json_span created, int64_t *out,
			struct err *e) MUST_USE;
char *member_version(int64_t ms) MUST_USE;

enum member_form {
	MEMBER_TEXT, /* a string, spelled anew; numbers and booleans become strings */
	MEMBER_MS,   /* an integer */
	MEMBER_ANY   /* any value, compacted */
};
struct member {
	const char *name;
	enum member_form form;
};

#define MEMBER_LIST_MAX 16

/* Copies in the order of the list, of MEMBER_LIST_MAX at most, what is there and not null. */
int member_copy(struct buf *b, struct json_span from, const struct member *list, size_t n,
		struct err *e) MUST_USE;

/* Writes an object of strings without its null entries. */
int member_write_strings(struct buf *b, struct json_span object, const char *what,
			 struct err *e) MUST_USE;

/* The entry of a table that the string equals; NULL when there is none. */
const char *member_one_of(struct json_span v, const char *const *table, size_t n);
