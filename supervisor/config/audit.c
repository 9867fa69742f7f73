/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/config/check.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/str.h"
#include "supervisor/config/value.h"

struct audit {
	const struct config *c;	     /* not owned */
	const struct resolver *r;    /* not owned */
	struct problems *p;	     /* not owned */
	const char *file;	     /* not owned */
	bool later_said[CFG__COUNT]; /* the first row of a group stands for the group */
	char unknown_top[64]; /* the last unknown top-level name: one warning for all below */
};

static bool is_default(const struct audit *a, enum cfg id)
{
	const struct schema_row *row = schema_row(id);

	if (row->type == TYPE_LIST || row->type == TYPE_MAP)
		return false;
	return strcmp(config_str(a->c, id), row->dflt) == 0;
}

static void warn_later(struct audit *a, enum cfg id, const struct problem_place *where)
{
	const struct schema_row *row = schema_row(id);
	struct problem_place at = *where;
	unsigned first = id;

	while (first > 0 && row->group != NULL &&
	       str_equal(schema_row((enum cfg)(first - 1))->group, row->group))
		first--;
	if (a->later_said[first])
		return;
	a->later_said[first] = true;
	if (row->group == NULL) {
		problems_add(a->p, PROBLEM_WARN, &at,
			     "its part comes with a later release; ignored");
		return;
	}
	at.key = row->group;
	problems_add(a->p, PROBLEM_WARN, &at,
		     "its part comes with a later release; all keys below it are ignored");
}

static void audit_row(struct audit *a, enum cfg id)
{
	const struct schema_row *row = schema_row(id);
	struct problem_place at;

	if (!config_is_set(a->c, id) || is_default(a, id))
		return;
	config_place(a->c, id, &at);
	switch (row->status) {
	case STATUS_LATER:
		warn_later(a, id, &at);
		break;
	case STATUS_REFUSED:
		if (row->refused == NULL || strcmp(config_str(a->c, id), row->refused) == 0)
			problems_add(a->p, PROBLEM_ERROR, &at, "%s", row->why);
		break;
	default:
		break;
	}
}

/* --- keys that say which server is reached --- */

static bool is_below(const char *key, const char *group)
{
	size_t n = strlen(group);

	return strncmp(key, group, n) == 0 && (key[n] == '.' || key[n] == '[');
}

/*
 * A key below one of these that is not known is no slip to pass over: without it another server
 * would be reached than is meant, with the password. Below `always` whatever else is set, below
 * `unless` as long as nothing says which one it is.
 */
static bool decides_the_server(const struct config *c, const char *key)
{
	static const char *const always[] = { "distributed-sync.redis.sentinel",
					      "distributed-sync.redis.cluster",
					      "management.mongodb.servers" };
	static const struct {
		const char *group;
		enum cfg by[3]; /* keys that say it */
	} unless[] = {
		{ "distributed-sync.redis",
		  { CFG_REDIS_HOST, CFG_REDIS_SOCKET, CFG_REDIS_SENTINEL_HOST } },
		{ "management.mongodb", { CFG_MONGO_URI, CFG_MONGO_HOST, CFG_MONGO_SERVERS_HOST } },
		{ "management.file", { CFG_FILE_PATH, CFG_FILE_PATH, CFG_FILE_PATH } },
	};
	bool redis = config_bool(c, CFG_SYNC_DISTRIBUTED);
	bool is_it;
	size_t i;

	if (is_below(key, "management") &&
	    !is_below(key + strlen("management."), config_str(c, CFG_SOURCE)))
		return false;
	if (is_below(key, "distributed-sync") && !redis)
		return false;
	for (i = 0; i < ARRAY_LEN(always); i++)
		if (is_below(key, always[i]))
			return true;
	for (i = 0; i < ARRAY_LEN(unless); i++) {
		is_it = is_below(key, unless[i].group);
		if (is_it && !config_is_set(c, unless[i].by[0]) &&
		    !config_is_set(c, unless[i].by[1]) && !config_is_set(c, unless[i].by[2]))
			return true;
	}
	return false;
}

/* "a[].b" with the item's number, "tags[1]". */
static void full_key(char out[RESOLVE_NAME_BYTES], enum cfg id, int item)
{
	const char *key = schema_row(id)->key;
	const char *index = strstr(key, "[]");

	if (index != NULL)
		(void)snprintf(out, RESOLVE_NAME_BYTES, "%.*s[%d]%s", (int)(index - key), key,
			       MAX(item, 0), index + 2);
	else if (item >= 0)
		(void)snprintf(out, RESOLVE_NAME_BYTES, "%s[%d]", key, item);
	else
		str_copy(out, RESOLVE_NAME_BYTES, key);
}

