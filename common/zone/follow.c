/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone/follow.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/zone/stamp.h"

int follow_read(struct zone_conn *z, const struct follow_ask *a, redis_reply_fn *fn, void *arg)
{
	const struct zone_keys *k = zone_conn_keys(z);
	struct redis_cmd c;

	zone_call(z, &c, SCRIPT_READ, k->meta, k->log, k->epochs, k->lease, NULL);
	redis_cmd_i64(&c, (int64_t)a->behind->revision);
	redis_cmd_i64(&c, FOLLOW_PAGE_BYTES);
	redis_cmd_i64(&c, a->events);
	redis_cmd_str(&c, a->behind->token);
	redis_cmd_str(&c, k->event_prefix);
	redis_cmd_str(&c, a->served);
	return zone_send(z, &c, fn, arg);
}

int follow_suspect(struct zone_conn *z, const char *const *names, size_t n, redis_reply_fn *fn,
		   void *arg)
{
	struct redis_cmd c;
	size_t i;

	zone_call(z, &c, SCRIPT_SUSPECT, zone_conn_keys(z)->suspect, NULL);
	redis_cmd_i64(&c, FOLLOW_SUSPECTS);
	for (i = 0; i < n; i++)
		redis_cmd_str(&c, names[i]);
	return zone_send(z, &c, fn, arg);
}

/* For people only: a long one is cut. */
static void words(const struct redis_reply *r, char *dst, size_t n)
{
	const char *s = redis_str(r, NULL);

	str_copy(dst, n, s == NULL ? "" : s);
}

static bool number_or_zero(const struct redis_reply *r, uint64_t *out)
{
	*out = 0;
	return redis_is(r, "") || redis_u64(r, out);
}

static bool parse_head(const struct redis_reply *r, struct head *h)
{
	uint64_t lane = 0;
	uint64_t lag = 0;
	unsigned i;

	for (i = 0; i < 4; i++) {
		if (!number_or_zero(redis_at(r, 4 + i), &lane) || lane > UINT32_MAX)
			return false;
		h->digest.lane[i] = (uint32_t)lane;
	}
	h->complete = redis_is(redis_at(r, 8), "1")	  ? ZONE_COMPLETE
		      : redis_is(redis_at(r, 8), "empty") ? ZONE_EMPTY
							  : ZONE_FILLING;
	words(redis_at(r, 17), h->held, sizeof(h->held));
	words(redis_at(r, 20), h->version, sizeof(h->version));
	h->lag_ms = redis_u64(redis_at(r, 19), &lag) ? (int64_t)MIN(lag, FOLLOW_LAG_MS) : -1;
	return redis_copy(redis_at(r, 0), h->lineage, sizeof(h->lineage)) &&
	       redis_copy(redis_at(r, 1), h->token, sizeof(h->token)) &&
	       number_or_zero(redis_at(r, 2), &h->revision) &&
	       number_or_zero(redis_at(r, 3), &h->digest.count) &&
	       redis_copy(redis_at(r, 9), h->caught, sizeof(h->caught)) &&
	       number_or_zero(redis_at(r, 10), &h->horizon) &&
	       redis_i64(redis_at(r, 11), &h->own_end) &&
	       redis_copy(redis_at(r, 12), h->lease, sizeof(h->lease)) &&
	       number_or_zero(redis_at(r, 13), &h->lease_seq) &&
	       number_or_zero(redis_at(r, 14), &h->polls) &&
	       redis_copy(redis_at(r, 15), h->unread, sizeof(h->unread)) &&
	       redis_copy(redis_at(r, 16), h->accepted, sizeof(h->accepted)) &&
	       redis_i64(redis_at(r, 18), &h->above);
}

static char *dup_text(const struct redis_reply *r)
{
	size_t n = 0;
	const char *s = redis_str(r, &n);

	return s == NULL || memchr(s, '\0', n) != NULL ? NULL : mem_dup(s, n);
}

/* Fills what can be filled; `damaged` when it does not make a whole event. */
static void parse_entity(const struct redis_reply *r, struct followed *f)
{
	size_t n = 0;
	size_t ref_len = 0;
	const char *ref = NULL;
	const char *s;
	struct stamp stamp;
	struct hash real;

	f->damaged = true;
	f->ev.id = dup_text(redis_at(r, 2));
	s = redis_str(redis_at(r, 3), &n);
	if (f->ev.id == NULL || s == NULL || !kind_parse(s, n, &f->ev.kind))
		return;
	s = redis_str(redis_at(r, 4), &n);
	if (s == NULL || !action_parse(s, n, &f->ev.action))
		return;
	if (event_name_ref(f->name, f->ev.kind, f->ev.id, &ref, &ref_len, NULL) < 0)
		return;
	if (ref != NULL)
		f->ev.ref_id = mem_dup(ref, ref_len);
	s = redis_str(redis_at(r, 6), &n);
	if (!stamp_read(&stamp, s, n))
		return;
	f->hash = stamp.hash;
	f->ev.version = mem_dup(stamp.version, stamp.version_len);
	s = redis_str(redis_at(r, 7), &n);
	if (s != NULL)
		buf_add(&f->ev.payload, s, n);
	(void)redis_i64(redis_at(r, 5), &f->updated_ms);
	event_hash(&real, &f->ev);
	f->damaged = !hash_equal(&real, &f->hash) || stamp.revision != f->revision;
}

