/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "workers/fetcher/source/mongo/bson_json.h"
#include "workers/fetcher/map/plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A row of a database: whatever its bytes are, the mapping reads what comes of it or refuses. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct map_ctx *ctx;
	struct buf out = { 0 };
	struct json_span v = { 0 };
	struct json_span row;
	struct map_about about = { 0 };
	struct map_subscription sub = { 0 };
	struct map_key key = { 0 };
	struct map_out event = { 0 };
	struct err e = { 0 };

	if (ctx == NULL) {
		ctx = map_ctx_create(NULL, 0, NULL, 0);
		map_ctx_set_authz(ctx, true);
	}
	if (bson_json(&out, data, size, &e) < 0) {
		CHECK(e.text[0] != '\0');
		buf_reset(&out);
		return 0;
	}
	row = (struct json_span){ out.data, out.len };
	CHECK(json_check(row.p, row.n, &v, &e) == 0 ? json_type(v) == JSON_OBJECT
						    : e.code == ERR_LIMIT || e.code == ERR_PARSE);
	if (map_event_about(ctx, row, &about, NULL) == 0)
		mem_free(about.id);
	if (map_event(ctx, row, &event, NULL) == 0)
		map_out_reset(&event);
	if (map_access_point(row, &event, NULL) == 0)
		map_out_reset(&event);
	if (map_license(row, &event, NULL) == 0)
		map_out_reset(&event);
	if (map_subscription_read(row, &sub, NULL) == 0)
		map_subscription_reset(&sub);
	if (map_key_read(row, &key, NULL) == 0)
		map_key_reset(&key);
	buf_reset(&out);
	return 0;
}
