/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/serve/resolve.h"

#include <string.h>

#define HITS_DONE 1

enum {
	M_ID,
	M_PLAN,
	M_APPLICATION,
	M_SUBSCRIPTION,
	M_EXPIRE,
	M_REVOKED,
	M_PAUSED,
	M_ACTIVE,
	M_STATUS,
	M_STARTING,
	M_ENDING,
	M_PRODUCT,
	M__COUNT
};

static const char *const members[M__COUNT] = { "id",	       "plan",	   "application",
					       "subscription", "expireAt", "revoked",
					       "paused",       "active",   "status",
					       "startingAt",   "endingAt", "apiProductId" };

struct resolve_work {
	struct store_view *v;
	const struct resolve_ask *ask;
	struct resolve_answer *out;
	unsigned hits;
	size_t bytes; /* of payloads that were read */
	/* What is looked at: the reference that was asked for, or a product that contains it. */
	const char *ref;
	enum kind ref_kind;
	size_t product;
	unsigned precedence;
	size_t products[RESOLVE_PRODUCTS_MAX]; /* where their ids begin in `texts` */
	unsigned n_products;
};

/* --- members: absent is fine, of another type or size is not --- */

static bool add_text(struct buf *texts, struct json_span v, size_t *at)
{
	*at = texts->len;
	if (!json_is_null(v) && (json_type(v) != JSON_STRING || v.n > 6 * RESOLVE_TEXT_MAX + 2))
		return false;
	json_unescape(v, texts);
	buf_addc(texts, '\0');
	return texts->len - *at <= RESOLVE_TEXT_MAX + 1 &&
	       strlen(texts->data + *at) == texts->len - *at - 1;
}

static bool read_flag(struct json_span v, bool *out)
{
	*out = json_is_true(v);
	return json_is_null(v) || json_type(v) == JSON_BOOL;
}

static bool read_time(struct json_span v, int64_t *out)
{
	*out = 0;
	return json_is_null(v) || json_to_i64(v, out);
}

/* --- what stands against it --- */

static void object(struct resolve_match *m, Gateway__Match__Why why)
{
	if (m->why == GATEWAY__MATCH__WHY__NONE)
		m->why = why;
}

static void expire(struct resolve_match *m, int64_t at_ms)
{
	if (at_ms != 0 && (m->expire_ms == 0 || at_ms < m->expire_ms))
		m->expire_ms = at_ms;
}

/* False: these members are not those of a subscription. */
static bool judge_subscription(struct resolve_match *m, const struct json_span *v, int64_t now_ms)
{
	int64_t starting;
	int64_t ending;

	if (!read_time(v[M_STARTING], &starting) || !read_time(v[M_ENDING], &ending))
		return false;
	if (!json_equals(v[M_STATUS], "ACCEPTED"))
		object(m, GATEWAY__MATCH__WHY__SUBSCRIPTION_NOT_ACCEPTED);
	if (starting > now_ms)
		object(m, GATEWAY__MATCH__WHY__SUBSCRIPTION_NOT_STARTED);
	if (!json_is_null(v[M_ENDING]) && ending <= now_ms)
		object(m, GATEWAY__MATCH__WHY__SUBSCRIPTION_ENDED);
	expire(m, ending);
	return true;
}

static bool judge_key(struct resolve_match *m, const struct json_span *v, int64_t now_ms)
{
	int64_t at;
	bool revoked;
	bool paused;
	bool active;

	if (!read_time(v[M_EXPIRE], &at) || !read_flag(v[M_REVOKED], &revoked) ||
	    !read_flag(v[M_PAUSED], &paused) || !read_flag(v[M_ACTIVE], &active))
		return false;
	if (revoked)
		object(m, GATEWAY__MATCH__WHY__KEY_REVOKED);
	if (paused)
		object(m, GATEWAY__MATCH__WHY__KEY_PAUSED);
	if (!json_is_null(v[M_EXPIRE]) && at <= now_ms)
		object(m, GATEWAY__MATCH__WHY__KEY_EXPIRED);
	if (!active)
		object(m, GATEWAY__MATCH__WHY__KEY_INACTIVE);
	expire(m, at);
	return true;
}

