/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "test/fake/fake.h"

void fake_note(const struct fake *f, const char *fmt, ...)
{
	char *path = mem_printf("%s/events", f->dir);
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	char text[1024];
	char *line;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	line = mem_printf("%s %d %s\n", f->name, (int)getpid(), text);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		_exit(EX_IOERR);
	(void)close(fd);
	mem_free(line);
	mem_free(path);
}

/* Blocks as long as the supervisor does not read. */
void fake_bytes(const struct fake *f, const void *p, size_t n)
{
	size_t at = 0;

	UNUSED(f);
	while (at < n) {
		ssize_t sent = send(FAKE_CHAN, (const char *)p + at, n - at, MSG_NOSIGNAL);
		struct pollfd wait = { .fd = FAKE_CHAN, .events = POLLOUT };

		if (sent > 0)
			at += (size_t)sent;
		else if (errno == EAGAIN)
			(void)poll(&wait, 1, -1);
		else if (errno != EINTR)
			return;
	}
}

void fake_send(const struct fake *f, Ipc__Envelope *m)
{
	size_t n = ipc__envelope__get_packed_size(m);
	uint8_t *bytes = mem_alloc(n + FRAME_HEAD_BYTES);

	frame_head(bytes, n);
	(void)ipc__envelope__pack(m, bytes + FRAME_HEAD_BYTES);
	fake_bytes(f, bytes, n + FRAME_HEAD_BYTES);
	mem_free(bytes);
}

void fake_report(struct fake *f)
{
	Ipc__Envelope m;

	f->report.progress++;
	ipc__envelope__init(&m);
	m.body_case = IPC__ENVELOPE__BODY_REPORT;
	m.report = &f->report;
	fake_send(f, &m);
}

void fake_ready(struct fake *f)
{
	Ipc__Envelope m;
	Ipc__Ready ready;

	ipc__envelope__init(&m);
	ipc__ready__init(&ready);
	m.body_case = IPC__ENVELOPE__BODY_READY;
	m.ready = &ready;
	fake_note(f, "ready");
	fake_send(f, &m);
	order_script(f, "ready");
}

/* --- what comes --- */

static void on_ping(struct fake *f, const Ipc__Ping *ping)
{
	Ipc__Envelope m;
	Ipc__Pong pong;

	if (f->stalled)
		return;
	ipc__envelope__init(&m);
	ipc__pong__init(&pong);
	pong.seq = ping->seq;
	pong.report = &f->report;
	m.body_case = IPC__ENVELOPE__BODY_PONG;
	m.pong = &pong;
	fake_send(f, &m);
}

static void on_stop(struct fake *f, const char *what)
{
	if (f->deaf) {
		fake_note(f, "ignored %s", what);
		return;
	}
	fake_note(f, "%s", what);
	_exit(0);
}

static void on_stand(struct fake *f, const Ipc__Stand *s)
{
	struct buf previous = { 0 };
	size_t i;

	str_copy(f->nonce, sizeof(f->nonce), s->nonce);
	for (i = 0; i < s->n_previous; i++)
		buf_printf(&previous, " %s", s->previous[i]);
	fake_note(f, "stand %s%s", s->nonce, buf_cstr(&previous));
	buf_reset(&previous);
}

static void on_promote(struct fake *f, const Ipc__Promote *p)
{
	str_copy(f->token, sizeof(f->token), p->token);
	fake_note(f, "promote %s", p->token);
}

static void on_demote(struct fake *f)
{
	char confirm[] = "demoted";

	fake_note(f, "demote");
	if (!f->silent && f->token[0] != '\0')
		order_run(f, confirm);
}

static int on_message(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	struct fake *f = arg;
	Ipc__Envelope *m = ipc__envelope__unpack(NULL, n, body);

	if (m == NULL)
		return err_set(e, ERR_PROTO, "no envelope");
	switch (m->body_case) {
	case IPC__ENVELOPE__BODY_CONFIGURE:
		fake_note(f, "configure level=%s name=%s", m->configure->log->level,
			  m->configure->name);
		order_script(f, "configure");
		if (!f->mute)
			fake_ready(f);
		break;
	case IPC__ENVELOPE__BODY_PING:
		on_ping(f, m->ping);
		break;
	case IPC__ENVELOPE__BODY_STOP:
		on_stop(f, "stop");
		break;
	case IPC__ENVELOPE__BODY_STAND:
		on_stand(f, m->stand);
		break;
	case IPC__ENVELOPE__BODY_PROMOTE:
		on_promote(f, m->promote);
		break;
	case IPC__ENVELOPE__BODY_EXTEND:
		fake_note(f, "extend %s", m->extend->token);
		break;
	case IPC__ENVELOPE__BODY_DEMOTE:
		on_demote(f);
		break;
	case IPC__ENVELOPE__BODY_FITNESS:
		if (m->fitness->fit != f->fit)
			fake_note(f, "fitness %d %s", m->fitness->fit, m->fitness->reason);
		f->fit = m->fitness->fit;
		break;
	case IPC__ENVELOPE__BODY_STAND_BACK:
		fake_note(f, "stand-back");
		break;
	case IPC__ENVELOPE__BODY_LOG:
		fake_note(f, "log level=%s json=%d", m->log->level, m->log->json);
		break;
	case IPC__ENVELOPE__BODY_REOPEN_LOGS:
		fake_note(f, "reopen");
		break;
	case IPC__ENVELOPE__BODY_RESYNC:
		fake_note(f, "resync %d", m->resync->accept_deletes);
		break;
	default:
		fake_note(f, "got %d", (int)m->body_case);
		break;
	}
	ipc__envelope__free_unpacked(m, NULL);
	return 0;
}

