/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/local/intake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/random.h"
#include "common/ipc/chan.h"
#include "common/ipc/listener.h"
#include "common/message/message.h"
#include "workers/cache/local/words.h"

#define LOCAL_EPOCH "0:"       /* of tokens of this mode: no lease ever has it */
#define PAGE_SLACK  (2U << 20) /* of a page besides its largest entity */
#define TEND_MS	    5000

struct intake {
	struct upstream base;
	struct worker *w;
	struct store *store; /* not owned */
	struct keeper *keeper;
	char *path;
	struct listener *listener; /* owned */
	uv_timer_t tend;
	unsigned handles;
	size_t parcel_max_bytes;
	/* The publisher. */
	struct chan *chan;
	char token[TOKEN_BYTES];
	struct buf parcel;		     /* a request in the making */
	Local__Request *queue[INTAKE_QUEUE]; /* owned */
	size_t n;
	uint64_t number; /* of the last page that was applied */
	bool refilling;
	bool refill_due;      /* what is held is damaged, or not wanted: nothing else is taken */
	struct position next; /* of the generation that a refill fills */
	bool caught;	      /* this publisher has said so, of this lineage */
	unsigned serial;      /* of the connection */
	unsigned job_serial;  /* of the one the job is of */
	/* What is told. */
	struct position position;
	bool proven;
	int64_t applied_ms;
	uint64_t progress;
	uint64_t errors;
	struct err error;
};

static void next(struct intake *k);

static struct intake *self_of(struct upstream *u)
{
	return (struct intake *)u;
}

/* --- the connection --- */

static void drop_queue(struct intake *k)
{
	while (k->n > 0)
		local__request__free_unpacked(k->queue[--k->n], NULL);
	buf_reset(&k->parcel);
}

static void hang_up(struct intake *k)
{
	chan_close(&k->chan);
	drop_queue(k);
	k->serial++;
	k->number = 0;
	k->refilling = false;
	k->caught = false;
	k->token[0] = '\0';
	if (k->proven) {
		k->proven = false; /* it serves on, and nobody says that it is the newest */
		worker_report(k->w);
	}
}

static void protocol_error(struct intake *k, const char *why)
{
	log_error(EV("publisher_refused"), KV("err", why));
	hang_up(k);
}

static void send_answer(void *arg, const ProtobufCMessage *body)
{
	Local__Answer m = LOCAL__ANSWER__INIT;
	struct intake *k = arg;

	message_wrap(&m.base, body);
	if (k->chan != NULL && chan_send(k->chan, &m.base) < 0)
		protocol_error(k, "it does not read its answers");
}

static struct words_sink sink(struct intake *k)
{
	return (struct words_sink){ send_answer, k };
}

/* --- questions --- */

/* What another mode made is nothing of ours, nor is what is to be built anew: it serves until
   a refill is complete. */
static bool is_ours(const struct intake *k)
{
	return !k->refill_due && str_starts(k->position.token, LOCAL_EPOCH);
}

/* The publisher comes back, finds nothing that it could go on with, and refills. */
static void want_refill(struct intake *k)
{
	k->refill_due = true;
	hang_up(k);
}

static void take_damage(struct intake *k, const char *why)
{
	log_error(EV("store_damaged"), KV("err", why));
	want_refill(k);
}

static void answer_hello(struct intake *k)
{
	const struct words_sink to = sink(k);
	struct store_view *v = NULL;
	struct err e = { 0 };

	if (store_view_open(k->store, &v, &e) < 0) { /* it is not empty for that */
		protocol_error(k, e.text);
		return;
	}
	words_state(v, is_ours(k) ? &k->position : NULL, k->token, &to);
	store_view_close(&v);
}

static void answer_names(struct intake *k, uint64_t after)
{
	const struct words_sink to = sink(k);
	struct store_view *v = NULL;
	struct err e = { 0 };
	bool whole;

	if (store_view_open(k->store, &v, &e) < 0) {
		protocol_error(k, e.text);
		return;
	}
	whole = words_names(v, after, k->refill_due, &to);
	store_view_close(&v);
	if (!whole)
		take_damage(k, "a record cannot be read");
}

/* --- pages --- */

static void answer_page(struct intake *k, Local__Outcome outcome, const char *error)
{
	const struct words_sink to = sink(k);

	words_written(outcome, error, &to);
}

/* Is it for what it would be written into: the generation that serves, or that of a refill? */
static bool fits(const struct intake *k, const Local__Page *p)
{
	const struct position *at = k->refilling ? &k->next : &k->position;

	return p->number == k->number + 1 &&
	       (p->begins || (p->after == at->revision && str_equal(p->was, at->lineage)));
}

static const char *aim(const struct intake *k, struct keeper_job *job)
{
	bool refill = k->refilling || job->begin_next;

	job->target = refill ? STORE_NEXT : STORE_CURRENT;
	if (!refill && job->end_next)
		return "the end of a refill that it did not begin";
	return refill || is_ours(k) ? NULL : "it writes into what it did not make";
}

