/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/local/words.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ipc/frame.h"

#define PAGE_NAMES    1000
#define PAGE_BYTES    (FRAME_MAX_BYTES / 2)
#define PAGE_READ     (4U << 20) /* payloads that are read for a page: their checksums */
#define MAPPING_FIELD "mapping"	 /* every other field is a cursor */
#define CAUGHT_FIELD  "caught"	 /* is said, not kept */
#define UNREAD_FIELD  "unread"	 /* is for those who follow a zone */

/* --- answers --- */

struct fields {
	Local__State m;
	char *mapping; /* owned; NULL: none */
	Local__Field *cursors;
	size_t cap;
};

static int add_field(void *arg, const char *field, const char *value)
{
	struct fields *f = arg;
	Local__Field *c;

	if (str_equal(field, MAPPING_FIELD)) {
		mem_free(f->mapping);
		f->mapping = mem_strdup(value);
	} else {
		f->cursors = mem_grow(f->cursors, &f->cap, f->m.n_cursors + 1, sizeof(*c));
		c = &f->cursors[f->m.n_cursors++];
		local__field__init(c);
		c->field = mem_strdup(field);
		c->value = mem_strdup(value);
	}
	return 0;
}

void words_state(struct store_view *v, const struct position *at, const char *token,
		 const struct words_sink *to)
{
	struct fields f = { .m = LOCAL__STATE__INIT };
	Local__Field **list;
	size_t i;

	if (at != NULL) {
		CHECK(store_meta(v, add_field, &f) == 0);
		f.m.lineage = (char *)(uintptr_t)at->lineage;
		f.m.revision = at->revision;
	}
	list = mem_alloc((f.m.n_cursors + 1) * sizeof(*list));
	for (i = 0; i < f.m.n_cursors; i++)
		list[i] = &f.cursors[i];
	f.m.cursors = list;
	f.m.token = (char *)(uintptr_t)token;
	if (f.mapping != NULL)
		f.m.mapping = f.mapping;
	to->send(to->arg, &f.m.base);
	for (i = 0; i < f.m.n_cursors; i++) {
		mem_free(f.cursors[i].field);
		mem_free(f.cursors[i].value);
	}
	mem_free(f.mapping);
	mem_free(f.cursors);
	mem_free(list);
}

struct words_names {
	Local__Name *v;
	size_t n, cap, bytes;
	size_t read;
	uint64_t last; /* revision */
	bool more;
	bool damaged;
};

static int add_name(void *arg, const struct store_entry *entry)
{
	struct words_names *l = arg;
	struct buf name = { 0 };
	Local__Name *m;
	char *ref;

	if (l->n == PAGE_NAMES || l->bytes > PAGE_BYTES || l->read > PAGE_READ)
		return 1;
	ref = entry->ref_len == 0 ? NULL : mem_dup(entry->ref, entry->ref_len);
	l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
	m = &l->v[l->n++];
	local__name__init(m);
	m->id = mem_dup(entry->id, entry->id_len);
	event_name(&name, entry->kind, m->id, ref);
	m->name = buf_take(&name);
	m->version = mem_dup(entry->version, entry->version_len);
	m->kind = (char *)(uintptr_t)kind_name(entry->kind);
	m->revision = entry->revision;
	m->updated_ms = entry->updated_ms;
	m->hash.len = HASH_BYTES;
	m->hash.data = mem_dup(entry->hash.b, HASH_BYTES);
	l->last = entry->revision;
	l->read += entry->payload_len;
	l->bytes += 64 + strlen(m->name) + strlen(m->id) + strlen(m->version);
	mem_free(ref);
	return 0;
}

static void read_names(struct store_view *v, struct words_names *l)
{
	int rc = store_since(v, l->last, add_name, l);

	while (rc == ERR_DAMAGED) {
		l->damaged = true;
		l->last = store_next_revision(v, l->last);
		rc = store_since(v, l->last, add_name, l);
	}
	l->more = rc != 0;
}

static void send_names(const struct words_names *l, const struct words_sink *to)
{
	Local__NamesPage page = LOCAL__NAMES_PAGE__INIT;
	Local__Name **list = mem_alloc((l->n + 1) * sizeof(*list));
	size_t i;

	for (i = 0; i < l->n; i++)
		list[i] = &l->v[i];
	page.names = list;
	page.n_names = l->n;
	page.last = !l->more;
	to->send(to->arg, &page.base);
	mem_free(list);
}

