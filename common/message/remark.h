/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remark - what a worker has to say of its part of the configuration (Checked, ipc.proto):
 * before it counts, asked by `config check` and `reload`, and when it begins to work with it.
 *
 *	remark_add(out, IPC__REMARK__LEVEL__WARNING, "%s: what is wrong; what would be right", KEY)
 *
 * Whoever shows a text finds file and line by the key in front of it. Never with a secret.
 *
 * Owns:    the texts, by the message: message_free().
 * Blocks:  remark_file() on the file.
 * Errors:  none. What is there already is not added; beyond REMARKS_MAX nothing is.
 */
#pragma once

#include "common/base/err.h"
#include "ipc.pb-c.h"

#define REMARKS_MAX 64

void remark_add(Ipc__Checked *out, Ipc__Remark__Level level, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* What went wrong, an error; but what this user may not look at was not checked. */
void remark_err(Ipc__Checked *out, const struct err *e);

/* An error when the file that `name` of `key` names cannot be read. Blocks on it. */
void remark_file(Ipc__Checked *out, const char *key, const char *name, const char *path);

/* The first error's text; NULL: there is none. */
const char *remark_first_error(const Ipc__Checked *c);
