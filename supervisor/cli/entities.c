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
#include "supervisor/cli/daemon.h"
#include "supervisor/cli/gather.h"
#include "supervisor/cli/lines.h"
#include "supervisor/cli/query.h"
#include "supervisor/cli/print.h"

#define KIND_BYTES    64
#define WAIT_SLICE_MS 30000 /* one question of `wait`; the cache may have a limit of its own */
#define WAIT_PAUSE_MS 200   /* before the next one, when there was no data */

/* A failure of the conversation, as an exit code. */
static int broken(const struct query *q, int rc, struct err *e)
{
	return cli_fail(daemon_explain(q->path, rc, e), "%s", e->text);
}

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

/* --- get --- */

static int gather_replies(struct query *q, struct gather *g, int *code, struct err *e)
{
	bool more = true;
	int rc = 0;

	*code = 0;
	while (rc == 0 && more) {
		Gateway__Reply *r = NULL;
		size_t i;

		rc = query_receive(q, QUERY_TIMEOUT_MS, &r, e);
		if (rc < 0)
			break;
		*code = query_code(r, e);
		more = r->more && *code == 0;
		for (i = 0; rc == 0 && i < r->n_events; i++)
			rc = gather_add(g, r->events[i], e);
		gateway__reply__free_unpacked(r, NULL);
	}
	if (rc == 0 && *code == 0)
		rc = gather_end(g, e);
	return rc;
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
	int code = 0;
	int rc;

	if (kind_of(c, kind) != 0 || ref_of(c, &ref) != 0)
		return EX_USAGE;
	rc = query_open(&q, c->socket, &e);
	if (rc != 0)
		return cli_fail(rc, "%s", e.text);
	get.kind = kind;
	get.entity_id = (char *)(uintptr_t)c->args.word[1];
	rc = query_send(&q, &get.base, &e);
	if (rc == 0)
		rc = gather_replies(&q, &g, &code, &e);
	if (rc < 0)
		rc = broken(&q, rc, &e);
	else if (code != 0)
		rc = cli_fail(code, "%s %s: %s", kind, get.entity_id, e.text);
	else
		rc = print_one(&g, ref);
	gather_reset(&g);
	query_close(&q);
	return rc;
}

/* --- list --- */

/* One page; *next is the caller's, NULL at the end. */
static int list_page(struct query *q, const Gateway__List *list, bool json, char **next,
		     unsigned *left_out)
{
	struct buf out = { 0 };
	struct err e = { 0 };
	bool more = true;
	int code = 0;
	int rc = query_send(q, &list->base, &e);

	while (rc == 0 && more && code == 0) {
		Gateway__Reply *reply = NULL;
		size_t i;

		rc = query_receive(q, QUERY_TIMEOUT_MS, &reply, &e);
		if (rc < 0)
			break;
		code = query_code(reply, &e);
		for (i = 0; i < reply->n_events; i++) {
			if (json)
				lines_json(&out, reply->events[i], "");
			else
				lines_entity(&out, reply->events[i]);
		}
		more = reply->more;
		if (!more)
			*left_out += reply->left_out;
		if (reply->next[0] != '\0') {
			mem_free(*next);
			*next = mem_strdup(reply->next);
		}
		gateway__reply__free_unpacked(reply, NULL);
		cli_print(&out);
	}
	buf_reset(&out);
	if (rc < 0)
		return broken(q, rc, &e);
	return code == 0 ? 0 : cli_fail(code, "%s", e.text);
}

static int list_pages(struct query *q, Gateway__List *list, bool json)
{
	char *after = NULL;
	unsigned left_out = 0;
	int rc;

	for (;;) {
		char *next = NULL;

		if (after != NULL)
			list->after = after;
		rc = list_page(q, list, json, &next, &left_out);
		/* A cache that names the same page again would keep us here for ever. */
		if (rc == 0 && next != NULL && str_equal(next, after))
			rc = cli_fail(EX_PROTOCOL, "the cache repeats a page");
		mem_free(after);
		after = next;
		if (rc != 0 || next == NULL)
			break;
	}
	mem_free(after);
	if (rc == 0 && left_out > 0)
		rc = cli_fail(EX_UNAVAILABLE,
			      "left out: %u damaged records; the local store is built anew",
			      left_out);
	return rc;
}

