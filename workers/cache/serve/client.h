/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client - one connection to the cache's socket: what serve's files share. Not for others.
 *
 *	serve.c		connections, timers, and who is to be cut off
 *	request.c	requests that are answered at once
 *	waits.c		those that are not: waits and watches
 *	pages.c		replies, pages of events, and answers too large for one Reply
 *
 * Each calls those behind it.
 *
 * Owns:    a client owns its channel, its pending requests and its streams.
 * Blocks:  never, but for page faults of the store.
 * Errors:  a function that sends returns ERR_BUSY when the client does not read, ERR_DAMAGED,
 *          or what chan_send() does: client_end() then. Only serve.c frees a client.
 */
#pragma once

#include "common/ipc/chan.h"
#include "common/ipc/listener.h"
#include "common/store/reader.h"
#include "gateway.pb-c.h"
#include "workers/cache/serve/resolve.h"
#include "workers/cache/serve/serve.h"

struct pending { /* a watch or a wait that is not over */
	uint64_t id;
	bool is_watch;
	bool payloads;
	char lineage[LINEAGE_BYTES]; /* "": any */
	uint64_t revision;	     /* watch: sent so far; wait: wanted */
	int64_t until_ms;	     /* wait: boot time */
};

struct client {
	struct serve *s;
	struct chan *chan;
	struct pending *pending; /* owned array */
	size_t n, cap;
	struct page_stream *streams; /* owned, in the order of their requests */
	unsigned n_streams;
	uint64_t place; /* in the line of those who wait to begin a large answer; 0: none */
	bool turn;	/* it is its turn */
	unsigned
		idle; /* ticks of the loop without progress: not time, in which the loop may stand */
	size_t counted;	  /* of its queue, in the sum of all */
	uint64_t taken;	  /* of chan_taken_bytes(), at the last tick that saw it grow */
	int64_t until_ms; /* boot time at which it is cut off, or, when `parting`, closed */
	bool parting;	  /* its last Reply is queued: nothing is read or answered any more */
	struct client *next;
};

struct serve {
	struct worker *w;
	struct store *store;
	struct upstream *upstream;
	struct listener *listener;	/* owned */
	uv_timer_t timer;		/* of the waits, */
	uv_timer_cb on_timer;		/* one of which is due */
	uv_timer_t tick;		/* of slow clients, while there are clients */
	struct resolve_answer resolved; /* of the request being answered: keeps its room */
	bool full;			/* was told */
	uv_idle_t next_turn;		/* large answers are begun one in a turn of the loop */
	uv_idle_cb on_turn;
	uint64_t last_place;
	size_t large_bytes;  /* of large answers under way */
	size_t unread_bytes; /* queued for all clients, as last counted */
	struct client *clients;
	unsigned n, max;
	unsigned handles;
};

/* --- pages.c --- */

/* A reply in the making: events and the strings they point to. */
struct page_out {
	Gateway__Event *events;
	Gateway__Event **list;
	size_t n, bytes;
	size_t read;				 /* of payloads */
	struct buf texts[SERVE_PAGE_EVENTS + 1]; /* id, ref, version and payload of each */
	bool payloads;
	size_t limit;
	bool may_be_large;
	bool tombstones;
	uint64_t last;	/* revision */
	uint64_t after; /* a Watch: the revision before its first */
};

struct told { /* where the store is, and what that points at */
	Gateway__Position p;
	struct position at;
	char digest[DIGEST_TEXT_BYTES];
};

void tell_position(struct serve *s, struct store_view *v, struct told *out);
int send_reply(struct client *c, const Gateway__Reply *m) MUST_USE;
int send_simple(struct client *c, uint64_t id, Gateway__Code code, const char *error) MUST_USE;

#define PAGE_FULL  1	       /* what add_entry() returns to stop */
#define PAGE_LARGE STORE_LARGE /* the next is large, and it is not this client's turn */

/* What is read from the view until the next page is for this one. */
struct page_out *page_new(const struct client *c, struct store_view *v, bool payloads,
			  size_t limit) MUST_USE;
/* What a walk with add_entry() returned; PAGE_LARGE only of an empty page: send_later(). */
int page_result(const struct page_out *p, int rc);
void page_free(struct page_out *p);
int add_entry(void *page, const struct store_entry *entry); /* a store_each_fn */

/* Takes the page. */
int send_page(struct client *c, struct page_out *p, Gateway__Reply *m) MUST_USE;
/* The request is answered when it is this client's turn to begin a large answer. */
int send_later(struct client *c, const Gateway__Request *req) MUST_USE;
/* It is: what was asked for, the caller's; NULL: nothing that is not begun. */
Gateway__Request *take_later(struct client *c) MUST_USE;
int pump_streams(struct client *c) MUST_USE; /* sends on as long as the client reads */
void drop_streams(struct client *c);
size_t pump_bytes(const struct client *c); /* watches and large answers go on below it */

void count_unread(struct client *c); /* after each change of its queue that is ours */
void get_in_line(struct client *c);  /* for a large answer */

/*
 * Cuts the client off: drops what it waits for, queues a last Reply and closes when that was
 * read, or after SERVE_LINGER_MS. The client is not freed before the loop turns.
 */
void client_part(struct client *c, Gateway__Code code, const char *why);

/* The same for an error of a function that sends. False: nothing can be said, it is to go. */
bool client_end(struct client *c, int rc) MUST_USE;

/* --- request.c --- */

/* What was put off, now that it is its turn. */
int begin_later(struct client *c, struct store_view *v) MUST_USE;
int client_message(void *client, const uint8_t *body, size_t n, struct err *e) MUST_USE;

/* --- waits.c --- */

int on_watch(struct client *c, struct store_view *v, const Gateway__Request *req) MUST_USE;
int on_wait(struct client *c, struct store_view *v, const Gateway__Request *req) MUST_USE;
void watch_lost(struct pending *p); /* its revision is none of the history here */
void arm(struct serve *s);	    /* sets the timer for the next wait that is due */
int pump_client(struct client *c, struct store_view *v) MUST_USE;
