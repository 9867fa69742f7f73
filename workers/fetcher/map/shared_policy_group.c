/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/context.h"
#include "workers/fetcher/map/entity.h"
#include "workers/fetcher/map/members.h"

static const struct member about[] = {
	{ "id", MEMBER_TEXT },
	{ "name", MEMBER_TEXT },
	{ "environmentId", MEMBER_TEXT },
};
/* The steps of `policies` are copied as they are. */
static const struct member definition[] = {
	{ "id", MEMBER_TEXT },	     { "environmentId", MEMBER_TEXT }, { "name", MEMBER_TEXT },
	{ "version", MEMBER_TEXT },  { "phase", MEMBER_TEXT },	       { "policies", MEMBER_ANY },
	{ "deployedAt", MEMBER_MS },
};
static const struct member deployed[] = { { "deployedAt", MEMBER_MS } };

/* The names of its environment; one that is not known leaves what the payload says. */
static void write_names(const struct map_ctx *ctx, struct json_span bean, struct buf *b)
{
	const struct place *env;
	const struct place *org = NULL;
	struct buf id = { 0 };

	json_unescape(json_get(bean, "environmentId"), &id);
	env = places_find(&ctx->environments, buf_cstr(&id));
	buf_reset(&id);
	if (env == NULL)
		return;
	if (env->parent != NULL)
		org = places_find(&ctx->organizations, env->parent);
	json_add_str(b, "environmentHrid", env->hrid);
	json_add_str(b, "organizationId", org == NULL ? NULL : org->id);
	json_add_str(b, "organizationHrid", org == NULL ? NULL : org->hrid);
}

static int write_payload(const struct map_ctx *ctx, struct json_span bean, struct buf *b,
			 struct err *e)
{
	struct json_span policies = json_get(bean, "policies");
	int rc;

	if (!json_is_null(policies) && json_type(policies) != JSON_ARRAY)
		return err_set(e, ERR_PARSE, "policies is not an array");
	buf_addc(b, '{');
	rc = member_copy(b, bean, about, ARRAY_LEN(about), e);
	if (rc < 0)
		return rc;
	write_names(ctx, bean, b);
	json_write_name(b, "definition");
	buf_addc(b, '{');
	rc = member_copy(b, bean, definition, ARRAY_LEN(definition), e);
	buf_addc(b, '}');
	if (rc == 0)
		rc = member_copy(b, bean, deployed, ARRAY_LEN(deployed), e);
	buf_addc(b, '}');
	return rc;
}

int shared_policy_group_publish(const struct map_ctx *ctx, const struct event_row *row,
				struct map_out *out, struct err *e)
{
	struct json_span bean = { 0 };
	struct buf text = { 0 };
	int rc;

	out->outcome = MAP_EVENT;
	out->ev.kind = KIND_SHARED_POLICY_GROUP;
	out->ev.action = ACTION_DEPLOY;
	rc = member_open_text(row->payload, "payload", &text, &bean, e);
	if (rc == 0)
		rc = member_take_id(json_get(bean, "id"), "shared policy group id", &out->ev.id, e);
	if (rc == 0)
		rc = write_payload(ctx, bean, &out->ev.payload, e);
	buf_reset(&text);
	return rc;
}

/* By the property alone, which is the crossId; the payload is not looked at. */
int shared_policy_group_withdraw(const struct map_ctx *ctx, const struct event_row *row,
				 struct map_out *out, struct err *e)
{
	UNUSED(ctx);
	out->outcome = MAP_EVENT;
	out->ev.kind = KIND_SHARED_POLICY_GROUP;
	out->ev.action = ACTION_UNDEPLOY;
	out->reason = "withdrawn";
	return member_take_id(json_get(row->properties, "shared_policy_group_id"),
			      "shared_policy_group_id", &out->ev.id, e);
}
