/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/redis/reply.h"
#include "common/redis/redis.h"
#include "test/unit/redis_kit.h"

static struct kit kit;
static struct redis *r;
static bool up, down, answered;
static unsigned ups, downs, lost;
static struct err why;
static struct buf got;

static void on_up(void *arg)
{
	UNUSED(arg);
	up = true;
	ups++;
}

static void on_down(void *arg, const struct err *e)
{
	UNUSED(arg);
	up = false;
	down = true;
	downs++;
	why = *e;
}

static void on_message(void *arg, const char *p, size_t n)
{
	UNUSED(arg);
	buf_add(&got, p, n);
	answered = true;
}

static void on_reply(void *arg, const struct redis_reply *reply, const struct err *e)
{
	size_t n = 0;
	const char *s = redis_str(reply, &n);

	UNUSED(arg);
	answered = true;
	if (e != NULL)
		lost++;
	else if (s != NULL)
		buf_add(&got, s, n);
}

static void connect_with(const struct redis_opts *o)
{
	const struct redis_hooks h = { .up = on_up, .down = on_down, .message = on_message };

	up = down = answered = false;
	ups = downs = lost = 0;
	buf_clear(&got);
	assert_int_equal(redis_open(&r, &kit.loop, o, &h, NULL), 0);
}

static int setup(void **state)
{
	UNUSED(state);
	kit_open(&kit);
	return 0;
}

/* --- a real server --- */

static void commands_are_answered_in_order(void **state)
{
	struct redis_opts o;
	unsigned i;

	UNUSED(state);
	kit_start(&kit, NULL);
	kit_opts(&kit, &o);
	o.client_name = "order";
	connect_with(&o);
	assert_int_equal(redis_sendv(r, on_reply, NULL, "PING", NULL), ERR_STATE);
	kit_until(&kit, &up);
	for (i = 0; i < 10; i++) {
		char text[2] = { (char)('0' + i), '\0' };

		assert_int_equal(redis_sendv(r, on_reply, NULL, "ECHO", text, NULL), 0);
	}
	while (got.len < 10) {
		answered = false;
		kit_until(&kit, &answered);
	}
	assert_string_equal(buf_cstr(&got), "0123456789");
	assert_non_null(strstr(kit_ask(&kit, "CLIENT", "LIST", NULL), "name=order"));
}

static void messages_of_a_channel_arrive(void **state)
{
	struct redis_opts o;

	UNUSED(state);
	kit_start(&kit, NULL);
	kit_opts(&kit, &o);
	o.idle_ping_ms = 1; /* also while it listens */
	connect_with(&o);
	kit_until(&kit, &up);
	assert_int_equal(redis_subscribe(r, "c"), 0);
	while (strcmp(kit_ask(&kit, "PUBLISH", "c", "hello", NULL), "1") != 0)
		;
	kit_until(&kit, &answered);
	assert_string_equal(buf_cstr(&got), "hello");
	assert_int_equal(downs, 0);
}

static void a_wrong_password_is_told_and_a_right_one_taken(void **state)
{
	struct redis_opts o;

	UNUSED(state);
	kit_start(&kit, NULL);
	(void)kit_ask(&kit, "ACL", "SETUSER", "u", "on", ">right", "+ping", NULL);
	kit_opts(&kit, &o);
	o.username = "u";
	o.password = "wrong";
	connect_with(&o);
	kit_until(&kit, &down);
	assert_int_equal(why.code, ERR_REMOTE);
	assert_non_null(strstr(why.text, "WRONGPASS"));
	assert_int_equal(ups, 0);
	redis_close(&r);
	o.password = "right"; /* may not name itself: that is no reason to stay away */
	connect_with(&o);
	kit_until(&kit, &up);
	assert_int_equal(downs, 0);
	redis_close(&r);
	(void)kit_ask(&kit, "CONFIG", "SET", "requirepass", "all", NULL);
	o.username = NULL;
	o.password = "all";
	connect_with(&o);
	kit_until(&kit, &up);
	redis_close(&r);
	o.password = NULL;
	connect_with(&o);
	kit_until(&kit, &down);
	assert_non_null(strstr(why.text, "NOAUTH"));
	assert_non_null(strstr(why.text, "distributed-sync.redis.password"));
}

