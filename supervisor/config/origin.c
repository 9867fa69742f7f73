/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/config/origin.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "supervisor/config/schema.h"

#define DEPTH_MAX	 16
#define REPLACEMENTS_MAX 200 /* of one value: ${a}${a} nested 16 deep would be 65,536 */

struct expansion {
	const struct resolver *r; /* not owned */
	struct buf out;
	unsigned left; /* replacements */
	struct err *e; /* not owned */
};

static int expand(struct expansion *x, const char *text, size_t n, unsigned depth);

static int var_compare(const void *a, const void *b)
{
	const struct env_var *x = a;
	const struct env_var *y = b;

	return strcmp(x->name, y->name);
}

static size_t prefix_len(const char *s)
{
	if (!str_starts(s, "gravitee") && !str_starts(s, "GRAVITEE"))
		return 0;
	return s[8] == '_' || s[8] == '.' ? 9 : 0;
}

void resolver_init(struct resolver *r, const struct tree *tree, char *const *env)
{
	size_t cap = 0;
	size_t i;

	*r = (struct resolver){ .tree = tree, .env = env };
	r->named = mem_zalloc(tree->n * sizeof(*r->named));
	for (i = 0; env[i] != NULL; i++) {
		const char *eq = strchr(env[i], '=');
		size_t skip = prefix_len(env[i]);
		struct env_var *v;

		if (eq == NULL || skip == 0 || eq < env[i] + skip)
			continue;
		r->var = mem_grow(r->var, &cap, r->n + 1, sizeof(*r->var));
		v = &r->var[r->n++];
		v->full = mem_dup(env[i], (size_t)(eq - env[i]));
		v->name = v->full + skip;
		v->value = eq + 1;
	}
	if (r->n > 1)
		qsort(r->var, r->n, sizeof(*r->var), var_compare);
}

void resolver_reset(struct resolver *r)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		mem_free(r->var[i].full);
	mem_free(r->var);
	mem_free(r->named);
	*r = (struct resolver){ 0 };
}

void resolve_spell(char out[RESOLVE_NAME_BYTES], const char *key, unsigned how)
{
	size_t n = 0;

	for (; *key != '\0' && n + 1 < RESOLVE_NAME_BYTES; key++) {
		char c = *key;

		if ((how & NO_HYPHENS) != 0 && c == '-')
			continue;
		if ((how & NO_BRACKETS) != 0 && c == ']')
			continue;
		if ((how & NO_BRACKETS) != 0 && c == '[')
			c = '.';
		if ((how & NO_DOTS) != 0 && c == '.')
			c = '_';
		if ((how & UPPER) != 0)
			c = (char)toupper((unsigned char)c);
		if ((how & LOWER) != 0)
			c = (char)tolower((unsigned char)c);
		out[n++] = c;
	}
	out[n] = '\0';
}

static bool find(const struct resolver *r, const char *key, struct origin_found *out)
{
	char name[RESOLVE_NAME_BYTES];
	const struct env_var wanted = { .name = name };
	const struct env_var *v = NULL;
	const struct node *node = NULL;
	unsigned how;

	for (how = 0; how < SPELLINGS && v == NULL && r->n > 0; how++) {
		resolve_spell(name, key, how);
		v = bsearch(&wanted, r->var, r->n, sizeof(*r->var), var_compare);
	}
	if (v == NULL)
		node = tree_find(r->tree, key);
	if (v != NULL)
		*out = (struct origin_found){ .value = v->value, .env = v->full };
	else if (node != NULL)
		*out = (struct origin_found){ .value = node->value,
					      .line = node->line,
					      .cut = node->cut };
	return v != NULL || node != NULL;
}

bool resolve_find(const struct resolver *r, const char *key, struct origin_found *out)
{
	char scoped[RESOLVE_NAME_BYTES];

	if (find(r, key, out))
		return true;
	if (!schema_has_scope(key) || strlen(key) > TREE_KEY_MAX_BYTES)
		return false;
	(void)snprintf(scoped, sizeof(scoped), "repositories.%s", key);
	return find(r, scoped, out);
}

/* What follows `prefix` in a variable's name, in one of two spellings; NULL: another name. */
static const char *below_variable(const char *var, const char *prefix, bool *upper)
{
	char spelled[RESOLVE_NAME_BYTES];
	unsigned how;

	for (how = 0; how < SPELLINGS; how++) {
		resolve_spell(spelled, prefix, how);
		*upper = (how & UPPER) != 0;
		if (str_starts(var, spelled))
			return var + strlen(spelled);
	}
	return NULL;
}

