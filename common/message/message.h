/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message - what can be done with any message by the description that protobuf-c has of it.
 *
 * Owns:    a new one, or a copy, is the caller's: message_free() it, or as protobuf-c says.
 * Blocks:  never; pure.
 * Errors:  none.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#define MESSAGE_DEPTH_MAX 8

/* How many values it has: of a list its length, 0 when another field of its oneof is set, else 1. */
size_t message_count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

/* Where value i stands. Lists are of strings or messages. */
void *message_value(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t i);

/* Called with each value that is there and no message, those of messages inside too. False ends
   the walk. */
typedef bool message_fn(const ProtobufCFieldDescriptor *f, void *value);

/* What `fn` says, or false for one that is nested deeper than MESSAGE_DEPTH_MAX. */
bool message_walk(const ProtobufCMessage *m, message_fn *fn);

/* Are all its strings UTF-8? protobuf-c does not look, and one that is not is no message to a peer
   that does. False too for one that is nested deeper. */
bool message_is_text(const ProtobufCMessage *m);

/* Of an unpacked message: a string that is not is replaced as str_mend() says. What we send is
   mended, and what a worker sends us: text for people is no reason to end anybody. */
void message_mend(ProtobufCMessage *m);

/* Sets the field of a oneof that is of the body's type. */
void message_wrap(ProtobufCMessage *envelope, const ProtobufCMessage *body);

void *message_new(const ProtobufCMessageDescriptor *d); /* with nothing set */

/* Of a message of any type; NULL stays NULL. */
void *message_copy(const void *message);
void message_free(void *message); /* overwrites its texts and bytes: there may be secrets */
