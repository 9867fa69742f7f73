/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/settle.h"

#include "common/base/clock.h"
#include "workers/fetcher/work.h"

/*
 * Is every name that is live in the zone what the source says it is? Not while a removal is
 * held, or something that cannot be read may be any name of its type. Names whose own row cannot
 * be read do not count: they go to `unread`, for followers to judge by what they serve.
 */
static bool all_settled(const struct fetcher *f, struct buf *unread)
{
	size_t at = 0;
	const char *name;
	void *v;

	if (!removals_settled(f))
		return false;
	while (table_next(&f->known.names, &at, &name, &v)) {
		const struct known_entry *e = v;

		if (!known_live(e))
			continue;
		if (e->pass != f->pass)
			return false;
		if (e->unread)
			buf_printf(unread, "%s%s", unread->len > 0 ? "\n" : "", name);
		if (unread->len > FETCHER_UNREAD_BYTES)
			return false;
	}
	return true;
}

/* Only a look at everything settles everything (zone-protocol 3). */
static void settle(struct fetcher *f)
{
	struct buf unread = { 0 };

	/* Nobody switches to what a node alone writes: it serves at once. */
	f->settled = all_settled(f, &unread) || !f->end->followed;
	if (!f->settled)
		log_note(EV("not_settled"), KV("held", (uint64_t)f->held.len));
	else if (!f->caught || !str_equal(buf_cstr(&unread), f->unread))
		send_caught(f, buf_cstr(&unread));
	buf_reset(&unread);
}

void settle_pass(struct fetcher *f, const struct feed_item *end)
{
	bool whole = end->pass != PASS_DELTA && end->whole;
	bool late = !f->end->followed || f->begun_ms - f->promoted_ms >= f->lag_ms;
	int64_t now = clock_boot_ms();

	f->settled = f->settled && removals_settled(f);
	if (whole) {
		f->settle_again = !late;
		f->whole_ms = now;
	}
	if (whole && late)
		settle(f);
	else if (late && !f->settled && f->settle_again && now - f->whole_ms >= FETCHER_SETTLE_MS)
		feed_want(f->feed, PASS_COMPARE);
	/* Followers take two of them for the word of the source on every name. */
	if (f->settled && late && f->end->followed)
		send_poll(f);
}