bool resolve_below(const struct resolver *r, const char *prefix, size_t *at, char *name, size_t n)
{
	size_t nodes = r->tree->n;
	bool upper = false;

	while (*at < nodes + r->n) {
		size_t i = (*at)++;
		const char *key = i < nodes ? r->tree->node[i].key : r->var[i - nodes].name;

		if (i >= nodes)
			key = below_variable(key, prefix, &upper);
		else
			key = str_starts(key, prefix) ? key + strlen(prefix) : NULL;
		if (key == NULL || key[0] == '\0')
			continue;
		str_copy(name, n, key);
		for (; upper && *name != '\0'; name++)
			*name = (char)tolower((unsigned char)*name);
		return true;
	}
	return false;
}

static const char *plain_env(const struct resolver *r, const char *name)
{
	size_t n = strlen(name);
	size_t i;

	for (i = 0; n > 0 && r->env[i] != NULL; i++)
		if (strncmp(r->env[i], name, n) == 0 && r->env[i][n] == '=')
			return r->env[i] + n + 1;
	return NULL;
}

/* The plain environment has the name as it is, or as NAME_OF_IT, as the reference's does. */
static const char *find_plain(const struct resolver *r, const char *name)
{
	char other[RESOLVE_NAME_BYTES];
	const char *v = plain_env(r, name);
	size_t i;

	if (v != NULL)
		return v;
	str_copy(other, sizeof(other), name);
	for (i = 0; other[i] != '\0'; i++)
		other[i] = isalnum((unsigned char)other[i]) ? (char)toupper((unsigned char)other[i])
							    : '_';
	v = plain_env(r, other);
	return v == NULL && strcmp(name, "gravitee.home") == 0 ? RESOLVE_HOME : v;
}

static const char *lookup(const struct resolver *r, const char *name)
{
	const struct node *node = tree_find(r->tree, name);
	struct origin_found f;

	if (node != NULL)
		r->named[node - r->tree->node] = true;
	if (resolve_find(r, name, &f))
		return f.value;
	return find_plain(r, name);
}

static int append(struct expansion *x, const char *s, size_t n)
{
	if (x->out.len + n > RESOLVE_VALUE_MAX_BYTES)
		return err_set(x->e, ERR_CONFIG,
			       "longer than %d bytes with its placeholders replaced; shorten it",
			       RESOLVE_VALUE_MAX_BYTES);
	buf_add(&x->out, s, n);
	return 0;
}

/* The length up to the first `end` that is not inside ${...}; n when there is none. */
static size_t length_to(char end, const char *s, size_t n)
{
	unsigned open = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (s[i] == end && open == 0)
			return i;
		if (s[i] == '{' && i > 0 && s[i - 1] == '$')
			open++;
		else if (s[i] == '}' && open > 0)
			open--;
	}
	return n;
}

/* What was put behind `at`, the caller's, and cut off again. */
static char *cut_off(struct expansion *x, size_t at)
{
	char *s = mem_dup(x->out.data == NULL ? "" : x->out.data + at, x->out.len - at);

	x->out.len = at;
	return s;
}

