/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <unistd.h>

#include "common/worker/link.h"
#include "workers/elector/election.h"

#define LAST_WISH_S 1 /* the supervisor is gone: release within this, or be ended */

static int configure(void *arg, struct worker *w, const Ipc__Configure *c, struct err *e)
{
	return election_open(arg, w, c, e);
}

static void report(void *arg, Ipc__Report *out)
{
	struct election **x = arg;

	if (*x != NULL)
		election_report(*x, out);
}

static void stop(void *arg, bool lost)
{
	struct election **x = arg;

	if (lost) /* zone-protocol 8: nobody is left to end us */
		(void)alarm(LAST_WISH_S);
	election_stop(*x);
}

static void check(const Ipc__Configure *c, bool look, Ipc__Checked *out)
{
	if (look && c->part_case == IPC__CONFIGURE__PART_ELECTOR)
		link_check(c->elector->redis, out);
}

int main(int argc, char **argv)
{
	struct election *x = NULL;
	struct worker_spec spec = { "elector", &election_routes, configure, report, stop, &x, 0,
				    check };
	int rc = worker_main(&spec, argc, argv);

	election_free(&x);
	return rc;
}
