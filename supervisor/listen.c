/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/str.h"

#define FLAGS (SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)

int listen_unix(const char *path, int *out, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, ERR_CONFIG, "the path of a socket has at most %zu bytes: %s",
			       sizeof(a.sun_path) - 1, path);
	str_copy(a.sun_path, sizeof(a.sun_path), path);
	fd = socket(AF_UNIX, FLAGS, 0);
	if (fd < 0)
		return err_errno(e, errno, "socket");
	(void)unlink(path); /* ours: we hold the lock */
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod(path, 0660) < 0 ||
	    listen(fd, LISTEN_BACKLOG) < 0) {
		int rc = err_errno(e, errno, "listen on %s", path);

		(void)close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

int listen_give(const char *path, const char *key, const char *group, gid_t *out, struct err *e)
{
	struct group *g = group[0] == '\0' ? NULL : getgrnam(group);

	*out = g == NULL ? getegid() : g->gr_gid;
	if (group[0] == '\0')
		return 0;
	if (g == NULL)
		return err_set(e, ERR_CONFIG, "%s: there is no group %s", key, group);
	if (chown(path, (uid_t)-1, g->gr_gid) < 0)
		return err_errno(e, errno,
				 "%s: give %s to group %s, which the daemon's user must be in", key,
				 path, group);
	return 0;
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t parse_address(const char *host, uint16_t port, union address *a)
{
	*a = (union address){ .any.sa_family = AF_UNSPEC };
	if (inet_pton(AF_INET6, host, &a->v6.sin6_addr) == 1) {
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = htons(port);
		return sizeof(a->v6);
	}
	if (inet_pton(AF_INET, str_equal(host, "localhost") ? "127.0.0.1" : host,
		      &a->v4.sin_addr) != 1)
		return 0;
	a->v4.sin_family = AF_INET;
	a->v4.sin_port = htons(port);
	return sizeof(a->v4);
}

int listen_tcp(const char *host, uint16_t port, int *out, char **url, struct err *e)
{
	union address a;
	socklen_t n = parse_address(host, port, &a);
	bool v6 = n == sizeof(a.v6);
	int on = 1;
	int fd;

	if (n == 0)
		return err_set(e, ERR_CONFIG, "%s is no address", host);
	fd = socket(a.any.sa_family, FLAGS, 0);
	if (fd < 0)
		return err_errno(e, errno, "socket");
	/* Connections of the daemon before us may linger on the port. */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &a.any, n) < 0 || listen(fd, LISTEN_BACKLOG) < 0 ||
	    getsockname(fd, &a.any, &n) < 0) {
		int rc = err_errno(e, errno, "listen on %s port %u (services.core.http)", host,
				   (unsigned)port);

		(void)close(fd);
		return rc;
	}
	*out = fd;
	*url = mem_printf("http://%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
			  (unsigned)ntohs(v6 ? a.v6.sin6_port : a.v4.sin_port));
	return 0;
}
