/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/mongo/mongo_client.h"

#include <mongoc/mongoc.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/message/message.h"
#include "workers/fetcher/source/mongo/mongo_uri.h"

#define SOCKET_TIMEOUT_DEFAULT_MS 30000 /* of a URI that does not say: the driver's is 5 min */

static atomic_bool driver_used;

static void ignore_log(mongoc_log_level_t level, const char *domain, const char *text, void *arg)
{
	UNUSED(level);
	UNUSED(domain);
	UNUSED(text); /* what matters comes back as an error */
	UNUSED(arg);
}

/* --- what is configured --- */

static void set_ms(mongoc_uri_t *uri, const char *option, uint32_t ms)
{
	/* What the connection string says itself stands. */
	if (mongoc_uri_get_option_as_int32(uri, option, -1) == -1 && ms <= INT32_MAX)
		(void)mongoc_uri_set_option_as_int32(uri, option, (int32_t)ms);
}

static void set_read_preference(mongoc_uri_t *uri, const Ipc__Mongo *c)
{
	static const struct {
		const char *name;
		mongoc_read_mode_t mode;
	} modes[] = { { "primary", MONGOC_READ_PRIMARY },
		      { "primaryPreferred", MONGOC_READ_PRIMARY_PREFERRED },
		      { "secondary", MONGOC_READ_SECONDARY },
		      { "secondaryPreferred", MONGOC_READ_SECONDARY_PREFERRED },
		      { "nearest", MONGOC_READ_NEAREST } };
	mongoc_read_prefs_t *prefs = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
	bson_t tags = BSON_INITIALIZER;
	size_t i;

	for (i = 0; i < ARRAY_LEN(modes); i++)
		if (str_equal(c->read_preference, modes[i].name))
			mongoc_read_prefs_set_mode(prefs, modes[i].mode);
	for (i = 0; i < c->n_read_tags; i++) {
		const char *colon = strchr(c->read_tags[i], ':');

		if (colon != NULL)
			bson_append_utf8(&tags, c->read_tags[i], (int)(colon - c->read_tags[i]),
					 colon + 1, -1);
	}
	if (c->n_read_tags > 0 && mongoc_read_prefs_get_mode(prefs) != MONGOC_READ_PRIMARY)
		mongoc_read_prefs_add_tag(prefs, &tags);
	if (mongoc_read_prefs_is_valid(prefs))
		mongoc_uri_set_read_prefs_t(uri, prefs);
	bson_destroy(&tags);
	mongoc_read_prefs_destroy(prefs);
}

static mongoc_uri_t *uri_of_parts(const Ipc__Mongo *c, bson_error_t *be)
{
	struct buf text = { 0 };
	mongoc_uri_t *uri;
	size_t i;

	buf_adds(&text, "mongodb://");
	for (i = 0; i < c->n_hosts; i++)
		buf_printf(&text, "%s%s", i == 0 ? "" : ",", c->hosts[i]);
	uri = mongoc_uri_new_with_error(buf_cstr(&text), be);
	buf_reset(&text);
	if (uri == NULL)
		return NULL;
	(void)mongoc_uri_set_database(uri, c->database);
	if (c->username[0] != '\0') {
		(void)mongoc_uri_set_username(uri, c->username);
		(void)mongoc_uri_set_password(uri, c->password);
		(void)mongoc_uri_set_auth_source(uri, c->auth_source);
	}
	if (c->read_preference[0] != '\0')
		set_read_preference(uri, c);
	set_ms(uri, MONGOC_URI_SOCKETTIMEOUTMS, c->socket_timeout_ms);
	set_ms(uri, MONGOC_URI_LOCALTHRESHOLDMS, c->local_threshold_ms);
	set_ms(uri, MONGOC_URI_HEARTBEATFREQUENCYMS, c->heartbeat_ms);
	return uri;
}

/* The driver quotes the values of options: here and there a secret, or what is behind a ? in a
   password that should have been encoded. */
static int refuse(const char *uri, const char *text, struct err *e)
{
	const char *options = strchr(uri, '?');
	bool secret = options != NULL &&
		      (strchr(options, '@') != NULL || strcasestr(options, "password=") != NULL ||
		       strcasestr(options, "authmechanismproperties=") != NULL);

	return err_set(e, ERR_CONFIG, "%s: %s",
		       uri[0] == '\0' ? "management.mongodb" : "management.mongodb.uri",
		       secret ? "the driver does not take one of its options, or its value" : text);
}

/* Others are refused with the first connection, and it is no outage. */
static int check_mechanism(const mongoc_uri_t *uri, struct err *e)
{
	static const char known[] =
		"GSSAPI MONGODB-AWS MONGODB-X509 PLAIN SCRAM-SHA-1 SCRAM-SHA-256";
	const char *name = mongoc_uri_get_auth_mechanism(uri);

	if (name == NULL || str_lists(known, name, strlen(name)))
		return 0;
	return err_set(
		e, ERR_CONFIG,
		"management.mongodb.uri: authMechanism is none that is spoken here; there are %s",
		known);
}

static int make_uri(mongoc_uri_t **out, struct map_ids *ignored, const Ipc__Mongo *c, struct err *e)
{
	struct mongo_uri parsed = { 0 };
	bson_error_t be = { 0 };
	int rc = c->uri[0] == '\0' ? 0 : mongo_uri_parse(c->uri, &parsed, e);

	if (rc < 0)
		return rc;
	*out = c->uri[0] == '\0' ? uri_of_parts(c, &be)
				 : mongoc_uri_new_with_error(parsed.text, &be);
	map_ids_copy(ignored, &parsed.ignored);
	mongo_uri_reset(&parsed);
	return *out == NULL ? refuse(c->uri, be.message, e) : check_mechanism(*out, e);
}

