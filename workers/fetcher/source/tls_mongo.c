/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/tls_mongo.h"

#include <mongoc/mongoc.h>

int tls_mongo_protect(mongoc_uri_t *uri, const Ipc__Tls *m, struct tls_fds *fds, struct err *e)
{
	int rc;

	if (m == NULL)
		return 0;
	rc = tls_fds_open(fds, m, e);
	if (rc < 0)
		return err_wrap(e, "management.mongodb");
	(void)mongoc_uri_set_option_as_bool(uri, MONGOC_URI_TLS, true);
	if (m->any_name)
		(void)mongoc_uri_set_option_as_bool(uri, MONGOC_URI_TLSALLOWINVALIDHOSTNAMES, true);
	if (fds->ca != NULL)
		(void)mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCAFILE, fds->ca);
	if (fds->key != NULL)
		(void)mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCERTIFICATEKEYFILE,
						    fds->key);
	return 0;
}
