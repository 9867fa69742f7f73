/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err - the result convention: int, 0 or negative, plus a text for humans.
 *
 * The code decides, the text explains. `struct err *e` is always the last
 * parameter and may be NULL; output parameters are written on success only.
 * Negative errno values (and libuv's, which are the same) are valid codes; our
 * own sit below libuv's lowest, UV_EOF (-4095).
 *
 * Owns: nothing. Blocks: never. Errors: these.
 */
#pragma once

#include "common/base/cdefs.h"

enum {
	ERR_PROTO = -6000, /* the peer broke the protocol: close it */
	ERR_STATE,	   /* legal message, wrong moment */
	ERR_CONFIG,	   /* only the operator can fix it: do not retry */
	ERR_BUSY,	   /* a limit of ours was reached: retry later */
	ERR_PARSE,	   /* malformed data: set the entity aside */
	ERR_LIMIT,	   /* larger or deeper than allowed */
	ERR_NOTFOUND,	   /* no such thing, and that is an answer */
	ERR_FENCED,	   /* our token is not the lease's */
	ERR_LOST,	   /* Redis forgot acknowledged writes */
	ERR_REMOTE,	   /* the server answered with an error */
	ERR_TIMEOUT,	   /* no answer in time: the outcome is unknown */
	ERR_DAMAGED,	   /* stored bytes do not match their checksum */
	ERR_FULL	   /* no room: disk full, map full, server out of memory */
};

#define ERR_TEXT_BYTES 256

struct err {
	int code;		   /* 0, or the negative value that was returned */
	char text[ERR_TEXT_BYTES]; /* UTF-8; one line, no trailing newline */
};

/* Sets code and text; returns code. The text is mended and cut as str_print() does. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The text of -errno after `doing`: "doing: No such file or directory". */
int err_errno(struct err *e, int errnum, const char *doing, ...) PRINTF_LIKE(3, 4);

/* Puts "doing: " before the text; returns the code. */
int err_wrap(struct err *e, const char *doing, ...) PRINTF_LIKE(2, 3);

/* The text, or "no error text" for NULL and empty: never NULL. */
const char *err_text(const struct err *e);
