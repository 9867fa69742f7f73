/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox - what waits between mapping and sending: one newest value per name.
 *
 * Withdrawals go first, unless something of the same reference (an API or a product, and
 * its children) waits: the events of one reference keep their order, or an undeploy could
 * overtake the deploy of its own child (zone-protocol 3).
 *
 * Owns:    the items.
 * Blocks:  never; pure.
 * Errors:  none; outbox_full() says when to stop adding.
 */
#pragma once

#include "common/base/table.h"
#include "common/model/event.h"

#define OUTBOX_ITEMS 4096
#define OUTBOX_BYTES (32U << 20)

enum outbox_how {
	OUTBOX_PLAIN,
	OUTBOX_FORCED, /* written whatever is there */
	OUTBOX_ALONE   /* withdrawn without its children: they may be another's of its id */
};

struct outbox_item {
	struct outbox_item *next, *prev;
	struct event ev;
	struct hash hash;
	char *name;
	char *group; /* the reference's id, or the name itself */
	bool urgent;
	enum outbox_how how;
	uint64_t seq; /* in the order of their coming */
};

struct outbox {
	struct outbox_item *first[2]; /* 0: urgent, 1: the rest */
	struct outbox_item *last[2];
	struct table names;  /* name -> item */
	struct table groups; /* group -> how many wait in the normal lane */
	size_t len;
	size_t bytes;
	uint64_t seq; /* of the last one */
};

/* Takes the event. A waiting value of the same name is replaced, at the new place; but a
   reference's deploy at the old one, and its withdrawal never by a deploy: both go. */
void outbox_add(struct outbox *b, struct event *ev, const struct hash *h, enum outbox_how how);
const struct outbox_item *outbox_next(const struct outbox *b); /* NULL: empty */
struct outbox_item *outbox_take(struct outbox *b);	       /* the caller's; NULL: empty */
void outbox_item_free(struct outbox_item *i);

/* Everything that came before this one is out; UINT64_MAX: everything is. */
uint64_t outbox_oldest(const struct outbox *b);
bool outbox_full(const struct outbox *b);
void outbox_reset(struct outbox *b);
