/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/postgres/pg_conn.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "common/message/message.h"
#include "common/tls/fds.h"

#define KEEPALIVE_IDLE_S     "15"
#define KEEPALIVE_INTERVAL_S "5"
#define KEEPALIVE_COUNT	     "3"
#define CLIENT_CHECK_MS	     5000  /* how often a server looks whether we are still there */
#define GRACE_MS	     60000 /* beyond our own limits: the server's are for when we are gone */
#define POOLER_MS	     2000  /* for what another session tells to arrive */
#define VERSION_CLIENT_CHECK 140000 /* client_connection_check_interval */
#define VERSION_JIT	     110000
#define VERSION_SYSTEM_CERTS 160000 /* of libpq: sslrootcert=system */
#define PARAMS_MAX	     24
#define ZONES		     "/usr/share/zoneinfo"

struct pg_conn {
	PGconn *pg;    /* owned */
	PGresult *row; /* owned; the one in hand */
	const struct pg_options *o;
};

/* --- TLS --- */

static const char *ssl_mode(const struct pg_options *o, const struct pg_host *h)
{
	if (pg_host_is_socket(h)) /* libpq speaks no TLS there, whatever it is asked for */
		return "disable";
	if (o->url.values[PG_SSLMODE] != NULL)
		return o->url.values[PG_SSLMODE];
	if (o->tls != NULL)
		return "verify-full";
	return pg_host_is_local(h) ? "prefer" : "verify-full";
}

