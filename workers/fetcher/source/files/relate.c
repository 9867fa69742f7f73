/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/files/relate.h"

#include "common/base/mem.h"
#include "common/json/scan.h"
#include "workers/fetcher/map/narrow.h"
#include "workers/fetcher/source/files/relate_part.h"

/* --- one document of each directory --- */

/* An environment, an organization, or the event of one. */
static void relate_place(struct relate *r, struct doc *doc, struct json_span row)
{
	bool event = doc->dir == DIR_ORGANIZATIONS &&
		     json_type(json_get(row, "payload")) == JSON_STRING;
	struct map_out out = { 0 };
	struct err e = { 0 };
	int rc;

	if (!relate_identify(r, doc, json_get(row, "id")))
		return;
	if (event)
		rc = map_event(r->ctx, row, &out, &e);
	else
		rc = places_add(r->places, relate_place_type(doc->dir), row, &e);
	if (rc < 0)
		relate_quarantine(r, doc, e.text);
	else
		relate_publish_owned(r, doc, &out, OURS);
	if (rc == 0 && !event)
		relate_mark_owned(r);
	map_out_reset(&out);
}

/* Its API is deployed in this pass, or deployed anew (storage 3.6). */
static unsigned attached(const struct relate *r, const struct map_subscription *s)
{
	const struct doc *api = s->product ? NULL : relate_ref(r, false, s->scope);

	return api != NULL && api->deployed && api->anew == r->pass ? MAP_ATTACHED : 0;
}

static void relate_subscription(struct relate *r, struct doc *doc, struct json_span row)
{
	struct map_subscription facts = { 0 };
	struct map_out out = { 0 };
	struct made none = { 0 };
	struct err e = { 0 };
	enum hang h;
	enum owner o;
	int rc;

	if (!relate_identify(r, doc, json_get(row, "id")))
		return;
	rc = map_subscription_read(row, &facts, &e);
	if (rc == 0)
		rc = map_subscription(row, MAP_PRODUCT_KNOWN | attached(r, &facts), &out, &e);
	if (rc < 0) {
		relate_quarantine(r, doc, e.text);
		map_subscription_reset(&facts);
		return;
	}
	docs_set_facts(&r->docs, doc, &facts);
	docs_mark_keys(&r->docs, doc->id);
	o = relate_owner(r, row, NULL);
	h = relate_hang(r, &doc->facts);
	if (h == HANG_NO) {
		map_out_reset(&out);
		out = made_withdrawal(KIND_SUBSCRIPTION, doc->id, doc->facts.scope);
	}
	if (doc->facts.status == NULL && o == OURS)
		doc->unpublished = UNPUBLISHED_NO_STATUS;
	else if (h == HANG_NOTHING && doc->facts.accepted && o == OURS &&
		 docs_owner(&r->docs, doc->facts.product ? DIR_API_PRODUCTS : DIR_APIS,
			    doc->facts.scope) == NULL)
		doc->unpublished = doc->facts.product ? UNPUBLISHED_NO_PRODUCT : UNPUBLISHED_NO_API;
	/* What has no document takes its children along, or the guard keeps them all. */
	if (h == HANG_NOTHING && o != NOT_OURS)
		relate_publish(r, doc, &none, LEFT_KEPT);
	else
		relate_publish_owned(r, doc, &out, o);
	map_out_reset(&out);
}

struct key_events { /* of one key, in the making */
	struct made made;
	enum leftovers left;
	enum owner owner;
	struct err e;
};