/* --- the subscription of a key --- */

/* Its plan counts where it is known: a key keeps the plan it was written with. */
static int follow_subscription(struct resolve_work *w, struct resolve_match *m)
{
	struct buf *texts = &w->out->texts;
	struct json_span v[M__COUNT];
	struct store_entry x;
	struct json_span doc;
	size_t plan;
	int rc = store_find(w->v, KIND_SUBSCRIPTION, texts->data + m->subscription, w->ref, &x,
			    NULL);

	if (rc == 0)
		w->bytes += x.payload_len;
	if (rc == ERR_DAMAGED)
		return rc;
	if (rc < 0 || x.action != ACTION_DEPLOY ||
	    json_check(x.payload, x.payload_len, &doc, NULL) < 0) {
		object(m, GATEWAY__MATCH__WHY__SUBSCRIPTION_UNKNOWN);
		return 0;
	}
	json_pick(doc, members, v, M__COUNT);
	/* That of a product is none of an API that has the product's id, and the other way. */
	if (!add_text(texts, v[M_PLAN], &plan) ||
	    json_is_null(v[M_PRODUCT]) != (w->ref_kind == KIND_API) ||
	    !judge_subscription(m, v, w->ask->now_ms))
		object(m, GATEWAY__MATCH__WHY__SUBSCRIPTION_UNKNOWN);
	else if (texts->data[plan] != '\0')
		m->plan = plan;
	return 0;
}

/* --- hits --- */

static bool is_better(const struct resolve_match *a, const struct resolve_match *b)
{
	bool active = a->why == GATEWAY__MATCH__WHY__NONE;

	if (active != (b->why == GATEWAY__MATCH__WHY__NONE))
		return active;
	if (a->precedence != b->precedence)
		return a->precedence < b->precedence;
	return a->updated_ms != b->updated_ms ? a->updated_ms > b->updated_ms
					      : a->revision > b->revision;
}

/* In its place among the best. False: there is none. */
static bool keep(struct resolve_answer *a, const struct resolve_match *m)
{
	size_t i = a->n;

	while (i > 0 && is_better(m, &a->match[i - 1]))
		i--;
	if (i == RESOLVE_MATCHES_MAX)
		return false;
	a->n = MIN(a->n + 1, RESOLVE_MATCHES_MAX);
	memmove(&a->match[i + 1], &a->match[i], (a->n - 1 - i) * sizeof(*m));
	a->match[i] = *m;
	return true;
}

/* 1 a match, 0 none, or an error. */
static int read_match(struct resolve_work *w, const struct store_entry *x, struct resolve_match *m)
{
	const struct resolve_ask *ask = w->ask;
	struct buf *texts = &w->out->texts;
	struct json_span v[M__COUNT];
	struct lookup_texts t;
	struct json_span doc;
	bool is_key = ask->by == LOOKUP_KEY;
	int rc = 0;

	if (json_check(x->payload, x->payload_len, &doc, NULL) < 0 ||
	    !lookup_read(&t, x->kind, doc) || t.by != ask->by || !json_equals(t.ref, w->ref) ||
	    !json_equals(t.text, ask->text) ||
	    (!is_key && t.product != (w->ref_kind == KIND_API_PRODUCT)))
		return 0;
	json_pick(doc, members, v, M__COUNT);
	if (ask->plan[0] != '\0' && !json_equals(v[M_PLAN], ask->plan))
		return 0;
	if (!add_text(texts, v[M_PLAN], &m->plan) ||
	    !add_text(texts, v[M_APPLICATION], &m->application) ||
	    !add_text(texts, v[is_key ? M_SUBSCRIPTION : M_ID], &m->subscription))
		return 0;
	if (is_key && (!add_text(texts, v[M_ID], &m->key_id) || !judge_key(m, v, ask->now_ms)))
		return 0;
	if (is_key)
		rc = follow_subscription(w, m);
	else if (!judge_subscription(m, v, ask->now_ms))
		return 0;
	if (!w->out->deployed)
		object(m, GATEWAY__MATCH__WHY__REF_NOT_DEPLOYED);
	return rc < 0 ? rc : 1;
}

