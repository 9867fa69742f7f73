/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/model/kind.h"
#include "supervisor/cli/query.h"
#include "supervisor/cli/print.h"

#define KIND_BYTES    64
#define WAIT_SLICE_MS 30000 /* one question of `wait`; the cache may have a limit of its own */
#define WAIT_PAUSE_MS 200   /* before the next one, when there was no data */

static int kind_of(struct cli *c, char *kind)
{
	enum kind known;

	if (c->args.n_words == 0) {
		kind[0] = '\0';
		return 0;
	}
	if (lines_kind(kind, KIND_BYTES, c->args.word[0]) && kind_parse(kind, strlen(kind), &known))
		return 0;
	return cli_fail(EX_USAGE, "there is no type %s; see `zonesync help list`", c->args.word[0]);
}

/* The id in --ref; *ref is NULL when it was not given. */
static int ref_of(struct cli *c, const char **ref)
{
	const char *given = args_value(&c->args, "--ref");

	*ref = given == NULL ? NULL : args_ref_id(given);
	if (given != NULL && *ref == NULL)
		return cli_fail(EX_USAGE, "--ref wants API:ID");
	return 0;
}

/* What `get` and `list` begin with; 0 or the exit code. */
static int begin(struct query *q, struct cli *c, char *kind, const char **ref)
{
	if (kind_of(c, kind) != 0 || ref_of(c, ref) != 0)
		return EX_USAGE;
	return query_open(q, c->socket);
}

/* --- get --- */

static int gather_reply(void *arg, const Gateway__Reply *r, int code, struct err *e)
{
	size_t i;

	for (i = 0; code == 0 && i < r->n_events; i++)
		code = gather_add(arg, r->events[i], e);
	return code;
}

static int too_many(const struct gather *g)
{
	struct buf refs = { 0 };
	size_t i;

	for (i = 0; i < g->n && i < 10; i++)
		buf_printf(&refs, " --ref API:%s", g->item[i].ref);
	(void)cli_fail(CLI_NO, "%zu entities have this id; choose one with%s%s", g->n,
		       buf_cstr(&refs), g->n > 10 ? " ..." : "");
	buf_reset(&refs);
	return CLI_NO;
}

static int print_one(struct gather *g, const char *ref)
{
	struct entity *found = NULL;
	size_t i;

	for (i = 0; i < g->n; i++)
		if (ref == NULL || str_equal(ref, args_ref_id(g->item[i].ref)))
			found = &g->item[i];
	if (found == NULL)
		return cli_fail(CLI_NO, "there is no such entity");
	if (ref == NULL && g->n > 1)
		return too_many(g);
	/* Bytes are exact in a pipe; a prompt behind them helps nobody at a terminal. */
	if (isatty(STDOUT_FILENO))
		buf_addc(&found->payload, '\n');
	cli_print(&found->payload);
	return CLI_OK;
}

int verb_get(struct cli *c)
{
	char kind[KIND_BYTES];
	const char *ref = NULL;
	struct gather g = { 0 };
	struct err e = { 0 };
	struct query q;
	Gateway__Get get = GATEWAY__GET__INIT;
	int rc = begin(&q, c, kind, &ref);

	if (rc != 0)
		return rc;
	get.kind = kind;
	get.entity_id = (char *)(uintptr_t)c->args.word[1];
	rc = query_run(&q, &get.base, gather_reply, &g, &e);
	if (rc == 0)
		rc = gather_end(&g, &e);
	if (rc > 0)
		rc = cli_fail(rc, "%s %s: %s", kind, get.entity_id, e.text);
	else
		rc = rc < 0 ? query_fail(&q, rc, &e) : print_one(&g, ref);
	gather_reset(&g);
	query_close(&q);
	return rc;
}

/* --- list --- */

struct listing {
	bool json;
	char *next; /* owned; what the page to come begins behind; NULL: there is none */
	unsigned left_out;
};

static int print_entities(void *arg, const Gateway__Reply *r, int code, struct err *e)
{
	struct listing *l = arg;
	struct buf out = { 0 };
	size_t i;

	UNUSED(e);
	for (i = 0; i < r->n_events; i++) {
		if (l->json)
			lines_json(&out, r->events[i], "");
		else
			lines_entity(&out, r->events[i]);
	}
	if (!r->more)
		l->left_out += r->left_out;
	if (r->next[0] != '\0') {
		mem_free(l->next);
		l->next = mem_strdup(r->next);
	}
	cli_print(&out);
	return code;
}

static int list_pages(struct query *q, Gateway__List *list, bool json)
{
	struct listing l = { .json = json };
	struct err e = { 0 };
	char *after = NULL;
	int rc;

	do {
		mem_free(after);
		after = l.next;
		l.next = NULL;
		if (after != NULL)
			list->after = after;
		rc = query_run(q, &list->base, print_entities, &l, &e);
		/* A cache that names the same page again would keep us here for ever. */
		if (rc == 0 && l.next != NULL && str_equal(l.next, after))
			rc = cli_fail(EX_PROTOCOL, "the cache repeats a page");
		else if (rc != 0)
			rc = query_fail(q, rc, &e);
	} while (rc == 0 && l.next != NULL);
	if (rc == 0 && l.left_out > 0)
		rc = cli_fail(EX_UNAVAILABLE,
			      "left out: %u damaged records; the local store is built anew",
			      l.left_out);
	mem_free(after);
	mem_free(l.next);
	return rc;
}

