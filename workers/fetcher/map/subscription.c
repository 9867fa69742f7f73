/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/map.h"
#include "workers/fetcher/map/members.h"

static const char *const statuses[] = { "ACCEPTED", "CLOSED", "PAUSED", "PENDING", "REJECTED" };
static const char *const consumer_statuses[] = { "STARTED", "STOPPED", "FAILURE" };
static const char *const types[] = { "STANDARD", "PUSH" };

/* What a row is judged by. */
enum { ID, API, REFERENCE_TYPE, REFERENCE_ID, PLAN, STATUS, UPDATED, CREATED, FACTS };
static const char *const facts[FACTS] = {
	[ID] = "id",
	[API] = "api",
	[REFERENCE_TYPE] = "referenceType",
	[REFERENCE_ID] = "referenceId",
	[PLAN] = "plan",
	[STATUS] = "status",
	[UPDATED] = "updatedAt",
	[CREATED] = "createdAt",
};

static const struct member client[] = {
	{ "application", MEMBER_TEXT },
	{ "applicationName", MEMBER_TEXT },
	{ "clientId", MEMBER_TEXT },
	{ "clientCertificate", MEMBER_TEXT },
};
static const struct member dates[] = { { "startingAt", MEMBER_MS }, { "endingAt", MEMBER_MS } };
static const struct member environment[] = { { "environmentId", MEMBER_TEXT } };
static const struct member configuration[] = {
	{ "channel", MEMBER_TEXT },
	{ "entrypointId", MEMBER_TEXT },
	{ "entrypointConfiguration", MEMBER_ANY },
};

/* An entry of the table; absent or null leaves *out as it is. */
static int take_word(struct json_span v, const char *const *table, size_t n, const char **out)
{
	const char *word;

	if (json_is_null(v))
		return 0;
	word = member_one_of(v, table, n);
	if (word == NULL)
		return ERR_PARSE;
	*out = word;
	return 0;
}

static int take_scope(const struct json_span *v, struct map_subscription *s, struct err *e)
{
	struct json_span type = v[REFERENCE_TYPE];
	struct json_span scope = v[REFERENCE_ID];

	s->product = json_equals(type, "API_PRODUCT");
	if (!json_is_null(type) && !s->product && !json_equals(type, "API"))
		return err_set(e, ERR_PARSE, "subscription: unknown referenceType");
	if (json_is_null(type) || (!s->product && json_is_null(scope)))
		scope = v[API];
	return member_take_id(scope, "subscription's api", &s->scope, e);
}

/* A row that was checked; what was taken stays to be reset when it fails. */
static int read_row(struct json_span row, struct map_subscription *s, struct err *e)
{
	struct json_span v[FACTS];
	int rc;

	json_pick(row, facts, v, FACTS);
	rc = member_take_id(v[ID], "subscription id", &s->id, e);
	if (rc == 0)
		rc = take_scope(v, s, e);
	if (rc == 0)
		rc = member_take_id(v[PLAN], "subscription's plan", &s->plan, e);
	if (rc == 0 && take_word(v[STATUS], statuses, ARRAY_LEN(statuses), &s->status) < 0)
		rc = err_set(e, ERR_PARSE, "subscription: unknown status");
	if (rc == 0)
		rc = member_take_updated(v[UPDATED], v[CREATED], &s->updated_at, e);
	s->accepted = s->status == statuses[0];
	return rc;
}

int map_subscription_read(struct json_span text, struct map_subscription *out, struct err *e)
{
	struct map_subscription s = { 0 };
	struct json_span row = { 0 };
	int rc = member_check_object(text, "subscription", &row, e);

	if (rc == 0)
		rc = read_row(row, &s, e);
	if (rc < 0)
		map_subscription_reset(&s);
	else
		*out = s;
	return rc;
}

void map_subscription_reset(struct map_subscription *s)
{
	mem_free(s->id);
	mem_free(s->scope);
	mem_free(s->plan);
	*s = (struct map_subscription){ 0 };
}

/* A configuration that cannot be read is left out, as the reference does. */
static void write_configuration(struct json_span v, struct buf *b)
{
	struct json_span object = { 0 };
	struct buf room = { 0 };
	struct buf made = { 0 };
	int rc = 0;

	if (json_type(v) == JSON_OBJECT)
		object = v;
	else
		rc = member_open_text(v, "configuration", &room, &object, NULL);
	buf_addc(&made, '{');
	if (rc == 0)
		rc = member_copy(&made, object, configuration, ARRAY_LEN(configuration), NULL);
	buf_addc(&made, '}');
	if (rc == 0) {
		json_write_name(b, "configuration");
		buf_add(b, made.data, made.len);
	}
	buf_reset(&room);
	buf_reset(&made);
}

