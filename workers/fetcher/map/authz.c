/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/entity.h"
#include "workers/fetcher/map/members.h"

/*
 * The payload of the row has the members that readers know. The reference's primary drops
 * the last two on the way (storage 8.21); its readers know them and do without them, so
 * that they may stay.
 */
static const struct member entity[] = {
	{ "entityId", MEMBER_TEXT },	{ "kind", MEMBER_TEXT },
	{ "attributes", MEMBER_ANY },	{ "parents", MEMBER_ANY },
	{ "entityType", MEMBER_TEXT },	{ "environmentId", MEMBER_TEXT },
	{ "targetPdpIds", MEMBER_ANY },
};
static const struct member policy[] = {
	{ "id", MEMBER_TEXT },		{ "name", MEMBER_TEXT },
	{ "kind", MEMBER_TEXT },	{ "entityId", MEMBER_TEXT },
	{ "policyText", MEMBER_TEXT },	{ "environmentId", MEMBER_TEXT },
	{ "targetPdpIds", MEMBER_ANY },
};

static int check_form(struct json_span bean, const char *name, enum json_type type, struct err *e)
{
	struct json_span v = json_get(bean, name);

	if (json_is_null(v) || json_type(v) == type)
		return 0;
	return err_set(e, ERR_PARSE, "%s is not %s", name,
		       type == JSON_ARRAY ? "an array" : "an object");
}

static bool is_blank(struct json_span v)
{
	struct buf text = { 0 };
	size_t i = 0;
	bool blank;

	if (json_type(v) == JSON_STRING)
		json_unescape(v, &text);
	while (i < text.len && (unsigned char)text.data[i] <= ' ')
		i++;
	blank = i == text.len;
	buf_reset(&text);
	return blank;
}

static int check_kind(struct json_span bean, const char *a, const char *b, struct err *e)
{
	struct json_span v = json_get(bean, "kind");

	if (json_equals_nocase(v, a) || json_equals_nocase(v, b))
		return 0;
	return err_set(e, ERR_PARSE, "kind is neither %s nor %s", a, b);
}

static int check_entity(struct json_span bean, struct err *e)
{
	int rc = check_kind(bean, "PRINCIPAL", "RESOURCE", e);

	if (rc == 0)
		rc = check_form(bean, "attributes", JSON_OBJECT, e);
	if (rc == 0)
		rc = check_form(bean, "parents", JSON_ARRAY, e);
	return rc;
}

/* What a reader would skip is set aside here, where somebody sees it. */
static int check_policy(struct json_span bean, struct err *e)
{
	int rc = check_kind(bean, "GLOBAL", "RESOURCE", e);

	if (rc == 0 && is_blank(json_get(bean, "policyText")))
		rc = err_set(e, ERR_PARSE, "policyText is empty");
	if (rc == 0 && json_equals_nocase(json_get(bean, "kind"), "RESOURCE") &&
	    is_blank(json_get(bean, "entityId")))
		rc = err_set(e, ERR_PARSE, "a policy of kind RESOURCE has no entityId");
	return rc;
}

static int write_payload(struct json_span bean, const struct member *list, size_t n, struct buf *b,
			 struct err *e)
{
	int rc = check_form(bean, "targetPdpIds", JSON_ARRAY, e);

	if (rc < 0)
		return rc;
	buf_addc(b, '{');
	rc = member_copy(b, bean, list, n, e);
	buf_addc(b, '}');
	return rc;
}

int authz_entity_write(const struct map_ctx *ctx, const struct event_row *row, struct map_out *out,
		       struct err *e)
{
	int rc = check_entity(row->bean, e);

	UNUSED(ctx);
	return rc < 0 ? rc
		      : write_payload(row->bean, entity, ARRAY_LEN(entity), &out->ev.payload, e);
}

int authz_policy_write(const struct map_ctx *ctx, const struct event_row *row, struct map_out *out,
		       struct err *e)
{
	int rc = check_policy(row->bean, e);

	UNUSED(ctx);
	return rc < 0 ? rc
		      : write_payload(row->bean, policy, ARRAY_LEN(policy), &out->ev.payload, e);
}
