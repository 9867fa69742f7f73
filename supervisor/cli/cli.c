/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "supervisor/cli/print.h"

int cli_fail(int code, const char *fmt, ...)
{
	struct buf clean = { 0 };
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n >= 0)
		text_clean(&clean, text);
	(void)fflush(stdout);
	(void)fprintf(stderr, "zonesync: %s\n", n < 0 ? "out of memory" : buf_cstr(&clean));
	buf_reset(&clean);
	free(text);
	return code;
}

void cli_print(struct buf *b)
{
	size_t at = 0;

	while (at < b->len) {
		ssize_t n = write(STDOUT_FILENO, b->data + at, b->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			_exit(errno == EPIPE ? EXIT_SUCCESS
					     : cli_fail(EX_IOERR, "stdout: %s", strerror(errno)));
		at += (size_t)n;
	}
	buf_reset(b);
}
