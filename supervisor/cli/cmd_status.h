/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_status - a snapshot of the daemon, as a table for people or as JSON for programs.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include "supervisor/cli/daemon.h"
#include "supervisor/cli/print.h"

void status_text(struct buf *out, const struct snapshot *s, bool colour);
void status_json(struct buf *out, const struct snapshot *s); /* one line */
void quarantine_text(struct buf *out, const struct snapshot *s);
void quarantine_json(struct buf *out, const struct snapshot *s); /* a line each */

/* What `zonesync status` ends with. */
int status_exit_code(const struct snapshot *s);
