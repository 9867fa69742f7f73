/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/ipc/chan.h"
#include "common/ipc/listener.h"
#include "common/ipc/route.h"
#include "common/message/message.h"

/* --- frame --- */

struct seen {
	struct buf all; /* "<n>:<body>|" of each message */
	int answer;
};

static int see(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	struct seen *s = arg;

	UNUSED(e);
	buf_printf(&s->all, "%zu:", n);
	buf_add(&s->all, body, n);
	buf_addc(&s->all, '|');
	return s->answer;
}

static void add_frame(struct buf *b, const char *body)
{
	uint8_t head[FRAME_HEAD_BYTES];

	frame_head(head, strlen(body));
	buf_add(b, head, sizeof(head));
	buf_adds(b, body);
}

static void frame_gives_the_same_messages_wherever_the_stream_is_split(void **state)
{
	struct buf wire = { 0 };
	size_t at;
	size_t second;

	UNUSED(state);
	add_frame(&wire, "hello");
	add_frame(&wire, "");
	add_frame(&wire, "x");
	for (at = 0; at <= wire.len; at++) {
		for (second = at; second <= wire.len; second++) {
			struct frame_reader r = { 0 };
			struct seen s = { 0 };

			assert_int_equal(frame_feed(&r, wire.data, at, see, &s, NULL), 0);
			assert_int_equal(frame_feed(&r, wire.data + at, second - at, see, &s, NULL),
					 0);
			assert_int_equal(frame_feed(&r, wire.data + second, wire.len - second, see,
						    &s, NULL),
					 0);
			assert_string_equal(buf_cstr(&s.all), "5:hello|0:|1:x|");
			assert_int_equal(r.rest.len, 0);
			buf_reset(&s.all);
			frame_reader_reset(&r);
		}
	}
	buf_reset(&wire);
}

static void frame_refuses_oversize_before_room_is_made(void **state)
{
	static const uint8_t wire[] = { 0x00, 0x10, 0x00, 0x01 }; /* 1 MiB and one byte */
	struct frame_reader r = { 0 };
	struct seen s = { 0 };
	struct err e = { 0 };

	UNUSED(state);
	assert_int_equal(frame_feed(&r, wire, 3, see, &s, &e), 0);
	assert_int_equal(frame_feed(&r, wire + 3, 1, see, &s, &e), ERR_PROTO);
	assert_int_equal(s.all.len, 0);
	assert_true(r.rest.cap <= 256);
	frame_reader_reset(&r);
	assert_int_equal(frame_feed(&r, "\xff\xff\xff\xff", 4, see, &s, &e), ERR_PROTO);
	assert_int_equal(r.rest.cap, 0);
	frame_reader_reset(&r);
}

static void frame_takes_the_largest_body(void **state)
{
	struct frame_reader r = { 0 };
	struct seen s = { 0 };
	uint8_t head[FRAME_HEAD_BYTES];
	char *body = mem_zalloc(FRAME_MAX_BYTES);

	UNUSED(state);
	frame_head(head, FRAME_MAX_BYTES);
	assert_int_equal(frame_feed(&r, head, sizeof(head), see, &s, NULL), 0);
	assert_int_equal(frame_feed(&r, body, FRAME_MAX_BYTES, see, &s, NULL), 0);
	assert_int_equal(s.all.len, FRAME_MAX_BYTES + strlen("1048576:|"));
	mem_free(body);
	buf_reset(&s.all);
	frame_reader_reset(&r);
}

static void frame_stops_when_the_callback_says_so(void **state)
{
	struct frame_reader r = { 0 };
	struct seen s = { .answer = FRAME_STOP };
	struct buf wire = { 0 };

	UNUSED(state);
	add_frame(&wire, "a");
	add_frame(&wire, "b");
	assert_int_equal(frame_feed(&r, wire.data, wire.len, see, &s, NULL), 0);
	assert_string_equal(buf_cstr(&s.all), "1:a|");
	s.answer = ERR_STATE;
	assert_int_equal(frame_feed(&r, wire.data, wire.len, see, &s, NULL), ERR_STATE);
	buf_reset(&s.all);
	buf_reset(&wire);
	frame_reader_reset(&r);
}

/* --- chan --- */

struct end {
	struct chan *c;
	unsigned messages;
	unsigned closed;
	unsigned drained;
	int why;
	int answer;	    /* of the message hook */
	bool close_in_hook; /* closes itself when it is called */
};

