/* SPDX-License-Identifier: Apache-2.0 */
#include "common/ipc/field.h"

#include <stddef.h>
#include <stdint.h>

static void *at(const ProtobufCMessage *m, unsigned offset)
{
	return (char *)(uintptr_t)m + offset;
}

size_t field_count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)at(m, f->quantifier_offset);
	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
		return *(const uint32_t *)at(m, f->quantifier_offset) == f->id ? 1 : 0;
	return 1;
}

void *field_value(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t i)
{
	void *v = at(m, f->offset);

	return f->label == PROTOBUF_C_LABEL_REPEATED ? *(void **)v + i * sizeof(void *) : v;
}
