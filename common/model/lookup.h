/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup - under what an event is found besides its name: an API key by its value, a
 * subscription by its client, each within its reference (an API, or an API product).
 *
 * A lookup is a hash: two may collide, so a hit counts only when lookup_read() of its
 * payload says the same texts. What an event is found under is a function of its kind and
 * payload alone; when that function changes, STORE_FORMAT must.
 *
 * Owns:    nothing; spans point into the payload.
 * Blocks:  never; pure.
 * Errors:  none: a payload that is no JSON, lacks a member or has one that is no text or
 *          too long is found under nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/json/scan.h"
#include "common/model/kind.h"

#define LOOKUP_BYTES	   17		/* `by`, then 128 bits */
#define LOOKUP_TEXT_MAX	   1024		/* bytes of a reference, a key, a client id */
#define LOOKUP_PAYLOAD_MAX (256U << 10) /* a lookup reads the payload: it must stay cheap */

enum lookup_by { LOOKUP_KEY = 'K', LOOKUP_CLIENT = 'C' };

struct lookup {
	unsigned char b[LOOKUP_BYTES];
};

/* What is asked for. */
void lookup_make(struct lookup *out, enum lookup_by by, const char *ref, const char *text);

/* What an event is found under; false: nothing. */
bool lookup_of(struct lookup *out, enum kind k, const char *payload, size_t n);

/* The same in words, of a payload that json_check() found good. */
struct lookup_texts {
	enum lookup_by by;
	struct json_span ref;  /* `api`, or `apiProductId` of a product's subscription */
	struct json_span text; /* `key` or `clientId` */
};

bool lookup_read(struct lookup_texts *out, enum kind k, struct json_span doc);