/* The key's event for one of its subscriptions; `to->left`: what to do with older names. */
static int relate_key_of(struct relate *r, const struct doc *key, const struct buf *narrow,
			 const char *sub_id, struct key_events *to)
{
	const struct doc *sub = docs_owner(&r->docs, DIR_SUBSCRIPTIONS, sub_id);
	struct map_out out = { 0 };
	struct buf row = { 0 };
	enum hang h;
	int rc = 0;

	if (sub == NULL || sub->facts.id == NULL) {
		if (to->left == LEFT_WITHDRAWN)
			to->left = LEFT_ABSENT;
		return 0; /* nothing to hang on */
	}
	h = relate_hang(r, &sub->facts);
	if (to->owner == NOT_OURS) {
		to->left = LEFT_ABSENT;
	} else if (h == HANG_YES) {
		map_key_complete(narrow, sub_id, &row);
		rc = map_apikey(relate_text(&row), &sub->facts, MAP_PRODUCT_KNOWN, &out, &to->e);
	} else if (h == HANG_NO) {
		out = made_withdrawal(KIND_API_KEY, key->id, sub->facts.scope);
	} else {
		to->left = LEFT_KEPT;
	}
	if (rc == 0 && out.outcome == MAP_EVENT)
		made_add(&to->made, &out);
	map_out_reset(&out);
	buf_reset(&row);
	return rc;
}

/* Why it makes nothing, though nobody said that it should not be used; NULL: that it is not so. */
static const char *why_alone(const struct relate *r, const struct map_key *k)
{
	size_t i;

	if (k->revoked || k->paused || k->federated)
		return NULL;
	for (i = 0; i < k->subscriptions.n; i++)
		if (docs_owner(&r->docs, DIR_SUBSCRIPTIONS, k->subscriptions.v[i]) != NULL)
			return NULL;
	return i == 0 ? UNPUBLISHED_ALONE : UNPUBLISHED_NO_SUBSCRIPTION;
}

static void relate_key(struct relate *r, struct doc *doc, struct json_span row)
{
	struct key_events to = { .left = LEFT_WITHDRAWN };
	struct map_key facts = { 0 };
	struct buf narrow = { 0 };
	const char *why = to.e.text;
	size_t i;
	int rc;

	if (!relate_identify(r, doc, json_get(row, "id")))
		return;
	rc = map_key_read(row, &facts, &to.e);
	if (rc == 0)
		docs_set_subscriptions(&r->docs, doc, &facts);
	to.owner = relate_owner(r, row, NULL);
	if (rc == 0 && to.owner == OURS)
		doc->unpublished = why_alone(r, &facts);
	map_key_narrow(row, &narrow);
	for (i = 0; rc == 0 && i < facts.subscriptions.n; i++)
		rc = relate_key_of(r, doc, &narrow, facts.subscriptions.v[i], &to);
	if (rc < 0)
		relate_quarantine(r, doc, why[0] != '\0' ? why : "the key cannot be mapped");
	else if (to.owner == OWNER_UNKNOWN)
		relate_unknown(r, doc);
	else
		relate_publish(r, doc, &to.made, to.left);
	made_reset(&to.made);
	buf_reset(&narrow);
	map_key_reset(&facts);
}

void relate_doc(struct relate *r, struct doc *doc, const struct buf *text, int64_t modified_ms)
{
	struct json_span row;
	struct err e = { 0 };

	docs_unmark(&r->docs, doc);
	doc->unpublished = NULL;
	if (json_check(text->data, text->len, &row, &e) < 0) {
		relate_quarantine(r, doc, e.text);
		return;
	}
	if (json_type(row) != JSON_OBJECT) {
		relate_quarantine(r, doc, "it is no JSON object");
		return;
	}
	switch (doc->dir) {
	case DIR_ENVIRONMENTS:
	case DIR_ORGANIZATIONS:
		relate_place(r, doc, row);
		break;
	case DIR_API_PRODUCTS:
		relate_product(r, doc, row, modified_ms);
		break;
	case DIR_APIS:
		relate_api(r, doc, row, modified_ms);
		break;
	case DIR_SUBSCRIPTIONS:
		relate_subscription(r, doc, row);
		break;
	case DIR_API_KEYS:
		relate_key(r, doc, row);
		break;
	default:
		relate_plain(r, doc, row, modified_ms);
		break;
	}
	docs_unmark(&r->docs, doc);
}

void relate_reset(struct relate *r)
{
	docs_reset(&r->docs);
	map_ctx_free(&r->ctx);
}
