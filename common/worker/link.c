/* SPDX-License-Identifier: Apache-2.0 */
#include "common/worker/link.h"

#include "common/redis/sentinel.h"

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
