/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "workers/cache/serve/client.h"

/* "<lineage>:<revision>" or a bare revision. */
static bool parse_position(const char *s, struct pending *p)
{
	const char *colon = strrchr(s, ':');
	const char *number = colon == NULL ? s : colon + 1;

	if (colon != NULL && (size_t)(colon - s) >= sizeof(p->lineage))
		return false;
	if (colon != NULL) {
		memcpy(p->lineage, s, (size_t)(colon - s));
		p->lineage[colon - s] = '\0';
	}
	return str_to_u64(number, strlen(number), &p->revision);
}

static int remember(struct client *c, const struct pending *p)
{
	if (c->n >= SERVE_WAITS_MAX)
		return send_simple(c, p->id, GATEWAY__CODE__BUSY, "too many watches and waits");
	c->pending = mem_grow(c->pending, &c->cap, c->n + 1, sizeof(*c->pending));
	c->pending[c->n++] = *p;
	return 0;
}

void arm(struct serve *s)
{
	int64_t next = INT64_MAX;
	int64_t now = clock_boot_ms();
	struct client *c;
	size_t i;

	for (c = s->clients; c != NULL; c = c->next)
		for (i = 0; i < c->n; i++)
			if (!c->pending[i].is_watch)
				next = MIN(next, c->pending[i].until_ms);
	if (next == INT64_MAX)
		(void)uv_timer_stop(&s->timer);
	else
		CHECK(uv_timer_start(&s->timer, s->on_timer, (uint64_t)MAX(next - now, 0), 0) == 0);
}

static void forget(struct client *c, size_t i)
{
	c->pending[i] = c->pending[--c->n];
}

#define STILL_PENDING 1 /* neither answered nor failed */

static int reply_reached(struct client *c, struct store_view *v, uint64_t id, Gateway__Code code)
{
	Gateway__Reply m = GATEWAY__REPLY__INIT;
	struct told told;

	tell_position(c->s, v, &told);
	m.id = id;
	m.code = code;
	m.position = &told.p;
	m.error = (char *)(uintptr_t)(code == GATEWAY__CODE__RESET
					      ? "the history is another, begins later or is damaged"
				      : code == GATEWAY__CODE__TIMEOUT ? "not reached in time"
								       : "");
	return send_reply(c, &m);
}

static int check_wait(struct client *c, struct store_view *v, const struct pending *p)
{
	struct position at;
	struct position told;

	store_view_position(v, &at);
	store_view_told(v, &told);
	if (p->lineage[0] != '\0' && at.lineage[0] != '\0' && !str_equal(p->lineage, at.lineage) &&
	    !str_equal(p->lineage, told.lineage))
		return reply_reached(c, v, p->id, GATEWAY__CODE__RESET);
	if (at.lineage[0] != '\0' && at.revision >= p->revision && !store_view_is_ahead(v))
		return reply_reached(c, v, p->id, GATEWAY__CODE__OK);
	if (clock_boot_ms() >= p->until_ms)
		return reply_reached(c, v, p->id, GATEWAY__CODE__TIMEOUT);
	return STILL_PENDING;
}

/* Sends what lies behind the watcher's revision, as long as it reads. */
static int pump_watch(struct client *c, struct store_view *v, struct pending *p)
{
	struct position at;
	int rc = 0;

	store_view_told(v, &at);
	if (at.lineage[0] == '\0')
		return STILL_PENDING;
	if (p->lineage[0] == '\0')
		str_copy(p->lineage, sizeof(p->lineage), at.lineage);
	if (!str_equal(p->lineage, at.lineage) || p->revision < store_history_start(v) ||
	    p->revision > at.revision)
		return reply_reached(c, v, p->id, GATEWAY__CODE__RESET);
	while (rc == 0 && p->revision < at.revision && c->streams == NULL &&
	       chan_queued_bytes(c->chan) < pump_bytes(c)) {
		struct page_out *page = page_new(c, v, p->payloads, 0);
		Gateway__Reply m = GATEWAY__REPLY__INIT;
		struct told told;
		int full;

		page->after = p->revision;
		full = page_result(page, store_since(v, p->revision, add_entry, page));
		if (full == PAGE_LARGE) {
			page_free(page);
			get_in_line(c);
			break;
		}
		if (full < 0) {
			page_free(page); /* it would be a gap; a List has all others */
			return reply_reached(c, v, p->id, GATEWAY__CODE__RESET);
		}
		tell_position(c->s, v, &told);
		m.id = p->id;
		m.more = true;
		m.position = &told.p;
		p->revision = full == PAGE_FULL ? page->last : told.at.revision;
		told.p.revision = p->revision; /* where a watcher may go on from */
		if (page->n == 0)
			page_free(page);
		else
			rc = send_page(c, page, &m);
	}
	return rc < 0 ? rc : STILL_PENDING;
}

int on_watch(struct client *c, struct store_view *v, const Gateway__Request *req)
{
	struct pending p = { .id = req->id, .is_watch = true, .payloads = req->watch->payloads };
	struct position at;
	int rc;

	store_view_told(v, &at);
	p.revision = at.revision;
	str_copy(p.lineage, sizeof(p.lineage), at.lineage);
	if (req->watch->from[0] != '\0' && !parse_position(req->watch->from, &p))
		return send_simple(c, req->id, GATEWAY__CODE__BAD_REQUEST, "this is no position");
	rc = pump_watch(c, v, &p);
	return rc == STILL_PENDING ? remember(c, &p) : rc;
}

int on_wait(struct client *c, struct store_view *v, const Gateway__Request *req)
{
	uint32_t ms = MIN(req->wait->timeout_ms, SERVE_WAIT_MAX_MS);
	struct pending p = { .id = req->id, .until_ms = clock_boot_ms() + ms };
	int rc;

	if (!parse_position(req->wait->position, &p))
		return send_simple(c, req->id, GATEWAY__CODE__BAD_REQUEST, "this is no position");
	rc = check_wait(c, v, &p);
	if (rc == STILL_PENDING)
		rc = remember(c, &p);
	arm(c->s);
	return rc;
}

/* Who waits for the first data follows whatever history that is of. */
void watch_lost(struct pending *p)
{
	if (p->is_watch && p->lineage[0] != '\0')
		p->revision = UINT64_MAX;
}

int pump_client(struct client *c, struct store_view *v)
{
	size_t i = 0;

	while (i < c->n) {
		struct pending *p = &c->pending[i];
		int rc = p->is_watch ? pump_watch(c, v, p) : check_wait(c, v, p);

		if (rc < 0)
			return rc;
		if (rc == STILL_PENDING)
			i++;
		else
			forget(c, i);
	}
	return 0;
}
