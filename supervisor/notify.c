/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/base/str.h"

void notify_send(const char *fmt, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char text[1024];
	socklen_t len;
	va_list ap;
	int fd;
	int n;

	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
	    strlen(path) >= sizeof(a.sun_path))
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(a.sun_path, path, strlen(path));
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		a.sun_path[0] = '\0'; /* the abstract namespace */
	else
		len++;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	(void)!sendto(fd, text, MIN((size_t)n, sizeof(text) - 1), MSG_NOSIGNAL,
		      (struct sockaddr *)&a, len);
	(void)close(fd);
}

void notify_reloading(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	notify_send("RELOADING=1\nMONOTONIC_USEC=%" PRId64,
		    (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

uint64_t notify_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	uint64_t us = 0;
	uint64_t who = 0;

	if (usec == NULL || !str_to_u64(usec, strlen(usec), &us))
		return 0;
	if (pid != NULL && (!str_to_u64(pid, strlen(pid), &who) || who != (uint64_t)getpid()))
		return 0;
	return us / 2000;
}
