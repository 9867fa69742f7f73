/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone/java.h"

#include <string.h>

int java_ask(struct zone_conn *z, redis_reply_fn *fn, void *arg)
{
	return redis_sendv(zone_conn_redis(z), fn, arg, "HMGET", zone_conn_keys(z)->state, "nodeId",
			   "nodeVersion", "from", "to", NULL);
}

/* Texts of a server: cut, and nothing in them that a terminal would obey. */
static void take_text(char *dst, size_t n, const struct redis_reply *r)
{
	size_t len = 0;
	const char *s = redis_str(r, &len);
	size_t i;

	len = s == NULL ? 0 : MIN(len, n - 1);
	for (i = 0; i < len; i++)
		dst[i] = (unsigned char)s[i] < 0x20 || (unsigned char)s[i] >= 0x7f ? '?' : s[i];
	dst[len] = '\0';
}

void java_take(struct java_watch *w, const struct redis_reply *r, int64_t now)
{
	struct java_watch next = *w;

	take_text(next.node, sizeof(next.node), redis_at(r, 0));
	take_text(next.version, sizeof(next.version), redis_at(r, 1));
	next.from_ms = 0;
	next.to_ms = 0;
	(void)redis_i64(redis_at(r, 2), &next.from_ms);
	(void)redis_i64(redis_at(r, 3), &next.to_ms);
	w->foreign = false;
	if (redis_count(r) != 4 || (next.node[0] == '\0' && next.to_ms == 0))
		return; /* none: flushed, or nobody ever wrote */
	if (str_starts(next.version, JAVA_OURS)) {
		w->moved_ms = 0;
		return;
	}
	next.foreign = true;
	if (!w->known)
		next.since_ms = now;
	else if (!str_equal(next.node, w->node) || next.to_ms != w->to_ms ||
		 next.from_ms != w->from_ms)
		next.moved_ms = now;
	next.known = true;
	*w = next;
}

enum java_verdict java_judge(const struct java_watch *w, int64_t now)
{
	if (w->moved_ms != 0 && now - w->moved_ms < w->silence_ms)
		return JAVA_WRITES;
	if (!w->foreign)
		return JAVA_NONE;
	if (w->moved_ms != 0)
		return JAVA_SILENT;
	return now - w->since_ms < w->silence_ms ? JAVA_UNSURE : JAVA_GONE;
}

void java_text(const struct java_watch *w, enum java_verdict v, char *out, size_t n)
{
	static const char *const what[] = { "",
					    "wrote this zone last; watching whether it still does",
					    "writes this zone as its primary",
					    "wrote this zone and has fallen silent",
					    "wrote this zone once and is gone" };

	out[0] = '\0';
	if (v != JAVA_NONE)
		str_print(out, n, "Java gateway %s (%s) %s", w->node, w->version, what[v]);
}
