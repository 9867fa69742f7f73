/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/map/readable.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/table.h"

/* --- the table --- */

/* What a value has to be. Null passes but for WORD, NOT_NULL and PROXY. */
enum rule {
	ANY,
	NOT_NULL,
	TEXT, /* no array or object: other values are read as text */
	BOOL, /* or an integer, or text that says it */
	INT,  /* 32 bits; fractions are cut, text may hold it */
	LONG, /* 64 bits */
	OBJECT,
	OBJECT_OR_TEXT,
	LIST,
	DISTINCT, /* LIST, and no two elements have one id */
	TYPED,	  /* the row of the shape that its `type` names goes on */
	LABEL,	  /* one of the words in any case, or its ordinal number */
	WORD,	  /* one of the words in any case */
	EXACT,	  /* one of the words */
	PROXY	  /* of v2: see check_proxy() */
};

/* What a member is a part of. */
enum shape {
	NOTHING,
	V4,
	NATIVE,
	EDGE,
	V2,
	TEXTS,
	METHODS4,
	OPERATIONS,
	PROPERTIES,
	PROPERTY,
	RESOURCES,
	RESOURCE,
	LISTENERS,
	HTTP,
	SUBSCRIPTION,
	TCP,
	KAFKA_LISTENERS,
	KAFKA,
	ENTRYPOINTS,
	ENTRYPOINT,
	DLQ,
	PATHS,
	PATH,
	GROUPS,
	GROUP,
	BALANCER,
	ENDPOINTS,
	ENDPOINT,
	GROUP_SERVICES,
	SERVICE,
	API_SERVICES,
	ANALYTICS,
	LOGGING,
	FLAGS,
	FAILOVER,
	EXECUTION,
	TEMPLATES,
	PLANS,
	PLAN,
	SECURITY,
	FLOWS,
	FLOW,
	POLICIES,
	STEPS,
	STEP,
	SELECTORS,
	HTTP_SELECTOR,
	CHANNEL_SELECTOR,
	CONDITION_SELECTOR,
	PROXY2,
	LOGGING2,
	GROUPS2,
	GROUP2,
	BALANCER2,
	ENDPOINTS2,
	ENDPOINT2,
	SERVICES2,
	HEALTH,
	DYNAMIC,
	DYNAMIC_HTTP,
	HTTP_CLIENT,
	HTTP_PROXY,
	FAILOVER2,
	CASES,
	PLANS2,
	PLAN2,
	PLAN_FLOWS2,
	FLOWS2,
	FLOW2,
	METHODS2,
	CONSUMERS,
	CONSUMER
};

static const char *const modes[] = { "standard", "push", NULL };
static const char *const statuses[] = { "staging", "published", "deprecated", "closed", NULL };
static const char *const balancers[] = { "round-robin", "random", "weighted-round-robin",
					 "weighted-random", NULL };
static const char *const qualities[] = { "none", "auto", "at-most-once", "at-least-once", NULL };
static const char *const methods[] = { "CONNECT", "DELETE", "GET",   "HEAD",  "OPTIONS", "PATCH",
				       "POST",	  "PUT",    "TRACE", "OTHER", NULL };
static const char *const operations[] = { "PUBLISH", "SUBSCRIBE", NULL };
static const char *const flow_modes[] = { "DEFAULT", "BEST_MATCH", NULL };
static const char *const log_modes[] = { "NONE", "CLIENT", "PROXY", "CLIENT_PROXY", NULL };
static const char *const log_scopes[] = { "NONE", "REQUEST", "RESPONSE", "REQUEST_RESPONSE", NULL };
static const char *const log_contents[] = { "NONE", "HEADERS", "PAYLOADS", "HEADERS_PAYLOADS",
					    NULL };
static const char *const balancers2[] = { "ROUND_ROBIN", "RANDOM", "WEIGHTED_ROUND_ROBIN",
					  "WEIGHTED_RANDOM", NULL };
