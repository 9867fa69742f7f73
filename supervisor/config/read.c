/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/config/read.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "supervisor/config/hint.h"

#define MERGES_MAX 64 /* that wait for the end of their mappings */

/* What may stand before a value: YAML's own, which say nothing that the text does not. */
#define CORE_TAG "tag:yaml.org,2002:"
static const char core_tags[] = "bool float int map null seq str timestamp";

/* A key as it stands in a mapping that is still open. */
struct seen {
	char *key; /* owned */
	unsigned line;
};

/* What `&name` stands for: a run of nodes. */
struct anchor {
	char *name; /* owned */
	size_t first;
	size_t n;
	size_t path_len;
	unsigned line;
	bool used;
};

/* `<<: *name` of a mapping that is still open. */
struct pending_merge {
	size_t anchor; /* number of it */
	unsigned line;
};

struct yaml_reader {
	const struct config_source *in; /* not owned */
	struct problems *problems;	/* not owned */
	struct tree *tree;		/* owned until handed over */
	yaml_parser_t parser;
	struct buf path;   /* of the value that is read */
	size_t depth;	   /* mappings and sequences it is in */
	struct seen *seen; /* owned */
	size_t nseen;
	size_t seen_cap;
	struct anchor *anchor; /* owned */
	size_t nanchor;
	size_t anchor_cap;
	struct pending_merge merge[MERGES_MAX];
	size_t nmerge;
	unsigned documents;
	size_t twice; /* keys reported as duplicates */
	bool failed;  /* refused: nothing more is read */
};

static unsigned line_of(const yaml_event_t *ev)
{
	return (unsigned)ev->start_mark.line + 1;
}

#define REFUSE(r, at_line, ...)                                                                    \
	do {                                                                                       \
		const struct problem_place refused_ = { .file = (r)->in->name,                     \
							.line = (at_line) };                       \
		problems_add((r)->problems, PROBLEM_ERROR, &refused_, __VA_ARGS__);                \
		(r)->failed = true;                                                                \
	} while (0)

static void add_node(struct yaml_reader *r, const char *value, size_t n, unsigned line)
{
	struct tree *t = r->tree;
	struct node *node;

	t->bytes += r->path.len + n;
	if (t->n >= TREE_NODES_MAX || t->bytes > TREE_TOTAL_MAX_BYTES) {
		REFUSE(r, line, "more than %d values or %d bytes of them; make the file smaller",
		       TREE_NODES_MAX, TREE_TOTAL_MAX_BYTES);
		return;
	}
	t->node = mem_grow(t->node, &t->cap, t->n + 1, sizeof(*t->node));
	node = &t->node[t->n++];
	node->key = mem_dup(r->path.data, r->path.len);
	node->value = mem_dup(value, n);
	node->line = line;
	node->cut = false;
}

/* `name` NULL: it has none. The nodes from `first` on are what was read at this path. */
static void add_anchor(struct yaml_reader *r, const yaml_char_t *name, size_t first, unsigned line)
{
	if (name == NULL || r->failed)
		return;
	r->anchor = mem_grow(r->anchor, &r->anchor_cap, r->nanchor + 1, sizeof(*r->anchor));
	r->anchor[r->nanchor++] = (struct anchor){
		mem_strdup((const char *)name), first, r->tree->n - first, r->path.len, line, false
	};
}

/* The last one of that name that is finished; its number, or SIZE_MAX. It may be a password that
   begins with *, and is not shown. */
static size_t find_anchor(struct yaml_reader *r, const yaml_event_t *alias)
{
	size_t i;

	for (i = r->nanchor; i > 0; i--) {
		if (strcmp(r->anchor[i - 1].name, (const char *)alias->data.alias.anchor) != 0)
			continue;
		r->anchor[i - 1].used = true;
		return i - 1;
	}
	REFUSE(r, line_of(alias),
	       "a value that begins with * stands for what has the same name behind an & above, "
	       "and there is none that is finished; if it is a text, write it in quotes");
	return SIZE_MAX;
}

/* A value that is meant to be a text loses it. */
static void refuse_unused(struct yaml_reader *r)
{
	size_t i;

	for (i = 0; i < r->nanchor && !r->failed; i++)
		if (!r->anchor[i].used)
			REFUSE(r, r->anchor[i].line,
			       "a value that begins with & gives it a name, which nothing uses; if it "
			       "is a text, write it in quotes, else take the name out");
}

