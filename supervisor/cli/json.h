/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json - a message as JSON: its fields by their names, in the order in which the schema has them.
 *
 * A list is an array, a message that is not there null, a value of an enumeration its name. Fields
 * numbered from JSON_INSIDE up are left out: they are between the processes of a node. Text is
 * safe for a terminal, and JSON whatever bytes it has.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "common/base/str.h"

#define JSON_INSIDE 100

void json_message(struct buf *b, const ProtobufCMessage *m);
void json_line(struct buf *b, const ProtobufCMessage *m); /* and a line's end */
