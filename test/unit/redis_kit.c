/* SPDX-License-Identifier: Apache-2.0 */
#include "test/unit/redis_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"

#define PATIENCE_MS 30000
#define ARGS_MAX    40

static bool admin_up;
static struct buf answer;
static bool answered;

static void on_up(void *arg)
{
	UNUSED(arg);
	admin_up = true;
}

static void on_down(void *arg, const struct err *e)
{
	UNUSED(arg);
	UNUSED(e);
	admin_up = false;
}

void kit_open(struct kit *k)
{
	char text[] = "/tmp/zonesync-redis-XXXXXX";

	*k = (struct kit){ 0 };
	(void)signal(SIGPIPE, SIG_IGN); /* as in every worker */
	assert_int_equal(uv_loop_init(&k->loop), 0);
	k->dir = mem_strdup(mkdtemp(text));
	k->socket = mem_printf("%s/s", k->dir);
}

void kit_opts(const struct kit *k, struct redis_opts *o)
{
	*o = (struct redis_opts){ .socket = k->socket,
				  .connect_timeout_ms = 5000,
				  .command_timeout_ms = 5000 };
}

static void be_server(const struct kit *k, const char *const *more)
{
	const char *args[ARGS_MAX] = { "redis-server", "--port",  "0",	   "--save", "",
				       "--unixsocket", k->socket, "--dir", k->dir };
	int null = open("/dev/null", O_WRONLY);
	size_t n = 9;

	while (more != NULL && *more != NULL && n + 1 < ARGS_MAX)
		args[n++] = *more++;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(null, STDOUT_FILENO);
	(void)execvp(args[0], (char *const *)(uintptr_t)args);
	_exit(127);
}

void kit_start(struct kit *k, const char *const *more)
{
	const struct redis_hooks h = { .up = on_up, .down = on_down };
	struct redis_opts o;

	(void)unlink(k->socket);
	k->pid = fork();
	assert_true(k->pid >= 0);
	if (k->pid == 0)
		be_server(k, more);
	if (k->admin != NULL)
		return;
	admin_up = false;
	kit_opts(k, &o);
	assert_int_equal(redis_open(&k->admin, &k->loop, &o, &h, NULL), 0);
	kit_until(k, &admin_up);
}

void kit_kill(struct kit *k)
{
	int status;

	if (k->pid == 0)
		return;
	(void)kill(k->pid, SIGKILL);
	assert_int_equal(waitpid(k->pid, &status, 0), k->pid);
	k->pid = 0;
}

void kit_close(struct kit *k)
{
	char *command = mem_printf("rm -rf '%s'", k->dir);

	redis_close(&k->admin);
	kit_kill(k);
	(void)uv_run(&k->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&k->loop), 0);
	assert_int_equal(system(command), 0);
	mem_free(command);
	mem_free(k->dir);
	mem_free(k->socket);
	buf_reset(&answer);
}

static void on_patience(uv_timer_t *t)
{
	UNUSED(t);
	fail_msg("the test waited for too long");
}

void kit_until(struct kit *k, const bool *fact)
{
	uv_timer_t *patience = mem_zalloc(sizeof(*patience));

	assert_int_equal(uv_timer_init(&k->loop, patience), 0);
	assert_int_equal(uv_timer_start(patience, on_patience, PATIENCE_MS, 0), 0);
	while (!*fact)
		(void)uv_run(&k->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)patience, (uv_close_cb)mem_free);
}

static void render(const struct redis_reply *r)
{
	size_t n = 0;
	const char *s = redis_str(r, &n);
	int64_t v = 0;
	size_t i;

	if (s != NULL) {
		buf_add(&answer, s, n);
	} else if (redis_i64(r, &v)) {
		buf_addi(&answer, v);
	} else if (redis_is_nil(r)) {
		buf_addc(&answer, '-');
	} else {
		buf_addc(&answer, '(');
		for (i = 0; i < redis_count(r); i++) {
			if (i > 0)
				buf_addc(&answer, ' ');
			render(redis_at(r, i));
		}
		buf_addc(&answer, ')');
	}
}

static void on_answer(void *arg, const struct redis_reply *r, const struct err *e)
{
	UNUSED(arg);
	answered = true;
	if (e != NULL)
		buf_printf(&answer, "lost: %s", e->text);
	else
		render(r);
}

const char *kit_ask(struct kit *k, ...)
{
	struct redis_cmd c = { 0 };
	const char *s;
	va_list ap;

	va_start(ap, k);
	while ((s = va_arg(ap, const char *)) != NULL)
		redis_cmd_str(&c, s);
	va_end(ap);
	kit_until(k, &admin_up);
	buf_clear(&answer);
	answered = false;
	assert_int_equal(redis_send(k->admin, &c, on_answer, NULL), 0);
	kit_until(k, &answered);
	return buf_cstr(&answer);
}
