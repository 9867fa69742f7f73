/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/budget.h"

#include <sys/resource.h>

#include "common/log/log.h"
#include "workers/cache/http/http.h"
#include "workers/cache/serve/serve.h"

struct budget budget_of(uint64_t limit, bool has_http)
{
	uint64_t rest = limit > BUDGET_OWN_FDS ? limit - BUDGET_OWN_FDS : 0;
	struct budget b = { 0 };

	if (has_http)
		b.http = (unsigned)MAX(MIN(rest / 4, HTTP_CLIENTS_MAX), 1);
	b.clients = (unsigned)MAX(MIN(rest - MIN(rest, b.http), SERVE_CLIENTS_MAX), 1);
	b.is_small = b.clients < SERVE_CLIENTS_MAX || (has_http && b.http < HTTP_CLIENTS_MAX);
	return b;
}

struct budget budget_take(bool has_http)
{
	struct rlimit r = { 0 };
	struct budget b;

	(void)getrlimit(RLIMIT_NOFILE, &r); /* the supervisor raised it as far as it may */
	b = budget_of(r.rlim_cur, has_http);
	if (b.is_small)
		log_warn(EV("few_descriptors"), KV("limit", (uint64_t)r.rlim_cur),
			 KV("clients", b.clients), KV("http", b.http));
	return b;
}
