/* SPDX-License-Identifier: Apache-2.0 */
#include "common/ipc/frame.h"

static size_t body_len(const uint8_t *p)
{
	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

void frame_head(uint8_t head[FRAME_HEAD_BYTES], size_t n)
{
	CHECK(n <= FRAME_MAX_BYTES);
	head[0] = (uint8_t)(n >> 24);
	head[1] = (uint8_t)(n >> 16);
	head[2] = (uint8_t)(n >> 8);
	head[3] = (uint8_t)n;
}

/* Whole messages at the front of p; *used is what they took. */
static int cut(const uint8_t *p, size_t n, size_t max, frame_fn *fn, void *arg, size_t *used,
	       struct err *e)
{
	size_t at = 0;

	while (n - at >= FRAME_HEAD_BYTES) {
		size_t len = body_len(p + at);
		int rc;

		if (len > max)
			return err_set(e, ERR_PROTO,
				       "a message of %zu bytes is over the limit of %zu", len, max);
		if (n - at - FRAME_HEAD_BYTES < len)
			break;
		rc = fn(arg, p + at + FRAME_HEAD_BYTES, len, e);
		if (rc < 0)
			return rc;
		at += FRAME_HEAD_BYTES + len;
	}
	*used = at;
	return 0;
}

int frame_feed(struct frame_reader *r, const void *p, size_t n, frame_fn *fn, void *arg,
	       struct err *e)
{
	size_t max = r->max == 0 ? FRAME_MAX_BYTES : MIN(r->max, FRAME_MAX_BYTES);
	size_t used = 0;
	int rc;

	if (r->rest.len == 0) {
		rc = cut(p, n, max, fn, arg, &used, e);
		if (rc == FRAME_STOP)
			return 0;
		if (rc == 0)
			buf_add(&r->rest, (const char *)p + used, n - used);
		return rc;
	}
	buf_add(&r->rest, p, n);
	rc = cut((const uint8_t *)r->rest.data, r->rest.len, max, fn, arg, &used, e);
	if (rc == FRAME_STOP)
		return 0;
	if (rc == 0)
		buf_drop(&r->rest, used);
	return rc;
}

void frame_reader_reset(struct frame_reader *r)
{
	buf_reset(&r->rest);
}
