/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/event.h"

#include <string.h>

#include "common/base/mem.h"

/* --- types --- */

static const char *const names[KIND__COUNT] = {
	[KIND_NODE_METADATA] = "NODE_METADATA", [KIND_LICENSE] = "LICENSE",
	[KIND_ACCESS_POINT] = "ACCESS_POINT",	[KIND_ORGANIZATION] = "ORGANIZATION",
	[KIND_DICTIONARY] = "DICTIONARY",	[KIND_SHARED_POLICY_GROUP] = "SHARED_POLICY_GROUP",
	[KIND_AUTHZ_ENTITY] = "AUTHZ_ENTITY",	[KIND_AUTHZ_POLICY] = "AUTHZ_POLICY",
	[KIND_API_PRODUCT] = "API_PRODUCT",	[KIND_API] = "API",
	[KIND_SUBSCRIPTION] = "SUBSCRIPTION",	[KIND_API_KEY] = "API_KEY",
};

const char *kind_name(enum kind k)
{
	CHECK(k < KIND__COUNT);
	return names[k];
}

bool kind_has_children(enum kind k)
{
	return k == KIND_API || k == KIND_API_PRODUCT;
}

bool kind_parse(const char *s, size_t n, enum kind *out)
{
	unsigned i;

	for (i = 0; i < KIND__COUNT; i++) {
		if (strlen(names[i]) == n && memcmp(names[i], s, n) == 0) {
			*out = (enum kind)i;
			return true;
		}
	}
	return false;
}

/* --- names --- */

#define REF_PREFIX "API:"

void event_reset(struct event *ev)
{
	mem_free(ev->id);
	mem_free(ev->ref_id);
	mem_free(ev->version);
	buf_reset(&ev->payload);
	*ev = (struct event){ 0 };
}

char *event_name(enum kind k, const char *id, const char *ref_id)
{
	if (ref_id == NULL)
		return mem_printf("%s:%s", kind_name(k), id);
	return mem_printf(REF_PREFIX "%s:%s:%s", ref_id, kind_name(k), id);
}

const char *action_name(enum action a)
{
	return a == ACTION_DEPLOY ? "DEPLOY" : "UNDEPLOY";
}

bool action_parse(const char *s, size_t n, enum action *out)
{
	if (n == 6 && memcmp(s, "DEPLOY", 6) == 0)
		*out = ACTION_DEPLOY;
	else if (n == 8 && memcmp(s, "UNDEPLOY", 8) == 0)
		*out = ACTION_UNDEPLOY;
	else
		return false;
	return true;
}

void event_hash(struct hash *h, const struct event *ev)
{
	char *name = event_name(ev->kind, ev->id, ev->ref_id);

	hash_event(h, (char)ev->action, name, ev->payload.data,
		   ev->action == ACTION_DEPLOY ? ev->payload.len : 0);
	mem_free(name);
}

int event_name_ref(const char *name, enum kind k, const char *id, const char **ref, size_t *ref_len,
		   struct err *e)
{
	char *tail = event_name(k, id, NULL);
	size_t len = strlen(name);
	size_t skip = strlen(REF_PREFIX);
	size_t tail_len = strlen(tail);
	bool ends = str_ends(name, tail);

	mem_free(tail);
	if (ends && len == tail_len) {
		*ref = NULL;
		*ref_len = 0;
		return 0;
	}
	if (!ends || !str_starts(name, REF_PREFIX) || len < skip + tail_len + 1 ||
	    name[len - tail_len - 1] != ':')
		return err_set(e, ERR_PARSE, "key is not that of %s %s", kind_name(k), id);
	*ref = name + skip;
	*ref_len = len - tail_len - 1 - skip;
	if (*ref_len == 0)
		return err_set(e, ERR_PARSE, "key of %s %s hangs on nothing", kind_name(k), id);
	return 0;
}

int event_name_parse(const char *name, const char *ref, enum kind *k, const char **id,
		     struct err *e)
{
	const char *p = name;
	const char *colon;

	if (ref != NULL) {
		size_t n = strlen(ref);

		if (!str_starts(name, "API:") || strncmp(name + 4, ref, n) != 0 ||
		    name[4 + n] != ':')
			return err_set(e, ERR_PARSE, "%.100s is no child of %.100s", name, ref);
		p = name + 4 + n + 1;
	}
	colon = strchr(p, ':');
	if (colon == NULL || colon[1] == '\0' || !kind_parse(p, (size_t)(colon - p), k))
		return err_set(e, ERR_PARSE, "%.100s is no name of an event", name);
	*id = colon + 1;
	return 0;
}
