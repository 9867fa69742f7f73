/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random - numbers nobody can guess: the kernel's.
 *
 * Owns: nothing. Blocks: random_hex() until the machine has booted far enough. Errors: none.
 */
#pragma once

#include <stdint.h>

#define RANDOM_HEX_BYTES 33 /* of 16 bytes, and NUL */

/* 128 bits, as hexadecimal digits. */
void random_hex(char out[RANDOM_HEX_BYTES]);

/* To spread tries in time; never waits. */
uint32_t random_number(void);
