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

int main(void)
{
	struct fetcher *f = NULL;
	struct worker_spec spec = {
		"fetcher", &fetcher_routes, configure, report, stop, &f, SIGKILL
	};
	struct worker *w = NULL;
	struct err e = { 0 };
	int rc;

	rc = worker_open(&w, &spec, &e);
	if (rc == 0)
		rc = worker_run(w, &e);
	if (rc < 0 && rc != UV_EOF)
		log_error(EV("worker_failed"), KV("code", rc), KV("err", e.text));
	worker_close(&w);
	fetcher_free(&f);
	mongo_client_cleanup();
	return worker_exit_code(rc);
}
