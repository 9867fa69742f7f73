/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readable - whether a gateway can read an API's definition (storage 2.4).
 *
 * One table says what each member has to be, and nothing more than what the reference's
 * own reader refuses: numbers and booleans that are text, nulls and members that it does
 * not know pass here as they do there. docs/gravitee.md has the same table.
 *
 * Owns:    nothing.
 * Blocks:  never; pure. The recursion is as deep as the table.
 * Errors:  ERR_PARSE with the path of the member and what is wrong with it.
 */
#pragma once

#include "common/base/err.h"
#include "common/json/scan.h"
#include "workers/fetcher/map/definition.h"

int definition_check(struct json_span def, enum definition_kind kind, struct err *e) MUST_USE;

/* The plans of an API product, which are v4 plans. */
int definition_check_plans(struct json_span plans, struct err *e) MUST_USE;

/* The steps of a shared policy group, which are those of v4. */
int definition_check_steps(struct json_span steps, struct err *e) MUST_USE;