int mongo_client_init(struct mongo_client *out, const Ipc__Mongo *c, struct err *e)
{
	struct mongo_client m = { .fds = TLS_FDS_NONE };
	int rc;

	if (!atomic_exchange(&driver_used, true)) {
		mongoc_log_set_handler(ignore_log, NULL);
		mongoc_init();
	}
	rc = make_uri(&m.uri, &m.ignored, c, e);
	if (rc < 0) {
		mongoc_uri_destroy(m.uri); /* NULL is none */
		map_ids_reset(&m.ignored);
		return rc;
	}
	set_ms(m.uri, MONGOC_URI_CONNECTTIMEOUTMS, c->connect_timeout_ms);
	set_ms(m.uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, c->server_selection_timeout_ms);
	set_ms(m.uri, MONGOC_URI_SOCKETTIMEOUTMS, SOCKET_TIMEOUT_DEFAULT_MS);
	m.tls = message_copy(c->tls);
	*out = m;
	return 0;
}

/* --- what can be said of it --- */

static void check_verified(const struct mongo_client *c, Ipc__Checked *out)
{
	static const char *const insecure[] = { MONGOC_URI_TLSINSECURE,
						MONGOC_URI_TLSALLOWINVALIDCERTIFICATES,
						MONGOC_URI_TLSALLOWINVALIDHOSTNAMES };
	size_t i;

	for (i = 0; i < ARRAY_LEN(insecure); i++)
		if (mongoc_uri_get_option_as_bool(c->uri, insecure[i], false))
			remark_add(
				out, IPC__REMARK__LEVEL__WARNING,
				"management.mongodb.uri: has %s: the server is not verified, and "
				"another may be taken for the database; take it out",
				insecure[i]);
}

void mongo_client_check(const struct mongo_client *c, bool look, Ipc__Checked *out)
{
	static const char *const files[] = { MONGOC_URI_TLSCAFILE,
					     MONGOC_URI_TLSCERTIFICATEKEYFILE };
	size_t i;

	check_verified(c, out);
	for (i = 0; i < c->ignored.n; i++)
		remark_add(out, IPC__REMARK__LEVEL__WARNING,
			   "management.mongodb.uri: has %s, which is ignored; take it out",
			   c->ignored.v[i]);
	for (i = 0; look && i < ARRAY_LEN(files); i++) {
		const char *path = mongoc_uri_get_option_as_utf8(c->uri, files[i], NULL);

		if (path != NULL)
			remark_file(out, "management.mongodb.uri", files[i], path);
	}
}

void mongo_client_copy(struct mongo_client *to, const struct mongo_client *from)
{
	*to = (struct mongo_client){ .uri = mongoc_uri_copy(from->uri),
				     .tls = message_copy(from->tls),
				     .fds = TLS_FDS_NONE };
	CHECK(to->uri != NULL);
}

/* --- the connection --- */

/* Files in memory, made anew with each client: what lies in the stores now counts. */
static int protect(struct mongo_client *c, struct err *e)
{
	int rc;

	if (c->tls == NULL)
		return 0;
	rc = tls_fds_open(&c->fds, c->tls, e);
	if (rc < 0)
		return err_wrap(e, "management.mongodb");
	(void)mongoc_uri_set_option_as_bool(c->uri, MONGOC_URI_TLS, true);
	if (c->tls->any_name)
		(void)mongoc_uri_set_option_as_bool(c->uri, MONGOC_URI_TLSALLOWINVALIDHOSTNAMES,
						    true);
	if (c->fds.ca != NULL)
		(void)mongoc_uri_set_option_as_utf8(c->uri, MONGOC_URI_TLSCAFILE, c->fds.ca);
	if (c->fds.key != NULL)
		(void)mongoc_uri_set_option_as_utf8(c->uri, MONGOC_URI_TLSCERTIFICATEKEYFILE,
						    c->fds.key);
	return 0;
}

int mongo_client_open(struct mongo_client *c, const char *name, struct err *e)
{
	bson_error_t be = { 0 };
	int rc;

	if (c->client != NULL)
		return 0;
	rc = protect(c, e);
	if (rc < 0)
		return rc;
	c->client = mongoc_client_new_from_uri_with_error(c->uri, &be);
	if (c->client == NULL) { /* mongodb+srv: the name service does not answer, say */
		tls_fds_close(&c->fds);
		return err_set(e, ERR_TIMEOUT, "MongoDB: %s", be.message);
	}
	(void)mongoc_client_set_error_api(c->client, MONGOC_ERROR_API_VERSION_2);
	(void)mongoc_client_set_appname(c->client, name);
	return 0;
}

void mongo_client_close(struct mongo_client *c)
{
	if (c->client != NULL)
		mongoc_client_destroy(c->client);
	c->client = NULL;
	tls_fds_close(&c->fds);
}

void mongo_client_reset(struct mongo_client *c)
{
	mongo_client_close(c);
	mongoc_uri_destroy(c->uri);
	message_free(c->tls);
	map_ids_reset(&c->ignored);
	c->tls = NULL;
	c->uri = NULL;
}

void mongo_client_cleanup(void)
{
	if (atomic_load(&driver_used))
		mongoc_cleanup();
}
