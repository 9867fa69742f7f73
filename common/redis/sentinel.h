/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentinel - who is the master now? Asks the Sentinels of a set.
 *
 * They are asked one after the other, each for a short while; the one that answered is
 * asked first the next time, unless where it pointed to was of no use. What one knows of
 * its fellows is added to those of the configuration. Between questions one is listened
 * to, and when it is lost the next one, so that a master that changes is told at once: one
 * that is cut off from them may go on answering. Every new connection asks again.
 *
 * Owns:    the connection to one Sentinel, the list of them.
 * Blocks:  never.
 * Errors:  to the callback: ERR_TIMEOUT when none of them answers, ERR_STATE when those
 *          that do know no such master. The two want different cures.
 */
#pragma once

#include "common/redis/redis.h"

#define SENTINEL_NODES_MAX   32	  /* of the configuration and learned */
#define SENTINEL_TIMEOUT_MS  500  /* for one of them to connect, and to answer */
#define SENTINEL_LISTEN_MS   1000 /* before another is listened to in the place of one that went */
#define SENTINEL_HOST_BYTES  256
#define SENTINEL_REPLY_BYTES (1U << 20) /* of an answer: a fellow takes less than 1 KiB of it */

extern const struct locator_ops sentinel_locator;

/* "host:port", "[v6]:port"; false: it is neither. */
bool sentinel_parse(const char *text, char host[SENTINEL_HOST_BYTES], uint16_t *port);
