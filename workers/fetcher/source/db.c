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

void db_show_id(struct buf *out, const char *s, size_t n)
{
	bool text = str_is_utf8(s, n);
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !text))
			buf_printf(out, "\\x%02x", c);
		else
			buf_addc(out, s[i]);
	}
}
