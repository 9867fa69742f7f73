/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_route - which answer a request's target asks for.
 *
 * Owns: nothing. Blocks: never; pure. Errors: HTTP_BAD.
 */
#pragma once

#include <stdbool.h>

#include "common/base/str.h"

#define HTTP_TARGET_MAX 4096 /* bytes of a path or of a query's value, as sent */

enum http_path {
	HTTP_NODE,   /* /_node */
	HTTP_HEALTH, /* /_node/health */
	HTTP_SYNC,   /* /_node/sync */
	HTTP_APIS,   /* /_node/apis */
	HTTP_API,    /* /_node/apis/{id} */
	HTTP_UNKNOWN,
	HTTP_BAD /* wrong escapes, a NUL, or no UTF-8 */
};

/* `path` as it was sent, without query; one slash at the end makes no difference. */
enum http_path http_route(const char *path, struct buf *id);

/* Appends `s` with its %XX replaced. False: wrong escapes, a NUL, or no UTF-8. */
bool http_decode(const char *s, size_t n, struct buf *out);
