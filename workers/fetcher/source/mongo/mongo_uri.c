/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/mongo/mongo_uri.h"

#include <mongoc/mongoc.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/base/str.h"

#define KEY	       "management.mongodb.uri: "
#define PORT_MAX       65535
#define NAME_MAX_BYTES 64
#define PIECE	       "; in a user or password, / ? # @ : %% and & are percent-encoded (@ is %%40)"

static const char *const schemes[] = { "mongodb://", "mongodb+srv://" };

/* Of the Java driver, or older ones of it. Nothing that we read depends on them. */
static const char ignored[] =
	"fsync j journal maxconnecting maxidletimems maxlifetimems maxpoolsize minpoolsize "
	"retrywrites safe servermonitoringmode slaveok streamtype timeoutms uuidrepresentation w "
	"waitqueuemultiple waitqueuetimeoutms wtimeout wtimeoutms";

/* Through which other servers would be reached. */
static const char refused[] = "proxyhost proxypassword proxyport proxyusername";

/* What the two drivers call differently. */
static const struct {
	const char *theirs, *ours;
} renamed[] = {
	{ "sslinvalidhostnameallowed", "tlsallowinvalidhostnames" },
};

static bool is_ours(const char *name)
{
	return mongoc_uri_option_is_int32(name) || mongoc_uri_option_is_int64(name) ||
	       mongoc_uri_option_is_bool(name) || mongoc_uri_option_is_utf8(name) ||
	       str_lists("authmechanism authmechanismproperties authsource compressors "
			 "gssapiservicename readconcernlevel readpreference readpreferencetags w",
			 name, strlen(name));
}

/* --- hosts --- */

static int bad_host(const char *what, struct err *e)
{
	return err_set(e, ERR_CONFIG,
		       KEY "%s; write host or host:port, several with commas, and user:password@ "
			   "before the first" PIECE,
		       what);
}

/* "host", "host:port", "[address]:port"; a socket's path has its slashes encoded. */
static int check_host(const char *s, size_t n, struct err *e)
{
	const char *colon = n == 0 ? NULL : memrchr(s, ':', n);
	uint64_t port = 0;

	if (n == 0 || colon == s)
		return bad_host("a host has no name", e);
	if (colon == NULL || s[n - 1] == ']') /* of an address */
		return 0;
	if (!str_to_u64(colon + 1, (size_t)(s + n - colon) - 1, &port) || port == 0 ||
	    port > PORT_MAX)
		return bad_host("a port is none of 1 to 65535", e);
	return 0;
}

static int check_hosts(const char *s, size_t n, struct err *e)
{
	const char *end = s + n;
	int rc = 0;

	while (rc == 0 && s <= end) {
		const char *comma = memchr(s, ',', (size_t)(end - s));
		size_t len = (size_t)((comma == NULL ? end : comma) - s);

		rc = check_host(s, len, e);
		s += len + 1;
	}
	return rc;
}

/* Up to the last @; the driver of Java allows one colon in it and no other @. */
static int take_user(const char *s, size_t n, struct buf *out, struct err *e)
{
	const char *colon = memchr(s, ':', n);
	size_t i;

	if (memchr(s, '@', n) != NULL ||
	    (colon != NULL && memchr(colon + 1, ':', n - (size_t)(colon - s) - 1) != NULL))
		return err_set(e, ERR_CONFIG,
			       KEY "user and password have an @ or a : of their own" PIECE);
	for (i = 0; i < n; i++)
		if (s[i] == '%' &&
		    (i + 2 >= n || str_hex_digit(s[i + 1]) < 0 || str_hex_digit(s[i + 2]) < 0))
			return err_set(e, ERR_CONFIG,
				       KEY "a %% in user or password encodes nothing" PIECE);
	buf_add(out, s, n);
	buf_addc(out, '@');
	return 0;
}

static int take_authority(const char *s, size_t n, struct buf *out, struct err *e)
{
	const char *at = memrchr(s, '@', n);
	const char *hosts = at == NULL ? s : at + 1;
	size_t len = n - (size_t)(hosts - s);
	int rc = at == NULL ? 0 : take_user(s, (size_t)(at - s), out, e);

	if (rc == 0)
		rc = check_hosts(hosts, len, e);
	if (rc == 0)
		buf_add(out, hosts, len);
	return rc;
}

