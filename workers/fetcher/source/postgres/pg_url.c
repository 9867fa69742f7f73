/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/postgres/pg_url.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/base/str.h"

#define KEY	     "management.jdbc.url"
#define PORT	     "5432"
#define PORT_MAX     65535
#define LOOPBACK_NET "127." /* of an address: a name may begin so too */

static const char *const modes[] = { "disable", "allow",     "prefer",
				     "require", "verify-ca", "verify-full" };
static const char *const bindings[] = { "disable", "prefer", "require" };

/* The driver's names of what is libpq's as it is. */
static const struct {
	const char *key, *name;
	const char *const *words; /* that it may be; NULL: any text */
	size_t n_words;
} settings[PG_SETTING__COUNT] = {
	[PG_USER] = { "user", "user", NULL, 0 },
	[PG_PASSWORD] = { "password", "password", NULL, 0 },
	[PG_SSLMODE] = { "sslmode", "sslmode", modes, ARRAY_LEN(modes) },
	[PG_SSLROOTCERT] = { "sslrootcert", "sslrootcert", NULL, 0 },
	[PG_SSLCERT] = { "sslcert", "sslcert", NULL, 0 },
	[PG_SSLKEY] = { "sslkey", "sslkey", NULL, 0 },
	[PG_SSLPASSWORD] = { "sslpassword", "sslpassword", NULL, 0 },
	[PG_CHANNEL_BINDING] = { "channelBinding", "channel_binding", bindings,
				 ARRAY_LEN(bindings) },
	[PG_APPLICATION_NAME] = { "ApplicationName", "application_name", NULL, 0 },
	[PG_OPTIONS] = { "options", "options", NULL, 0 },
};

static const struct {
	const char *word;
	enum pg_target target;
} targets[] = {
	{ "any", PG_ANY },
	{ "primary", PG_PRIMARY },
	{ "master", PG_PRIMARY },
	{ "preferPrimary", PG_PREFER_PRIMARY },
	{ "secondary", PG_SECONDARY },
	{ "slave", PG_SECONDARY },
	{ "preferSecondary", PG_PREFER_SECONDARY },
	{ "preferSlave", PG_PREFER_SECONDARY },
};

/* What else the driver has. */
static const char elsewhere[] =
	"adaptiveFetch adaptiveFetchMaximum adaptiveFetchMinimum allowEncodingChanges "
	"assumeMinServerVersion authenticationPluginClassName autosave binaryTransfer "
	"binaryTransferDisable binaryTransferEnable cancelSignalTimeout cleanupSavepoints "
	"databaseMetadataCacheFields databaseMetadataCacheFieldsMiB defaultRowFetchSize "
	"disableColumnSanitiser escapeSyntaxCallMode groupStartupParameters gssEncMode "
	"gssResponseTimeout gssUseDefaultCreds gsslib hideUnprivilegedObjects "
	"hostRecheckSeconds jaasApplicationName jaasLogin kerberosServerName "
	"loadBalanceHosts localSocketAddress logServerErrorDetail logUnclosedConnections "
	"loggerFile loggerLevel loginTimeout maxResultBuffer maxSendBufferSize "
	"preferQueryMode prepareThreshold preparedStatementCacheQueries "
	"preparedStatementCacheSizeMiB protocolVersion quoteReturningIdentifiers "
	"reWriteBatchedInserts readOnly readOnlyMode receiveBufferSize replication "
	"requireAuth sendBufferSize socketFactoryArg sslNegotiation "
	"sslResponseTimeout sslfactory sslfactoryarg sslhostnameverifier sslpasswordcallback "
	"sspiServiceClass stringtype tcpKeepAlive tcpNoDelay unknownLength useSspi "
	"xmlFactoryFactory";

/* What would lead the driver to another server than hosts and database of the URL do. */
static const char rerouting[] = "PGDBNAME PGHOST PGPORT service socketFactory";

const char *pg_setting_name(enum pg_setting s)
{
	CHECK(s < PG_SETTING__COUNT);
	return settings[s].name;
}

bool pg_host_is_socket(const struct pg_host *h)
{
	return h->name[0] == '/';
}

bool pg_host_is_local(const struct pg_host *h)
{
	struct in_addr v4;

	return pg_host_is_socket(h) ||
	       (str_starts(h->name, LOOPBACK_NET) && inet_pton(AF_INET, h->name, &v4) == 1) ||
	       strcasecmp(h->name, "localhost") == 0 || str_equal(h->name, "::1");
}

