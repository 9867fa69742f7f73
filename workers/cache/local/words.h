/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words - the words of local.proto: a publisher's page as a job of the store, and what the store
 * holds as answers to its questions. Who may say what, and when, is the intake's.
 *
 * Owns:    nothing; an answer, and what it points at, is gone when `send` returns.
 * Blocks:  on what a view reads: pages of a mapped file, a bounded number for each answer.
 * Errors:  false or NULL, as each says.
 */
#pragma once

#include "common/store/reader.h"
#include "local.pb-c.h"
#include "workers/cache/keeper.h"

struct words_sink {
	void (*send)(void *arg, const ProtobufCMessage *body); /* of an Answer */
	void *arg;
};

/* `at` NULL: nothing is held that this publisher could go on with. */
void words_state(struct store_view *v, const struct position *at, const char *token,
		 const struct words_sink *to);

/* A page of what is held behind a revision. Damaged records are passed over if `passing`, for
   whoever refills keeps the others; else false when there is one, and nothing was sent. */
bool words_names(struct store_view *v, uint64_t after, bool passing, const struct words_sink *to);

/* `error` NULL: none. */
void words_written(Local__Outcome outcome, const char *error, const struct words_sink *to);

/* Takes over the request, a page. NULL: malformed. Target and token are the caller's to set. */
struct keeper_job *words_job(Local__Request *r) MUST_USE;
