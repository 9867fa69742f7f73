/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/files/relate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/json/scan.h"
#include "common/json/write.h"
#include "workers/fetcher/map/narrow.h"
#include "workers/fetcher/source/files/relate_part.h"

/* --- items --- */

enum kind relate_kind(enum docs_dir dir)
{
	static const enum kind kinds[DIR__COUNT] = {
		[DIR_ENVIRONMENTS] = KIND_ORGANIZATION,
		[DIR_ORGANIZATIONS] = KIND_ORGANIZATION,
		[DIR_API_PRODUCTS] = KIND_API_PRODUCT,
		[DIR_APIS] = KIND_API,
		[DIR_SUBSCRIPTIONS] = KIND_SUBSCRIPTION,
		[DIR_API_KEYS] = KIND_API_KEY,
		[DIR_DICTIONARIES] = KIND_DICTIONARY,
		[DIR_SHARED_POLICY_GROUPS] = KIND_SHARED_POLICY_GROUP,
		[DIR_AUTHZ_ENTITIES] = KIND_AUTHZ_ENTITY,
		[DIR_AUTHZ_POLICIES] = KIND_AUTHZ_POLICY,
		[DIR_ACCESS_POINTS] = KIND_ACCESS_POINT,
		[DIR_LICENSES] = KIND_LICENSE,
		[DIR_INSTALLATION] = KIND_NODE_METADATA,
	};

	return kinds[dir];
}

void relate_quarantine(struct relate *r, struct doc *doc, const char *why)
{
	enum kind k = relate_kind(doc->dir);
	const struct feed_bad bad = { k, doc->n_names > 0 || doc->shadowed ? 0 : 1U << k,
				      doc->id == NULL ? "" : doc->id, doc->path, why };
	size_t n;

	doc->quarantined = true;
	feed_quarantine(r->feed, &bad);
	for (n = 0; n < doc->n_names; n++)
		feed_say(r->feed, FEED_KEPT, doc->names[n], NULL);
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

/* Withdraws a name the document made before and makes no more. */
static void withdraw(struct relate *r, const struct doc *doc, const char *name, bool absent)
{
	struct event ev = { .kind = relate_kind(doc->dir), .action = ACTION_UNDEPLOY };
	struct buf start = { 0 };
	size_t n;

	buf_printf(&start, "%s:", kind_name(ev.kind));
	if (doc->dir == DIR_SUBSCRIPTIONS || doc->dir == DIR_API_KEYS) {
		/* "API:<ref>:KIND:<id>", and the id is the document's own. */
		n = strlen("API:") + 1 + start.len + strlen(doc->id);
		CHECK(strlen(name) >= n);
		ev.id = mem_strdup(doc->id);
		ev.ref_id = mem_dup(name + strlen("API:"), strlen(name) - n);
	} else {
		ev.id = mem_strdup(name + start.len);
	}
	buf_reset(&start);
	ev.version = mem_strdup("");
	feed_put_event(r->feed, &ev, absent);
}

/* Is what a child's name refers to described by a document? */
static bool ref_has_document(const struct relate *r, const struct doc *doc, const char *name)
{
	size_t tail = strlen(kind_name(relate_kind(doc->dir))) + strlen(doc->id) + 2;
	char *ref;
	bool has;

	CHECK(strlen(name) >= strlen("API:") + tail);
	ref = mem_dup(name + strlen("API:"), strlen(name) - strlen("API:") - tail);
	has = relate_ref(r, false, ref) != NULL || relate_ref(r, true, ref) != NULL;
	mem_free(ref);
	return has;
}

void relate_publish(struct relate *r, struct doc *doc, struct made *m, enum leftovers left)
{
	char **names = mem_alloc((m->n + doc->n_names + 1) * sizeof(*names));
	size_t n = 0;
	size_t i;

	for (i = 0; i < m->n; i++) {
		struct buf b = { 0 };

		event_name(&b, m->v[i].ev.kind, m->v[i].ev.id, m->v[i].ev.ref_id);
		names[n++] = buf_take(&b);
	}
	for (i = 0; i < doc->n_names; i++) {
		if (made_has(m, doc->names[i]))
			continue;
		if (left == LEFT_KEPT && !ref_has_document(r, doc, doc->names[i]))
			names[n++] = mem_strdup(doc->names[i]);
		else
			withdraw(r, doc, doc->names[i], left == LEFT_ABSENT);
	}
	doc_set_names(doc, names, n);
	for (i = 0; i < m->n; i++) {
		mem_free(m->v[i].ev.version);
		m->v[i].ev.version = version_of(r, doc, &m->v[i]);
		feed_put_event(r->feed, &m->v[i].ev, false);
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

/* What a document of an environment that is not known made before: held, or kept. Its row
   proves nothing, so it counts as absent. So does one that is not ours, which the
   configuration says, and may be mistaken about; not the source. */
void relate_unknown(struct relate *r, struct doc *doc)
{
	struct made none = { 0 };

	if (r->places->unreadable > 0)
		relate_quarantine(r, doc, "its environment, or organization, cannot be read");
	else
		relate_publish(r, doc, &none, LEFT_ABSENT);
}

/* --- one document of each directory --- */

static bool is_place(enum docs_dir dir)
{
	return dir == DIR_ENVIRONMENTS || dir == DIR_ORGANIZATIONS;
}

static enum place_type place_type(enum docs_dir dir)
{
	return dir == DIR_ENVIRONMENTS ? PLACE_ENVIRONMENT : PLACE_ORGANIZATION;
}

/* What hangs on environments and organizations: it carries their names, or is filtered. */
static void mark_owned(struct relate *r)
{
	const struct places_wanted *w = &r->places->wanted;
	unsigned i;

	docs_mark_dir(&r->docs, DIR_API_PRODUCTS);
	docs_mark_dir(&r->docs, DIR_APIS);
	docs_mark_dir(&r->docs, DIR_SHARED_POLICY_GROUPS);
	for (i = 0; w->n_environments + w->n_organizations > 0 && i < DIR__COUNT; i++)
		if (!is_place((enum docs_dir)i))
			docs_mark_dir(&r->docs, (enum docs_dir)i);
}

/* The document is of what it was about no more: that is gone, unless another one is about it,
   a twin that takes over, or one of two that swap their contents. */
static void leave(struct relate *r, struct doc *doc)
{
	size_t i;

	for (i = 0; i < doc->n_names && !doc->shadowed; i++)
		withdraw(r, doc, doc->names[i], true);
	doc_set_names(doc, NULL, 0);
	if (kind_has_children(relate_kind(doc->dir)) && !doc->shadowed)
		relate_leave(r, doc);
	if (doc->dir == DIR_SUBSCRIPTIONS)
		docs_mark_keys(&r->docs, doc->id);
	if (is_place(doc->dir) && !doc->shadowed) {
		places_gone(r->places, place_type(doc->dir), doc->id);
		mark_owned(r);
	}
}

/* What it is about, before it is mapped. false: it was quarantined or is shadowed. */
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
			doc_set_names(doc, NULL, 0);
			relate_quarantine(r, doc, why);
			fine = false;
		}
	}
	mem_free(text);
	return fine;
}

