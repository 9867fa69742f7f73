/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mongo_client - how a MongoDB is reached: the connection string, made of the configuration,
 * and what protects the connection. Rows and the change stream have one each.
 *
 * Stores of keys and certificates are read with each mongo_client_open(), so that a new
 * connection uses what lies there now.
 *
 * Owns:    everything in it.
 * Blocks:  mongo_client_open() on those files; a question then, as the string's timeouts say.
 * Errors:  ERR_CONFIG: no connection string; ERR_TIMEOUT: its servers are not to be found
 *          now; those of keystore.h. Never with a password.
 * Threads: one for each.
 */
#pragma once

#include "common/message/remark.h"
#include "common/tls/fds.h"
#include "workers/fetcher/map/ids.h"

struct _mongoc_uri_t; /* the driver's */
struct _mongoc_client_t;

struct mongo_client {
	struct _mongoc_uri_t *uri;	 /* owned */
	Ipc__Tls *tls;			 /* owned; NULL: as the connection string says */
	struct tls_fds fds;		 /* of the client, which reads them with each connection */
	struct _mongoc_client_t *client; /* owned; NULL: not connected */
	struct map_ids ignored;		 /* options of the connection string */
};

int mongo_client_init(struct mongo_client *out, const Ipc__Mongo *c, struct err *e) MUST_USE;
/* Connects to nobody; `look`: at the files that the connection string names. */
void mongo_client_check(const struct mongo_client *c, bool look, Ipc__Checked *out);
void mongo_client_copy(struct mongo_client *to, const struct mongo_client *from);
void mongo_client_reset(struct mongo_client *c);

/* `name` is shown in the server's list. Does nothing when it is open. */
int mongo_client_open(struct mongo_client *c, const char *name, struct err *e) MUST_USE;
void mongo_client_close(struct mongo_client *c);

/* At the end of the process, when no thread uses the driver any more. */
void mongo_client_cleanup(void);
