/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_status - the status of the daemon as tables for people; json.h is for programs.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include "supervisor/cli/daemon.h"
#include "supervisor/cli/print.h"

void status_text(struct buf *out, const Control__Status *st, bool colour);
void quarantine_text(struct buf *out, const Control__Status *st);
/* Nothing when all is published. */
void unpublished_text(struct buf *out, const Ipc__FetcherReport *f);

/* What `zonesync status` ends with. */
int status_exit_code(const Control__Status *st);
