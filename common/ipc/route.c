/* SPDX-License-Identifier: Apache-2.0 */
#include "common/ipc/route.h"

#include "common/message/message.h"

const char *route_name(const Ipc__Envelope *m)
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(
		&ipc__envelope__descriptor, (unsigned)m->body_case);

	return f == NULL ? "unknown message" : f->name;
}

static bool has_row(const struct route_table *t, const Ipc__Envelope *m)
{
	return (size_t)m->body_case < t->len && t->rows[m->body_case].fn != NULL;
}

static int dispatch(const struct route_to *to, const Ipc__Envelope *m, struct err *e)
{
	const struct route *r;

	if (!has_row(to->table, m))
		return err_set(e, ERR_PROTO, "no route for %s", route_name(m));
	r = &to->table->rows[m->body_case];
	if ((r->from & to->from) == 0)
		return err_set(e, ERR_PROTO, "%s is not allowed from this peer", route_name(m));
	if ((r->when & to->now) == 0)
		return err_set(e, ERR_STATE, "%s is not expected now", route_name(m));
	return r->fn(to->self, m, e);
}

int route_dispatch(const struct route_to *to, size_t n_to, const uint8_t *body, size_t n,
		   struct err *e)
{
	Ipc__Envelope *m = ipc__envelope__unpack(NULL, n, body);
	int rc;

	if (m == NULL)
		return err_set(e, ERR_PROTO, "%zu bytes that are no envelope", n);
	message_mend(&m->base);
	for (; n_to > 1 && !has_row(to->table, m); n_to--)
		to++;
	rc = dispatch(to, m, e);
	ipc__envelope__free_unpacked(m, NULL);
	return rc;
}