struct pair {
	uv_loop_t loop;
	struct end a;
	struct end b;
};

static int on_message(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	struct end *x = arg;

	UNUSED(body);
	UNUSED(n);
	x->messages++;
	if (x->close_in_hook)
		chan_close(&x->c);
	return x->answer < 0 ? err_set(e, x->answer, "refused by the test") : 0;
}

static void on_closed(void *arg, const struct err *why)
{
	struct end *x = arg;

	x->closed++;
	x->why = why->code;
	chan_close(&x->c);
}

static void on_drained(void *arg)
{
	struct end *x = arg;

	x->drained++;
	if (x->close_in_hook)
		chan_close(&x->c);
}

static void open_end(struct pair *p, struct end *x, int fd)
{
	const struct chan_hooks h = { x, on_message, on_closed, on_drained };

	assert_int_equal(chan_open(&x->c, &p->loop, fd, &h, NULL), 0);
}

/* Only end `a` is a channel; the other descriptor is returned. */
static int half_open(struct pair *p)
{
	int fd[2];

	*p = (struct pair){ 0 };
	assert_int_equal(uv_loop_init(&p->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	open_end(p, &p->a, fd[0]);
	return fd[1];
}

static void pair_open(struct pair *p)
{
	int fd = half_open(p);

	open_end(p, &p->b, fd);
}

static void pair_close(struct pair *p)
{
	chan_close(&p->a.c);
	chan_close(&p->b.c);
	(void)uv_run(&p->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&p->loop), 0);
}

static int send_ping(struct chan *c, uint64_t seq)
{
	Ipc__Envelope m;
	Ipc__Ping ping;

	ipc__envelope__init(&m);
	ipc__ping__init(&ping);
	ping.seq = seq;
	m.body_case = IPC__ENVELOPE__BODY_PING;
	m.ping = &ping;
	return chan_send(c, &m.base);
}

static int send_text(struct chan *c, size_t n)
{
	Ipc__Envelope m;
	Ipc__Demote demote;
	char *text = mem_alloc(n + 1);
	int rc;

	memset(text, 'x', n);
	text[n] = '\0';
	ipc__envelope__init(&m);
	ipc__demote__init(&demote);
	demote.reason = text;
	m.body_case = IPC__ENVELOPE__BODY_DEMOTE;
	m.demote = &demote;
	rc = chan_send(c, &m.base);
	mem_free(text);
	return rc;
}

static void chan_carries_messages_in_both_directions(void **state)
{
	struct pair p;

	UNUSED(state);
	pair_open(&p);
	assert_int_equal(send_ping(p.a.c, 1), 0);
	assert_int_equal(send_text(p.a.c, 300000), 0);
	assert_int_equal(send_ping(p.b.c, 2), 0);
	while (p.b.messages < 2 || p.a.messages < 1)
		(void)uv_run(&p.loop, UV_RUN_ONCE);
	while (p.a.drained == 0)
		(void)uv_run(&p.loop, UV_RUN_ONCE);
	assert_int_equal(chan_queued_bytes(p.a.c), 0);
	pair_close(&p);
	assert_int_equal(p.a.closed + p.b.closed, 0);
}

static void chan_refuses_to_buffer_for_a_slow_reader(void **state)
{
	struct pair p;
	int fd = half_open(&p);
	unsigned sent = 0;
	int rc;

	UNUSED(state);
	while ((rc = send_text(p.a.c, 200000)) == 0) {
		sent++;
		assert_true(chan_queued_bytes(p.a.c) <= CHAN_QUEUE_BYTES + FRAME_HEAD_BYTES);
		assert_true(sent < 1000);
	}
	assert_int_equal(rc, ERR_BUSY);
	assert_true(sent >= 20);
	assert_int_equal(send_text(p.a.c, FRAME_MAX_BYTES), ERR_LIMIT);
	pair_close(&p);
	(void)close(fd);
}

static void chan_finish_writes_everything_first(void **state)
{
	struct pair p;
	unsigned i;

	UNUSED(state);
	pair_open(&p);
	for (i = 0; i < 10; i++)
		assert_int_equal(send_text(p.a.c, 300000), 0);
	assert_int_equal(send_ping(p.b.c, 1), 0); /* comes too late: no hook any more */
	chan_finish(&p.a.c);
	assert_null(p.a.c);
	while (p.b.closed == 0)
		(void)uv_run(&p.loop, UV_RUN_ONCE);
	assert_int_equal(p.b.messages, 10);
	assert_int_equal(p.b.why, UV_EOF);
	pair_close(&p);
	assert_int_equal(p.a.messages + p.a.closed + p.a.drained, 0);
}

static void chan_finish_ends_when_the_peer_is_gone(void **state)
{
	struct pair p;
	int fd = half_open(&p);

	UNUSED(state);
	assert_int_equal(send_text(p.a.c, 1000000), 0);
	chan_finish(&p.a.c);
	(void)close(fd);
	pair_close(&p); /* returns: the loop holds nothing */
	assert_int_equal(p.a.closed, 0);
}

static void chan_may_be_closed_inside_each_hook(void **state)
{
	struct pair p;

	UNUSED(state);
	pair_open(&p);
	p.b.close_in_hook = true;
	assert_int_equal(send_ping(p.a.c, 1), 0);
	assert_int_equal(send_ping(p.a.c, 2), 0);
	while (p.a.closed == 0) /* the other end left */
		(void)uv_run(&p.loop, UV_RUN_ONCE);
	assert_int_equal(p.b.messages, 1);
	assert_int_equal(p.b.closed, 0);
	pair_close(&p);

	pair_open(&p);
	p.a.close_in_hook = true; /* in `drained` */
	assert_int_equal(send_ping(p.a.c, 1), 0);
	while (p.b.closed == 0)
		(void)uv_run(&p.loop, UV_RUN_ONCE);
	assert_int_equal(p.b.messages, 1);
	assert_int_equal(p.a.drained, 1);
	pair_close(&p);
}

static void chan_closes_with_the_reason_of_the_hook(void **state)
{
	struct pair p;

	UNUSED(state);
	pair_open(&p);
	p.b.answer = ERR_STATE;
	assert_int_equal(send_ping(p.a.c, 1), 0);
	assert_int_equal(send_ping(p.a.c, 2), 0);
	while (p.b.closed == 0)
		(void)uv_run(&p.loop, UV_RUN_ONCE);
	assert_int_equal(p.b.messages, 1);
	assert_int_equal(p.b.why, ERR_STATE);
	pair_close(&p);
}

struct last_word {
	struct end end;
	int rc;
};

static void say_goodbye(void *arg, const struct err *why)
{
	struct last_word *x = arg;

	x->end.closed++;
	x->end.why = why->code;
	x->rc = send_ping(x->end.c, 7);
}

static void chan_sends_a_last_word_after_garbage_but_not_after_the_end(void **state)
{
	unsigned i;

	UNUSED(state);
	for (i = 0; i < 2; i++) {
		uv_loop_t loop;
		struct last_word x = { .rc = 1 };
		const struct chan_hooks h = { &x, on_message, say_goodbye, NULL };
		char got[16];
		int fd[2];

		assert_int_equal(uv_loop_init(&loop), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		assert_int_equal(chan_open(&x.end.c, &loop, fd[0], &h, NULL), 0);
		chan_limit(x.end.c, 8);
		assert_int_equal(write(fd[1],
				       "\0\0\0\10"
				       "12345678",
				       12),
				 12);
		if (i == 0)
			assert_int_equal(write(fd[1], "\0\0\0\11", 4), 4); /* over the limit */
		else
			assert_int_equal(shutdown(fd[1], SHUT_WR), 0);
		while (x.end.closed == 0)
			(void)uv_run(&loop, UV_RUN_ONCE);
		assert_int_equal(x.end.messages, 1);
		assert_int_equal(x.end.why, i == 0 ? ERR_PROTO : UV_EOF);
		assert_int_equal(x.rc, i == 0 ? 0 : ERR_STATE);
		chan_finish(&x.end.c);
		(void)uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(read(fd[1], got, sizeof(got)) > FRAME_HEAD_BYTES, i == 0);
		assert_int_equal(read(fd[1], got, sizeof(got)), 0);
		(void)close(fd[1]);
		assert_int_equal(uv_loop_close(&loop), 0);
	}
}

static void chan_counts_what_the_peer_takes(void **state)
{
	static char sink[65536];
	struct pair p;
	int fd = half_open(&p);
	uint64_t before;

	UNUSED(state);
	while (send_text(p.a.c, 500000) == 0)
		;
	(void)uv_run(&p.loop, UV_RUN_NOWAIT);
	before = chan_taken_bytes(p.a.c); /* as much as the kernel holds */
	assert_true(before > 0 && before < 2000000);
	(void)uv_run(&p.loop, UV_RUN_NOWAIT);
	assert_int_equal(chan_taken_bytes(p.a.c), before);
	while (chan_taken_bytes(p.a.c) == before) {
		assert_true(recv(fd, sink, sizeof(sink), 0) > 0);
		(void)uv_run(&p.loop, UV_RUN_NOWAIT);
	}
	assert_true(chan_queued_bytes(p.a.c) > 0);
	pair_close(&p);
	(void)close(fd);
}

static void chan_that_is_muted_reads_no_more(void **state)
{
	struct pair p;
	int fd = half_open(&p);

	UNUSED(state);
	chan_mute(p.a.c);
	assert_int_equal(write(fd, "\0\0\0\1x", 5), 5);
	(void)uv_run(&p.loop, UV_RUN_NOWAIT);
	(void)uv_run(&p.loop, UV_RUN_NOWAIT);
	assert_int_equal(p.a.messages, 0);
	assert_int_equal(send_ping(p.a.c, 1), 0);
	while (p.a.drained == 0)
		(void)uv_run(&p.loop, UV_RUN_ONCE);
	pair_close(&p);
	(void)close(fd);
}

static void chan_closes_on_garbage(void **state)
{
	struct pair p;
	int fd = half_open(&p);

	UNUSED(state);
	assert_int_equal(write(fd, "\xff\xff\xff\xff", 4), 4);
	while (p.a.closed == 0)
		(void)uv_run(&p.loop, UV_RUN_ONCE);
	assert_int_equal(p.a.why, ERR_PROTO);
	assert_int_equal(p.a.messages, 0);
	pair_close(&p);
	(void)close(fd);
}

static void chan_takes_a_bad_descriptor_over(void **state)
{
	struct pair p = { 0 };
	const struct chan_hooks h = { &p.a, on_message, on_closed, NULL };
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC); /* not to be read from */
	struct err e = { 0 };

	UNUSED(state);
	assert_int_equal(uv_loop_init(&p.loop), 0);
	assert_true(chan_open(&p.a.c, &p.loop, fd, &h, &e) < 0);
	assert_null(p.a.c);
	assert_true(e.text[0] != '\0');
	pair_close(&p);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

int __real_uv_write(uv_write_t *req, uv_stream_t *s, const uv_buf_t *b, unsigned n, uv_write_cb cb);
int __wrap_uv_write(uv_write_t *req, uv_stream_t *s, const uv_buf_t *b, unsigned n, uv_write_cb cb);
static bool refuse_write;

int __wrap_uv_write(uv_write_t *req, uv_stream_t *s, const uv_buf_t *b, unsigned n, uv_write_cb cb)
{
	return refuse_write ? UV_EBADF : __real_uv_write(req, s, b, n, cb);
}

static void chan_calls_no_hook_inside_a_send_that_fails(void **state)
{
	struct pair p;

	UNUSED(state);
	pair_open(&p);
	refuse_write = true;
	assert_int_equal(send_text(p.a.c, 300000), 0); /* too large to wait for the loop */
	assert_int_equal(p.a.closed, 0);
	assert_non_null(p.a.c);
	assert_int_equal(send_ping(p.a.c, 1), ERR_STATE);
	while (p.a.closed == 0)
		(void)uv_run(&p.loop, UV_RUN_ONCE);
	assert_int_equal(p.a.why, UV_EBADF);
	pair_close(&p);

	pair_open(&p);
	assert_int_equal(send_ping(p.a.c, 1), 0);
	chan_finish(&p.a.c);
	assert_null(p.a.c);
	refuse_write = false;
	pair_close(&p); /* returns: the loop holds nothing */
	assert_int_equal(p.a.closed, 0);
}

/* --- route --- */

static int handled(void *self, const Ipc__Envelope *m, struct err *e)
{
	UNUSED(m);
	UNUSED(e);
	++*(int *)self;
	return 0;
}

static size_t pack(const Ipc__Envelope *m, uint8_t *out)
{
	return ipc__envelope__pack(m, out);
}

static int dispatch(const struct route_table *t, uint32_t from, uint32_t now, const uint8_t *body,
		    size_t n, void *self, struct err *e)
{
	const struct route_to to = { t, from, now, self };

	return route_dispatch(&to, 1, body, n, e);
}

static void route_checks_sender_state_and_row(void **state)
{
	static const struct route rows[] = {
		[IPC__ENVELOPE__BODY_PING] = { 1, 2, handled },
	};
	const struct route_table t = { rows, ARRAY_LEN(rows) };
	uint8_t wire[64];
	Ipc__Envelope m;
	Ipc__Ping ping;
	Ipc__Demoted demoted;
	struct err e = { 0 };
	size_t n;
	int calls = 0;

	UNUSED(state);
	ipc__envelope__init(&m);
	ipc__ping__init(&ping);
	m.body_case = IPC__ENVELOPE__BODY_PING;
	m.ping = &ping;
	n = pack(&m, wire);
	assert_int_equal(dispatch(&t, 1, 2, wire, n, &calls, &e), 0);
	assert_int_equal(dispatch(&t, 2, 2, wire, n, &calls, &e), ERR_PROTO);
	assert_string_equal(e.text, "ping is not allowed from this peer");
	assert_int_equal(dispatch(&t, 1, 1, wire, n, &calls, &e), ERR_STATE);
	assert_int_equal(dispatch(&t, 1, 2, wire, 0, &calls, &e), ERR_PROTO); /* no body */
	assert_int_equal(dispatch(&t, 1, 2, (const uint8_t *)"\xff\xff", 2, &calls, &e), ERR_PROTO);
	ipc__demoted__init(&demoted);
	m.body_case = IPC__ENVELOPE__BODY_DEMOTED; /* beyond the table */
	m.demoted = &demoted;
	n = pack(&m, wire);
	assert_int_equal(dispatch(&t, 1, 2, wire, n, &calls, &e), ERR_PROTO);
	assert_string_equal(e.text, "no route for demoted");
	assert_int_equal(calls, 1);
}

/* What arrived: the texts of a Stand and of an elector's report, each ended by '|'. */
static int texts_of(void *self, const Ipc__Envelope *m, struct err *e)
{
	struct buf *out = self;
	size_t i;

	UNUSED(e);
	if (m->body_case == IPC__ENVELOPE__BODY_STAND)
		for (i = 0; i < m->stand->n_previous; i++)
			buf_printf(out, "%s|", m->stand->previous[i]);
	else
		buf_printf(out, "%s|", m->report->elector->error);
	return 0;
}

static const struct route text_rows[] = {
	[IPC__ENVELOPE__BODY_STAND] = { 1, 1, texts_of },
	[IPC__ENVELOPE__BODY_REPORT] = { 1, 1, texts_of },
};
static const struct route_table text_routes = { text_rows, ARRAY_LEN(text_rows) };

static char good[] = "good";
static char bad[] = "bad \xc0\x80";
static char *good_and_bad[] = { good, bad };

struct bad_texts {
	Ipc__Envelope stand, report;
	Ipc__Stand s;
	Ipc__Report r;
	Ipc__ElectorReport e;
};

static void fill(struct bad_texts *b)
{
	ipc__envelope__init(&b->stand);
	ipc__stand__init(&b->s);
	b->s.previous = good_and_bad;
	b->s.n_previous = 2;
	b->stand.body_case = IPC__ENVELOPE__BODY_STAND;
	b->stand.stand = &b->s;
	ipc__envelope__init(&b->report);
	ipc__report__init(&b->r);
	ipc__elector_report__init(&b->e);
	b->e.error = bad;
	b->r.part_case = IPC__REPORT__PART_ELECTOR;
	b->r.elector = &b->e;
	b->report.body_case = IPC__ENVELOPE__BODY_REPORT;
	b->report.report = &b->r;
}

static int got_text(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	Ipc__Envelope *m = ipc__envelope__unpack(NULL, n, body);

	assert_true(m != NULL && message_is_text(&m->base));
	assert_int_equal(texts_of(arg, m, e), 0);
	ipc__envelope__free_unpacked(m, NULL);
	return 0;
}

static void chan_sends_no_text_that_is_not_utf8(void **state)
{
	struct buf got = { 0 };
	const struct chan_hooks h = { &got, got_text, on_closed, NULL };
	struct bad_texts b;
	struct pair p;
	int fd = half_open(&p);

	UNUSED(state);
	assert_int_equal(chan_open(&p.b.c, &p.loop, fd, &h, NULL), 0);
	fill(&b);
	assert_int_equal(chan_send(p.a.c, &b.stand.base), 0);
	assert_int_equal(chan_send(p.a.c, &b.report.base), 0);
	while (got.len < strlen("good|bad \\xc0\\x80|bad \\xc0\\x80|"))
		(void)uv_run(&p.loop, UV_RUN_ONCE);
	assert_string_equal(buf_cstr(&got), "good|bad \\xc0\\x80|bad \\xc0\\x80|");
	assert_string_equal(bad, "bad \xc0\x80"); /* the sender's own text stays */
	buf_reset(&got);
	pair_close(&p);
}

static void route_mends_text_that_is_not_utf8_at_any_depth(void **state)
{
	struct buf got = { 0 };
	struct bad_texts b;
	uint8_t wire[128];

	UNUSED(state);
	fill(&b);
	assert_false(message_is_text(&b.stand.base) || message_is_text(&b.report.base));
	assert_int_equal(dispatch(&text_routes, 1, 1, wire, pack(&b.stand, wire), &got, NULL), 0);
	assert_int_equal(dispatch(&text_routes, 1, 1, wire, pack(&b.report, wire), &got, NULL), 0);
	assert_string_equal(buf_cstr(&got), "good|bad \\xc0\\x80|bad \\xc0\\x80|");
	buf_reset(&got);
}

/* --- listener --- */

struct door {
	uv_loop_t loop;
	unsigned accepted;
	struct chan *open[4 * LISTENER_TURN_MAX];
};

static int no_message(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	UNUSED(arg);
	UNUSED(body);
	UNUSED(n);
	UNUSED(e);
	return 0;
}

static void nothing_closed(void *arg, const struct err *why)
{
	UNUSED(arg);
	UNUSED(why);
}

static void on_arrival(void *arg, uv_stream_t *from)
{
	const struct chan_hooks h = { arg, no_message, nothing_closed, NULL };
	struct door *d = arg;

	assert_int_equal(chan_accept(&d->open[d->accepted++], from, &h, NULL), 0);
}

/* A socket of the abstract namespace, and as many who connect to it as there is room for. */
static int listening_socket(int clients[], size_t n)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(a);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t i;

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a.sun_family)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(listen(fd, 4 * LISTENER_TURN_MAX), 0);
	for (i = 0; i < n; i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(clients[i], (struct sockaddr *)&a, len), 0);
	}
	return fd;
}

