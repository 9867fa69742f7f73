/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial - a blocking conversation in frames over a Unix socket.
 *
 * Owns:    the descriptor and the last message; conn_close() releases both.
 * Blocks:  at most as long as the caller says; CONN_CONNECT_MS to connect.
 * Errors:  -errno; ERR_TIMEOUT; ERR_PROTO when the peer speaks something else;
 *          -EPIPE when it closed. Then close the connection.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "common/ipc/frame.h"

#define CONN_CONNECT_MS 5000

struct conn {
	int fd;
	int64_t until;	 /* boot time; < 0: for ever */
	struct buf body; /* of the message that was received last */
};

int conn_open(struct conn *c, const char *path, struct err *e) MUST_USE;
void conn_close(struct conn *c); /* also of one that was never open: { .fd = -1 } */

/* timeout_ms < 0: for ever */
int conn_send(struct conn *c, const ProtobufCMessage *m, int timeout_ms, struct err *e) MUST_USE;

/* The next message; the bytes are borrowed until the next call. */
int conn_receive(struct conn *c, int timeout_ms, const uint8_t **body, size_t *n,
		 struct err *e) MUST_USE;