static const yaml_char_t *tag_of(const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return ev->data.scalar.tag;
	case YAML_SEQUENCE_START_EVENT:
		return ev->data.sequence_start.tag;
	case YAML_MAPPING_START_EVENT:
		return ev->data.mapping_start.tag;
	default:
		return NULL;
	}
}

static bool tag_is_fine(struct yaml_reader *r, const yaml_event_t *ev)
{
	const char *tag = (const char *)tag_of(ev);
	const char *core;

	if (tag == NULL || str_equal(tag, "!"))
		return true;
	core = str_starts(tag, CORE_TAG) ? tag + strlen(CORE_TAG) : "";
	if (str_lists(core_tags, core, strlen(core)))
		return true;
	REFUSE(r, line_of(ev),
	       "a value that begins with ! has a type that is not known here; if it is a text, "
	       "write it in quotes");
	return false;
}

static bool path_fits(struct yaml_reader *r, unsigned line)
{
	if (r->path.len <= TREE_KEY_MAX_BYTES)
		return true;
	REFUSE(r, line, "a key of more than %d bytes; nest less deep or shorten the names",
	       TREE_KEY_MAX_BYTES);
	return false;
}

static bool is_null(const yaml_event_t *ev)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };
	size_t i;

	if (ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp((const char *)ev->data.scalar.value, words[i]) == 0)
			return true;
	return false;
}

static int seen_compare(const void *a, const void *b)
{
	const struct seen *x = a;
	const struct seen *y = b;
	int rc = strcmp(x->key, y->key);

	return rc != 0 ? rc : (x->line > y->line) - (x->line < y->line);
}

static void report_twice(struct yaml_reader *r, const char *key, unsigned line, unsigned before)
{
	const struct problem_place at = { .file = r->in->name, .line = line, .key = key };

	problems_add(r->problems, PROBLEM_ERROR, &at, "is already in line %u; keep one of the two",
		     before);
}

/* Names the keys that the mapping from `first` on holds twice, and forgets its keys. */
static void end_keys(struct yaml_reader *r, size_t first)
{
	size_t i;

	if (r->nseen > first)
		qsort(r->seen + first, r->nseen - first, sizeof(*r->seen), seen_compare);
	for (i = first + 1; i < r->nseen; i++) {
		const struct seen *s = &r->seen[i];

		if (strcmp(s->key, s[-1].key) != 0)
			continue;
		r->twice++;
		report_twice(r, s->key, s->line, s[-1].line);
	}
	while (r->nseen > first)
		mem_free(r->seen[--r->nseen].key);
}

/* The reader of libyaml knows an offset only. */
static unsigned line_of_offset(const struct config_source *in, size_t offset)
{
	const char *text = in->bytes;
	unsigned line = 1;
	size_t i;

	for (i = 0; i < offset && i < in->n; i++)
		line += text[i] == '\n';
	return line;
}

static void report_syntax(struct yaml_reader *r)
{
	const yaml_parser_t *y = &r->parser;
	struct hint_input h = { .text = r->in->bytes, .n = r->in->n };
	struct problem_place at = { .file = r->in->name };
	struct buf hint = { 0 };
	unsigned column = (unsigned)y->problem_mark.column + 1;

	h.problem = y->problem == NULL ? "not YAML" : y->problem;
	h.line = (unsigned)y->problem_mark.line + 1;
	if (y->error == YAML_READER_ERROR) {
		h.line = line_of_offset(r->in, y->problem_offset);
		column = 1;
	}
	/* At the end of the stream libyaml may name the line behind the last. */
	if (y->context != NULL)
		h.context_line = (unsigned)y->context_mark.line + 1;
	at.line = h.line;
	hint_for(&hint, &h);
	problems_add(r->problems, PROBLEM_ERROR, &at, "column %u: not valid YAML (%s); %s", column,
		     h.problem, buf_cstr(&hint));
	buf_reset(&hint);
	r->failed = true;
}

/* The event is to be deleted. False: that was all. */
static bool next(struct yaml_reader *r, yaml_event_t *ev)
{
	if (!r->failed && yaml_parser_parse(&r->parser, ev) == 0)
		report_syntax(r);
	return !r->failed;
}

