/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "workers/fetcher/map/places.h"
#include "workers/fetcher/map/plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_place(struct map_ctx *ctx, enum place_type t, const char *row)
{
	CHECK(places_add(map_places(ctx), t, (struct json_span){ row, strlen(row) }, NULL) == 0);
}

static struct map_ctx *context(void)
{
	static const char *const tags[] = { "eu", "!us" };
	static struct map_ctx *ctx;

	if (ctx == NULL) {
		ctx = map_ctx_create(tags, ARRAY_LEN(tags), "vvLJ4Q8Khvv9tm2tIPdkGEdmgKUruAL6", 32);
		map_ctx_set_authz(ctx, true);
		add_place(
			ctx, PLACE_ENVIRONMENT,
			"{\"id\":\"DEFAULT\",\"hrids\":[\"default\"],\"organizationId\":\"DEFAULT\"}");
		add_place(ctx, PLACE_ORGANIZATION, "{\"id\":\"DEFAULT\"}");
	}
	return ctx;
}

/* What the mapping makes must be readable, and an API's plans with it. */
static void check_out(int rc, struct map_out *out)
{
	struct json_span v = { 0 };
	struct map_plans plans = { 0 };
	struct map_ids apis = { 0 };

	CHECK(rc <= 0);
	CHECK(rc == 0 || (out->outcome == MAP_NOTHING && out->ev.id == NULL));
	if (rc == 0 && out->outcome == MAP_EVENT) {
		CHECK(out->ev.id != NULL && out->ev.id[0] != '\0');
		CHECK((out->ev.payload.len > 0) == (out->ev.action == ACTION_DEPLOY));
		CHECK(out->ev.action == ACTION_UNDEPLOY ||
		      json_check(out->ev.payload.data, out->ev.payload.len, &v, NULL) == 0);
		v = (struct json_span){ out->ev.payload.data, out->ev.payload.len };
		if (kind_has_children(out->ev.kind) &&
		    map_plans_read(out->ev.kind, v, &plans, NULL) == 0)
			map_plans_reset(&plans);
		/* What a product's mapping makes, its members can be read from. */
		if (out->ev.kind == KIND_API_PRODUCT && out->ev.action == ACTION_DEPLOY)
			CHECK(map_members_read(v, &apis, NULL) == 0);
		map_ids_reset(&apis);
	}
	map_out_reset(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char id[] = "s", api[] = "a", plan[] = "p";
	const struct map_subscription sub = {
		.id = id, .scope = api, .plan = plan, .status = "ACCEPTED", .accepted = true
	};
	struct json_span row = { (const char *)data, size };
	struct map_out out = { 0 };

	check_out(map_event(context(), row, &out, NULL), &out);
	check_out(map_api_file(context(), row, 1, &out, NULL), &out);
	check_out(map_subscription(row, MAP_ATTACHED | MAP_PRODUCT_KNOWN, &out, NULL), &out);
	check_out(map_apikey(row, &sub, 0, &out, NULL), &out);
	check_out(map_access_point(row, &out, NULL), &out);
	if (map_license(row, &out, NULL) == 0)
		map_out_reset(&out);
	return 0;
}