int follow_parse(const struct redis_reply *r, struct page *out, struct err *e)
{
	const struct redis_reply *events = redis_at(r, 1);
	struct page p = { 0 };
	uint64_t last = 0;
	size_t i;

	if (redis_count(r) != 2 || !parse_head(redis_at(r, 0), &p.head))
		return err_set(e, ERR_PROTO, "the read script answered something unknown");
	p.len = redis_count(events);
	p.events = p.len > 0 ? mem_zalloc(p.len * sizeof(*p.events)) : NULL;
	for (i = 0; i < p.len; i++) {
		const struct redis_reply *one = redis_at(events, i);
		struct followed *f = &p.events[i];

		f->name = dup_text(redis_at(one, 0));
		if (f->name == NULL || !redis_u64(redis_at(one, 1), &f->revision) ||
		    f->revision <= last) {
			follow_page_reset(&p);
			return err_set(e, ERR_PROTO,
				       "the log is not in the order of its revisions");
		}
		last = f->revision;
		parse_entity(one, f);
	}
	*out = p;
	return 0;
}

void follow_page_reset(struct page *p)
{
	size_t i;

	for (i = 0; i < p->len; i++) {
		event_reset(&p->events[i].ev);
		mem_free(p->events[i].name);
	}
	mem_free(p->events);
	*p = (struct page){ 0 };
}

enum verdict follow_judge(const struct head *h, const struct position *own, const char *ahead)
{
	uint64_t newest = MAX(token_epoch(own->token), token_epoch(ahead));

	if (h->version[0] != '\0' && zone_format_major(h->version) != ZONE_FORMAT_MAJOR)
		return FOLLOW_FORMAT;
	if (h->lineage[0] == '\0' || h->complete == ZONE_FILLING)
		return FOLLOW_WAIT;
	if (own->lineage[0] == '\0')
		return FOLLOW_RESYNC;
	/* Epochs are never below Redis' clock, so they compare across lineages too. */
	if (token_epoch(h->token) < newest)
		return FOLLOW_BEHIND;
	if (ahead[0] == '\0' && str_equal(h->lineage, own->lineage) &&
	    (h->own_end == -1 || (h->own_end >= 0 && (uint64_t)h->own_end >= own->revision)) &&
	    own->revision >= h->horizon && own->revision <= h->revision)
		return FOLLOW_RESUME;
	return FOLLOW_RESYNC;
}

/* A number that fell is of a zone that was restored: all looks before were at another one. */
void follow_look(struct looks *l, const struct head *h, int64_t now_ms)
{
	if (!str_equal(l->token, h->token) || h->polls < l->polls) {
		*l = (struct looks){ .since_ms = now_ms };
		str_copy(l->token, sizeof(l->token), h->token);
	}
	if (l->late)
		return;
	l->late = now_ms - l->since_ms >= (h->lag_ms < 0 ? FOLLOW_LAG_MS : h->lag_ms);
	l->polls = h->polls;
}

/* From now on this zone says nothing older than what a node had when it first looked at it. */
static bool is_late(const struct head *h, const struct looks *l)
{
	return l->late && str_equal(l->token, h->token);
}

/* The first poll that ends after a look may have begun before it; the second did not. A number that
   grew since is no poll where nobody holds the lease: that is another, newer dump. */
static bool has_polled(const struct head *h, const struct looks *l)
{
	return is_late(h, l) && str_equal(h->caught, h->token) && str_equal(h->lease, h->token) &&
	       h->polls >= l->polls + 2;
}

uint64_t follow_accepted(const char *accepted, const char *lineage)
{
	size_t n = strlen(lineage);
	uint64_t count;
	char *at;

	if (n == 0 || !str_starts(accepted, lineage) || accepted[n] != ' ')
		return 0;
	count = strtoull(accepted + n, &at, 10);
	if (str_equal(at, " -"))
		return count;
	at = *at == ' ' ? strchr(at + 1, ' ') : NULL; /* behind the digest */
	return at == NULL ? 0 : strtoull(at, NULL, 10);
}

bool follow_asks_a_person(enum switch_verdict v)
{
	return v == SWITCH_EMPTY || v == SWITCH_UNREAD || v == SWITCH_HALVED;
}

enum switch_verdict follow_switch(const struct head *h, const struct looks *l,
				  const struct doubt *d, bool compared)
{
	uint64_t gone = follow_accepted(h->accepted, h->lineage);

	/* One that does not differ could say in its next page what was true before. */
	if (!d->serves || (d->equal && is_late(h, l)))
		return SWITCH_NOW;
	if (d->equal)
		return SWITCH_POLLS;
	if (h->complete == ZONE_EMPTY && !d->accepted)
		return SWITCH_EMPTY;
	if (!has_polled(h, l))
		return SWITCH_POLLS;
	if (!compared)
		return SWITCH_COMPARE;
	if (d->unread && !d->accepted)
		return SWITCH_UNREAD;
	if (d->other_lineage && d->halved && d->lacks > gone && !d->accepted)
		return SWITCH_HALVED;
	return SWITCH_NOW;
}

uint64_t follow_withdrawals_above(const struct head *h, const char *served_lineage)
{
	if (h->above < 0 || !str_equal(h->lineage, served_lineage))
		return UINT64_MAX;
	return (uint64_t)h->above;
}
