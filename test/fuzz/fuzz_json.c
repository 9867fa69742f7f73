/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/json/scan.h"
#include "common/json/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every function that trusts a checked span sees each value of the first levels. */
static void visit(struct json_span v, int levels)
{
	struct json_iter it;
	struct buf b = { 0 };
	int64_t n;

	json_unescape(v, &b);
	json_write_respelled(&b, v);
	(void)json_to_i64(v, &n);
	(void)json_equals(v, "a");
	(void)json_equals_nocase(v, "\xc3\xa9");
	(void)json_get(v, "a");
	buf_reset(&b);
	if (levels == 0)
		return;
	json_iter_init(&it, v);
	while (json_next(&it)) {
		visit(it.name, 0);
		visit(it.value, levels - 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_span v = { 0 };
	struct json_span again = { 0 };
	struct buf once = { 0 };
	struct buf twice = { 0 };
	struct err e = { 0 };

	if (json_check((const char *)data, size, &v, &e) < 0)
		return 0;
	visit(v, 8);
	json_compact(v, &once);
	CHECK(json_check(once.data, once.len, &again, &e) == 0);
	CHECK(json_type(v) == json_type(again));
	json_compact(again, &twice);
	CHECK(str_equal(buf_cstr(&once), buf_cstr(&twice)));
	buf_reset(&once);
	buf_reset(&twice);
	return 0;
}