static const char *const units[] = { "SECONDS", "MINUTES", "HOURS", "DAYS", NULL };
static const char *const providers[] = { "HTTP", NULL };
static const char *const versions[] = { "HTTP_1_1", "HTTP_2", NULL };
static const char *const proxies[] = { "HTTP", "SOCKS4", "SOCKS5", NULL };
static const char *const cases[] = { "TIMEOUT", NULL };
static const char *const consumers[] = { "TAG", NULL };

static const struct check {
	enum shape of;
	const char *member; /* or several; "[]": each element; "*": each member */
	enum rule rule;
	enum shape to;		  /* what it is in its turn */
	const char *const *words; /* ends with NULL */
	bool must;		  /* it has to be there */
	const char *unless;	  /* the row does not hold beside this member */
} checks[] = {
	{ V4, "id name apiVersion definitionVersion", TEXT },
	{ V4, "tags", LIST, TEXTS },
	{ V4, "properties", LIST, PROPERTIES },
	{ V4, "resources", LIST, RESOURCES },
	{ V4, "listeners", LIST, LISTENERS },
	{ V4, "endpointGroups", LIST, GROUPS },
	{ V4, "analytics", OBJECT, ANALYTICS },
	{ V4, "failover", OBJECT, FAILOVER },
	{ V4, "plans", DISTINCT, PLANS },
	{ V4, "flowExecution", OBJECT, EXECUTION },
	{ V4, "flows", LIST, FLOWS },
	{ V4, "responseTemplates", OBJECT, TEMPLATES },
	{ V4, "services", OBJECT, API_SERVICES },

	{ NATIVE, "id name apiVersion definitionVersion", TEXT },
	{ NATIVE, "tags", LIST, TEXTS },
	{ NATIVE, "properties", LIST, PROPERTIES },
	{ NATIVE, "resources", LIST, RESOURCES },
	{ NATIVE, "listeners", LIST, KAFKA_LISTENERS },
	{ NATIVE, "endpointGroups", LIST, GROUPS },
	{ NATIVE, "plans", DISTINCT, PLANS },
	{ NATIVE, "flows", LIST, FLOWS },
	{ NATIVE, "services", OBJECT, API_SERVICES },

	{ EDGE, "id name", TEXT },
	{ EDGE, "tags", LIST, TEXTS },

	{ TEXTS, "[]", TEXT },
	{ METHODS4, "[]", LABEL, .words = methods },
	{ OPERATIONS, "[]", LABEL, .words = operations },
	{ PROPERTIES, "[]", OBJECT, PROPERTY },
	{ PROPERTY, "key value", TEXT },
	{ PROPERTY, "encrypted dynamic", BOOL },
	{ RESOURCES, "[]", OBJECT, RESOURCE },
	{ RESOURCE, "name type", TEXT },
	{ RESOURCE, "enabled", BOOL },

	{ LISTENERS, "[]", TYPED, LISTENERS },
	{ LISTENERS, "http", ANY, HTTP },
	{ LISTENERS, "subscription", ANY, SUBSCRIPTION },
	{ LISTENERS, "tcp", ANY, TCP },
	{ KAFKA_LISTENERS, "[]", TYPED, KAFKA_LISTENERS },
	{ KAFKA_LISTENERS, "kafka", ANY, KAFKA },
	{ HTTP, "entrypoints", LIST, ENTRYPOINTS },
	{ HTTP, "servers pathMappings", LIST, TEXTS },
	{ HTTP, "paths", LIST, PATHS },
	{ SUBSCRIPTION, "entrypoints", LIST, ENTRYPOINTS },
	{ SUBSCRIPTION, "servers", LIST, TEXTS },
	{ TCP, "entrypoints", LIST, ENTRYPOINTS },
	{ TCP, "servers hosts", LIST, TEXTS },
	{ KAFKA, "entrypoints", LIST, ENTRYPOINTS },
	{ KAFKA, "servers", LIST, TEXTS },
	{ KAFKA, "host", TEXT },
	{ KAFKA, "port", INT },
	{ ENTRYPOINTS, "[]", OBJECT, ENTRYPOINT },
	{ ENTRYPOINT, "type", TEXT },
	{ ENTRYPOINT, "qos", LABEL, .words = qualities },
	{ ENTRYPOINT, "dlq", OBJECT_OR_TEXT, DLQ },
	{ DLQ, "endpoint", TEXT },
	{ PATHS, "[]", OBJECT_OR_TEXT, PATH },
	{ PATH, "host path", TEXT },
	{ PATH, "overrideAccess", BOOL },

	{ GROUPS, "[]", OBJECT, GROUP },
	{ GROUP, "name type", TEXT },
	{ GROUP, "loadBalancer", OBJECT, BALANCER },
	{ GROUP, "endpoints", LIST, ENDPOINTS },
	{ GROUP, "services", OBJECT, GROUP_SERVICES },
	{ BALANCER, "type", LABEL, .words = balancers },
	{ ENDPOINTS, "[]", OBJECT, ENDPOINT },
	{ ENDPOINT, "name type", TEXT },
	{ ENDPOINT, "secondary inheritConfiguration", BOOL },
	{ ENDPOINT, "tenants", LIST, TEXTS },
	{ ENDPOINT, "weight", INT },
	{ ENDPOINT, "services", OBJECT, GROUP_SERVICES },
	{ GROUP_SERVICES, "healthCheck discovery", OBJECT, SERVICE },
	{ API_SERVICES, "dynamicProperty", OBJECT, SERVICE },
	{ SERVICE, "overrideConfiguration enabled", BOOL },
	{ SERVICE, "type", TEXT },

	{ ANALYTICS, "enabled", BOOL },
	{ ANALYTICS, "messageSampling tracing", OBJECT },
	{ ANALYTICS, "logging", OBJECT, LOGGING },
	{ LOGGING, "mode phase content", OBJECT, FLAGS },
	{ LOGGING, "condition messageCondition", TEXT },
	{ FLAGS, "entrypoint endpoint request response headers payload", BOOL },
	{ FAILOVER, "enabled perSubscription", BOOL },
	{ FAILOVER, "maxRetries maxFailures", INT },
	{ FAILOVER, "slowCallDuration openStateDuration", LONG },
	{ EXECUTION, "mode", TEXT },
	{ EXECUTION, "matchRequired", BOOL },
	{ TEMPLATES, "*", OBJECT },

	{ PLANS, "[]", NOT_NULL },
	{ PLANS, "[]", OBJECT, PLAN },
	{ PLAN, "id name selectionRule", TEXT },
	{ PLAN, "security", OBJECT, SECURITY },
	{ PLAN, "mode", LABEL, .words = modes },
	{ PLAN, "tags", LIST, TEXTS },
	{ PLAN, "status", LABEL, .words = statuses },
	{ PLAN, "flows", LIST, FLOWS },
	{ SECURITY, "type", TEXT },

	{ FLOWS, "[]", OBJECT, FLOW },
	{ FLOW, "id name", TEXT },
	{ FLOW, "enabled", BOOL },
	{ FLOW, "tags", LIST, TEXTS },
	{ FLOW, "request response subscribe publish", LIST, STEPS },
	{ FLOW, "selectors", LIST, SELECTORS },
	{ POLICIES, "[]", NOT_NULL },
	{ POLICIES, "[]", OBJECT, STEP },
	{ STEPS, "[]", OBJECT, STEP },
	{ STEP, "name description policy condition messageCondition", TEXT },
	{ STEP, "enabled", BOOL },
	{ SELECTORS, "[]", TYPED, SELECTORS },
	{ SELECTORS, "http", ANY, HTTP_SELECTOR },
	{ SELECTORS, "channel", ANY, CHANNEL_SELECTOR },
	{ SELECTORS, "condition", ANY, CONDITION_SELECTOR },
	{ HTTP_SELECTOR, "path pathOperator", TEXT },
	{ HTTP_SELECTOR, "methods", LIST, METHODS4 },
	{ CHANNEL_SELECTOR, "operations", LIST, OPERATIONS },
	{ CHANNEL_SELECTOR, "channel channelOperator", TEXT },
	{ CHANNEL_SELECTOR, "entrypoints", LIST, TEXTS },
	{ CONDITION_SELECTOR, "condition", TEXT },

	{ V2, "name", ANY, .must = true },
	{ V2, "flow_mode", EXACT, .words = flow_modes },
	{ V2, "proxy", PROXY, PROXY2, .must = true },
	{ V2, "services", ANY, SERVICES2 },
	{ V2, "plans", ANY, PLANS2 },
	{ V2, "flows", ANY, FLOWS2 },
	{ PROXY2, "logging", ANY, LOGGING2 },
	{ PROXY2, "loggingMode", WORD, .words = log_modes },
	{ PROXY2, "endpoints", ANY, ENDPOINTS2 },
	{ PROXY2, "groups", ANY, GROUPS2, .unless = "endpoints" },
	{ PROXY2, "failover", ANY, FAILOVER2 },
	{ LOGGING2, "mode", WORD, .words = log_modes },
	{ LOGGING2, "scope", WORD, .words = log_scopes },
	{ LOGGING2, "content", WORD, .words = log_contents },
	{ GROUPS2, "[]", NOT_NULL, GROUP2 },
	{ GROUP2, "endpoints", ANY, ENDPOINTS2 },
	{ GROUP2, "load_balancing", ANY, BALANCER2 },
	{ GROUP2, "services", ANY, SERVICES2 },
	{ GROUP2, "proxy", ANY, HTTP_PROXY },
	{ GROUP2, "http", ANY, HTTP_CLIENT },
	{ BALANCER2, "type", WORD, .words = balancers2 },
	{ HTTP_PROXY, "type", WORD, .words = proxies },
	{ HTTP_CLIENT, "version", EXACT, .words = versions },
	{ ENDPOINTS2, "[]", OBJECT, ENDPOINT2 },
	{ ENDPOINT2, "name", ANY, .must = true },
	{ ENDPOINT2, "target", ANY, .must = true },
	{ ENDPOINT2, "healthcheck", ANY, HEALTH },
	{ FAILOVER2, "cases", ANY, CASES },
	{ CASES, "[]", WORD, .words = cases },
	{ SERVICES2, "health-check", OBJECT, HEALTH },
	{ SERVICES2, "dynamic-property", OBJECT, DYNAMIC },
	{ HEALTH, "unit", WORD, .words = units, .unless = "schedule" },
	{ DYNAMIC, "unit", WORD, .words = units, .unless = "schedule" },
	{ DYNAMIC, "provider", WORD, .words = providers, .must = true },
	{ DYNAMIC, "configuration", OBJECT, DYNAMIC_HTTP, .must = true },
	{ DYNAMIC_HTTP, "url", ANY, .must = true },
	{ DYNAMIC_HTTP, "specification", ANY, .must = true },
	{ PLANS2, "[]", NOT_NULL, PLAN2 },
	{ PLAN2, "flows", NOT_NULL, PLAN_FLOWS2 },
	{ PLAN_FLOWS2, "[]", NOT_NULL },
	{ FLOWS2, "[]", NOT_NULL, FLOW2 },
	{ FLOW2, "methods", ANY, METHODS2 },
	{ FLOW2, "consumers", ANY, CONSUMERS },
	{ METHODS2, "[]", WORD, .words = methods },
	{ CONSUMERS, "[]", ANY, CONSUMER },
	{ CONSUMER, "consumerType", EXACT, .words = consumers },
};

