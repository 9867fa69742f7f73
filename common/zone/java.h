/* SPDX-License-Identifier: Apache-2.0 */
/*
 * java - does a Java gateway write this zone as its primary?
 *
 * A Java primary writes the reference's sync state (storage 1.7) after each of its
 * cycles. Ours says "zonesync" where it says its version. Whether it lives is told by
 * the state that changes from look to look, on our own clock: its times are its own
 * clock's, and are used for nothing but to differ.
 *
 * Owns:    nothing; fixed buffers.
 * Blocks:  never; all but java_ask() is pure.
 * Errors:  an answer that cannot be read counts as no state.
 */
#pragma once

#include "common/zone/conn.h"

#define JAVA_OURS "zonesync" /* nodeVersion in a state of ours begins so */

enum java_verdict {
	JAVA_NONE,   /* no state, or one of ours */
	JAVA_UNSURE, /* the state of a Java primary; not yet watched for long enough */
	JAVA_WRITES,
	JAVA_SILENT, /* it wrote while we watched, and does no more */
	JAVA_GONE    /* what one left behind: it never changed while we watched */
};

struct java_watch {
	int64_t silence_ms; /* set by the caller: who does not write for so long is gone */
	bool foreign;	    /* the state there now is of a Java primary */
	bool known;	    /* one was seen; what follows is the last of them */
	char node[80];
	char version[120];
	int64_t from_ms; /* of its clock, as the next */
	int64_t to_ms;
	int64_t since_ms; /* CLOCK_BOOTTIME: first seen, as the next */
	int64_t moved_ms; /* last seen to have changed; 0 never */
};

/* Asks for what java_take() takes. */
int java_ask(struct zone_conn *z, redis_reply_fn *fn, void *arg) MUST_USE;
void java_take(struct java_watch *w, const struct redis_reply *r, int64_t now);
enum java_verdict java_judge(const struct java_watch *w, int64_t now);

/* For people: who it is, and what it does. "" without one. */
void java_text(const struct java_watch *w, enum java_verdict v, char *out, size_t n);
