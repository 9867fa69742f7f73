/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/map.h"

#include "common/base/mem.h"
#include "workers/fetcher/map/map_ctx.h"
#include "workers/fetcher/map/entity.h"
#include "workers/fetcher/map/members.h"

/* One row: a type of event, where it says what it is about, and what writes its payload. */
struct kind_route {
	enum kind kind;
	const char *property;
	const char *id;	       /* member of the payload: the same; NULL: it is found otherwise */
	const char *what;      /* what it is called in errors */
	event_write_fn *write; /* NULL: it withdraws */
};

static const struct kind_route routes[] = {
	{ KIND_API, "api_id", NULL, NULL, api_write },
	{ KIND_API, "api_id", NULL, NULL, api_write },
	{ KIND_API, "api_id", NULL, "api_id", NULL },
	{ KIND_API, "api_id", NULL, "api_id", NULL },
	{ KIND_DICTIONARY, "dictionary_id", "id", "dictionary id", dictionary_write },
	{ KIND_DICTIONARY, "dictionary_id", "id", "dictionary id", NULL },
	{ KIND_ORGANIZATION, "organization_id", "id", "organization id", organization_write },
	{ KIND_SHARED_POLICY_GROUP, "shared_policy_group_id", "id", "shared policy group id",
	  shared_policy_group_write },
	{ KIND_SHARED_POLICY_GROUP, "shared_policy_group_id", NULL, "shared_policy_group_id",
	  NULL },
	{ KIND_AUTHZ_ENTITY, "authz_entity_id", "entityId", "entityId", authz_entity_write },
	{ KIND_AUTHZ_ENTITY, "authz_entity_id", NULL, "authz_entity_id", NULL },
	{ KIND_AUTHZ_POLICY, "authz_policy_id", "id", "id", authz_policy_write },
	{ KIND_AUTHZ_POLICY, "authz_policy_id", NULL, "authz_policy_id", NULL },
	{ KIND_API_PRODUCT, "api_product_id", "id", "API product id", product_write },
	{ KIND_API_PRODUCT, "api_product_id", NULL, "api_product_id", NULL },
};

/* Those with a route first, in its order (storage 4). */
static const char *const types[] = {
	"PUBLISH_API",
	"START_API",
	"UNPUBLISH_API",
	"STOP_API",
	"PUBLISH_DICTIONARY",
	"UNPUBLISH_DICTIONARY",
	"PUBLISH_ORGANIZATION",
	"DEPLOY_SHARED_POLICY_GROUP",
	"UNDEPLOY_SHARED_POLICY_GROUP",
	"PUBLISH_AUTHZ_ENTITY",
	"UNPUBLISH_AUTHZ_ENTITY",
	"PUBLISH_AUTHZ_POLICY",
	"UNPUBLISH_AUTHZ_POLICY",
	"DEPLOY_API_PRODUCT",
	"UNDEPLOY_API_PRODUCT",
	"PUBLISH_API_RESULT",
	"UNPUBLISH_API_RESULT",
	"GATEWAY_STARTED",
	"GATEWAY_STOPPED",
	"START_DICTIONARY",
	"STOP_DICTIONARY",
	"PUBLISH_ORGANIZATION_LICENSE",
	"DEBUG_API",
	"DEPLOY_CLUSTER",
	"UNDEPLOY_CLUSTER",
	"PUBLISH_AUTHZ_PDP",
	"UNPUBLISH_AUTHZ_PDP",
};

const char *const *map_event_types(enum map_types which, size_t *n)
{
	*n = which == MAP_TYPES_MAPPED ? ARRAY_LEN(routes) : ARRAY_LEN(types);
	return types;
}

static bool is_authz(enum kind k)
{
	return k == KIND_AUTHZ_ENTITY || k == KIND_AUTHZ_POLICY;
}

bool map_own_id(enum kind k)
{
	return !is_authz(k) && k != KIND_SHARED_POLICY_GROUP;
}

static const struct kind_route *route_of(const struct map_ctx *ctx, struct json_span type)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(routes); i++)
		if (json_equals(type, types[i]))
			return is_authz(routes[i].kind) && !ctx->authz ? NULL : &routes[i];
	return NULL;
}

static int check_properties(struct json_span properties, struct err *e)
{
	if (json_is_null(properties) || json_type(properties) == JSON_OBJECT)
		return 0;
	return err_set(e, ERR_PARSE, "row: properties is not an object");
}

