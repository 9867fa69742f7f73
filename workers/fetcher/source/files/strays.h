/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strays - what lies in the directory of a file source and is never read, though its name says
 * that a person believes so: `api/`, `apis/a.txt`, `apis/team/`, `a.json` beside them all.
 *
 * Owns:    nothing.
 * Blocks:  on the file system.
 * Errors:  none: what cannot be listed is told where documents are.
 */
#pragma once

#include "workers/fetcher/source/unpublished.h"

void strays_add(const char *root, struct unpublished *u);
