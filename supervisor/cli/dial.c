/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"

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
	buf_reset(&c->body);
}

/* Until the descriptor is ready, or c->until is reached. */
static int wait_for(struct conn *c, short what, struct err *e)
{
	/* A reader of ours that left is told of without a word to write. */
	struct pollfd p[] = { { .fd = c->fd, .events = what }, { .fd = STDOUT_FILENO } };
	int rc;

	do {
		int64_t left = c->until < 0 ? -1 : MAX(c->until - clock_boot_ms(), 0);

		rc = poll(p, c->until < 0 ? 2 : 1, (int)MIN(left, INT32_MAX));
	} while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return err_set(e, ERR_TIMEOUT, "no answer in time");
	if (rc > 0 && p[0].revents == 0)
		_exit(EXIT_SUCCESS);
	return rc < 0 ? err_errno(e, errno, "poll") : 0;
}

/* All n bytes, out (POLLOUT) or in (POLLIN). */
static int move(struct conn *c, short what, void *bytes, size_t n, struct err *e)
{
	bool out = what == POLLOUT;
	char *p = bytes;
	int rc = 0;

	while (rc == 0 && n > 0) {
		ssize_t got = out ? send(c->fd, p, n, MSG_NOSIGNAL) : recv(c->fd, p, n, 0);

		if (got > 0) {
			p += got;
			n -= (size_t)got;
		} else if (got == 0) {
			rc = err_set(e, -EPIPE, "the connection was closed");
		} else if (errno == EAGAIN) {
			rc = wait_for(c, what, e);
		} else if (errno != EINTR) {
			rc = err_errno(e, errno, out ? "send" : "receive");
		}
	}
	return rc;
}

static void set_limit(struct conn *c, int timeout_ms)
{
	c->until = timeout_ms < 0 ? -1 : clock_boot_ms() + timeout_ms;
}

int conn_send(struct conn *c, const ProtobufCMessage *m, int timeout_ms, struct err *e)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t *out;
	int rc;

	if (n > FRAME_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "the request is too large");
	out = mem_alloc(FRAME_HEAD_BYTES + n);
	frame_head(out, n);
	(void)protobuf_c_message_pack(m, out + FRAME_HEAD_BYTES);
	set_limit(c, timeout_ms);
	rc = move(c, POLLOUT, out, FRAME_HEAD_BYTES + n, e);
	mem_free(out);
	return rc;
}

int conn_receive(struct conn *c, int timeout_ms, const uint8_t **body, size_t *n, struct err *e)
{
	uint8_t head[FRAME_HEAD_BYTES];
	uint32_t len;
	int rc;

	set_limit(c, timeout_ms);
	rc = move(c, POLLIN, head, sizeof(head), e);
	if (rc < 0)
		return rc;
	len = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	if (len > FRAME_MAX_BYTES)
		return err_set(e, ERR_PROTO, "a message of %u bytes is over the limit", len);
	buf_clear(&c->body);
	buf_reserve(&c->body, len + 1);
	*body = (uint8_t *)c->body.data;
	*n = len;
	return move(c, POLLIN, c->body.data, len, e);
}