static void listener_takes_a_bounded_number_per_turn_and_forgets_none(void **state)
{
	struct door d = { 0 };
	const struct listener_hooks h = { &d, on_arrival };
	int clients[ARRAY_LEN(d.open)];
	struct listener *l;
	unsigned before;
	size_t i;

	UNUSED(state);
	assert_int_equal(uv_loop_init(&d.loop), 0);
	l = listener_create(&d.loop, &h);
	assert_int_equal(
		uv_pipe_open(listener_pipe(l), listening_socket(clients, ARRAY_LEN(clients))), 0);
	assert_int_equal(listener_start(l, 4 * LISTENER_TURN_MAX, NULL), 0);
	while (d.accepted < ARRAY_LEN(clients)) {
		before = d.accepted;
		(void)uv_run(&d.loop, UV_RUN_ONCE);
		assert_in_range(d.accepted - before, 1, LISTENER_TURN_MAX);
	}
	for (i = 0; i < ARRAY_LEN(clients); i++) {
		chan_close(&d.open[i]);
		(void)close(clients[i]);
	}
	listener_close(&l);
	(void)uv_run(&d.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&d.loop), 0);
}

static void listener_that_holds_one_back_can_be_closed(void **state)
{
	struct door d = { 0 };
	const struct listener_hooks h = { &d, on_arrival };
	int clients[ARRAY_LEN(d.open)];
	struct listener *l;
	size_t i;

	UNUSED(state);
	assert_int_equal(uv_loop_init(&d.loop), 0);
	l = listener_create(&d.loop, &h);
	assert_int_equal(
		uv_pipe_open(listener_pipe(l), listening_socket(clients, ARRAY_LEN(clients))), 0);
	assert_int_equal(listener_start(l, 4 * LISTENER_TURN_MAX, NULL), 0);
	(void)uv_run(&d.loop, UV_RUN_ONCE);
	assert_int_equal(d.accepted, LISTENER_TURN_MAX);
	listener_close(&l);
	for (i = 0; i < d.accepted; i++)
		chan_close(&d.open[i]);
	(void)uv_run(&d.loop, UV_RUN_DEFAULT);
	assert_int_equal(d.accepted, LISTENER_TURN_MAX);
	assert_int_equal(uv_loop_close(&d.loop), 0);
	for (i = 0; i < ARRAY_LEN(clients); i++)
		(void)close(clients[i]);
}

