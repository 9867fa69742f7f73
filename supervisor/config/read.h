/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read - a YAML file as a flat list of `a.b.c[0].d` = text, each with its line.
 *
 * The only user of libyaml. Anchors, aliases and merge keys (`<<`) work, within the same
 * bounds as everything else; more than one document and keys that are not text are refused,
 * and so is what would lose the text of a value: a type that is not YAML's own, a name that
 * nothing uses. A key that occurs twice is reported as an error with both lines,
 * but the tree is delivered, so that its other faults are found too.
 *
 * Owns:    the nodes; tree_free() overwrites and releases them.
 * Blocks:  never; pure.
 * Errors:  ERR_CONFIG with the reasons in `problems`.
 */
#pragma once

#include "supervisor/config/config.h"

#define TREE_FILE_MAX_BYTES  (1024 * 1024)
#define TREE_TOTAL_MAX_BYTES (4 * 1024 * 1024) /* keys and values, aliases expanded */
#define TREE_DEPTH_MAX	     32
#define TREE_NODES_MAX	     10000
#define TREE_KEY_MAX_BYTES   512

struct node {
	char *key;     /* owned */
	char *value;   /* owned; "" for an empty value, null, [] and {} */
	unsigned line; /* from 1 */
	bool cut;      /* a comment stands so close to it that it may be a part of it */
};

struct tree {
	struct node *node; /* owned; in order of the file */
	size_t n;
	size_t cap;
	size_t bytes;		    /* of all keys and values, against TREE_TOTAL_MAX_BYTES */
	const struct node **sorted; /* owned; by key, made when the file was read */
};

int tree_read(struct tree **out, const struct config_source *in, struct problems *p,
	      struct err *e) MUST_USE;
void tree_free(struct tree **t);
const struct node *tree_find(const struct tree *t, const char *key); /* NULL: not there */
