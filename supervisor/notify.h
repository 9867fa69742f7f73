/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify - tell systemd (sd_notify(3)); does nothing without NOTIFY_SOCKET.
 *
 * Owns:    a datagram socket for the moment of a message.
 * Blocks:  never.
 * Errors:  none; a service manager that does not listen is not our problem.
 */
#pragma once

#include <stdint.h>

#include "common/base/cdefs.h"

/* For instance notify("READY=1\nSTATUS=%s", text). */
void notify_send(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* RELOADING=1 with the time stamp it needs (Type=notify-reload). */
void notify_reloading(void);

/* Half the watchdog's period, or 0 when there is none. */
uint64_t notify_watchdog_ms(void);