static void refuse_alias(struct yaml_reader *r, const yaml_event_t *ev)
{
	REFUSE(r, line_of(ev), "a * where a key should be; write the key out");
}

/* Puts the key behind the path of its mapping. */
static void take_key(struct yaml_reader *r, const yaml_event_t *ev)
{
	const char *key = (const char *)ev->data.scalar.value;
	size_t n = ev->data.scalar.length;

	if (ev->type == YAML_ALIAS_EVENT) {
		refuse_alias(r, ev);
	} else if (ev->type != YAML_SCALAR_EVENT) {
		REFUSE(r, line_of(ev), "a key that is a list or a group; keys are names");
	} else if (n == 0 || memchr(key, '\0', n) != NULL) {
		REFUSE(r, line_of(ev), "an empty key; write `name: value`");
	} else {
		if (r->path.len > 0)
			buf_addc(&r->path, '.');
		buf_add(&r->path, key, n);
		if (!path_fits(r, line_of(ev)))
			return;
		r->seen = mem_grow(r->seen, &r->seen_cap, r->nseen + 1, sizeof(*r->seen));
		r->seen[r->nseen].key = mem_dup(r->path.data, r->path.len);
		r->seen[r->nseen++].line = line_of(ev);
	}
}

/* "abc #def": what is meant as a part of the value may be a comment. By line and column, which
   count characters: a file that is no UTF-8 is not looked at so closely. */
static bool has_glued_comment(const struct config_source *in, const yaml_event_t *ev)
{
	const char *s = in->bytes;
	const char *end = s + in->n;
	size_t left = ev->end_mark.line;

	for (; left > 0 && s < end; s++)
		left -= *s == '\n' ? 1 : 0;
	for (left = ev->end_mark.column; left > 0 && s < end && *s != '\n'; left--) {
		size_t n = str_utf8_len(s, (size_t)(end - s));

		s += MAX(n, 1);
	}
	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	return end - s > 1 && s[0] == '#' && strchr(" \t\r\n#-=", s[1]) == NULL;
}

