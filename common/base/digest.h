/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest - the hash of an event and the digest of a set of them.
 *
 * An event's hash (zone-protocol 3) is one action byte, 'D' or 'U', and
 * 128 bits over key, action and payload (zeros for 'U'): no time stamp, so equal
 * content is equal everywhere. The digest of a set is the sum of the hashes of its live members in
 * four lanes modulo 2^32, which a double holds exactly: adding and removing a
 * member is O(1) and the order does not matter.
 *
 * XXH3 finds damage and loss; it is not a defence against whoever may write the
 * zone, who could write the digest as well.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_BYTES 17

struct hash {
	unsigned char b[HASH_BYTES]; /* action byte, then 16 bytes, lane 0 first, big-endian */
};

struct digest {
	uint32_t lane[4];
	uint64_t count; /* live members */
};

/* `action` is 'D' (deploy) or 'U' (undeploy). An undeploy has no payload: pass 0 bytes. */
void hash_event(struct hash *h, char action, const char *key, const void *payload, size_t n);

bool hash_equal(const struct hash *a, const struct hash *b);

/* Members with action 'U' count as absent: they change nothing. */
void digest_add(struct digest *d, const struct hash *h);
void digest_sub(struct digest *d, const struct hash *h);
bool digest_equal(const struct digest *a, const struct digest *b);

#define DIGEST_TEXT_BYTES 33 /* the lanes in hexadecimal, for people and clients */
void digest_text(char out[DIGEST_TEXT_BYTES], const struct digest *d);

/* 128 bits over texts and their ends, in order: ("ab", "c") is not ("a", "bc"). */
void hash_texts(unsigned char out[16], const char *const *texts, size_t n);

/* 64 bits over any bytes, for tables and for file contents. */
uint64_t hash_u64(const void *p, size_t n, uint64_t seed);
