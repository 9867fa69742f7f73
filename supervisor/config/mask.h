/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask - a configured text for people, without the secrets of the URLs in it.
 *
 * A password before a host, and the values of parameters whose decoded names are those of
 * secrets. What is no URL as it should be, such as one with a password that is not encoded,
 * is masked whole: where its password ends cannot be told.
 *
 * Owns: nothing. Blocks: never. Errors: none.
 */
#pragma once

#include "common/base/str.h"

#define MASK "********"

void mask_uri(struct buf *out, const char *text);