static void read_channel(struct fake *f, struct frame_reader *r)
{
	static char chunk[65536];
	struct err e = { 0 };
	ssize_t n = recv(FAKE_CHAN, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fake_note(f, "eof");
		_exit(EX_UNAVAILABLE);
	}
	if (frame_feed(r, chunk, (size_t)n, on_message, f, &e) < 0)
		_exit(EX_SOFTWARE);
}

static void read_order(struct fake *f)
{
	char line[512];
	ssize_t n = recv(f->orders, line, sizeof(line) - 1, MSG_DONTWAIT);

	if (n <= 0)
		return;
	line[n] = '\0';
	order_run(f, line);
}

/* Answers each client with its own pid. */
static void accept_one(struct fake *f)
{
	int fd = accept4(FAKE_LISTENER, NULL, NULL, SOCK_CLOEXEC);
	char text[32];

	if (fd < 0)
		return;
	fake_note(f, "accepted");
	(void)snprintf(text, sizeof(text), "%d\n", (int)getpid());
	(void)!write(fd, text, strlen(text));
	(void)close(fd);
}

/* --- life --- */

static void open_all(struct fake *f)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	sigset_t set;

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s.sock", f->dir, f->name);
	(void)unlink(a.sun_path);
	f->orders = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (f->orders < 0 || bind(f->orders, (struct sockaddr *)&a, sizeof(a)) < 0)
		_exit(EX_OSERR);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	f->term = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
}

static void make_report(struct fake *f)
{
	ipc__report__init(&f->report);
	ipc__elector_report__init(&f->elector);
	ipc__fetcher_report__init(&f->fetcher);
	ipc__cache_report__init(&f->cache);
	f->fetcher.source_heard = 1;
	if (str_equal(f->name, "elector")) {
		f->report.part_case = IPC__REPORT__PART_ELECTOR;
		f->report.elector = &f->elector;
	} else if (str_equal(f->name, "fetcher")) {
		f->report.part_case = IPC__REPORT__PART_FETCHER;
		f->report.fetcher = &f->fetcher;
	} else {
		f->report.part_case = IPC__REPORT__PART_CACHE;
		f->report.cache = &f->cache;
	}
}

static void turn(struct fake *f, struct frame_reader *r)
{
	struct pollfd p[] = { { .fd = f->orders, .events = POLLIN },
			      { .fd = f->term, .events = POLLIN },
			      { .fd = FAKE_CHAN, .events = POLLIN },
			      { .fd = f->listening ? FAKE_LISTENER : -1, .events = POLLIN } };
	struct signalfd_siginfo info;

	if (poll(p, ARRAY_LEN(p), -1) <= 0)
		return;
	if (p[0].revents != 0)
		read_order(f);
	if (p[1].revents != 0 && read(f->term, &info, sizeof(info)) > 0)
		on_stop(f, "term");
	if ((p[2].revents & (POLLIN | POLLHUP)) != 0)
		read_channel(f, r);
	else if ((p[2].revents & POLLNVAL) != 0) /* an order closed it */
		(void)poll(NULL, 0, 1);
	if (p[3].revents != 0)
		accept_one(f);
}

/* `--check`: says what is in NAME.check, which is what is wrong, or nothing; "hang" it does. */
static int fake_check(const char *path, size_t dir, const char *name)
{
	char *at = mem_printf("%.*s/%s.check", (int)dir, path, name);
	Ipc__Checked c = IPC__CHECKED__INIT;
	Ipc__Remark r = IPC__REMARK__INIT;
	Ipc__Remark *remarks[] = { &r };
	FILE *f = fopen(at, "re");
	char text[200] = "";
	uint8_t packed[256];
	size_t n;

	if (f != NULL && fgets(text, sizeof(text), f) != NULL) {
		r.text = text;
		c.remarks = remarks;
		c.n_remarks = 1;
	}
	if (f != NULL)
		(void)fclose(f);
	mem_free(at);
	while (str_equal(text, "hang"))
		(void)pause();
	while (getchar() != EOF)
		;
	n = ipc__checked__pack(&c, packed);
	return fwrite(packed, 1, n, stdout) == n && fflush(stdout) == 0 ? 0 : EX_IOERR;
}

int main(int argc, char **argv)
{
	struct fake f = { 0 };
	struct frame_reader reader = { 0 };
	const char *slash = argc < 1 ? NULL : strrchr(argv[0], '/');
	const char *dash = slash == NULL ? NULL : strrchr(slash, '-');

	if (dash == NULL)
		return EX_SOFTWARE;
	if (argc > 1 && str_equal(argv[1], "--check"))
		return fake_check(argv[0], (size_t)(slash - argv[0]), dash + 1);
	f.dir = mem_dup(argv[0], (size_t)(slash - argv[0]));
	f.name = dash + 1;
	/* As the real ones (zone-protocol 8). */
	if (str_equal(f.name, "fetcher"))
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (str_equal(f.name, "elector"))
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	make_report(&f);
	fake_note(&f, "start");
	order_script(&f, "start");
	open_all(&f);
	for (;;)
		turn(&f, &reader);
}
