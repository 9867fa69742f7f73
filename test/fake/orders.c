/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "test/fake/fake.h"

#define SCRIPT_BYTES 4096

static void on_exit_now(struct fake *f, const char *arg)
{
	fake_note(f, "exit %s", arg);
	_exit(atoi(arg));
}

static void on_mute(struct fake *f, const char *arg)
{
	UNUSED(arg);
	f->mute = true;
}

static void on_ready(struct fake *f, const char *arg)
{
	UNUSED(arg);
	f->mute = false;
	fake_ready(f);
}

static void on_stall(struct fake *f, const char *arg)
{
	UNUSED(arg);
	f->stalled = true;
}

static void on_deaf(struct fake *f, const char *arg)
{
	UNUSED(arg);
	f->deaf = true;
}

static void on_silent(struct fake *f, const char *arg)
{
	UNUSED(arg);
	f->silent = true;
}

static void on_sigstop(struct fake *f, const char *arg)
{
	UNUSED(arg);
	fake_note(f, "stopped");
	(void)raise(SIGSTOP);
}

/* Does nothing at all until the test makes the file. */
static void on_hang_until(struct fake *f, const char *arg)
{
	char *path = mem_printf("%s/%s", f->dir, arg);

	fake_note(f, "hanging");
	while (access(path, F_OK) < 0)
		(void)poll(NULL, 0, 5);
	mem_free(path);
}

static void on_abort(struct fake *f, const char *arg)
{
	UNUSED(f);
	UNUSED(arg);
	(void)signal(SIGABRT, SIG_DFL);
	(void)raise(SIGABRT);
}

static void on_print(struct fake *f, const char *arg)
{
	UNUSED(f);
	(void)fprintf(stderr, "%s\n", arg);
}

static void on_flood_stdout(struct fake *f, const char *arg)
{
	long lines = atol(arg);
	long i;

	for (i = 0; i < lines; i++)
		(void)printf("flood %ld ............................................\n", i);
	(void)fflush(stdout);
	fake_note(f, "flooded");
}

static void on_flood_channel(struct fake *f, const char *arg)
{
	long n = atol(arg);

	for (; n > 0; n--)
		fake_report(f);
	fake_note(f, "flooded");
}

static void on_garbage(struct fake *f, const char *arg)
{
	UNUSED(arg);
	fake_bytes(f, "\0\0\0\6\xff\xff\xff\xff\xff\xff", 10);
}

static void on_oversize(struct fake *f, const char *arg)
{
	UNUSED(arg);
	fake_bytes(f, "\xff\xff\xff\xff", 4);
}

/* READY a second time. */
static void on_lie(struct fake *f, const char *arg)
{
	Ipc__Envelope m;
	Ipc__Ready ready;

	UNUSED(arg);
	ipc__envelope__init(&m);
	ipc__ready__init(&ready);
	m.body_case = IPC__ENVELOPE__BODY_READY;
	m.ready = &ready;
	fake_send(f, &m);
}

static void on_close_channel(struct fake *f, const char *arg)
{
	UNUSED(f);
	UNUSED(arg);
	(void)close(FAKE_CHAN);
}

static void on_fds(struct fake *f, const char *arg)
{
	DIR *d = opendir("/proc/self/fd");
	struct buf b = { 0 };
	struct dirent *at;

	UNUSED(arg);
	while (d != NULL && (at = readdir(d)) != NULL)
		if (at->d_name[0] != '.' && atoi(at->d_name) != dirfd(d))
			buf_printf(&b, " %s", at->d_name);
	(void)closedir(d);
	fake_note(f, "fds%s", buf_cstr(&b));
	buf_reset(&b);
}

static void on_listen(struct fake *f, const char *arg)
{
	UNUSED(arg);
	f->listening = true;
}

/* "held EPOCH DEADLINE_MS KILL_MS": from now on, with the nonce of the last Stand. */
static void on_held(struct fake *f, const char *arg)
{
	char token[sizeof(f->nonce) + 32];
	Ipc__Envelope m;
	Ipc__Held h;
	long deadline = 0;
	long kill = 0;
	int epoch = 0;

	if (sscanf(arg, "%d %ld %ld", &epoch, &deadline, &kill) != 3)
		_exit(EX_SOFTWARE);
	(void)snprintf(token, sizeof(token), "%d:%s", epoch, f->nonce);
	ipc__envelope__init(&m);
	ipc__held__init(&h);
	h.token = token;
	h.nonce = f->nonce;
	h.deadline_boot_ms = clock_boot_ms() + deadline;
	h.kill_boot_ms = clock_boot_ms() + kill;
	m.body_case = IPC__ENVELOPE__BODY_HELD;
	m.held = &h;
	fake_send(f, &m);
	fake_note(f, "sent held %s", token);
}

static void on_lost(struct fake *f, const char *arg)
{
	Ipc__Envelope m;
	Ipc__Lost lost;

	ipc__envelope__init(&m);
	ipc__lost__init(&lost);
	lost.nonce = *arg == '\0' ? f->nonce : (char *)(uintptr_t)arg; /* of an older candidacy */
	m.body_case = IPC__ENVELOPE__BODY_LOST;
	m.lost = &lost;
	fake_send(f, &m);
}

static void on_token_lost(struct fake *f, const char *arg)
{
	Ipc__Envelope m;
	Ipc__TokenLost lost;

	UNUSED(arg);
	ipc__envelope__init(&m);
	ipc__token_lost__init(&lost);
	lost.token = f->token;
	lost.reason = (char *)(uintptr_t) "FENCED";
	m.body_case = IPC__ENVELOPE__BODY_TOKEN_LOST;
	m.token_lost = &lost;
	fake_send(f, &m);
	f->token[0] = '\0';
}

