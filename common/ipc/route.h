/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route - one table per process says who may send which message in which state, and
 * what runs (style page 2.8).
 *
 * Owns:    nothing; the message is released after the handler.
 * Blocks:  never.
 * Errors:  ERR_PROTO: garbage, no row, wrong sender. ERR_STATE: right message, wrong
 *          moment. The caller closes the peer on either.
 */
#pragma once

#include <stdbool.h>

#include "common/base/err.h"
#include "ipc.pb-c.h"

typedef int route_fn(void *self, const Ipc__Envelope *m, struct err *e);

struct route {
	uint32_t from; /* bits: who may send it */
	uint32_t when; /* bits: in which of our states */
	route_fn *fn;
};

struct route_table {
	const struct route *rows; /* indexed by body_case */
	size_t len;
};

/* Unpacks, mends the strings (text.h), checks the row, calls the handler. */
int route_dispatch(const struct route_table *t, uint32_t from, uint32_t now, const uint8_t *body,
		   size_t n, void *self, struct err *e) MUST_USE;

/* Its first field is a message that the table has a row for. */
bool route_is_for(const struct route_table *t, const uint8_t *body, size_t n);

/* The message's name in the schema, for logs: "promote". */
const char *route_name(const Ipc__Envelope *m);
