/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/db.h"

const struct db_table_form *db_table_form(enum db_table t)
{
	static const struct db_table_form forms[DB__COUNT] = {
		[DB_EVENTS] = { "events_latest", KIND__COUNT, true },
		[DB_SUBSCRIPTIONS] = { "subscriptions", KIND_SUBSCRIPTION, true },
		[DB_KEYS] = { "keys", KIND_API_KEY, true },
		[DB_ENVIRONMENTS] = { "environments", KIND_ORGANIZATION },
		[DB_ORGANIZATIONS] = { "organizations", KIND_ORGANIZATION },
		[DB_INSTALLATION] = { "installation", KIND_NODE_METADATA },
		[DB_LICENSES] = { "licenses", KIND_LICENSE },
		[DB_ACCESS_POINTS] = { "access_points", KIND_ACCESS_POINT },
	};

	CHECK(t < DB__COUNT);
	return &forms[t];
}

const char *db_table_name(enum db_table t)
{
	return db_table_form(t)->name;
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