bool words_names(struct store_view *v, uint64_t after, bool passing, const struct words_sink *to)
{
	struct words_names l = { .last = after };
	bool sent;
	size_t i;

	read_names(v, &l);
	sent = passing || !l.damaged;
	if (sent)
		send_names(&l, to);
	for (i = 0; i < l.n; i++) {
		mem_free(l.v[i].id);
		mem_free(l.v[i].name);
		mem_free(l.v[i].version);
		mem_free(l.v[i].hash.data);
	}
	mem_free(l.v);
	return sent;
}

void words_written(Local__Outcome outcome, const char *error, const struct words_sink *to)
{
	Local__Written m = LOCAL__WRITTEN__INIT;

	m.outcome = outcome;
	if (error != NULL)
		m.error = (char *)(uintptr_t)error;
	to->send(to->arg, &m.base);
}

/* --- pages --- */

static bool is_sound(const Local__Record *m)
{
	return m->id[0] != '\0' && str_is_utf8(m->id, strlen(m->id)) &&
	       str_is_utf8(m->ref, strlen(m->ref)) && str_is_utf8(m->version, strlen(m->version)) &&
	       m->hash.len == HASH_BYTES &&
	       (m->hash.data[0] == ACTION_DEPLOY || m->hash.data[0] == ACTION_UNDEPLOY);
}

/* What a record points at: it is the request's, but for the event. */
struct words_baggage {
	Local__Request *request; /* owned */
	struct event *events;	 /* owned; their strings are the request's */
};

static void free_baggage(void *data)
{
	struct words_baggage *b = data;

	words_request_free(b->request);
	mem_free(b->events);
	mem_free(b);
}

static bool take_record(const Local__Record *m, struct event *ev, struct store_record *out)
{
	if (!is_sound(m) || m->revision == 0 || !kind_parse(m->kind, strlen(m->kind), &ev->kind))
		return false;
	ev->action = (enum action)m->hash.data[0];
	ev->id = m->id;
	ev->ref_id = m->ref[0] == '\0' ? NULL : m->ref;
	ev->version = m->version;
	ev->payload = (struct buf){ (char *)m->payload.data, m->payload.len, 0 };
	*out = (struct store_record){ .ev = ev,
				      .revision = m->revision,
				      .updated_ms = m->updated_ms,
				      .keep = m->what == LOCAL__WHAT__KEEP };
	memcpy(out->hash.b, m->hash.data, HASH_BYTES);
	return true;
}

/* What is only for those who follow a zone is not kept. */
static size_t take_fields(const Local__Page *p, struct store_field *out)
{
	size_t n = 0;
	size_t i;

	for (i = 0; i < p->n_fields; i++) {
		const Local__Field *f = p->fields[i];

		if (!str_equal(f->field, CAUGHT_FIELD) && !str_equal(f->field, UNREAD_FIELD))
			out[n++] = (struct store_field){ f->field, f->value };
	}
	return n;
}

void words_request_free(void *request)
{
	local__request__free_unpacked(request, NULL);
}

struct keeper_job *words_job(Local__Request *r)
{
	const Local__Page *p = r->page;
	struct keeper_job *job = keeper_job_new(KEEPER_WRITE);
	struct words_baggage *b = mem_zalloc(sizeof(*b));
	struct store_record *records = mem_zalloc((p->n_records + 1) * sizeof(*records));
	struct store_field *fields = mem_zalloc((p->n_fields + 1) * sizeof(*fields));
	struct store_batch *to = &job->batch;

	b->request = r;
	b->events = mem_zalloc((p->n_records + 1) * sizeof(*b->events));
	job->data = b;
	job->free_data = free_baggage;
	to->records = records;
	to->fields = fields;
	to->n_fields = take_fields(p, fields);
	for (; to->len < p->n_records; to->len++) {
		if (!take_record(p->records[to->len], &b->events[to->len], &records[to->len])) {
			keeper_job_free(job);
			return NULL;
		}
	}
	job->begin_next = p->begins;
	job->end_next = p->complete[0] != '\0' && !str_equal(p->complete, "empty");
	to->horizon = p->horizon;
	to->position.revision = p->revision;
	str_copy(to->position.lineage, sizeof(to->position.lineage), p->lineage);
	return job;
}
