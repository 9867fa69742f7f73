/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/message/message.h"
#include "supervisor/config/slice.h"
#include "supervisor/environment.h"

#define LOOK_MS 100 /* how often `stop` is looked at */

struct asked { /* one worker */
	enum slice_worker worker;
	pid_t pid; /* 0: it was not started */
	int in;	   /* its stdin; -1: all is written */
	int out;   /* its stdout; -1: it is at its end */
	struct slice slice;
	size_t written;
	struct buf answer;
};

/* --- its process --- */

static int spawn(struct asked *k, const char *libexec_dir, int in, int out)
{
	char *path = mem_printf("%s/zonesync-%s", libexec_dir, slice_worker_name(k->worker));
	char option[] = "--check";
	char *argv[] = { path, option, NULL };
	char **env = environment_of_worker(environ);
	posix_spawn_file_actions_t actions;
	int rc;

	CHECK(posix_spawn_file_actions_init(&actions) == 0);
	CHECK(posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO) == 0);
	CHECK(posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO) == 0);
	CHECK(posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) ==
	      0);
	rc = posix_spawn(&k->pid, path, &actions, NULL, argv, env);
	(void)posix_spawn_file_actions_destroy(&actions);
	mem_free(env);
	mem_free(path);
	return -rc;
}

static int begin(struct asked *k, const char *libexec_dir)
{
	int in[2] = { -1, -1 };
	int out[2] = { -1, -1 };
	int rc = pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 ? -errno : 0;

	if (rc == 0 && fcntl(in[1], F_SETFL, O_NONBLOCK) < 0)
		rc = -errno;
	if (rc == 0)
		rc = spawn(k, libexec_dir, in[0], out[1]);
	if (in[0] >= 0)
		(void)close(in[0]);
	if (out[1] >= 0)
		(void)close(out[1]);
	k->in = in[1];
	k->out = out[0];
	if (rc < 0)
		k->pid = 0;
	return rc;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void write_some(struct asked *k)
{
	ssize_t n = write(k->in, k->slice.bytes + k->written, k->slice.n - k->written);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	k->written += n < 0 ? k->slice.n - k->written : (size_t)n; /* EPIPE: its end says more */
	if (k->written == k->slice.n)
		shut(&k->in);
}

static void read_some(struct asked *k)
{
	char chunk[4096];
	ssize_t n = read(k->out, chunk, sizeof(chunk));

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0 || k->answer.len + (size_t)n > ASK_ANSWER_BYTES)
		shut(&k->out);
	else
		buf_add(&k->answer, chunk, (size_t)n);
}

/* Until all have answered, or the time is over. */
static void converse(struct asked *k, size_t n, const struct ask *a)
{
	int64_t until_ms = clock_boot_ms() + ASK_MS;

	for (;;) {
		struct pollfd p[2 * SLICE__COUNT];
		int64_t left = until_ms - clock_boot_ms();
		bool open = false;
		size_t i;

		for (i = 0; i < n; i++) {
			p[2 * i] = (struct pollfd){ k[i].in, POLLOUT, 0 };
			p[2 * i + 1] = (struct pollfd){ k[i].out, POLLIN, 0 };
			open = open || k[i].out >= 0;
		}
		if (!open || left <= 0 || (a->stop != NULL && atomic_load(a->stop)))
			return;
		if (poll(p, 2 * n, (int)MIN(left, LOOK_MS)) <= 0)
			continue;
		for (i = 0; i < n; i++) {
			if (p[2 * i].revents != 0)
				write_some(&k[i]);
			if (p[2 * i + 1].revents != 0)
				read_some(&k[i]);
		}
	}
}

/* --- what it says --- */

static void tell(const struct config *c, const struct ask *a, const Ipc__Remark *r,
		 struct problems *p)
{
	enum problem_level level = r->level == IPC__REMARK__LEVEL__WARNING ? PROBLEM_WARN
				   : r->level == IPC__REMARK__LEVEL__ERROR || a->mine
					   ? PROBLEM_ERROR
					   : PROBLEM_UNCHECKED;

	config_blame(c, level, r->text, p);
}

static bool take_answer(const struct asked *k, const struct config *c, const struct ask *a,
			struct problems *p)
{
	Ipc__Checked *m =
		ipc__checked__unpack(NULL, k->answer.len, (const uint8_t *)k->answer.data);
	size_t i;

	for (i = 0; m != NULL && i < m->n_remarks; i++)
		tell(c, a, m->remarks[i], p);
	message_free(m);
	return m != NULL;
}

static void end(struct asked *k, const struct config *c, const struct ask *a, struct problems *p)
{
	bool over = k->out >= 0; /* it is told to go */
	int status = -1;
	bool ok = false;

	shut(&k->in);
	shut(&k->out);
	if (k->pid != 0 && over)
		(void)kill(k->pid, SIGKILL);
	while (k->pid != 0 && waitpid(k->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (k->pid != 0 && status == 0 && !over)
		ok = take_answer(k, c, a, p);
	if (!ok)
		problems_add(p, PROBLEM_UNCHECKED, &(struct problem_place){ .file = NULL },
			     "what the %s reads: %s/zonesync-%s --check %s",
			     slice_worker_name(k->worker), a->libexec_dir,
			     slice_worker_name(k->worker),
			     k->pid == 0 ? "cannot be started"
			     : over	 ? "does not answer in time"
					 : "fails");
	buf_reset(&k->answer);
	slice_reset(&k->slice);
}

static bool is_wanted(const struct config *c, enum slice_worker w)
{
	bool candidate = config_bool(c, CFG_CANDIDATE);

	return w == SLICE_CACHE ||
	       (candidate && (w == SLICE_FETCHER || config_bool(c, CFG_SYNC_DISTRIBUTED)));
}

void ask_workers(const struct config *c, const struct ask *a, struct problems *p)
{
	/* Places that a slice names, and nobody looks at before it counts. */
	const struct slice_input in = { .state_dir = "/", .run_dir = "/" };
	struct asked k[SLICE__COUNT] = { 0 };
	size_t n = 0;
	unsigned w;
	size_t i;

	for (w = 0; w < SLICE__COUNT; w++) {
		if (!is_wanted(c, (enum slice_worker)w))
			continue;
		k[n].worker = (enum slice_worker)w;
		slice_build(&k[n].slice, c, k[n].worker, &in);
		(void)begin(&k[n], a->libexec_dir);
		n++;
	}
	converse(k, n, a);
	for (i = 0; i < n; i++)
		end(&k[i], c, a, p);
	problems_sort(p);
}