static int write_metadata(struct json_span v, struct buf *b, struct err *e)
{
	json_write_name(b, "metadata");
	if (!json_is_null(v))
		return member_write_strings(b, v, "metadata", e);
	buf_adds(b, "{}");
	return 0;
}

/* Whether it is forced is of the moment, not of the content. */
static void write_force(bool attached, struct map_out *out)
{
	struct buf *b = &out->ev.payload;

	json_write_name(b, "forceDispatch");
	out->deployed_at_off = b->len;
	buf_adds(b, attached ? "true" : "false");
	out->deployed_at_len = b->len - out->deployed_at_off;
}

static int write_tail(struct json_span row, const struct map_subscription *s, bool attached,
		      struct map_out *out, struct err *e)
{
	struct buf *b = &out->ev.payload;
	const char *type = types[0];
	int rc = write_metadata(json_get(row, "metadata"), b, e);

	if (rc == 0 && take_word(json_get(row, "type"), types, ARRAY_LEN(types), &type) < 0)
		rc = err_set(e, ERR_PARSE, "subscription: unknown type");
	if (rc < 0)
		return rc;
	json_add_str(b, "type", type);
	write_force(attached, out);
	rc = member_copy(b, row, environment, ARRAY_LEN(environment), e);
	if (rc < 0)
		return rc;
	json_add_str(b, "apiProductId", s->product ? s->scope : NULL);
	buf_addc(b, '}');
	return 0;
}

static int write_payload(struct json_span row, const struct map_subscription *s, bool attached,
			 struct map_out *out, struct err *e)
{
	struct buf *b = &out->ev.payload;
	const char *consumer = consumer_statuses[0];
	int rc;

	buf_reserve(b, row.n); /* about what it takes: growing step by step costs more */
	buf_addc(b, '{');
	json_add_str(b, "id", s->id);
	json_add_str(b, "api", s->product ? NULL : s->scope);
	json_add_str(b, "plan", s->plan);
	rc = member_copy(b, row, client, ARRAY_LEN(client), e);
	if (rc == 0 && take_word(json_get(row, "consumerStatus"), consumer_statuses,
				 ARRAY_LEN(consumer_statuses), &consumer) < 0)
		rc = err_set(e, ERR_PARSE, "subscription: unknown consumerStatus");
	if (rc < 0)
		return rc;
	json_add_str(b, "status", s->status);
	json_add_str(b, "consumerStatus", consumer);
	rc = member_copy(b, row, dates, ARRAY_LEN(dates), e);
	if (rc < 0)
		return rc;
	if (!json_is_null(json_get(row, "configuration")))
		write_configuration(json_get(row, "configuration"), b);
	return write_tail(row, s, attached, out, e);
}

/* What withdraws needs no payload, so nothing else in the row can stand in its way. */
static int map_row(struct json_span row, unsigned flags, struct map_out *out, struct err *e)
{
	struct map_subscription s = { 0 };
	bool attached = (flags & MAP_ATTACHED) != 0;
	int rc = read_row(row, &s, e);

	if (rc == 0 && s.product && (flags & MAP_PRODUCT_KNOWN) == 0) {
		out->reason = "product is not deployed";
	} else if (rc == 0) {
		out->outcome = MAP_EVENT;
		out->ev.kind = KIND_SUBSCRIPTION;
		out->ev.id = mem_strdup(s.id);
		out->ev.ref_id = mem_strdup(s.scope);
		out->ev.version = member_version(s.updated_at);
		out->ev.action = s.accepted ? ACTION_DEPLOY : ACTION_UNDEPLOY;
		if (out->ev.action == ACTION_DEPLOY)
			rc = write_payload(row, &s, attached, out, e);
		else
			out->reason = "not accepted";
	}
	map_subscription_reset(&s);
	return rc;
}

int map_subscription(struct json_span text, unsigned flags, struct map_out *out, struct err *e)
{
	struct map_out made = { 0 };
	struct json_span row = { 0 };
	int rc = member_check_object(text, "subscription", &row, e);

	if (rc == 0)
		rc = map_row(row, flags, &made, e);
	if (rc == 0)
		rc = member_check_payload(&made.ev.payload, e);
	if (rc < 0)
		map_out_reset(&made);
	else
		*out = made;
	return rc;
}
