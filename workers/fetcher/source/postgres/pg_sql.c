/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/postgres/pg_sql.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "common/base/mem.h"
#include "workers/fetcher/map/map.h"

#define OID_TEXT	25
#define OID_TIMESTAMPTZ 1184

#define MS_MAX INT64_C(253402300799000) /* the end of 9999: no row is later */

enum { NEEDED = 1, BRIEF = 2 };

/* Rows of another table that make a list or a map of a row. */
struct pg_child {
	const char *table, *parent;
	const char *key; /* of a map; NULL: a list */
	const char *value;
	const char *order; /* SQL, of the columns of c */
};

static const struct pg_child event_properties = { "events_latest_properties", "event_id",
						  "property_key", "property_value",
						  "c.property_key COLLATE \"C\"" };
static const struct pg_child event_environments = { "events_latest_environments", "event_id", NULL,
						    "environment_id",
						    "c.environment_id COLLATE \"C\"" };
static const struct pg_child event_organizations = { "events_latest_organizations", "event_id",
						     NULL, "organization_id",
						     "c.organization_id COLLATE \"C\"" };
/* As they were written, which is the order of the document in MongoDB. */
static const struct pg_child subscription_metadata = { "subscriptions_metadata", "subscription_id",
						       "k", "v", "c.id" };
static const struct pg_child key_subscriptions = { "key_subscriptions", "key_id", NULL,
						   "subscription_id",
						   "c.subscription_id COLLATE \"C\"" };
static const struct pg_child environment_hrids = { "environment_hrids", "environment_id", NULL,
						   "hrid", "c.pos, c.hrid COLLATE \"C\"" };
static const struct pg_child organization_hrids = { "organization_hrids", "organization_id", NULL,
						    "hrid", "c.pos, c.hrid COLLATE \"C\"" };
static const struct pg_child information = { "installation_informations", "installation_id",
					     "information_key", "information_value",
					     "c.information_key COLLATE \"C\"" };

struct column {
	const char *member, *column;
	enum pg_type type;
	unsigned flags;
	const struct pg_child *child; /* of a list or a map; `column` is NULL */
};

