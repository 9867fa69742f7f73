/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/local/words.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ipc/frame.h"
#include "common/message/message.h"

#define PAGE_NAMES    1000
#define PAGE_BYTES    (FRAME_MAX_BYTES / 2)
#define PAGE_READ     (4U << 20) /* payloads that are read for a page: their checksums */
#define MAPPING_FIELD "mapping"	 /* every other field is a cursor */
#define CAUGHT_FIELD  "caught"	 /* is said, not kept */
#define UNREAD_FIELD  "unread"	 /* is for those who follow a zone */

/* --- answers --- */

struct words_fields {
	Local__State *m;
	size_t cap;
};

static int add_field(void *arg, const char *field, const char *value)
{
	struct words_fields *s = arg;
	Local__Field *c;

	if (str_equal(field, MAPPING_FIELD)) {
		s->m->mapping = mem_strdup(value);
		return 0;
	}
	c = message_new(&local__field__descriptor);
	c->field = mem_strdup(field);
	c->value = mem_strdup(value);
	s->m->cursors =
		mem_grow(s->m->cursors, &s->cap, s->m->n_cursors + 1, sizeof(Local__Field *));
	s->m->cursors[s->m->n_cursors++] = c;
	return 0;
}

void words_state(struct store_view *v, const struct position *at, const char *token,
		 const struct words_sink *to)
{
	struct words_fields s = { .m = message_new(&local__state__descriptor) };

	if (at != NULL) {
		CHECK(store_meta(v, add_field, &s) == 0);
		s.m->lineage = mem_strdup(at->lineage);
		s.m->revision = at->revision;
	}
	s.m->token = mem_strdup(token);
	to->send(to->arg, &s.m->base);
	message_free(s.m);
}

struct words_names {
	Local__NamesPage *m;
	size_t cap, bytes;
	size_t read;
	uint64_t last; /* revision */
	bool damaged;
};

static int add_name(void *arg, const struct store_entry *entry)
{
	struct words_names *l = arg;
	Local__Name *m;
	char *ref;

	if (l->m->n_names == PAGE_NAMES || l->bytes > PAGE_BYTES || l->read > PAGE_READ)
		return 1;
	ref = entry->ref_len == 0 ? NULL : mem_dup(entry->ref, entry->ref_len);
	m = message_new(&local__name__descriptor);
	m->id = mem_dup(entry->id, entry->id_len);
	m->name = event_name(entry->kind, m->id, ref);
	m->version = mem_dup(entry->version, entry->version_len);
	m->kind = mem_strdup(kind_name(entry->kind));
	m->revision = entry->revision;
	m->updated_ms = entry->updated_ms;
	m->hash.len = HASH_BYTES;
	m->hash.data = mem_dup(entry->hash.b, HASH_BYTES);
	l->m->names = mem_grow(l->m->names, &l->cap, l->m->n_names + 1, sizeof(Local__Name *));
	l->m->names[l->m->n_names++] = m;
	l->last = entry->revision;
	l->read += entry->payload_len;
	l->bytes += 64 + strlen(m->name) + strlen(m->id) + strlen(m->version);
	mem_free(ref);
	return 0;
}

bool words_names(struct store_view *v, uint64_t after, bool passing, const struct words_sink *to)
{
	struct words_names l = { .m = message_new(&local__names_page__descriptor), .last = after };
	int rc = store_since(v, l.last, add_name, &l);
	bool sent;

	while (rc == ERR_DAMAGED) {
		l.damaged = true;
		l.last = store_next_revision(v, l.last);
		rc = store_since(v, l.last, add_name, &l);
	}
	l.m->last = rc == 0;
	sent = passing || !l.damaged;
	if (sent)
		to->send(to->arg, &l.m->base);
	message_free(l.m);
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

	local__request__free_unpacked(b->request, NULL);
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
