/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "common/ipc/frame.h"
#include "common/ipc/route.h"
#include "common/message/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int handle(void *self, const Ipc__Envelope *m, struct err *e)
{
	UNUSED(self);
	UNUSED(e);
	CHECK(route_name(m)[0] != '\0' && message_is_text(&m->base));
	CHECK(ipc__envelope__get_packed_size(m) <= 2 * FRAME_MAX_BYTES);
	return 0;
}

/* Every message is allowed here: what is tested is what reaches a handler. */
static int on_frame(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	static struct route rows[IPC__ENVELOPE__BODY_TOKEN_LOST + 1];
	const struct route_table t = { rows, ARRAY_LEN(rows) };
	const struct route_to to = { &t, 1, 1, NULL };
	int *seen = arg;
	size_t i;

	for (i = 0; i < t.len; i++)
		rows[i] = (struct route){ 1, 1, handle };
	if (route_dispatch(&to, 1, body, n, e) < 0)
		return 0; /* the next one may be better */
	return ++*seen == 100 ? FRAME_STOP : 0;
}

/* The first byte says how the rest is cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct frame_reader r = { 0 };
	int seen = 0;
	size_t step;
	size_t at;
	int rc = 0;

	if (n == 0)
		return 0;
	step = (size_t)data[0] + 1;
	for (at = 1; at < n && rc == 0 && seen < 100; at += step)
		rc = frame_feed(&r, data + at, MIN(step, n - at), on_frame, &seen, NULL);
	CHECK(r.rest.cap <= 2 * (FRAME_MAX_BYTES + 512));
	frame_reader_reset(&r);
	return 0;
}
