/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role - who may write: the lease the elector holds, and the one fetcher process that
 * was promoted on it.
 *
 * Facts and time in, actions out. A token belongs to one fetcher process: a new one,
 * or a new elector, needs a new epoch (zone-protocol 2). The fetcher is demoted at
 * once on loss, and killed if it has not confirmed by the kill time of its lease.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ROLE_TOKEN_BYTES 96

enum {			 /* what to do now, bits */
       ROLE_STAND = 1,	 /* a fresh nonce for the elector */
       ROLE_PROMOTE = 2, /* the fetcher, with `token` and `deadline_ms` */
       ROLE_EXTEND = 4,
       ROLE_DEMOTE = 8,
       ROLE_KILL = 16 /* the fetcher, it overran */
};

struct role {
	bool candidate;
	bool elector_up;
	bool fetcher_up;	      /* and not being stopped */
	char token[ROLE_TOKEN_BYTES]; /* held by the elector; "" none */
	int64_t deadline_ms;
	int64_t held_kill_ms;	      /* the kill time that came with `token` */
	char given[ROLE_TOKEN_BYTES]; /* what the running fetcher process writes with; "" none */
	char spent[ROLE_TOKEN_BYTES]; /* ended with its process: never handed out again */
	int64_t kill_ms;	      /* when `given` must be demoted; INT64_MAX none */
	bool demoting;		      /* asked to, not yet confirmed */
};

unsigned role_elector_up(struct role *r);
unsigned role_elector_gone(struct role *r);
unsigned role_fetcher_up(struct role *r);
void role_fetcher_stopping(struct role *r);
unsigned role_fetcher_gone(struct role *r);
unsigned role_retry(const struct role *r); /* what ROLE_STAND asked for could not be done */
unsigned role_held(struct role *r, const char *token, int64_t deadline_ms, int64_t kill_ms);
unsigned role_lost(struct role *r);
unsigned role_demoted(struct role *r, const char *token);
unsigned role_token_lost(struct role *r, const char *token);
unsigned role_tick(struct role *r, int64_t now);
bool role_is_primary(const struct role *r);
