/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/environment.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/mem.h"

const char *const environment_names[] = {
	/* how programs are run here, and what looks into them when they break */
	"PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_ARENA_MAX",
	"ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS",
	/* the resolver */
	"LOCALDOMAIN", "RES_OPTIONS", "HOSTALIASES",
	/* OpenSSL */
	"OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES", "SSL_CERT_DIR", "SSL_CERT_FILE",
	/* who a host of AWS is: authMechanism=MONGODB-AWS of a URI without a user */
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", NULL
};

static bool is_named(const char *var)
{
	size_t n = strcspn(var, "=");
	size_t i;

	for (i = 0; environment_names[i] != NULL; i++)
		if (strncmp(environment_names[i], var, n) == 0 && environment_names[i][n] == '\0')
			return true;
	return false;
}

char **environment_of_worker(char *const *all)
{
	char **out;
	size_t n = 0;
	size_t i;

	for (i = 0; all[i] != NULL; i++)
		;
	out = mem_zalloc((i + 1) * sizeof(*out));
	for (i = 0; all[i] != NULL; i++)
		if (is_named(all[i]))
			out[n++] = all[i];
	return out;
}