/* What the mapping reads; the first is the id. */
static const struct column events[] = {
	{ "id", "id", PG_TEXT, NEEDED | BRIEF, NULL },
	{ "type", "type", PG_TEXT, NEEDED | BRIEF, NULL },
	{ "properties", NULL, PG_MAP, NEEDED | BRIEF, &event_properties },
	{ "environments", NULL, PG_LIST, 0, &event_environments },
	{ "organizations", NULL, PG_LIST, 0, &event_organizations },
	{ "payload", "payload", PG_BIG, NEEDED, NULL },
	{ "createdAt", "created_at", PG_TIME, BRIEF, NULL },
	{ "updatedAt", "updated_at", PG_TIME, NEEDED | BRIEF, NULL },
};
static const struct column subscriptions[] = {
	{ "id", "id", PG_TEXT, NEEDED | BRIEF, NULL },
	{ "api", "api", PG_TEXT, BRIEF, NULL },
	{ "referenceId", "reference_id", PG_TEXT, BRIEF, NULL },
	{ "referenceType", "reference_type", PG_TEXT, BRIEF, NULL },
	{ "environmentId", "environment_id", PG_TEXT, BRIEF, NULL },
	{ "plan", "plan", PG_TEXT, NEEDED | BRIEF, NULL },
	{ "status", "status", PG_TEXT, NEEDED | BRIEF, NULL },
	{ "application", "application", PG_TEXT, 0, NULL },
	{ "applicationName", "application_name", PG_TEXT, 0, NULL },
	{ "clientId", "client_id", PG_TEXT, 0, NULL },
	{ "clientCertificate", "client_certificate", PG_BIG, 0, NULL },
	{ "consumerStatus", "consumer_status", PG_TEXT, 0, NULL },
	{ "configuration", "configuration", PG_BIG, 0, NULL },
	{ "metadata", NULL, PG_MAP, 0, &subscription_metadata },
	{ "type", "type", PG_TEXT, 0, NULL },
	{ "startingAt", "starting_at", PG_TIME, 0, NULL },
	{ "endingAt", "ending_at", PG_TIME, 0, NULL },
	{ "createdAt", "created_at", PG_TIME, BRIEF, NULL },
	{ "updatedAt", "updated_at", PG_TIME, NEEDED | BRIEF, NULL },
};
static const struct column keys[] = {
	{ "id", "id", PG_TEXT, NEEDED | BRIEF, NULL },
	{ "key", "key", PG_TEXT, NEEDED, NULL },
	{ "subscriptions", NULL, PG_LIST, BRIEF, &key_subscriptions },
	{ "subscription", "subscription", PG_TEXT, BRIEF, NULL },
	{ "environmentId", "environment_id", PG_TEXT, BRIEF, NULL },
	{ "application", "application", PG_TEXT, 0, NULL },
	{ "expireAt", "expire_at", PG_TIME, 0, NULL },
	{ "revoked", "revoked", PG_BOOL, NEEDED | BRIEF, NULL },
	{ "paused", "paused", PG_BOOL, BRIEF, NULL },
	{ "federated", "federated", PG_BOOL, BRIEF, NULL },
	{ "createdAt", "created_at", PG_TIME, BRIEF, NULL },
	{ "updatedAt", "updated_at", PG_TIME, NEEDED | BRIEF, NULL },
};
static const struct column environments[] = {
	{ "id", "id", PG_TEXT, NEEDED, NULL },
	{ "hrids", NULL, PG_LIST, 0, &environment_hrids },
	{ "name", "name", PG_TEXT, 0, NULL },
	{ "organizationId", "organization_id", PG_TEXT, 0, NULL },
};
static const struct column organizations[] = {
	{ "id", "id", PG_TEXT, NEEDED, NULL },
	{ "hrids", NULL, PG_LIST, 0, &organization_hrids },
	{ "name", "name", PG_TEXT, 0, NULL },
};
static const struct column installation[] = {
	{ "id", "id", PG_TEXT, NEEDED, NULL },
	{ "additionalInformation", NULL, PG_MAP, 0, &information },
	{ "createdAt", "created_at", PG_TIME, 0, NULL },
	{ "updatedAt", "updated_at", PG_TIME, 0, NULL },
};
static const struct column licenses[] = {
	{ "id", "reference_id", PG_TEXT, NEEDED, NULL },
	{ "referenceId", "reference_id", PG_TEXT, 0, NULL },
	{ "referenceType", "reference_type", PG_TEXT, NEEDED, NULL },
	{ "license", "license", PG_BIG, 0, NULL },
	{ "createdAt", "created_at", PG_TIME, 0, NULL },
	{ "updatedAt", "updated_at", PG_TIME, 0, NULL },
};
static const struct column access_points[] = {
	{ "id", "id", PG_TEXT, NEEDED, NULL },
	{ "referenceType", "reference_type", PG_TEXT, 0, NULL },
	{ "referenceId", "reference_id", PG_TEXT, 0, NULL },
	{ "host", "host", PG_TEXT, 0, NULL },
	{ "secured", "secured", PG_BOOL, 0, NULL },
	{ "target", "target", PG_TEXT, 0, NULL },
	{ "overriding", "overriding", PG_BOOL, 0, NULL },
	{ "status", "status", PG_TEXT, 0, NULL },
	{ "updatedAt", "updated_at", PG_TIME, 0, NULL },
};

static const struct {
	const struct column *v;
	unsigned n;
	bool optional; /* old releases have no such table: as if it were empty */
	bool small;    /* its order of ids is that of the bytes */
} tables[DB__COUNT] = {
	[DB_EVENTS] = { events, ARRAY_LEN(events), false, false },
	[DB_SUBSCRIPTIONS] = { subscriptions, ARRAY_LEN(subscriptions), false, false },
	[DB_KEYS] = { keys, ARRAY_LEN(keys), false, false },
	[DB_ENVIRONMENTS] = { environments, ARRAY_LEN(environments), false, true },
	[DB_ORGANIZATIONS] = { organizations, ARRAY_LEN(organizations), false, true },
	[DB_INSTALLATION] = { installation, ARRAY_LEN(installation), false, true },
	[DB_LICENSES] = { licenses, ARRAY_LEN(licenses), true, true },
	[DB_ACCESS_POINTS] = { access_points, ARRAY_LEN(access_points), true, true },
};

/* --- what is there --- */

