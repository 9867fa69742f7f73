/* SPDX-License-Identifier: Apache-2.0 */
#include "common/tls/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/tls/tls_internal.h"

static int write_all(int fd, const struct buf *b)
{
	size_t at = 0;

	while (at < b->len) {
		ssize_t n = write(fd, b->data + at, b->len - at);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

static int make_file(const struct buf *b, int *out, char **path, struct err *e)
{
	int fd = memfd_create("zonesync-pem", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int rc = fd < 0 ? -errno : 0;

	if (rc == 0 && fchmod(fd, 0600) < 0)
		rc = -errno;
	if (rc == 0)
		rc = write_all(fd, b);
	if (rc == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		rc = -errno;
	if (rc < 0) {
		if (fd >= 0)
			(void)close(fd);
		return err_errno(e, -rc, "a file in memory");
	}
	*out = fd;
	*path = mem_printf("/proc/self/fd/%d", fd);
	return 0;
}

static int convert(const Ipc__TlsStore *from, enum keystore_use use, int *fd, char **path,
		   struct err *e)
{
	struct keystore *k = NULL;
	struct buf pem = { 0 };
	int rc;

	if (from == NULL)
		return 0;
	rc = keystore_load(&k, from, use, e);
	if (rc == 0)
		rc = keystore_pem(k, use, &pem, e);
	if (rc == 0)
		rc = make_file(&pem, fd, path, e);
	keystore_free(&k);
	tls_wipe(&pem);
	return rc < 0 ? err_wrap(e, "%s", use == KEYSTORE_KEYS ? "keystore" : "truststore") : 0;
}

int tls_fds_open(struct tls_fds *out, const Ipc__Tls *m, struct err *e)
{
	struct tls_fds f = TLS_FDS_NONE;
	int rc = 0;

	if (!m->trust_all)
		rc = convert(m->truststore, KEYSTORE_TRUST, &f.ca_fd, &f.ca, e);
	if (rc == 0)
		rc = convert(m->keystore, KEYSTORE_KEYS, &f.key_fd, &f.key, e);
	if (rc < 0)
		tls_fds_close(&f);
	else
		*out = f;
	return rc;
}

void tls_fds_close(struct tls_fds *f)
{
	if (f->ca_fd >= 0)
		(void)close(f->ca_fd);
	if (f->key_fd >= 0)
		(void)close(f->key_fd);
	mem_free(f->ca);
	mem_free(f->key);
	*f = (struct tls_fds)TLS_FDS_NONE;
}
