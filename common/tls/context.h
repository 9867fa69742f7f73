/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context - what a client of TLS needs before it connects: whom it trusts, who it is,
 * and which versions and ciphers it speaks.
 *
 * TLS 1.2 at least, no renegotiation, no compression. The chain of the server is
 * verified unless `trust_all` is set, against the truststore, or without one against the
 * system's authorities. Any certificate in the truststore is an anchor, as in Java: a
 * self-signed one of the server's own too.
 *
 * Owns:    the context, which outlives its sessions.
 * Blocks:  tls_context_create() on the files of the message (keystore.h): not on a loop.
 * Errors:  as keystore.h says, with the name of the store before; ERR_CONFIG for a
 *          version or a cipher that is not known.
 */
#pragma once

#include "common/base/err.h"
#include "ipc.pb-c.h"

struct tls_context; /* opaque */

int tls_context_create(struct tls_context **out, const Ipc__Tls *m, struct err *e) MUST_USE;
void tls_context_free(struct tls_context **c);

/* ERR_CONFIG: each certificate of ours that a server could be shown is out of its dates. */
int tls_context_check_dates(const struct tls_context *c, struct err *e) MUST_USE;
