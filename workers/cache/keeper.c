/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/cache/keeper.h"

#include "common/base/mem.h"

struct keeper {
	struct store *store; /* not owned */
	keeper_fn *fn;
	void *arg;
	uv_thread_t thread;
	uv_mutex_t mutex;
	uv_cond_t cond;
	uv_async_t done;
	struct keeper_job *given; /* under the mutex, as the next two */
	struct keeper_job *finished;
	bool quit;
	bool busy; /* of the loop */
};

struct keeper_job *keeper_job_new(enum keeper_what what)
{
	struct keeper_job *job = mem_zalloc(sizeof(*job));

	job->what = what;
	job->withdraw_above = UINT64_MAX;
	return job;
}

void keeper_job_free(struct keeper_job *job)
{
	if (job == NULL)
		return;
	follow_page_reset(&job->page);
	mem_free(job->batch.records);
	mem_free((void *)(uintptr_t)job->batch.fields);
	mem_free(job->names);
	if (job->free_data != NULL)
		job->free_data(job->data);
	mem_free(job);
}

/* What is served loses what a newer epoch withdrew, though it gains nothing yet. */
static void withdraw(struct store *s, struct keeper_job *job, struct store_batch *b)
{
	size_t n = 0;
	size_t i;

	for (i = 0; i < b->len; i++)
		if (b->records[i].ev->action == ACTION_UNDEPLOY &&
		    b->records[i].revision > job->withdraw_above)
			b->records[n++] = b->records[i];
	b->len = n;
	if (n > 0)
		job->withdrawn = store_withdraw(s, b, &job->served, &job->err);
	if (job->withdrawn < 0)
		job->rc = job->withdrawn;
}

/* Damaged events are left out: the last good version of such an entity stays. */
static void apply(struct store *s, struct keeper_job *job)
{
	struct store_batch b = { .position = job->position, .horizon = job->horizon };
	size_t i;

	b.records = mem_alloc((job->page.len + 1) * sizeof(*b.records));
	for (i = 0; i < job->page.len; i++) {
		const struct followed *f = &job->page.events[i];

		if (f->damaged) {
			job->damaged++;
			continue;
		}
		b.records[b.len++] =
			(struct store_record){ &f->ev, f->hash, f->revision, f->updated_ms };
	}
	job->rc = store_apply(s, job->target, &b, &job->after, &job->err);
	if (job->rc == 0 && job->withdraw_above != UINT64_MAX)
		withdraw(s, job, &b);
	mem_free(b.records);
}

/* With the beginning and the end of a refill. */
static void write_batch(struct store *s, struct keeper_job *job)
{
	if (job->begin_next)
		job->rc = store_next_begin(s, &job->err);
	if (job->rc == 0)
		job->rc = store_apply(s, job->target, &job->batch, &job->after, &job->err);
	if (job->rc == 0 && job->end_next)
		job->rc = store_switch(s, &job->err);
}

static void run(struct store *s, struct keeper_job *job)
{
	switch (job->what) {
	case KEEPER_APPLY:
		apply(s, job);
		break;
	case KEEPER_NEXT:
		job->rc = store_next_begin(s, &job->err);
		break;
	case KEEPER_COMPARE:
		job->rc = store_compare(s, job->names, &job->difference, &job->err);
		break;
	case KEEPER_SWITCH:
		job->rc = store_switch(s, &job->err);
		break;
	case KEEPER_TEND:
		store_tend(s);
		if (job->drop_next)
			store_next_drop(s);
		break;
	case KEEPER_WRITE:
		write_batch(s, job);
		break;
	}
}

static void thread_main(void *arg)
{
	struct keeper *k = arg;
	struct keeper_job *job;

	uv_mutex_lock(&k->mutex);
	for (;;) {
		while (k->given == NULL && !k->quit)
			uv_cond_wait(&k->cond, &k->mutex);
		job = k->given;
		k->given = NULL;
		if (job == NULL)
			break;
		uv_mutex_unlock(&k->mutex);
		run(k->store, job);
		uv_mutex_lock(&k->mutex);
		k->finished = job;
		(void)uv_async_send(&k->done);
	}
	uv_mutex_unlock(&k->mutex);
}

static void on_done(uv_async_t *a)
{
	struct keeper *k = a->data;
	struct keeper_job *job;

	uv_mutex_lock(&k->mutex);
	job = k->finished;
	k->finished = NULL;
	uv_mutex_unlock(&k->mutex);
	if (job == NULL)
		return;
	k->busy = false;
	if (job->rc == STORE_LOST)
		store_lose(k->store);
	k->fn(k->arg, job);
	keeper_job_free(job);
}

struct keeper *keeper_open(uv_loop_t *loop, struct store *s, keeper_fn *fn, void *arg)
{
	struct keeper *k = mem_zalloc(sizeof(*k));

	k->store = s;
	k->fn = fn;
	k->arg = arg;
	CHECK(uv_mutex_init(&k->mutex) == 0 && uv_cond_init(&k->cond) == 0);
	CHECK(uv_async_init(loop, &k->done, on_done) == 0);
	k->done.data = k;
	CHECK(uv_thread_create(&k->thread, thread_main, k) == 0);
	return k;
}

bool keeper_busy(const struct keeper *k)
{
	return k->busy;
}

void keeper_do(struct keeper *k, struct keeper_job *job)
{
	CHECK(!k->busy);
	k->busy = true;
	uv_mutex_lock(&k->mutex);
	k->given = job;
	uv_cond_signal(&k->cond);
	uv_mutex_unlock(&k->mutex);
}

static void on_closed(uv_handle_t *h)
{
	mem_free(h->data);
}

void keeper_close(struct keeper **kp)
{
	struct keeper *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	uv_mutex_lock(&k->mutex);
	k->quit = true;
	uv_cond_signal(&k->cond);
	uv_mutex_unlock(&k->mutex);
	CHECK(uv_thread_join(&k->thread) == 0);
	keeper_job_free(k->given);
	keeper_job_free(k->finished);
	uv_mutex_destroy(&k->mutex);
	uv_cond_destroy(&k->cond);
	uv_close((uv_handle_t *)&k->done, on_closed);
}