void pg_table_names(struct map_ids *out)
{
	unsigned t, i;

	for (t = 0; t < DB__COUNT; t++)
		map_ids_add(out, db_table_name((enum db_table)t));
	for (t = 0; t < DB__COUNT; t++)
		for (i = 0; i < tables[t].n; i++)
			if (tables[t].v[i].child != NULL)
				map_ids_add(out, tables[t].v[i].child->table);
}

void pg_shape_add(struct pg_shape *s, const char *table, const char *column, struct pg_found found)
{
	unsigned t, i;

	for (t = 0; t < DB__COUNT; t++)
		for (i = 0; i < tables[t].n; i++) {
			const struct column *c = &tables[t].v[i];
			uint32_t bit = UINT32_C(1) << i;
			bool own = c->child == NULL;

			if (!str_equal(table, own ? db_table_name(t) : c->child->table) ||
			    !str_equal(column, own ? c->column : c->child->parent))
				continue;
			s->there[t] |= bit;
			s->indexed[t] |= found.indexed ? bit : 0;
			s->filled[t] |= found.filled ? bit : 0;
		}
}

static bool is_there(const struct pg_shape *s, enum db_table t, unsigned column)
{
	return (s->there[t] >> column & 1) != 0;
}

static int find(enum db_table t, const char *member)
{
	unsigned i;

	for (i = 0; i < tables[t].n; i++)
		if (str_equal(tables[t].v[i].member, member))
			return (int)i;
	return -1;
}

static int check(const struct pg_shape *s, enum db_table t, const char *prefix, struct err *e)
{
	unsigned i;

	for (i = 0; i < tables[t].n; i++) {
		const struct column *c = &tables[t].v[i];
		const char *table = c->child == NULL ? db_table_name(t) : c->child->table;

		if ((c->flags & NEEDED) == 0 || is_there(s, t, i))
			continue;
		return err_set(e, ERR_REMOTE,
			       "table %s%s has no column %s, or is not there, or this user may "
			       "not read it; see management.jdbc.schema and prefix",
			       prefix, table, c->child == NULL ? c->column : c->child->parent);
	}
	return 0;
}

/* --- parts of a question --- */

struct making {
	struct pg_select *out;
	const struct db_query *q;
	const struct pg_shape *shape;
	const struct pg_names *names;
	bool limited; /* there is a WHERE already */
};

void pg_add_identifier(struct buf *b, const char *prefix, const char *name)
{
	const char *const parts[] = { prefix, name };
	unsigned i;
	const char *s;

	buf_addc(b, '"');
	for (i = 0; i < ARRAY_LEN(parts); i++)
		for (s = parts[i]; *s != '\0'; s++) {
			if (*s == '"')
				buf_addc(b, '"');
			buf_addc(b, *s);
		}
	buf_addc(b, '"');
}

static void add_element(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			buf_addc(b, '\\');
		buf_addc(b, *s);
	}
}

char *pg_array(char *const *v, size_t n, const char *prefix)
{
	struct buf b = { 0 };
	size_t i;

	buf_addc(&b, '{');
	for (i = 0; i < n; i++) {
		buf_adds(&b, i == 0 ? "\"" : ",\"");
		add_element(&b, prefix);
		add_element(&b, v[i]);
		buf_addc(&b, '"');
	}
	buf_addc(&b, '}');
	return buf_take(&b);
}

/* Takes `value`; answers the number that stands for it in the text. */
static int param(struct making *m, unsigned type, char *value, int length)
{
	struct pg_select *s = m->out;

	CHECK(s->n_params < PG_PARAMS_MAX);
	s->types[s->n_params] = type;
	s->values[s->n_params] = value;
	s->lengths[s->n_params] = length;
	s->formats[s->n_params] = length > 0 ? 1 : 0;
	return ++s->n_params;
}

static int param_list(struct making *m, char *const *v, size_t n)
{
	return param(m, PG_OID_TEXT_ARRAY, pg_array(v, n, ""), 0);
}

static int param_time(struct making *m, int64_t ms, int64_t us)
{
	int64_t at = MIN(MAX(ms, 0), MS_MAX) * 1000 + us - PG_EPOCH_US;
	uint64_t wire = htobe64((uint64_t)at);

	return param(m, OID_TIMESTAMPTZ, mem_dup(&wire, sizeof(wire)), sizeof(wire));
}

