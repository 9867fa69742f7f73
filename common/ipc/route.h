/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route - one table per process says who may send which message in which state, and
 * what runs.
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

struct route_to { /* one who takes messages, and what is so at the moment */
	const struct route_table *table;
	uint32_t from;
	uint32_t now;
	void *self;
};

/* Unpacks, mends the strings (message_mend()), finds the first of n_to that has a row for the message (or
   the last), checks the row, calls the handler. */
int route_dispatch(const struct route_to *to, size_t n_to, const uint8_t *body, size_t n,
		   struct err *e) MUST_USE;

/* The message's name in the schema, for logs: "promote". */
const char *route_name(const Ipc__Envelope *m);