/* "a[2].port" of an item that has no host, which would be another item's. */
static void audit_item(struct audit *a, const struct problem_place *at, enum cfg id,
		       const char *key)
{
	const struct schema_row *row = schema_row(id);
	const char *index = strstr(row->key, "[]");
	char host[RESOLVE_NAME_BYTES];
	struct origin_found f;
	unsigned first = id;
	int item;

	if (row->type != TYPE_LIST || row->status != STATUS_USED || index == NULL)
		return;
	while (first > 0 && strncmp(schema_row((enum cfg)(first - 1))->key, row->key,
				    (size_t)(index + 2 - row->key)) == 0)
		first--;
	item = (int)strtol(key + (index + 1 - row->key), NULL, 10);
	full_key(host, (enum cfg)first, item);
	if (!resolve_find(a->r, host, &f))
		problems_add(a->p, PROBLEM_ERROR, at,
			     "its item has no %s; write what belongs to one server as one item: "
			     "[{host: a, port: 1}, ...]",
			     strrchr(host, '.') + 1);
}

static void warn_unknown(struct audit *a, const struct node *node, const char *key)
{
	struct problem_place at = { .file = a->file, .line = node->line, .key = key };
	const char *near = problems_full(a->p) ? NULL : schema_nearest(key);
	bool server = node->value[0] != '\0' && decides_the_server(a->c, key);
	char top[sizeof(a->unknown_top)];

	if (server) {
		problems_add(a->p, PROBLEM_ERROR, &at,
			     "unknown key, and without it another server is reached than is meant; "
			     "%s%s%s",
			     near == NULL ? "write host and port, each in its own key" : "write `",
			     near == NULL ? "" : near, near == NULL ? "" : "`, or remove it");
		return;
	}
	if (near != NULL) {
		problems_add(a->p, PROBLEM_WARN, &at, "unknown key, ignored; did you mean `%s`?",
			     near);
		return;
	}
	str_copy(top, sizeof(top), key);
	top[strcspn(top, ".[")] = '\0';
	if (!schema_is_group(top)) {
		if (strcmp(top, a->unknown_top) == 0)
			return;
		str_copy(a->unknown_top, sizeof(a->unknown_top), top);
		at.key = top;
	}
	problems_add(a->p, PROBLEM_WARN, &at,
		     "unknown key, ignored; neither zonesync nor a gravitee.yml has it: correct or "
		     "remove it");
}

static void audit_node(struct audit *a, const struct node *node, bool named)
{
	const char *key = schema_strip_scope(node->key);
	const struct problem_place at = { .file = a->file, .line = node->line, .key = node->key };
	enum cfg id = schema_match(key);

	if (id != CFG__COUNT) {
		const struct schema_row *row = schema_row(id);

		if (row->status == STATUS_LATER && schema_is_pattern(row) && node->value[0] != '\0')
			warn_later(a, id, &at);
		if (node->value[0] != '\0')
			audit_item(a, &at, id, key);
		return;
	}
	if (named || schema_is_foreign(key))
		return;
	if (schema_is_group(key)) {
		if (node->value[0] != '\0')
			problems_add(a->p, PROBLEM_ERROR, &at,
				     "is a group of keys and cannot have a value; write its keys "
				     "below it, indented");
		return;
	}
	if (schema_is_below_row(key, &id)) {
		struct buf want = { 0 };

		value_wanted(&want, schema_row(id));
		problems_add(a->p,
			     schema_row(id)->status == STATUS_LATER ||
					     schema_row(id)->status == STATUS_NO_EFFECT
				     ? PROBLEM_WARN
				     : PROBLEM_ERROR,
			     &at, "`%s` cannot have keys or a list below it; %s",
			     schema_row(id)->key, buf_cstr(&want));
		buf_reset(&want);
		return;
	}
	warn_unknown(a, node, key);
}

/* --- variables --- */

/* Prefixes, folded, below which every name is ours. */
static bool is_our_variable(const char *folded)
{
	return str_starts(folded, "zonesync_") || str_starts(folded, "distributedsync_") ||
	       str_starts(folded, "services_sync_");
}

struct named { /* what a variable's name is, or is near to */
	enum cfg id;
	int item; /* of a list; -1: none is named */
	unsigned distance;
};

/* As people write it, behind "gravitee_". */
static void usual_name(char out[RESOLVE_NAME_BYTES], enum cfg id, int item)
{
	char key[RESOLVE_NAME_BYTES];

	full_key(key, id, item);
	resolve_spell(out, key, NO_BRACKETS | NO_DOTS | NO_HYPHENS);
}

/* Letters and digits alone, in lower case: what people mean, however they write it. */
static void squeeze(char out[RESOLVE_NAME_BYTES], const char *name, size_t len)
{
	size_t n = 0;
	size_t i;

	for (i = 0; i < len && n + 1 < RESOLVE_NAME_BYTES; i++)
		if (isalnum((unsigned char)name[i]))
			out[n++] = (char)tolower((unsigned char)name[i]);
	out[n] = '\0';
}

static void compare(struct named *best, const char *squeezed, enum cfg id, int item)
{
	char key[RESOLVE_NAME_BYTES];
	unsigned d;

	squeeze(key, schema_row(id)->key, strlen(schema_row(id)->key));
	d = str_distance(squeezed, key);
	if (d < best->distance)
		*best = (struct named){ id, item, d };
}