static struct buf *clause(struct making *m)
{
	struct buf *b = &m->out->text;

	buf_adds(b, m->limited ? " AND " : " WHERE ");
	m->limited = true;
	return b;
}

static const char *id_column(enum db_table t)
{
	return tables[t].v[0].column;
}

/* --- columns --- */

static void add_child_value(struct buf *b, const struct pg_child *c)
{
	if (c->key != NULL)
		buf_printf(b, "array_agg(ARRAY[c.%s::text, c.%s::text] ORDER BY %s)", c->key,
			   c->value, c->order);
	else
		buf_printf(b, "array_agg(c.%s::text ORDER BY %s)", c->value, c->order);
}

static void add_child(struct making *m, unsigned i)
{
	struct buf *b = &m->out->text;
	const struct pg_child *c = tables[m->q->table].v[i].child;

	if ((m->shape->indexed[m->q->table] >> i & 1) == 0) {
		buf_printf(b, "j%u.v", i);
		return;
	}
	buf_adds(b, "(SELECT ");
	add_child_value(b, c);
	buf_adds(b, " FROM ");
	pg_add_identifier(b, m->names->prefix, c->table);
	buf_printf(b, " c WHERE c.%s = t.%s)", c->parent, id_column(m->q->table));
}

static void add_cell(struct making *m, const char *member, enum pg_type type)
{
	CHECK(m->out->n_cells < PG_CELLS_MAX);
	m->out->cells[m->out->n_cells++] = (struct pg_column){ member, type };
}

static bool is_wanted(const struct making *m, unsigned i)
{
	enum db_table t = m->q->table;
	bool brief = m->q->brief && (tables[t].v[0].flags & BRIEF) != 0;

	return is_there(m->shape, t, i) && (!brief || (tables[t].v[i].flags & BRIEF) != 0);
}

static void add_column(struct making *m, unsigned i)
{
	static const char *const casts[] = {
		[PG_TEXT] = "text", [PG_TIME] = "timestamptz", [PG_BOOL] = "boolean"
	};
	const struct column *c = &tables[m->q->table].v[i];
	struct buf *b = &m->out->text;

	buf_adds(b, ", ");
	add_cell(m, c->member, c->type);
	if (c->child != NULL) {
		add_child(m, i);
	} else if (c->type == PG_BIG) {
		buf_printf(b,
			   "CASE WHEN octet_length(t.%s) <= %" PRIu64
			   " THEN t.%s::text END, octet_length(t.%s)",
			   c->column, m->names->entity_max_bytes, c->column, c->column);
		m->out->n_cells++; /* how long it is */
	} else {
		buf_printf(b, "t.\"%s\"::%s", c->column, casts[c->type]);
	}
}

/* Access points of 4.2 have no time. */
static bool has_time(const struct making *m)
{
	int updated = find(m->q->table, "updatedAt");

	return updated >= 0 && is_there(m->shape, m->q->table, (unsigned)updated);
}

static void add_columns(struct making *m)
{
	enum db_table t = m->q->table;
	int updated = find(t, "updatedAt");
	struct buf *b = &m->out->text;
	unsigned i;

	buf_printf(b, "SELECT t.%s::text, ", id_column(t));
	add_cell(m, "id", PG_TEXT);
	m->out->timed = has_time(m);
	if (m->out->timed)
		buf_adds(b, "t.updated_at::timestamptz");
	else
		buf_adds(b, "NULL::timestamptz");
	add_cell(m, "updatedAt", PG_TIME);
	for (i = 1; i < tables[t].n; i++)
		if ((int)i != updated && is_wanted(m, i))
			add_column(m, i);
}

static void add_from(struct making *m)
{
	enum db_table t = m->q->table;
	struct buf *b = &m->out->text;
	unsigned i;

	buf_adds(b, " FROM ");
	pg_add_identifier(b, m->names->prefix, db_table_name(t));
	buf_adds(b, " t");
	for (i = 0; i < tables[t].n; i++) {
		const struct pg_child *c = tables[t].v[i].child;

		if (c == NULL || !is_wanted(m, i) || (m->shape->indexed[t] >> i & 1) != 0)
			continue;
		buf_printf(b, " LEFT JOIN (SELECT c.%s AS k, ", c->parent);
		add_child_value(b, c);
		buf_adds(b, " AS v FROM ");
		pg_add_identifier(b, m->names->prefix, c->table);
		buf_printf(b, " c GROUP BY 1) j%u ON j%u.k = t.%s", i, i, id_column(t));
	}
}