static void a_password_is_called_by_the_setting_that_holds_it(void **state)
{
	struct redis_opts o;

	UNUSED(state);
	kit_start(&kit, NULL);
	(void)kit_ask(&kit, "CONFIG", "SET", "requirepass", "right", NULL);
	kit_opts(&kit, &o);
	o.password_setting = "redis.sentinel.password";
	connect_with(&o);
	kit_until(&kit, &down);
	assert_non_null(strstr(why.text, "(redis.sentinel.password is not set)"));
	redis_close(&r);
	o.password = "wrong";
	connect_with(&o);
	kit_until(&kit, &down);
	assert_non_null(strstr(why.text, "WRONGPASS"));
	assert_non_null(strstr(why.text, "(see redis.sentinel.password)"));
}

static void a_killed_server_is_found_again(void **state)
{
	struct redis_opts o;

	UNUSED(state);
	kit_start(&kit, NULL);
	kit_opts(&kit, &o);
	connect_with(&o);
	kit_until(&kit, &up);
	kit_kill(&kit);
	kit_until(&kit, &down);
	kit_start(&kit, NULL);
	kit_until(&kit, &up);
	assert_int_equal(ups, 2);
}

static void a_full_window_is_busy(void **state)
{
	struct redis_opts o;
	unsigned i;

	UNUSED(state);
	kit_start(&kit, NULL);
	kit_opts(&kit, &o);
	o.window = 3;
	connect_with(&o);
	kit_until(&kit, &up);
	for (i = 0; i < 3; i++)
		assert_int_equal(redis_sendv(r, on_reply, NULL, "ECHO", "x", NULL), 0);
	assert_int_equal(redis_sendv(r, on_reply, NULL, "ECHO", "x", NULL), ERR_BUSY);
	while (got.len < 3) {
		answered = false;
		kit_until(&kit, &answered);
	}
	assert_int_equal(redis_sendv(r, on_reply, NULL, "ECHO", "x", NULL), 0);
}

static void close_here(void *arg, const struct redis_reply *reply, const struct err *e)
{
	UNUSED(arg);
	UNUSED(reply);
	UNUSED(e);
	answered = true;
	redis_close(&r);
}

static void a_connection_may_be_closed_inside_each_callback(void **state)
{
	struct redis_opts o;

	UNUSED(state);
	kit_start(&kit, NULL);
	kit_opts(&kit, &o);
	connect_with(&o);
	kit_until(&kit, &up);
	assert_int_equal(redis_sendv(r, close_here, NULL, "PING", NULL), 0);
	assert_int_equal(redis_sendv(r, on_reply, NULL, "PING", NULL), 0);
	kit_until(&kit, &answered);
	assert_null(r);
	connect_with(&o); /* now in the callback of a loss */
	kit_until(&kit, &up);
	assert_int_equal(redis_sendv(r, close_here, NULL, "PING", NULL), 0);
	assert_int_equal(redis_sendv(r, on_reply, NULL, "PING", NULL), 0);
	redis_fail(r, ERR_TIMEOUT, "by the test");
	assert_null(r);
	assert_int_equal(lost + downs, 0);
}

/* --- a hostile server on the same loop --- */

struct fake {
	uv_pipe_t listener;
	const char *says; /* to every client, at once; NULL: nothing */
	size_t n;
	unsigned clients;
	bool open;
	bool hangs_up; /* when it has said so */
};

static struct fake fake;

static void on_fake_closed(uv_handle_t *h)
{
	mem_free(h);
}

static void on_fake_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
	static char sink[4096];

	UNUSED(h);
	UNUSED(n);
	*b = uv_buf_init(sink, sizeof(sink));
}

static void on_fake_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	UNUSED(b);
	if (n < 0 && !uv_is_closing((uv_handle_t *)s))
		uv_close((uv_handle_t *)s, on_fake_closed);
}

static void on_fake_written(uv_write_t *w, int status)
{
	UNUSED(status);
	if (fake.hangs_up && !uv_is_closing((uv_handle_t *)w->handle))
		uv_close((uv_handle_t *)w->handle, on_fake_closed);
	mem_free(w);
}

static void on_fake_client(uv_stream_t *s, int status)
{
	uv_pipe_t *c = mem_zalloc(sizeof(*c));
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)fake.says, (unsigned)fake.n);

	assert_int_equal(status, 0);
	assert_int_equal(uv_pipe_init(s->loop, c, 0), 0);
	assert_int_equal(uv_accept(s, (uv_stream_t *)c), 0);
	fake.clients++;
	assert_int_equal(uv_read_start((uv_stream_t *)c, on_fake_alloc, on_fake_read), 0);
	if (fake.says != NULL)
		assert_int_equal(uv_write(mem_zalloc(sizeof(uv_write_t)), (uv_stream_t *)c, &b, 1,
					  on_fake_written),
				 0);
}

