/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/fetcher.h"

static void ask_manifest(struct fetcher *f);

void load_reset(struct fetcher *f)
{
	size_t at = 0;
	void *v;

	known_reset(&f->known);
	while (table_next(&f->cursors, &at, NULL, &v))
		mem_free(v);
	table_reset(&f->cursors);
}

static char *text_of(const struct redis_reply *r)
{
	size_t n = 0;
	const char *s = redis_str(r, &n);

	return s == NULL || memchr(s, '\0', n) != NULL ? mem_strdup("") : mem_dup(s, n);
}

/* A name whose hash is lost still says what it was, for all ids without such a part. */
static bool guess(const char *name, enum kind *k, char **ref)
{
	static const enum kind children[] = { KIND_SUBSCRIPTION, KIND_API_KEY };
	unsigned i;

	for (i = 0; i < ARRAY_LEN(children); i++) {
		char *mid = mem_printf(":%s:", kind_name(children[i]));
		const char *at = strstr(name, mid);

		mem_free(mid);
		if (at != NULL && str_starts(name, "API:") && at > name + 4) {
			*k = children[i];
			*ref = mem_dup(name + 4, (size_t)(at - name) - 4);
			return true;
		}
	}
	*ref = NULL;
	return strchr(name, ':') != NULL && kind_parse(name, (size_t)(strchr(name, ':') - name), k);
}

static void learn_entry(struct fetcher *f, const char *name, const struct redis_reply *one)
{
	const struct redis_reply *hash = redis_at(one, 2);
	char *version = text_of(redis_at(one, 3));
	char *type = text_of(redis_at(one, 4));
	char *id = text_of(redis_at(one, 5));
	struct known_entry *e;
	struct hash h = { { 0 } };
	const char *ref = NULL;
	char *ref_copy = NULL;
	enum kind k = KIND_API;
	size_t n = 0;
	const char *raw = redis_str(hash, &n);
	bool whole = kind_parse(type, strlen(type), &k) &&
		     event_name_ref(name, k, id, &ref, &n, NULL) == 0;

	if (whole && ref != NULL)
		ref_copy = mem_dup(ref, n);
	if (whole || guess(name, &k, &ref_copy)) {
		e = known_put(&f->known, name, k, ref_copy);
		(void)redis_str(hash, &n);
		if (raw != NULL && n == HASH_BYTES)
			memcpy(h.b, raw, HASH_BYTES);
		if (h.b[0] == 'U')
			known_withdraw(&f->known, e);
		else
			known_set(&f->known, e, &h, version);
		e->repair = h.b[0] == 0;
		(void)redis_u64(redis_at(one, 1), &e->revision);
		(void)redis_i64(redis_at(one, 6), &e->updated_ms);
	}
	mem_free(ref_copy);
	mem_free(version);
	mem_free(type);
	mem_free(id);
}

static void failed(struct fetcher *f, const struct err *e)
{
	f->error = *e;
	log_error(EV("load_failed"), KV("err", e->text));
	worker_report(f->w);
	if (zone_conn_is_up(f->z))
		redis_fail(zone_conn_redis(f->z), e->code, e->text);
}

static void on_manifest(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct fetcher *f = arg;
	size_t n = redis_count(r);
	struct err e = { 0 };
	size_t i;

	if (lost != NULL || f->state != FETCH_LOADING)
		return; /* load_begin() comes again with the connection */
	if (zone_check(f->z, r, lost, &e) < 0) {
		failed(f, &e);
		return;
	}
	for (i = 0; i < n; i++) {
		const struct redis_reply *one = redis_at(r, i);
		char *name = text_of(redis_at(one, 0));

		(void)redis_u64(redis_at(one, 1), &f->load_after);
		if (name[0] != '\0')
			learn_entry(f, name, one);
		mem_free(name);
	}
	if (n < FETCHER_MANIFEST) {
		if (f->load_old || !f->refill) {
			load_done(f);
			return;
		}
		f->load_old = true; /* what an unfinished refill set aside */
		f->load_after = 0;
	}
	ask_manifest(f);
}

static void ask_manifest(struct fetcher *f)
{
	const struct zone_keys *k = zone_conn_keys(f->z);
	struct zone_cmd c;

	if (!zone_conn_is_up(f->z))
		return;
	zone_cmd_begin(f->z, &c, SCRIPT_MANIFEST, f->load_old ? k->old_log : k->log, NULL);
	zone_cmd_i64(&c, (int64_t)f->load_after);
	zone_cmd_i64(&c, FETCHER_MANIFEST);
	zone_cmd_str(&c, k->event_prefix);
	if (zone_cmd_send(f->z, &c, on_manifest, f) < 0)
		redis_fail(zone_conn_redis(f->z), ERR_BUSY, "cannot ask for the manifest");
}

static void on_mapping(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct fetcher *f = arg;
	struct err e = { 0 };
	char *text;

	if (f->asked_head > 0)
		f->asked_head--;
	if (lost != NULL || f->state != FETCH_HEAD || f->asked_head > 0)
		return; /* of an older question: the answer to the newest one counts */
	if (zone_check(f->z, r, lost, &e) < 0) {
		failed(f, &e);
		return;
	}
	text = text_of(r);
	str_copy(f->zone_mapping, sizeof(f->zone_mapping), text);
	mem_free(text);
	f->refill = f->want_refill || f->head.lineage[0] == '\0' || !f->head.complete ||
		    !str_equal(f->zone_mapping, f->mapping);
	if (f->refill)
		log_warn(EV("refill"),
			 KV("why", f->want_refill		? "the zone is damaged"
				   : f->head.lineage[0] == '\0' ? "the zone is empty"
				   : !f->head.complete
					   ? "a refill was not finished"
					   : "the zone was made with another configuration"));
	f->state = FETCH_LOADING;
	known_reset(&f->known);
	f->load_after = 0;
	f->load_old = false;
	ask_manifest(f);
}

static void on_cursors(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct fetcher *f = arg;
	struct err e = { 0 };
	size_t i;

	if (lost != NULL || f->state != FETCH_HEAD)
		return;
	if (zone_check(f->z, r, lost, &e) < 0) {
		failed(f, &e);
		return;
	}
	load_reset(f);
	for (i = 0; i + 1 < redis_count(r); i += 2) {
		char *field = text_of(redis_at(r, i));

		mem_free(table_set(&f->cursors, field, text_of(redis_at(r, i + 1))));
		mem_free(field);
	}
}

static void on_head(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct fetcher *f = arg;
	struct page page = { 0 };
	struct err e = { 0 };

	if (lost != NULL || f->state != FETCH_HEAD)
		return;
	if (zone_check(f->z, r, lost, &e) < 0 || follow_parse(r, &page, &e) < 0) {
		failed(f, &e);
		return;
	}
	f->head = page.head;
	follow_page_reset(&page);
}

void load_begin(struct fetcher *f)
{
	const struct position nowhere = { 0 };

	f->state = FETCH_HEAD;
	worker_report(f->w);
	if (!zone_conn_is_up(f->z))
		return;
	if (follow_read(f->z, &nowhere, 0, on_head, f) < 0 ||
	    redis_sendv(zone_conn_redis(f->z), on_cursors, f, "HGETALL",
			zone_conn_keys(f->z)->cursor, NULL) < 0 ||
	    redis_sendv(zone_conn_redis(f->z), on_mapping, f, "HGET", zone_conn_keys(f->z)->meta,
			"mapping", NULL) < 0)
		redis_fail(zone_conn_redis(f->z), ERR_BUSY, "cannot ask for the head");
	else
		f->asked_head++;
}
