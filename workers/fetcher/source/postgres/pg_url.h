/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_url - a JDBC URL of PostgreSQL, taken apart: jdbc:postgresql://host:port,.../database?key=value&...
 *
 * Keys are those of the JDBC driver; those that mean something to libpq are taken over,
 * under libpq's names. A host may be percent-encoded, and one that begins with a slash is
 * the folder of a Unix socket.
 *
 * Owns:    its strings. Blocks: never; pure.
 * Errors:  ERR_CONFIG, with what would be right; never with a password.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "workers/fetcher/map/ids.h"

#define PG_URL_HOSTS	       16
#define PG_CONNECT_TIMEOUT_MS  10000
#define PG_SOCKET_TIMEOUT_MS   30000
#define PG_TIMEOUT_SECONDS_MAX 600

enum pg_setting { /* what goes to libpq as it is */
		  PG_USER,
		  PG_PASSWORD,
		  PG_SSLMODE,
		  PG_SSLROOTCERT,
		  PG_SSLCERT,
		  PG_SSLKEY,
		  PG_SSLPASSWORD,
		  PG_CHANNEL_BINDING,
		  PG_APPLICATION_NAME,
		  PG_OPTIONS,
		  PG_SETTING__COUNT
};
const char *pg_setting_name(enum pg_setting s); /* libpq's */

enum pg_target { PG_ANY, PG_PRIMARY, PG_PREFER_PRIMARY, PG_SECONDARY, PG_PREFER_SECONDARY };

struct pg_host {
	char *name; /* owned; without brackets */
	char *port; /* owned */
};

struct pg_url {
	struct pg_host hosts[PG_URL_HOSTS];
	size_t n_hosts;
	char *database;			 /* owned; NULL: named as the user is */
	char *values[PG_SETTING__COUNT]; /* owned; NULL: not given */
	char *schemas;			 /* owned; as search_path is set; NULL: not given */
	enum pg_target target;
	int connect_timeout_ms;
	int socket_timeout_ms;
	struct map_ids ignored; /* names that mean nothing here */
};

int pg_url_parse(const char *text, struct pg_url *out, struct err *e) MUST_USE;
void pg_url_reset(struct pg_url *u); /* wipes the secrets */

bool pg_host_is_socket(const struct pg_host *h); /* a folder of one */
bool pg_host_is_local(const struct pg_host *h);	 /* that, or of this machine's loopback */
