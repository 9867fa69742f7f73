/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/http/http_body.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/json/write.h"
#include "common/store/reader.h"

static void report_of(const struct http_about *a, Ipc__CacheReport *r)
{
	ipc__cache_report__init(r);
	a->upstream->ops->report(a->upstream, r);
}

static bool is_connected(const Ipc__CacheReport *r)
{
	return r->redis[0] == '\0' || str_equal(r->redis, "connected"); /* standalone: none */
}

/* Why what is served may be older than the zone. */
static const char *trouble(const Ipc__CacheReport *r)
{
	if (!is_connected(r))
		return r->redis;
	return r->error;
}

void http_node(const struct http_about *a, struct buf *out)
{
	buf_addc(out, '{');
	json_add_shown(out, "id", a->node_id);
	json_add_shown(out, "name", a->node);
	json_open(out, "metadata", '{');
	json_add_shown(out, "node.id", a->node_id);
	json_add_shown(out, "zone", a->zone);
	buf_addc(out, '}');
	json_open(out, "version", '{');
	json_add_str(out, "product", "zonesync");
	json_add_str(out, "version", ZONESYNC_VERSION);
	buf_adds(out, "}}\n");
}

void http_error(struct buf *out, unsigned status, const char *message)
{
	buf_addc(out, '{');
	json_add_shown(out, "message", message);
	json_add_i64(out, "http_status", status);
	buf_adds(out, "}\n");
}

/* --- health --- */

typedef bool probe_fn(const Ipc__CacheReport *r, struct buf *out);

/* Whoever reads this has the answer. */
static bool probe_server(const Ipc__CacheReport *r, struct buf *out)
{
	UNUSED(r);
	json_add_bool(out, "healthy", true);
	return true;
}

/* Does not go back once there is a state: the last known good is served on. */
static bool probe_sync(const Ipc__CacheReport *r, struct buf *out)
{
	json_add_bool(out, "healthy", r->serving);
	if (!r->serving)
		json_add_str(out, "message", "not ready");
	json_add_bool(out, "stale", !r->proven);
	if (!r->proven)
		json_add_shown(out, "reason", trouble(r)[0] != '\0' ? trouble(r) : r->state);
	return r->serving;
}

static bool probe_redis(const Ipc__CacheReport *r, struct buf *out)
{
	json_add_bool(out, "healthy", is_connected(r));
	if (!is_connected(r))
		json_add_shown(out, "message", r->redis);
	return is_connected(r);
}

static bool probe_unknown(const Ipc__CacheReport *r, struct buf *out)
{
	UNUSED(r);
	json_add_bool(out, "healthy", false);
	json_add_str(out, "message", "probe not found");
	return false;
}

/*
 * Only the first is shown by default: a liveness probe that names none must not end a node
 * that serves well while Redis is away, or before the first state is there.
 */
#define SHOWN "http-server"
static const struct {
	const char *name;
	probe_fn *fn;
} probes[] = { { SHOWN, probe_server },
	       { "sync-process", probe_sync },
	       { "redis-repository", probe_redis } };

static bool add_probe(const Ipc__CacheReport *r, const char *name, struct buf *out)
{
	probe_fn *fn = probe_unknown;
	bool healthy;
	size_t i;

	for (i = 0; i < ARRAY_LEN(probes); i++)
		if (str_equal(probes[i].name, name))
			fn = probes[i].fn;
	json_open(out, name, '{');
	healthy = fn(r, out);
	buf_addc(out, '}');
	return healthy;
}

static bool is_among(char *const *names, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (str_equal(names[i], name))
			return true;
	return false;
}

bool http_health(const struct http_about *a, const char *names, struct buf *out, bool *healthy)
{
	char *copy = mem_strdup(names[0] == '\0' ? SHOWN : names);
	char *asked[HTTP_PROBES_MAX];
	Ipc__CacheReport r;
	char *rest = copy;
	char *name;
	size_t n = 0;

	report_of(a, &r);
	*healthy = true;
	buf_addc(out, '{');
	while ((name = strsep(&rest, ",")) != NULL && n < HTTP_PROBES_MAX) {
		if (is_among(asked, n, name))
			continue;
		asked[n++] = name;
		if (!add_probe(&r, name, out))
			*healthy = false;
	}
	buf_adds(out, "}\n");
	mem_free(copy);
	return name == NULL;
}

/* --- sync --- */