static void on_demoted(struct fake *f, const char *arg)
{
	Ipc__Envelope m;
	Ipc__Demoted d;

	UNUSED(arg);
	ipc__envelope__init(&m);
	ipc__demoted__init(&d);
	d.token = f->token;
	m.body_case = IPC__ENVELOPE__BODY_DEMOTED;
	m.demoted = &d;
	fake_send(f, &m);
	fake_note(f, "sent demoted %s", f->token);
	f->token[0] = '\0';
}

/* "serving": the cache says that there is data. */
static void on_serving(struct fake *f, const char *arg)
{
	UNUSED(arg);
	f->cache.serving = 1;
	f->cache.proven = 1;
	f->cache.state = (char *)(uintptr_t) "following";
	fake_report(f);
}

/* "source WORD": the fetcher hears its source, or with "gone" does not. */
static void on_source(struct fake *f, const char *arg)
{
	f->fetcher.source_heard = !str_equal(arg, "gone");
	fake_report(f);
}

/* "sick TEXT": the cache reports an error. */
static void on_sick(struct fake *f, const char *arg)
{
	f->cache.error = mem_strdup(arg);
	fake_report(f);
}

/* A token that is longer than any. */
static void on_held_long(struct fake *f, const char *arg)
{
	char token[400];
	Ipc__Envelope m;
	Ipc__Held h;

	UNUSED(arg);
	memset(token, '1', sizeof(token) - 1);
	token[sizeof(token) - 1] = '\0';
	ipc__envelope__init(&m);
	ipc__held__init(&h);
	h.token = token;
	h.nonce = f->nonce;
	m.body_case = IPC__ENVELOPE__BODY_HELD;
	m.held = &h;
	fake_send(f, &m);
}

/* "quarantine N": so many rows, with names that a terminal must not see. */
static void on_quarantine(struct fake *f, const char *arg)
{
	static char text[2][200];
	size_t n = (size_t)atol(arg);
	size_t i;

	memset(text[1], 'r', sizeof(text[1]) - 1);
	(void)snprintf(text[0], sizeof(text[0]), "id\t\033[2J\302\233");
	f->fetcher.quarantine = mem_zalloc(n * sizeof(*f->fetcher.quarantine));
	for (i = 0; i < n; i++) {
		Ipc__Quarantined *q = mem_zalloc(sizeof(*q));

		ipc__quarantined__init(q);
		q->type = (char *)(uintptr_t) "API";
		q->id = text[0];
		q->where = text[1];
		q->reason = text[1];
		f->fetcher.quarantine[i] = q;
	}
	f->fetcher.n_quarantine = n;
	f->fetcher.quarantined = n;
	fake_report(f);
}

/* A process nobody asked for, which may hold our channel and output open. */
static void fork_one(struct fake *f, bool keep)
{
	pid_t pid = fork();
	int fd;

	if (pid == 0) {
		for (fd = 0; !keep && fd < 16; fd++)
			(void)close(fd);
		for (;;)
			(void)pause();
	}
	fake_note(f, "forked %d", (int)pid);
}

static void on_fork(struct fake *f, const char *arg)
{
	UNUSED(arg);
	fork_one(f, false);
}

static void on_fork_keep(struct fake *f, const char *arg)
{
	UNUSED(arg);
	fork_one(f, true);
}

static const struct {
	const char *name;
	void (*fn)(struct fake *f, const char *arg);
} orders[] = {
	{ "exit", on_exit_now },
	{ "mute", on_mute },
	{ "ready", on_ready },
	{ "stall", on_stall },
	{ "deaf", on_deaf },
	{ "silent", on_silent },
	{ "sigstop", on_sigstop },
	{ "hang-until", on_hang_until },
	{ "abort", on_abort },
	{ "print", on_print },
	{ "flood-stdout", on_flood_stdout },
	{ "flood-channel", on_flood_channel },
	{ "garbage", on_garbage },
	{ "oversize", on_oversize },
	{ "lie", on_lie },
	{ "close-channel", on_close_channel },
	{ "fds", on_fds },
	{ "listen", on_listen },
	{ "held", on_held },
	{ "lost", on_lost },
	{ "token-lost", on_token_lost },
	{ "demoted", on_demoted },
	{ "serving", on_serving },
	{ "source", on_source },
	{ "sick", on_sick },
	{ "held-long", on_held_long },
	{ "quarantine", on_quarantine },
	{ "fork", on_fork },
	{ "fork-keep", on_fork_keep },
};

void order_run(struct fake *f, char *line)
{
	char *arg = line + strcspn(line, " ");
	size_t i;

	if (*arg != '\0')
		*arg++ = '\0';
	for (i = 0; i < ARRAY_LEN(orders); i++) {
		if (str_equal(orders[i].name, line)) {
			orders[i].fn(f, arg);
			return;
		}
	}
	fake_note(f, "unknown order %s", line);
	_exit(EX_SOFTWARE);
}

/* The script is closed before it runs: the descriptors are what a test may ask for. */
void order_script(struct fake *f, const char *moment)
{
	char *path = mem_printf("%s/%s.script", f->dir, f->name);
	FILE *file = fopen(path, "re");
	char text[SCRIPT_BYTES];
	size_t n = strlen(moment);
	size_t got;
	char *save = NULL;
	char *line;

	mem_free(path);
	if (file == NULL)
		return;
	got = fread(text, 1, sizeof(text) - 1, file);
	text[got] = '\0';
	(void)fclose(file);
	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, moment, n) == 0 && line[n] == ' ')
			order_run(f, line + n + 1);
}