/* One more payload to read: may it be? */
static bool may_read(struct resolve_work *w, const struct store_entry *x)
{
	if (w->hits >= RESOLVE_HITS_MAX || w->bytes >= RESOLVE_BYTES_MAX)
		return false;
	w->hits++;
	w->bytes += x->payload_len;
	return true;
}

static int on_hit(void *arg, const struct store_entry *x)
{
	struct resolve_work *w = arg;
	struct buf *texts = &w->out->texts;
	size_t before = texts->len;
	struct resolve_match m = { .updated_ms = x->updated_ms,
				   .revision = x->revision,
				   .product = w->product,
				   .precedence = w->precedence };
	int rc;

	if (!may_read(w, x))
		return HITS_DONE;
	rc = read_match(w, x, &m);
	if (rc < 0 && rc != ERR_DAMAGED)
		return rc;
	if (rc <= 0 || !keep(w->out, &m))
		texts->len = before;
	return 0;
}

static int look_under(struct resolve_work *w, const char *ref, enum kind kind)
{
	struct lookup l;

	w->ref = ref;
	w->ref_kind = kind;
	lookup_make(&l, w->ask->by, ref, w->ask->text);
	return store_lookup(w->v, &l, on_hit, w);
}

/* --- products --- */

/* What is found under an API was read when it was written, and its checksum says that it is
   that: it need not be checked as JSON once more. */
static int on_product(void *arg, const struct store_entry *x)
{
	struct resolve_work *w = arg;
	struct buf *texts = &w->out->texts;
	const struct json_span doc = { x->payload, x->payload_len };

	if (!may_read(w, x))
		return HITS_DONE;
	if (x->kind != KIND_API_PRODUCT || x->id_len > RESOLVE_TEXT_MAX ||
	    !lookup_holds(doc, w->ask->ref))
		return 0;
	w->products[w->n_products++] = texts->len;
	buf_add(texts, x->id, x->id_len);
	buf_addc(texts, '\0');
	return w->n_products == RESOLVE_PRODUCTS_MAX ? HITS_DONE : 0;
}

static int look_under_products(struct resolve_work *w)
{
	char id[RESOLVE_TEXT_MAX + 1]; /* the texts move when they grow */
	struct lookup l;
	unsigned i;
	int rc;

	lookup_make(&l, LOOKUP_MEMBER, w->ask->ref, "");
	rc = store_lookup(w->v, &l, on_product, w);
	for (i = 0; rc >= 0 && i < w->n_products; i++) {
		w->product = w->products[i];
		w->precedence = i + 1;
		str_copy(id, sizeof(id), w->out->texts.data + w->product);
		rc = look_under(w, id, KIND_API_PRODUCT);
	}
	return rc;
}

int resolve(struct store_view *v, const struct resolve_ask *ask, struct resolve_answer *out)
{
	struct resolve_work w = { .v = v, .ask = ask, .out = out };
	int rc;

	out->n = 0;
	buf_clear(&out->texts);
	buf_addc(&out->texts, '\0'); /* 0 is the empty text */
	out->deployed = store_is_live(v, ask->ref_kind, ask->ref);
	rc = look_under(&w, ask->ref, ask->ref_kind);
	if (rc >= 0 && ask->ref_kind == KIND_API)
		rc = look_under_products(&w);
	/* What is left out may be what was asked for: an active match is enough, no other is. */
	if (rc >= 0 && store_view_left_out(v) > 0 &&
	    (out->n == 0 || out->match[0].why != GATEWAY__MATCH__WHY__NONE))
		rc = ERR_DAMAGED;
	return rc < 0 ? rc : 0;
}

void resolve_reset(struct resolve_answer *a)
{
	buf_reset(&a->texts);
}
