/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nonce - the unique part of each lease token, made and persisted before anyone hears
 * of it (zone-protocol 2).
 *
 * The file <state-dir>/nonce holds the machine, the boot and the last nonces. After a
 * crash of this supervisor a lease held by one of them may be taken over without
 * waiting for its TTL; not after a reboot, and not from another machine's copy.
 *
 * Owns:    nothing but its buffers.
 * Blocks:  on a file of 300 bytes; it is renamed, not synced: what it is for ends with
 *          the boot anyway.
 * Errors:  -errno when the file cannot be written: then no candidacy.
 */
#pragma once

#include <stddef.h>

#include "common/base/err.h"

#define NONCE_BYTES 33 /* 32 hexadecimal digits and NUL */
#define NONCE_KEEP  4

struct nonces {
	char *path; /* owned */
	char machine[64];
	char boot[64];
	char last[NONCE_KEEP][NONCE_BYTES]; /* newest first */
	size_t len;
};

/* Reads what an earlier supervisor of this boot left; nothing usable is no error. */
void nonces_init(struct nonces *n, const char *state_dir);
void nonces_reset(struct nonces *n);

/* A fresh one becomes last[0] and is on disk. */
int nonces_next(struct nonces *n, struct err *e) MUST_USE;
