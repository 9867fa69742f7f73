/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/message/message.h"
#include "common/store/reader.h"
#include "common/worker/link.h"
#include "workers/cache/budget.h"
#include "workers/cache/doctor.h"
#include "workers/cache/follow/follower.h"
#include "workers/cache/http/http.h"
#include "workers/cache/local/intake.h"
#include "workers/cache/serve/serve.h"

/* --- a crash of ours leaves a word for the next start: look at the store first --- */

static const int crashes[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE };
static struct sigaction before[ARRAY_LEN(crashes)];
static char doubt_path[PATH_MAX];

/* Only calls that are allowed in a handler; then whoever was there before, or the default. */
static void on_crash(int sig, siginfo_t *info, void *context)
{
	int fd = open(doubt_path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	unsigned i;

	if (fd >= 0)
		(void)close(fd);
	UNUSED(info);
	UNUSED(context);
	for (i = 0; i < ARRAY_LEN(crashes); i++)
		if (crashes[i] == sig)
			(void)sigaction(sig, &before[i], NULL);
	/* Back to what crashed: it crashes again, with the handler of before. */
	if (sig == SIGABRT)
		(void)raise(sig);
}

static void watch_crashes(const char *store_dir)
{
	struct sigaction sa = { .sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	unsigned i;

	(void)snprintf(doubt_path, sizeof(doubt_path), "%s/" STORE_DOUBT, store_dir);
	for (i = 0; i < ARRAY_LEN(crashes); i++)
		(void)sigaction(crashes[i], &sa, &before[i]);
}

struct cache {
	struct worker *w;
	struct store *store;
	struct upstream *upstream;
	struct serve *serve;
	struct doctor *doctor;
	struct http *http; /* NULL: off */
	char *http_url;	   /* owned; where it listens */
	uv_async_t damaged;
	bool done;
};

/* Records that cannot be read are left out of every answer until there is a new store. */
static void mend(uv_async_t *a)
{
	struct cache *c = a->data;
	const char *why = "a record of the local store is damaged";
	struct err e = { 0 };

	if (c->done)
		return;
	if (store_is_lost(c->store)) {
		(void)err_set(&e, STORE_LOST,
			      "a write to the local store failed: it is opened anew");
		worker_fail(c->w, &e);
		return;
	}
	log_error(EV("record_damaged"), KV("generation", store_generation(c->store)));
	c->upstream->ops->resync(c->upstream, why);
}

/* In the middle of a read: not now. */
static void on_damaged(void *arg)
{
	struct cache *c = arg;

	(void)uv_async_send(&c->damaged);
}

static int on_resync(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct cache *c = self;

	UNUSED(e);
	if (!m->resync->accept_deletes)
		c->upstream->ops->resync(c->upstream, "asked by a person");
	else if (c->upstream->ops->accept != NULL)
		c->upstream->ops->accept(c->upstream);
	c->upstream->ops->resync(c->upstream, "asked by a person");
	return 0;
}

static int on_examine(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct cache *c = self;

	UNUSED(e);
	doctor_begin(c->doctor, m->examine->candidate);
	return 0;
}

static void on_examined(void *arg, const Ipc__Examined *found)
{
	struct cache *c = arg;

	worker_send(c->w, &found->base);
}

static const struct route rows[] = {
	[IPC__ENVELOPE__BODY_EXAMINE] = { FROM_SUPERVISOR, WORKER_UP, on_examine },
	[IPC__ENVELOPE__BODY_RESYNC] = { FROM_SUPERVISOR, WORKER_UP, on_resync },
};
static const struct route_table routes = { rows, ARRAY_LEN(rows) };

static void on_changed(void *arg, bool reset)
{
	struct cache *c = arg;

	serve_changed(c->serve, reset);
	worker_report(c->w);
}

static int open_http(struct cache *c, const Ipc__CacheConfig *cc, unsigned max, struct err *e)
{
	const struct http_about about = { c->store, c->upstream, worker_node(c->w), cc->node_id,
					  cc->zone };

	if (cc->http == NULL)
		return 0;
	c->http_url = mem_strdup(cc->http->address);
	return http_open(&c->http, c->w, max, cc->http, &about, e);
}

static int configure(void *arg, struct worker *w, const Ipc__Configure *conf, struct err *e)
{
	struct cache *c = arg;
	const Ipc__CacheConfig *cc = conf->cache;
	struct zone_conn *z;
	struct budget room;
	char aside[200];
	int rc;

	c->w = w;
	if (conf->part_case != IPC__CONFIGURE__PART_CACHE ||
	    (cc->redis == NULL) == (cc->local_socket[0] == '\0'))
		return err_set(e, ERR_CONFIG, "this is no configuration of a cache");
	room = budget_take(cc->http != NULL);
	watch_crashes(cc->store_dir);
	rc = store_open(&c->store, cc->store_dir, cc->store_map_bytes, aside, e);
	if (aside[0] != '\0')
		log_error(EV("store_set_aside"), KV("where", aside));
	if (rc == 0 && store_recovered(c->store))
		log_warn(EV("store_recovered"), KV("generation", store_generation(c->store)));
	if (rc == 0 && store_unchecked(c->store))
		log_warn(EV("store_unchecked"), KV("generation", store_generation(c->store)));
	if (rc == 0)
		rc = cc->redis == NULL ? intake_open(&c->upstream, w, cc, c->store, e)
				       : follower_open(&c->upstream, w, cc, c->store, e);
	if (rc == 0)
		rc = serve_open(&c->serve, w, room.clients, c->store, c->upstream, e);
	if (rc == 0)
		rc = open_http(c, cc, room.http, e);
	if (rc == 0) {
		z = c->upstream->ops->zone == NULL ? NULL : c->upstream->ops->zone(c->upstream);
		c->doctor = doctor_create(z, on_examined, c);
		c->upstream->changed = on_changed;
		c->upstream->changed_arg = c;
		CHECK(uv_async_init(worker_loop(w), &c->damaged, mend) == 0);
		c->damaged.data = c;
		store_on_damaged(c->store, on_damaged, c);
		worker_ready(w);
	}
	return rc;
}

static void report(void *arg, Ipc__Report *out)
{
	static Ipc__CacheReport r;
	struct cache *c = arg;

	if (c->upstream == NULL)
		return;
	ipc__cache_report__init(&r);
	c->upstream->ops->report(c->upstream, &r);
	r.behind = r.head_revision > r.revision ? r.head_revision - r.revision : 0;
	if (c->http != NULL)
		r.http = c->http_url;
	message_wrap(&out->base, &r.base);
}

static void stop(void *arg, bool lost)
{
	struct cache *c = arg;

	UNUSED(lost);
	if (c->done)
		return;
	c->done = true;
	http_close(&c->http);
	serve_close(&c->serve);
	if (c->upstream != NULL)
		c->upstream->ops->close(c->upstream);
	c->upstream = NULL;
	if (c->damaged.data != NULL)
		uv_close((uv_handle_t *)&c->damaged, NULL);
	doctor_free(&c->doctor);
	store_close(&c->store);
	mem_free(c->http_url);
	worker_done(c->w);
}

static void check(const Ipc__Configure *c, bool look, Ipc__Checked *out)
{
	if (look && c->part_case == IPC__CONFIGURE__PART_CACHE)
		link_check(c->cache->redis, out);
}

int main(int argc, char **argv)
{
	struct cache c = { 0 };
	struct worker_spec spec = { "cache", &routes, configure, report, stop, &c, 0, check };

	return worker_main(&spec, argc, argv);
}
