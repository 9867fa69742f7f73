/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/kind.h"

#include <string.h>

#include "common/base/cdefs.h"

static const char *const names[KIND__COUNT] = {
	[KIND_NODE_METADATA] = "NODE_METADATA", [KIND_LICENSE] = "LICENSE",
	[KIND_ACCESS_POINT] = "ACCESS_POINT",	[KIND_ORGANIZATION] = "ORGANIZATION",
	[KIND_DICTIONARY] = "DICTIONARY",	[KIND_SHARED_POLICY_GROUP] = "SHARED_POLICY_GROUP",
	[KIND_AUTHZ_ENTITY] = "AUTHZ_ENTITY",	[KIND_AUTHZ_POLICY] = "AUTHZ_POLICY",
	[KIND_API_PRODUCT] = "API_PRODUCT",	[KIND_API] = "API",
	[KIND_SUBSCRIPTION] = "SUBSCRIPTION",	[KIND_API_KEY] = "API_KEY",
};

const char *kind_name(enum kind k)
{
	CHECK(k < KIND__COUNT);
	return names[k];
}

bool kind_has_children(enum kind k)
{
	return k == KIND_API || k == KIND_API_PRODUCT;
}

bool kind_parse(const char *s, size_t n, enum kind *out)
{
	unsigned i;

	for (i = 0; i < KIND__COUNT; i++) {
		if (strlen(names[i]) == n && memcmp(names[i], s, n) == 0) {
			*out = (enum kind)i;
			return true;
		}
	}
	return false;
}
