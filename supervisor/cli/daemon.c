/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/daemon.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "common/base/mem.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/dial.h"

/* The group that may open the path, or its directory when that hides it. */
static const char *group_of(const char *path)
{
	struct group *g = NULL;
	struct stat st;
	char *dir = mem_strdup(path);
	char *slash = strrchr(dir, '/');

	if (slash != NULL)
		*slash = '\0';
	if (stat(path, &st) == 0 || (slash != NULL && slash != dir && stat(dir, &st) == 0))
		g = getgrgid(st.st_gid);
	mem_free(dir);
	return g == NULL ? NULL : g->gr_name;
}

int daemon_explain(const char *path, int rc, struct err *e)
{
	const char *group;

	switch (rc) {
	case -ENOENT:
	case -ECONNREFUSED:
	case -ENOTDIR:
		(void)err_set(e, rc,
			      "no zonesyncd answers at %s (is it running? give --socket PATH)",
			      path);
		return EX_UNAVAILABLE;
	case -EACCES:
	case -EPERM:
		group = group_of(path);
		(void)err_set(e, rc,
			      "access to %s is refused: use sudo, or be in its group%s%s "
			      "(zonesync.control.group)",
			      path, group == NULL ? "" : " ", group == NULL ? "" : group);
		return EX_NOPERM;
	case -ENAMETOOLONG:
		return EX_USAGE;
	case -EPIPE:
	case -ECONNRESET:
		(void)err_set(e, rc,
			      "%s closed the connection without an answer; it may be "
			      "stopping, or full",
			      path);
		return EX_UNAVAILABLE;
	case ERR_PROTO:
		(void)err_set(e, rc, "what answers at %s is no zonesyncd of this version", path);
		return EX_PROTOCOL;
	default:
		(void)err_wrap(e, "%s", path);
		return EX_UNAVAILABLE;
	}
}

static int ask(const char *socket, const Control__Request *r, Control__Reply **out, struct err *e)
{
	struct conn c = { .fd = -1 };
	const uint8_t *body = NULL;
	size_t n = 0;
	int rc;

	rc = conn_open(&c, socket, e);
	if (rc == 0)
		rc = conn_send(&c, &r->base, DAEMON_TIMEOUT_MS, e);
	/* A daemon that is full answers nothing and closes; what it said before counts. */
	if (rc == 0 || rc == -EPIPE || rc == -ECONNRESET)
		rc = conn_receive(&c, DAEMON_TIMEOUT_MS, &body, &n, e);
	if (rc == 0) {
		*out = control__reply__unpack(NULL, n, body);
		if (*out == NULL)
			rc = ERR_PROTO;
	}
	conn_close(&c);
	return rc == 0 ? 0 : daemon_explain(socket, rc, e);
}

int daemon_status(const char *socket, Control__Reply **out, struct err *e)
{
	static char verb[] = "status";
	Control__Request req = CONTROL__REQUEST__INIT;
	Control__Reply *r = NULL;
	int rc;

	req.verb = verb;
	rc = ask(socket, &req, &r, e);
	if (rc != 0)
		return rc;
	CHECK(r != NULL);
	if (r->exit_code != 0 || r->status == NULL) {
		rc = r->exit_code != 0 ? r->exit_code : daemon_explain(socket, ERR_PROTO, e);
		if (r->exit_code != 0)
			(void)err_set(e, ERR_REMOTE, "%s", r->error);
		control__reply__free_unpacked(r, NULL);
		return rc;
	}
	*out = r;
	return 0;
}

int daemon_ask(struct cli *c, Control__Reply **out)
{
	static char accept_deletes[] = "--accept-deletes";
	const char *args[ARGS_WORDS_MAX + 1];
	Control__Request req = CONTROL__REQUEST__INIT;
	struct err e = { 0 };
	char *zone = NULL;
	size_t i;
	int rc;

	req.verb = (char *)(uintptr_t)c->args.command->verb;
	for (i = 0; i < c->args.n_words; i++)
		args[req.n_args++] = c->args.word[i];
	if (args_has(&c->args, accept_deletes))
		args[req.n_args++] = accept_deletes;
	if (args_value(&c->args, "--zone") != NULL)
		args[req.n_args++] = zone = mem_printf("--zone=%s", args_value(&c->args, "--zone"));
	req.args = (char **)(uintptr_t)args;
	rc = ask(c->socket, &req, out, &e);
	mem_free(zone);
	return rc == 0 ? 0 : cli_fail(rc, "%s", e.text);
}

int verb_daemon(struct cli *c)
{
	Control__Reply *reply = NULL;
	struct buf text = { 0 };
	int rc = daemon_ask(c, &reply);

	if (rc != 0)
		return rc;
	CHECK(reply != NULL);
	buf_adds(&text, reply->text);
	cli_print(&text);
	rc = reply->exit_code;
	if (reply->error[0] != '\0')
		(void)cli_fail(rc, "%s", reply->error);
	control__reply__free_unpacked(reply, NULL);
	return rc;
}
