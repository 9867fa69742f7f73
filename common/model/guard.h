/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard - no mass deletion on thin evidence (zone-protocol 4.5).
 *
 * What a pass would remove of one type because its rows are gone: more than
 * max(10, 20 %) needs a second pass that agrees; everything of a type with more than
 * 10, or an empty listing where the zone is not empty, needs a person.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUARD_FREE     10 /* so many of a type may always go */
#define GUARD_PERCENT  20
#define GUARD_AGREE_MS 1000 /* between two passes that agree */

enum guard_verdict { GUARD_GO, GUARD_AGAIN, GUARD_PERSON };

/*
 * `live`: entities of the type that were in the zone, those to go included. `gone`: how many would
 * go. `passes`: passes in a row, this one included, in which they were absent.
 */
enum guard_verdict guard_judge(size_t live, size_t gone, unsigned passes, bool accepted);

/* Does a pass that began then agree with one that ended before? Not when it came right after
   it: passes that notifications wake may all see one directory in the middle of its being
   replaced. Boot times. */
bool guard_agrees(int64_t ended_ms, int64_t began_ms);
