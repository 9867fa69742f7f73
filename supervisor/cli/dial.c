/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"

#define CHUNK_BYTES 65536

int conn_open(struct conn *c, const char *path, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	/* A full backlog makes connect() wait; this bounds it. */
	const struct timeval limit = { .tv_sec = CONN_CONNECT_MS / 1000 };
	int rc = 0;

	*c = (struct conn){ .fd = -1 };
	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, -ENAMETOOLONG, "the path of a socket has at most %zu bytes",
			       sizeof(a.sun_path) - 1);
	str_copy(a.sun_path, sizeof(a.sun_path), path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return err_errno(e, errno, "socket");
	if (setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		rc = err_errno(e, errno, "socket");
	else if (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		rc = err_errno(e, errno == EAGAIN ? ETIMEDOUT : errno, "%s", path);
	else if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0)
		rc = err_errno(e, errno, "socket");
	if (rc < 0)
		conn_close(c);
	return rc;
}

void conn_close(struct conn *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	frame_reader_reset(&c->reader);
	buf_reset(&c->ready);
	c->taken = 0;
}

/* Until the descriptor is ready or the boot time `until` (< 0: for ever) is reached. */
static int wait_for(struct conn *c, short what, int64_t until, struct err *e)
{
	struct pollfd p = { .fd = c->fd, .events = what };
	int rc;

	do {
		int64_t left = until < 0 ? -1 : MAX(until - clock_boot_ms(), 0);

		rc = poll(&p, 1, (int)MIN(left, INT32_MAX));
	} while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return err_set(e, ERR_TIMEOUT, "no answer in time");
	return rc < 0 ? err_errno(e, errno, "poll") : 0;
}

static int64_t until_of(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : clock_boot_ms() + timeout_ms;
}

int conn_send(struct conn *c, const ProtobufCMessage *m, int timeout_ms, struct err *e)
{
	int64_t until = until_of(timeout_ms);
	size_t n = protobuf_c_message_get_packed_size(m);
	struct buf out = { 0 };
	uint8_t head[FRAME_HEAD_BYTES];
	size_t at = 0;
	int rc = 0;

	if (n > FRAME_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "the request is too large");
	frame_head(head, n);
	buf_add(&out, head, sizeof(head));
	buf_reserve(&out, n + 1);
	(void)protobuf_c_message_pack(m, (uint8_t *)out.data + out.len);
	out.len += n;
	while (rc == 0 && at < out.len) {
		ssize_t sent = send(c->fd, out.data + at, out.len - at, MSG_NOSIGNAL);

		if (sent >= 0)
			at += (size_t)sent;
		else if (errno == EAGAIN)
			rc = wait_for(c, POLLOUT, until, e);
		else if (errno != EINTR)
			rc = err_errno(e, errno, "send");
	}
	buf_reset(&out);
	return rc;
}

static int keep(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	struct conn *c = arg;
	uint8_t head[FRAME_HEAD_BYTES];

	UNUSED(e);
	frame_head(head, n);
	buf_add(&c->ready, head, sizeof(head));
	buf_add(&c->ready, body, n);
	return 0;
}

static bool take(struct conn *c, const uint8_t **body, size_t *n)
{
	const uint8_t *p;

	if (c->ready.len == c->taken)
		return false;
	p = (const uint8_t *)c->ready.data + c->taken;
	*n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	*body = p + FRAME_HEAD_BYTES;
	c->taken += FRAME_HEAD_BYTES + *n;
	return true;
}

int conn_receive(struct conn *c, int timeout_ms, const uint8_t **body, size_t *n, struct err *e)
{
	int64_t until = until_of(timeout_ms);
	char chunk[CHUNK_BYTES];
	int rc = 0;

	if (take(c, body, n))
		return 0;
	buf_clear(&c->ready);
	c->taken = 0;
	while (rc == 0) {
		ssize_t got = recv(c->fd, chunk, sizeof(chunk), 0);

		if (got > 0)
			rc = frame_feed(&c->reader, chunk, (size_t)got, keep, c, e);
		else if (got == 0)
			rc = err_set(e, -EPIPE, "the connection was closed");
		else if (errno == EAGAIN)
			rc = wait_for(c, POLLIN, until, e);
		else if (errno != EINTR)
			rc = err_errno(e, errno, "receive");
		if (rc == 0 && take(c, body, n))
			return 0;
	}
	return rc;
}
