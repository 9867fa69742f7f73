/* SPDX-License-Identifier: Apache-2.0 */
#include "common/ipc/chan.h"

#include <unistd.h>

#include "common/base/mem.h"
#include "common/message/message.h"

#define CHAN_MAGIC  0x4348414eu
#define CHUNK_BYTES 65536
#define BATCH_BYTES 65536 /* messages of one turn are written together up to this */

struct chan {
	unsigned magic;
	uv_pipe_t pipe;
	struct chan_hooks hooks;
	struct frame_reader reader;
	struct buf out; /* not yet handed to libuv */
	uv_prepare_t flush;
	unsigned handles;
	size_t writing_bytes;
	bool closing;
	bool finishing;
	bool dead;	 /* hooks.closed was called: nothing is read any more */
	int broken;	 /* the kernel's error: nothing can be sent any more */
	uint64_t handed; /* bytes given to libuv */
	char chunk[CHUNK_BYTES];
};

struct frame_write {
	uv_write_t req;
	struct chan *c;
	struct buf data; /* owned */
};

static struct chan *self_of(void *data)
{
	struct chan *c = data;

	CHECK(c->magic == CHAN_MAGIC);
	return c;
}

static void on_closed(uv_handle_t *h)
{
	struct chan *c = self_of(h->data);

	if (--c->handles > 0)
		return;
	c->magic = 0;
	frame_reader_reset(&c->reader);
	buf_reset(&c->out);
	mem_free(c);
}

static void close_handles(struct chan *c)
{
	if (c->closing)
		return;
	c->closing = true;
	uv_close((uv_handle_t *)&c->pipe, on_closed);
	uv_close((uv_handle_t *)&c->flush, on_closed);
}

static void die(struct chan *c, const struct err *why)
{
	if (c->finishing)
		close_handles(c);
	if (c->closing || c->dead)
		return;
	c->dead = true;
	(void)uv_read_stop((uv_stream_t *)&c->pipe);
	c->hooks.closed(c->hooks.arg, why);
}

/* What the kernel says ends it: nothing can be sent any more. */
static void fail(struct chan *c, int rc)
{
	struct err e = { 0 };

	c->broken = rc;
	(void)err_set(&e, rc, "%s", uv_strerror(rc));
	die(c, &e);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
	struct chan *c = self_of(h->data);

	UNUSED(suggested);
	*b = uv_buf_init(c->chunk, sizeof(c->chunk));
}

static int on_frame(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	struct chan *c = arg;
	int rc;

	if (c->finishing)
		return 0;
	rc = c->hooks.message(c->hooks.arg, body, n, e);
	return c->closing || c->dead ? FRAME_STOP : rc;
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct chan *c = self_of(s->data);
	struct err e = { 0 };
	int rc;

	if (c->closing || n == 0)
		return;
	if (n < 0) {
		fail(c, (int)n);
		return;
	}
	rc = frame_feed(&c->reader, b->base, (size_t)n, on_frame, c, &e);
	if (rc < 0 && !c->closing) {
		if (e.text[0] == '\0')
			(void)err_set(&e, rc, "message refused");
		die(c, &e);
	}
}

static void on_written(uv_write_t *req, int status)
{
	struct frame_write *w = req->data;
	struct chan *c = w->c;

	c->writing_bytes -= w->data.len;
	buf_reset(&w->data);
	mem_free(w);
	if (c->closing)
		return;
	if (status < 0) {
		fail(c, status);
		return;
	}
	if (chan_queued_bytes(c) > 0)
		return;
	if (c->finishing)
		close_handles(c);
	else if (c->broken == 0 && c->hooks.drained != NULL)
		c->hooks.drained(c->hooks.arg);
}

static void write_out(struct chan *c)
{
	struct frame_write *w;
	uv_buf_t b;
	int rc;

	(void)uv_prepare_stop(&c->flush);
	if (c->out.len == 0 || c->closing || c->broken < 0)
		return;
	w = mem_zalloc(sizeof(*w));
	w->c = c;
	w->data = c->out;
	w->req.data = w;
	c->out = (struct buf){ 0 };
	c->writing_bytes += w->data.len;
	c->handed += w->data.len;
	b = uv_buf_init(w->data.data, (unsigned)w->data.len);
	rc = uv_write(&w->req, (uv_stream_t *)&c->pipe, &b, 1, on_written);
	if (rc < 0) {
		c->writing_bytes -= w->data.len;
		buf_reset(&w->data);
		mem_free(w);
		c->broken = rc;
	}
}