/* An environment, an organization, or the event of one. */
static void relate_place(struct relate *r, struct doc *doc, struct json_span row)
{
	bool event = doc->dir == DIR_ORGANIZATIONS &&
		     json_type(json_get(row, "payload")) == JSON_STRING;
	struct map_out out = { 0 };
	struct made m = { 0 };
	struct err e = { 0 };
	int rc;

	if (!relate_identify(r, doc, json_get(row, "id")))
		return;
	if (event)
		rc = map_event(r->ctx, row, &out, &e);
	else
		rc = places_add(r->places, place_type(doc->dir), row, &e);
	if (rc == 0 && out.outcome == MAP_EVENT)
		made_add(&m, &out);
	if (rc < 0)
		relate_quarantine(r, doc, e.text);
	else
		relate_publish(r, doc, &m, LEFT_WITHDRAWN);
	if (rc == 0 && !event)
		mark_owned(r);
	map_out_reset(&out);
	made_reset(&m);
}

/* Its API is deployed in this pass, or deployed anew (wire page 3.6). */
static unsigned attached(const struct relate *r, const struct map_subscription *s)
{
	const struct doc *api = s->product ? NULL : relate_ref(r, false, s->scope);

	return api != NULL && api->deployed && api->anew == r->pass ? MAP_ATTACHED : 0;
}

static void relate_subscription(struct relate *r, struct doc *doc, struct json_span row)
{
	struct map_subscription facts = { 0 };
	struct map_out out = { 0 };
	struct made m = { 0 };
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
	if (o != NOT_OURS) {
		if (h == HANG_YES && out.outcome == MAP_EVENT)
			made_add(&m, &out);
		else if (h != HANG_NOTHING)
			made_undeploy(&m, KIND_SUBSCRIPTION, doc->id, doc->facts.scope);
	}
	/* What has no document takes its children along, or the guard keeps them all. */
	if (o == NOT_OURS)
		relate_publish(r, doc, &m, LEFT_ABSENT);
	else if (o == OWNER_UNKNOWN && m.n > 0 && m.v[0].ev.action == ACTION_DEPLOY)
		relate_unknown(r, doc);
	else
		relate_publish(r, doc, &m, h == HANG_NOTHING ? LEFT_KEPT : LEFT_WITHDRAWN);
	map_out_reset(&out);
	made_reset(&m);
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
		if (rc == 0 && out.outcome == MAP_EVENT)
			made_add(&to->made, &out);
	} else if (h == HANG_NO) {
		made_undeploy(&to->made, KIND_API_KEY, key->id, sub->facts.scope);
	} else {
		to->left = LEFT_KEPT;
	}
	map_out_reset(&out);
	buf_reset(&row);
	return rc;
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
		docs_set_subscriptions(&r->docs, doc, facts.subscriptions, facts.n);
	to.owner = relate_owner(r, row, NULL);
	map_key_narrow(row, &narrow);
	for (i = 0; rc == 0 && i < facts.n; i++)
		rc = relate_key_of(r, doc, &narrow, facts.subscriptions[i], &to);
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

void relate_gone(struct relate *r, struct doc *doc)
{
	cleared(r, doc);
	if (doc->id != NULL)
		leave(r, doc);
	else if (is_place(doc->dir))
		mark_owned(r);
	if (doc->dir == DIR_API_PRODUCTS && r->products_unsure)
		docs_mark_dir(&r->docs, DIR_APIS);
	docs_remove(&r->docs, doc);
}

void relate_reset(struct relate *r)
{
	docs_reset(&r->docs);
	map_ctx_free(&r->ctx);
}