int verb_list(struct cli *c)
{
	char kind[KIND_BYTES];
	const char *ref = NULL;
	struct err e = { 0 };
	struct query q;
	Gateway__List list = GATEWAY__LIST__INIT;
	int rc;

	if (kind_of(c, kind) != 0 || ref_of(c, &ref) != 0)
		return EX_USAGE;
	rc = query_open(&q, c->socket, &e);
	if (rc != 0)
		return cli_fail(rc, "%s", e.text);
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

static void print_changes(struct watching *w, const Gateway__Reply *r)
{
	struct buf out = { 0 };
	size_t i;

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
	buf_reset(&out);
}

static int watch_on(struct query *q, struct watching *w)
{
	struct err e = { 0 };
	int code = 0;
	int rc = 0;

	while (rc == 0 && code == 0) {
		Gateway__Reply *r = NULL;

		rc = query_receive(q, -1, &r, &e);
		if (rc < 0)
			break;
		code = query_code(r, &e);
		print_changes(w, r);
		gateway__reply__free_unpacked(r, NULL);
	}
	if (rc == -EPIPE || rc == -ECONNRESET || code == EX_UNAVAILABLE) {
		const char *why = code == 0 ? "the cache closed the connection" : e.text;

		if (w->revision > 0 && w->lineage[0] != '\0')
			return cli_fail(EX_UNAVAILABLE, "%s; go on with --from %s:%" PRIu64, why,
					w->lineage, w->revision);
		return cli_fail(EX_UNAVAILABLE, "%s", why);
	}
	return rc < 0 ? broken(q, rc, &e) : cli_fail(code, "%s", e.text);
}

int verb_watch(struct cli *c)
{
	const char *from = args_value(&c->args, "--from");
	struct watching w = { .json = args_has(&c->args, "--json"), .lineage = mem_strdup("") };
	struct err e = { 0 };
	struct query q;
	Gateway__Watch watch = GATEWAY__WATCH__INIT;
	int rc = 0;

	if (from != NULL && !args_is_position(from))
		rc = cli_fail(EX_USAGE, "--from wants LINEAGE:REVISION or a revision, not `%s`",
			      from);
	if (rc != 0)
		goto out;
	rc = query_open(&q, c->socket, &e);
	if (rc != 0) {
		rc = cli_fail(rc, "%s", e.text);
		goto out;
	}
	if (from != NULL)
		watch.from = (char *)(uintptr_t)from;
	rc = query_send(&q, &watch.base, &e);
	rc = rc < 0 ? broken(&q, rc, &e) : watch_on(&q, &w);
	query_close(&q);
out:
	mem_free(w.lineage);
	return rc;
}

/* --- wait --- */

static void print_position(const Gateway__Reply *r, const char *asked)
{
	struct buf out = { 0 };

	if (r->position != NULL) {
		text_clean(&out, r->position->lineage);
		buf_printf(&out, ":%" PRIu64 "\n", r->position->revision);
	} else {
		buf_printf(&out, "%s\n", asked);
	}
	cli_print(&out);
	buf_reset(&out);
}

/* One question; the exit code, or -1: ask again. */
static int wait_once(struct query *q, const Gateway__Wait *wait, struct err *e)
{
	Gateway__Reply *reply = NULL;
	int code;
	int rc;

	rc = query_send(q, &wait->base, e);
	if (rc == 0)
		rc = query_receive(q, (int)wait->timeout_ms + QUERY_TIMEOUT_MS, &reply, e);
	if (rc == -EPIPE || rc == -ECONNRESET) { /* the cache was restarted */
		(void)poll(NULL, 0, WAIT_PAUSE_MS);
		rc = query_reopen(q, e);
		return rc == 0 ? -1 : cli_fail(rc, "%s", e->text);
	}
	if (rc < 0)
		return broken(q, rc, e);
	code = query_code(reply, e);
	if (code == 0)
		print_position(reply, wait->position);
	if (reply->code == GATEWAY__CODE__UNAVAILABLE || reply->code == GATEWAY__CODE__BUSY)
		(void)poll(NULL, 0, WAIT_PAUSE_MS);
	rc = reply->code == GATEWAY__CODE__TIMEOUT || reply->code == GATEWAY__CODE__UNAVAILABLE ||
			     reply->code == GATEWAY__CODE__BUSY
		     ? -1
		     : code;
	gateway__reply__free_unpacked(reply, NULL);
	return rc <= 0 ? rc : cli_fail(rc, "%s", e->text);
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
	rc = query_open(&q, c->socket, &e);
	if (rc != 0)
		return cli_fail(rc, "%s", e.text);
	rc = wait_until(&q, position, until);
	query_close(&q);
	return rc;
}
