/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret - opens an encrypted API property: Base64 of AES/ECB/PKCS5 (storage 2.3).
 *
 * Owns:    nothing; leaves no copy of the plain text but the one in `plain`.
 * Blocks:  never; pure.
 * Errors:  false: not Base64, not ours, not UTF-8, or a secret of no AES key length.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/str.h"

/* The bytes of `secret` are the key. Appends to `plain` on success only. */
bool secret_open(const void *secret, size_t secret_len, const struct buf *base64,
		 struct buf *plain) MUST_USE;