/* --- where a value stands --- */

struct trail {
	const struct trail *up; /* NULL: the root */
	const char *member;	/* "*": one of any name */
	size_t index;
	bool element;
};

static void write_trail(const struct trail *t, struct buf *b)
{
	if (t->up == NULL)
		return;
	write_trail(t->up, b);
	if (t->element)
		buf_printf(b, "[%zu]", t->index);
	else
		buf_printf(b, "%s%s", b->len > 0 ? "." : "", t->member);
}

static int refuse(const struct trail *t, const char *what, struct err *e)
{
	struct buf b = { 0 };
	int rc;

	write_trail(t, &b);
	rc = err_set(e, ERR_PARSE, "definition: %s %s", buf_cstr(&b), what);
	buf_reset(&b);
	return rc;
}

/* --- the rules --- */

/* A text without the blanks around it. What says nothing is null for the reference's reader. */
static bool trimmed(struct json_span v, struct buf *b)
{
	size_t from = 0;

	json_unescape(v, b);
	while (b->len > 0 && (unsigned char)b->data[b->len - 1] <= ' ')
		b->len--;
	while (from < b->len && (unsigned char)b->data[from] <= ' ')
		from++;
	memmove(b->data, b->data + from, b->len - from);
	b->len -= from;
	return b->len > 0 && strcmp(buf_cstr(b), "null") != 0;
}

