/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "supervisor/config/check.h"
#include "supervisor/config/config.h"
#include "supervisor/config/read.h"
#include "supervisor/config/origin.h"
#include "supervisor/config/slots.h"

#define LIST_KEY_BYTES 160
#define MAP_KEY_BYTES  (TREE_KEY_MAX_BYTES + 1)

/* What a load works with. All borrowed. */
struct loading {
	struct config *c;
	const struct resolver *r;
	struct problems *p;
};

static void set_default(struct config *c, enum cfg id)
{
	const struct schema_row *row = schema_row(id);
	struct value *v = &c->slot[id].v;

	value_reset(v);
	if (row->dflt[0] != '\0')
		CHECK(value_parse(v, row, row->dflt, NULL) == 0);
}

/* Values of rows that are ignored are allowed to be wrong. */
static void complain(const struct loading *l, enum cfg id, const struct err *e)
{
	const struct schema_row *row = schema_row(id);
	bool later = row->status == STATUS_LATER;
	struct problem_place at;

	if (row->needs != 0 && l->c->slot[row->needs].v.num == 0)
		return;
	config_place(l->c, id, &at);
	problems_add(l->p, later ? PROBLEM_WARN : PROBLEM_ERROR, &at, "%s%s", e->text,
		     later ? " (the key is ignored in this release)" : "");
}

/* Replaces placeholders and parses one text; of a map that of `name`. 1: it was empty. */
static int take_text(const struct loading *l, enum cfg id, const char *name, const char *text)
{
	const struct schema_row *row = schema_row(id);
	struct slot *s = &l->c->slot[id];
	struct err e = { 0 };
	char *full = NULL;
	int rc = resolve_expand(l->r, text, &full, &e);

	if (rc == 0 && full[0] == '\0')
		rc = 1;
	else if (rc == 0)
		rc = name == NULL ? value_parse(&s->v, row, full, &e)
				  : value_parse_entry(&s->v, row, name, full, &e);
	mem_free_secret(full);
	if (rc < 0 && row->status != STATUS_NO_EFFECT)
		complain(l, id, &e);
	return rc;
}

static void warn(const struct loading *l, enum cfg id, const char *text)
{
	struct problem_place at;

	config_place(l->c, id, &at);
	problems_add(l->p, PROBLEM_WARN, &at, "%s", text);
}

/* What is probably not meant so, though it can be. */
static void doubt(const struct loading *l, enum cfg id, const struct origin_found *f)
{
	const struct schema_row *row = schema_row(id);
	bool secret = row->type == TYPE_SECRET || row->type == TYPE_MAP ||
		      strstr(f->value, "://") != NULL;
	const char *name;
	size_t n = resolve_shell_default(f->value, &name);
	char text[200];

	if (f->cut && secret)
		warn(l, id,
		     "a # behind a blank begins a comment, so the value ends before it; if it is a "
		     "part of the value, write that in quotes");
	if (n == 0)
		return;
	str_print(text, sizeof(text),
		  "the default in ${%.*s:-...} begins with the hyphen here; a shell's ${X:-y} is "
		  "written ${X:y}",
		  (int)MIN(n, (size_t)60), name);
	warn(l, id, text);
}

static void note_origin(struct slot *s, const struct origin_found *f)
{
	mem_free(s->env);
	s->env = mem_strdup(f->env);
	s->line = f->line;
}

/* Number i of a list, or of a pattern "a[].b". */
static void key_at(char *out, size_t n, const struct schema_row *row, unsigned i)
{
	const char *index = strstr(row->key, "[]");
	int len;

	if (index == NULL)
		len = snprintf(out, n, "%s[%u]", row->key, i);
	else
		len = snprintf(out, n, "%.*s[%u]%s", (int)(index - row->key), row->key, i,
			       index + 2);
	CHECK(len > 0 && (size_t)len < n);
}

