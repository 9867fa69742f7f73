/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elector - the role machine: when to ask for the lease, renew it, give it up.
 *
 * State, event and time in; actions out (zone-protocol 2). The nonce of
 * each candidacy comes from the supervisor, which persists it first; after a loss the
 * machine is idle until the next Stand. All times are CLOCK_BOOTTIME.
 *
 * Owns:    nothing; fixed buffers.
 * Blocks:  never; pure.
 * Errors:  none.
 */
#pragma once

#include "common/model/timing.h"
#include "common/zone/lease.h"

#define ELECTOR_JITTER_MS	  20
#define ELECTOR_STAND_BACK_MAX_MS 600000

enum elector_state {
	ELECTOR_IDLE,	 /* no nonce to stand with */
	ELECTOR_TRYING,	 /* wants the lease */
	ELECTOR_HELD,	 /* has it */
	ELECTOR_LEAVING, /* the release is on its way */
	ELECTOR__COUNT
};

enum { /* what to do now, bits */
       ELECTOR_ACQUIRE = 1,
       ELECTOR_RENEW = 2,
       ELECTOR_RELEASE = 4,
       ELECTOR_TELL_HELD = 8, /* new deadlines for the supervisor */
       ELECTOR_TELL_LOST = 16
};

struct elector {
	enum elector_state state;
	int64_t ttl_ms;
	struct timing t;
	char nonce[LEASE_NONCE_BYTES];
	char previous[LEASE_PREVIOUS_MAX][LEASE_NONCE_BYTES];
	size_t previous_len;
	char token[TOKEN_BYTES]; /* ours; "" unless held or leaving */
	bool up;		 /* Redis is reachable and fit for candidacy */
	bool asking;		 /* a request is out */
	bool woken;		 /* the lease was released meanwhile */
	bool barred;		 /* a Java primary writes the zone: it is not fought */
	int64_t sent_ms;	 /* when it was sent */
	int64_t good_ms;	 /* when the last granted one was sent */
	int64_t next_ms;	 /* when to look again */

	bool unready;	 /* the source is not known to be there: others go first */
	int64_t free_ms; /* since when nobody has held the lease; 0: somebody does */

	bool fit; /* the supervisor's word about the fetcher, and when it came */
	int64_t fit_ms;

	int64_t back_until_ms; /* standing back */
	int64_t back_look_ms;  /* sooner, if nobody took the lease */
	int64_t back_ms;       /* for how long the last time; doubles */

	struct lease_reply seen; /* who holds it, as last seen */
	int64_t seen_ms;	 /* since when with this token and seq */
	const char *reason;	 /* of the last loss: a static text */
};

void elector_init(struct elector *m, int64_t ttl_ms);
const char *elector_state_name(enum elector_state s);

/* Each returns actions. `random` spreads the candidates. */
unsigned elector_stand(struct elector *m, const char *nonce, const char *const *previous, size_t n,
		       int64_t now);
unsigned elector_stand_back(struct elector *m, int64_t now); /* asked to: give it up */
unsigned elector_fitness(struct elector *m, bool fit, int64_t now);
/* Is the fetcher able to work as soon as it is promoted? Else it stands when the lease was free for
   two TTLs: nobody who is able took it. */
unsigned elector_ready(struct elector *m, bool ready, int64_t now);
unsigned elector_link(struct elector *m, bool up, int64_t now);
unsigned elector_bar(struct elector *m, bool barred, int64_t now);
unsigned elector_wake(struct elector *m, uint32_t random, int64_t now);
unsigned elector_tick(struct elector *m, int64_t now);
unsigned elector_reply(struct elector *m, const struct lease_reply *r, uint32_t random,
		       int64_t now);
unsigned elector_failed(struct elector *m, int64_t now); /* an error; the outcome is unknown */

/* The caller sent what an action asked for. */
void elector_sent(struct elector *m, int64_t now);

/* When elector_tick() wants to be called; INT64_MAX: never. */
int64_t elector_next_ms(const struct elector *m);

/* What to ask for: fills nonce, TTL, previous and the lease to break. */
void elector_ask(const struct elector *m, int64_t now, struct lease_ask *out,
		 const char *previous[LEASE_PREVIOUS_MAX]);
