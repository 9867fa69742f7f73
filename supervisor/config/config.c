/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/config/config.h"

#include <string.h>

#include "common/base/mem.h"
#include "supervisor/config/slots.h"

void config_free(struct config **cp)
{
	struct config *c = *cp;
	unsigned i;

	*cp = NULL;
	if (c == NULL)
		return;
	for (i = 0; i < CFG__COUNT; i++) {
		value_reset(&c->slot[i].v);
		mem_free(c->slot[i].env);
		mem_free(c->slot[i].key);
	}
	mem_free(c->file);
	mem_free(c);
}

const char *config_str(const struct config *c, enum cfg id)
{
	CHECK(id < CFG__COUNT && schema_row(id)->type != TYPE_LIST &&
	      schema_row(id)->type != TYPE_MAP);
	return c->slot[id].v.text == NULL ? "" : c->slot[id].v.text;
}

int64_t config_int(const struct config *c, enum cfg id)
{
	CHECK(id < CFG__COUNT && schema_row(id)->type == TYPE_INT);
	return c->slot[id].v.num == 0 ? schema_row(id)->zero : c->slot[id].v.num;
}

bool config_bool(const struct config *c, enum cfg id)
{
	CHECK(id < CFG__COUNT && schema_row(id)->type == TYPE_BOOL);
	return c->slot[id].v.num != 0;
}

char *const *config_list(const struct config *c, enum cfg id, size_t *n)
{
	CHECK(id < CFG__COUNT && schema_row(id)->type == TYPE_LIST);
	*n = c->slot[id].v.n;
	return c->slot[id].v.list;
}

size_t config_map(const struct config *c, enum cfg id, char *const **names, char *const **secrets)
{
	CHECK(id < CFG__COUNT && schema_row(id)->type == TYPE_MAP);
	*names = c->slot[id].v.list;
	*secrets = c->slot[id].v.secrets;
	return c->slot[id].v.n;
}

bool config_is_set(const struct config *c, enum cfg id)
{
	CHECK(id < CFG__COUNT);
	return c->slot[id].set;
}

void config_place(const struct config *c, enum cfg id, struct problem_place *out)
{
	const struct slot *s = &c->slot[id];

	*out = (struct problem_place){
		.file = c->file, .line = s->line, .env = s->env, .key = s->key
	};
	if (out->key == NULL)
		out->key = schema_row(id)->key;
}

static bool is_below(const char *key, const char *group)
{
	size_t n = strlen(group);

	return strncmp(key, group, n) == 0 && (key[n] == '.' || key[n] == '[');
}

static enum cfg first_set(const struct config *c, const char *group)
{
	unsigned i;

	for (i = 0; i < CFG__COUNT; i++)
		if (is_below(schema_row((enum cfg)i)->key, group) && config_is_set(c, (enum cfg)i))
			return (enum cfg)i;
	return CFG__COUNT;
}

void config_blame(const struct config *c, enum problem_level level, const char *text,
		  struct problems *p)
{
	size_t n = strcspn(text, " :");
	char *key = text[n] == ':' ? mem_dup(text, n) : NULL;
	struct problem_place at = { .file = c->file };
	bool group = key != NULL && schema_is_group(key);
	enum cfg id = group ? first_set(c, key) : key == NULL ? CFG__COUNT : schema_match(key);

	if (id != CFG__COUNT)
		config_place(c, id, &at);
	if (group)
		at.key = key;
	problems_add(p, level, &at, "%s",
		     at.key == NULL ? text : text + n + strspn(text + n, ": "));
	mem_free(key);
}

int64_t config_sync_delay_ms(const struct config *c)
{
	const char *unit = config_str(c, CFG_SYNC_UNIT);
	int64_t factor = 1;

	if (strcmp(unit, "SECONDS") == 0)
		factor = 1000;
	else if (strcmp(unit, "MINUTES") == 0)
		factor = 60000;
	return config_int(c, CFG_SYNC_DELAY) * factor;
}

bool config_http_is_tcp(const struct config *c)
{
	return config_is_set(c, CFG_HTTP_HOST) || config_is_set(c, CFG_HTTP_PORT);
}

const char *config_log_level(const struct config *c, enum cfg process)
{
	const char *own = config_str(c, process);

	return own[0] != '\0' ? own : config_str(c, CFG_LOG_LEVEL);
}