static void route_reads_the_whole_tag_of_a_message(void **state)
{
	static const struct route counted[] = {
		[IPC__ENVELOPE__BODY_STAND] = { 1, 1, handled },
		[IPC__ENVELOPE__BODY_REPORT] = { 1, 1, handled },
	};
	static const struct route_table t = { counted, ARRAY_LEN(counted) };
	static const struct {
		const char *wire;
		size_t n;
		bool known;
	} w[] = {
		{ "\x62\x00", 2, true },     /* 12 << 3 | 2: a report */
		{ "\xe2\x00\x00", 3, true }, /* the same, longer than it needs to be */
		{ "\xe2\x80\x80\x00\x00", 5, true },
		{ "\xa2\x01\x00", 3, true },  /* 20: a stand */
		{ "\xe2\x08\x00", 3, false }, /* 140: its last bits are those of a report */
		{ "\xe2\x80\x01\x00", 4, false },
		{ "\xe2\x80", 2, false }, /* cut off */
		{ "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, false },
		{ "", 0, false },
	};
	unsigned i;

	UNUSED(state);
	for (i = 0; i < ARRAY_LEN(w); i++) {
		int calls = 0;
		int rc = dispatch(&t, 1, 1, (const uint8_t *)w[i].wire, w[i].n, &calls, NULL);

		assert_int_equal(rc, w[i].known ? 0 : ERR_PROTO);
		assert_int_equal(calls, w[i].known);
	}
}

static void route_takes_the_first_that_has_a_row(void **state)
{
	static const struct route rows[] = { [IPC__ENVELOPE__BODY_PING] = { 1, 1, handled } };
	static const struct route more[] = { [IPC__ENVELOPE__BODY_PING] = { 1, 1, handled },
					     [IPC__ENVELOPE__BODY_STOP] = { 1, 1, handled } };
	static const struct route_table tables[] = { { rows, ARRAY_LEN(rows) },
						     { more, ARRAY_LEN(more) } };
	int calls[2] = { 0 };
	const struct route_to to[] = { { &tables[0], 1, 1, &calls[0] },
				       { &tables[1], 1, 1, &calls[1] } };
	struct err e = { 0 };

	UNUSED(state);
	assert_int_equal(route_dispatch(to, 2, (const uint8_t *)"\x12\x00", 2, &e), 0);
	assert_int_equal(calls[0], 1);
	assert_int_equal(route_dispatch(to, 2, (const uint8_t *)"\x1a\x00", 2, &e), 0);
	assert_int_equal(calls[1], 1);
	assert_int_equal(route_dispatch(to, 2, (const uint8_t *)"\x62\x00", 2, &e), ERR_PROTO);
	assert_string_equal(e.text, "no route for report");
}

/* --- the tables --- */

struct table {
	const char *name;
	const char *dir;
	struct buf text; /* of all its .c files */
};

static struct table tables[] = {
	{ .name = "worker", .dir = SOURCE_ROOT "/common/worker" },
	{ .name = "supervisor", .dir = SOURCE_ROOT "/supervisor" },
	{ .name = "elector", .dir = SOURCE_ROOT "/workers/elector" },
	{ .name = "fetcher", .dir = SOURCE_ROOT "/workers/fetcher" },
	{ .name = "cache", .dir = SOURCE_ROOT "/workers/cache" },
};

static void read_file(const char *path, struct buf *out)
{
	char chunk[4096];
	FILE *f = fopen(path, "re");
	size_t n;

	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, chunk, n);
	(void)fclose(f);
}

