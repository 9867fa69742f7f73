/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/message/message.h"
#include "ipc.pb-c.h"

static const ProtobufCFieldDescriptor *field(const ProtobufCMessage *m, const char *name)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);

	assert_non_null(f);
	return f;
}

static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void a_list_has_its_length_and_of_a_oneof_one_arm_is_there(void **state)
{
	char *protocols[] = { text("TLSv1.2"), text("TLSv1.3") };
	Ipc__Envelope m = IPC__ENVELOPE__INIT;
	Ipc__Ping ping = IPC__PING__INIT;
	Ipc__Tls tls = IPC__TLS__INIT;

	UNUSED(state);
	assert_int_equal(message_count(&tls.base, field(&tls.base, "protocols")), 0);
	tls.protocols = protocols;
	tls.n_protocols = 2;
	assert_int_equal(message_count(&tls.base, field(&tls.base, "protocols")), 2);
	assert_string_equal(*(char **)message_value(&tls.base, field(&tls.base, "protocols"), 1),
			    "TLSv1.3");
	assert_int_equal(message_count(&tls.base, field(&tls.base, "server_name")), 1);
	assert_int_equal(message_count(&m.base, field(&m.base, "ping")), 0);
	m.body_case = IPC__ENVELOPE__BODY_PING;
	m.ping = &ping;
	assert_int_equal(message_count(&m.base, field(&m.base, "ping")), 1);
	assert_int_equal(message_count(&m.base, field(&m.base, "stop")), 0);
}

/* --- the walk --- */

static struct buf seen;
static const char *stop_at;

static bool note(const ProtobufCFieldDescriptor *f, void *value)
{
	buf_printf(&seen, "%s", f->name);
	if (f->type == PROTOBUF_C_TYPE_STRING)
		buf_printf(&seen, "=%s", *(char **)value);
	buf_addc(&seen, ' ');
	return stop_at == NULL || strcmp(f->name, stop_at) != 0;
}

static void a_walk_meets_each_value_in_order_and_those_inside(void **state)
{
	char *certs[] = { text("a.pem"), text("b.pem") };
	Ipc__TlsStore store = IPC__TLS_STORE__INIT;
	Ipc__Tls tls = IPC__TLS__INIT;

	UNUSED(state);
	stop_at = NULL;
	store.type = text("pem");
	store.certs = certs;
	store.n_certs = 2;
	tls.server_name = text("redis.test");
	tls.truststore = &store; /* and no keystore: there is nothing to meet in it */
	assert_true(message_walk(&tls.base, note));
	assert_string_equal(buf_cstr(&seen), "trust_all any_name server_name=redis.test type=pem "
					     "path= password= key_password= alias= certs=a.pem "
					     "certs=b.pem ");
	buf_reset(&seen);
}

static void a_walk_ends_where_it_is_told(void **state)
{
	Ipc__TlsStore store = IPC__TLS_STORE__INIT;
	Ipc__Tls tls = IPC__TLS__INIT;

	UNUSED(state);
	stop_at = "password";
	tls.keystore = &store;
	tls.truststore = &store;
	assert_false(message_walk(&tls.base, note));
	assert_string_equal(buf_cstr(&seen),
			    "trust_all any_name server_name= type= path= password= ");
	buf_reset(&seen);
}

/* A message that has one of its own type: none of ours does, and one that came would be cut. */
struct nest {
	ProtobufCMessage base;
	struct nest *inner;
	int32_t leaf;
};

static const ProtobufCMessageDescriptor nest_type;
static const ProtobufCFieldDescriptor nest_fields[] = {
	{ .name = "inner",
	  .id = 1,
	  .label = PROTOBUF_C_LABEL_NONE,
	  .type = PROTOBUF_C_TYPE_MESSAGE,
	  .offset = offsetof(struct nest, inner),
	  .descriptor = &nest_type },
	{ .name = "leaf",
	  .id = 2,
	  .label = PROTOBUF_C_LABEL_NONE,
	  .type = PROTOBUF_C_TYPE_INT32,
	  .offset = offsetof(struct nest, leaf) },
};
static const ProtobufCMessageDescriptor nest_type = {
	.magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
	.name = "nest",
	.sizeof_message = sizeof(struct nest),
	.n_fields = ARRAY_LEN(nest_fields),
	.fields = nest_fields,
};