static void take_page(struct intake *k, Local__Request *r)
{
	bool begins = r->page->begins;
	bool caught = r->page->caught;
	struct position *to;
	struct keeper_job *job;
	const char *wrong;

	if (!fits(k, r->page)) {
		answer_page(k, LOCAL__OUTCOME__LOST, NULL);
		local__request__free_unpacked(r, NULL);
		return;
	}
	job = words_job(r);
	if (job == NULL) {
		protocol_error(k, "a malformed page");
		return;
	}
	/* In a refill it is said before the end. */
	k->caught = caught || (k->caught && !begins);
	to = &job->batch.position;
	str_copy(to->token, sizeof(to->token), k->token);
	wrong = aim(k, job);
	if (wrong != NULL) {
		keeper_job_free(job);
		protocol_error(k, wrong);
		return;
	}
	k->job_serial = k->serial;
	keeper_do(k->keeper, job);
}

/* --- the store's thread came back --- */

static void refused(struct intake *k, const struct keeper_job *job, bool mine)
{
	if (!str_equal(k->error.text, job->err.text))
		log_error(EV("publish_failed"), KV("err", job->err.text));
	k->error = job->err;
	k->errors++;
	if (mine && job->begin_next)
		k->refilling = false; /* what was begun before is gone as well */
	if (job->rc == ERR_DAMAGED)
		take_damage(k, job->err.text);
	else if (mine)
		answer_page(k, LOCAL__OUTCOME__REFUSED, job->err.text);
	worker_report(k->w);
}

static void published(struct intake *k, struct keeper_job *job)
{
	bool mine = k->job_serial == k->serial;
	bool reset = job->end_next;

	if (job->rc < 0) {
		refused(k, job, mine);
		return;
	}
	k->error = (struct err){ 0 };
	if (job->end_next) {
		store_adopt(k->store);
		k->refill_due = false;
		log_note(EV("refilled"), KV("count", job->after.digest.count),
			 KV("generation", store_generation(k->store)));
	}
	if (job->target == STORE_NEXT)
		k->next = job->after;
	if (job->target == STORE_CURRENT || job->end_next) {
		k->position = job->after;
		k->applied_ms = clock_wall_ms();
		if (k->base.changed != NULL)
			k->base.changed(k->base.changed_arg, reset);
	}
	k->progress++;
	if (!mine)
		return;
	k->number++;
	k->refilling = (k->refilling || job->begin_next) && !job->end_next;
	if (k->caught && !k->refilling && !k->proven) {
		k->proven = true;
		log_note(EV("proven"), KV("revision", k->position.revision),
			 KV("count", k->position.digest.count));
	}
	answer_page(k, LOCAL__OUTCOME__OK, NULL);
	if (k->proven)
		worker_report(k->w);
}

static void on_kept(void *arg, struct keeper_job *job)
{
	struct intake *k = arg;

	if (job->what == KEEPER_WRITE)
		published(k, job);
	next(k);
}

/* One request after the other; nothing is answered while a page is on the disk. */
static void next(struct intake *k)
{
	while (k->n > 0 && !keeper_busy(k->keeper)) {
		Local__Request *r = k->queue[0];

		memmove(&k->queue[0], &k->queue[1], --k->n * sizeof(k->queue[0]));
		switch (r->body_case) {
		case LOCAL__REQUEST__BODY_HELLO:
			answer_hello(k);
			break;
		case LOCAL__REQUEST__BODY_NAMES:
			answer_names(k, r->names->after);
			break;
		case LOCAL__REQUEST__BODY_PAGE:
			take_page(k, r);
			continue; /* it is the job's, or freed */
		default:
			protocol_error(k, "an unknown request");
			break;
		}
		local__request__free_unpacked(r, NULL);
	}
}

/* --- what comes in --- */

static int take_chunk(struct intake *k, const Local__Chunk *c, struct err *e)
{
	Local__Request *r;

	if (k->parcel.len + c->data.len > k->parcel_max_bytes)
		return err_set(e, ERR_PROTO, "a request of more than %zu bytes",
			       k->parcel_max_bytes);
	buf_add(&k->parcel, c->data.data, c->data.len);
	if (!c->last)
		return 0;
	r = local__request__unpack(NULL, k->parcel.len, (const uint8_t *)k->parcel.data);
	buf_reset(&k->parcel);
	if (r == NULL || k->n == INTAKE_QUEUE) {
		local__request__free_unpacked(r, NULL);
		return err_set(e, ERR_PROTO, "more than %d requests at once, or none",
			       INTAKE_QUEUE);
	}
	k->queue[k->n++] = r;
	return 0;
}

static int on_message(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	struct intake *k = arg;
	Local__Request *m = local__request__unpack(NULL, n, body);
	int rc = ERR_PROTO;

	if (m != NULL && m->body_case == LOCAL__REQUEST__BODY_CHUNK)
		rc = take_chunk(k, m->chunk, e);
	else
		(void)err_set(e, ERR_PROTO, "no chunk of a request");
	local__request__free_unpacked(m, NULL);
	if (rc == 0)
		next(k);
	return rc;
}

static void on_gone(void *arg, const struct err *why)
{
	struct intake *k = arg;

	log_note(EV("publisher_gone"), KV("err", why->text));
	hang_up(k);
}