static void read_table(struct table *t)
{
	DIR *d = opendir(t->dir);
	const struct dirent *ent;

	while (d != NULL && (ent = readdir(d)) != NULL) {
		char *path = mem_printf("%s/%s", t->dir, ent->d_name);

		if (str_ends(path, ".c"))
			read_file(path, &t->text);
		mem_free(path);
	}
	if (d != NULL)
		(void)closedir(d);
	(void)buf_cstr(&t->text);
}

static unsigned rows_of(const struct table *t, const char *name)
{
	char *row = mem_printf("[IPC__ENVELOPE__BODY_%s]", name);
	const char *p = t->text.data;
	unsigned n = 0;
	char *c;

	for (c = row + 1 + strlen("IPC__ENVELOPE__BODY_"); *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	while ((p = strstr(p, row)) != NULL) {
		n++;
		p++;
	}
	mem_free(row);
	return n;
}

/* The line of routes.txt that begins with the name; NULL when there is none. */
static char *line_of(const struct buf *routes, const char *name)
{
	const char *p = routes->data;
	size_t n = strlen(name);

	while (p != NULL && *p != '\0') {
		size_t len = strcspn(p, "\n");

		if (strncmp(p, name, n) == 0 && p[n] == ' ') {
			char *line = mem_dup(p, len + 1);

			line[len] = ' ';
			return line;
		}
		p += len + (p[len] == '\n');
	}
	return NULL;
}

static bool names(const char *line, const char *table)
{
	char *word = mem_printf(" %s ", table);
	bool found = strstr(line, word) != NULL;

	mem_free(word);
	return found;
}

static void each_message_has_rows_in_exactly_the_listed_tables(void **state)
{
	const ProtobufCMessageDescriptor *d = &ipc__envelope__descriptor;
	struct buf routes = { 0 };
	unsigned i;
	unsigned t;

	UNUSED(state);
	read_file(SOURCE_ROOT "/test/unit/routes.txt", &routes);
	(void)buf_cstr(&routes);
	for (t = 0; t < ARRAY_LEN(tables); t++)
		read_table(&tables[t]);
	for (i = 0; i < d->n_fields; i++) {
		char *line = line_of(&routes, d->fields[i].name);

		if (line == NULL)
			fail_msg("routes.txt does not know %s", d->fields[i].name);
		for (t = 0; t < ARRAY_LEN(tables); t++) {
			unsigned want = names(line, tables[t].name) ? 1 : 0;

			if (strstr(tables[t].text.data, "[IPC__ENVELOPE__BODY_") == NULL)
				continue; /* no table at all yet */
			if (rows_of(&tables[t], d->fields[i].name) != want)
				fail_msg("%s: %u rows in %s, routes.txt says %u", d->fields[i].name,
					 rows_of(&tables[t], d->fields[i].name), tables[t].name,
					 want);
		}
		mem_free(line);
	}
	for (t = 0; t < ARRAY_LEN(tables); t++)
		buf_reset(&tables[t].text);
	buf_reset(&routes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_gives_the_same_messages_wherever_the_stream_is_split),
		cmocka_unit_test(frame_refuses_oversize_before_room_is_made),
		cmocka_unit_test(frame_takes_the_largest_body),
		cmocka_unit_test(frame_stops_when_the_callback_says_so),
		cmocka_unit_test(chan_carries_messages_in_both_directions),
		cmocka_unit_test(chan_refuses_to_buffer_for_a_slow_reader),
		cmocka_unit_test(chan_finish_writes_everything_first),
		cmocka_unit_test(chan_finish_ends_when_the_peer_is_gone),
		cmocka_unit_test(chan_may_be_closed_inside_each_hook),
		cmocka_unit_test(chan_closes_with_the_reason_of_the_hook),
		cmocka_unit_test(chan_closes_on_garbage),
		cmocka_unit_test(chan_takes_a_bad_descriptor_over),
		cmocka_unit_test(chan_sends_a_last_word_after_garbage_but_not_after_the_end),
		cmocka_unit_test(chan_counts_what_the_peer_takes),
		cmocka_unit_test(chan_that_is_muted_reads_no_more),
		cmocka_unit_test(chan_calls_no_hook_inside_a_send_that_fails),
		cmocka_unit_test(route_checks_sender_state_and_row),
		cmocka_unit_test(listener_takes_a_bounded_number_per_turn_and_forgets_none),
		cmocka_unit_test(listener_that_holds_one_back_can_be_closed),
		cmocka_unit_test(chan_sends_no_text_that_is_not_utf8),
		cmocka_unit_test(route_reads_the_whole_tag_of_a_message),
		cmocka_unit_test(route_takes_the_first_that_has_a_row),
		cmocka_unit_test(route_mends_text_that_is_not_utf8_at_any_depth),
		cmocka_unit_test(each_message_has_rows_in_exactly_the_listed_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