static void fake_start(const char *says, size_t n)
{
	fake = (struct fake){ .says = says, .n = n, .open = true };
	assert_int_equal(uv_pipe_init(&kit.loop, &fake.listener, 0), 0);
	assert_int_equal(uv_pipe_bind(&fake.listener, kit.socket), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&fake.listener, 16, on_fake_client), 0);
}

static void fake_stop(void)
{
	redis_close(&r);
	if (!fake.open)
		return;
	fake.open = false;
	uv_close((uv_handle_t *)&fake.listener, NULL);
	(void)uv_run(&kit.loop, UV_RUN_DEFAULT);
}

/* What the first connection to a server that says this ends with. */
static int ends_with(const char *says, size_t n)
{
	struct redis_opts o;

	fake_start(says, n);
	kit_opts(&kit, &o);
	o.reply_max_bytes = 100000;
	connect_with(&o);
	kit_until(&kit, &down);
	fake_stop();
	return why.code;
}

static void answers_that_break_the_protocol_close_the_connection(void **state)
{
	static const char deep[] =
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
		"*1\r\n:1\r\n";
	struct buf huge = { 0 };

	UNUSED(state);
	assert_int_equal(ends_with("HTTP/1.1 400 Bad Request\r\n\r\n", 28), ERR_PROTO);
	assert_int_equal(ends_with("*2000000\r\n", 10), ERR_PROTO); /* too long an array */
	assert_int_equal(ends_with("*-7\r\n", 5), ERR_PROTO);
	assert_int_equal(ends_with(deep, sizeof(deep) - 1), ERR_PROTO);
	assert_int_equal(ends_with("+OK\r\n+PONG\r\n+more\r\n", 19), ERR_PROTO); /* unasked */
	buf_adds(&huge, "$10000000\r\n");
	while (huge.len < 300000)
		buf_adds(&huge, "0123456789012345678901234567890123456789");
	assert_int_equal(ends_with(huge.data, huge.len), ERR_LIMIT);
	buf_reset(&huge);
}

static void a_loading_server_is_tried_again(void **state)
{
	static const char says[] = "+OK\r\n-LOADING Redis is loading the dataset in memory\r\n";

	UNUSED(state);
	assert_int_equal(ends_with(says, sizeof(says) - 1), ERR_REMOTE);
	assert_non_null(strstr(why.text, "LOADING"));
}

/* With a password it is the answer to AUTH; without one, to a command that does not matter. */
static void what_a_server_says_before_it_closes_is_the_reason(void **state)
{
	static const char *const says[] = { "-ERR max number of clients reached\r\n",
					    "-DENIED Redis is running in protected mode\r\n" };
	static const char *const passwords[] = { "x", NULL };
	struct redis_opts o;
	unsigned i;

	UNUSED(state);
	for (i = 0; i < 4; i++) {
		fake_start(says[i / 2], strlen(says[i / 2]));
		fake.hangs_up = true;
		kit_opts(&kit, &o);
		o.password = passwords[i % 2];
		connect_with(&o);
		kit_until(&kit, &down);
		assert_int_equal(why.code, ERR_REMOTE);
		assert_memory_equal(why.text, says[i / 2] + 1, strlen(says[i / 2]) - 3);
		fake_stop();
	}
}

static void an_error_that_did_not_matter_is_no_reason_later(void **state)
{
	static const char says[] = "-NOPERM no permission\r\n+PONG\r\n+more\r\n";

	UNUSED(state);
	assert_int_equal(ends_with(says, sizeof(says) - 1), ERR_PROTO);
	assert_string_equal(why.text, "an answer to no command");
}

static void a_server_that_never_answers_is_left(void **state)
{
	struct redis_opts o;

	UNUSED(state);
	fake_start(NULL, 0);
	kit_opts(&kit, &o);
	o.connect_timeout_ms = 100;
	o.command_timeout_ms = 50;
	connect_with(&o);
	kit_until(&kit, &down);
	assert_int_equal(why.code, ERR_TIMEOUT);
	while (fake.clients < 3) { /* and tried again, and left again */
		down = false;
		kit_until(&kit, &down);
	}
	fake_stop();
}

static void a_command_without_an_answer_closes_the_connection(void **state)
{
	struct redis_opts o;

	UNUSED(state);
	fake_start("+OK\r\n+PONG\r\n", 12); /* greets, and is silent from then on */
	kit_opts(&kit, &o);
	o.command_timeout_ms = 50;
	connect_with(&o);
	kit_until(&kit, &up);
	assert_int_equal(redis_sendv(r, on_reply, NULL, "PING", NULL), 0);
	assert_int_equal(redis_sendv(r, on_reply, NULL, "PING", NULL), 0);
	kit_until(&kit, &down);
	assert_int_equal(why.code, ERR_TIMEOUT);
	assert_int_equal(lost, 2);
	fake_stop();
}

