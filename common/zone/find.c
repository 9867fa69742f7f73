/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone/find.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/json/scan.h"
#include "common/zone/search.h"

void find_escape(struct buf *out, const char *tag)
{
	for (; *tag != '\0'; tag++) {
		if (strchr(",.<>{}[]\"':;!@#$%^&*()-+=~\\/?| ", *tag) != NULL)
			buf_addc(out, '\\');
		buf_addc(out, *tag);
	}
}

static char *query_text(const struct zone_conn *z, const struct find_query *q)
{
	struct buf b = { 0 };

	buf_adds(&b, "@clusterId:{");
	find_escape(&b, zone_conn_keys(z)->zone);
	buf_addc(&b, '}');
	if (q->live)
		buf_adds(&b, "@syncAction:{DEPLOY}");
	if (q->from_ms > 0)
		buf_printf(&b, "@updatedAt:[%" PRId64 " +inf]", q->from_ms);
	return buf_take(&b);
}

int find_count(struct zone_conn *z, const struct find_query *q, redis_reply_fn *fn, void *arg)
{
	char *text = query_text(z, q);
	int rc = redis_sendv(zone_conn_redis(z), fn, arg, "FT.SEARCH", SEARCH_INDEX, text, "LIMIT",
			     "0", "0", NULL);

	mem_free(text);
	return rc;
}

/* The key tells the name, which the fields do not; clusterId tells whose it really is. */
int find_rows(struct zone_conn *z, const struct find_query *q, unsigned rows, redis_reply_fn *fn,
	      void *arg)
{
	char *text = query_text(z, q);
	char *count = mem_printf("%u", rows);
	int rc = redis_sendv(zone_conn_redis(z), fn, arg, "FT.AGGREGATE", SEARCH_INDEX, text,
			     "LOAD", "7", "@__key", "@clusterId", "@id", "@payload", "@type",
			     "@syncAction", "@updatedAt", "WITHCURSOR", "COUNT", count, NULL);

	mem_free(count);
	mem_free(text);
	return rc;
}

int find_more(struct zone_conn *z, uint64_t cursor, unsigned rows, redis_reply_fn *fn, void *arg)
{
	char *id = mem_printf("%" PRIu64, cursor);
	char *count = mem_printf("%u", rows);
	int rc = redis_sendv(zone_conn_redis(z), fn, arg, "FT.CURSOR", "READ", SEARCH_INDEX, id,
			     "COUNT", count, NULL);

	mem_free(count);
	mem_free(id);
	return rc;
}

/* --- answers: lists as over RESP2, or the named form of newer modules (storage 1.5) --- */

int find_count_parse(const struct redis_reply *r, uint64_t *out, struct err *e)
{
	const struct redis_reply *total = redis_value(r, "total_results");

	if (!redis_u64(total != NULL ? total : redis_at(r, 0), out))
		return err_set(e, ERR_PROTO, "the index answered with no number");
	return 0;
}

static char *dup_text(const struct redis_reply *r)
{
	size_t n = 0;
	const char *s = redis_str(r, &n);

	return s == NULL || n == 0 || memchr(s, '\0', n) != NULL || !str_is_utf8(s, n)
		       ? NULL
		       : mem_dup(s, n);
}

#define LATEST_MS 9000000000000000 /* what a double holds exactly */

/* Digits, or what the module makes of a fraction: 1.7557e+12. */
static int64_t milliseconds(const struct redis_reply *r)
{
	char *text = dup_text(r);
	int64_t ms = 0;
	double d;

	if (text != NULL && !str_to_i64(text, strlen(text), &ms)) {
		d = strtod(text, NULL);
		ms = isfinite(d) && d > 0 && d < LATEST_MS ? (int64_t)d : 0;
	}
	mem_free(text);
	return ms < 0 || ms > LATEST_MS ? 0 : ms;
}

/* What makes no event of it; NULL: nothing. */
static const char *parse_event(const struct redis_reply *row, const char *name, uint64_t max_bytes,
			       struct found *f)
{
	const char *s;
	const char *ref = NULL;
	size_t ref_len = 0;
	size_t n = 0;
	struct json_span whole;

