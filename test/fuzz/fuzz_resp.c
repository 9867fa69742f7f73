/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/redis/reply.h"
#include "common/zone/follow.h"
#include "common/zone/lease.h"

#define MAX_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t walk(const struct redis_reply *r, unsigned depth)
{
	size_t n = 0;
	size_t i;
	int64_t v = 0;

	CHECK(depth < 32);
	(void)redis_str(r, &n);
	(void)redis_i64(r, &v);
	for (i = 0; i < redis_count(r); i++)
		n += walk(redis_at(r, i), depth + 1);
	CHECK(redis_at(r, redis_count(r)) == NULL);
	return n;
}

/* What a server says is read the way a lease and a page are. */
static int on_reply(void *arg, const struct redis_reply *r)
{
	struct lease_reply lease;
	struct page page;
	unsigned *left = arg;

	(void)walk(r, 0);
	if (lease_parse(r, &lease, NULL) == 0)
		CHECK(memchr(lease.token, '\0', sizeof(lease.token)) != NULL);
	if (follow_parse(r, &page, NULL) == 0)
		follow_page_reset(&page);
	return --*left == 0 ? READER_STOP : 0;
}

/* The first byte says how the rest is cut, and after how many answers the reader stops. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct reader *r;
	unsigned left;
	size_t step;
	size_t at;
	int rc = 0;

	if (n == 0)
		return 0;
	step = (size_t)(data[0] & 0x0f) * 7 + 1;
	left = 1U + (data[0] >> 4) * 4U;
	r = reader_create(MAX_BYTES);
	for (at = 1; at < n && rc == 0 && left > 0; at += step)
		rc = reader_feed(r, data + at, MIN(step, n - at), on_reply, &left, NULL);
	reader_free(&r);
	return 0;
}