static void a_walk_has_a_limit_of_depth(void **state)
{
	struct nest m[MESSAGE_DEPTH_MAX + 2] = { 0 };
	size_t i;

	UNUSED(state);
	stop_at = NULL;
	for (i = 0; i < ARRAY_LEN(m); i++)
		m[i].base.descriptor = &nest_type;
	for (i = 0; i < MESSAGE_DEPTH_MAX; i++)
		m[i].inner = &m[i + 1];
	assert_true(message_walk(&m[0].base, note));
	m[MESSAGE_DEPTH_MAX].inner = &m[MESSAGE_DEPTH_MAX + 1];
	assert_false(message_walk(&m[0].base, note));
	buf_reset(&seen);
}

/* --- wrapping --- */

/* Whatever the envelope may hold, wrapping its body and packing it gives it back. */
static void each_body_finds_its_arm_of_the_envelope(void **state)
{
	const ProtobufCMessageDescriptor *d = &ipc__envelope__descriptor;
	unsigned i;

	UNUSED(state);
	for (i = 0; i < d->n_fields; i++) {
		ProtobufCMessage *body;
		Ipc__Envelope m = IPC__ENVELOPE__INIT;
		Ipc__Envelope *back;
		uint8_t *wire;
		size_t n;

		if (d->fields[i].type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		body = message_new(d->fields[i].descriptor);
		message_wrap(&m.base, body);
		assert_int_equal(m.body_case, d->fields[i].id);
		n = ipc__envelope__get_packed_size(&m);
		wire = mem_alloc(n + 1);
		(void)ipc__envelope__pack(&m, wire);
		back = ipc__envelope__unpack(NULL, n, wire);
		assert_non_null(back);
		assert_int_equal(back->body_case, m.body_case);
		ipc__envelope__free_unpacked(back, NULL);
		mem_free(wire);
		message_free(body);
	}
}

/* --- copies --- */

static void a_copy_is_equal_and_shares_nothing(void **state)
{
	char certs[] = "a.pem";
	char password[] = "secret";
	char *list[] = { certs };
	Ipc__TlsStore store = IPC__TLS_STORE__INIT;
	Ipc__Tls tls = IPC__TLS__INIT;
	Ipc__Tls *copy;

	UNUSED(state);
	store.password = password;
	store.certs = list;
	store.n_certs = 1;
	tls.trust_all = true;
	tls.keystore = &store;
	copy = message_copy(&tls);
	memset(certs, 'x', 5);
	memset(password, 'x', 6);
	assert_true(copy->trust_all);
	assert_string_equal(copy->keystore->password, "secret");
	assert_int_equal(copy->keystore->n_certs, 1);
	assert_string_equal(copy->keystore->certs[0], "a.pem");
	assert_null(copy->truststore);
	message_free(copy);
}

static void of_nothing_there_is_no_copy(void **state)
{
	UNUSED(state);
	assert_null(message_copy(NULL));
	message_free(NULL);
}

static void a_new_message_has_nothing_set(void **state)
{
	Ipc__Tls *m = message_new(&ipc__tls__descriptor);

	UNUSED(state);
	assert_int_equal(ipc__tls__get_packed_size(m), 0);
	assert_string_equal(m->server_name, "");
	message_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_has_its_length_and_of_a_oneof_one_arm_is_there),
		cmocka_unit_test(a_walk_meets_each_value_in_order_and_those_inside),
		cmocka_unit_test(a_walk_ends_where_it_is_told),
		cmocka_unit_test(a_walk_has_a_limit_of_depth),
		cmocka_unit_test(each_body_finds_its_arm_of_the_envelope),
		cmocka_unit_test(a_copy_is_equal_and_shares_nothing),
		cmocka_unit_test(of_nothing_there_is_no_copy),
		cmocka_unit_test(a_new_message_has_nothing_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