/* Percent-decoded, + a blank, and the caller's; NULL: it is encoded wrongly, or has a zero byte. */
static char *decode(const char *s, size_t n)
{
	char *out = mem_alloc(n + 1);
	size_t len = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		int high = s[i] == '%' && i + 2 < n ? str_hex_digit(s[i + 1]) : -1;
		int low = high < 0 ? -1 : str_hex_digit(s[i + 2]);

		if (s[i] == '%' && (low < 0 || (high == 0 && low == 0))) {
			explicit_bzero(out, n);
			mem_free(out);
			return NULL;
		}
		out[len++] = s[i] == '%' ? (char)(high * 16 + low) : s[i] == '+' ? ' ' : s[i];
		i += s[i] == '%' ? 2 : 0;
	}
	out[len] = '\0';
	return out;
}

/* --- hosts --- */

static int bad_host(const char *s, size_t n, struct err *e)
{
	return err_set(e, ERR_CONFIG,
		       KEY ": `%.*s` is no host; write host, host:port or [IPv6 address]:port, "
			   "several with commas",
		       (int)MIN(n, (size_t)60), s);
}

static int add_host(struct pg_url *u, const char *s, size_t n, struct err *e)
{
	size_t len = n > 0 && s[0] == '[' ? n : strcspn(s, ":,/?");
	const char *close = n > 0 && s[0] == '[' ? memchr(s, ']', n) : NULL;
	struct pg_host *h = &u->hosts[u->n_hosts];
	uint64_t number = 0;
	const char *port;

	if (u->n_hosts == PG_URL_HOSTS)
		return err_set(e, ERR_CONFIG, KEY ": more than %d hosts", PG_URL_HOSTS);
	if (n > 0 && s[0] == '[') {
		if (close == NULL)
			return bad_host(s, n, e);
		h->name = decode(s + 1, (size_t)(close - s) - 1);
		port = close + 1;
	} else {
		h->name = decode(s, MIN(len, n));
		port = s + MIN(len, n);
	}
	u->n_hosts++;
	h->port = mem_strdup(PORT);
	if (h->name == NULL || h->name[0] == '\0' || strchr(h->name, '@') != NULL)
		return bad_host(s, n, e);
	if (port == s + n)
		return 0;
	if (*port != ':' || !str_to_u64(port + 1, (size_t)(s + n - port) - 1, &number) ||
	    number == 0 || number > PORT_MAX)
		return bad_host(s, n, e);
	mem_free(h->port);
	h->port = mem_printf("%u", (unsigned)number);
	return 0;
}

static int add_hosts(struct pg_url *u, const char *s, size_t n, struct err *e)
{
	const char *end = s + n;
	int rc = 0;

	while (rc == 0 && s <= end) {
		const char *comma = memchr(s, ',', (size_t)(end - s));
		size_t len = (size_t)((comma == NULL ? end : comma) - s);

		rc = add_host(u, s, len, e);
		s += len + 1;
	}
	return rc;
}

/* --- keys --- */

static bool is_word(const char *s, const char *const *words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (str_equal(s, words[i]))
			return true;
	return n == 0;
}

static int take_target(struct pg_url *u, const char *value, struct err *e)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(targets); i++) {
		if (strcasecmp(value, targets[i].word) != 0)
			continue;
		u->target = targets[i].target;
		return 0;
	}
	return err_set(e, ERR_CONFIG,
		       KEY ": targetServerType `%.40s`; write any, primary, preferPrimary, "
			   "secondary or preferSecondary",
		       value);
}

/* Seconds; 0 and less mean for ever to the driver, and our own limit here. */
static int take_seconds(int *ms, const char *key, const char *value, struct err *e)
{
	uint64_t seconds = 0;

	if (!str_to_u64(value, strlen(value), &seconds) || seconds > PG_TIMEOUT_SECONDS_MAX)
		return err_set(e, ERR_CONFIG, KEY ": %s `%.20s`; write seconds, %d at most", key,
			       value, PG_TIMEOUT_SECONDS_MAX);
	if (seconds > 0)
		*ms = (int)seconds * 1000;
	return 0;
}

/* "ssl=true" asks for TLS as the driver does it then: verified in full. */
static int take_ssl(struct pg_url *u, const char *value, struct err *e)
{
	if (!str_equal(value, "true") && !str_equal(value, "") && !str_equal(value, "false"))
		return err_set(e, ERR_CONFIG, KEY ": ssl `%.20s`; write true or false", value);
	if (!str_equal(value, "false") && u->values[PG_SSLMODE] == NULL)
		u->values[PG_SSLMODE] = mem_strdup("verify-full");
	return 0;
}

/* For people. What the driver does not have may be the second half of a password with a `&` that
   was not encoded. */
static const char *shown(const char *key)
{
	unsigned i;

	for (i = 0; i < PG_SETTING__COUNT; i++)
		if (str_equal(key, settings[i].key))
			return key;
	return str_lists(elsewhere, key, strlen(key))
		       ? key
		       : "a parameter that the driver does not have (write & in a value as %26)";
}

