/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/control.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/ipc/chan.h"
#include "common/ipc/listener.h"
#include "common/log/log.h"
#include "common/message/message.h"
#include "control.pb-c.h"
#include "supervisor/listen.h"
#include "supervisor/supervisor.h"

#define GROUPS_MAX 256

struct peer {
	struct control *c;
	struct chan *chan;
	uv_timer_t idle;
	bool allowed;
	struct ucred who;
	const struct command *command; /* that was asked for, and changes something; or NULL */
	enum command_wait waits;
	bool answered; /* the reply is on its way; nothing more is heard */
	struct peer *next;
};

struct control {
	struct supervisor *s;
	command_fn *answer;
	struct listener *listener; /* owned */
	char *path;
	gid_t group; /* of the socket */
	struct peer *peers;
	unsigned n;
};

static void on_timer_closed(uv_handle_t *h)
{
	mem_free(h->data);
}

static void drop(struct peer *p)
{
	struct peer **at = &p->c->peers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->c->n--;
	if (p->chan != NULL)
		chan_close(&p->chan);
	uv_close((uv_handle_t *)&p->idle, on_timer_closed);
}

/* Who did what, and what came of it. */
static void note(const struct peer *p, const Control__Reply *m)
{
	if (p->command != NULL)
		log_note(EV("control"), KV("verb", p->command->verb), KV("uid", p->who.uid),
			 KV("pid", p->who.pid), KV("code", m->exit_code), KV("err", m->error));
}

static void reply(struct peer *p, Control__Reply *m)
{
	note(p, m);
	m->last = true;
	if (chan_send(p->chan, &m->base) != ERR_LIMIT)
		return;
	m->text = (char *)(uintptr_t) "";
	m->status = NULL;
	m->exit_code = EX_SOFTWARE;
	m->error = (char *)(uintptr_t) "the answer is too large";
	(void)!chan_send(p->chan, &m->base);
}

static void answer(struct peer *p, const Control__Request *req)
{
	struct command_result r = { 0 };
	Control__Reply m = CONTROL__REPLY__INIT;
	Control__Status *st;

	p->command = command_find(req->verb);
	if (p->command != NULL && !p->command->changes)
		p->command = NULL;
	if (p->allowed) {
		p->c->answer(p->c->s, req->verb, (const char *const *)req->args, req->n_args, &r);
	} else {
		r.exit_code = EX_NOPERM;
		r.error = "access refused: be root, the daemon's user, or in the group of the "
			  "socket (zonesync.control.group)";
	}
	st = r.want_status ? supervisor_status(p->c->s) : NULL;
	p->waits = r.error == NULL ? r.wait : WAIT_NONE;
	if (p->waits == WAIT_NONE) {
		m.exit_code = r.exit_code;
		m.error = (char *)(uintptr_t)(r.error == NULL ? "" : r.error);
		m.text = (char *)(uintptr_t)buf_cstr(&r.text);
		m.status = st;
		reply(p, &m);
	}
	message_free(st);
	buf_reset(&r.text);
}

static void reply_all(struct control *c, enum command_wait waits, const Control__Reply *m)
{
	struct peer *p;
	struct peer *next;

	for (p = c == NULL ? NULL : c->peers; p != NULL; p = next) {
		Control__Reply each = *m; /* one that is too large is changed */

		next = p->next;
		if (p->waits != waits)
			continue;
		p->waits = WAIT_NONE;
		reply(p, &each);
	}
}

void control_examined(struct control *c, const Ipc__Examined *found)
{
	Control__Reply m = CONTROL__REPLY__INIT;

	m.examined = (Ipc__Examined *)(uintptr_t)found;
	if (found == NULL) {
		m.exit_code = 1;
		m.error = (char *)(uintptr_t) "the cache, which looked, has ended";
	}
	reply_all(c, WAIT_EXAMINED, &m);
}