/* --- conditions --- */

static void add_field(struct making *m)
{
	const struct db_query *q = m->q;
	int i = find(q->table, q->field);
	const struct pg_child *c;
	struct buf *b;

	CHECK(i >= 0);
	b = clause(m);
	if (!is_there(m->shape, q->table, (unsigned)i)) {
		buf_adds(b, "false"); /* no row has it */
		return;
	}
	c = tables[q->table].v[i].child;
	if (c == NULL) {
		buf_printf(b, "t.\"%s\" = ANY($%d)", tables[q->table].v[i].column,
			   param_list(m, q->in, q->n_in));
		return;
	}
	buf_printf(b, "t.%s IN (SELECT c.%s FROM ", id_column(q->table), c->parent);
	pg_add_identifier(b, m->names->prefix, c->table);
	buf_printf(b, " c WHERE c.%s = ANY($%d))", c->value, param_list(m, q->in, q->n_in));
}

static void add_types(struct making *m)
{
	size_t n = 0;
	const char *const *types =
		map_event_types(m->q->odd ? MAP_TYPES_ALL : MAP_TYPES_MAPPED, &n);
	int number = param_list(m, (char *const *)(uintptr_t)types, n);

	/* An id is always a text here: what is odd of a row is its type. */
	if (m->q->odd)
		buf_printf(clause(m), "(t.type = ANY($%d)) IS NOT TRUE", number);
	else
		buf_printf(clause(m), "t.type = ANY($%d)", number);
}

/* All there are are as good as none that is named, but for the index that begins with them. */
static void add_all_environments(struct making *m, unsigned i)
{
	enum db_table t = m->q->table;
	int updated = find(t, "updatedAt");
	struct buf table = { 0 };

	if (t == DB_EVENTS || t == DB_ACCESS_POINTS || m->q->order != DB_BY_TIME || updated < 0 ||
	    (m->shape->indexed[t] >> updated & 1) != 0 || (m->shape->indexed[t] >> i & 1) == 0 ||
	    (m->shape->filled[t] >> i & 1) == 0)
		return;
	pg_add_identifier(&table, m->names->prefix, db_table_name(t));
	buf_printf(clause(m),
		   "t.environment_id = ANY(ARRAY(WITH RECURSIVE e(v) AS ((SELECT environment_id "
		   "FROM %s ORDER BY 1 LIMIT 1) UNION ALL SELECT (SELECT n.environment_id FROM %s "
		   "n WHERE n.environment_id > e.v ORDER BY 1 LIMIT 1) FROM e WHERE e.v IS NOT "
		   "NULL) SELECT v FROM e WHERE v IS NOT NULL))",
		   buf_cstr(&table), buf_cstr(&table));
	buf_reset(&table);
}

/* An event of no environment is everybody's. */
static void add_environments(struct making *m)
{
	const struct db_query *q = m->q;
	bool event = q->table == DB_EVENTS;
	/* An access point is of what its referenceId names. */
	const char *member = q->table == DB_ACCESS_POINTS ? "referenceId" : "environmentId";
	int i = find(q->table, event ? "environments" : member);
	struct buf *b;
	int number;

	if (i < 0 || !is_there(m->shape, q->table, (unsigned)i))
		return;
	if (q->n_environments == 0) {
		add_all_environments(m, (unsigned)i);
		return;
	}
	number = param_list(m, q->environments, q->n_environments);
	b = clause(m);
	if (!event) {
		buf_printf(b, "t.%s = ANY($%d)", tables[q->table].v[i].column, number);
		return;
	}
	buf_adds(b, "(EXISTS (SELECT FROM ");
	pg_add_identifier(b, m->names->prefix, event_environments.table);
	buf_printf(b,
		   " c WHERE c.event_id = t.id AND c.environment_id = ANY($%d)) OR NOT EXISTS "
		   "(SELECT FROM ",
		   number);
	pg_add_identifier(b, m->names->prefix, event_environments.table);
	buf_adds(b, " c WHERE c.event_id = t.id))");
}

