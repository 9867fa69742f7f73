/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "common/base/mem.h"
#include "workers/fetcher/source/rows_page.h"

/* --- what is remembered of a reference --- */

static void forget_plans(struct ref *a)
{
	map_plans_reset(&a->plans);
	a->plans_known = false;
	a->looked_up = false;
}

void ref_set(struct ref *a, enum ref_state state, int64_t version_ms)
{
	if (state != REF_ON || a->version_ms != version_ms)
		forget_plans(a);
	a->state = state;
	a->version_ms = version_ms;
}

enum hang ref_hang(const struct ref *a, const char *plan)
{
	switch (a->state) {
	case REF_ON:
		if (map_plans_has(&a->plans, plan))
			return HANG_YES;
		return a->plans_known ? HANG_NO : HANG_MAYBE;
	case REF_OFF:
		return HANG_NO;
	case REF_UNREADABLE:
		return HANG_KEPT;
	default:
		return HANG_NOTHING;
	}
}

/* What the row's event makes of it. true: its children must be looked at again. */
static bool ref_learn(struct ref *a, const struct map_out *out, struct map_plans *plans,
		      int64_t version_ms)
{
	bool on = out->ev.action == ACTION_DEPLOY;
	bool changed = on && (a->state != REF_ON || !a->plans_known || a->looked_up ||
			      !map_plans_equal(&a->plans, plans) ||
			      (a->version_ms != version_ms && map_plans_push(plans, NULL)));

	forget_plans(a);
	ref_set(a, on ? REF_ON : REF_OFF, version_ms);
	a->plans = *plans;
	a->plans_known = on;
	*plans = (struct map_plans){ 0 };
	return changed;
}

/* --- products --- */

static void set_members(struct rows *r, const char *id, struct map_ids *apis)
{
	struct ref *p = ref_entry(r, KIND_API_PRODUCT, id);

	p->learned = true;
	p->listed = r->pass;
	map_ctx_set_product(r->ctx, id, apis, &r->owed);
}

static struct json_span payload_of(const struct map_out *out)
{
	return (struct json_span){ out->ev.payload.data, out->ev.payload.len };
}

/* A product as it is mapped now. */
static int learn_product(struct rows *r, const struct map_out *out, struct err *e)
{
	struct map_ids apis = { 0 };
	int rc = 0;

	if (out->ev.action == ACTION_DEPLOY)
		rc = map_members_read(payload_of(out), &apis, e);
	if (rc == 0)
		set_members(r, out->ev.id, &apis);
	return rc;
}

void rows_forget_product(struct rows *r, const char *id)
{
	struct map_ids none = { 0 };

	set_members(r, id, &none);
}

static int list_row(void *arg, const struct db_row *row, struct err *e)
{
	struct rows *r = arg;
	struct ref *p = ref_entry(r, KIND_API_PRODUCT, row->id);
	struct feed_bad bad = { .kind = KIND_API_PRODUCT, .id = row->id, .why = row->bad };
	struct map_out out = { 0 };
	struct err why = { 0 };
	int rc = 0;

	UNUSED(e);
	if (bad.why == NULL)
		rc = map_event(r->ctx, row->json, &out, &why);
	if (rc == 0 && out.outcome == MAP_EVENT)
		rc = rows_check_id(out.ev.kind, out.ev.id, row->id, &why);
	if (rc == 0 && out.outcome == MAP_EVENT)
		rc = learn_product(r, &out, &why);
	if (rc < 0)
		bad.why = why.text;
	if (bad.why != NULL) {
		rows_quarantine_of(r, DB_EVENTS, &bad, NULL);
		p->listed = r->pass;
		r->products.doubt |= !p->learned; /* else its last good version counts */
	}
	map_out_reset(&out);
	return 0;
}

int rows_products(struct rows *r, struct err *e)
{
	/* Withdrawn ones too: their row is not gone. */
	static const char *const types[] = { "DEPLOY_API_PRODUCT", "UNDEPLOY_API_PRODUCT" };
	const struct row_lookup l = { DB_EVENTS, false, "type", (char *const *)(uintptr_t)types,
				      ARRAY_LEN(types) };
	struct map_ids none = { 0 };
	const char *id;
	size_t at = 0;
	void *v;
	int rc;

	r->products.doubt = false;
	rc = rows_look_up(r, &l, list_row, r, e);
	while (rc == 0 && table_next(&r->refs[1], &at, &id, &v)) {
		struct ref *p = v;

		if (!p->learned || p->listed == r->pass ||
		    (p->state == REF_UNREADABLE && p->seen == r->pass))
			continue;
		p->learned = false;
		r->products.lost = true;
		map_ctx_set_product(r->ctx, id, &none, &r->owed);
	}
	return rc;
}

/* --- mapping --- */

/* Of two rows of one entity, which one counts? */
int rows_check_id(enum kind k, const char *of, const char *id, struct err *e)
{
	return !map_own_id(k) || str_equal(of, id)
		       ? 0
		       : err_set(e, ERR_PARSE, "it is of the %s %.200s, and has another _id",
				 kind_name(k), of);
}

void rows_bad_event(struct rows *r, const struct row *row, const char *why)
{
	struct map_about about = { 0 };
	struct feed_bad bad = { .id = row->id, .why = why };
	char *name = NULL;

	if (map_event_about(r->ctx, page_row(row), &about, NULL) == 0 && about.outcome == MAP_EVENT)
		name = event_name(about.kind, about.id, NULL);
	bad.kind = about.kind;
	rows_quarantine_of(r, DB_EVENTS, &bad, name);
	mem_free(about.id);
	mem_free(name);
}

