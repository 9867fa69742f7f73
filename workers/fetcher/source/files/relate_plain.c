/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/members.h"
#include "workers/fetcher/map/plain.h"
#include "workers/fetcher/source/files/relate_part.h"

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
			relate_publish_owned(r, doc, &out, owner_of_payload(r, &out.ev));
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
	else if (about.outcome == MAP_EVENT && about.kind != docs_form(doc->dir)->kind)
		relate_quarantine(r, doc, "its type belongs into another directory");
	else if (about.outcome == MAP_EVENT)
		relate_row(r, doc, v, &about);
	else if (relate_has_type(
			 v)) /* of one that is distributed at no time, or not by this node */
		relate_publish_owned(r, doc, &nothing, OURS);
	else
		relate_quarantine(r, doc, "its type is none that is known");
	mem_free(about.id);
	buf_reset(&wrapped);
}

/* --- rows of their own --- */

/* An organization is this gateway's when an environment of it is, or when it is wanted. */
static enum owner organization_owner(struct relate *r, const char *id)
{
	const struct place *o = places_find(r->places, PLACE_ORGANIZATION, id);
	struct map_ids ours = { 0 };
	bool found;

	if (!places_filter(r->places))
		return OURS;
	places_organizations(r->places, &ours);
	found = map_ids_has(&ours, id);
	map_ids_reset(&ours);
	if (found)
		return OURS;
	return o != NULL && o->there ? NOT_OURS : OWNER_UNKNOWN;
}

static void relate_own(struct relate *r, struct doc *doc, struct json_span row)
{
	bool license = doc->dir == DIR_LICENSES;
	struct json_span id = license ? map_license_organization(row) : json_get(row, "id");
	char *of = relate_dup_string(license ? id : map_access_point_environment(row));
	struct map_out out = { 0 };
	struct err e = { 0 };

	if (relate_identify(r, doc, id)) {
		if ((license ? map_license(row, &out, &e) : map_access_point(row, &out, &e)) < 0)
			relate_quarantine(r, doc, e.text);
		else
			relate_publish_owned(r, doc, &out,
					     license ? organization_owner(r, of)
						     : places_owner(r->places, of));
	}
	map_out_reset(&out);
	mem_free(of);
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
		relate_publish_owned(r, doc, &out,
				     by_ids && r->places->unreadable > 0 ? OWNER_UNKNOWN : OURS);
		map_ids_reset(&organizations);
	}
	map_out_reset(&out);
	mem_free(id);
}

void relate_plain(struct relate *r, struct doc *doc, struct json_span row, int64_t modified_ms)
{
	if (doc->dir == DIR_ACCESS_POINTS || doc->dir == DIR_LICENSES)
		relate_own(r, doc, row);
	else if (doc->dir == DIR_INSTALLATION)
		relate_installation(r, doc, row);
	else
		relate_event(r, doc, row, modified_ms);
}
