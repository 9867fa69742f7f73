/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock - the only place that reads a clock.
 *
 * Leases and timeouts live on CLOCK_BOOTTIME (zone-protocol 2): it goes on while
 * the machine sleeps and no one can set it. The wall clock is for people.
 *
 * Owns: nothing. Blocks: never. Errors: none.
 */
#pragma once

#include <stdint.h>

int64_t clock_boot_ms(void);
int64_t clock_boot_us(void);
int64_t clock_wall_ms(void);