static int read_file(const char *path, char *bytes, size_t *n, struct err *e)
{
	/* O_NONBLOCK: a FIFO must not hold us up; it is refused. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat sb;
	ssize_t got = -1;
	int rc = 0;

	if (fd >= 0 && fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode))
		got = read(fd, bytes, RESOLVE_VALUE_MAX_BYTES + 1);
	if (fd < 0 || got < 0)
		rc = err_errno(e, fd >= 0 && !S_ISREG(sb.st_mode) ? EINVAL : errno,
			       "`${file:%.120s}`", path);
	else if (memchr(bytes, '\0', (size_t)got) != NULL)
		rc = err_set(e, ERR_CONFIG, "`${file:%.120s}` holds a NUL character; write text",
			     path);
	else
		*n = (size_t)got;
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

/* What stands in a file, without the line's end that editors and `echo` put behind it. Nothing in
   it is a placeholder. */
static int take_file(struct expansion *x, const char *path)
{
	char *bytes = mem_alloc(RESOLVE_VALUE_MAX_BYTES + 1);
	size_t n = 0;
	int rc = read_file(path, bytes, &n, x->e);

	if (n > 0 && bytes[n - 1] == '\n')
		n -= n > 1 && bytes[n - 2] == '\r' ? 2 : 1;
	if (rc == 0)
		rc = append(x, bytes, n);
	explicit_bzero(bytes, n);
	mem_free(bytes);
	return rc;
}

/* ${file:/path}; 1: it is none. */
static int replace_file(struct expansion *x, const char *s, size_t n, unsigned depth)
{
	static const char prefix[] = "file:";
	size_t skip = strlen(prefix);
	size_t at = x->out.len;
	char *path;
	int rc;

	if (n <= skip || memcmp(s, prefix, skip) != 0)
		return 1;
	rc = expand(x, s + skip, n - skip, depth + 1);
	if (rc < 0)
		return rc;
	path = cut_off(x, at);
	rc = path[0] == '/'
		     ? take_file(x, path)
		     : err_set(x->e, ERR_CONFIG,
			       "`${file:%.80s}` names no file; write a path that begins with /",
			       path);
	mem_free_secret(path);
	return rc;
}

/* The inside of one ${...}. */
static int replace(struct expansion *x, const char *s, size_t n, unsigned depth)
{
	size_t name_n = length_to(':', s, n);
	size_t at = x->out.len;
	const char *value;
	char *name;
	int rc;

	if (depth == DEPTH_MAX || x->left == 0)
		return err_set(x->e, ERR_CONFIG,
			       "`${%.*s}` leads in a circle or too far; write the value itself",
			       (int)MIN(n, 80U), s);
	x->left--;
	rc = replace_file(x, s, n, depth);
	if (rc <= 0)
		return rc;
	/* The name may be made of placeholders itself: expand it behind `out`, and cut it off. */
	rc = expand(x, s, name_n, depth + 1);
	if (rc < 0)
		return rc;
	name = cut_off(x, at);
	value = strlen(name) > TREE_KEY_MAX_BYTES ? NULL : lookup(x->r, name);
	if (value != NULL)
		rc = expand(x, value, strlen(value), depth + 1);
	else if (name_n < n)
		rc = expand(x, s + name_n + 1, n - name_n - 1, depth + 1);
	else
		rc = err_set(x->e, ERR_CONFIG,
			     "`${%.80s}` is not defined; define it in this file or in the "
			     "environment, or give a default: ${%.80s:default}",
			     name, name);
	mem_free_secret(name);
	return rc;
}

static int expand(struct expansion *x, const char *text, size_t n, unsigned depth)
{
	size_t i = 0;
	int rc = 0;

	while (i < n && rc == 0) {
		const char *open = memmem(text + i, n - i, "${", 2);
		size_t inside;
		size_t len;

		if (open == NULL)
			return append(x, text + i, n - i);
		if (open > text + i && open[-1] == '\\') { /* \${ stands for itself */
			rc = append(x, text + i, (size_t)(open - text) - i - 1);
			if (rc == 0)
				rc = append(x, open, 2);
			i = (size_t)(open - text) + 2;
			continue;
		}
		rc = append(x, text + i, (size_t)(open - text) - i);
		inside = (size_t)(open - text) + 2;
		len = length_to('}', text + inside, n - inside);
		if (rc == 0 && len == n - inside) /* never closed: text, as in the reference */
			return append(x, open, n - inside + 2);
		if (rc == 0)
			rc = replace(x, text + inside, len, depth);
		i = inside + len + 1;
	}
	return rc;
}

size_t resolve_shell_default(const char *text, const char **name)
{
	const char *s;

	for (s = text; (s = strstr(s, "${")) != NULL; s += 2) {
		size_t n = strcspn(s + 2, ":${}");

		if (s[2 + n] != ':' || s[3 + n] != '-' || n == 0)
			continue;
		*name = s + 2;
		return n;
	}
	return 0;
}

int resolve_expand(const struct resolver *r, const char *text, char **out, struct err *e)
{
	struct expansion x = { .r = r, .left = REPLACEMENTS_MAX, .e = e };
	int rc;

	if (strstr(text, "${") == NULL && strlen(text) <= RESOLVE_VALUE_MAX_BYTES) {
		*out = mem_strdup(text);
		return 0;
	}
	/* One piece for all: growing would leave copies of secrets behind. */
	buf_reserve(&x.out, RESOLVE_VALUE_MAX_BYTES + 1);
	rc = expand(&x, text, strlen(text), 0);
	if (rc == 0)
		*out = mem_dup(x.out.data, x.out.len);
	explicit_bzero(x.out.data, x.out.cap);
	buf_reset(&x.out);
	return rc;
}
