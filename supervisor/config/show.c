/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "supervisor/config/config.h"
#include "supervisor/config/mask.h"
#include "supervisor/config/value.h"

#define DEPTH_MAX  8
#define WIDTH	   96 /* of the sample's comments */
#define INDENT	   2
#define ORIGIN_COL 56 /* where the origin stands, when the value is short enough */

static const char *const status_note[STATUS__COUNT] = {
	[STATUS_LATER] = ", ignored: later release",
	[STATUS_NO_EFFECT] = ", without effect",
};

static void show_value(const struct config *c, enum cfg id, struct buf *out)
{
	const struct schema_row *row = schema_row(id);
	size_t start = out->len;
	char *const *list;
	char *const *secrets;
	size_t n;
	size_t i;

	if (row->type == TYPE_LIST) {
		list = config_list(c, id, &n);
		for (i = 0; i < n; i++) {
			buf_adds(out, i == 0 ? "" : ",");
			mask_uri(out, list[i]);
		}
	} else if (row->type == TYPE_MAP) {
		n = config_map(c, id, &list, &secrets);
		for (i = 0; i < n; i++)
			buf_printf(out, "%s%s=" MASK, i == 0 ? "" : ",", list[i]);
	} else if (row->type == TYPE_SECRET) {
		buf_adds(out, config_str(c, id)[0] == '\0' ? "" : MASK);
	} else {
		mask_uri(out, config_str(c, id));
	}
	/* Values without effect were not looked at: they may hold anything. */
	for (i = start; i < out->len; i++)
		if ((unsigned char)out->data[i] < 0x20)
			out->data[i] = '?';
}

static void show_row(const struct config *c, enum cfg id, struct buf *out)
{
	const struct schema_row *row = schema_row(id);
	size_t start = out->len;
	struct problem_place at;

	buf_printf(out, "%s: ", row->key);
	show_value(c, id, out);
	do
		buf_addc(out, ' ');
	while (out->len - start < ORIGIN_COL);
	config_place(c, id, &at);
	if (!config_is_set(c, id))
		buf_adds(out, "# default");
	else if (at.env != NULL)
		buf_printf(out, "# env %s", at.env);
	else
		buf_printf(out, "# %s:%u", at.file, at.line);
	if (status_note[row->status] != NULL)
		buf_adds(out, status_note[row->status]);
	else if (row->needs != 0 && !config_bool(c, row->needs))
		buf_printf(out, ", without effect: %s is false", schema_row(row->needs)->key);
	buf_addc(out, '\n');
}

void config_show(const struct config *c, struct buf *out)
{
	unsigned i;

	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);

		if ((row->status == STATUS_USED &&
		     (row->needs == 0 || config_bool(c, row->needs))) ||
		    config_is_set(c, (enum cfg)i))
			show_row(c, (enum cfg)i, out);
	}
}

/* Words of `text` as comment lines. */
static void add_comment(struct buf *out, unsigned depth, const char *text)
{
	size_t used = WIDTH; /* begin with a line of our own */
	bool first = true;

	while (*text != '\0') {
		size_t n = strcspn(text, " ");

		if (used + 1 + n > WIDTH) {
			buf_adds(out, first ? "" : "\n");
			buf_printf(out, "%*s#", (int)depth * INDENT, "");
			used = depth * INDENT + 1;
			first = false;
		}
		buf_addc(out, ' ');
		buf_add(out, text, n);
		used += 1 + n;
		text += n + (text[n] == ' ' ? 1 : 0);
	}
	buf_addc(out, '\n');
}

/* Opens the groups of `key` that the key before was not in. Returns the key's depth. */
static unsigned open_groups(struct buf *out, const char *key, const char *before)
{
	unsigned depth = 0;
	const char *dot;
	size_t n = 0;

	while ((dot = strchr(key + n, '.')) != NULL) {
		size_t end = (size_t)(dot - key);

		if (strncmp(key, before, end + 1) != 0) {
			if (depth == 0)
				buf_addc(out, '\n');
			buf_printf(out, "%*s%.*s:\n", (int)depth * INDENT, "", (int)(end - n),
				   key + n);
		}
		n = end + 1;
		depth++;
	}
	return depth;
}

static void sample_row(struct buf *out, const struct schema_row *row, const char *before)
{
	unsigned depth = open_groups(out, row->key, before);
	const char *name = strrchr(row->key, '.');
	struct buf text = { 0 };

	if (depth == 0)
		buf_addc(out, '\n');
	buf_adds(&text, row->doc);
	if (row->type == TYPE_INT || row->type == TYPE_ENUM) {
		struct buf want = { 0 };

		value_wanted(&want, row);
		buf_printf(&text, " %c%s.", buf_cstr(&want)[0] - 'a' + 'A', buf_cstr(&want) + 1);
		buf_reset(&want);
	}
	if (row->sample != NULL)
		buf_adds(&text, " Required.");
	add_comment(out, depth, buf_cstr(&text));
	name = name == NULL ? row->key : name + 1;
	buf_printf(out, "%*s%s%s:", (int)depth * INDENT, "", row->sample == NULL ? "#" : "",
		   *name == '*' ? "NAME" : name);
	if (row->sample != NULL || row->dflt[0] != '\0')
		buf_printf(out, " %s", row->sample != NULL ? row->sample : row->dflt);
	buf_addc(out, '\n');
	buf_reset(&text);
}

static const char sample_head[] =
	"# Configuration of zonesync. Made from the table of keys (supervisor/config/schema.def).\n"
	"#\n"
	"# A key that is commented out stands with its default. zonesync also reads the gateway's\n"
	"# own gravitee.yml: what belongs to the gateway alone is passed over.\n"
	"#\n"
	"# Each key can be set by an environment variable, which wins over the file:\n"
	"#   distributed-sync.redis.host   gravitee_distributedsync_redis_host\n"
	"#   tags[0]                       gravitee_tags_0\n"
	"# Values may hold ${name} and ${name:default}: a variable, a key of this file, or a plain\n"
	"# environment variable. ${gravitee.home} is GRAVITEE_HOME, or\n"
	"# /opt/graviteeio/apim/gateway. Lists are YAML lists or one text with commas.\n";

static void sample_rest(struct buf *out)
{
	static const char *const title[STATUS__COUNT] = {
		[STATUS_LATER] = "Keys of a later release: warned about and ignored",
		[STATUS_REFUSED] = "Keys that end the start when they ask for it, since ignoring "
				   "them would change the server that is reached, or its security",
		[STATUS_NO_EFFECT] = "Keys of the reference that zonesync has no need of",
	};
	unsigned status;
	unsigned i;

	for (status = STATUS_LATER; status < STATUS__COUNT; status++) {
		buf_addc(out, '\n');
		add_comment(out, 0, title[status]);
		buf_adds(out, "#\n");
		for (i = 0; i < CFG__COUNT; i++)
			if (schema_row((enum cfg)i)->status == status)
				buf_printf(out, "#   %s\n", schema_row((enum cfg)i)->key);
	}
}

void config_write_sample(struct buf *out)
{
	const char *before = "";
	unsigned i;

	buf_adds(out, sample_head);
	for (i = 0; i < CFG__COUNT; i++) {
		const struct schema_row *row = schema_row((enum cfg)i);

		/* A list of groups is told of by the key it stands in for. */
		if (row->status != STATUS_USED || schema_is_pattern(row) || row->old)
			continue;
		sample_row(out, row, before);
		before = row->key;
	}
	sample_rest(out);
}
