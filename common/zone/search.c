/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zone/search.h"

#include <string.h>

#define EVENTS "distributed_event:"

static const struct {
	const char *name;
	const char *type;
} fields[] = {
	{ "clusterId", "TAG" },
	{ "type", "TAG" },
	{ "syncAction", "TAG" },
	{ "updatedAt", "NUMERIC" },
};

static bool has_prefix(const struct redis_reply *definition)
{
	const struct redis_reply *list = redis_value(definition, "prefixes");
	size_t i;

	for (i = 0; i < redis_count(list); i++)
		if (redis_is(redis_at(list, i), EVENTS))
			return true;
	return false;
}

/* The attribute that queries name so; its flags come last, where pairs end. */
static const struct redis_reply *attribute(const struct redis_reply *list, const char *name)
{
	size_t i;

	for (i = 0; i < redis_count(list); i++)
		if (redis_is(redis_value(redis_at(list, i), "attribute"), name))
			return redis_at(list, i);
	return NULL;
}

bool search_serves(const struct redis_reply *info, char *why, size_t n)
{
	const struct redis_reply *definition = redis_value(info, "index_definition");
	const struct redis_reply *list = redis_value(info, "attributes");
	size_t i;

	if (!redis_is(redis_value(definition, "key_type"), "HASH") || !has_prefix(definition) ||
	    redis_value(definition, "filter") != NULL) {
		str_print(why, n, "it is not over all hashes below " EVENTS);
		return false;
	}
	for (i = 0; i < ARRAY_LEN(fields); i++) {
		const struct redis_reply *a = attribute(list, fields[i].name);

		if (!redis_is(redis_value(a, "identifier"), fields[i].name) ||
		    !redis_is(redis_value(a, "type"), fields[i].type)) {
			str_print(why, n, "%s is no %s in it", fields[i].name, fields[i].type);
			return false;
		}
	}
	return true;
}

static bool says(const struct redis_reply *r, const char *words)
{
	const char *text = redis_str(r, NULL);

	return redis_is_error(r) && text != NULL && strstr(text, words) != NULL;
}

static void refused(const struct search *s, const struct redis_reply *r)
{
	char why[240];

	str_print(why, sizeof(why), "%.140s%s", redis_str(r, NULL),
		  redis_error_is(r, "NOPERM")
			  ? " (see REDIS in zonesyncd(8), or set zonesync.redis.search_index: off)"
			  : "");
	s->fn(s->arg, SEARCH_REFUSED, why);
}

static void on_created(void *arg, const struct redis_reply *r, const struct err *lost)
{
	const struct search *s = arg;

	if (lost != NULL)
		return;
	if (says(r, "already exists")) /* somebody else was faster */
		s->fn(s->arg, SEARCH_THERE, "there");
	else if (redis_is_error(r))
		refused(s, r);
	else
		s->fn(s->arg, SEARCH_CREATED, "created");
}

static void on_info(void *arg, const struct redis_reply *r, const struct err *lost)
{
	const struct search *s = arg;
	char why[160];

	if (lost != NULL)
		return;
	if (says(r, "unknown command"))
		s->fn(s->arg, SEARCH_NO_MODULE, "no search module");
	else if (redis_error_is(r, "NOPERM"))
		refused(s, r);
	else if (!redis_is_error(r) && search_serves(r, why, sizeof(why)))
		s->fn(s->arg, SEARCH_THERE, "there");
	else if (!redis_is_error(r))
		s->fn(s->arg, SEARCH_OTHER, why);
	/* The words for a missing index differ from version to version: this tells. */
	else if (redis_sendv(s->redis, on_created, arg, "FT.CREATE", SEARCH_INDEX, "ON", "HASH",
			     "PREFIX", "1", EVENTS, "SCHEMA", "clusterId", "TAG", "type", "TAG",
			     "syncAction", "TAG", "updatedAt", "NUMERIC", "SORTABLE", NULL) < 0)
		s->fn(s->arg, SEARCH_REFUSED, "too much is under way");
}

int search_keep(const struct search *s)
{
	return redis_sendv(s->redis, on_info, (void *)(uintptr_t)s, "FT.INFO", SEARCH_INDEX, NULL);
}