/* --- options --- */

/* In lower case, under our driver's name; false: it is longer than any. */
static bool name_of(char out[NAME_MAX_BYTES], const char *s, size_t n)
{
	size_t i;

	if (n >= NAME_MAX_BYTES)
		return false;
	for (i = 0; i < n; i++)
		out[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 'a' - 'A' : s[i]);
	out[n] = '\0';
	for (i = 0; i < ARRAY_LEN(renamed); i++)
		if (str_equal(out, renamed[i].theirs))
			str_copy(out, NAME_MAX_BYTES, renamed[i].ours);
	return true;
}

static void add_option(struct buf *out, const char *name, const char *value, size_t n)
{
	buf_printf(out, "%c%s=", memchr(out->data, '?', out->len) == NULL ? '?' : '&', name);
	buf_add(out, value, n);
}

static int take_option(struct mongo_uri *u, struct buf *out, const char *s, size_t n, struct err *e)
{
	const char *equals = memchr(s, '=', n);
	char name[NAME_MAX_BYTES];

	if (equals == NULL)
		return err_set(e, ERR_CONFIG,
			       KEY
			       "an option has no value; behind the ? stand name=value, apart by "
			       "&" PIECE);
	if (!name_of(name, s, (size_t)(equals - s)))
		str_copy(name, sizeof(name), "");
	if (str_lists(refused, name, strlen(name)))
		return err_set(e, ERR_CONFIG,
			       KEY
			       "has %s, and zonesync knows no proxies; take it out, and let the "
			       "servers be reached directly",
			       name);
	if (is_ours(name) && !str_lists(ignored, name, strlen(name)))
		add_option(out, name, equals + 1, n - (size_t)(equals - s) - 1);
	else if (!str_lists(ignored, name, strlen(name)))
		map_ids_add(&u->ignored, "an option that no driver has");
	if (str_equal(name, "slaveok") && str_starts(equals + 1, "true"))
		add_option(out, "readpreference", "secondaryPreferred",
			   strlen("secondaryPreferred"));
	return 0;
}

static int take_options(struct mongo_uri *u, struct buf *out, const char *s, struct err *e)
{
	int rc = 0;

	while (rc == 0 && *s != '\0') {
		size_t n = strcspn(s, "&;");

		if (n > 0)
			rc = take_option(u, out, s, n, e);
		s += n + (s[n] == '\0' ? 0 : 1);
	}
	return rc;
}

/* --- the whole --- */

static int parse(struct mongo_uri *u, struct buf *out, const char *text, struct err *e)
{
	const char *s = NULL;
	size_t n;
	int rc;
	size_t i;

	for (i = 0; i < ARRAY_LEN(schemes); i++) {
		if (!str_starts(text, schemes[i]))
			continue;
		s = text + strlen(schemes[i]);
		buf_adds(out, schemes[i]);
	}
	if (s == NULL)
		return err_set(e, ERR_CONFIG,
			       KEY "is no connection string; it begins with mongodb:// or "
				   "mongodb+srv://");
	n = strcspn(s, "/?");
	rc = take_authority(s, n, out, e);
	buf_addc(out, '/');
	s += n + (s[n] == '/' ? 1 : 0);
	n = strcspn(s, "?");
	buf_add(out, s, strcspn(s, ".?")); /* a collection may follow, which means nothing here */
	if (rc == 0 && s[n] == '?')
		rc = take_options(u, out, s + n + 1, e);
	return rc;
}

int mongo_uri_parse(const char *text, struct mongo_uri *out, struct err *e)
{
	struct mongo_uri u = { 0 };
	struct buf b = { 0 };
	int rc = parse(&u, &b, text, e);

	u.text = buf_take(&b);
	if (rc < 0)
		mongo_uri_reset(&u);
	else
		*out = u;
	return rc;
}

void mongo_uri_reset(struct mongo_uri *u)
{
	mem_free_secret(u->text);
	map_ids_reset(&u->ignored);
	*u = (struct mongo_uri){ 0 };
}
