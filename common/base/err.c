/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/err.h"

#include <stdarg.h>
#include <string.h>

#include "common/base/str.h"

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	CHECK(code < 0);
	if (e == NULL)
		return code;
	e->code = code;
	va_start(ap, fmt);
	str_vprint(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return code;
}

int err_errno(struct err *e, int errnum, const char *doing, ...)
{
	char text[ERR_TEXT_BYTES];
	char reason[96];
	va_list ap;

	va_start(ap, doing);
	str_vprint(text, sizeof(text), doing, ap);
	va_end(ap);
	return err_set(e, -errnum, "%s: %s", text, strerror_r(errnum, reason, sizeof(reason)));
}

int err_wrap(struct err *e, const char *doing, ...)
{
	char before[ERR_TEXT_BYTES];
	char old[ERR_TEXT_BYTES];
	va_list ap;

	if (e == NULL)
		return ERR_STATE;
	va_start(ap, doing);
	str_vprint(before, sizeof(before), doing, ap);
	va_end(ap);
	memcpy(old, e->text, sizeof(old));
	return err_set(e, e->code, "%s: %s", before, old);
}

const char *err_text(const struct err *e)
{
	return e == NULL || e->text[0] == '\0' ? "no error text" : e->text;
}
