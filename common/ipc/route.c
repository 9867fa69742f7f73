/* SPDX-License-Identifier: Apache-2.0 */
#include "common/ipc/route.h"

#include "common/ipc/text.h"

bool route_is_for(const struct route_table *t, const uint8_t *body, size_t n)
{
	uint64_t tag = 0; /* a varint: the field's number << 3, and its type */
	unsigned i;

	for (i = 0; i < n && i < 10; i++) {
		if (i < 5)
			tag |= (uint64_t)(body[i] & 0x7f) << (7 * i);
		if ((body[i] & 0x80) == 0)
			break;
	}
	tag >>= 3;
	return i < n && i < 10 && tag < t->len && t->rows[tag].fn != NULL;
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
	text_mend(&m->base);
	rc = dispatch(t, from, now, self, m, e);
	ipc__envelope__free_unpacked(m, NULL);
	return rc;
}
