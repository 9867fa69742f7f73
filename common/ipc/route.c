/* SPDX-License-Identifier: Apache-2.0 */
#include "common/ipc/route.h"

#include <string.h>

#include "common/base/str.h"

#define DEPTH_MAX 8

static bool strings_ok(const ProtobufCMessage *m, unsigned depth);

static bool value_ok(const ProtobufCFieldDescriptor *f, const void *member, unsigned depth)
{
	if (f->type == PROTOBUF_C_TYPE_STRING) {
		const char *s = *(const char *const *)member;

		return s == NULL || str_is_utf8(s, strlen(s));
	}
	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		const ProtobufCMessage *sub = *(const ProtobufCMessage *const *)member;

		return sub == NULL || strings_ok(sub, depth + 1);
	}
	return true;
}

static bool field_ok(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, unsigned depth)
{
	const char *base = (const char *)m;
	size_t i;
	size_t n;
	const char *const *list;

	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
	    *(const uint32_t *)(const void *)(base + f->quantifier_offset) != f->id)
		return true;
	if (f->label != PROTOBUF_C_LABEL_REPEATED)
		return value_ok(f, base + f->offset, depth);
	if (f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE)
		return true;
	n = *(const size_t *)(const void *)(base + f->quantifier_offset);
	list = *(const char *const *const *)(const void *)(base + f->offset);
	for (i = 0; i < n; i++)
		if (!value_ok(f, &list[i], depth))
			return false;
	return true;
}

static bool strings_ok(const ProtobufCMessage *m, unsigned depth)
{
	unsigned i;

	if (depth > DEPTH_MAX)
		return false;
	for (i = 0; i < m->descriptor->n_fields; i++)
		if (!field_ok(m, &m->descriptor->fields[i], depth))
			return false;
	return true;
}

bool route_strings_ok(const ProtobufCMessage *m)
{
	return strings_ok(m, 0);
}

const char *route_name(const Ipc__Envelope *m)
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(
		&ipc__envelope__descriptor, (unsigned)m->body_case);

	return f == NULL ? "unknown message" : f->name;
}

static int dispatch(const struct route_table *t, uint32_t from, uint32_t now, void *self,
		    const Ipc__Envelope *m, struct err *e)
{
	const struct route *r;

	if ((size_t)m->body_case >= t->len || t->rows[m->body_case].fn == NULL)
		return err_set(e, ERR_PROTO, "no route for %s", route_name(m));
	r = &t->rows[m->body_case];
	if ((r->from & from) == 0)
		return err_set(e, ERR_PROTO, "%s is not allowed from this peer", route_name(m));
	if ((r->when & now) == 0)
		return err_set(e, ERR_STATE, "%s is not expected now", route_name(m));
	return r->fn(self, m, e);
}

int route_dispatch(const struct route_table *t, uint32_t from, uint32_t now, const uint8_t *body,
		   size_t n, void *self, struct err *e)
{
	Ipc__Envelope *m = ipc__envelope__unpack(NULL, n, body);
	int rc;

	if (m == NULL)
		return err_set(e, ERR_PROTO, "%zu bytes that are no envelope", n);
	if (route_strings_ok(&m->base))
		rc = dispatch(t, from, now, self, m, e);
	else
		rc = err_set(e, ERR_PROTO, "%s holds text that is not UTF-8", route_name(m));
	ipc__envelope__free_unpacked(m, NULL);
	return rc;
}
