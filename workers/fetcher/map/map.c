/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/map.h"

#include "workers/fetcher/map/entity.h"
#include "workers/fetcher/map/members.h"

/* One row: a type of event, and what maps it. */
struct route {
	const char *type;
	event_fn *fn;
};

static const struct route routes[] = {
	{ "PUBLISH_API", api_publish },
	{ "START_API", api_publish },
	{ "UNPUBLISH_API", api_withdraw },
	{ "STOP_API", api_withdraw },
	{ "PUBLISH_DICTIONARY", dictionary_publish },
	{ "UNPUBLISH_DICTIONARY", dictionary_withdraw },
	{ "PUBLISH_ORGANIZATION", organization_publish },
};

void map_out_reset(struct map_out *out)
{
	event_reset(&out->ev);
	*out = (struct map_out){ 0 };
}

static event_fn *route_of(struct json_span type)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(routes); i++)
		if (json_equals(type, routes[i].type))
			return routes[i].fn;
	return NULL;
}

int map_event(const struct map_ctx *ctx, struct json_span row, struct map_out *out, struct err *e)
{
	static const char *const names[] = { "type", "payload", "properties", "createdAt",
					     "updatedAt" };
	struct map_out made = { 0 };
	struct json_span v = { 0 };
	struct json_span m[ARRAY_LEN(names)];
	struct event_row r;
	int64_t updated;
	event_fn *fn;
	int rc;

	rc = member_check_object(row, "row", &v, e);
	if (rc < 0)
		return rc;
	json_pick(v, names, m, ARRAY_LEN(names));
	r = (struct event_row){ .payload = m[1], .properties = m[2], .created_at = m[3] };
	if (json_type(m[0]) != JSON_STRING)
		return err_set(e, ERR_PARSE, "row: type is not text");
	fn = route_of(m[0]);
	if (fn == NULL) {
		*out = (struct map_out){ .reason = "type of event is not distributed" };
		return 0;
	}
	rc = member_take_updated(m[4], m[3], &updated, e);
	if (rc == 0)
		rc = fn(ctx, &r, &made, e);
	if (rc == 0)
		rc = member_check_payload(&made.ev.payload, e);
	if (rc < 0) {
		map_out_reset(&made);
		return rc;
	}
	CHECK(made.outcome == MAP_NOTHING || made.ev.id != NULL);
	if (made.outcome == MAP_EVENT)
		made.ev.version = member_version(updated);
	*out = made;
	return 0;
}