	f->ev.id = dup_text(redis_value(row, "id"));
	if (f->ev.id == NULL)
		return "it has no id";
	s = redis_str(redis_value(row, "type"), &n);
	if (s == NULL || !kind_parse(s, n, &f->ev.kind))
		return "its type is not known";
	s = redis_str(redis_value(row, "syncAction"), &n);
	if (s == NULL || !action_parse(s, n, &f->ev.action))
		return "its syncAction is not known";
	if (event_name_ref(name, f->ev.kind, f->ev.id, &ref, &ref_len, NULL) < 0)
		return "its key is not that of its type and id";
	if (ref != NULL)
		f->ev.ref_id = mem_dup(ref, ref_len);
	s = redis_str(redis_value(row, "payload"), &n);
	if (f->ev.action == ACTION_DEPLOY) {
		if (s == NULL || n == 0)
			return "it has no payload";
		if (n > max_bytes)
			return "its payload is larger than zonesync.limits.entity_max_bytes";
		/* A licence is text of its own. */
		if (f->ev.kind != KIND_LICENSE && json_check(s, n, &whole, NULL) < 0)
			return "its payload is no JSON";
		buf_add(&f->ev.payload, s, n);
	}
	f->ev.version = mem_strdup("java");
	event_hash(&f->hash, &f->ev);
	return NULL;
}

/* Each key another name, for they are counted: also of one that is no text. */
static char *name_of(const struct redis_reply *key)
{
	struct buf b = { 0 };
	size_t n = 0;
	const char *s = redis_str(key, &n);
	size_t i;

	for (i = 0; i < n; i++) {
		if ((unsigned char)s[i] < 0x20 || (unsigned char)s[i] >= 0x7f || s[i] == '\\')
			buf_printf(&b, "\\x%02x", (unsigned char)s[i]);
		else
			buf_addc(&b, s[i]);
	}
	return buf_take(&b);
}

static void parse_row(const struct redis_reply *r, const struct zone_keys *k, uint64_t max_bytes,
		      struct found *f)
{
	const struct redis_reply *named = redis_value(r, "extra_attributes");
	const struct redis_reply *row = named != NULL ? named : r;
	size_t n = 0;
	const char *action = redis_str(redis_value(row, "syncAction"), &n);

	f->live = action != NULL && n == 6 && strncasecmp(action, "DEPLOY", n) == 0;
	f->updated_ms = milliseconds(redis_value(row, "updatedAt"));
	f->key = dup_text(redis_value(row, "__key"));
	f->other = !redis_is(redis_value(row, "clusterId"), k->zone);
	if (f->key == NULL) {
		f->key = name_of(redis_value(row, "__key"));
		f->wrong = "its key is no text";
	} else if (f->other) {
		f->wrong = "it is of another zone";
	} else if (!str_starts(f->key, k->event_prefix)) {
		f->wrong = "its key is not of this zone";
	} else {
		f->wrong = parse_event(row, f->key + strlen(k->event_prefix), max_bytes, f);
	}
}

int find_page_parse(const struct redis_reply *r, const struct zone_keys *k, uint64_t max_bytes,
		    struct find_page *out, struct err *e)
{
	const struct redis_reply *top = redis_at(r, 0);
	const struct redis_reply *named = redis_value(top, "results");
	struct find_page p = { 0 };
	size_t i;

	if (redis_count(r) != 2 || !redis_u64(redis_at(r, 1), &p.cursor))
		return err_set(e, ERR_PROTO, "the index answered with no page");
	if (named != NULL)
		top = named;
	p.rows = mem_zalloc((redis_count(top) + 1) * sizeof(*p.rows));
	for (i = 0; i < redis_count(top); i++)
		if (redis_count(redis_at(top, i)) > 0) /* else the total */
			parse_row(redis_at(top, i), k, max_bytes, &p.rows[p.len++]);
	*out = p;
	return 0;
}

void find_page_reset(struct find_page *p)
{
	size_t i;

	for (i = 0; i < p->len; i++) {
		event_reset(&p->rows[i].ev);
		mem_free(p->rows[i].key);
	}
	mem_free(p->rows);
	*p = (struct find_page){ 0 };
}