static int take_key(struct pg_url *u, const char *key, const char *value, struct err *e)
{
	unsigned i;

	for (i = 0; i < PG_SETTING__COUNT; i++) {
		if (!str_equal(key, settings[i].key))
			continue;
		if (!is_word(value, settings[i].words, settings[i].n_words))
			return err_set(e, ERR_CONFIG, KEY ": %s `%.20s`; write one of %s to %s",
				       key, value, settings[i].words[0],
				       settings[i].words[settings[i].n_words - 1]);
		mem_free_secret(u->values[i]);
		u->values[i] = mem_strdup(value);
		return 0;
	}
	if (str_equal(key, "ssl"))
		return take_ssl(u, value, e);
	if (str_equal(key, "targetServerType"))
		return take_target(u, value, e);
	if (str_equal(key, "connectTimeout"))
		return take_seconds(&u->connect_timeout_ms, key, value, e);
	if (str_equal(key, "socketTimeout"))
		return take_seconds(&u->socket_timeout_ms, key, value, e);
	if (str_equal(key, "currentSchema")) {
		mem_free(u->schemas);
		u->schemas = mem_strdup(value);
		return 0;
	}
	if (str_lists(rerouting, key, strlen(key)))
		return err_set(e, ERR_CONFIG,
			       KEY
			       ": %s would lead to another server than the rest of the URL, and "
			       "zonesync does not follow it; take it out, and write host, port and "
			       "database as //host:port/database",
			       key);
	map_ids_add(&u->ignored, shown(key));
	return 0;
}

static int take_keys(struct pg_url *u, const char *s, struct err *e)
{
	int rc = 0;

	while (rc == 0 && *s != '\0') {
		size_t n = strcspn(s, "&");
		const char *equals = memchr(s, '=', n);
		size_t key_n = equals == NULL ? n : (size_t)(equals - s);
		char *key = mem_dup(s, key_n); /* the driver decodes values only */
		char *value = equals == NULL ? mem_strdup("") : decode(equals + 1, n - key_n - 1);

		if (value == NULL)
			rc = err_set(e, ERR_CONFIG, KEY ": a %% that encodes nothing, in %s",
				     shown(key));
		else if (n > 0)
			rc = take_key(u, key, value, e);
		mem_free(key);
		mem_free_secret(value);
		s += n + (s[n] == '&' ? 1 : 0);
	}
	return rc;
}

/* --- the whole --- */

static int parse(const char *text, struct pg_url *u, struct err *e)
{
	static const char *const schemes[] = { "jdbc:postgresql:", "jdbc:pgsql:" };
	const char *s = NULL;
	size_t n;
	int rc = 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(schemes); i++)
		if (str_starts(text, schemes[i]))
			s = text + strlen(schemes[i]);
	if (s == NULL)
		return err_set(e, ERR_CONFIG,
			       KEY ": is of no database that can be read; PostgreSQL's begins with "
				   "jdbc:postgresql://");
	if (str_starts(s, "//")) {
		s += 2;
		n = strcspn(s, "/?");
		rc = n == 0 ? 0 : add_hosts(u, s, n, e);
		if (rc < 0 && memchr(s, '@', strcspn(s, "?")) != NULL)
			rc = err_set(e, ERR_CONFIG,
				     KEY ": user and password cannot stand before the host; "
					 "write user= and password= behind the ?");
		s += n;
		s += *s == '/' ? 1 : 0;
	}
	if (rc == 0 && u->n_hosts == 0)
		rc = add_host(u, "localhost", strlen("localhost"), e);
	n = strcspn(s, "?");
	if (rc == 0 && n > 0) {
		u->database = decode(s, n);
		if (u->database == NULL)
			rc = err_set(e, ERR_CONFIG,
				     KEY ": the database's name is not encoded as it should be");
	}
	if (rc == 0 && s[n] == '?')
		rc = take_keys(u, s + n + 1, e);
	return rc;
}

int pg_url_parse(const char *text, struct pg_url *out, struct err *e)
{
	struct pg_url u = { .connect_timeout_ms = PG_CONNECT_TIMEOUT_MS,
			    .socket_timeout_ms = PG_SOCKET_TIMEOUT_MS };
	int rc = parse(text, &u, e);

	if (rc < 0)
		pg_url_reset(&u);
	else
		*out = u;
	return rc;
}

void pg_url_reset(struct pg_url *u)
{
	size_t i;

	for (i = 0; i < u->n_hosts; i++) {
		mem_free(u->hosts[i].name);
		mem_free(u->hosts[i].port);
	}
	for (i = 0; i < PG_SETTING__COUNT; i++)
		mem_free_secret(u->values[i]);
	map_ids_reset(&u->ignored);
	mem_free(u->database);
	mem_free(u->schemas);
	*u = (struct pg_url){ 0 };
}
