/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake - a worker that does what a test tells it, good or bad.
 *
 * DIR, the folder it is started from, is a test's own.
 * DIR/<worker>.script holds orders, a line each, behind the moment they are for:
 * "start exit 3", "configure mute", "ready garbage". Orders also come as datagrams to
 * DIR/<worker>.sock at any time. What the worker sees and does is appended to
 * DIR/events: "<worker> <pid> <what> ...".
 *
 * Owns:    its descriptors, until it ends.
 * Blocks:  in poll(2), and wherever an order says so.
 * Errors:  exit 70 when the test asks for nonsense.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/ipc/frame.h"
#include "ipc.pb-c.h"

#define FAKE_CHAN     3
#define FAKE_LISTENER 4

struct fake {
	const char *name;
	const char *dir;
	int orders;		/* datagram socket */
	int term;		/* signalfd of SIGTERM */
	bool mute;		/* never READY */
	bool stalled;		/* answers no heartbeat */
	bool deaf;		/* ignores Stop and SIGTERM */
	bool silent;		/* a fetcher that does not confirm Demote */
	protobuf_c_boolean fit; /* the last Fitness */
	bool listening;		/* a cache that accepts */
	char nonce[128];	/* of the last Stand */
	char token[256];	/* of the last Promote */
	Ipc__Report report;
	Ipc__ElectorReport elector;
	Ipc__FetcherReport fetcher;
	Ipc__CacheReport cache;
};

/* Appends a line to the events. */
void fake_note(const struct fake *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
void fake_send(const struct fake *f, Ipc__Envelope *m);
void fake_bytes(const struct fake *f, const void *p, size_t n);
void fake_report(struct fake *f);
void fake_ready(struct fake *f);

/* orders.c: one order, or those of the script that are for `moment`. */
void order_run(struct fake *f, char *line);
void order_script(struct fake *f, const char *moment);