static bool is_one_of(const char *s, const char *const *words, bool nocase)
{
	for (; *words != NULL; words++)
		if (nocase ? strcasecmp(s, *words) == 0 : strcmp(s, *words) == 0)
			return true;
	return false;
}

static bool is_digits(const char *s)
{
	if (*s == '+' || *s == '-')
		s++;
	return *s != '\0' && s[strspn(s, "0123456789")] == '\0';
}

static bool fits(const char *number, bool narrow)
{
	double d = strtod(number, NULL);

	return narrow ? d > -2147483649.0 && d < 2147483648.0 : d > -9.3e18 && d < 9.3e18;
}

/* A text, as the rule reads it. */
static bool text_obeys(enum rule rule, const char *s, const char *const *words)
{
	switch (rule) {
	case BOOL:
		return strcasecmp(s, "true") == 0 || strcasecmp(s, "false") == 0;
	case INT:
	case LONG:
		return is_digits(s) && fits(s, rule == INT);
	case LABEL:
		return is_digits(s) || is_one_of(s, words, true);
	default:
		return true;
	}
}

static bool string_obeys(const struct check *c, struct json_span v)
{
	struct buf b = { 0 };
	bool fine = !trimmed(v, &b) || text_obeys(c->rule, b.data, c->words);

	buf_reset(&b);
	return fine;
}

