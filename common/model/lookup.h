/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup - under what an event is found besides its name: an API key by its value, a
 * subscription by its client, each within its reference (an API, or an API product); an
 * API product by each of its APIs.
 *
 * A lookup is a hash: two may collide, so a hit counts only when lookup_read() of its
 * payload says the same texts, or lookup_holds() does. What an event is found under is a
 * function of its kind and payload alone; when that function changes, STORE_FORMAT must.
 *
 * Owns:    lookups_reset() releases a list; spans point into the payload.
 * Blocks:  never; pure.
 * Errors:  none: a payload that is no JSON, lacks a member or has one that is no text (or has
 *          a NUL) is found under nothing. However large it is, whoever is deployed is found.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/json/scan.h"
#include "common/model/kind.h"

#define LOOKUP_BYTES 17 /* `by`, then 128 bits */

enum lookup_by { LOOKUP_KEY = 'K', LOOKUP_CLIENT = 'C', LOOKUP_MEMBER = 'M' };

struct lookup {
	unsigned char b[LOOKUP_BYTES];
};

/* What is asked for. Of a MEMBER: the API's id, and "". */
void lookup_make(struct lookup *out, enum lookup_by by, const char *ref, const char *text);

struct lookups {	  /* `{ 0 }` is empty */
	struct lookup *v; /* owned */
	size_t n, cap;
};

/* Appends what an event is found under, nothing twice. */
void lookups_of(struct lookups *out, enum kind k, const char *payload, size_t n);
void lookups_reset(struct lookups *l);

/* The same in words, of a payload that json_check() found good. */
struct lookup_texts {
	enum lookup_by by;
	bool product;	       /* a subscription: `ref` is a product; of a key nothing tells */
	struct json_span ref;  /* `api`, or `apiProductId` of a product's subscription */
	struct json_span text; /* `key` or `clientId` */
};

/* Of a key or a subscription; false: of neither. */
bool lookup_read(struct lookup_texts *out, enum kind k, struct json_span doc);

/* Has the product that API? */
bool lookup_holds(struct json_span doc, const char *api);
