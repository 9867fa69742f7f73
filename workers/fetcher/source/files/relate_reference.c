/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/source/files/relate_part.h"

/* The names of their children would not tell them apart: of an API and a product with one
   id the later is set aside, and which one that is the zone knows. */
static bool is_refused(struct relate *r, const struct doc *doc)
{
	const struct doc *twin = relate_twin(r, doc);
	struct feed_ask ask = { .gone = true };
	struct feed_ask *one = &ask;

	if (doc->dir == DIR_APIS)
		return twin != NULL && twin->deployed;
	if (doc->names.n > 0 || twin != NULL)
		return doc->names.n == 0;
	ask.name = event_name(KIND_API, doc->id, NULL);
	if (feed_ask(r->feed, &one, 1, NULL) < 0)
		ask.verdict = ASK_SAME;
	mem_free(ask.name);
	return ask.verdict == ASK_OTHER;
}

/* It is what its event says, or nothing (`out` is empty): the document is refused. */
static bool identify_as(struct relate *r, struct doc *doc, const char *id)
{
	struct buf quoted = { 0 };
	char why[600];
	bool fine;

	json_write_string(&quoted, id, strlen(id));
	fine = relate_identify(r, doc, relate_text(&quoted));
	buf_reset(&quoted);
	if (!fine || !is_refused(r, doc))
		return fine;
	(void)snprintf(why, sizeof(why), "its id %.200s is that of an API%s too", id,
		       doc->dir == DIR_APIS ? " product" : "");
	relate_quarantine(r, doc, why);
	return false;
}

/* What the document has become, before its event goes: its children depend on it. */
static int learn_reference(struct relate *r, struct doc *doc, const struct map_out *out,
			   bool deployed, struct err *e)
{
	struct map_plans plans = { 0 };
	struct map_ids apis = { 0 };
	char *version;
	bool anew;
	int rc = 0;

	if (out->ev.action == ACTION_DEPLOY)
		rc = map_plans_read(out->ev.kind, relate_text(&out->ev.payload), &plans, e);
	if (rc == 0 && deployed && doc->dir == DIR_API_PRODUCTS)
		rc = map_members_read(relate_text(&out->ev.payload), &apis, e);
	if (rc < 0) {
		map_plans_reset(&plans);
		return rc;
	}
	version = relate_version(out);
	anew = deployed && (!doc->deployed || !str_equal(version, doc->version));
	if (deployed != doc->deployed || !map_plans_equal(&plans, &doc->plans) ||
	    (anew && map_plans_push(&plans, NULL)))
		docs_mark_children(&r->docs, doc->id);
	if (anew)
		doc->anew = r->pass;
	mem_free(doc->version);
	doc->version = version;
	doc->deployed = deployed;
	map_plans_reset(&doc->plans);
	doc->plans = plans;
	if (doc->dir == DIR_API_PRODUCTS)
		relate_members(r, doc->id, &apis, !deployed && out->ev.action == ACTION_DEPLOY);
	return 0;
}

/* An API, or a product, of an environment whose owner is `o`. */
static void relate_reference(struct relate *r, struct doc *doc, enum owner o, struct map_out *out)
{
	bool deployed = o != NOT_OURS && out->ev.action == ACTION_DEPLOY;
	struct err e = { 0 };

	doc->lost = false;
	if (!identify_as(r, doc, out->ev.id))
		return;
	if (learn_reference(r, doc, out, deployed, &e) < 0) {
		relate_quarantine(r, doc, e.text);
		return;
	}
	doc->lost = o == NOT_OURS; /* and what hangs on it goes with it */
	relate_publish_owned(r, doc, out, o);
}

/* Its file is as good as gone: only a product that is gone made it eligible. */
static void relate_lost(struct relate *r, struct doc *doc)
{
	struct made none = { 0 };

	doc->deployed = false;
	map_plans_reset(&doc->plans);
	relate_publish(r, doc, &none, LEFT_ABSENT);
}

void relate_api(struct relate *r, struct doc *doc, struct json_span row, int64_t modified_ms)
{
	struct map_out out = { 0 };
	struct err e = { 0 };
	int rc = map_api_file(r->ctx, row, modified_ms, &out, &e);
	bool lost = doc->lost && str_equal(doc->id, out.ev.id);
	enum map_say say = map_judge(&r->products, &out, lost);

	if (relate_has_type(row)) {
		relate_quarantine(r, doc,
				  "it is a row of events_latest; write the API's definition, which "
				  "is in its payload, or the row of apis");
	} else if (rc < 0 || out.outcome != MAP_EVENT) {
		relate_quarantine(r, doc, rc < 0 ? e.text : out.reason);
	} else if (say == MAP_DOUBT) {
		relate_quarantine(r, doc,
				  "neither its tags nor its plans make it eligible, and an API "
				  "product cannot be read");
	} else if (say == MAP_LOST) {
		relate_lost(r, doc);
	} else {
		relate_reference(r, doc, relate_owner(r, row, "DEFAULT"), &out);
	}
	map_out_reset(&out);
}

enum hang relate_hang(const struct relate *r, const struct map_subscription *s)
{
	const struct doc *doc = relate_ref(r, s->product, s->scope);

	if (doc == NULL)
		return HANG_NOTHING;
	return doc->deployed && map_plans_has(&doc->plans, s->plan) ? HANG_YES : HANG_NO;
}

static int map_product(struct relate *r, struct json_span row, int64_t modified_ms,
		       struct map_out *out, struct err *e)
{
	struct json_span given = json_get(row, "deployedAt");
	struct buf wrapped = { 0 };
	int64_t at = modified_ms;
	int rc;

	if (relate_is_row(row)) {
		rc = map_event(r->ctx, row, out, e);
	} else if (json_type(json_get(row, "id")) != JSON_STRING) {
		rc = err_set(e, ERR_PARSE, "it has no id");
	} else if (!json_is_null(given) && !json_to_i64(given, &at)) {
		rc = err_set(e, ERR_PARSE, "deployedAt is not an integer");
	} else {
		relate_wrap(DIR_API_PRODUCTS, row, at, &wrapped);
		rc = map_event(r->ctx, relate_text(&wrapped), out, e);
	}
	buf_reset(&wrapped);
	if (rc == 0 && (out->outcome != MAP_EVENT || out->ev.kind != KIND_API_PRODUCT))
		rc = err_set(e, ERR_PARSE, "it is no API product");
	if (relate_is_row(row) || !json_is_null(given))
		out->deployed_at_len = 0; /* it was given */
	return rc;
}

void relate_product(struct relate *r, struct doc *doc, struct json_span row, int64_t modified_ms)
{
	struct map_out out = { 0 };
	struct err e = { 0 };

	if (map_product(r, row, modified_ms, &out, &e) < 0) {
		relate_quarantine(r, doc, e.text);
	} else {
		CHECK(out.ev.id != NULL);
		if (r->products.doubt)
			docs_mark_dir(&r->docs, DIR_APIS);
		relate_reference(r, doc, relate_owner(r, relate_text(&out.ev.payload), "DEFAULT"),
				 &out);
	}
	map_out_reset(&out);
}
