/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/readable.h"
#include "workers/fetcher/map/map_ctx.h"
#include "workers/fetcher/map/entity.h"
#include "workers/fetcher/map/members.h"

static const struct member about[] = {
	{ "id", MEMBER_TEXT },
	{ "name", MEMBER_TEXT },
	{ "environmentId", MEMBER_TEXT },
};
static const struct member definition[] = {
	{ "id", MEMBER_TEXT },	    { "environmentId", MEMBER_TEXT }, { "name", MEMBER_TEXT },
	{ "version", MEMBER_TEXT }, { "phase", MEMBER_TEXT },
};
static const struct member step_head[] = { { "name", MEMBER_TEXT },
					   { "description", MEMBER_TEXT } };
static const struct member step_policy[] = { { "policy", MEMBER_TEXT } };
static const struct member step_tail[] = {
	{ "condition", MEMBER_TEXT },
	{ "messageCondition", MEMBER_TEXT },
};
static const struct member deployed[] = { { "deployedAt", MEMBER_MS } };

/* Absent is a yes, as the reference has it; null and 0 are none. */
static bool is_enabled(struct json_span v)
{
	switch (json_type(v)) {
	case JSON_NONE:
		return true;
	case JSON_STRING:
		return json_equals_nocase(v, "true");
	case JSON_NUMBER:
		return strtod(v.p, NULL) != 0;
	default:
		return json_is_true(v);
	}
}

/* A step without what is null, and what the reference does not know of. */
static int write_step(struct json_span step, struct buf *b, struct err *e)
{
	struct json_span configuration = json_get(step, "configuration");
	int rc;

	json_open(b, NULL, '{');
	rc = member_copy(b, step, step_head, ARRAY_LEN(step_head), e);
	json_add_bool(b, "enabled", is_enabled(json_get(step, "enabled")));
	if (rc == 0)
		rc = member_copy(b, step, step_policy, ARRAY_LEN(step_policy), e);
	if (json_type(configuration) != JSON_NONE) {
		json_write_name(b, "configuration");
		json_compact(configuration, b);
	}
	if (rc == 0)
		rc = member_copy(b, step, step_tail, ARRAY_LEN(step_tail), e);
	buf_addc(b, '}');
	return rc;
}

static int write_policies(struct json_span policies, struct buf *b, struct err *e)
{
	struct json_iter it;
	int rc = 0;

	if (json_is_null(policies))
		return 0;
	json_open(b, "policies", '[');
	json_iter_init(&it, policies);
	while (rc == 0 && json_next(&it))
		rc = write_step(it.value, b, e);
	buf_addc(b, ']');
	return rc;
}

int shared_policy_group_write(const struct map_ctx *ctx, const struct event_row *row,
			      struct map_out *out, struct err *e)
{
	struct json_span policies = json_get(row->bean, "policies");
	struct buf *b = &out->ev.payload;
	int rc;

	rc = definition_check_steps(policies, e);
	if (rc < 0)
		return rc;
	buf_addc(b, '{');
	rc = member_copy(b, row->bean, about, ARRAY_LEN(about), e);
	if (rc < 0)
		return rc;
	map_write_names(ctx, json_get(row->bean, "environmentId"), b);
	json_open(b, "definition", '{');
	rc = member_copy(b, row->bean, definition, ARRAY_LEN(definition), e);
	if (rc == 0)
		rc = write_policies(policies, b, e);
	if (rc == 0)
		rc = member_copy(b, row->bean, deployed, ARRAY_LEN(deployed), e);
	buf_addc(b, '}');
	if (rc == 0)
		rc = member_copy(b, row->bean, deployed, ARRAY_LEN(deployed), e);
	buf_addc(b, '}');
	return rc;
}
