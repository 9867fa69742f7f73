/* SPDX-License-Identifier: Apache-2.0 */
#include "common/worker/link.h"

#include "common/redis/sentinel.h"
#include "common/tls/context.h"

void link_opts(const Ipc__Redis *r, const char *client_name, struct redis_opts *o)
{
	*o = (struct redis_opts){ .host = r->host,
				  .port = (uint16_t)r->port,
				  .socket = r->socket,
				  .username = r->username,
				  .password = r->password,
				  .tls = r->tls,
				  .client_name = client_name,
				  .connect_timeout_ms = r->connect_timeout_ms,
				  .command_timeout_ms = r->command_timeout_ms,
				  .reply_max_bytes = r->reply_max_bytes };
	o->sentinels = (struct redis_sentinels){ &sentinel_locator, r->sentinel_master,
						 r->sentinels, r->n_sentinels,
						 r->sentinel_password };
}

void link_check_tls(const char *whose, const Ipc__Tls *m, Ipc__Checked *out)
{
	struct tls_context *context = NULL;
	struct err e = { 0 };
	int rc = m == NULL ? 0 : tls_context_create(&context, m, &e);

	if (context != NULL)
		rc = tls_context_check_dates(context, &e);
	if (rc < 0) { /* "keystore: ..." is a key below */
		bool below = str_starts(e.text, "keystore: ") || str_starts(e.text, "truststore: ");
		char text[ERR_TEXT_BYTES];

		str_print(text, sizeof(text), "%s%s%s", whose, below ? "." : ": ", e.text);
		(void)err_set(&e, e.code, "%s", text);
		remark_err(out, &e);
	}
	tls_context_free(&context);
}

void link_check(const Ipc__Redis *r, Ipc__Checked *out)
{
	if (r != NULL)
		link_check_tls("distributed-sync.redis", r->tls, out);
}