int verb_list(struct cli *c)
{
	char kind[KIND_BYTES];
	const char *ref = NULL;
	struct query q;
	Gateway__List list = GATEWAY__LIST__INIT;
	int rc = begin(&q, c, kind, &ref);

	if (rc != 0)
		return rc;
	list.kind = kind;
	if (ref != NULL)
		list.ref = (char *)(uintptr_t)ref;
	rc = list_pages(&q, &list, args_has(&c->args, "--json"));
	query_close(&q);
	return rc;
}

/* --- watch --- */

struct watching {
	bool json;
	char *lineage; /* owned; as last told */
	uint64_t revision;
};

static int print_changes(void *arg, const Gateway__Reply *r, int code, struct err *e)
{
	struct watching *w = arg;
	struct buf out = { 0 };
	size_t i;

	UNUSED(e);
	if (r->position != NULL && r->position->lineage[0] != '\0') {
		mem_free(w->lineage);
		w->lineage = mem_strdup(r->position->lineage);
	}
	for (i = 0; i < r->n_events; i++) {
		w->revision = r->events[i]->revision;
		if (w->json)
			lines_json(&out, r->events[i], w->lineage);
		else
			lines_change(&out, r->events[i]);
	}
	cli_print(&out);
	return code;
}

static int watch_on(struct query *q, const Gateway__Watch *watch, struct watching *w)
{
	struct err e = { 0 };
	int rc = query_run(q, &watch->base, print_changes, w, &e);

	if (rc == -EPIPE || rc == -ECONNRESET) {
		(void)err_set(&e, rc, "the cache closed the connection");
		rc = EX_UNAVAILABLE;
	}
	if (rc == EX_UNAVAILABLE && w->revision > 0 && w->lineage[0] != '\0')
		return cli_fail(rc, "%s; go on with --from %s:%" PRIu64, e.text, w->lineage,
				w->revision);
	return query_fail(q, rc, &e);
}

int verb_watch(struct cli *c)
{
	const char *from = args_value(&c->args, "--from");
	struct watching w = { .json = args_has(&c->args, "--json"), .lineage = mem_strdup("") };
	struct query q;
	Gateway__Watch watch = GATEWAY__WATCH__INIT;
	int rc;

	if (from != NULL && !args_is_position(from))
		rc = cli_fail(EX_USAGE, "--from wants LINEAGE:REVISION or a revision, not `%s`",
			      from);
	else
		rc = query_open(&q, c->socket);
	if (rc == 0) {
		if (from != NULL)
			watch.from = (char *)(uintptr_t)from;
		q.timeout_ms = -1;
		rc = watch_on(&q, &watch, &w);
		query_close(&q);
	}
	mem_free(w.lineage);
	return rc;
}

/* --- wait --- */

static int print_position(void *arg, const Gateway__Reply *r, int code, struct err *e)
{
	const char *asked = arg;
	struct buf out = { 0 };

	UNUSED(e);
	if (r->code == GATEWAY__CODE__UNAVAILABLE || r->code == GATEWAY__CODE__BUSY)
		return ERR_BUSY; /* for now */
	if (code == 0 && r->position != NULL) {
		text_clean(&out, r->position->lineage);
		buf_printf(&out, ":%" PRIu64 "\n", r->position->revision);
	} else if (code == 0) {
		buf_printf(&out, "%s\n", asked);
	}
	cli_print(&out);
	return code;
}

/* One question; the exit code, or -1: ask again. */
static int wait_once(struct query *q, const Gateway__Wait *wait, struct err *e)
{
	bool gone; /* the cache was restarted */
	int rc;

	q->timeout_ms = (int)wait->timeout_ms + QUERY_TIMEOUT_MS;
	rc = query_run(q, &wait->base, print_position, wait->position, e);
	gone = rc == -EPIPE || rc == -ECONNRESET;
	if (rc == 0)
		return 0;
	if (gone || rc == ERR_BUSY)
		(void)poll(NULL, 0, WAIT_PAUSE_MS);
	if (gone)
		rc = query_reopen(q, e);
	return rc == 0 || rc == ERR_BUSY || rc == CLI_TIMEOUT ? -1 : query_fail(q, rc, e);
}

static int wait_until(struct query *q, const char *position, int64_t until)
{
	struct err e = { 0 };
	Gateway__Wait wait = GATEWAY__WAIT__INIT;
	int rc = -1;

	wait.position = (char *)(uintptr_t)position;
	while (rc < 0) {
		int64_t left = until < 0 ? WAIT_SLICE_MS : MAX(until - clock_boot_ms(), 1);

		wait.timeout_ms = (uint32_t)MIN(left, WAIT_SLICE_MS);
		rc = wait_once(q, &wait, &e);
		if (rc < 0 && until >= 0 && clock_boot_ms() >= until)
			rc = cli_fail(CLI_TIMEOUT, "%s was not reached in time", position);
	}
	return rc;
}

int verb_wait(struct cli *c)
{
	const char *position = args_value(&c->args, "--revision");
	const char *timeout = args_value(&c->args, "--timeout");
	int64_t until = -1;
	struct err e = { 0 };
	struct query q;
	int rc;

	if (position == NULL || !args_is_position(position))
		return cli_fail(EX_USAGE, "wait wants --revision LINEAGE:REVISION, or a revision");
	if (timeout != NULL) {
		if (args_seconds_ms(timeout, &until, &e) < 0)
			return cli_fail(EX_USAGE, "--timeout: %s", e.text);
		until += clock_boot_ms();
	}
	rc = query_open(&q, c->socket);
	if (rc != 0)
		return rc;
	rc = wait_until(&q, position, until);
	query_close(&q);
	return rc;
}
