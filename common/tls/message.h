/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message - the Tls section of a Configure message: what a connection is to be protected
 * with. Paths and passwords only; the files are read with each new connection.
 *
 * Owns:    a copy is the caller's; tls_message_free() overwrites its passwords.
 * Blocks:  never; pure. Errors: none.
 */
#pragma once

#include "proto/ipc.pb-c.h"

Ipc__Tls *tls_message_copy(const Ipc__Tls *m); /* NULL stays NULL */
void tls_message_free(Ipc__Tls **m);
