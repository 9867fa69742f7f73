/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone_sink - pages into a zone in Redis, as native commands under WATCH and MULTI
 * (zone-protocol 3).
 *
 *	SET turn, WATCH turn meta, HGET lease, HMGET meta, TIME     a look: is it our turn?
 *	MULTI, one HSET a record, ZADD, ..., HSET meta, EXEC        the page
 *	PUBLISH                                                     and who follows is woken
 *
 * One page at a time. Its content never changes: after a lost connection, or an EXEC that was
 * called off, another look says whether it took effect, and what did not is sent again. Each
 * attempt ends all older ones, and none takes effect TURN_MS after its look. Nothing is sent after
 * the deadline of the lease.
 *
 * Owns:    the page on its way. The connection is the caller's, and must outlive this.
 * Blocks:  never.
 * Errors:  through hooks.over: ERR_FENCED (another token), ERR_LOST (acknowledged pages were
 *          forgotten), ERR_LIMIT (connections end with this page on its way, which is too much
 *          for the server, or for what is in between): the token is of no use any more. Through hooks.trouble: it was refused
 *          (ERR_FULL, ERR_REMOTE); nothing is lost, call zone_sink_up() after a while.
 */
#pragma once

#include "common/zone/conn.h"
#include "workers/fetcher/publish/end.h"

struct zone_sink;

/* `base`: its hooks written, over and trouble are called. `node`: for the state Java reads. */
struct zone_sink *zone_sink_create(struct zone_conn *z, struct end *base,
				   const char *node) MUST_USE;
void zone_sink_free(struct zone_sink **s);

/* A new token: what is on its way is dropped, and pages count from 1. */
void zone_sink_begin(struct zone_sink *s, const char *token);
void zone_sink_extend(struct zone_sink *s, int64_t deadline_boot_ms); /* 0: send nothing */
bool zone_sink_is_free(const struct zone_sink *s);		      /* for a page */
/* Takes the page over. `more`: the next one follows at once, and is looked ahead for. */
void zone_sink_write(struct zone_sink *s, struct zone_page *p, bool more);
void zone_sink_up(struct zone_sink *s);
void zone_sink_down(struct zone_sink *s);
