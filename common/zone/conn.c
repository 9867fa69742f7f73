/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone/conn.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"

#define SHA_TEXT_BYTES 40

struct zone_conn {
	struct redis *redis; /* owned */
	struct zone_keys keys;
	struct zone_hooks hooks;
	char sha[SCRIPT__COUNT][SHA_TEXT_BYTES + 1];
	unsigned loaded; /* of this connection */
	bool up;
};

bool zone_conn_is_up(const struct zone_conn *z)
{
	return z != NULL && z->up;
}

const struct zone_keys *zone_conn_keys(const struct zone_conn *z)
{
	return &z->keys;
}

struct redis *zone_conn_redis(struct zone_conn *z)
{
	return z->redis;
}

/* --- rights --- */

/* Does the server say that SCRIPT or EVALSHA is not to be had? It says so with the arguments of
   the command, which are Lua. */
static bool bars_scripts(const struct redis_reply *r)
{
	bool barred = redis_error_is(r, "NOPERM") || redis_error_is(r, "ERR unknown command");
	const char *name = barred ? strpbrk(redis_str(r, NULL), "'`") : NULL;

	return name != NULL && (strncasecmp(name + 1, "script", strlen("script")) == 0 ||
				strncasecmp(name + 1, "evalsha", strlen("evalsha")) == 0);
}

static int say_barred(const struct redis_reply *r, struct err *e)
{
	const char *text = redis_str(r, NULL);

	return err_set(
		e, ERR_REMOTE,
		"no script may be loaded or run (%.*s): ACL SETUSER ... +script|load +evalsha, "
		"and no rename-command of them; see REDIS in zonesyncd(8)",
		(int)MIN(strcspn(text, ","), 90), text);
}

/* --- coming up: load the scripts --- */

static void on_loaded(void *arg, const struct redis_reply *r, const struct err *lost)
{
	struct zone_conn *z = arg;
	size_t n = 0;
	const char *sha;
	struct err e = { 0 };

	if (lost != NULL)
		return; /* on_down tells */
	if (zone_check(z, r, lost, &e) < 0) {
		if (redis_is_up(z->redis))
			redis_fail(z->redis, e.code, e.text);
		return;
	}
	sha = redis_str(r, &n);
	if (sha == NULL || n != SHA_TEXT_BYTES) {
		redis_fail(z->redis, ERR_PROTO, "SCRIPT LOAD answered with no SHA1");
		return;
	}
	memcpy(z->sha[z->loaded], sha, n);
	z->loaded++;
	if (z->loaded == SCRIPT__COUNT) {
		z->up = true;
		z->hooks.up(z->hooks.arg);
	}
}

static void on_up(void *arg)
{
	struct zone_conn *z = arg;
	unsigned i;

	z->loaded = 0;
	for (i = 0; i < SCRIPT__COUNT; i++)
		CHECK(redis_sendv(z->redis, on_loaded, z, "SCRIPT", "LOAD", script_text[i], NULL) ==
		      0);
}

static void on_down(void *arg, const struct err *why)
{
	struct zone_conn *z = arg;

	z->up = false;
	z->hooks.down(z->hooks.arg, why);
}

int zone_conn_open(struct zone_conn **out, uv_loop_t *loop, const struct redis_opts *o,
		   const char *zone, const struct zone_hooks *h, struct err *e)
{
	struct zone_conn *z = mem_zalloc(sizeof(*z));
	const struct redis_hooks hooks = { .arg = z, .up = on_up, .down = on_down };
	int rc;

	rc = zone_keys_init(&z->keys, zone, e);
	if (rc == 0) {
		z->hooks = *h;
		rc = redis_open(&z->redis, loop, o, &hooks, e);
	}
	if (rc < 0) {
		mem_free(z);
		return rc;
	}
	*out = z;
	return 0;
}

void zone_conn_close(struct zone_conn **zp)
{
	struct zone_conn *z = *zp;

	*zp = NULL;
	if (z == NULL)
		return;
	redis_close(&z->redis);
	mem_free(z);
}

/* --- calls --- */

void zone_call(struct zone_conn *z, struct redis_cmd *c, enum script s, ...)
{
	const char *key;
	int64_t n = 0;
	va_list ap;

	va_start(ap, s);
	while (va_arg(ap, const char *) != NULL)
		n++;
	va_end(ap);
	*c = (struct redis_cmd){ 0 };
	redis_cmd_str(c, "EVALSHA");
	redis_cmd_str(c, z->sha[s]);
	redis_cmd_i64(c, n);
	va_start(ap, s);
	while ((key = va_arg(ap, const char *)) != NULL)
		redis_cmd_str(c, key);
	va_end(ap);
}

int zone_send(struct zone_conn *z, struct redis_cmd *c, redis_reply_fn *fn, void *arg)
{
	return redis_send(z->up ? z->redis : NULL, c, fn, arg);
}

int zone_check(struct zone_conn *z, const struct redis_reply *r, const struct err *lost,
	       struct err *e)
{
	static const char *const fatal[] = { "NOSCRIPT", "READONLY", "LOADING", "NOAUTH",
					     "MASTERDOWN" };
	const char *text;
	unsigned i;

	if (lost != NULL)
		return err_set(e, lost->code == 0 ? ERR_STATE : lost->code, "%s", lost->text);
	if (!redis_is_error(r))
		return 0;
	if (bars_scripts(r))
		return say_barred(r, e);
	text = redis_str(r, NULL);
	for (i = 0; i < ARRAY_LEN(fatal); i++) {
		if (redis_error_is(r, fatal[i])) {
			(void)err_set(e, ERR_REMOTE, "%s", text);
			redis_fail(z->redis, ERR_REMOTE, e->text);
			return ERR_REMOTE;
		}
	}
	if (strstr(text, "OOM") != NULL)
		return err_set(e, ERR_FULL,
			       "Redis is out of memory (raise maxmemory, or free some): %s", text);
	if (strstr(text, "READONLY") != NULL) {
		(void)err_set(e, ERR_REMOTE, "%s", text);
		redis_fail(z->redis, ERR_REMOTE, e->text);
		return ERR_REMOTE;
	}
	return err_set(e, ERR_REMOTE, "%s", text);
}
