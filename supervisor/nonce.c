/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/nonce.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/str.h"

#define FILE_MAX_BYTES 512

/* First line of a small file; "" when it cannot be read. */
static void read_line(const char *path, char *out, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, out, n - 1);

	if (fd >= 0)
		(void)close(fd);
	out[got < 0 ? 0 : got] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

static void parse(struct nonces *n, char *text)
{
	char *save = NULL;
	char *machine = strtok_r(text, "\n", &save);
	char *boot = strtok_r(NULL, "\n", &save);
	char *line;

	if (machine == NULL || boot == NULL || !str_equal(machine, n->machine) ||
	    !str_equal(boot, n->boot) || boot[0] == '\0')
		return;
	while (n->len < NONCE_KEEP && (line = strtok_r(NULL, "\n", &save)) != NULL)
		if (strlen(line) == NONCE_BYTES - 1 &&
		    strspn(line, "0123456789abcdef") == NONCE_BYTES - 1)
			str_copy(n->last[n->len++], NONCE_BYTES, line);
}

void nonces_init(struct nonces *n, const char *state_dir)
{
	char text[FILE_MAX_BYTES];
	ssize_t got = -1;
	int fd;

	*n = (struct nonces){ 0 };
	n->path = mem_printf("%s/nonce", state_dir);
	read_line("/etc/machine-id", n->machine, sizeof(n->machine));
	read_line("/proc/sys/kernel/random/boot_id", n->boot, sizeof(n->boot));
	if (n->machine[0] == '\0')
		str_copy(n->machine, sizeof(n->machine), "-");
	fd = open(n->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		got = read(fd, text, sizeof(text) - 1);
		(void)close(fd);
	}
	if (got > 0) {
		text[got] = '\0';
		parse(n, text);
	}
}

void nonces_reset(struct nonces *n)
{
	mem_free(n->path);
	*n = (struct nonces){ 0 };
}

static int save(const struct nonces *n, struct err *e)
{
	char *tmp = mem_printf("%s.new", n->path);
	struct buf b = { 0 };
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t i;
	int rc = 0;

	buf_printf(&b, "%s\n%s\n", n->machine, n->boot);
	for (i = 0; i < n->len; i++)
		buf_printf(&b, "%s\n", n->last[i]);
	if (fd < 0 || write(fd, b.data, b.len) != (ssize_t)b.len)
		rc = err_errno(e, fd < 0 || errno != 0 ? errno : ENOSPC, "write %s", tmp);
	if (fd >= 0)
		(void)close(fd);
	if (rc == 0 && rename(tmp, n->path) < 0)
		rc = err_errno(e, errno, "rename %s", tmp);
	buf_reset(&b);
	mem_free(tmp);
	return rc;
}

int nonces_next(struct nonces *n, struct err *e)
{
	struct nonces next = *n;
	unsigned char raw[(NONCE_BYTES - 1) / 2];
	int rc;

	CHECK(getrandom(raw, sizeof(raw), 0) == (ssize_t)sizeof(raw));
	memmove(next.last[1], next.last[0], (NONCE_KEEP - 1) * sizeof(next.last[0]));
	str_hex(next.last[0], raw, sizeof(raw));
	next.len = MIN(n->len + 1, NONCE_KEEP);
	errno = 0;
	rc = save(&next, e);
	if (rc == 0)
		*n = next;
	return rc;
}
