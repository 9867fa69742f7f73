/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone/probe.h"

#include <string.h>

#include "common/base/mem.h"

/* The value behind "name:" at the start of a line; false when there is none. */
static bool info_value(const char *info, const char *name, char *out, size_t n)
{
	size_t len = strlen(name);
	const char *p = info;

	while ((p = strstr(p, name)) != NULL) {
		bool begins = p == info || p[-1] == '\n';

		p += len;
		if (!begins || *p != ':')
			continue;
		str_print(out, n, "%.*s", (int)strcspn(p + 1, "\r\n"), p + 1);
		return true;
	}
	return false;
}

void probe_info(struct probe *p, const char *info)
{
	char v[64];
	uint64_t limit = 0;

	if ((info_value(info, "redis_mode", v, sizeof(v)) && str_equal(v, "cluster")) ||
	    (info_value(info, "cluster_enabled", v, sizeof(v)) && str_equal(v, "1")))
		str_copy(
			p->refused, sizeof(p->refused),
			"this Redis runs in cluster mode, where the reference's keys cannot work (no "
			"hash tag); use a standalone server or Sentinel");
	else if (info_value(info, "role", v, sizeof(v)) && !str_equal(v, "master"))
		str_copy(p->refused, sizeof(p->refused),
			 "this Redis is a replica; connect to the master");
	if (info_value(info, "maxmemory", v, sizeof(v)))
		(void)str_to_u64(v, strlen(v), &limit);
	if (limit == 0 || !info_value(info, "maxmemory_policy", v, sizeof(v)))
		return;
	if (str_starts(v, "allkeys-"))
		str_print(p->barred, sizeof(p->barred),
			  "maxmemory-policy %s lets Redis drop events and the lease; set it to "
			  "noeviction, or maxmemory to 0",
			  v);
	else if (str_starts(v, "volatile-"))
		str_print(p->warning, sizeof(p->warning),
			  "maxmemory-policy %s lets Redis drop the lease; set it to noeviction", v);
}

static void answered(struct probe *p)
{
	if (--p->open > 0)
		return;
	if (p->aof_off && p->save_off && p->warning[0] == '\0')
		str_copy(
			p->warning, sizeof(p->warning),
			"this Redis keeps nothing on disk: after its restart the zone is empty until a "
			"primary fills it from the source; turn on appendonly or save");
	p->done = true;
	p->fn(p->arg, p);
}

static void on_info(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct probe *p = arg;
	const char *s = redis_str(r, NULL);
	char v[8];

	if (lost != NULL)
		return;
	if (s != NULL && !redis_is_error(r)) {
		probe_info(p, s);
		p->aof_off = info_value(s, "aof_enabled", v, sizeof(v)) && v[0] == '0';
	}
	answered(p);
}

static void on_save(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct probe *p = arg;
	size_t n = 1;

	if (lost != NULL)
		return;
	/* Managed servers refuse CONFIG: then nothing is known and nothing is said. */
	if (redis_count(r) == 2 && redis_str(redis_at(r, 1), &n) != NULL)
		p->save_off = n == 0;
	answered(p);
}

static void on_rights(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct probe *p = arg;
	const struct redis_reply *first = redis_at(r, 0);

	if (lost != NULL)
		return;
	if (redis_is_error(r) || first != NULL)
		str_print(
			p->barred, sizeof(p->barred),
			"this user may not do all that a primary does (%.120s); zonesyncd(8) has under REDIS "
			"the ACL SETUSER that is needed",
			redis_str(first != NULL ? first : r, NULL));
	answered(p);
}

/* What a script may not do: pages are transactions. */
static void on_transaction(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct probe *p = arg;

	if (lost != NULL)
		return;
	if (redis_error_is(r, "NOPERM"))
		str_print(p->barred, sizeof(p->barred),
			  "this user may not write in transactions (%.120s): ACL SETUSER ... "
			  "+@transaction; zonesyncd(8) has all that is needed under REDIS",
			  redis_str(r, NULL));
	answered(p);
}

int probe_server(struct zone_conn *z, struct probe *p, bool candidate, probe_fn *fn, void *arg)
{
	const struct zone_keys *k = zone_conn_keys(z);
	struct redis_cmd c;
	char *second;
	char *beside;

	if (!zone_conn_is_up(z))
		return ERR_STATE;
	*p = (struct probe){ .fn = fn, .arg = arg, .open = candidate ? 6 : 2 };
	CHECK(redis_sendv(zone_conn_redis(z), on_info, p, "INFO", NULL) == 0);
	CHECK(redis_sendv(zone_conn_redis(z), on_save, p, "CONFIG", "GET", "save", NULL) == 0);
	if (!candidate)
		return 0;
	CHECK(redis_sendv(zone_conn_redis(z), on_transaction, p, "WATCH", k->probe, NULL) == 0);
	CHECK(redis_sendv(zone_conn_redis(z), on_transaction, p, "MULTI", NULL) == 0);
	CHECK(redis_sendv(zone_conn_redis(z), on_transaction, p, "EXEC", NULL) == 0);
	second = mem_printf("%s:2", k->probe);
	beside = mem_printf("%szonesync-probe", k->event_prefix);
	zone_call(z, &c, SCRIPT_PROBE, k->probe, second, beside, NULL);
	mem_free(second);
	mem_free(beside);
	CHECK(zone_send(z, &c, on_rights, p) == 0);
	return 0;
}
