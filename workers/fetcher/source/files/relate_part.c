/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/files/relate_part.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "workers/fetcher/map/members.h"

struct doc *relate_ref(const struct relate *r, bool product, const char *id)
{
	struct doc *doc = docs_owner(&r->docs, product ? DIR_API_PRODUCTS : DIR_APIS, id);

	return doc == NULL || doc->lost ? NULL : doc;
}

struct doc *relate_twin(const struct relate *r, const struct doc *doc)
{
	return docs_owner(&r->docs, doc->dir == DIR_APIS ? DIR_API_PRODUCTS : DIR_APIS, doc->id);
}

/* --- items --- */

void relate_quarantine(struct relate *r, struct doc *doc, const char *why)
{
	enum kind k = docs_form(doc->dir)->kind;
	const struct feed_bad bad = { k, doc->names.n > 0 || doc->shadowed ? 0 : 1U << k,
				      doc->id == NULL ? "" : doc->id, doc->path, why };
	size_t n;

	doc->quarantined = true;
	feed_quarantine(r->feed, &bad);
	for (n = 0; n < doc->names.n; n++)
		feed_say(r->feed, FEED_KEPT, doc->names.v[n], NULL);
}

static void cleared(struct relate *r, struct doc *doc)
{
	if (doc->quarantined)
		feed_say(r->feed, FEED_CLEARED, doc->path, NULL);
	doc->quarantined = false;
}

char *relate_version(const struct map_out *m)
{
	const char *p = m->ev.payload.data;
	uint64_t h =
		hash_u64(p, m->deployed_at_len > 0 ? m->deployed_at_off : m->ev.payload.len, 1);

	if (m->deployed_at_len > 0) {
		size_t skip = m->deployed_at_off + m->deployed_at_len;

		h = hash_u64(p + skip, m->ev.payload.len - skip, h);
	}
	return mem_printf("x%016" PRIx64, h);
}

/* The version of a file's event. Those that are pushed to are written anew with their API. */
static char *version_of(const struct relate *r, const struct doc *doc, const struct map_out *m)
{
	char *own = relate_version(m);
	const struct doc *ref = NULL;
	char *both;

	if (doc->dir == DIR_SUBSCRIPTIONS && !doc->facts.product && m->ev.action == ACTION_DEPLOY)
		ref = relate_ref(r, false, m->ev.ref_id);
	if (ref == NULL || ref->version == NULL || !map_plans_push(&ref->plans, doc->facts.plan))
		return own;
	both = mem_printf("%s.%s", own, ref->version);
	mem_free(own);
	return both;
}

static bool is_child(const struct doc *doc)
{
	return doc->dir == DIR_SUBSCRIPTIONS || doc->dir == DIR_API_KEYS;
}

/* The reference in the name of a child: "API:<ref>:KIND:<id>", and the id is its own. */
static char *ref_in(const struct doc *doc, const char *name)
{
	size_t rest =
		strlen("API:") + 2 + strlen(kind_name(docs_form(doc->dir)->kind)) + strlen(doc->id);

	CHECK(strlen(name) >= rest);
	return mem_dup(name + strlen("API:"), strlen(name) - rest);
}

/* Withdraws a name the document made before and makes no more. */
static void withdraw(struct relate *r, const struct doc *doc, const char *name, enum feed_by by)
{
	enum kind k = docs_form(doc->dir)->kind;
	const char *id = is_child(doc) ? doc->id : name + strlen(kind_name(k)) + 1;
	char *ref = is_child(doc) ? ref_in(doc, name) : NULL;
	struct map_out out = made_withdrawal(k, id, ref);

	mem_free(ref);
	feed_put_event(r->feed, &out.ev, by);
}

/* Is what a child's name refers to described by a document? */
static bool ref_has_document(const struct relate *r, const struct doc *doc, const char *name)
{
	char *ref = ref_in(doc, name);
	bool has = relate_ref(r, false, ref) != NULL || relate_ref(r, true, ref) != NULL;

	mem_free(ref);
	return has;
}

