/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_mongo - keys and certificates for a client of mongo-c-driver, which reads PEM files.
 *
 * Owns:    what tls_fds owns; to be closed when the client is gone.
 * Blocks:  on the files of the message. Errors: as tls_fds_open() says.
 */
#pragma once

#include "common/tls/fds.h"

struct _mongoc_uri_t; /* the driver's */

/* Before each client is made, so that what lies in the stores now counts. NULL: as the URI says. */
int tls_mongo_protect(struct _mongoc_uri_t *uri, const Ipc__Tls *m, struct tls_fds *fds,
		      struct err *e) MUST_USE;