/* Of "a[].b" and "a[].c" the row before says how many there are, and c has its default. */
static bool fill_gap(const struct loading *l, enum cfg id, struct origin_found *f)
{
	const struct schema_row *row = schema_row(id);
	const char *index = strstr(row->key, "[]");
	const char *before = id == 0 ? "" : schema_row(id - 1)->key;

	if (index == NULL || row->dflt[0] == '\0' ||
	    strncmp(row->key, before, (size_t)(index + 2 - row->key)) != 0 ||
	    l->c->slot[id].v.n >= l->c->slot[id - 1].v.n)
		return false;
	*f = (struct origin_found){ .value = row->dflt };
	return true;
}

/* Of "a[].c" an item whose "a[].b", in the row before, is there and empty: it is left out, and so
   is what stands beside it. */
static bool is_left_out(const struct loading *l, enum cfg id, unsigned i)
{
	const char *index = strstr(schema_row(id)->key, "[]");
	char key[LIST_KEY_BYTES];
	struct origin_found f;
	char *full = NULL;
	bool empty;

	if (index == NULL || id == 0 ||
	    strncmp(schema_row(id - 1)->key, schema_row(id)->key,
		    (size_t)(index + 2 - schema_row(id)->key)) != 0)
		return false;
	key_at(key, sizeof(key), schema_row(id - 1), i);
	if (!resolve_find(l->r, key, &f) || resolve_expand(l->r, f.value, &full, NULL) < 0)
		return false;
	empty = full[0] == '\0';
	mem_free_secret(full);
	return empty;
}

/* key[0], key[1], ... up to the first that is missing. */
static int take_items(const struct loading *l, enum cfg id)
{
	struct slot *s = &l->c->slot[id];
	char key[LIST_KEY_BYTES];
	struct origin_found f;
	unsigned i;
	int rc = 1;

	for (i = 0; i <= VALUE_LIST_MAX; i++) {
		size_t before = s->v.n;
		int one;

		if (is_left_out(l, id, i))
			continue;
		key_at(key, sizeof(key), schema_row(id), i);
		if (resolve_find(l->r, key, &f))
			note_origin(s, &f);
		else if (!fill_gap(l, id, &f))
			break;
		one = take_text(l, id, NULL, f.value);
		if (one == 0 && schema_is_pattern(schema_row(id)) && s->v.n > before + 1) {
			struct err e = { 0 };

			/* What stands beside it would be another one's. */
			one = err_set(&e, ERR_CONFIG,
				      "is more than one; write an item of the list for each");
			complain(l, id, &e);
		}
		if (one < 0)
			return one;
		rc = one == 0 ? 0 : rc;
	}
	return rc;
}

/* Of a pattern the first of its items decides, as in the reference. */
static void key_of(char *out, size_t n, const struct schema_row *row)
{
	if (schema_is_pattern(row))
		key_at(out, n, row, 0);
	else
		str_copy(out, n, row->key);
}

/* Every key below that of the row. */
static void load_map(const struct loading *l, enum cfg id)
{
	const char *pattern = schema_row(id)->key;
	size_t n = strlen(pattern) - 1;
	struct slot *s = &l->c->slot[id];
	char prefix[LIST_KEY_BYTES];
	char key[MAP_KEY_BYTES];
	struct origin_found f;
	size_t at = 0;

	CHECK(n < sizeof(prefix));
	str_copy(prefix, n + 1, pattern);
	str_copy(key, sizeof(key), prefix);
	while (resolve_below(l->r, prefix, &at, key + n, sizeof(key) - n)) {
		if (value_has_entry(&s->v, key + n) || !resolve_find(l->r, key, &f))
			continue;
		note_origin(s, &f);
		mem_free(s->key);
		s->key = mem_strdup(key);
		doubt(l, id, &f);
		(void)take_text(l, id, key + n, f.value);
	}
	s->set = s->v.n > 0;
}

static void load_row(const struct loading *l, enum cfg id)
{
	const struct schema_row *row = schema_row(id);
	struct slot *s = &l->c->slot[id];
	char key[LIST_KEY_BYTES];
	struct origin_found f;
	int rc = 1;

	set_default(l->c, id);
	if (row->type == TYPE_MAP)
		load_map(l, id);
	if (strchr(row->key, '*') != NULL)
		return;
	key_of(key, sizeof(key), row);
	if (schema_is_pattern(row))
		s->key = mem_strdup(key);
	if ((row->type != TYPE_LIST || !schema_is_pattern(row)) && resolve_find(l->r, key, &f)) {
		note_origin(s, &f);
		doubt(l, id, &f);
		value_reset(&s->v);
		rc = take_text(l, id, NULL, f.value);
	} else if (row->type == TYPE_LIST) {
		value_reset(&s->v);
		rc = take_items(l, id);
	}
	s->set = rc == 0;
	if (rc != 0)
		set_default(l->c, id);
}