void relate_publish(struct relate *r, struct doc *doc, struct made *m, enum leftovers left)
{
	const size_t most = m->n + doc->names.n + 1;
	struct map_ids names = { mem_alloc(most * sizeof(char *)), 0, most };
	size_t i;

	for (i = 0; i < m->n; i++) {
		char *name = event_name(m->v[i].ev.kind, m->v[i].ev.id, m->v[i].ev.ref_id);

		map_ids_add(&names, name);
		mem_free(name);
	}
	for (i = 0; i < doc->names.n; i++) {
		if (made_has(m, doc->names.v[i]))
			continue;
		if (left == LEFT_KEPT && !ref_has_document(r, doc, doc->names.v[i]))
			map_ids_add(&names, doc->names.v[i]);
		else
			withdraw(r, doc, doc->names.v[i],
				 left == LEFT_ABSENT ? BY_ABSENCE : BY_ROW);
	}
	map_ids_reset(&doc->names);
	doc->names = names;
	for (i = 0; i < m->n; i++) {
		mem_free(m->v[i].ev.version);
		m->v[i].ev.version = version_of(r, doc, &m->v[i]);
		feed_put_event(r->feed, &m->v[i].ev, m->v[i].ineligible ? BY_PRODUCTS : BY_ROW);
	}
	made_reset(m);
	cleared(r, doc);
}

/* --- environments --- */

char *relate_dup_string(struct json_span v)
{
	struct buf b = { 0 };

	if (json_type(v) != JSON_STRING)
		return NULL;
	json_unescape(v, &b);
	return buf_take(&b);
}

enum owner relate_owner(struct relate *r, struct json_span row, const char *fallback)
{
	char *env = relate_dup_string(json_get(row, "environmentId"));
	enum owner o = places_owner(r->places, env == NULL ? fallback : env);

	mem_free(env);
	return o;
}

void relate_unknown(struct relate *r, struct doc *doc)
{
	struct made none = { 0 };

	if (r->places->unreadable > 0)
		relate_quarantine(r, doc, "its environment, or organization, cannot be read");
	else
		relate_publish(r, doc, &none, LEFT_ABSENT);
	doc->unpublished = UNPUBLISHED_NO_ENVIRONMENT;
}

void relate_publish_owned(struct relate *r, struct doc *doc, struct map_out *out, enum owner o)
{
	struct made m = { 0 };

	if (o == OWNER_UNKNOWN && out->outcome == MAP_EVENT && out->ev.action == ACTION_DEPLOY) {
		relate_unknown(r, doc);
		return;
	}
	if (out->outcome == MAP_EVENT && o != NOT_OURS)
		made_add(&m, out);
	relate_publish(r, doc, &m, o == NOT_OURS ? LEFT_ABSENT : LEFT_WITHDRAWN);
}

/* --- what a document is about --- */

void relate_members(struct relate *r, const char *id, struct map_ids *apis, bool lost)
{
	struct map_ids changed = { 0 };
	size_t i;

	map_ctx_set_product(r->ctx, id, apis, &changed);
	for (i = 0; i < changed.n; i++) {
		struct doc *api = docs_owner(&r->docs, DIR_APIS, changed.v[i]);

		if (api == NULL)
			continue;
		api->lost = api->lost || lost;
		docs_mark(&r->docs, api);
	}
	map_ids_reset(&changed);
}

static bool is_place(enum docs_dir dir)
{
	return dir == DIR_ENVIRONMENTS || dir == DIR_ORGANIZATIONS;
}

enum place_type relate_place_type(enum docs_dir dir)
{
	return dir == DIR_ENVIRONMENTS ? PLACE_ENVIRONMENT : PLACE_ORGANIZATION;
}

