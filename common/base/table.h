/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table - a hash table from strings to pointers.
 *
 * Owns:    its slots and copies of the keys; not what the pointers point to.
 * Blocks:  never.
 * Errors:  none; grows through mem.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slot {
	char *key; /* owned; NULL: free or deleted */
	void *value;
	uint64_t hash; /* 0 with key NULL: never used */
};

struct table { /* `{ 0 }` is empty */
	struct table_slot *slots;
	size_t cap; /* power of two */
	size_t len;
	size_t used; /* with the deleted */
};

void *table_get(const struct table *t, const char *key);	/* NULL: not there */
void *table_set(struct table *t, const char *key, void *value); /* the old value or NULL */
void *table_del(struct table *t, const char *key);		/* the value or NULL */
/* The table's own copy of the key, which stays where it is until it is deleted; NULL: none. */
const char *table_key(const struct table *t, const char *key);

/* Iterates: *at starts at 0. False at the end. Deleting the current key is allowed. */
bool table_next(const struct table *t, size_t *at, const char **key, void **value);
void table_reset(struct table *t);
