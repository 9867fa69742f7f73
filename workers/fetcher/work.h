/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work - what the parts of the fetcher share: its state, and what each part does to it.
 * fetcher.c calls all of them; learn.c and pass.c call send.c, which calls none.
 *
 * Owns:    see the members.
 * Blocks:  never.
 * Errors:  kept in the state, for the report.
 */
#pragma once

#include "common/worker/worker.h"
#include "workers/fetcher/publish/end.h"
#include "workers/fetcher/source/feed.h"
#include "workers/fetcher/publish/known.h"
#include "workers/fetcher/publish/outbox.h"
#include "workers/fetcher/removals.h"

#define FETCHER_RETRY_MS	1000	/* after a refusal of the server */
#define FETCHER_REFUSALS	30	/* of one page, standalone: then all is compared anew */
#define FETCHER_DRAIN_MS	1000	/* at the end, for what is on its way */
#define FETCHER_SOURCE_MS	30000	/* a source unheard for so long (or 3 delays) is down */
#define FETCHER_REFILL_MS	3600000 /* at most one refill in an hour because of a digest */
#define FETCHER_DOUBT_MS	10000 /* at most one look at the zone in this time because of it */
#define FETCHER_PURGE_ITEMS	1000  /* tombstones forgotten per pass */
#define FETCHER_QUARANTINE_TOLD 200   /* entries in a report */
#define FETCHER_DUE		64    /* words that wait for the rows before them to be sent */
#define FETCHER_SETTLE_MS	5000  /* between two looks at everything for that alone */
#define FETCHER_UNREAD_BYTES	4096  /* of names whose rows cannot be read, told in the zone */
#define FETCHER_MAPPING_VERSION 3     /* grows when the mapping makes other bytes of a row */

enum fetch_state { FETCH_IDLE, FETCH_HEAD, FETCH_LOADING, FETCH_WORKING, FETCH_STOPPING };

struct chore {	 /* an operation without a payload, sent when the outbox is empty */
	char op; /* 'K' keep, 'T' tombstone, 'R' the same, whole, 'P' purge */
	char *name;
	char *ref;	   /* NULL: none */
	uint64_t revision; /* P */
	char *version;	   /* T, R */
};

enum due_what {
	DUE_CURSOR, /* the rows so far bring cursor `field` to `value` */
	DUE_POLL,   /* a poll left nothing open, all that it found is written */
	DUE_CAUGHT  /* one that settled everything; `value`: the names it could not read */
};

struct due { /* to be written when all that came before it is */
	enum due_what what;
	char *field, *value;
	uint64_t seq;
};

struct fetcher {
	struct worker *w;
	Ipc__FetcherConfig *config; /* owned copy */
	struct end *end;
	struct feed *feed, *hello; /* the work; while there is none, is the source there? */
	enum fetch_state state;
	char token[END_TOKEN_BYTES];
	int64_t promoted_ms; /* boot time */
	int64_t deadline_ms;
	char mapping[20]; /* fingerprint of what decides contents */

	/* What the zone holds. */
	struct known known;
	struct table cursors;	/* field -> value, owned: of the zone, as loaded */
	struct digest said;	/* its sums, as it says they are */
	bool has_said, doubted; /* it says so; a follower cannot reach them, */
	int64_t doubted_ms;	/* and when that was last looked into */
	uint64_t learn_after;
	bool learn_old;	  /* the log set aside by a refill is being read */
	bool adopt;	  /* others may have written there: all keys are looked at, */
	uint64_t adopted; /* and so many learned */
	bool refill;	  /* everything is written anew, under a new lineage */
	bool reload;	  /* compare all again when there is a quiet moment */
	bool want_refill;
	int64_t refilled_ms;

	/* What the source says. */
	uint32_t pass;		       /* number of the full pass under way or last */
	int64_t begun_ms;	       /* boot time: its beginning, or that of a delta since */
	bool in_pass, comparing, lags; /* one that looks at everything; the one before may lag */
	int64_t lag_ms, lag_said; /* as old may be what is read, when a pass begins; in the zone */
	struct table lower;	 /* name -> number of the first pass in a row that found it older */
	struct table held;	 /* name -> struct held, owned */
	struct table quarantine; /* where -> struct quarantined, owned */
	size_t blocks[KIND__COUNT];
	struct removals removals;
	int64_t source_ok_ms;
	struct err source_err;
	bool reached;			  /* it was there when it was asked last */
	char notify[ERR_TEXT_BYTES + 16]; /* how it learns of changes between polls */
	enum pass_kind failed; /* the greatest that does since: only its like ends source_err */
	uint64_t rows;

	/* What goes out. */
	struct outbox outbox;
	struct chore *chores;
	size_t n_chores, cap_chores, next_chore;
	struct outbox_item *undeploy; /* of a reference: its children go first */
	struct due due[FETCHER_DUE];
	size_t n_due;
	char lineage_due[33];  /* of a refill that is to begin; "": none is */
	struct zone_page redo; /* what was found damaged of the last page; n 0: nothing */
	bool corrects;	       /* the zone says other sums than it holds */
	bool finish_refill;    /* when all is sent */
	bool refill_ends;      /* its pass is over; what the next one says waits for its end */
	bool caught;	       /* all is settled since this token, and the zone was told */
	char *unread;	       /* owned: what it was told then that could not be read */
	bool settled; /* the last look at everything left nothing open, nor did a delta since */
	bool settle_again; /* what kept a pass from settling everything may be over */
	int64_t whole_ms;  /* boot time: when the last such look ended */
	uint64_t polls;	   /* that left nothing open, of all tokens, as the zone counts them */
	struct err error;
	unsigned refusals; /* since the last page that was taken */
	uint64_t published, acked;
	bool asking_suspects;
	uv_timer_t retry, reconcile, drain, agree;
	int64_t drain_until_ms;
};
/* learn.c: a look at the zone, from learn_begin() until one of the others says true. */
void learn_begin(struct fetcher *f);
void learn_reset(struct fetcher *f);
void learn_state(void *arg, const struct end_state *s); /* hooks of the end */
void learn_refused(void *arg, const struct err *why);
bool learn_names(struct fetcher *f, const struct end_name *v, size_t n, bool last) MUST_USE;
void learn_check_sums(struct fetcher *f); /* puts them right, or wants a refill when doubted */
bool learn_found(struct fetcher *f, const struct end_found *v, size_t n,
		 const char *cursor) MUST_USE;
/* pass.c */
void pass_take(struct fetcher *f); /* as much as the outbox has room for */
void pass_reset(struct fetcher *f);
void pass_heard(struct fetcher *f, const struct feed_item *i); /* the END of any */
/* The zone is to be learned anew, and no pass is in the way. */
bool pass_reload_is_due(const struct fetcher *f);
void pass_ask_suspects(struct fetcher *f);
void pass_suspects(struct fetcher *f, const char *const *names, size_t n); /* the answer */
/* send.c */
void send_pump(struct fetcher *f);
void send_done(struct fetcher *f, struct zone_page *p, bool broken); /* it was taken */
void send_drop_chores(struct fetcher *f);
void send_chore(struct fetcher *f, char op, const char *name, const struct known_entry *e,
		const char *version);	     /* of a tombstone; NULL: none */
bool send_has_room(const struct fetcher *f); /* for what one item of the source may make due */
void send_cursor(struct fetcher *f, const char *field, const char *value);
void send_poll(struct fetcher *f);
void send_caught(struct fetcher *f, const char *unread);
bool send_idle(const struct fetcher *f);
void send_reset(struct fetcher *f);
