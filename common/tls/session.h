/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - the client's end of one TLS connection, as bytes in and bytes out: whoever
 * has the socket feeds what came and sends what is to go.
 *
 * After each call that may make some, the bytes for the peer are in the buffer that was
 * given. Chain and name of the server are verified within the handshake.
 *
 * Owns:    the session. Blocks: never.
 * Errors:  ERR_REMOTE with the reason and, where a setting is its cause, what would help;
 *          UV_EOF's value (TLS_EOF) when the peer closed in good order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/tls/context.h"

#define TLS_EOF		 (-4095)
#define TLS_ANSWER_BYTES 65536 /* to what is TLS's own, such as new keys, in a connection's life */

struct tls_session; /* opaque */

/* `host` is who we connect to; the message's server_name wins. */
int tls_session_open(struct tls_session **out, const struct tls_context *c, const char *host,
		     struct err *e) MUST_USE;
void tls_session_free(struct tls_session **s);

/* Bytes of the peer; all of them are taken. */
void tls_session_feed(struct tls_session *s, const void *p, size_t n);

/* One step of the handshake: 1 when it is done, 0 when it waits for the peer. */
int tls_session_shake(struct tls_session *s, struct buf *wire, struct err *e) MUST_USE;

/* Plain bytes that came: their number, or 0 when there are none now. */
int tls_session_read(struct tls_session *s, void *p, size_t n, struct buf *wire,
		     struct err *e) MUST_USE;

/* Takes all plain bytes; after the handshake only. */
int tls_session_write(struct tls_session *s, const void *p, size_t n, struct buf *wire,
		      struct err *e) MUST_USE;

/* Says goodbye to the peer (close_notify). */
void tls_session_close(struct tls_session *s, struct buf *wire);