static bool is_our_user(struct chan *c)
{
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t n = sizeof(who);

	return getsockopt(chan_fd(c), SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
	       who.uid == geteuid();
}

static void on_connect(void *arg, uv_stream_t *from)
{
	struct intake *k = arg;
	const struct chan_hooks h = { k, on_message, on_gone, NULL };
	struct chan *c = NULL;
	struct err e = { 0 };
	char hex[RANDOM_HEX_BYTES];

	if (chan_accept(&c, from, &h, &e) < 0)
		return;
	if (!is_our_user(c)) {
		log_error(EV("publisher_refused"), KV("err", "it is of another user"));
		chan_close(&c);
		return;
	}
	hang_up(k);
	random_hex(hex);
	(void)snprintf(k->token, sizeof(k->token), LOCAL_EPOCH "%s", hex);
	k->chan = c;
	log_note(EV("publisher"), KV("token", k->token));
}

/* --- upstream --- */

static void report(const struct upstream *u, Ipc__CacheReport *out)
{
	const struct intake *k = (const struct intake *)u;
	static char digest[DIGEST_TEXT_BYTES];
	const struct position *p = &k->position;
	bool serving = p->lineage[0] != '\0';

	digest_text(digest, &p->digest);
	out->state = (char *)(uintptr_t)(k->refilling	   ? "resyncing"
					 : k->chan == NULL ? "waiting"
					 : serving	   ? "following"
							   : "starting");
	out->lineage = (char *)(uintptr_t)p->lineage;
	out->revision = p->revision;
	out->count = p->digest.count;
	out->digest = digest;
	out->head_revision = p->revision;
	out->proven = k->proven;
	out->serving = serving;
	out->error = (char *)(uintptr_t)k->error.text;
	out->generation = store_generation(k->store);
	out->applied_ms = k->applied_ms;
	out->reads = k->progress;
	out->read_ms = k->applied_ms;
	out->errors = k->errors;
}

static bool proven(const struct upstream *u)
{
	return ((const struct intake *)u)->proven;
}

static void resync(struct upstream *u, const char *why)
{
	log_note(EV("resync_begin"), KV("why", why));
	want_refill(self_of(u));
}

/* A socket of an earlier process of ours may lie there: the run directory is locked. */
static int listen_at(struct intake *k, struct err *e)
{
	const struct listener_hooks hooks = { k, on_connect };
	int rc;

	listener_close(&k->listener);
	k->listener = listener_create(worker_loop(k->w), &hooks);
	(void)unlink(k->path);
	rc = uv_pipe_bind(listener_pipe(k->listener), k->path);
	if (rc == 0 && chmod(k->path, 0600) < 0)
		rc = UV_EACCES;
	if (rc < 0)
		return err_set(e, rc, "listen on %s: %s", k->path, uv_strerror(rc));
	return listener_start(k->listener, 1, e);
}

/* The path may be gone: the next fetcher would find nobody there. */
static void tend_path(struct intake *k)
{
	struct err e = { 0 };

	if (access(k->path, F_OK) == 0 || errno != ENOENT)
		return;
	if (listen_at(k, &e) < 0)
		log_error(EV("local_socket"), KV("err", err_text(&e)));
	else
		log_warn(EV("local_socket_made_anew"), KV("path", k->path));
}

static void on_tend(uv_timer_t *t)
{
	struct intake *k = t->data;
	struct keeper_job *job;

	tend_path(k);
	if (keeper_busy(k->keeper))
		return;
	job = keeper_job_new(KEEPER_TEND);
	job->drop_next = !k->refilling;
	keeper_do(k->keeper, job);
}

static void on_handle_closed(uv_handle_t *h)
{
	struct intake *k = h->data;

	if (--k->handles > 0)
		return;
	mem_free(k->path);
	mem_free(k);
}

static void close_it(struct upstream *u)
{
	struct intake *k = self_of(u);

	hang_up(k);
	keeper_close(&k->keeper);
	(void)unlink(k->path);
	listener_close(&k->listener);
	uv_close((uv_handle_t *)&k->tend, on_handle_closed);
}

int intake_open(struct upstream **out, struct worker *w, const Ipc__CacheConfig *c, struct store *s,
		struct err *e)
{
	static const struct upstream_ops ops = {
		.report = report, .proven = proven, .resync = resync, .close = close_it
	};
	struct intake *k = mem_zalloc(sizeof(*k));

	k->base.ops = &ops;
	k->w = w;
	k->store = s;
	k->path = mem_strdup(c->local_socket);
	k->parcel_max_bytes = c->entity_max_bytes + PAGE_SLACK;
	store_position(s, &k->position);
	CHECK(uv_timer_init(worker_loop(w), &k->tend) == 0);
	k->handles = 1;
	k->tend.data = k;
	CHECK(uv_timer_start(&k->tend, on_tend, TEND_MS, TEND_MS) == 0);
	k->keeper = keeper_open(worker_loop(w), s, on_kept, k);
	*out = &k->base;
	return listen_at(k, e);
}
