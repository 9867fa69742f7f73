/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind - the types of distributed events (storage 2) and their order.
 *
 * Owns: nothing. Blocks: never; pure. Errors: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* In the order in which the reference synchronizes them (storage 2). */
enum kind {
	KIND_NODE_METADATA,
	KIND_LICENSE,
	KIND_ACCESS_POINT,
	KIND_ORGANIZATION,
	KIND_DICTIONARY,
	KIND_SHARED_POLICY_GROUP,
	KIND_AUTHZ_ENTITY,
	KIND_AUTHZ_POLICY,
	KIND_API_PRODUCT,
	KIND_API,
	KIND_SUBSCRIPTION,
	KIND_API_KEY,
	KIND__COUNT
};

/* The name as it stands in keys and hashes, for instance "API_KEY". */
const char *kind_name(enum kind k);

/* Can events stand under it (as their reference)? They are withdrawn with it. */
bool kind_has_children(enum kind k);

/* Exact match of n bytes. False, and *out untouched, when there is no such type. */
bool kind_parse(const char *s, size_t n, enum kind *out);