void control_reloaded(struct control *c, const char *text, const struct err *why)
{
	Control__Reply m = CONTROL__REPLY__INIT;

	m.text = (char *)(uintptr_t)text;
	if (why->code < 0) {
		m.exit_code = EX_CONFIG;
		m.error = (char *)(uintptr_t)err_text(why);
	}
	reply_all(c, WAIT_RELOADED, &m);
}

static int on_message(void *arg, const uint8_t *body, size_t n, struct err *e)
{
	struct peer *p = arg;
	Control__Request *req;

	if (p->answered)
		return 0;
	req = control__request__unpack(NULL, n, body);
	if (req == NULL || !message_is_text(&req->base)) {
		if (req != NULL)
			control__request__free_unpacked(req, NULL);
		return err_set(e, ERR_PROTO, "%zu bytes that are no request", n);
	}
	p->answered = true;
	answer(p, req);
	control__request__free_unpacked(req, NULL);
	return 0;
}

/* The reply was taken. One that is not is closed by the idle timer, or by our end. */
static void on_drained(void *arg)
{
	drop(arg);
}

static void on_closed(void *arg, const struct err *why)
{
	struct peer *p = arg;

	if (why->code == ERR_PROTO)
		log_warn(EV("control_protocol"), KV("err", why->text));
	drop(p);
}

static void on_idle(uv_timer_t *t)
{
	drop(t->data);
}

static bool in_group(int fd, gid_t want)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);
	size_t i;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (i = 0; i < len / sizeof(groups[0]); i++)
		if (groups[i] == want)
			return true;
	return false;
}

static bool is_allowed(const struct control *c, int fd, struct ucred *who)
{
	socklen_t len = sizeof(*who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &len) < 0)
		return false;
	if (who->uid == 0 || who->uid == geteuid() || who->gid == c->group ||
	    in_group(fd, c->group))
		return true;
	log_warn(EV("control_refused"), KV("uid", who->uid), KV("pid", who->pid));
	return false;
}

static void on_connection(void *arg, uv_stream_t *from)
{
	struct control *c = arg;
	struct peer *p;
	struct chan_hooks hooks = { NULL, on_message, on_closed, on_drained };
	struct err e = { 0 };

	p = mem_zalloc(sizeof(*p));
	hooks.arg = p;
	if (chan_accept(&p->chan, from, &hooks, &e) < 0) {
		mem_free(p);
		return;
	}
	p->c = c;
	p->allowed = is_allowed(c, chan_fd(p->chan), &p->who);
	CHECK(uv_timer_init(from->loop, &p->idle) == 0);
	p->idle.data = p;
	CHECK(uv_timer_start(&p->idle, on_idle, CONTROL_IDLE_MS, 0) == 0);
	p->next = c->peers;
	c->peers = p;
	if (++c->n > CONTROL_MAX) {
		log_warn(EV("control_full"), KV("max", CONTROL_MAX));
		drop(p);
	}
}

int control_open(struct control **out, const struct control_opts *o, struct err *e)
{
	struct control *c = mem_zalloc(sizeof(*c));
	const struct listener_hooks hooks = { c, on_connection };
	int rc;

	c->s = o->supervisor;
	c->answer = o->answer;
	c->path = mem_strdup(o->path);
	c->listener = listener_create(o->loop, &hooks);
	rc = listen_give(c->path, "zonesync.control.group", o->group, &c->group, e);
	if (rc == 0)
		rc = uv_pipe_open(listener_pipe(c->listener), o->fd);
	if (rc == 0)
		rc = listener_start(c->listener, CONTROL_MAX, e);
	if (rc < 0) {
		if (e->text[0] == '\0')
			(void)err_set(e, rc, "control socket: %s", uv_strerror(rc));
		control_close(&c);
		return rc;
	}
	*out = c;
	return 0;
}

void control_close(struct control **cp)
{
	struct control *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	while (c->peers != NULL)
		drop(c->peers);
	(void)unlink(c->path);
	listener_close(&c->listener);
	mem_free(c->path);
	mem_free(c);
}
