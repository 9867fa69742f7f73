/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream - one connection to a server, over TCP or a Unix socket, plain or by TLS: bytes
 * out, bytes in, and its end. It is not kept up: redis.h does that.
 *
 * Keys and certificates are read before each TLS connection is made, so a new one uses
 * what lies in the files now, and one that stands goes on as it is.
 *
 * Owns:    the connection; what it was opened with is the caller's until `gone`.
 * Blocks:  never; names are resolved and files are read on libuv's pool.
 * Errors:  `lost` gets -errno, UV_EOF, or what common/tls says.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "ipc.pb-c.h"

struct stream; /* opaque */

struct stream_to {
	const char *host;
	uint16_t port;
	const char *socket;  /* wins over host and port when not empty */
	const Ipc__Tls *tls; /* NULL: plain */
};

/* `data` and `open` may close the stream. After stream_close() only `gone` is called. */
struct stream_hooks {
	void *arg;
	void (*open)(void *arg); /* connected; by TLS: and the server is who it should be */
	void (*data)(void *arg, const char *p, size_t n);
	void (*lost)(void *arg, const struct err *e); /* once; may come within stream_open() */
	void (*gone)(void *arg);		      /* libuv has let go of everything */
};

void stream_open(struct stream **out, uv_loop_t *loop, const struct stream_to *to,
		 const struct stream_hooks *h);

/* After `open`. Takes the bytes and leaves the buffer empty. */
void stream_write(struct stream *s, struct buf *b);

/* For people: what an attempt waits for, such as "a TLS handshake". */
const char *stream_waits_for(const struct stream *s);
void stream_close(struct stream **s); /* NULL is fine */
