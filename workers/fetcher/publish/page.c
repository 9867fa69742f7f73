/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/publish/page.h"

#include <string.h>

#include "common/base/mem.h"

#define RECORD_OVERHEAD 200 /* of its other fields, and the commands around them */

void page_begin(struct zone_page *p, const struct known *k, size_t most, int64_t now_ms)
{
	*p = (struct zone_page){
		.base = k->revision, .most = most, .most_bytes = PAGE_BYTES, .now_ms = now_ms
	};
	str_copy(p->was, sizeof(p->was), k->lineage);
}

bool page_has_room(const struct zone_page *p, size_t payload_bytes)
{
	return p->n == 0 || (p->n < p->most && p->bytes + payload_bytes <= p->most_bytes);
}

bool page_is_empty(const struct zone_page *p)
{
	return p->n == 0 && p->n_fields == 0 && !p->begins && p->complete == NULL &&
	       !p->sync_state && !p->corrects && !p->looks;
}

static void record_reset(struct page_record *r)
{
	event_reset(&r->ev);
	mem_free(r->name);
}

void page_drop(struct zone_page *p)
{
	while (p->n > 0)
		record_reset(&p->records[--p->n]);
	mem_free(p->records);
	while (p->n_fields > 0) {
		mem_free(p->fields[--p->n_fields].field);
		mem_free(p->fields[p->n_fields].value);
	}
	mem_free(p->fields);
	*p = (struct zone_page){ 0 };
}

/* --- what `known` says after a record --- */

static void set_there(struct known *k, struct known_entry *e, const struct hash *h)
{
	digest_sub(&k->sums, &e->there);
	e->there = *h;
	digest_add(&k->sums, h);
}

/* One revision for each record that has an effect. */
static void step(struct known *k, struct known_entry *e, const struct hash *h)
{
	set_there(k, e, h);
	e->revision = ++k->revision;
	e->behind = false;
	e->bare = false;
}

/* --- records --- */

/* Of what is known of it. false: it is no name of ours, whatever it is. */
static bool event_of(const struct known_entry *e, enum action action, struct event *ev)
{
	const char *id = NULL;

	*ev = (struct event){ .action = action };
	if (event_name_parse(e->name, known_ref_id(e), &ev->kind, &id, NULL) < 0)
		return false;
	ev->id = mem_strdup(id);
	ev->ref_id = mem_strdup(known_ref_id(e));
	return true;
}

static struct page_record *add(struct zone_page *p, const struct known_entry *e,
			       enum record_what what, struct event *ev)
{
	struct page_record *r;

	p->records = mem_grow(p->records, &p->cap, p->n + 1, sizeof(*p->records));
	r = &p->records[p->n++];
	*r = (struct page_record){ .what = what, .name = mem_strdup(e->name) };
	r->revision = e->revision;
	r->hash = e->there;
	r->updated_ms = e->updated_ms;
	r->ev = *ev;
	*ev = (struct event){ 0 };
	if (r->ev.version == NULL)
		r->ev.version = mem_strdup("");
	p->bytes += RECORD_OVERHEAD + 2 * strlen(r->name) + r->ev.payload.len;
	return r;
}

static struct known_entry *entry_of(struct known *k, const struct event *ev)
{
	char *name = event_name(ev->kind, ev->id, ev->ref_id);
	struct known_entry *e = known_get(k, name);

	mem_free(name);
	return e;
}

static bool is_there(const struct known_entry *e, const struct hash *h)
{
	return e->revision > 0 && hash_equal(&e->there, h);
}

void page_deploy(struct zone_page *p, struct known *k, struct event *ev, const struct hash *h,
		 bool forced)
{
	struct known_entry *e = entry_of(k, ev);

	CHECK(e != NULL && ev->action == ACTION_DEPLOY);
	if (!forced && is_there(e, h)) {
		(void)add(p, e, RECORD_VERSION, ev);
		return;
	}
	step(k, e, h);
	e->updated_ms = p->now_ms;
	(void)add(p, e, RECORD_WRITE, ev);
}

static const struct hash tomb = { { 'U' } };

static void bury(struct zone_page *p, struct known *k, struct known_entry *e, struct event *ev)
{
	step(k, e, &tomb);
	e->updated_ms = p->now_ms;
	(void)add(p, e, RECORD_WRITE, ev);
}