/* The digits, which nothing ends. */
static bool number_obeys(enum rule rule, struct json_span v)
{
	char *s = mem_dup(v.p, v.n);
	bool fine = true;

	if (rule == BOOL)
		fine = strpbrk(s, ".eE") == NULL;
	else if (rule == INT || rule == LONG)
		fine = fits(s, rule == INT);
	else if (rule == LABEL)
		fine = is_digits(s);
	mem_free(s);
	return fine;
}

/* The rules of v4: a value of any type is asked to become the one that is wanted. */
static bool scalar_obeys(const struct check *c, struct json_span v)
{
	switch (json_type(v)) {
	case JSON_STRING:
		return string_obeys(c, v);
	case JSON_NUMBER:
		return number_obeys(c->rule, v);
	case JSON_BOOL:
		return c->rule == TEXT || c->rule == BOOL;
	default:
		return false;
	}
}

/* The rules of v2, which takes the text of any value for a word. */
static bool word_obeys(const struct check *c, struct json_span v)
{
	struct buf b = { 0 };
	bool fine = false;

	if (json_type(v) == JSON_STRING) {
		json_unescape(v, &b);
		fine = is_one_of(buf_cstr(&b), c->words, c->rule == WORD);
	}
	buf_reset(&b);
	return fine;
}

static bool obeys(const struct check *c, struct json_span v)
{
	enum json_type type = json_type(v);

	if (type == JSON_NULL)
		return c->rule != WORD && c->rule != NOT_NULL && c->rule != PROXY;
	switch (c->rule) {
	case ANY:
	case NOT_NULL:
	case TYPED:
		return true;
	case OBJECT:
	case PROXY:
		return type == JSON_OBJECT;
	case OBJECT_OR_TEXT:
		return type == JSON_OBJECT || type == JSON_STRING;
	case LIST:
	case DISTINCT:
		return type == JSON_ARRAY;
	case WORD:
	case EXACT:
		return word_obeys(c, v);
	default:
		return scalar_obeys(c, v);
	}
}

