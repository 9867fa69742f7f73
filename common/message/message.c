/* SPDX-License-Identifier: Apache-2.0 */
#include "common/message/message.h"

#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/str.h"

static void *at(const ProtobufCMessage *m, unsigned offset)
{
	return (char *)(uintptr_t)m + offset;
}

size_t message_count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)at(m, f->quantifier_offset);
	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
		return *(const uint32_t *)at(m, f->quantifier_offset) == f->id ? 1 : 0;
	return 1;
}

void *message_value(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t i)
{
	void *v = at(m, f->offset);

	CHECK(f->label != PROTOBUF_C_LABEL_REPEATED || f->type == PROTOBUF_C_TYPE_STRING ||
	      f->type == PROTOBUF_C_TYPE_MESSAGE);
	return f->label == PROTOBUF_C_LABEL_REPEATED ? *(char **)v + i * sizeof(void *) : v;
}

static bool walk(const ProtobufCMessage *m, unsigned depth, message_fn *fn);

static bool visit(const ProtobufCFieldDescriptor *f, void *value, unsigned depth, message_fn *fn)
{
	bool points = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE;

	if (points && *(void **)value == NULL)
		return true;
	return f->type == PROTOBUF_C_TYPE_MESSAGE
		       ? walk(*(const ProtobufCMessage **)value, depth + 1, fn)
		       : fn(f, value);
}

static bool walk(const ProtobufCMessage *m, unsigned depth, message_fn *fn)
{
	unsigned i;
	size_t k;

	if (depth > MESSAGE_DEPTH_MAX)
		return false;
	for (i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];

		for (k = 0; k < message_count(m, f); k++)
			if (!visit(f, message_value(m, f, k), depth, fn))
				return false;
	}
	return true;
}

bool message_walk(const ProtobufCMessage *m, message_fn *fn)
{
	return walk(m, 0, fn);
}

static bool is_utf8(const ProtobufCFieldDescriptor *f, void *value)
{
	const char *const *s = value;

	return f->type != PROTOBUF_C_TYPE_STRING || str_is_utf8(*s, strlen(*s));
}

bool message_is_text(const ProtobufCMessage *m)
{
	return message_walk(m, is_utf8);
}

static bool mend_value(const ProtobufCFieldDescriptor *f, void *value)
{
	char **s = value;
	size_t n;
	char *mended;

	if (is_utf8(f, value))
		return true;
	n = 4 * strlen(*s) + 1;
	mended = mem_alloc(n);
	str_mend(mended, n, *s);
	mem_free(*s); /* protobuf-c's default allocator is malloc, as ours is */
	*s = mended;
	return true;
}

void message_mend(ProtobufCMessage *m)
{
	(void)message_walk(m, mend_value);
}

void message_wrap(ProtobufCMessage *envelope, const ProtobufCMessage *body)
{
	const ProtobufCFieldDescriptor *f = envelope->descriptor->fields;

	while (f->descriptor != body->descriptor)
		CHECK(++f < envelope->descriptor->fields + envelope->descriptor->n_fields);
	*(const ProtobufCMessage **)at(envelope, f->offset) = body;
	*(uint32_t *)at(envelope, f->quantifier_offset) = f->id;
}

void *message_new(const ProtobufCMessageDescriptor *d)
{
	ProtobufCMessage *m = mem_alloc(d->sizeof_message);

	protobuf_c_message_init(d, m);
	return m;
}

void *message_copy(const void *message)
{
	const ProtobufCMessage *m = message;
	ProtobufCMessage *copy;
	uint8_t *bytes;
	size_t n;

	if (m == NULL)
		return NULL;
	n = protobuf_c_message_get_packed_size(m);
	bytes = mem_alloc(n + 1);
	(void)protobuf_c_message_pack(m, bytes);
	copy = protobuf_c_message_unpack(m->descriptor, NULL, n, bytes);
	CHECK(copy != NULL);
	explicit_bzero(bytes, n);
	mem_free(bytes);
	return copy;
}

static bool wipe(const ProtobufCFieldDescriptor *f, void *value)
{
	ProtobufCBinaryData *bytes = value;

	if (f->type == PROTOBUF_C_TYPE_STRING)
		explicit_bzero(*(char **)value, strlen(*(char **)value));
	else if (f->type == PROTOBUF_C_TYPE_BYTES)
		explicit_bzero(bytes->data, bytes->len);
	return true;
}

void message_free(void *message)
{
	if (message == NULL)
		return;
	CHECK(message_walk(message, wipe));
	protobuf_c_message_free_unpacked(message, NULL);
}