/* With the number of a list's item taken out: "tags_0", "nodes_1_host". */
static void compare_item(struct named *best, const char *name, enum cfg id)
{
	char without[RESOLVE_NAME_BYTES];
	const char *s;

	for (s = name; (s = strpbrk(s, "_.[")) != NULL; s++) {
		size_t n = strspn(s + 1, "0123456789");

		if (n == 0 || n > 4 ||
		    strchr("_.]", s[1 + n]) == NULL) /* strchr finds the NUL too */
			continue;
		(void)snprintf(without, sizeof(without), "%.*s%s", (int)(s - name), name,
			       s + 1 + n);
		squeeze(without, without, strlen(without));
		compare(best, without, id, (int)strtol(s + 1, NULL, 10));
	}
}

/* The key that is meant; CFG__COUNT: none is near. */
static struct named key_of_variable(const char *name, unsigned limit)
{
	struct named best = { CFG__COUNT, -1, limit + 1 };
	char squeezed[RESOLVE_NAME_BYTES];
	unsigned i;

	squeeze(squeezed, name, strlen(name));
	for (i = 0; i < CFG__COUNT && best.distance > 0; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);

		if (row->type == TYPE_MAP || strchr(row->key, '*') != NULL)
			continue;
		compare(&best, squeezed, (enum cfg)i, -1);
		if (row->type == TYPE_LIST || schema_is_pattern(row))
			compare_item(&best, name, (enum cfg)i);
	}
	return best;
}

/* Why a variable that names a key does nothing; false: it does something. */
static bool is_without_effect(const struct audit *a, const struct named *n, const char *full,
			      struct buf *why)
{
	struct origin_found f;
	char key[RESOLVE_NAME_BYTES];
	char usual[RESOLVE_NAME_BYTES];
	size_t items = 0;

	usual_name(usual, n->id, n->item);
	full_key(key, n->id, n->item);
	if (!resolve_find(a->r, key, &f) || f.env == NULL) {
		buf_printf(why, "ignored: names are case-sensitive; write gravitee_%s", usual);
		return true;
	}
	if (!str_equal(f.env, full)) {
		buf_printf(why, "ignored: %s names the same key, and wins; remove one of the two",
			   f.env);
		return true;
	}
	if (schema_row(n->id)->type != TYPE_LIST || n->item < 0)
		return false;
	(void)config_list(a->c, n->id, &items);
	if (resolve_find(a->r, schema_row(n->id)->key, &f))
		buf_printf(why, "ignored: %s names the whole list, and wins; remove one of the two",
			   f.env != NULL ? f.env : "the file");
	else if ((size_t)n->item > items) {
		usual_name(usual, n->id, (int)items);
		buf_printf(why,
			   "ignored: there is no gravitee_%s; the items of a list begin with 0 "
			   "and have no gaps",
			   usual);
	}
	return why->len > 0;
}

/* Of another part of the gateway; its keys have their dots as underscores. */
static bool is_foreign_variable(const char *name)
{
	char key[RESOLVE_NAME_BYTES];
	char *s;

	resolve_spell(key, name, LOWER);
	for (s = key; (s = strchr(s, '_')) != NULL;)
		*s = '.';
	return schema_is_foreign(key);
}

static void audit_variable(struct audit *a, const char *full, const char *name)
{
	const struct problem_place at = { .env = full };
	char folded[RESOLVE_NAME_BYTES];
	char usual[RESOLVE_NAME_BYTES];
	struct buf why = { 0 };
	struct named n;
	bool ours;

	resolve_spell(folded, name, FOLDED);
	if (str_starts(folded, "repositories_")) {
		memmove(folded, folded + strlen("repositories_"),
			strlen(folded) + 1 - strlen("repositories_"));
		name += strlen("repositories_");
	}
	ours = is_our_variable(folded);
	n = key_of_variable(name, ours ? 4 : (unsigned)MIN(strlen(name) / 6, (size_t)4));
	if (n.distance > 0 && is_foreign_variable(name))
		return;
	if (n.id == CFG__COUNT) {
		if (ours)
			problems_add(a->p, PROBLEM_WARN, &at,
				     "ignored: it names no key; remove it");
		return;
	}
	usual_name(usual, n.id, n.item);
	if (n.distance > 0)
		buf_printf(&why, "ignored: it names no key; did you mean gravitee_%s?", usual);
	else if (!is_without_effect(a, &n, full, &why))
		return;
	/* A list with a hole in it is another filter, or another server. */
	problems_add(a->p,
		     n.item > 0 || decides_the_server(a->c, schema_row(n.id)->key) ? PROBLEM_ERROR
										   : PROBLEM_WARN,
		     &at, "%s", buf_cstr(&why));
	buf_reset(&why);
}

void audit_config(const struct config *c, const struct resolver *r, struct problems *p)
{
	struct audit a = { .c = c, .r = r, .p = p };
	struct problem_place at;
	size_t i;

	config_place(c, CFG_NODE_NAME, &at);
	a.file = at.file;
	for (i = 0; i < CFG__COUNT; i++)
		audit_row(&a, (enum cfg)i);
	for (i = 0; i < r->tree->n; i++)
		audit_node(&a, &r->tree->node[i], r->named[i]);
	for (i = 0; i < r->n; i++)
		audit_variable(&a, r->var[i].full, r->var[i].name);
}
