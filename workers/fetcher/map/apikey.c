/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/map.h"
#include "workers/fetcher/map/members.h"
#include "workers/fetcher/map/narrow.h"

/* What a row is judged by. */
enum { ID, SUBSCRIPTIONS, SUBSCRIPTION, REVOKED, PAUSED, FEDERATED, UPDATED, CREATED, FACTS };
static const char *const facts[FACTS] = {
	[ID] = "id",
	[SUBSCRIPTIONS] = "subscriptions",
	[SUBSCRIPTION] = "subscription",
	[REVOKED] = "revoked",
	[PAUSED] = "paused",
	[FEDERATED] = "federated",
	[UPDATED] = "updatedAt",
	[CREATED] = "createdAt",
};

static const struct member application[] = { { "application", MEMBER_TEXT } };
static const struct member expiry[] = { { "expireAt", MEMBER_MS } };

/* A key with one of its subscriptions. */
struct pair {
	struct json_span row; /* the key's */
	struct map_key key;
	const struct map_subscription *subscription;
};

static int take_flag(const struct json_span *v, int which, bool *out, struct err *e)
{
	if (!json_is_null(v[which]) && json_type(v[which]) != JSON_BOOL)
		return err_set(e, ERR_PARSE, "%s is neither true nor false", facts[which]);
	*out = json_is_true(v[which]);
	return 0;
}

/* Rows of old releases name one subscription beside the list, or instead of it. */
static int take_subscriptions(const struct json_span *v, struct map_key *k, struct err *e)
{
	static const char what[] = "key's subscription";
	struct json_span single = v[SUBSCRIPTION];
	int rc = member_take_ids(v[SUBSCRIPTIONS], "subscriptions", what, &k->subscriptions, e);
	char *id;

	if (rc < 0 || k->subscriptions.n > 0 || json_is_null(single))
		return rc;
	rc = member_take_id(single, what, &id, e);
	if (rc == 0)
		map_ids_take(&k->subscriptions, id);
	return rc;
}

/* A row that was checked; what was taken stays to be reset when it fails. */
static int read_row(struct json_span row, struct map_key *k, struct err *e)
{
	struct json_span v[FACTS];
	int rc;

	json_pick(row, facts, v, FACTS);
	rc = member_take_id(v[ID], "key id", &k->id, e);
	if (rc == 0)
		rc = take_subscriptions(v, k, e);
	if (rc == 0)
		rc = take_flag(v, REVOKED, &k->revoked, e);
	if (rc == 0)
		rc = take_flag(v, PAUSED, &k->paused, e);
	if (rc == 0)
		rc = take_flag(v, FEDERATED, &k->federated, e);
	if (rc == 0)
		rc = member_take_updated(v[UPDATED], v[CREATED], &k->updated_at, e);
	return rc;
}

int map_key_read(struct json_span text, struct map_key *out, struct err *e)
{
	struct map_key k = { 0 };
	struct json_span row = { 0 };
	int rc = member_check_object(text, "key", &row, e);

	if (rc == 0)
		rc = read_row(row, &k, e);
	if (rc < 0)
		map_key_reset(&k);
	else
		*out = k;
	return rc;
}

void map_key_reset(struct map_key *k)
{
	map_ids_reset(&k->subscriptions);
	mem_free(k->id);
	*k = (struct map_key){ 0 };
}

void map_key_narrow(struct json_span row, struct buf *out)
{
	struct json_iter it;

	buf_addc(out, '{');
	json_iter_init(&it, row);
	while (json_next(&it)) {
		if (json_equals(it.name, facts[SUBSCRIPTIONS]) ||
		    json_equals(it.name, facts[SUBSCRIPTION]))
			continue;
		json_write_comma(out);
		buf_add(out, it.name.p, it.name.n);
		buf_addc(out, ':');
		buf_add(out, it.value.p, it.value.n);
	}
}

void map_key_complete(const struct buf *narrow, const char *subscription, struct buf *out)
{
	buf_clear(out);
	buf_add(out, narrow->data, narrow->len);
	json_add_str(out, facts[SUBSCRIPTION], subscription);
	buf_addc(out, '}');
}

static bool belongs(const struct map_key *k, const struct map_subscription *s)
{
	size_t i;

	for (i = 0; i < k->subscriptions.n; i++)
		if (strcmp(k->subscriptions.v[i], s->id) == 0)
			return true;
	return false;
}

static const char *why_nothing(const struct map_key *k, const struct map_subscription *s,
			       unsigned flags)
{
	if (k->federated)
		return "federated keys are not distributed";
	if (!belongs(k, s))
		return "the key is not of this subscription";
	if (s->product && (flags & MAP_PRODUCT_KNOWN) == 0)
		return "product is not deployed";
	return NULL;
}

static bool is_active(const struct map_key *k, const struct map_subscription *s)
{
	return !k->revoked && !k->paused && s->accepted;
}

static int write_payload(const struct pair *p, struct buf *b, struct err *e)
{
	const struct map_key *k = &p->key;
	const struct map_subscription *s = p->subscription;
	struct json_span key = json_get(p->row, "key");
	int rc;

	if (json_type(key) != JSON_STRING)
		return err_set(e, ERR_PARSE, "key is not text");
	buf_reserve(b, p->row.n); /* about what it takes: growing step by step costs more */
	buf_addc(b, '{');
	json_add_str(b, "id", k->id);
	json_write_name(b, "key");
	json_write_respelled(b, key);
	json_add_str(b, "api", s->scope);
	json_add_str(b, "plan", s->plan);
	json_add_str(b, "subscription", s->id);
	rc = member_copy(b, p->row, application, ARRAY_LEN(application), e);
	if (rc == 0)
		rc = member_copy(b, p->row, expiry, ARRAY_LEN(expiry), e);
	if (rc < 0)
		return rc;
	json_add_bool(b, "revoked", k->revoked);
	json_add_bool(b, "paused", k->paused);
	json_add_bool(b, "active", is_active(k, s));
	buf_addc(b, '}');
	return 0;
}

/* What withdraws needs no payload, so nothing else in the row can stand in its way. */
static int map_pair(const struct pair *p, struct map_out *out, struct err *e)
{
	const struct map_key *k = &p->key;
	const struct map_subscription *s = p->subscription;

	out->outcome = MAP_EVENT;
	out->ev.kind = KIND_API_KEY;
	out->ev.id = mem_strdup(k->id);
	out->ev.ref_id = mem_strdup(s->scope);
	out->ev.version = member_version(MAX(k->updated_at, s->updated_at));
	if (is_active(k, s)) {
		out->ev.action = ACTION_DEPLOY;
		return write_payload(p, &out->ev.payload, e);
	}
	out->ev.action = ACTION_UNDEPLOY;
	out->reason = "not active";
	return 0;
}

int map_apikey(struct json_span text, const struct map_subscription *s, unsigned flags,
	       struct map_out *out, struct err *e)
{
	struct map_out made = { 0 };
	struct pair p = { .subscription = s };
	int rc = member_check_object(text, "key", &p.row, e);

	if (rc == 0)
		rc = read_row(p.row, &p.key, e);
	if (rc == 0)
		made.reason = why_nothing(&p.key, s, flags);
	if (rc == 0 && made.reason == NULL)
		rc = map_pair(&p, &made, e);
	map_key_reset(&p.key);
	if (rc < 0)
		map_out_reset(&made);
	else
		*out = made;
	return rc;
}
