/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/db.h"

const char *db_table_name(enum db_table t)
{
	static const char *const names[DB__COUNT] = {
		[DB_EVENTS] = "events_latest",
		[DB_SUBSCRIPTIONS] = "subscriptions",
		[DB_KEYS] = "keys",
		[DB_ENVIRONMENTS] = "environments",
		[DB_ORGANIZATIONS] = "organizations",
		[DB_INSTALLATION] = "installation",
		[DB_LICENSES] = "licenses",
		[DB_ACCESS_POINTS] = "access_points",
	};

	CHECK(t < DB__COUNT);
	return names[t];
}

bool db_has_brief(enum db_table t)
{
	return t == DB_EVENTS || t == DB_SUBSCRIPTIONS || t == DB_KEYS;
}