void relate_mark_owned(struct relate *r)
{
	const struct places_wanted *w = &r->places->wanted;
	unsigned i;

	docs_mark_dir(&r->docs, DIR_API_PRODUCTS);
	docs_mark_dir(&r->docs, DIR_APIS);
	docs_mark_dir(&r->docs, DIR_SHARED_POLICY_GROUPS);
	for (i = 0; w->environments.n + w->organizations.n > 0 && i < DIR__COUNT; i++)
		if (!is_place((enum docs_dir)i))
			docs_mark_dir(&r->docs, (enum docs_dir)i);
}

/* What hangs on an API or a product is looked at again. */
static void leave_reference(struct relate *r, struct doc *doc)
{
	struct map_ids none = { 0 };
	struct doc *twin = relate_twin(r, doc);

	docs_mark_children(&r->docs, doc->id);
	if (twin != NULL)
		docs_mark(&r->docs, twin);
	if (doc->dir == DIR_API_PRODUCTS)
		relate_members(r, doc->id, &none, true);
	doc->deployed = false;
	map_plans_reset(&doc->plans);
}

/* The document is of what it was about no more: that is gone, unless another one is about it,
   a twin that takes over, or one of two that swap their contents. */
static void leave(struct relate *r, struct doc *doc)
{
	size_t i;

	if (doc->dir == DIR_SUBSCRIPTIONS)
		docs_mark_keys(&r->docs, doc->id);
	for (i = 0; i < doc->names.n && !doc->shadowed; i++)
		withdraw(r, doc, doc->names.v[i], true);
	map_ids_reset(&doc->names);
	if (doc->shadowed)
		return;
	if (kind_has_children(docs_form(doc->dir)->kind))
		leave_reference(r, doc);
	if (is_place(doc->dir)) {
		places_gone(r->places, relate_place_type(doc->dir), doc->id);
		relate_mark_owned(r);
	}
}

void relate_gone(struct relate *r, struct doc *doc)
{
	cleared(r, doc);
	if (doc->id != NULL)
		leave(r, doc);
	else if (is_place(doc->dir))
		relate_mark_owned(r);
	if (doc->dir == DIR_API_PRODUCTS && r->products.doubt)
		docs_mark_dir(&r->docs, DIR_APIS);
	docs_remove(&r->docs, doc);
}

bool relate_identify(struct relate *r, struct doc *doc, struct json_span id)
{
	char *text = relate_dup_string(id);
	char why[600];
	bool fine = text != NULL && text[0] != '\0';

	if (!fine) {
		relate_quarantine(r, doc, "it has no id");
	} else {
		if (doc->id != NULL && !str_equal(doc->id, text))
			leave(r, doc);
		docs_set_id(&r->docs, doc, text);
		docs_unmark(&r->docs, doc);
		if (doc->shadowed) {
			(void)snprintf(why, sizeof(why), "its id %.200s is that of %.300s too",
				       text, docs_owner(&r->docs, doc->dir, text)->path);
			map_ids_reset(&doc->names);
			relate_quarantine(r, doc, why);
			fine = false;
		}
	}
	mem_free(text);
	return fine;
}

/* --- rows around documents --- */

bool relate_has_type(struct json_span v)
{
	size_t n;
	const char *const *types = map_event_types(MAP_TYPES_ALL, &n);

	return member_one_of(json_get(v, "type"), types, n) != NULL;
}

/* A row has a type of event, or at least a payload: a dictionary has a type of its own. */
bool relate_is_row(struct json_span v)
{
	return relate_has_type(v) || json_type(json_get(v, "payload")) == JSON_STRING;
}

void relate_wrap(enum docs_dir dir, struct json_span v, int64_t created_ms, struct buf *out)
{
	const struct docs_form *form = docs_form(dir);
	struct json_span id = json_get(v, form->id);

	buf_printf(out, "{\"type\":\"%s\",\"payload\":", form->type);
	json_write_string(out, v.p, v.n);
	if (json_type(id) == JSON_STRING)
		buf_printf(out, ",\"properties\":{\"%s\":%.*s}", form->property, (int)id.n, id.p);
	buf_printf(out, ",\"createdAt\":%" PRId64 "}", created_ms);
}
