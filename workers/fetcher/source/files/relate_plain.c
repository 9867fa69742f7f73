/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/members.h"
#include "workers/fetcher/map/plain.h"
#include "workers/fetcher/source/files/relate_part.h"

/* Publishes what an environment or organization of that owner made. */
static void publish_owned(struct relate *r, struct doc *doc, struct map_out *out, enum owner o)
{
	bool deploys = out->outcome == MAP_EVENT && out->ev.action == ACTION_DEPLOY;
	struct made m = { 0 };

	if (out->outcome == MAP_EVENT && o != NOT_OURS && (o == OURS || !deploys))
		made_add(&m, out);
	if (o == NOT_OURS)
		relate_publish(r, doc, &m, LEFT_ABSENT);
	else if (o == OWNER_UNKNOWN && deploys)
		relate_unknown(r, doc);
	else
		relate_publish(r, doc, &m, LEFT_WITHDRAWN);
	made_reset(&m);
}

/* --- rows of events --- */

/* An event of no environment is everybody's. */
static enum owner owner_of_payload(struct relate *r, const struct event *ev)
{
	struct json_span v = { ev->payload.data, ev->payload.len };
	char *env = v.n == 0 ? NULL : relate_dup_string(json_get(v, "environmentId"));
	enum owner o = env == NULL ? OURS : places_owner(r->places, env);

	mem_free(env);
	return o;
}

static void relate_row(struct relate *r, struct doc *doc, struct json_span row,
		       const struct map_about *about)
{
	struct map_out out = { 0 };
	struct buf id = { 0 };
	struct err e = { 0 };

	json_write_string(&id, about->id, strlen(about->id));
	if (relate_identify(r, doc, relate_text(&id))) {
		if (map_event(r->ctx, row, &out, &e) < 0)
			relate_quarantine(r, doc, e.text);
		else
			publish_owned(r, doc, &out, owner_of_payload(r, &out.ev));
	}
	map_out_reset(&out);
	buf_reset(&id);
}

static void relate_event(struct relate *r, struct doc *doc, struct json_span v, int64_t modified_ms)
{
	struct map_about about = { 0 };
	struct map_out nothing = { 0 };
	struct buf wrapped = { 0 };
	struct err e = { 0 };

	if (!relate_is_row(v)) {
		relate_wrap(doc->dir, v, modified_ms, &wrapped);
		v = relate_text(&wrapped);
	}
	if (map_event_about(r->ctx, v, &about, &e) < 0)
		relate_quarantine(r, doc, e.text);
	else if (about.outcome == MAP_EVENT && about.kind != relate_kind(doc->dir))
		relate_quarantine(r, doc, "its type belongs into another directory");
	else if (about.outcome == MAP_EVENT)
		relate_row(r, doc, v, &about);
	else if (relate_has_type(
			 v)) /* of one that is distributed at no time, or not by this node */
		publish_owned(r, doc, &nothing, OURS);
	else
		relate_quarantine(r, doc, "its type is none that is known");
	mem_free(about.id);
	buf_reset(&wrapped);
}

/* --- rows of their own --- */

static void relate_access_point(struct relate *r, struct doc *doc, struct json_span row)
{
	struct map_out out = { 0 };
	struct err e = { 0 };
	char *env = relate_dup_string(map_access_point_environment(row));

	if (relate_identify(r, doc, json_get(row, "id"))) {
		if (map_access_point(row, &out, &e) < 0)
			relate_quarantine(r, doc, e.text);
		else
			publish_owned(r, doc, &out, places_owner(r->places, env));
	}
	map_out_reset(&out);
	mem_free(env);
}

/* An organization is this gateway's when an environment of it is, or when it is wanted. */
static enum owner organization_owner(struct relate *r, const char *id)
{
	const struct place *o = places_find(r->places, PLACE_ORGANIZATION, id);
	struct map_ids ours = { 0 };
	bool found;

	if (!places_filter(r->places))
		return OURS;
	places_organizations(r->places, &ours);
	found = id != NULL && ours.n > 0 &&
		bsearch(&id, ours.v, ours.n, sizeof(char *), str_order) != NULL;
	map_ids_reset(&ours);
	if (found)
		return OURS;
	return o != NULL && o->there ? NOT_OURS : OWNER_UNKNOWN;
}

static void relate_license(struct relate *r, struct doc *doc, struct json_span row)
{
	struct map_out out = { 0 };
	struct err e = { 0 };
	char *id = relate_dup_string(map_license_organization(row));

	if (relate_identify(r, doc, map_license_organization(row))) {
		if (map_license(row, &out, &e) < 0)
			relate_quarantine(r, doc, e.text);
		else
			publish_owned(r, doc, &out, organization_owner(r, id));
	}
	map_out_reset(&out);
	mem_free(id);
}

/* There is one: whatever it is called, a second document is shadowed by the first. */
static void relate_installation(struct relate *r, struct doc *doc, struct json_span row)
{
	static const char one[] = "\"installation\"";
	char *id = relate_dup_string(json_get(row, "id"));
	bool by_ids = !r->places->wanted.legacy_hrids;
	struct map_ids organizations = { 0 };
	struct map_out out = { 0 };

	if (id == NULL || id[0] == '\0') {
		relate_quarantine(r, doc, "it has no id");
	} else if (relate_identify(r, doc, (struct json_span){ one, strlen(one) })) {
		if (by_ids)
			places_organizations(r->places, &organizations);
		map_node_metadata(id, organizations.v, organizations.n, &out);
		publish_owned(r, doc, &out,
			      by_ids && r->places->unreadable > 0 ? OWNER_UNKNOWN : OURS);
		map_ids_reset(&organizations);
	}
	map_out_reset(&out);
	mem_free(id);
}

void relate_plain(struct relate *r, struct doc *doc, struct json_span row, int64_t modified_ms)
{
	if (doc->dir == DIR_ACCESS_POINTS)
		relate_access_point(r, doc, row);
	else if (doc->dir == DIR_LICENSES)
		relate_license(r, doc, row);
	else if (doc->dir == DIR_INSTALLATION)
		relate_installation(r, doc, row);
	else
		relate_event(r, doc, row, modified_ms);
}