/* The node's name is never empty: the host's name stands in. */
static void load_node_name(const struct loading *l, const char *hostname)
{
	struct slot *s = &l->c->slot[CFG_NODE_NAME];

	if (s->v.text != NULL)
		return;
	if (hostname[0] == '\0' ||
	    value_parse(&s->v, schema_row(CFG_NODE_NAME), hostname, NULL) < 0)
		s->v.text = mem_strdup("localhost");
}

static struct config *load_tree(const struct config_source *src, const struct tree *tree,
				struct problems *p)
{
	struct config *c = mem_zalloc(sizeof(*c));
	struct resolver r;
	const struct loading l = { .c = c, .r = &r, .p = p };
	unsigned i;

	c->file = mem_strdup(src->name);
	resolver_init(&r, tree, src->env);
	for (i = 0; i < CFG__COUNT; i++)
		load_row(&l, (enum cfg)i);
	load_node_name(&l, src->hostname);
	audit_config(c, &r, p);
	check_config(c, p);
	resolver_reset(&r);
	return c;
}

int config_load_from(struct config **out, const struct config_source *src, struct problems *p,
		     struct err *e)
{
	size_t before = p->errors; /* those of the tree (keys twice) refuse, too */
	struct tree *tree = NULL;
	struct config *c;
	int rc = tree_read(&tree, src, p, e);

	if (rc < 0)
		return rc;
	c = load_tree(src, tree, p);
	tree_free(&tree);
	problems_sort(p);
	if (p->errors == before) {
		*out = c;
		return 0;
	}
	config_free(&c);
	return err_set(e, ERR_CONFIG, "%s: %zu error%s; mend the file and try again", src->name,
		       p->errors, p->errors == 1 ? "" : "s");
}

/* A pipe, whose writer takes its time; false: too much of it. */
static bool may_wait(int fd, int64_t until_ms)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int64_t left = until_ms - clock_boot_ms();

	return left > 0 && poll(&p, 1, (int)left) > 0;
}

/* Reads at most one byte more than allowed, so that a larger file is noticed. */
static int read_all(int fd, char *bytes, size_t *n)
{
	int64_t until_ms = clock_boot_ms() + CONFIG_PIPE_MS;
	size_t have = 0;

	while (have <= TREE_FILE_MAX_BYTES) {
		ssize_t got = read(fd, bytes + have, TREE_FILE_MAX_BYTES + 1 - have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN && may_wait(fd, until_ms))
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	*n = have;
	return 0;
}

int config_load(struct config **out, const char *path, struct problems *p, struct err *e)
{
	const struct problem_place at = { .file = path };
	char *bytes = mem_alloc(TREE_FILE_MAX_BYTES + 1);
	char hostname[256] = "";
	bool is_stdin = str_equal(path, CONFIG_STDIN);
	struct config_source src = { is_stdin ? "(stdin)" : path, bytes, 0, environ, hostname };
	/* O_NONBLOCK: a FIFO in the place of the file must not hold us up. */
	int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int rc = fd < 0 ? -errno : read_all(fd, bytes, &src.n);

	if (rc < 0) {
		problems_add(p, PROBLEM_ERROR, &at, "%s; name a %s", strerror(-rc),
			     fd < 0 ? "file that this user can read" : "regular file");
		rc = err_errno(e, -rc, "%s %s", fd < 0 ? "open" : "read", path);
	} else {
		if (gethostname(hostname, sizeof(hostname) - 1) < 0)
			hostname[0] = '\0';
		rc = config_load_from(out, &src, p, e);
	}
	if (fd >= 0)
		(void)close(fd);
	explicit_bzero(bytes, src.n);
	mem_free(bytes);
	return rc;
}
