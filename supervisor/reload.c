/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/reload.h"

#include "common/base/mem.h"
#include "supervisor/ask.h"

struct reload {
	uv_work_t work;
	struct reload_opts o;
	atomic_bool stop;
	struct config *config; /* owned */
	struct problems problems;
	struct err err;
};

/* On a thread of its own. */
static void run(uv_work_t *w)
{
	struct reload *r = w->data;
	const struct ask ask = { r->o.libexec_dir, true, &r->stop };
	size_t n;

	if (config_load(&r->config, r->o.path, &r->problems, &r->err) < 0)
		return;
	ask_workers(r->config, &ask, &r->problems);
	n = r->problems.errors;
	if (n == 0)
		return;
	config_free(&r->config);
	(void)err_set(&r->err, ERR_CONFIG, "%s: %zu error%s; mend the file and try again",
		      r->o.path, n, n == 1 ? "" : "s");
}

static void on_done(uv_work_t *w, int status)
{
	struct reload *r = w->data;

	UNUSED(status); /* it is never cancelled */
	r->o.fn(r->o.arg, r->config, &r->problems, &r->err);
	problems_reset(&r->problems);
	mem_free(r);
}

struct reload *reload_begin(const struct reload_opts *o)
{
	struct reload *r = mem_zalloc(sizeof(*r));

	r->o = *o;
	r->work.data = r;
	CHECK(uv_queue_work(o->loop, &r->work, run, on_done) == 0);
	return r;
}

void reload_hurry(struct reload *r)
{
	atomic_store(&r->stop, true);
}
