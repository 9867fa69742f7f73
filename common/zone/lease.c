/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone/lease.h"

#include <string.h>

int lease_acquire(struct zone_conn *z, const struct lease_ask *a, redis_reply_fn *fn, void *arg)
{
	const struct zone_keys *k = zone_conn_keys(z);
	struct buf all = { 0 };
	struct redis_cmd c;
	size_t i;

	zone_call(z, &c, SCRIPT_ACQUIRE, k->lease, k->meta, k->epochs, NULL);
	redis_cmd_str(&c, a->nonce);
	redis_cmd_i64(&c, a->ttl_ms);
	redis_cmd_str(&c, a->holder);
	redis_cmd_i64(&c, ZONE_FORMAT_MAJOR);
	zone_keys_pattern(&all, k->ours);
	redis_cmd_str(&c, buf_cstr(&all));
	buf_reset(&all);
	redis_cmd_str(&c, a->break_token);
	redis_cmd_i64(&c, (int64_t)a->break_seq);
	for (i = 0; i < a->previous_len; i++)
		redis_cmd_str(&c, a->previous[i]);
	return zone_send(z, &c, fn, arg);
}

int lease_renew(struct zone_conn *z, const char *token, uint32_t ttl_ms, redis_reply_fn *fn,
		void *arg)
{
	struct redis_cmd c;

	zone_call(z, &c, SCRIPT_RENEW, zone_conn_keys(z)->lease, NULL);
	redis_cmd_str(&c, token);
	redis_cmd_i64(&c, ttl_ms);
	return zone_send(z, &c, fn, arg);
}

int lease_release(struct zone_conn *z, const char *token, redis_reply_fn *fn, void *arg)
{
	struct redis_cmd c;

	zone_call(z, &c, SCRIPT_RELEASE, zone_conn_keys(z)->lease, NULL);
	redis_cmd_str(&c, token);
	redis_cmd_str(&c, zone_conn_keys(z)->wake);
	return zone_send(z, &c, fn, arg);
}

int lease_parse(const struct redis_reply *r, struct lease_reply *out, struct err *e)
{
	struct lease_reply l = { .left_ms = -1, .ttl_ms = -1 };
	const struct redis_reply *what = redis_at(r, 0);

	if (redis_is(what, "FREE")) {
		l.answer = LEASE_FREE;
	} else if (redis_is(what, "NEWER") &&
		   redis_copy(redis_at(r, 1), l.holder, sizeof(l.holder))) {
		l.answer = LEASE_NEWER;
	} else if (redis_is(what, "HELD") && redis_copy(redis_at(r, 1), l.token, sizeof(l.token))) {
		l.answer = LEASE_HELD;
	} else if (redis_is(what, "LOST")) {
		l.answer = LEASE_LOST;
		(void)redis_copy(redis_at(r, 1), l.token, sizeof(l.token));
	} else if (redis_is(what, "BUSY") && redis_copy(redis_at(r, 1), l.token, sizeof(l.token))) {
		l.answer = LEASE_BUSY;
		(void)redis_u64(redis_at(r, 2), &l.seq);
		(void)redis_i64(redis_at(r, 3), &l.left_ms);
		(void)redis_i64(redis_at(r, 4), &l.ttl_ms);
		(void)redis_copy(redis_at(r, 5), l.holder, sizeof(l.holder));
	} else {
		return err_set(e, ERR_PROTO, "the lease script answered something unknown");
	}
	*out = l;
	return 0;
}

uint64_t token_epoch(const char *token)
{
	const char *colon = strchr(token, ':');
	uint64_t v = 0;

	if (colon == NULL || !str_to_u64(token, (size_t)(colon - token), &v))
		return 0;
	return v;
}