static const char *wanted(enum rule rule)
{
	static const char *const texts[] = {
		[NOT_NULL] = "is null",
		[TEXT] = "is not text",
		[BOOL] = "is neither true nor false",
		[INT] = "is not an integer of 32 bits",
		[LONG] = "is not an integer",
		[OBJECT] = "is not an object",
		[OBJECT_OR_TEXT] = "is not an object",
		[LIST] = "is not an array",
		[DISTINCT] = "is not an array",
		[LABEL] = "is none of the words that are known",
		[WORD] = "is none of the words that are known",
		[EXACT] = "is none of the words that are known",
		[PROXY] = "is not an object",
	};

	return texts[rule];
}

/* --- what takes more than a look at one value --- */

/* Puts the name among the seen ones. false: it was there. */
static bool is_new(struct table *seen, const char *name)
{
	return table_set(seen, name, seen) == NULL;
}

static int check_distinct(struct json_span list, const struct trail *at, struct err *e)
{
	struct table seen = { 0 };
	struct json_iter it;
	struct trail t = { at, "[]", 0, true };
	int rc = 0;

	json_iter_init(&it, list);
	for (; rc == 0 && json_next(&it); t.index++) {
		struct json_span id = json_get(it.value, "id");
		struct buf b = { 0 };

		json_unescape(id, &b);
		if (json_type(id) == JSON_STRING && !is_new(&seen, buf_cstr(&b)))
			rc = refuse(&t, "has the id of another", e);
		buf_reset(&b);
	}
	table_reset(&seen);
	return rc;
}

/* The name of a group or endpoint of v2, which is the text of any value. */
static int take_name(struct json_span v, const char *absent, struct table *seen,
		     const struct trail *at, struct err *e)
{
	struct json_span name = json_get(v, "name");
	struct buf b = { 0 };
	int rc = 0;

	if (json_is_null(name))
		buf_adds(&b, absent);
	else if (json_type(name) == JSON_STRING)
		json_unescape(name, &b);
	else
		buf_add(&b, name.p, name.n);
	if (!is_new(seen, buf_cstr(&b)))
		rc = refuse(at, "has the name of another endpoint or group", e);
	buf_reset(&b);
	return rc;
}

static int take_names(struct json_span list, const char *absent, struct table *seen,
		      const struct trail *at, struct err *e)
{
	struct trail t = { at, "[]", 0, true };
	struct json_iter it;
	int rc = 0;

	json_iter_init(&it, list);
	for (; rc == 0 && json_next(&it); t.index++)
		if (json_type(it.value) == JSON_OBJECT)
			rc = take_name(it.value, absent, seen, &t, e);
	return rc;
}

static int check_groups(struct json_span groups, struct table *seen, const struct trail *at,
			struct err *e)
{
	struct trail list = { at, "groups", 0, false };
	struct trail t = { &list, "[]", 0, true };
	struct json_iter it;
	int rc = take_names(groups, "default", seen, &list, e);

	json_iter_init(&it, groups);
	for (; rc == 0 && json_next(&it); t.index++) {
		struct trail endpoints = { &t, "endpoints", 0, false };

		rc = take_names(json_get(it.value, "endpoints"), "null", seen, &endpoints, e);
	}
	return rc;
}

/* A host or context path, and names of groups and endpoints that do not meet. */
static int check_proxy(struct json_span proxy, const struct trail *at, struct err *e)
{
	struct json_span endpoints = json_get(proxy, "endpoints");
	struct json_span groups = json_get(proxy, "groups");
	struct trail list = { at, "endpoints", 0, false };
	struct table seen = { 0 };
	struct json_iter hosts;
	int rc = 0;

	json_iter_init(&hosts, json_get(proxy, "virtual_hosts"));
	if (json_type(json_get(proxy, "context_path")) == JSON_NONE && !json_next(&hosts))
		return refuse(at, "has neither virtual_hosts nor context_path", e);
	if (json_type(endpoints) == JSON_ARRAY) {
		(void)is_new(&seen, "default-group");
		rc = take_names(endpoints, "null", &seen, &list, e);
	} else if (json_type(groups) == JSON_ARRAY) {
		rc = check_groups(groups, &seen, at, e);
	}
	table_reset(&seen);
	return rc;
}

/* --- the walk --- */

static int check_members(enum shape of, struct json_span v, const struct trail *at, struct err *e);