int map_event_about(const struct map_ctx *ctx, struct json_span text, struct map_about *out,
		    struct err *e)
{
	struct map_about made = { .outcome = MAP_EVENT };
	struct json_span row = { 0 };
	const struct kind_route *route;
	struct json_span id;
	int rc = member_check_object(text, "row", &row, e);

	out->kind = KIND__COUNT;
	if (rc < 0)
		return rc;
	if (json_type(json_get(row, "type")) != JSON_STRING)
		return err_set(e, ERR_PARSE, "row: type is not text");
	route = route_of(ctx, json_get(row, "type"));
	if (route == NULL) {
		*out = (struct map_about){ .kind = KIND__COUNT };
		return 0;
	}
	out->kind = route->kind;
	made.kind = route->kind;
	made.withdraws = route->write == NULL;
	rc = check_properties(json_get(row, "properties"), e);
	if (rc < 0)
		return rc;
	id = json_get(json_get(row, "properties"), route->property);
	if (json_is_null(id))
		id = json_get(row, "id");
	rc = member_take_id(id, route->property, &made.id, e);
	if (rc == 0)
		*out = made;
	return rc;
}

/* The property is there even when the payload is not: what was deleted keeps a row without. */
static int withdraw(const struct kind_route *route, const struct event_row *row,
		    struct map_out *out, struct err *e)
{
	struct json_span id = json_get(row->properties, route->property);
	struct json_span bean = { 0 };
	struct buf text = { 0 };
	int rc = 0;

	if (json_is_null(id) && kind_has_children(route->kind)) {
		out->outcome = MAP_NOTHING;
		out->reason = "it does not name what it withdraws";
		return 0;
	}
	out->ev.action = ACTION_UNDEPLOY;
	out->reason = "withdrawn";
	if (json_is_null(id) && route->id != NULL) {
		rc = member_open_text(row->payload, "payload", &text, &bean, e);
		id = json_get(bean, route->id);
	}
	if (rc == 0)
		rc = member_take_id(id, route->what, &out->ev.id, e);
	buf_reset(&text);
	return rc;
}

static int publish(const struct map_ctx *ctx, const struct kind_route *route, struct event_row *row,
		   struct map_out *out, struct err *e)
{
	struct buf text = { 0 };
	int rc = member_open_text(row->payload, "payload", &text, &row->bean, e);

	out->ev.action = ACTION_DEPLOY;
	if (rc == 0 && route->id != NULL)
		rc = member_take_id(json_get(row->bean, route->id), route->what, &out->ev.id, e);
	if (rc == 0)
		rc = route->write(ctx, row, out, e);
	buf_reset(&text);
	return rc;
}

/* Does the row alone say that it is withdrawn? Else it may come back as it is. */
static bool says_all(const struct map_out *out, int64_t updated_ms)
{
	return out->ev.action == ACTION_DEPLOY || (!out->ineligible && updated_ms > 0);
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
	const struct kind_route *route;
	int rc;

	rc = member_check_object(row, "row", &v, e);
	if (rc < 0)
		return rc;
	json_pick(v, names, m, ARRAY_LEN(names));
	r = (struct event_row){ .payload = m[1], .properties = m[2], .created_at = m[3] };
	if (json_type(m[0]) != JSON_STRING)
		return err_set(e, ERR_PARSE, "row: type is not text");
	route = route_of(ctx, m[0]);
	if (route == NULL) {
		*out = (struct map_out){ .reason = "type of event is not distributed" };
		return 0;
	}
	rc = member_take_updated(m[4], m[3], &updated, e);
	if (rc == 0)
		rc = check_properties(r.properties, e);
	made.outcome = MAP_EVENT;
	made.ev.kind = route->kind;
	if (rc == 0)
		rc = route->write == NULL ? withdraw(route, &r, &made, e)
					  : publish(ctx, route, &r, &made, e);
	if (rc == 0)
		rc = member_check_payload(&made.ev.payload, e);
	if (rc < 0) {
		map_out_reset(&made);
		return rc;
	}
	CHECK(made.outcome == MAP_NOTHING || made.ev.id != NULL);
	if (made.outcome == MAP_EVENT)
		made.ev.version = says_all(&made, updated) ? member_version(updated)
							   : mem_strdup("");
	*out = made;
	return 0;
}
