/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin - where a key's text comes from, by the rules of storage 6.1.
 *
 * Order: environment variables with the prefix gravitee_, gravitee., GRAVITEE_ or
 * GRAVITEE. in each spelling of the key; the file; both again for repositories.<key>
 * when the key has one of the scopes of the repositories. Placeholders ${name} and
 * ${name:default} look a name up the same way, then in the plain environment.
 * ${gravitee.home} is GRAVITEE_HOME or, at last, RESOLVE_HOME. ${file:/path} is what stands in
 * a file, for secrets of systemd and Kubernetes. \${ stands for ${ itself, as in Spring.
 *
 * Owns:    its index of the environment; resolver_reset() releases it. The tree and
 *          the environment are borrowed.
 * Blocks:  resolve_expand() on the files that ${file:...} names.
 * Errors:  ERR_CONFIG with the reason, -errno of a file; the texts never hold more than a placeholder's name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"
#include "supervisor/config/read.h"

#define RESOLVE_HOME		"/opt/graviteeio/apim/gateway" /* where the reference's packages go */
#define RESOLVE_VALUE_MAX_BYTES (64 * 1024)

#define RESOLVE_NAME_BYTES (TREE_KEY_MAX_BYTES + 32)

struct env_var {	   /* one variable with a prefix of ours */
	char *full;	   /* owned; the whole name */
	const char *name;  /* within full, behind the prefix */
	const char *value; /* not owned */
};

struct resolver {
	const struct tree *tree; /* not owned */
	char *const *env;	 /* not owned; "NAME=value", ends with NULL */
	struct env_var *var;	 /* owned; sorted by the name without its prefix */
	size_t n;
	bool *named; /* owned; per node of the tree: a placeholder named it */
};

/* Where a text was found. All strings are borrowed. */
struct origin_found {
	const char *value;
	const char *env; /* the variable; NULL: the file */
	unsigned line;	 /* in the file */
	bool cut;	 /* see read.h */
};

void resolver_init(struct resolver *r, const struct tree *tree, char *const *env);
void resolver_reset(struct resolver *r);

bool resolve_find(const struct resolver *r, const char *key, struct origin_found *out);

/*
 * Walks the names below `prefix` ("a.b."), of the file and then of the environment, where a
 * variable in upper case names one in lower case. *at is 0 at first. A name may come twice.
 */
bool resolve_below(const struct resolver *r, const char *prefix, size_t *at, char *name, size_t n);

/* *out is `text` with its placeholders replaced, and the caller's; mem_free_secret() it. */
/* The name in "${name:-...", whose default begins with a hyphen, which a shell means otherwise;
   its length, 0: there is none. */
size_t resolve_shell_default(const char *text, const char **name);

int resolve_expand(const struct resolver *r, const char *text, char **out, struct err *e) MUST_USE;

/* One spelling of a key: [0] -> .0, dots -> _, hyphens gone, upper case. FOLDED is of no variable:
   it is one form for all that spell a key alike, for comparing. */
enum { NO_BRACKETS = 1, NO_DOTS = 2, NO_HYPHENS = 4, UPPER = 8, SPELLINGS = 16, LOWER = 16 };
#define FOLDED (NO_BRACKETS | NO_DOTS | NO_HYPHENS | LOWER)
void resolve_spell(char out[RESOLVE_NAME_BYTES], const char *key, unsigned how);
