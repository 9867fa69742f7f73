/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/settle.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "workers/fetcher/work.h"

/*
 * Is every name that is live in the zone what the source says it is? Not while a removal is
 * held, or something that cannot be read may be any name of its type. Names whose own row cannot
 * be read do not count: they go to `unread`, for followers to judge by what they serve.
 */
static bool is_all(const struct fetcher *f, unsigned missing, struct buf *unread)
{
	size_t at = 0;
	const char *name;
	unsigned k;
	void *v;

	/* Nor are they gone that stood in a place that was not there. */
	for (k = 0; k < KIND__COUNT; k++)
		if ((missing & 1U << k) != 0)
			buf_printf(unread, "%s%s:*", unread->len > 0 ? "\n" : "",
				   kind_name((enum kind)k));

	while (table_next(&f->known.names, &at, &name, &v)) {
		const struct known_entry *e = v;

		if (!known_live(e))
			continue;
		if (e->pass != f->pass)
			return false;
		if (e->unread)
			buf_printf(unread, "%s%s", unread->len > 0 ? "\n" : "", name);
		if (unread->len > SETTLE_UNREAD_BYTES)
			return false;
	}
	return true;
}

/* Only a look at everything settles everything (zone-protocol 3). */
static void look(struct fetcher *f, bool held, unsigned missing)
{
	struct settle *s = &f->settle;
	struct buf unread = { 0 };
	/* Nobody switches to what a node alone writes: it serves at once. */
	bool all = (!held && is_all(f, missing, &unread)) || !f->end->followed;

	s->state = all ? SETTLE_ALL : SETTLE_OPEN;
	if (!all) {
		log_note(EV("not_settled"), KV("held", held));
	} else if (!s->told || !str_equal(buf_cstr(&unread), s->unread)) {
		send_caught(f, buf_cstr(&unread));
		mem_free(s->unread);
		s->unread = mem_strdup(unread.data);
	}
	buf_reset(&unread);
}

void settle_pass(struct fetcher *f, const struct feed_item *end, bool fresh, bool held,
		 unsigned missing)
{
	struct settle *s = &f->settle;
	bool whole = end->pass != PASS_DELTA && end->whole;
	int64_t now = clock_boot_ms();

	if (s->state == SETTLE_ALL && held)
		s->state = SETTLE_OPEN;
	if (whole)
		s->whole_ms = now;
	if (whole && fresh)
		look(f, held, missing);
	else if (whole)
		settle_retry(f);
	else if (fresh && s->state == SETTLE_AGAIN && now - s->whole_ms >= SETTLE_REST_MS)
		feed_want(f->feed, PASS_COMPARE);
	/* Followers take two of them for the word of the source on every name. */
	if (f->end->followed)
		send_poll(f, s->state == SETTLE_ALL && fresh);
}

void settle_retry(struct fetcher *f)
{
	bool unread = f->settle.unread != NULL && f->settle.unread[0] != '\0';

	if (f->settle.state == SETTLE_OPEN || unread)
		f->settle.state = SETTLE_AGAIN;
}

void settle_undo(struct fetcher *f)
{
	f->settle.state = SETTLE_AGAIN;
}

void settle_told(struct fetcher *f)
{
	f->settle.told = true;
}

bool settle_is_told(const struct fetcher *f)
{
	return f->settle.told;
}

void settle_reset(struct fetcher *f)
{
	mem_free(f->settle.unread);
	f->settle = (struct settle){ 0 };
}
