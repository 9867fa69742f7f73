/* SPDX-License-Identifier: Apache-2.0 */
#include "common/message/remark.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/message/message.h"

static bool is_known(const Ipc__Checked *c, const char *text)
{
	size_t i;

	for (i = 0; i < c->n_remarks; i++)
		if (str_equal(c->remarks[i]->text, text))
			return true;
	return false;
}

void remark_add(Ipc__Checked *out, Ipc__Remark__Level level, const char *fmt, ...)
{
	Ipc__Remark *f;
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	if (out->n_remarks == REMARKS_MAX || is_known(out, text)) {
		mem_free(text);
		return;
	}
	if (out->remarks == NULL)
		out->remarks = mem_alloc(REMARKS_MAX * sizeof(*out->remarks));
	f = message_new(&ipc__remark__descriptor);
	f->level = level;
	f->text = text;
	out->remarks[out->n_remarks++] = f;
}

void remark_err(Ipc__Checked *out, const struct err *e)
{
	bool barred = e->code == -EACCES || e->code == -EPERM;

	remark_add(out, barred ? IPC__REMARK__LEVEL__NOT_CHECKED : IPC__REMARK__LEVEL__ERROR, "%s",
		   err_text(e));
}

void remark_file(Ipc__Checked *out, const char *key, const char *name, const char *path)
{
	struct err e = { 0 };

	if (access(path, R_OK) == 0)
		return;
	(void)err_errno(&e, errno, "%s: %s %s", key, name, path);
	remark_err(out, &e);
}

const char *remark_first_error(const Ipc__Checked *c)
{
	size_t i;

	for (i = 0; c != NULL && i < c->n_remarks; i++)
		if (c->remarks[i]->level == IPC__REMARK__LEVEL__ERROR)
			return c->remarks[i]->text;
	return NULL;
}
