/* SPDX-License-Identifier: Apache-2.0 */
#include "common/ipc/text.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/ipc/field.h"

typedef bool string_fn(char **s); /* false ends the walk */

static bool walk(ProtobufCMessage *m, unsigned depth, string_fn *fn);

static bool visit(const ProtobufCFieldDescriptor *f, void *member, unsigned depth, string_fn *fn)
{
	if (f->type == PROTOBUF_C_TYPE_STRING)
		return *(char **)member == NULL || fn(member);
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(ProtobufCMessage **)member == NULL ||
		       walk(*(ProtobufCMessage **)member, depth + 1, fn);
	return true;
}

static bool walk(ProtobufCMessage *m, unsigned depth, string_fn *fn)
{
	unsigned i;
	size_t k;

	if (depth > TEXT_DEPTH_MAX)
		return false;
	for (i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];

		for (k = 0; k < field_count(m, f); k++)
			if (!visit(f, field_value(m, f, k), depth, fn))
				return false;
	}
	return true;
}

static bool is_ok(char **s)
{
	return str_is_utf8(*s, strlen(*s));
}

bool text_ok(const ProtobufCMessage *m)
{
	return walk((ProtobufCMessage *)(uintptr_t)m, 0, is_ok);
}

static bool mend(char **s)
{
	size_t n = 4 * strlen(*s) + 1;
	char *mended;

	if (is_ok(s))
		return true;
	mended = mem_alloc(n);
	str_mend(mended, n, *s);
	mem_free(*s); /* protobuf-c's default allocator is malloc, as ours is */
	*s = mended;
	return true;
}

void text_mend(ProtobufCMessage *m)
{
	(void)walk(m, 0, mend);
}
