/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor - looks at the zone's Redis with a person's question in mind: is this the right
 * zone id, who writes it, what is there of other releases, what does the server lack.
 *
 * It reads, and touches nothing but the scratch keys of the probe. All keys are walked,
 * DOCTOR_KEYS at a time, DOCTOR_STEPS times at most.
 *
 * Owns:    the findings; the connection is the caller's.
 * Blocks:  never.
 * Errors:  they are findings. The caller's `done` is called once for each doctor_begin().
 */
#pragma once

#include "common/zone/conn.h"
#include "ipc.pb-c.h"

#define DOCTOR_KEYS	1000
#define DOCTOR_STEPS	1000
#define DOCTOR_MS	6000 /* no further step after it; the command waits for 10 s */
#define DOCTOR_STUCK_MS 30000
#define DOCTOR_CLUSTERS 100
#define DOCTOR_CLOCK_MS 5000 /* a Java gateway reads 30 s back */

struct doctor;
typedef void doctor_done_fn(void *arg, const Ipc__Examined *found);

/* `z` NULL: this node is alone. */
struct doctor *doctor_create(struct zone_conn *z, doctor_done_fn *done, void *arg) MUST_USE;
void doctor_free(struct doctor **d);		     /* after the connection was closed */
void doctor_begin(struct doctor *d, bool candidate); /* one that is under way answers for both */
