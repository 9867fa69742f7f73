/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/feed.h"

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
	Feed__State m;
	char *mapping; /* owned; NULL: none */
	Feed__Cursor *cursors;
	size_t cap;
};

static int add_field(void *arg, const char *field, const char *value)
{
	struct fields *f = arg;
	Feed__Cursor *c;

	if (str_equal(field, MAPPING_FIELD)) {
		mem_free(f->mapping);
		f->mapping = mem_strdup(value);
	} else {
		f->cursors = mem_grow(f->cursors, &f->cap, f->m.n_cursors + 1, sizeof(*c));
		c = &f->cursors[f->m.n_cursors++];
		feed__cursor__init(c);
		c->field = mem_strdup(field);
		c->value = mem_strdup(value);
	}
	return 0;
}

void feed_state(struct store_view *v, const char *lineage, const char *token,
		const struct feed_sink *to)
{
	struct fields f = { .cursors = NULL };
	Feed__Cursor **list;
	Feed__Answer a;
	size_t i;

	feed__answer__init(&a);
	feed__state__init(&f.m);
	if (lineage != NULL) {
		CHECK(store_meta(v, add_field, &f) == 0);
		f.m.lineage = (char *)(uintptr_t)lineage;
	}
	list = mem_alloc((f.m.n_cursors + 1) * sizeof(*list));
	for (i = 0; i < f.m.n_cursors; i++)
		list[i] = &f.cursors[i];
	f.m.cursors = list;
	f.m.token = (char *)(uintptr_t)token;
	if (f.mapping != NULL)
		f.m.mapping = f.mapping;
	a.body_case = FEED__ANSWER__BODY_STATE;
	a.state = &f.m;
	to->send(to->arg, &a);
	for (i = 0; i < f.m.n_cursors; i++) {
		mem_free(f.cursors[i].field);
		mem_free(f.cursors[i].value);
	}
	mem_free(f.mapping);
	mem_free(f.cursors);
	mem_free(list);
}

struct names {
	Feed__Name *v;
	size_t n, cap, bytes;
	size_t read;
	uint64_t last; /* revision */
	bool more;
	bool damaged;
};