static void take_scalar(struct yaml_reader *r, const yaml_event_t *ev)
{
	const char *value = (const char *)ev->data.scalar.value;
	size_t n = is_null(ev) ? 0 : ev->data.scalar.length;
	size_t first = r->tree->n;

	if (memchr(value, '\0', n) != NULL) {
		REFUSE(r, line_of(ev), "a value with a NUL character; take it out");
		return;
	}
	add_node(r, value, n, line_of(ev));
	if (!r->failed && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		r->tree->node[first].cut = has_glued_comment(r->in, ev);
	add_anchor(r, ev->data.scalar.anchor, first, line_of(ev));
}

/* The name at the front of what is below `base`. */
static size_t name_len(const char *key, size_t base)
{
	const char *s = key + base + (key[base] == '.' ? 1 : 0);

	return (size_t)(s - key) + strcspn(s, ".[");
}

/* A mapping whose nodes are those from `first` to `end` has a key of the path's name. */
static bool is_taken(struct yaml_reader *r, size_t base, size_t first, size_t end)
{
	const char *path = buf_cstr(&r->path);
	size_t n = name_len(path, base);
	size_t i;

	for (i = first; i < end; i++) {
		const char *key = r->tree->node[i].key;

		if (name_len(key, base) == n && memcmp(key, path, n) == 0)
			return true;
	}
	return false;
}

/* What the anchor stands for, to the path that is read; the nodes that are there already, from
   `first` on, win. */
static void copy_anchor(struct yaml_reader *r, const struct pending_merge *m, size_t first)
{
	const struct anchor a = r->anchor[m->anchor];
	size_t base = r->path.len;
	size_t end = r->tree->n;
	size_t i;

	for (i = a.first; i < a.first + a.n && !r->failed; i++) {
		/* By value: add_node() may move the array. */
		const struct node from = r->tree->node[i];
		const char *below = from.key + a.path_len;

		r->path.len = base;
		buf_adds(&r->path, below + (base == 0 && below[0] == '.' ? 1 : 0));
		if (!is_taken(r, base, first, end) && path_fits(r, m->line))
			add_node(r, from.value, strlen(from.value), m->line);
	}
	r->path.len = base;
}

/* Copies what the anchor stands for; an anchor that is still open is not known yet. */
static void take_alias(struct yaml_reader *r, const yaml_event_t *ev)
{
	size_t found = find_anchor(r, ev);

	if (found != SIZE_MAX)
		copy_anchor(r, &(struct pending_merge){ found, line_of(ev) }, r->tree->n);
}

/* --- merge keys --- */

/* One of `<<: *a` or `<<: [*a, *b]`; what it brings is known when its mapping ends. */
static void note_merge(struct yaml_reader *r, const yaml_event_t *ev)
{
	size_t found;

	if (ev->type != YAML_ALIAS_EVENT) {
		REFUSE(r, line_of(ev), "`<<` takes *name, or a list of them: [*a, *b]");
		return;
	}
	found = find_anchor(r, ev);
	if (r->failed)
		return;
	if (r->nmerge == MERGES_MAX) {
		REFUSE(r, line_of(ev), "more than %d merge keys (`<<`) at once; write keys out",
		       MERGES_MAX);
		return;
	}
	r->merge[r->nmerge++] = (struct pending_merge){ found, line_of(ev) };
}

static void take_merge(struct yaml_reader *r, const yaml_event_t *value)
{
	yaml_event_t ev = { 0 };
	bool more = true;

	if (value->type != YAML_SEQUENCE_START_EVENT) {
		note_merge(r, value);
		return;
	}
	while (more && next(r, &ev)) {
		more = ev.type != YAML_SEQUENCE_END_EVENT;
		if (more)
			note_merge(r, &ev);
		yaml_event_delete(&ev);
	}
}

/* The keys of the mapping itself win, then those of the merge that stands first. */
static void end_merges(struct yaml_reader *r, size_t first_merge, size_t first_node)
{
	size_t i;

	for (i = first_merge; i < r->nmerge && !r->failed; i++)
		copy_anchor(r, &r->merge[i], first_node);
	r->nmerge = first_merge;
}

static void take_container(struct yaml_reader *r, const yaml_event_t *start);

/* What begins with `ev`, where r->path says. */
static void take_value(struct yaml_reader *r, const yaml_event_t *ev)
{
	if (ev->type == YAML_SCALAR_EVENT && tag_is_fine(r, ev))
		take_scalar(r, ev);
	else if (r->failed)
		return;
	else if (ev->type == YAML_ALIAS_EVENT)
		take_alias(r, ev);
	else if (r->depth == TREE_DEPTH_MAX)
		REFUSE(r, line_of(ev), "nested deeper than %d levels", TREE_DEPTH_MAX);
	else if (tag_is_fine(r, ev))
		take_container(r, ev);
}

static void take_member(struct yaml_reader *r, const yaml_event_t *key)
{
	bool merge = key->type == YAML_SCALAR_EVENT &&
		     key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		     str_equal((const char *)key->data.scalar.value, "<<");
	yaml_event_t value = { 0 };

	if (!merge)
		take_key(r, key);
	if (!next(r, &value))
		return;
	if (merge)
		take_merge(r, &value);
	else
		take_value(r, &value);
	yaml_event_delete(&value);
}

static void take_item(struct yaml_reader *r, const yaml_event_t *ev, unsigned index)
{
	buf_printf(&r->path, "[%u]", index);
	if (path_fits(r, line_of(ev)))
		take_value(r, ev);
}

/* A mapping or a sequence, to its end. */
static void take_container(struct yaml_reader *r, const yaml_event_t *start)
{
	bool map = start->type == YAML_MAPPING_START_EVENT;
	size_t path_len = r->path.len;
	size_t first_node = r->tree->n;
	size_t first_key = r->nseen;
	size_t first_merge = r->nmerge;
	unsigned index = 0;
	bool more = true;
	yaml_event_t ev = { 0 };

	r->depth++;
	while (more && next(r, &ev)) {
		more = ev.type != YAML_MAPPING_END_EVENT && ev.type != YAML_SEQUENCE_END_EVENT;
		if (more && map)
			take_member(r, &ev);
		else if (more)
			take_item(r, &ev, index++);
		r->path.len = path_len;
		yaml_event_delete(&ev);
	}
	r->depth--;
	if (r->failed)
		return;
	end_keys(r, first_key);
	end_merges(r, first_merge, first_node);
	if (r->tree->n == first_node && r->depth > 0)
		add_node(r, "", 0, line_of(start)); /* [] and {} */
	add_anchor(r, map ? start->data.mapping_start.anchor : start->data.sequence_start.anchor,
		   first_node, line_of(start));
}

static void take_root(struct yaml_reader *r, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		if (!is_null(ev) && ev->data.scalar.length > 0)
			REFUSE(r, line_of(ev), "the file is one text; write `key: value` lines");
		break;
	case YAML_ALIAS_EVENT:
		refuse_alias(r, ev);
		break;
	case YAML_SEQUENCE_START_EVENT:
		REFUSE(r, line_of(ev), "the file is a list; write `key: value` lines");
		break;
	case YAML_MAPPING_START_EVENT:
		take_container(r, ev);
		break;
	case YAML_DOCUMENT_START_EVENT:
		if (r->documents++ > 0)
			REFUSE(r, line_of(ev), "a second document begins; keep one, without `---`");
		break;
	default:
		break;
	}
}