/* The certificates this system trusts; NULL: they are where nobody keeps them. */
static const char *system_certificates(void)
{
	static const char *const bundles[] = { "/etc/ssl/certs/ca-certificates.crt",
					       "/etc/pki/tls/certs/ca-bundle.crt",
					       "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };
	size_t i;

	if (PQlibVersion() >= VERSION_SYSTEM_CERTS)
		return "system";
	for (i = 0; i < ARRAY_LEN(bundles); i++)
		if (access(bundles[i], R_OK) == 0)
			return bundles[i];
	return NULL;
}

static bool has_truststore(const struct pg_options *o)
{
	return o->tls != NULL && o->tls->truststore != NULL;
}

/* Those of the URL, or the system's: where there is no truststore. */
static const char *root_certificates(const struct pg_options *o, const struct pg_host *h)
{
	if (o->url.values[PG_SSLROOTCERT] != NULL)
		return o->url.values[PG_SSLROOTCERT];
	return str_starts(ssl_mode(o, h), "verify-") ? system_certificates() : NULL;
}

static const char *password_of(const struct pg_options *o)
{
	return o->password[0] != '\0' ? o->password : o->url.values[PG_PASSWORD];
}

/* A server that is not verified must at least know the password without being told it.
   One that is verified may ask for it as it likes; SCRAM is bound to the channel anyhow. */
static const char *channel_binding(const struct pg_options *o, const char *mode)
{
	if (o->url.values[PG_CHANNEL_BINDING] != NULL)
		return o->url.values[PG_CHANNEL_BINDING];
	return password_of(o) != NULL &&
			       (str_equal(mode, "require") || str_equal(mode, "verify-ca"))
		       ? "require"
		       : "prefer";
}

/* --- what can be said of it --- */

/* The database has names of its own, mostly those of the system, in any case of letters; one with
   a digit may be a rule ("EST5EDT"), and is left to it. */
static void look_at_zone(const char *name, Ipc__Checked *out)
{
	char at[PATH_MAX] = ZONES;
	const char *s = name;

	if (access(ZONES, R_OK | X_OK) < 0 || strpbrk(name, "0123456789<,") != NULL)
		return;
	while (*s != '\0') {
		size_t n = strcspn(s, "/");
		DIR *d = opendir(at);
		struct dirent *found = NULL;

		while (d != NULL && (found = readdir(d)) != NULL)
			if (strlen(found->d_name) == n && strncasecmp(found->d_name, s, n) == 0)
				break;
		if (found != NULL)
			str_print(at + strlen(at), sizeof(at) - strlen(at), "/%s", found->d_name);
		if (d != NULL)
			(void)closedir(d);
		if (found == NULL) {
			remark_add(
				out, IPC__REMARK__LEVEL__ERROR,
				"management.jdbc.timezone: `%s` is no time zone; write one such as "
				"UTC or Europe/Paris",
				name);
			return;
		}
		s += n + (s[n] == '/' ? 1 : 0);
	}
}

int pg_options_check(const struct pg_options *o, struct err *e)
{
	size_t i;

	for (i = 0; i < o->url.n_hosts; i++) {
		const struct pg_host *h = &o->url.hosts[i];

		if (!pg_host_is_local(h) && str_starts(ssl_mode(o, h), "verify-") &&
		    !has_truststore(o) && root_certificates(o, h) == NULL)
			return err_set(e, ERR_CONFIG,
				       "management.jdbc.url: the certificates that this system "
				       "trusts were not found; add sslrootcert=FILE with the one "
				       "that vouches for %s",
				       h->name);
	}
	return 0;
}

static void look_at_files(const struct pg_options *o, Ipc__Checked *out)
{
	static const enum pg_setting files[] = { PG_SSLROOTCERT, PG_SSLCERT, PG_SSLKEY };
	size_t i;

	for (i = 0; i < ARRAY_LEN(files); i++)
		if (o->url.values[files[i]] != NULL)
			remark_file(out, "management.jdbc.url", pg_setting_name(files[i]),
				    o->url.values[files[i]]);
	look_at_zone(o->timezone, out);
}

void pg_options_look(const struct pg_options *o, bool look, Ipc__Checked *out)
{
	size_t i;

	for (i = 0; i < o->url.ignored.n; i++)
		remark_add(out, IPC__REMARK__LEVEL__WARNING,
			   "management.jdbc.url: has %s, which is ignored; take it out",
			   o->url.ignored.v[i]);
	for (i = 0; i < o->url.n_hosts; i++) {
		const char *mode = o->url.values[PG_SSLMODE];

		if (mode != NULL && !pg_host_is_local(&o->url.hosts[i]) &&
		    !str_equal(mode, "verify-full"))
			remark_add(out, IPC__REMARK__LEVEL__WARNING,
				   "management.jdbc.url: has sslmode=%s: another server may be "
				   "taken for the database; take it out, for verify-full",
				   mode);
	}
	if (look)
		look_at_files(o, out);
}

void pg_options_reset(struct pg_options *o)
{
	pg_url_reset(&o->url);
	mem_free(o->username);
	mem_free_secret(o->password);
	mem_free(o->schema);
	mem_free(o->timezone);
	message_free(o->tls);
	*o = (struct pg_options){ 0 };
}

/* --- errors and waiting --- */

static void ignore_notice(void *arg, const char *text)
{
	UNUSED(arg);
	UNUSED(text); /* what matters comes back as an error */
}

/* libpq's texts have lines. */
static int failed(int code, const char *doing, const char *text, struct err *e)
{
	struct buf b = { 0 };
	const char *s;

	for (s = text; *s != '\0'; s++) {
		if (*s != '\n')
			buf_addc(&b, *s == '\t' ? ' ' : *s);
		else if (s[1] != '\0')
			buf_adds(&b, "; ");
	}
	if (strstr(text, "channel binding") != NULL)
		buf_adds(&b, " (channelBinding=prefer in management.jdbc.url does without)");
	(void)err_set(e, code, "PostgreSQL, %s: %s", doing, buf_cstr(&b));
	buf_reset(&b);
	return code;
}

/* false: the time is over. */
static bool wait_for(const PGconn *pg, short events, int64_t deadline_ms)
{
	struct pollfd p = { PQsocket(pg), events, 0 };
	int n;

	do {
		int64_t left = deadline_ms - clock_boot_ms();

		if (left <= 0)
			return false;
		n = poll(&p, 1, (int)left);
	} while (n < 0 && errno == EINTR);
	return n != 0; /* an error shows itself in what is done next */
}

static int silent(const struct pg_conn *c, struct err *e)
{
	return err_set(e, ERR_TIMEOUT,
		       "PostgreSQL did not answer within %d ms (socketTimeout of "
		       "management.jdbc.url, in seconds)",
		       c->o->url.socket_timeout_ms);
}

static int64_t silence_deadline(const struct pg_conn *c)
{
	return clock_boot_ms() + c->o->url.socket_timeout_ms;
}

/* --- connecting --- */

struct target {
	const struct pg_options *o;
	struct tls_fds fds;	/* of the stores */
	const char *attributes; /* that a server must have */
};

struct params {
	const char *keys[PARAMS_MAX + 1];
	const char *values[PARAMS_MAX + 1];
	unsigned n;
};

static void put(struct params *p, const char *key, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	CHECK(p->n < PARAMS_MAX);
	p->keys[p->n] = key;
	p->values[p->n++] = value;
}

static void put_identity(struct params *p, const struct target *t)
{
	unsigned i;

	for (i = PG_SSLCERT; t->fds.key == NULL && i <= PG_SSLPASSWORD; i++)
		put(p, pg_setting_name((enum pg_setting)i), t->o->url.values[i]);
	put(p, pg_setting_name(PG_SSLCERT), t->fds.key);
	put(p, pg_setting_name(PG_SSLKEY), t->fds.key);
}

static void make_params(struct params *p, const struct target *t, const struct pg_host *h,
			const char *limit_ms)
{
	const struct pg_options *o = t->o;
	const char *mode = ssl_mode(o, h);

	put(p, "host", h->name);
	put(p, "port", h->port);
	put(p, "user", o->username[0] != '\0' ? o->username : o->url.values[PG_USER]);
	put(p, "password", password_of(o));
	put(p, "dbname", o->url.database);
	put(p, "sslmode", mode);
	put(p, "sslrootcert", t->fds.ca != NULL ? t->fds.ca : root_certificates(o, h));
	put(p, "channel_binding", channel_binding(o, mode));
	put_identity(p, t);
	put(p, "gssencmode", "disable");
	put(p, "application_name",
	    o->url.values[PG_APPLICATION_NAME] != NULL ? o->url.values[PG_APPLICATION_NAME]
						       : "zonesync");
	put(p, "options", o->url.values[PG_OPTIONS]);
	put(p, "client_encoding", "UTF8");
	put(p, "target_session_attrs", t->attributes);
	put(p, "tcp_user_timeout", limit_ms);
	put(p, "keepalives", "1");
	put(p, "keepalives_idle", KEEPALIVE_IDLE_S);
	put(p, "keepalives_interval", KEEPALIVE_INTERVAL_S);
	put(p, "keepalives_count", KEEPALIVE_COUNT);
}

static int await_connection(PGconn *pg, const struct pg_host *h, int64_t deadline_ms, struct err *e)
{
	PostgresPollingStatusType st = PGRES_POLLING_WRITING;

	while (PQstatus(pg) != CONNECTION_BAD && st != PGRES_POLLING_OK &&
	       st != PGRES_POLLING_FAILED) {
		if (!wait_for(pg, st == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms))
			return err_set(e, ERR_TIMEOUT,
				       "PostgreSQL at %s:%s did not let us in in time "
				       "(connectTimeout of management.jdbc.url)",
				       h->name, h->port);
		st = PQconnectPoll(pg);
	}
	if (PQstatus(pg) != CONNECTION_OK)
		return failed(ERR_TIMEOUT, "connecting", PQerrorMessage(pg), e);
	return 0;
}

static int try_host(PGconn **out, const struct target *t, const struct pg_host *h,
		    int64_t deadline_ms, struct err *e)
{
	const struct pg_url *url = &t->o->url;
	char limit[16];
	struct params p = { .n = 0 };
	PGconn *pg;
	int rc;

	(void)snprintf(limit, sizeof(limit), "%d", url->socket_timeout_ms);
	make_params(&p, t, h, limit);
	pg = PQconnectStartParams(p.keys, p.values, 0);
	CHECK(pg != NULL);
	(void)PQsetNoticeProcessor(pg, ignore_notice, NULL);
	rc = await_connection(pg, h, MIN(deadline_ms, clock_boot_ms() + url->connect_timeout_ms),
			      e);
	if (rc == 0 && PQsetnonblocking(pg, 1) != 0)
		rc = failed(ERR_REMOTE, "connecting", PQerrorMessage(pg), e);
	if (rc < 0)
		PQfinish(pg);
	else
		*out = pg;
	return rc;
}

/* Host by host, as libpq would, but none may keep us for longer than its time. */
static int connect_any(PGconn **out, const struct pg_options *o, struct err *e)
{
	static const char *const wishes[][2] = {
		[PG_ANY] = { "any", NULL },
		[PG_PRIMARY] = { "primary", NULL },
		[PG_PREFER_PRIMARY] = { "primary", "any" },
		[PG_SECONDARY] = { "standby", NULL },
		[PG_PREFER_SECONDARY] = { "standby", "any" },
	};
	int64_t deadline_ms = clock_boot_ms() + PG_CONNECT_ALL_MS;
	struct target t = { .o = o, .fds = TLS_FDS_NONE };
	int rc = o->tls == NULL ? 0 : tls_fds_open(&t.fds, o->tls, e);
	unsigned turn;
	size_t i;

	if (rc < 0)
		return err_wrap(e, "management.jdbc");
	rc = ERR_TIMEOUT;
	for (turn = 0; rc < 0 && turn < 2 && wishes[o->url.target][turn] != NULL; turn++) {
		t.attributes = wishes[o->url.target][turn];
		for (i = 0; rc < 0 && i < o->url.n_hosts; i++)
			rc = try_host(out, &t, &o->url.hosts[i], deadline_ms, e);
	}
	tls_fds_close(&t.fds); /* read by now: each connection is made once */
	return rc;
}

/* --- poolers --- */

/* A pooler makes up the process it names. On a standby nothing can be told. */
static int ask_pooled(struct pg_conn *c, bool *pooled, struct err *e)
{
	struct pg_select q = { 0 };
	struct pg_value v = { 0 };
	int rc;

	buf_printf(&q.text, "SELECT pg_backend_pid() <> %d AND NOT pg_is_in_recovery()",
		   PQbackendPID(c->pg));
	rc = pg_conn_ask(c, &q, e);
	pg_select_reset(&q);
	if (rc == 0 && (rc = pg_conn_next(c, &v, 1, e)) > 0) {
		*pooled = v.p != NULL && v.p[0] != 0;
		rc = pg_conn_next(c, &v, 1, e); /* to the end of the answer */
	}
	return rc;
}

/* What another session tells comes only to one that is ours between two transactions, too. */
static int tell_from_another(const struct pg_conn *c, const char *channel, struct err *e)
{
	struct pg_conn other = { .o = c->o };
	struct buf sql = { 0 };
	int rc = connect_any(&other.pg, c->o, e);

	if (rc < 0)
		return rc;
	buf_printf(&sql, "NOTIFY %s", channel);
	rc = pg_conn_run(&other, buf_cstr(&sql), e);
	buf_reset(&sql);
	PQfinish(other.pg);
	return rc;
}

static void on_told(void *arg, const char *payload)
{
	UNUSED(payload);
	*(bool *)arg = true;
}

/* One that gives a session to others between two transactions would give them our settings,
   and us theirs: another time zone, say, or no right to write. */
static int check_pooler(struct pg_conn *c, struct err *e)
{
	struct buf sql = { 0 };
	bool pooled = false;
	bool told = false;
	int64_t until_ms;
	char *channel;
	int rc = ask_pooled(c, &pooled, e);

	if (rc < 0 || !pooled)
		return rc;
	/* Of nothing that a pooler says: a pid of its making may be negative. */
	channel = mem_printf("zonesync_session_%d_%" PRId64, getpid(), clock_boot_us());
	buf_printf(&sql, "LISTEN %s", channel);
	rc = pg_conn_run(c, buf_cstr(&sql), e);
	if (rc == 0)
		rc = tell_from_another(c, channel, e);
	until_ms = clock_boot_ms() + POOLER_MS;
	while (rc == 0 && !told && clock_boot_ms() < until_ms)
		rc = pg_conn_wait(c, POOLER_MS, on_told, &told, e);
	buf_clear(&sql);
	buf_printf(&sql, "UNLISTEN %s", channel);
	if (rc == 0)
		rc = pg_conn_run(c, buf_cstr(&sql), e);
	if (rc == 0 && !told)
		rc = err_set(e, ERR_REMOTE,
			     "PostgreSQL: a connection pooler stands between that gives sessions "
			     "to others between transactions; name the server itself in "
			     "management.jdbc.url, or set pool_mode=session for this user");
	buf_reset(&sql);
	mem_free(channel);
	return rc;
}

/* --- setting up --- */

static void set_text(const struct pg_conn *c, struct buf *b, const char *name, const char *value)
{
	char *literal = PQescapeLiteral(c->pg, value, strlen(value));

	if (literal != NULL) /* NULL: it is no UTF-8, and the server will not know it either */
		buf_printf(b, "SET %s = %s;", name, literal);
	PQfreemem(literal);
}

static void set_path(const struct pg_conn *c, struct buf *b)
{
	const char *s = c->o->schema;
	char *literal;

	if (s[0] != '\0') {
		buf_adds(b, "SET search_path = ");
		pg_add_identifier(b, "", s);
		buf_addc(b, ';');
		return;
	}
	if (c->o->url.schemas == NULL)
		return;
	/* As at the start of a session: a list, what is not quoted in lower case. */
	literal = PQescapeLiteral(c->pg, c->o->url.schemas, strlen(c->o->url.schemas));
	if (literal != NULL)
		buf_printf(b, "SELECT set_config('search_path', %s, false);", literal);
	PQfreemem(literal);
}

static int set_up(struct pg_conn *c, struct err *e)
{
	uint64_t longest_ms = (uint64_t)c->o->snapshot_ms + GRACE_MS;
	const char *encoding = PQparameterStatus(c->pg, "server_encoding");
	int version = PQserverVersion(c->pg);
	struct buf b = { 0 };
	int rc;

	/* Bytes of any kind: an id of such could not be asked for. */
	if (encoding != NULL && str_equal(encoding, "SQL_ASCII"))
		return err_set(e, ERR_REMOTE,
			       "PostgreSQL: the database's encoding is SQL_ASCII, which says "
			       "nothing of its texts; copy it into one that is UTF8");
	buf_adds(&b, "SET default_transaction_read_only = on;");
	set_path(c, &b);
	set_text(c, &b, "TimeZone", c->o->timezone);
	buf_printf(&b, "SET statement_timeout = %" PRIu64 ";", longest_ms);
	buf_printf(&b, "SET idle_in_transaction_session_timeout = %" PRIu64 ";", longest_ms);
	if (version >= VERSION_CLIENT_CHECK)
		buf_printf(&b, "SET client_connection_check_interval = %d;", CLIENT_CHECK_MS);
	if (version >= VERSION_JIT)
		buf_adds(&b, "SET jit = off;"); /* it compiles for longer than pages take */
	rc = pg_conn_run(c, buf_cstr(&b), e);
	buf_reset(&b);
	return rc;
}

int pg_conn_open(struct pg_conn **out, const struct pg_options *o, struct err *e)
{
	struct pg_conn *c;
	PGconn *pg = NULL;
	int rc = connect_any(&pg, o, e);

	if (rc < 0)
		return rc;
	c = mem_zalloc(sizeof(*c));
	c->pg = pg;
	c->o = o;
	rc = check_pooler(c, e);
	if (rc == 0)
		rc = set_up(c, e);
	if (rc < 0)
		pg_conn_close(&c);
	else
		*out = c;
	return rc;
}

void pg_conn_close(struct pg_conn **cp)
{
	struct pg_conn *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	PQclear(c->row);
	PQfinish(c->pg);
	mem_free(c);
}

/* --- questions --- */

static int flush(struct pg_conn *c, struct err *e)
{
	int rc;

	while ((rc = PQflush(c->pg)) == 1) {
		if (!wait_for(c->pg, POLLIN | POLLOUT, silence_deadline(c)))
			return silent(c, e);
		if (PQconsumeInput(c->pg) == 0)
			break;
	}
	return rc == 0 ? 0 : failed(ERR_REMOTE, "sending", PQerrorMessage(c->pg), e);
}

/* The next result, the caller's; NULL in *out: there are no more. */
static int take_result(struct pg_conn *c, PGresult **out, struct err *e)
{
	while (PQisBusy(c->pg) != 0) {
		if (!wait_for(c->pg, POLLIN, silence_deadline(c)))
			return silent(c, e);
		if (PQconsumeInput(c->pg) == 0)
			return failed(ERR_TIMEOUT, "reading", PQerrorMessage(c->pg), e);
	}
	*out = PQgetResult(c->pg);
	return 0;
}

int pg_conn_run(struct pg_conn *c, const char *sql, struct err *e)
{
	PGresult *r = NULL;
	int rc = 0;

	if (PQsendQuery(c->pg, sql) == 0)
		return failed(ERR_REMOTE, "asking", PQerrorMessage(c->pg), e);
	rc = flush(c, e);
	while (rc == 0 && (rc = take_result(c, &r, e)) == 0 && r != NULL) {
		ExecStatusType st = PQresultStatus(r);

		if (st != PGRES_COMMAND_OK && st != PGRES_TUPLES_OK)
			rc = failed(ERR_REMOTE, "setting up", PQresultErrorMessage(r), e);
		PQclear(r);
	}
	return rc;
}

int pg_conn_ask(struct pg_conn *c, const struct pg_select *s, struct err *e)
{
	struct buf text = { 0 };
	int sent;

	buf_add(&text, s->text.data, s->text.len);
	sent = PQsendQueryParams(c->pg, buf_cstr(&text), s->n_params, s->types,
				 (const char *const *)s->values, s->lengths, s->formats, 1);
	buf_reset(&text);
	if (sent == 0 || PQsetSingleRowMode(c->pg) == 0)
		return failed(ERR_REMOTE, "asking", PQerrorMessage(c->pg), e);
	return flush(c, e);
}

int pg_conn_next(struct pg_conn *c, struct pg_value *v, unsigned n, struct err *e)
{
	ExecStatusType st;
	unsigned i;
	int rc;

	do {
		PQclear(c->row);
		c->row = NULL;
		rc = take_result(c, &c->row, e);
		if (rc < 0 || c->row == NULL)
			return rc;
		st = PQresultStatus(c->row);
	} while (st == PGRES_TUPLES_OK); /* the end, behind the rows */
	if (st != PGRES_SINGLE_TUPLE)
		return failed(ERR_REMOTE, "reading", PQresultErrorMessage(c->row), e);
	if ((unsigned)PQnfields(c->row) != n)
		return err_set(e, ERR_REMOTE, "PostgreSQL answers with %d columns, not %u",
			       PQnfields(c->row), n);
	for (i = 0; i < n; i++) {
		bool null = PQgetisnull(c->row, 0, (int)i) != 0;

		v[i].p = null ? NULL : PQgetvalue(c->row, 0, (int)i);
		v[i].n = null ? 0 : (size_t)PQgetlength(c->row, 0, (int)i);
	}
	return 1;
}

static bool take_notices(struct pg_conn *c, pg_notice_fn *fn, void *arg)
{
	PGnotify *n;
	bool some = false;

	while ((n = PQnotifies(c->pg)) != NULL) {
		fn(arg, n->extra);
		PQfreemem(n);
		some = true;
	}
	return some;
}

int pg_conn_wait(struct pg_conn *c, int ms, pg_notice_fn *fn, void *arg, struct err *e)
{
	if (take_notices(c, fn, arg)) /* that came with an answer */
		return 0;
	/* Whatever poll() says: with TLS something may be left in between. */
	(void)wait_for(c->pg, POLLIN, clock_boot_ms() + ms);
	if (PQconsumeInput(c->pg) == 0)
		return failed(ERR_TIMEOUT, "listening", PQerrorMessage(c->pg), e);
	(void)take_notices(c, fn, arg);
	return 0;
}
