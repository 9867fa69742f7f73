/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help - what `zonesync help` prints, from the tables; and the table of exit codes,
 * which the man page shows too.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include "common/base/str.h"
#include "supervisor/command.h"

struct cli_exit {
	int code;
	const char *what;
};

extern const struct cli_exit cli_exits[];
extern const size_t cli_exits_len;

/* About one command; NULL: about all, or those of a group ("config"). */
void help_text(struct buf *out, const struct command *one, const char *group);
