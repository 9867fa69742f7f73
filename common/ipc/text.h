/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text - the strings of a message, nested ones too, and whether they are UTF-8.
 *
 * protobuf-c does not look, and a string that is not is no message to a
 * peer that does. What we send is mended (chan.c), and so is what a worker sends us: text
 * for people is no reason to end anybody. What a client sends is refused.
 *
 * Owns:    nothing.
 * Blocks:  never.
 * Errors:  none.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* False when any string is not UTF-8, or the message is nested too deep for message_walk(). */
bool text_ok(const ProtobufCMessage *m);

/* Of an unpacked message: a string that is not is replaced as str_mend() says. */
void text_mend(ProtobufCMessage *m);
