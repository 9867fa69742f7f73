/* SPDX-License-Identifier: Apache-2.0 */
/*
 * end - the other end of a publisher: a zone in Redis (end_zone.c), or the cache of this
 * node (end_local.c, zone-protocol 7). The fetcher asks it what it holds, and gives it pages.
 *
 * Answers come through the hooks, on the loop, for the newest question only; none comes
 * after end_close(). When a connection is lost its questions are: ask again in `up`.
 *
 * Owns:    the connection, the page on its way.
 * Blocks:  never.
 * Errors:  hooks.down when the connection is lost; hooks.refused when an answer is an error;
 *          over and trouble: of pages, as zone_sink.h says.
 */
#pragma once

#include "common/base/table.h"
#include "ipc.pb-c.h"
#include "workers/fetcher/publish/page.h"

struct worker;
struct end;

struct end_state {
	const char *lineage; /* "": nothing was ever written there */
	uint64_t revision, horizon;
	bool complete;	      /* false: a refill was not finished */
	bool empty;	      /* one found nothing */
	const char *accepted; /* removals that a person took; NULL: among the cursors */
	const char *mapping;  /* fingerprint of what it was made with */
	const char *const *cursor_fields;
	const char *const *cursor_values;
	size_t n_cursors;
	bool java;		   /* a Java primary wrote there last */
	uint64_t polls;		   /* of the source, as counted there */
	int64_t lag_ms;		   /* of their reads, as said there */
	const struct digest *sums; /* count and digest as it says; NULL: they cannot be wrong */
};

struct end_name { /* borrowed */
	const char *name;
	uint64_t revision;
	struct hash hash; /* b[0] == 0: lost */
	const char *version;
	const char *kind;
	const char *id;
	int64_t updated_ms;
};

struct end_found { /* borrowed; an event of this zone, whoever wrote it */
	const char *name;
	const char *kind;
	const char *id;
	const char *action;
	struct hash hash; /* of ours, as it stands there; b[0] == 0: none */
	const void *payload;
	size_t payload_len;
};

struct end_hooks {
	void *arg;
	void (*up)(void *arg, const char *token); /* token: to write with; NULL: the lease's */
	void (*down)(void *arg, const struct err *why);
	void (*state)(void *arg, const struct end_state *s);
	/* A page in the order of revisions; `last`: there is no further one. */
	void (*names)(void *arg, const struct end_name *v, size_t n, bool last);
	/* An answer to ask_found(), whose cursor the next question has; "0": that was all. */
	void (*found)(void *arg, const struct end_found *v, size_t n, const char *cursor);
	void (*suspects)(void *arg, const char *const *names, size_t n); /* damaged there */
	void (*refused)(void *arg, const struct err *why);
	/* The page was taken; what is damaged of it is to be written again. `broken`: more than
	   records is wrong there. The caller keeps what it takes out of the page. */
	void (*written)(void *arg, struct zone_page *p, bool broken);
	void (*over)(void *arg, const struct err *why);
	void (*trouble)(void *arg, const struct err *why);
};

struct end_ops {
	bool (*is_up)(const struct end *e);
	void (*ask_state)(struct end *e);
	/* Behind a revision; `old`: of what an unfinished refill set aside. */
	void (*ask_names)(struct end *e, bool old, uint64_t after);
	/* All there is, step by step from "0"; NULL where nobody else can have written. */
	void (*ask_found)(struct end *e, const char *cursor);
	bool (*ask_suspects)(struct end *e); /* false: not now, or there are none */
	/* It may be named again. NULL where there are never any. */
	void (*settle_suspect)(struct end *e, const char *name);
	void (*fail)(struct end *e, const struct err *why); /* closes; it comes up again */
	void (*begin)(struct end *e, const char *token);    /* to write with */
	void (*extend)(struct end *e, int64_t deadline_boot_ms);
	bool (*is_free)(const struct end *e); /* for a page */
	/* Takes the page over. `more`: the next one follows at once. */
	void (*write)(struct end *e, struct zone_page *p, bool more);
	void (*retry)(struct end *e); /* what was refused */
	void (*close)(struct end *e);
};

struct end {
	const struct end_ops *ops;
	struct end_hooks hooks;
	char *index;   /* owned: of the index for other readers, as last seen; or NULL */
	bool followed; /* by others, who want to know of each poll */
};

#define END_NAMES	1000	    /* in one page */
#define END_FOUND_BYTES (16U << 20) /* of payloads in one answer to ask_found() */

int end_zone_open(struct end **out, struct worker *w, const Ipc__FetcherConfig *c,
		  const struct end_hooks *h, struct err *e) MUST_USE;
int end_local_open(struct end **out, struct worker *w, const Ipc__FetcherConfig *c,
		   const struct end_hooks *h, struct err *e) MUST_USE;
