/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json/write.h"
#include "workers/fetcher/map/members.h"
#include "workers/fetcher/map/plain.h"

struct json_span map_license_organization(struct json_span row)
{
	struct json_span id = json_get(row, "referenceId");

	return json_is_null(id) ? json_get(row, "id") : id;
}

int map_license(struct json_span text, struct map_out *out, struct err *e)
{
	struct map_out made = { .outcome = MAP_EVENT };
	struct json_span row = { 0 };
	struct json_span license;
	int64_t updated = 0;
	int rc;

	made.ev.kind = KIND_LICENSE;
	made.ev.action = ACTION_DEPLOY;
	rc = member_check_object(text, "row", &row, e);
	if (rc == 0)
		rc = member_take_id(map_license_organization(row), "referenceId", &made.ev.id, e);
	if (rc == 0)
		rc = member_take_updated(json_get(row, "updatedAt"), json_get(row, "createdAt"),
					 &updated, e);
	license = rc == 0 ? json_get(row, "license") : row;
	if (rc == 0 && json_type(license) == JSON_STRING)
		json_unescape(license, &made.ev.payload);
	else if (rc == 0 && !json_is_null(license))
		rc = err_set(e, ERR_PARSE, "license is not text");
	if (rc < 0) {
		map_out_reset(&made);
		return rc;
	}
	made.ev.version = member_version(updated);
	*out = made;
	return 0;
}
