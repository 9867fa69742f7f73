/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config - a configuration that was read, resolved and checked, as typed values.
 *
 * config_load() reports everything it finds in `problems`; there is a configuration
 * only when none of it was an error. A value that is present and empty is the default,
 * as is one that is absent.
 *
 * Owns:    all values; config_free() overwrites the secrets. Getters lend.
 * Blocks:  config_load() on the file.
 * Errors:  ERR_CONFIG, or -errno when the file cannot be read; both mean exit code 78.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "supervisor/config/problems.h"
#include "supervisor/config/schema.h"

struct config; /* opaque */

#define CONFIG_STDIN   "-"  /* as the path */
#define CONFIG_PIPE_MS 5000 /* that the writer of a pipe may take */

int config_load(struct config **out, const char *path, struct problems *p, struct err *e) MUST_USE;

/* The same from memory: for tests, and for checking what is not in a file yet. */
struct config_source {
	const char *name; /* stands for the file in texts */
	const void *bytes;
	size_t n;
	char *const *env;     /* "NAME=value", ends with NULL */
	const char *hostname; /* the default of zonesync.node.name */
};
int config_load_from(struct config **out, const struct config_source *src, struct problems *p,
		     struct err *e) MUST_USE;
void config_free(struct config **c);

const char *config_str(const struct config *c, enum cfg id); /* of one text; "": none */
int64_t config_int(const struct config *c, enum cfg id);
bool config_bool(const struct config *c, enum cfg id);
char *const *config_list(const struct config *c, enum cfg id, size_t *n);
/* Names, as many as are returned, and the secret of each. */
size_t config_map(const struct config *c, enum cfg id, char *const **names, char *const **secrets);

/* The value is from the file or the environment, and valid. */
bool config_is_set(const struct config *c, enum cfg id);
void config_place(const struct config *c, enum cfg id, struct problem_place *out);

/* A problem that is told by "KEY: text", of a key or of a group of them, at its place in the file:
   of a group, that of the first of its keys that is set. */
void config_blame(const struct config *c, enum problem_level level, const char *text,
		  struct problems *p);

/* services.sync.delay in milliseconds, whatever services.sync.unit says. */
int64_t config_sync_delay_ms(const struct config *c);

/* The technical API listens on TCP: the file or the environment asks for it. */
bool config_http_is_tcp(const struct config *c);

/* The level of one process: CFG_LOG_SUPERVISOR and so on, or zonesync.log.level. */
const char *config_log_level(const struct config *c, enum cfg process);

/* One line per effective value with its origin; secrets and passwords in URIs masked. */
void config_show(const struct config *c, struct buf *out);

/* The commented conf/zonesync.yml, from the table. */
void config_write_sample(struct buf *out);