static int add_name(void *arg, const struct store_entry *entry)
{
	struct names *l = arg;
	struct buf name = { 0 };
	Feed__Name *m;
	char *ref;

	if (l->n == PAGE_NAMES || l->bytes > PAGE_BYTES || l->read > PAGE_READ)
		return 1;
	ref = entry->ref_len == 0 ? NULL : mem_dup(entry->ref, entry->ref_len);
	l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
	m = &l->v[l->n++];
	feed__name__init(m);
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

static void read_names(struct store_view *v, struct names *l)
{
	int rc = store_since(v, l->last, add_name, l);

	while (rc == ERR_DAMAGED) {
		l->damaged = true;
		l->last = store_next_revision(v, l->last);
		rc = store_since(v, l->last, add_name, l);
	}
	l->more = rc != 0;
}

static void send_names(const struct names *l, const struct feed_sink *to)
{
	Feed__NamesPage page;
	Feed__Name **list;
	Feed__Answer a;
	size_t i;

	feed__answer__init(&a);
	feed__names_page__init(&page);
	list = mem_alloc((l->n + 1) * sizeof(*list));
	for (i = 0; i < l->n; i++)
		list[i] = &l->v[i];
	page.names = list;
	page.n_names = l->n;
	page.last = !l->more;
	a.body_case = FEED__ANSWER__BODY_NAMES;
	a.names = &page;
	to->send(to->arg, &a);
	mem_free(list);
}

bool feed_names(struct store_view *v, uint64_t after, bool passing, const struct feed_sink *to)
{
	struct names l = { .last = after };
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

void feed_known(uint64_t number, const struct feed_sink *to)
{
	Feed__Answer a;
	Feed__Known known;

	feed__answer__init(&a);
	feed__known__init(&known);
	known.number = number;
	a.body_case = FEED__ANSWER__BODY_KNOWN;
	a.known = &known;
	to->send(to->arg, &a);
}

void feed_written(Feed__Outcome outcome, uint64_t revision, const struct keeper_job *job,
		  const struct feed_sink *to)
{
	Feed__Answer a;
	Feed__Written m;

	feed__answer__init(&a);
	feed__written__init(&m);
	m.outcome = outcome;
	m.revision = revision;
	if (job != NULL && job->rc < 0) {
		m.error = (char *)(uintptr_t)job->err.text;
	} else if (job != NULL) {
		m.revision = job->published.after.revision;
		m.effective = job->published.effective;
		m.left = job->published.left;
	}
	a.body_case = FEED__ANSWER__BODY_WRITTEN;
	a.written = &m;
	to->send(to->arg, &a);
}

/* --- batches --- */

static const char *text_or_null(const char *s)
{
	return s[0] == '\0' ? NULL : s;
}

static bool is_sound(const Feed__Op *m, char op)
{
	bool put = op == 'W' || op == 'F';

	if (strlen(m->op) != 1 || !str_is_utf8(m->id, strlen(m->id)) ||
	    !str_is_utf8(m->ref, strlen(m->ref)) || !str_is_utf8(m->version, strlen(m->version)))
		return false;
	if (put && (m->hash.len != HASH_BYTES || m->hash.data[0] != ACTION_DEPLOY))
		return false;
	return strchr("WFTRKP", op) == NULL || m->id[0] != '\0';
}

/* Into `out`; false: no operation of the store, but of the batch as a whole. */
static bool take_op(struct keeper_job *job, Feed__Op *m, struct publish_op *out)
{
	static const struct {
		char op;
		enum publish_what what;
	} rows[] = { { 'W', PUBLISH_PUT },	{ 'F', PUBLISH_FORCE }, { 'T', PUBLISH_WITHDRAW },
		     { 'R', PUBLISH_WITHDRAW }, { 'K', PUBLISH_KEEP },	{ 'C', PUBLISH_CHILDREN },
		     { 'P', PUBLISH_PURGE },	{ 'M', PUBLISH_META },	{ 'O', PUBLISH_META } };
	size_t i;

	job->begin_next = job->begin_next || m->op[0] == 'L';
	job->end_next = job->end_next || (m->op[0] == 'E' && !str_equal(m->value, "empty"));
	if (m->op[0] == 'M' &&
	    (str_equal(m->field, CAUGHT_FIELD) || str_equal(m->field, UNREAD_FIELD)))
		return false;
	for (i = 0; i < ARRAY_LEN(rows) && rows[i].op != m->op[0]; i++)
		continue;
	if (i == ARRAY_LEN(rows))
		return false;
	*out = (struct publish_op){ .what = rows[i].what, .id = m->id, .number = m->number };
	out->ref = text_or_null(m->ref);
	out->version = m->version;
	out->payload = m->payload.data;
	out->payload_len = m->payload.len;
	if (m->hash.len == HASH_BYTES)
		memcpy(out->hash.b, m->hash.data, HASH_BYTES);
	out->value = m->value;
	out->field = m->field;
	return true;
}

void feed_request_free(void *request)
{
	feed__request__free_unpacked(request, NULL);
}

struct keeper_job *feed_job(Feed__Request *r, struct feed_said *out)
{
	struct keeper_job *job = keeper_job_new(KEEPER_PUBLISH);
	struct publish_op *ops = mem_alloc((r->batch->n_ops + 1) * sizeof(*ops));
	struct feed_said said = { 0 };
	size_t n = 0;
	size_t i;

	job->data = r;
	job->free_data = feed_request_free;
	job->batch.ops = ops;
	for (i = 0; i < r->batch->n_ops; i++) {
		Feed__Op *m = r->batch->ops[i];
		enum kind kind = KIND_API;

		if (!is_sound(m, m->op[0]) ||
		    (m->id[0] != '\0' && !kind_parse(m->kind, strlen(m->kind), &kind))) {
			keeper_job_free(job);
			return NULL;
		}
		if (m->op[0] == 'L')
			said.lineage = m->field;
		if (m->op[0] == 'M' && str_equal(m->field, CAUGHT_FIELD))
			said.caught = true;
		if (take_op(job, m, &ops[n]))
			ops[n++].kind = kind;
	}
	job->batch.n = n;
	job->batch.now_ms = clock_wall_ms();
	*out = said;
	return job;
}
