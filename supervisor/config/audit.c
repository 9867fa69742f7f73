/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/config/check.h"

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

static void warn_unknown(struct audit *a, const struct node *node, const char *key)
{
	struct problem_place at = { .file = a->file, .line = node->line, .key = key };
	const char *near = problems_full(a->p) ? NULL : schema_nearest(key);
	char top[sizeof(a->unknown_top)];

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

/* Prefixes, folded, below which every name is ours. */
static bool is_our_variable(const char *folded)
{
	return str_starts(folded, "zonesync_") || str_starts(folded, "distributedsync_") ||
	       str_starts(folded, "services_sync_") ||
	       str_starts(folded, "repositories_distributedsync_");
}

static bool names_pattern(const char *folded)
{
	return strstr(folded, "_nodes_") != NULL || strstr(folded, "_certificates_") != NULL;
}

/* "tags_0" names an item of "tags". */
static void cut_index(char *folded)
{
	size_t n = strlen(folded);

	while (n > 0 && folded[n - 1] >= '0' && folded[n - 1] <= '9')
		n--;
	if (n > 1 && n < strlen(folded) && folded[n - 1] == '_')
		folded[n - 1] = '\0';
}

/* The row whose folded key is `folded`, or the nearest one; CFG__COUNT: none is near. */
static enum cfg row_of_variable(const char *folded, bool *exact)
{
	enum cfg best = CFG__COUNT;
	unsigned limit = 5;
	unsigned i;

	*exact = false;
	for (i = 0; i < CFG__COUNT && !*exact; i++) {
		char key[RESOLVE_NAME_BYTES];
		unsigned d;

		resolve_spell(key, schema_row((enum cfg)i)->key, FOLDED);
		*exact = strcmp(key, folded) == 0;
		d = str_distance(key, folded);
		if (!*exact && d >= limit)
			continue;
		limit = d;
		best = (enum cfg)i;
	}
	return best;
}

static void audit_variable(struct audit *a, const char *full, const char *name)
{
	struct problem_place at = { .env = full };
	char folded[RESOLVE_NAME_BYTES];
	char usual[RESOLVE_NAME_BYTES];
	bool exact;
	enum cfg id;

	resolve_spell(folded, name, FOLDED);
	if (!is_our_variable(folded) || names_pattern(folded))
		return;
	if (str_starts(folded, "repositories_"))
		memmove(folded, folded + 13, strlen(folded + 13) + 1);
	cut_index(folded);
	id = row_of_variable(folded, &exact);
	if (id == CFG__COUNT) {
		problems_add(a->p, PROBLEM_WARN, &at, "ignored: it names no key; remove it");
		return;
	}
	resolve_spell(usual, schema_row(id)->key, NO_DOTS | NO_HYPHENS); /* as people do */
	if (!exact) {
		problems_add(a->p, PROBLEM_WARN, &at,
			     "ignored: it names no key; did you mean gravitee_%s?", usual);
		return;
	}
	config_place(a->c, id, &at);
	if (at.env != NULL)
		return; /* this one, or another spelling that came first */
	at = (struct problem_place){ .env = full };
	problems_add(a->p, PROBLEM_WARN, &at,
		     "ignored: names are case-sensitive; write gravitee_%s", usual);
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
