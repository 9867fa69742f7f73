/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "supervisor/listen.h"
#include "supervisor/supervisor_internal.h"

#define HTTP_SOCKET "http.sock" /* in the run directory */
#define HTTP_UNIX   "unix:"

/* What the configuration asks for, as a text to compare. */
char *http_listen_wish(const struct config *c)
{
	if (!config_bool(c, CFG_HTTP_ENABLED))
		return mem_strdup("off");
	if (!config_http_is_tcp(c))
		return mem_strdup("unix");
	return mem_printf("%s %s", config_str(c, CFG_HTTP_HOST), config_str(c, CFG_HTTP_PORT));
}

int http_listen_give(const struct supervisor *s, const char *path, struct err *e)
{
	gid_t group;

	return listen_give(path, "zonesync.gateway.group", config_str(s->config, CFG_GATEWAY_GROUP),
			   &group, e);
}

int http_listen_open(struct supervisor *s, struct err *e)
{
	char *path;
	int rc;

	s->http_wish = http_listen_wish(s->config);
	if (!config_bool(s->config, CFG_HTTP_ENABLED))
		return 0;
	if (config_http_is_tcp(s->config))
		return listen_tcp(config_str(s->config, CFG_HTTP_HOST),
				  (uint16_t)config_int(s->config, CFG_HTTP_PORT), &s->http_listener,
				  &s->http_url, e);
	path = mem_printf("%s/" HTTP_SOCKET, s->o.path[OPTION_RUN_DIR]);
	rc = listen_unix(path, &s->http_listener, e);
	if (rc == 0)
		rc = http_listen_give(s, path, e);
	if (rc == 0)
		s->http_url = mem_printf(HTTP_UNIX "%s", path);
	mem_free(path);
	return rc;
}

/* Of its Unix socket; NULL: it listens on TCP, or nowhere. */
const char *http_listen_path(const struct supervisor *s)
{
	bool is_unix = s->http_url != NULL && str_starts(s->http_url, HTTP_UNIX);

	return is_unix ? s->http_url + strlen(HTTP_UNIX) : NULL;
}

void http_listen_close(struct supervisor *s)
{
	const char *path = http_listen_path(s);

	if (s->http_listener >= 0)
		(void)close(s->http_listener);
	if (path != NULL)
		(void)unlink(path);
	mem_free(s->http_url);
	mem_free(s->http_wish);
}
