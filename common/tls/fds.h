/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fds - keys and certificates for client libraries that want them in PEM files: files
 * that only this process has, in memory, under /proc/self/fd.
 *
 * libmongoc and libpq read them with each connection: keep them open as long as the
 * client. Mode 0600, as libpq demands; sealed against change.
 *
 * Owns:    the descriptors; tls_fds_close() ends them.
 * Blocks:  tls_fds_open() on the files of the message (keystore.h).
 * Errors:  as keystore.h says, with the name of the store before; -errno.
 */
#pragma once

#include "common/base/err.h"
#include "ipc.pb-c.h"

struct tls_fds {
	char *ca;  /* owned; path of the trusted certificates; NULL: the system's */
	char *key; /* owned; path of key and certificates, in one file; NULL: none */
	int ca_fd;
	int key_fd;
};

#define TLS_FDS_NONE                                                                               \
	{                                                                                          \
		NULL, NULL, -1, -1                                                                 \
	}

int tls_fds_open(struct tls_fds *out, const Ipc__Tls *m, struct err *e) MUST_USE;
void tls_fds_close(struct tls_fds *f);
