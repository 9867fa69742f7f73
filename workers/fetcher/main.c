/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "workers/fetcher/source/mongo/mongo_client.h"
#include "workers/fetcher/fetcher.h"

static int configure(void *arg, struct worker *w, const Ipc__Configure *c, struct err *e)
{
	return fetcher_open(arg, w, c, e);
}

static void report(void *arg, Ipc__Report *out)
{
	struct fetcher **f = arg;

	if (*f != NULL)
		fetcher_report(*f, out);
}

static void stop(void *arg, bool lost)
{
	struct fetcher **f = arg;

	UNUSED(lost);
	fetcher_stop(*f);
}

int main(int argc, char **argv)
{
	struct fetcher *f = NULL;
	struct worker_spec spec = { "fetcher", &fetcher_routes, configure,    report, stop,
				    &f,	       SIGKILL,		fetcher_check };
	int rc = worker_main(&spec, argc, argv);

	fetcher_free(&f);
	mongo_client_cleanup();
	return rc;
}
