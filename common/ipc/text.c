/* SPDX-License-Identifier: Apache-2.0 */
#include "common/ipc/text.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/message/message.h"

static bool is_ok(const ProtobufCFieldDescriptor *f, void *value)
{
	const char *const *s = value;

	return f->type != PROTOBUF_C_TYPE_STRING || str_is_utf8(*s, strlen(*s));
}

bool text_ok(const ProtobufCMessage *m)
{
	return message_walk(m, is_ok);
}

static bool mend(const ProtobufCFieldDescriptor *f, void *value)
{
	char **s = value;
	size_t n;
	char *mended;

	if (is_ok(f, value))
		return true;
	n = 4 * strlen(*s) + 1;
	mended = mem_alloc(n);
	str_mend(mended, n, *s);
	mem_free(*s); /* protobuf-c's default allocator is malloc, as ours is */
	*s = mended;
	return true;
}

void text_mend(ProtobufCMessage *m)
{
	(void)message_walk(m, mend);
}
