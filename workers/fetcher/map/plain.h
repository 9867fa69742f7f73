/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain - rows that are an entity by themselves and hang on nothing: access points,
 * licenses, the installation. The same row gives the same bytes always.
 *
 * Owns:    as map.h says.
 * Blocks:  never; pure.
 * Errors:  ERR_PARSE, ERR_LIMIT: not readable. Outputs are untouched.
 */
#pragma once

#include "workers/fetcher/map/map.h"

/*
 * An access point: withdrawn when it was deleted, or is none of a gateway. An absent
 * referenceType is ENVIRONMENT, an absent status CREATED, and environmentId does for
 * referenceId, so that a file need not say them.
 */
int map_access_point(struct json_span row, struct map_out *out, struct err *e) MUST_USE;
struct json_span map_access_point_environment(struct json_span row); /* its id, a string if fine */

/* A license: its payload is the text of it, byte for byte, and no JSON. A row without text
   makes an empty one, which for readers is no license. `id` does for referenceId. */
int map_license(struct json_span row, struct map_out *out, struct err *e) MUST_USE;
struct json_span map_license_organization(struct json_span row);

/*
 * What readers are told of the management: the installation's id, and the organizations
 * (n 0: not said). The reference writes one more key with a random id at each start of a
 * primary, and readers take the last they come across (storage 8.13). Ours is named after
 * the installation, so that a zone has one whoever is its primary: an id that does not change.
 */
void map_node_metadata(const char *installation, char *const *organizations, size_t n,
		       struct map_out *out);