/* Goes on with the row that the value's own `type` names; another type is read as nothing. */
static int check_typed(enum shape of, struct json_span v, const struct trail *at, struct err *e)
{
	struct json_span type = json_get(v, "type");
	size_t i;

	for (i = 0; i < ARRAY_LEN(checks); i++)
		if (checks[i].of == of && checks[i].rule == ANY &&
		    json_equals(type, checks[i].member))
			return check_members(checks[i].to, v, at, e);
	return 0;
}

static int check_value(const struct check *c, struct json_span v, const struct trail *at,
		       struct err *e)
{
	int rc = 0;

	if (!obeys(c, v))
		return refuse(at, wanted(c->rule), e);
	if (c->rule == TYPED)
		return check_typed(c->to, v, at, e);
	if (c->rule == PROXY)
		rc = check_proxy(v, at, e);
	else if (c->rule == DISTINCT)
		rc = check_distinct(v, at, e);
	return rc < 0 || c->to == NOTHING ? rc : check_members(c->to, v, at, e);
}

static int check_presence(enum shape of, struct json_span v, const struct trail *at, struct err *e)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(checks); i++) {
		struct trail t = { at, checks[i].member, 0, false };

		if (checks[i].of == of && checks[i].must &&
		    json_type(json_get(v, checks[i].member)) == JSON_NONE)
			return refuse(&t, "is missing", e);
	}
	return 0;
}

/* Once an object: a member may stand there a thousand times. */
static void find_barred(enum shape of, struct json_span v, bool barred[ARRAY_LEN(checks)])
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(checks); i++)
		barred[i] = checks[i].of != of ||
			    (checks[i].unless != NULL &&
			     json_type(json_get(v, checks[i].unless)) != JSON_NONE);
}

/* `name` NULL: an element. */
static bool is_about(const struct check *c, const struct buf *name)
{
	if (name == NULL)
		return strcmp(c->member, "[]") == 0;
	return strcmp(c->member, "*") == 0 || str_lists(c->member, name->data, name->len);
}

static int check_members(enum shape of, struct json_span v, const struct trail *at, struct err *e)
{
	struct trail t = { at, "[]", 0, json_type(v) == JSON_ARRAY };
	bool barred[ARRAY_LEN(checks)];
	struct buf name = { 0 };
	struct json_iter it;
	size_t i;
	int rc = json_type(v) == JSON_OBJECT ? check_presence(of, v, at, e) : 0;

	find_barred(of, v, barred);
	json_iter_init(&it, v);
	for (; rc == 0 && json_next(&it); t.index++) {
		buf_clear(&name);
		if (it.object)
			json_unescape(it.name, &name);
		(void)buf_cstr(&name); /* an empty one has bytes to compare, too */
		for (i = 0; rc == 0 && i < ARRAY_LEN(checks); i++) {
			if (barred[i] || !is_about(&checks[i], it.object ? &name : NULL))
				continue;
			t.member = str_equal(checks[i].member, "*") ? "*" : name.data;
			rc = check_value(&checks[i], it.value, &t, e);
		}
	}
	buf_reset(&name);
	return rc;
}

int definition_check(struct json_span def, enum definition_kind kind, struct err *e)
{
	static const enum shape shapes[] = { [DEFINITION_V2] = V2,
					     [DEFINITION_V4_HTTP] = V4,
					     [DEFINITION_V4_NATIVE] = NATIVE,
					     [DEFINITION_V4_EDGE] = EDGE };
	struct trail root = { 0 };

	return check_members(shapes[kind], def, &root, e);
}

static int check_part(const struct check *c, struct json_span v, struct err *e)
{
	struct trail root = { 0 };
	struct trail at = { &root, c->member, 0, false };

	return json_type(v) == JSON_NONE ? 0 : check_value(c, v, &at, e);
}

int definition_check_plans(struct json_span plans, struct err *e)
{
	static const struct check list = { V4, "plans", DISTINCT, PLANS, NULL, false, NULL };

	return check_part(&list, plans, e);
}

int definition_check_steps(struct json_span steps, struct err *e)
{
	static const struct check list = { V4, "policies", LIST, POLICIES, NULL, false, NULL };

	return check_part(&list, steps, e);
}
