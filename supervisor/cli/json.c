/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/json.h"

#include <inttypes.h>

#include "common/json/write.h"
#include "common/message/message.h"

/* The next one that is shown. A struct has its members as the schema has them, the table of
   fields is in the order of numbers. */
static const ProtobufCFieldDescriptor *next_field(const ProtobufCMessageDescriptor *d,
						  const ProtobufCFieldDescriptor *before)
{
	const ProtobufCFieldDescriptor *next = NULL;
	unsigned i;

	for (i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];

		if (f->id < JSON_INSIDE && (before == NULL || f->offset > before->offset) &&
		    (next == NULL || f->offset < next->offset))
			next = f;
	}
	return next;
}

static void add_enum(struct buf *b, const ProtobufCEnumDescriptor *d, int v)
{
	const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(d, v);

	json_write_shown(b, known == NULL ? "UNKNOWN" : known->name);
}

static void add_value(struct buf *b, const ProtobufCFieldDescriptor *f, const void *at)
{
	const ProtobufCMessage *m;

	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
		buf_addi(b, *(const int32_t *)at);
		break;
	case PROTOBUF_C_TYPE_INT64:
		buf_addi(b, *(const int64_t *)at);
		break;
	case PROTOBUF_C_TYPE_UINT32:
		buf_addi(b, *(const uint32_t *)at);
		break;
	case PROTOBUF_C_TYPE_UINT64:
		buf_printf(b, "%" PRIu64, *(const uint64_t *)at);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		buf_adds(b, *(const protobuf_c_boolean *)at ? "true" : "false");
		break;
	case PROTOBUF_C_TYPE_ENUM:
		add_enum(b, f->descriptor, *(const int *)at);
		break;
	case PROTOBUF_C_TYPE_STRING:
		json_write_shown(b, *(const char *const *)at);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		m = *(const ProtobufCMessage *const *)at;
		if (m == NULL)
			buf_adds(b, "null");
		else
			json_message(b, m);
		break;
	default:
		CHECK(false); /* nothing that is shown has another type */
	}
}

void json_message(struct buf *b, const ProtobufCMessage *m)
{
	const ProtobufCFieldDescriptor *f = NULL;
	size_t i;

	buf_addc(b, '{');
	while ((f = next_field(m->descriptor, f)) != NULL) {
		bool list = f->label == PROTOBUF_C_LABEL_REPEATED;

		json_write_name(b, f->name);
		if (list)
			buf_addc(b, '[');
		for (i = 0; i < message_count(m, f); i++) {
			if (i > 0)
				buf_addc(b, ',');
			add_value(b, f, message_value(m, f, i));
		}
		if (list)
			buf_addc(b, ']');
	}
	buf_addc(b, '}');
}

void json_line(struct buf *b, const ProtobufCMessage *m)
{
	json_message(b, m);
	buf_addc(b, '\n');
}
