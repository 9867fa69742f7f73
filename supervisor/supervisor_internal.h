/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor_internal - what supervisor.c, resync.c, router.c, status.c and http_listen.c share,
 * each calling those behind it only. Not for anyone else.
 *
 * Owns: see supervisor.h. Blocks: never. Errors: none.
 */
#pragma once

#include "supervisor/dirs.h"
#include "supervisor/supervisor.h"

struct control;
struct reload;

enum { WORK_STATE, WORK_RUN, WORK_LOG, WORK__COUNT }; /* the directories; no log: no path */

struct supervisor {
	uv_loop_t *loop;
	struct options o;
	struct config *config; /* owned */
	struct slice slices[SLICE__COUNT];
	struct child *child[SLICE__COUNT];
	char *paths[SLICE__COUNT];     /* of the executables */
	char *log_paths[SLICE__COUNT]; /* NULL: stderr */
	char *cache_socket;	       /* path */
	int cache_listener;	       /* fd, handed to each cache process */
	int http_listener;	       /* likewise; -1: the technical API is off */
	char *http_url;		       /* where it listens; NULL: nowhere */
	char *http_wish;	       /* what the configuration asked for at the start */
	struct dir dirs[WORK__COUNT];
	struct err dir_err; /* why one that was removed could not be made anew; code 0: none */
	char node_id[RANDOM_HEX_BYTES];
	struct nonces nonces;
	struct err nonce_err; /* code 0: the last one was kept */
	struct role role;
	bool told_ready; /* the elector: see its Fitness */
	struct control *control;
	command_fn *answer;    /* to what it is asked */
	uv_timer_t role_timer; /* kill time of the fetcher */
	uv_timer_t beat;       /* what is looked at now and then */
	uv_timer_t watchdog;
	uv_signal_t signals[5];
	struct death deaths[SUPERVISOR_DEATHS];
	size_t n_deaths; /* since start */
	int64_t started_ms;
	struct reload *reload; /* under way; NULL: none */
	bool reload_again;     /* the file may have changed since it was read */
	char reload_zone[256]; /* another one that a person says it may enter; "": none */
	bool stopping;
	bool announced; /* READY=1 was sent */
	char notified[300];
};

/* router.c: between elector and fetcher */
extern const struct route_table router_routes;
void router_up(struct supervisor *s, struct child *c);
void router_report(struct supervisor *s, struct child *c); /* a new one came */
void router_stopping(void *s, struct child *c);		   /* as a hook of the child */
void router_gone(struct supervisor *s, struct child *c);
void router_beat(struct supervisor *s); /* now and then: word about the fetcher to the elector */

/* status.c */
bool supervisor_publishes(const struct supervisor *s);		/* its fetcher reads the source */
bool supervisor_sees_java(struct supervisor *s);		/* or may, for all we know */
const Ipc__CacheReport *status_cache(struct supervisor *s);	/* its last one, or NULL */
const Ipc__FetcherReport *status_fetcher(struct supervisor *s); /* likewise */
void status_notify(struct supervisor *s);			/* to systemd, when it changed */

/* http_listen.c: the technical API's listener stays open while caches come and go */
char *
http_listen_wish(const struct config *c) MUST_USE; /* what it asks for, as a text to compare */
int http_listen_open(struct supervisor *s, struct err *e) MUST_USE;
/* A socket that gateways ask at, this one or the cache's, to their group. */
int http_listen_give(const struct supervisor *s, const char *path, struct err *e) MUST_USE;
const char *http_listen_path(const struct supervisor *s); /* NULL: it listens on no Unix socket */
void http_listen_close(struct supervisor *s);