void page_withdraw(struct zone_page *p, struct known *k, struct event *ev, bool forced)
{
	struct known_entry *e = entry_of(k, ev);

	if (e == NULL || (e->revision == 0 && !e->behind && !forced)) {
		event_reset(ev); /* it was never there */
	} else if (!is_there(e, &tomb) || forced) {
		bury(p, k, e, ev);
	} else {
		if (ev->version != NULL && ev->version[0] != '\0')
			(void)add(p, e, RECORD_VERSION, ev);
		event_reset(ev);
	}
}

/* Of no version: what a child was made from says nothing of its reference, which may come back. */
bool page_children(struct zone_page *p, struct known *k, const char *ref)
{
	struct known_ref *r = table_get(&k->refs, ref);
	struct known_entry *e = r == NULL ? NULL : r->first;

	for (; e != NULL; e = e->next) {
		struct event ev;

		if (e->revision == 0 || is_there(e, &tomb))
			continue;
		if (!page_has_room(p, 0))
			return false;
		if (!event_of(e, ACTION_UNDEPLOY, &ev))
			continue;
		bury(p, k, e, &ev);
		if (!known_live(e)) /* else it came back meanwhile, and waits behind */
			known_withdraw(k, e, "");
	}
	return true;
}

void page_keep(struct zone_page *p, struct known *k, const char *name)
{
	char scratch[KNOWN_VERSION_BYTES];
	struct known_entry *e = known_get(k, name);
	struct event ev;
	bool bare;

	if (e == NULL || !e->behind || e->hash.b[0] == 0)
		return; /* it is in the log of this refill; or lost */
	if (!event_of(e, (enum action)e->hash.b[0], &ev))
		return;
	ev.version = mem_strdup(known_version(e, scratch));
	bare = e->bare;
	step(k, e, &e->hash);
	add(p, e, RECORD_KEEP, &ev)->bare = bare;
}

void page_purge(struct zone_page *p, struct known *k, const char *name, uint64_t revision)
{
	struct known_entry *e = known_get(k, name);
	struct event ev;

	if (e == NULL || e->revision != revision || !is_there(e, &tomb) || known_live(e) ||
	    !event_of(e, ACTION_UNDEPLOY, &ev))
		return;
	k->horizon = MAX(k->horizon, revision);
	(void)add(p, e, RECORD_FORGET, &ev);
	known_drop(k, name);
}

void page_again(struct zone_page *p, struct known *k, struct page_record *r)
{
	struct known_entry *e = known_get(k, r->name);
	struct page_record *next;

	if (e == NULL || e->revision != r->revision)
		return; /* written again since, or forgotten */
	/* The payload of what was kept is not at hand: nobody could follow what is left of it. */
	if (r->what == RECORD_KEEP && r->ev.action == ACTION_DEPLOY) {
		known_withdraw(k, e, "");
		r->ev.action = ACTION_UNDEPLOY;
	}
	step(k, e, r->ev.action == ACTION_DEPLOY ? &r->hash : &tomb);
	next = add(p, e, RECORD_WRITE, &r->ev);
	next->damaged = true;
}

/* --- what is said besides --- */

void page_field(struct zone_page *p, enum page_where where, const char *field, const char *value)
{
	p->fields = mem_grow(p->fields, &p->cap_fields, p->n_fields + 1, sizeof(*p->fields));
	p->fields[p->n_fields++] =
		(struct page_field){ where, mem_strdup(field), mem_strdup(value) };
}

/* Count and digest begin anew from an empty log. */
void page_refill_begin(struct zone_page *p, struct known *k, const char *lineage)
{
	size_t at = 0;
	void *v;

	CHECK(p->n == 0);
	p->begins = true;
	str_copy(k->lineage, sizeof(k->lineage), lineage);
	while (table_next(&k->names, &at, NULL, &v)) {
		struct known_entry *e = v;

		e->behind = e->behind || e->revision > 0;
		e->there = (struct hash){ { 0 } };
		e->revision = 0;
	}
	k->sums = (struct digest){ 0 };
	k->horizon = k->revision;
}

void page_refill_end(struct zone_page *p, bool empty)
{
	p->complete = empty ? PAGE_EMPTY : "1";
}

void page_close(struct zone_page *p, const struct known *k)
{
	p->revision = k->revision;
	p->horizon = k->horizon;
	p->sums = k->sums;
	str_copy(p->lineage, sizeof(p->lineage), k->lineage);
}