/* Each is heard of in time, all of them take longer than that. */
static void what_is_answered_one_by_one_is_waited_for(void **state)
{
	struct redis_opts o;
	unsigned i;

	UNUSED(state);
	kit_start(&kit, NULL);
	kit_opts(&kit, &o);
	o.command_timeout_ms = 1000;
	connect_with(&o);
	kit_until(&kit, &up);
	for (i = 0; i < 4; i++)
		assert_int_equal(redis_sendv(r, on_reply, NULL, "BLPOP", "nothing", "0.4", NULL),
				 0);
	assert_int_equal(redis_sendv(r, on_reply, NULL, "ECHO", "x", NULL), 0);
	while (got.len < 1 && !down) {
		answered = false;
		kit_until(&kit, &answered);
	}
	assert_false(down);
}

static void a_silent_connection_is_pinged(void **state)
{
	struct redis_opts o;

	UNUSED(state);
	fake_start("+OK\r\n+PONG\r\n", 12);
	kit_opts(&kit, &o);
	o.command_timeout_ms = 50;
	o.idle_ping_ms = 10;
	connect_with(&o);
	kit_until(&kit, &down); /* nobody asked anything: the ping did */
	assert_int_equal(why.code, ERR_TIMEOUT);
	assert_int_equal(ups, 1);
	fake_stop();
}

/* A greeting alone does not make a server good: each loss waits longer. */
static void a_server_that_greets_and_fails_is_not_hammered(void **state)
{
	struct redis_opts o;
	unsigned i;

	UNUSED(state);
	fake_start("+OK\r\n+PONG\r\n", 12);
	kit_opts(&kit, &o);
	connect_with(&o);
	for (i = 0; i < 6; i++) {
		up = false;
		kit_until(&kit, &up);
		redis_fail(r, ERR_CONFIG, "of no use");
	}
	for (i = 0; i < 3; i++) /* what was closed goes */
		(void)uv_run(&kit.loop, UV_RUN_NOWAIT);
	/* What the loop would sleep for: 640 ms less a quarter at most; it was 1 ms. */
	assert_true(uv_backend_timeout(&kit.loop) > 50);
	fake_stop();
}

static void a_time_out_of_nothing_is_refused(void **state)
{
	const struct redis_hooks h = { .up = on_up, .down = on_down };
	struct redis_opts o;

	UNUSED(state);
	kit_opts(&kit, &o);
	o.command_timeout_ms = 0;
	assert_int_equal(redis_open(&r, &kit.loop, &o, &h, NULL), ERR_CONFIG);
	assert_null(r);
}

static void a_name_that_does_not_resolve_is_an_error(void **state)
{
	struct redis_opts o;

	UNUSED(state);
	kit_opts(&kit, &o);
	o.socket = NULL;
	o.host = "no such host.invalid";
	o.port = 1;
	connect_with(&o);
	kit_until(&kit, &down);
	assert_true(why.code < 0);
	assert_non_null(strstr(why.text, "no such host.invalid"));
	redis_close(&r);
	connect_with(&o);
	(void)uv_run(&kit.loop, UV_RUN_NOWAIT);
	redis_close(&r); /* while the question is out */
}

static int teardown(void **state)
{
	UNUSED(state);
	fake_stop();
	kit_close(&kit);
	buf_reset(&got);
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(commands_are_answered_in_order),
		T(messages_of_a_channel_arrive),
		T(a_wrong_password_is_told_and_a_right_one_taken),
		T(a_password_is_called_by_the_setting_that_holds_it),
		T(a_killed_server_is_found_again),
		T(a_full_window_is_busy),
		T(a_connection_may_be_closed_inside_each_callback),
		T(answers_that_break_the_protocol_close_the_connection),
		T(a_loading_server_is_tried_again),
		T(what_a_server_says_before_it_closes_is_the_reason),
		T(an_error_that_did_not_matter_is_no_reason_later),
		T(a_server_that_never_answers_is_left),
		T(a_command_without_an_answer_closes_the_connection),
		T(what_is_answered_one_by_one_is_waited_for),
		T(a_silent_connection_is_pinged),
		T(a_server_that_greets_and_fails_is_not_hammered),
		T(a_time_out_of_nothing_is_refused),
		T(a_name_that_does_not_resolve_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