static void on_flush(uv_prepare_t *p)
{
	struct chan *c = self_of(p->data);

	write_out(c);
	if (c->broken < 0)
		fail(c, c->broken);
}

uint64_t chan_taken_bytes(const struct chan *c)
{
	return c->handed - uv_stream_get_write_queue_size((const uv_stream_t *)&c->pipe);
}

size_t chan_queued_bytes(const struct chan *c)
{
	return c->out.len + c->writing_bytes;
}

int chan_fd(const struct chan *c)
{
	uv_os_fd_t fd = -1;

	return uv_fileno((const uv_handle_t *)&c->pipe, &fd) < 0 ? -1 : fd;
}

static int send_packed(struct chan *c, const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t head[FRAME_HEAD_BYTES];

	if (c == NULL || c->closing || c->finishing || c->broken < 0)
		return ERR_STATE;
	if (n > FRAME_MAX_BYTES)
		return ERR_LIMIT;
	if (chan_queued_bytes(c) + n > CHAN_QUEUE_BYTES)
		return ERR_BUSY;
	frame_head(head, n);
	buf_add(&c->out, head, sizeof(head));
	buf_reserve(&c->out, n);
	(void)protobuf_c_message_pack(m, (uint8_t *)c->out.data + c->out.len);
	c->out.len += n;
	if (c->out.len >= BATCH_BYTES)
		write_out(c);
	/* Also for what failed: the caller is in the middle of something, no hook runs under it. */
	if (c->out.len > 0 || c->broken < 0)
		CHECK(uv_prepare_start(&c->flush, on_flush) == 0);
	return 0;
}

/* Rare: a copy of it, which may be changed. */
static int send_mended(struct chan *c, const ProtobufCMessage *m)
{
	ProtobufCMessage *copy = message_copy(m);
	int rc;

	message_mend(copy);
	rc = send_packed(c, copy);
	message_free(copy);
	return rc;
}

int chan_send(struct chan *c, const ProtobufCMessage *m)
{
	return message_is_text(m) ? send_packed(c, m) : send_mended(c, m);
}

static struct chan *chan_new(uv_loop_t *loop, const struct chan_hooks *h)
{
	struct chan *c = mem_zalloc(sizeof(*c));

	c->magic = CHAN_MAGIC;
	c->hooks = *h;
	CHECK(uv_pipe_init(loop, &c->pipe, 0) == 0);
	CHECK(uv_prepare_init(loop, &c->flush) == 0);
	c->pipe.data = c;
	c->flush.data = c;
	c->handles = 2;
	return c;
}

static int start(struct chan **out, struct chan *c, int rc, struct err *e)
{
	if (rc == 0)
		rc = uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
	if (rc < 0) {
		close_handles(c);
		return err_set(e, rc, "channel: %s", uv_strerror(rc));
	}
	*out = c;
	return 0;
}

int chan_open(struct chan **out, uv_loop_t *loop, int fd, const struct chan_hooks *h, struct err *e)
{
	struct chan *c = chan_new(loop, h);
	int rc = uv_pipe_open(&c->pipe, fd);

	if (rc < 0)
		(void)close(fd);
	return start(out, c, rc, e);
}

int chan_accept(struct chan **out, uv_stream_t *listener, const struct chan_hooks *h, struct err *e)
{
	struct chan *c = chan_new(listener->loop, h);

	return start(out, c, uv_accept(listener, (uv_stream_t *)&c->pipe), e);
}

void chan_limit(struct chan *c, size_t body_bytes)
{
	c->reader.max = body_bytes;
}

void chan_mute(struct chan *c)
{
	(void)uv_read_stop((uv_stream_t *)&c->pipe);
}

void chan_close(struct chan **cp)
{
	struct chan *c = *cp;

	*cp = NULL;
	if (c != NULL)
		close_handles(c);
}

void chan_finish(struct chan **cp)
{
	struct chan *c = *cp;

	*cp = NULL;
	if (c == NULL || c->closing)
		return;
	c->finishing = true;
	if (c->broken < 0 || chan_queued_bytes(c) == 0)
		close_handles(c);
	else
		write_out(c);
	if (c->broken < 0)
		close_handles(c);
}
