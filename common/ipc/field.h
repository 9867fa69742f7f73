/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field - the fields of any message, by the description that protobuf-c has of it.
 *
 * Owns:    nothing; values stay where they are.
 * Blocks:  never; pure.
 * Errors:  none.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

/* How many values it has: of a list its length, 0 when another field of its oneof is set, else 1. */
size_t field_count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

/* Where value i stands; of a list it has to be a string or a message. */
void *field_value(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t i);