static void add_status(struct making *m)
{
	if (m->q->status == DB_ACCEPTED)
		buf_adds(clause(m), "t.status = 'ACCEPTED'");
	if (m->q->status == DB_NOT_ACCEPTED)
		buf_adds(clause(m), "t.status IS DISTINCT FROM 'ACCEPTED'");
}

/* "uuu/id". false: it is the cursor of another kind of database, or nonsense. */
static bool read_position(const char *s, int64_t *us, const char **id)
{
	uint64_t n = 0;

	if (strnlen(s, 4) < 4 || s[3] != '/' || !str_to_u64(s, 3, &n) || !str_is_utf8(s, strlen(s)))
		return false;
	*us = (int64_t)n;
	*id = s + 4;
	return true;
}

static void add_keyset(struct making *m)
{
	const struct db_query *q = m->q;
	const char *id = NULL;
	int64_t us = 0;
	bool behind = q->after_id != NULL && read_position(q->after_id, &us, &id);
	int at = param_time(m, q->since_ms, us);

	buf_printf(clause(m), "t.updated_at >= $%d::timestamp", at);
	if (!behind)
		return;
	buf_printf(clause(m), "(t.updated_at > $%d::timestamp OR t.%s COLLATE \"C\" > $%d)", at,
		   id_column(q->table), param(m, OID_TEXT, mem_strdup(id), 0));
}

static void add_id_bound(struct making *m)
{
	const char *id = NULL;
	int64_t us = 0;

	if (m->q->after_id == NULL || !read_position(m->q->after_id, &us, &id))
		return;
	buf_printf(clause(m), "t.%s%s > $%d", id_column(m->q->table),
		   tables[m->q->table].small ? " COLLATE \"C\"" : "",
		   param(m, OID_TEXT, mem_strdup(id), 0));
}

/* Each delta brings all rows of a table that has no time. */
static enum db_order order_of(const struct making *m)
{
	return m->q->order == DB_BY_TIME && !has_time(m) ? DB_BY_ID : m->q->order;
}

static void add_order(struct making *m)
{
	const char *id = id_column(m->q->table);
	struct buf *b = &m->out->text;

	if (order_of(m) == DB_BY_TIME)
		buf_printf(b, " ORDER BY t.updated_at, t.%s COLLATE \"C\"", id);
	else if (order_of(m) == DB_BY_ID)
		buf_printf(b, " ORDER BY t.%s%s", id,
			   tables[m->q->table].small ? " COLLATE \"C\"" : "");
	if (m->q->limit > 0)
		buf_printf(b, " LIMIT %u", m->q->limit);
}

/* --- the whole --- */

int pg_select_make(struct pg_select *out, const struct db_query *q, const struct pg_shape *s,
		   const struct pg_names *names, struct err *e)
{
	struct making m = { .out = out, .q = q, .shape = s, .names = names };
	int rc;

	*out = (struct pg_select){ 0 };
	if ((q->odd && q->table != DB_EVENTS) ||
	    (tables[q->table].optional && s->there[q->table] == 0))
		return 0; /* there are none: an empty text */
	rc = check(s, q->table, names->prefix, e);
	if (rc < 0)
		return rc;
	add_columns(&m);
	add_from(&m);
	if (q->table == DB_LICENSES)
		buf_adds(clause(&m), "t.reference_type = 'ORGANIZATION'");
	if (q->field != NULL)
		add_field(&m);
	if (q->table == DB_EVENTS && !str_equal(q->field, "type"))
		add_types(&m);
	add_environments(&m);
	add_status(&m);
	if (order_of(&m) == DB_BY_TIME)
		add_keyset(&m);
	if (order_of(&m) == DB_BY_ID)
		add_id_bound(&m);
	add_order(&m);
	return 0;
}

void pg_select_reset(struct pg_select *s)
{
	int i;

	buf_reset(&s->text);
	for (i = 0; i < s->n_params; i++)
		mem_free(s->values[i]);
	*s = (struct pg_select){ 0 };
}

void pg_about_tables(struct pg_select *q, const char *sql, const char *prefix)
{
	struct map_ids names = { 0 };

	pg_table_names(&names);
	*q = (struct pg_select){ .types = { PG_OID_TEXT_ARRAY }, .n_params = 1 };
	buf_adds(&q->text, sql);
	q->values[0] = pg_array(names.v, names.n, prefix);
	map_ids_reset(&names);
}