/* An API that a product might hold, or held until an outage: nothing is said of it. */
static bool is_doubtful(struct rows *r, const struct map_out *out, int64_t version_ms)
{
	struct ref *a = out->ineligible ? ref_entry(r, KIND_API, out->ev.id) : NULL;
	enum map_say say = map_judge(&r->products, out, a != NULL && a->state == REF_LOST);

	if (say == MAP_DOUBT) {
		rows_keep(r, KIND_API, out->ev.id);
		rows_unreadable(r, KIND_API, out->ev.id);
	} else if (say == MAP_LOST) {
		CHECK(a != NULL);
		r->products.holds = true;
		ref_set(a, REF_LOST, version_ms);
	}
	return say != MAP_SAY;
}

/* Learns what an API or a product has become. *children: see ref_learn(). */
static int learn(struct rows *r, const struct map_out *out, int64_t version_ms, bool *children,
		 struct err *e)
{
	struct map_plans plans = { 0 };
	int rc = 0;

	if (out->ev.action == ACTION_DEPLOY)
		rc = map_plans_read(out->ev.kind, payload_of(out), &plans, e);
	if (rc == 0 && out->ev.kind == KIND_API_PRODUCT)
		rc = learn_product(r, out, e);
	if (rc == 0)
		*children =
			ref_learn(ref_entry(r, out->ev.kind, out->ev.id), out, &plans, version_ms);
	map_plans_reset(&plans);
	return rc;
}

int rows_map_event(struct rows *r, const struct row *row, struct map_out *out, bool *children)
{
	struct err why = { 0 };
	int rc = map_event(r->ctx, page_row(row), out, &why);

	if (rc == 0 && out->outcome == MAP_EVENT)
		rc = rows_check_id(out->ev.kind, out->ev.id, row->id, &why);
	if (rc == 0 && out->outcome == MAP_EVENT && is_doubtful(r, out, row->updated_ms))
		map_out_reset(out);
	else if (rc == 0 && out->outcome == MAP_EVENT && kind_has_children(out->ev.kind))
		rc = learn(r, out, row->updated_ms, children, &why);
	if (rc < 0) {
		map_out_reset(out);
		rows_bad_event(r, row, why.text);
	} else {
		rows_fine(r, DB_EVENTS, row->id);
	}
	return rc;
}

/* --- look-ups for children --- */

static int learn_row(void *arg, const struct db_row *row, struct err *e)
{
	struct rows *r = arg;
	const struct row one = row_of(row);
	struct map_out out = { 0 };
	bool children = false;

	UNUSED(e);
	if (row->bad != NULL) {
		char *name = event_name(KIND_API, row->id, NULL);

		rows_quarantine(r, DB_EVENTS, row->id, name, row->bad);
		mem_free(name);
		return 0;
	}
	/* Unless it can be read. */
	rows_unreadable(r, KIND_API, row->id);
	rows_unreadable(r, KIND_API_PRODUCT, row->id);
	if (rows_map_event(r, &one, &out, &children) == 0 && out.outcome == MAP_EVENT &&
	    kind_has_children(out.ev.kind))
		ref_entry(r, out.ev.kind, row->id)->looked_up = true;
	map_out_reset(&out);
	return 0;
}

/* Only what the zone holds live has children there: its own row may be on its way. */
static int is_live(struct rows *r, enum kind k, const char *id, bool *live, struct err *e)
{
	struct feed_ask ask = { .name = event_name(k, id, NULL), .gone = true };
	struct feed_ask *one = &ask;
	int rc = feed_ask(r->feed, &one, 1, e);

	mem_free(ask.name);
	*live = ask.verdict == ASK_OTHER;
	return rc;
}

int rows_ref(const struct row_page *p, enum kind k, const char *id, struct ref **out, struct err *e)
{
	struct rows *r = p->r;
	struct ref *a = ref_entry(r, k, id);
	bool live = false;
	int rc;

	*out = a;
	/* A pass over everything comes by its row before its children, unless it is gone. */
	if (p->kind != PASS_DELTA && a->seen != r->pass && a->pass != r->pass) {
		forget_plans(a);
		a->state = REF_UNKNOWN;
	}
	if (a->state == REF_OFF || a->state == REF_UNREADABLE || a->state == REF_ON ||
	    a->state == REF_LOST || (a->state == REF_ABSENT && a->pass == r->pass))
		return 0;
	rc = is_live(r, k, id, &live, e);
	a->state = live ? REF_ON : REF_ABSENT;
	a->version_ms = 0;
	a->pass = r->pass;
	return rc;
}

int rows_ref_plans(const struct row_page *p, enum kind k, const char *id, struct ref **out,
		   struct err *e)
{
	struct rows *r = p->r;
	struct ref *a = ref_entry(r, k, id);
	char *ids[1] = { (char *)(uintptr_t)id };
	const struct row_lookup l = { DB_EVENTS, false, "id", ids, 1 };
	int rc = 0;

	if (a->state == REF_ON && !a->plans_known) {
		a->state = REF_ABSENT; /* unless there is a row */
		a->pass = r->pass;
		rc = rows_look_up(r, &l, learn_row, r, e);
	}
	return rc < 0 ? rc : rows_ref(p, k, id, out, e);
}