static void parse(struct yaml_reader *r)
{
	yaml_event_t ev = { 0 };
	bool more = true;

	CHECK(yaml_parser_initialize(&r->parser) == 1);
	yaml_parser_set_input_string(&r->parser, r->in->bytes, r->in->n);
	while (more && next(r, &ev)) {
		more = ev.type != YAML_STREAM_END_EVENT;
		take_root(r, &ev);
		yaml_event_delete(&ev);
	}
	refuse_unused(r);
	yaml_parser_delete(&r->parser);
}

static int sorted_compare(const void *a, const void *b)
{
	const struct node *const *x = a;
	const struct node *const *y = b;
	int rc = strcmp((*x)->key, (*y)->key);

	return rc != 0 ? rc : ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

/* Makes the index; finds keys that are equal only when flat, such as `a.b` and `a: {b}`. */
static void sort_nodes(struct yaml_reader *r)
{
	struct tree *t = r->tree;
	size_t i;

	t->sorted = mem_alloc(t->n * sizeof(*t->sorted));
	for (i = 0; i < t->n; i++)
		t->sorted[i] = &t->node[i];
	if (t->n > 1)
		qsort(t->sorted, t->n, sizeof(*t->sorted), sorted_compare);
	for (i = 1; i < t->n && r->twice == 0; i++) {
		const struct node *x = t->sorted[i];

		if (strcmp(x->key, t->sorted[i - 1]->key) == 0)
			report_twice(r, x->key, x->line, t->sorted[i - 1]->line);
	}
}

static void reader_reset(struct yaml_reader *r)
{
	size_t i;

	while (r->nseen > 0)
		mem_free(r->seen[--r->nseen].key);
	for (i = 0; i < r->nanchor; i++)
		mem_free(r->anchor[i].name);
	mem_free(r->anchor);
	mem_free(r->seen);
	buf_reset(&r->path);
	tree_free(&r->tree);
}

int tree_read(struct tree **out, const struct config_source *in, struct problems *p, struct err *e)
{
	struct yaml_reader r = { .in = in, .problems = p };
	int rc = 0;

	r.tree = mem_zalloc(sizeof(*r.tree));
	if (in->n > TREE_FILE_MAX_BYTES)
		REFUSE(&r, 0, "more than %d bytes; make the file smaller", TREE_FILE_MAX_BYTES);
	else
		parse(&r);
	if (r.failed) {
		rc = err_set(e, ERR_CONFIG, "%s cannot be used as it is", in->name);
	} else {
		sort_nodes(&r);
		*out = r.tree;
		r.tree = NULL; /* handed to the caller */
	}
	reader_reset(&r);
	return rc;
}

void tree_free(struct tree **tp)
{
	struct tree *t = *tp;
	size_t i;

	*tp = NULL;
	if (t == NULL)
		return;
	for (i = 0; i < t->n; i++) {
		mem_free(t->node[i].key);
		mem_free_secret(t->node[i].value);
	}
	mem_free(t->node);
	mem_free(t->sorted);
	mem_free(t);
}

static int find_compare(const void *key, const void *item)
{
	const struct node *const *node = item;

	return strcmp(key, (*node)->key);
}

const struct node *tree_find(const struct tree *t, const char *key)
{
	const struct node **found = bsearch(key, t->sorted, t->n, sizeof(*t->sorted), find_compare);

	return found == NULL ? NULL : *found;
}