bool http_sync(const struct http_about *a, struct buf *out)
{
	Ipc__CacheReport r;

	report_of(a, &r);
	buf_addc(out, '{');
	json_add_bool(out, "initialDone", r.serving);
	json_add_u64(out, "counter", r.reads);
	/* The reference's is in truth where its next cycle goes on from. */
	json_add_i64(out, "nextSyncTime", r.read_ms == 0 ? -1 : r.read_ms);
	json_add_bool(out, "lastOnError", trouble(&r)[0] != '\0');
	if (trouble(&r)[0] != '\0')
		json_add_shown(out, "lastErrorMessage", trouble(&r));
	else
		json_add_null(out, "lastErrorMessage");
	json_add_u64(out, "totalOnErrors", r.errors);
	json_add_str(out, "state", r.state);
	json_add_shown(out, "lineage", r.lineage);
	json_add_u64(out, "revision", r.revision);
	json_add_u64(out, "headRevision", r.head_revision);
	json_add_u64(out, "count", r.count);
	json_add_str(out, "digest", r.digest);
	json_add_bool(out, "proven", r.proven);
	json_add_u64(out, "generation", r.generation);
	if (r.applied_ms == 0)
		json_add_null(out, "lastAppliedAt");
	else
		json_add_i64(out, "lastAppliedAt", r.applied_ms);
	buf_adds(out, "}\n");
	return r.serving;
}

/* --- one API --- */

static int copy_payload(void *arg, const struct store_entry *entry)
{
	struct buf *out = arg;

	if (entry->action == ACTION_DEPLOY) {
		buf_clear(out);
		buf_add(out, entry->payload, entry->payload_len);
	}
	return 0;
}

int http_api(const struct http_about *a, const char *id, struct buf *out, struct err *e)
{
	struct store_view *v = NULL;
	int rc = store_view_open(a->store, &v, e);

	if (rc < 0)
		return rc;
	rc = store_get(v, KIND_API, id, copy_payload, out, e);
	store_view_close(&v);
	if (rc == 0 && out->len == 0)
		return err_set(e, ERR_NOTFOUND, "there is no API %s", id);
	return rc;
}

/* --- all APIs --- */

#define SLICE_FULL 1 /* what store_each_fn returns to stop */

struct http_listing {
	struct http_about about;
	struct buf cursor;
	struct buf out; /* of the slice */
	size_t at;	/* taken from it */
	size_t seen;	/* entries and bytes of the slice */
	size_t scanned;
	bool begun;
	bool any; /* an element was written: a comma is due */
	bool ended;
};

static void add_short(struct buf *out, const char *name, struct json_span v)
{
	if (json_type(v) == JSON_STRING && v.n <= HTTP_LISTED_TEXT_MAX)
		json_add_span(out, name, v);
}

static int list_entry(void *arg, const struct store_entry *entry)
{
	static const char *const names[] = { "name", "apiVersion", "version" };
	struct json_span found[ARRAY_LEN(names)] = { 0 };
	struct json_span root = { 0 };
	struct http_listing *l = arg;
	struct buf *out = &l->out;

	if (l->seen == HTTP_SLICE_ENTRIES || l->scanned >= HTTP_SLICE_BYTES)
		return SLICE_FULL;
	l->seen++;
	l->scanned += entry->payload_len;
	if (entry->action != ACTION_DEPLOY)
		return 0;
	if (json_check(entry->payload, entry->payload_len, &root, NULL) == 0)
		json_pick(json_get(root, "definition"), names, found, ARRAY_LEN(names));
	buf_adds(out, l->any ? ",\n{" : "{");
	l->any = true;
	json_write_name(out, "id");
	json_write_string(out, entry->id, entry->id_len);
	add_short(out, "name", found[0]);
	add_short(out, "version", found[json_is_null(found[1]) ? 2 : 1]);
	json_add_u64(out, "revision", entry->revision);
	buf_addc(out, '}');
	return 0;
}

struct http_listing *listing_new(const struct http_about *a)
{
	struct http_listing *l = mem_zalloc(sizeof(*l));

	l->about = *a;
	return l;
}

void listing_free(struct http_listing *l)
{
	if (l == NULL)
		return;
	buf_reset(&l->cursor);
	buf_reset(&l->out);
	mem_free(l);
}

static int next_slice(struct http_listing *l)
{
	struct store_view *v = NULL;
	int rc = store_view_open(l->about.store, &v, NULL);

	if (rc < 0)
		return rc;
	buf_clear(&l->out);
	l->at = 0;
	l->seen = 0;
	l->scanned = 0;
	if (!l->begun)
		buf_addc(&l->out, '[');
	l->begun = true;
	rc = store_list(v, KIND_API, &l->cursor, list_entry, l);
	store_view_close(&v);
	if (rc < 0)
		return rc;
	l->ended = rc == 0;
	if (l->ended)
		buf_adds(&l->out, "]\n");
	else if (l->out.len == 0)
		buf_addc(&l->out, '\n'); /* nothing but tombstones: a reader must get something */
	return 0;
}

ssize_t listing_read(struct http_listing *l, char *to, size_t max)
{
	size_t n;

	if (l->at == l->out.len) {
		int rc = l->ended ? 0 : next_slice(l);

		if (rc < 0)
			return rc;
	}
	n = MIN(max, l->out.len - l->at);
	memcpy(to, l->out.data + l->at, n);
	l->at += n;
	return (ssize_t)n;
}
