/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/publish/local_page.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/message/message.h"
#include "local.pb-c.h"

/* What is sent is borrowed. */
static char *text(const char *s)
{
	return (char *)(uintptr_t)(s == NULL ? "" : s);
}

static void set_record(Local__Record *m, const struct page_record *r)
{
	local__record__init(m);
	m->what = r->what == RECORD_KEEP ? LOCAL__WHAT__KEEP : LOCAL__WHAT__WRITE;
	m->kind = text(kind_name(r->ev.kind));
	m->id = text(r->ev.id);
	m->ref = text(r->ev.ref_id);
	m->hash.data = (uint8_t *)(uintptr_t)r->hash.b;
	m->hash.len = HASH_BYTES;
	m->revision = r->revision;
	m->version = text(r->ev.version);
	m->payload.data = (uint8_t *)r->ev.payload.data;
	m->payload.len = r->ev.payload.len;
	m->updated_ms = r->updated_ms;
}

/* A new version of an equal event is that event once more; what is forgotten says the horizon. */
static size_t set_records(Local__Record *all, Local__Record **list, const struct zone_page *p)
{
	size_t n = 0;
	size_t i;

	for (i = 0; i < p->n; i++) {
		if (p->records[i].what == RECORD_FORGET)
			continue;
		set_record(&all[n], &p->records[i]);
		list[n] = &all[n];
		n++;
	}
	return n;
}

static void set_fields(Local__Field *all, Local__Field **list, const struct zone_page *p)
{
	size_t i;

	for (i = 0; i < p->n_fields; i++) {
		local__field__init(&all[i]);
		all[i].field = p->fields[i].field;
		all[i].value = p->fields[i].value;
		list[i] = &all[i];
	}
}

void local_page_pack(struct buf *out, const struct zone_page *p)
{
	Local__Record *records = mem_alloc((p->n + 1) * sizeof(*records));
	Local__Record **list = mem_alloc((p->n + 1) * sizeof(*list));
	Local__Field *fields = mem_alloc((p->n_fields + 1) * sizeof(*fields));
	Local__Field **field_list = mem_alloc((p->n_fields + 1) * sizeof(*field_list));
	Local__Request m = LOCAL__REQUEST__INIT;
	Local__Page page = LOCAL__PAGE__INIT;

	page.number = p->number;
	page.after = p->base;
	page.revision = p->revision;
	page.horizon = p->horizon;
	page.was = text(p->was);
	page.lineage = text(p->lineage);
	page.begins = p->begins;
	page.complete = text(p->complete);
	page.n_records = set_records(records, list, p);
	page.records = list;
	set_fields(fields, field_list, p);
	page.n_fields = p->n_fields;
	page.fields = field_list;
	page.caught = p->caught;
	message_wrap(&m.base, &page.base);
	buf_reserve(out, local__request__get_packed_size(&m));
	out->len += local__request__pack(&m, (uint8_t *)out->data + out->len);
	mem_free(field_list);
	mem_free(fields);
	mem_free(list);
	mem_free(records);
}
